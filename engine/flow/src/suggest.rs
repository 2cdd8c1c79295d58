//! "Did you mean": the nearest of some names.

/// Longer names are not compared: a typing mistake in them is not worth the time.
const LONGEST: usize = 200;

/// The candidate that a typing mistake away, if there is one that is near enough.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if name.len() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(&lower, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= tolerance(name.len().min(candidate.len())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean ...?`, if anything is near enough.
pub(crate) fn did_you_mean<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    nearest(name, candidates).map(|nearest| format!("did you mean `{nearest}`?"))
}

fn distance(lower: &str, candidate: &str) -> usize {
    strsim::damerau_levenshtein(lower, &candidate.to_lowercase())
}

/// A third of the letters may be wrong; one in very short names.
fn tolerance(length: usize) -> usize {
    (length / 3).max(1)
}

/// `a`, `b` and `c`.
pub(crate) fn enumerate<'c>(names: impl IntoIterator<Item = &'c str>, last_word: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {last_word} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        let names = ["commands", "beforeCommands", "env", "runner", "id"];
        for (name, expected) in [
            ("comands", Some("commands")),
            ("Commands", Some("commands")),
            ("beforecommand", Some("beforeCommands")),
            ("en", Some("env")),
            ("evn", Some("env")),
            ("image", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }

    #[test]
    fn enumerations() {
        assert_eq!(enumerate(["a"], "or"), "`a`");
        assert_eq!(enumerate(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
