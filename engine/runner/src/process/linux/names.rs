//! The names under which an engine's processes are found again: variables and control groups.

use super::identity::Identity;

/// Environment variable with the marker of a command.
pub(super) const TASK_VARIABLE: &str = "WEFT_TASK";
/// Environment variable with the [`Identity`] of the engine.
pub(super) const ENGINE_VARIABLE: &str = "WEFT_ENGINE";
/// How the name of each group starts.
pub(super) const GROUP_PREFIX: &str = "weft-";

/// Name of the `number`-th group that an engine makes: `weft-<engine>-<number>`.
pub(super) fn group(engine: &Identity, number: u64) -> String {
    format!("{GROUP_PREFIX}{engine}-{number}")
}

/// The engine in the name of a group.
pub(super) fn parse_group(name: &str) -> Option<Identity> {
    let (engine, number) = name.strip_prefix(GROUP_PREFIX)?.split_once('-')?;
    number.parse::<u64>().ok()?;
    engine.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_back() {
        let engine = Identity::own().unwrap();
        assert_eq!(parse_group(&group(&engine, 7)), Some(engine));
        for name in ["weft-", "weft-1.2.3", "weft-1.2.3-", "weft-1.2.3-x", "weft-x-4", "docker-1.2.3-4"] {
            assert_eq!(parse_group(name), None, "{name}");
        }
    }
}
