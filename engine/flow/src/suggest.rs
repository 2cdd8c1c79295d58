//! "Did you mean": the nearest of some names.

/// Longer names are not compared: a typing mistake in them is not worth the time.
const LONGEST: usize = 200;

/// Types of a package that are named.
const FEW_TYPES: usize = 8;

/// The candidate that is a typing mistake away, if there is one.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if name.len() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase();
    let near = |candidate: &str| {
        let length = name.len().min(candidate.len());
        let tolerance = tolerance(length);
        // Cheap before dear: names whose lengths differ more cannot be near.
        let comparable = candidate.len() <= LONGEST && candidate.len().abs_diff(name.len()) <= tolerance;
        let distance = comparable.then(|| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()))?;
        (distance <= tolerance && distance < length).then_some(distance)
    };
    candidates
        .into_iter()
        .filter_map(|candidate| near(candidate).map(|distance| (distance, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to write in place of a type that does not exist: the same name in another package, a name with a typing mistake
/// corrected, or what there is in the package.
pub fn type_hint(type_name: &str, known: &[&str]) -> Option<String> {
    let wanted = simple(type_name);
    let named =
        |name: &str| known.iter().copied().filter(|known| simple(known).eq_ignore_ascii_case(name)).collect();
    let mut candidates: Vec<&str> = named(wanted);
    if candidates.is_empty() {
        candidates = nearest(wanted, known.iter().map(|name| simple(name))).map(named).unwrap_or_default();
    }
    let best = candidates
        .into_iter()
        .max_by_key(|name| (common_end(name, type_name), common_start(name, type_name)));
    best.map(|name| format!("did you mean `{name}`?")).or_else(|| in_package(type_name, known))
}

/// What follows the package.
fn simple(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or_default()
}

/// Words that two names have in common at the end.
fn common_end(a: &str, b: &str) -> usize {
    a.rsplit('.').zip(b.rsplit('.')).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
}

/// Characters that two names have in common at the start.
fn common_start(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

fn in_package(type_name: &str, known: &[&str]) -> Option<String> {
    let (package, _) = type_name.rsplit_once('.')?;
    let names = known.iter().filter_map(|name| name.strip_prefix(package)?.strip_prefix('.'));
    let names: Vec<&str> = names.filter(|name| !name.contains('.')).take(FEW_TYPES).collect();
    (!names.is_empty()).then(|| format!("`{package}` has {}", enumerate(names, "and")))
}

/// `did you mean ...?`, if anything is near enough.
pub(crate) fn did_you_mean<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    nearest(name, candidates).map(|nearest| format!("did you mean `{nearest}`?"))
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
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
    }

    #[test]
    fn types() {
        let known = [
            "a.core.log.Log",
            "a.core.debug.Return",
            "a.scripts.shell.Commands",
            "a.scripts.python.Commands",
        ];
        for (name, expected) in [
            ("a.core.log.Logg", Some("did you mean `a.core.log.Log`?")),
            ("Log", Some("did you mean `a.core.log.Log`?")),
            ("a.tasks.log.log", Some("did you mean `a.core.log.Log`?")),
            ("python.Commands", Some("did you mean `a.scripts.python.Commands`?")),
            ("a.scripts.shell.Command", Some("did you mean `a.scripts.shell.Commands`?")),
            ("a.core.debug.Missing", Some("`a.core.debug` has `Return`")),
            ("b.other.Missing", None),
        ] {
            assert_eq!(type_hint(name, &known).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn enumerations() {
        assert_eq!(enumerate(["a"], "or"), "`a`");
        assert_eq!(enumerate(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
