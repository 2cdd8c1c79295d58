//! The names under which an engine's processes are found again: variables and control groups.

use super::identity::Identity;

/// Environment variable with the marker of a command.
pub(super) const TASK_VARIABLE: &str = "WEFT_TASK";
/// Environment variable with the [`Identity`] of the engine.
pub(super) const ENGINE_VARIABLE: &str = "WEFT_ENGINE";
/// How the name of each group starts.
pub(super) const GROUP_PREFIX: &str = "weft-";

/// Name of the group of an engine's `sequence`-th process: `weft-<engine>-<sequence>-<marker>`.
pub(super) fn group(engine: &Identity, sequence: u64, marker: &str) -> String {
    // `+` does not occur in markers.
    format!("{GROUP_PREFIX}{engine}-{sequence}-{}", marker.replace('/', "+"))
}

/// The engine and the marker in the name of a group.
pub(super) fn parse_group(name: &str) -> Option<(Identity, String)> {
    let mut parts = name.strip_prefix(GROUP_PREFIX)?.splitn(3, '-');
    let (engine, _, marker) = (parts.next()?, parts.next()?, parts.next()?);
    Some((engine.parse().ok()?, marker.replace('+', "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_back() {
        let engine = Identity::own().unwrap();
        for marker in ["m", "execution-1/task-run-2/3", "a.b:c_d"] {
            let name = group(&engine, 7, marker);
            assert!(!name.contains('/'));
            assert_eq!(parse_group(&name), Some((engine, marker.to_owned())));
        }
        for name in ["weft-", "weft-1.2.3", "weft-1.2.3-4", "weft-x-4-m", "docker-1.2.3-4-m"] {
            assert_eq!(parse_group(name), None, "{name}");
        }
    }
}
