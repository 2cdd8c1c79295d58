//! "Did you mean": the nearest of some names.

use std::cell::Cell;

/// Longer names are not compared: a typing mistake in them is not worth the time.
const LONGEST: usize = 200;

/// Types of a package that are named.
const FEW_TYPES: usize = 8;

/// Letters that the beginning or end of a name must have to stand for the whole.
pub(crate) const SHORTEST_PART: usize = 4;

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
    if candidates.is_empty() && wanted.len() >= SHORTEST_PART {
        let begins = |name: &&str| simple(name).to_lowercase().starts_with(&wanted.to_lowercase());
        candidates = known.iter().copied().filter(|name| begins(name)).collect();
    }
    let rank = |name: &&str| {
        (
            common_end(name, type_name),
            common_words(name, type_name),
            same_package_but_for_a_typo(name, type_name),
        )
    };
    let Some(best) = candidates.iter().map(rank).max() else { return in_package(type_name, known) };
    let best: Vec<&str> = candidates.into_iter().filter(|name| rank(name) == best).take(FEW_TYPES).collect();
    Some(format!("did you mean {}?", enumerate(best, "or")))
}

/// The package that was meant by one that does not exist, or those that there are beside it.
pub(crate) fn package_hint(package: &str, known: &[&str]) -> Option<String> {
    let (parent, wanted) = package.rsplit_once('.')?;
    let mut siblings: Vec<&str> = known
        .iter()
        .filter_map(|name| name.strip_prefix(parent)?.strip_prefix('.')?.split_once('.'))
        .map(|(name, _)| name)
        .collect();
    siblings.sort_unstable();
    siblings.dedup();
    match nearest(wanted, siblings.iter().copied()) {
        Some(nearest) => Some(format!("did you mean `{parent}.{nearest}`?")),
        None if siblings.is_empty() => None,
        None => Some(format!("`{parent}` has {}", enumerate(siblings.into_iter().take(FEW_TYPES), "and"))),
    }
}

/// What follows the package.
fn simple(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or_default()
}

/// Words that two names have in common at the end.
fn common_end(a: &str, b: &str) -> usize {
    a.rsplit('.').zip(b.rsplit('.')).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
}

/// Words that two names have in common at the start.
fn common_words(a: &str, b: &str) -> usize {
    a.split('.').zip(b.split('.')).take_while(|(a, b)| a == b).count()
}

/// Whether a typing mistake is all that is between the packages of two types.
fn same_package_but_for_a_typo(a: &str, b: &str) -> bool {
    let package = |name: &'_ str| name.rsplit('.').nth(1).map(str::to_owned).unwrap_or_default();
    let (a, b) = (package(a), package(b));
    nearest(&b, [a.as_str()]).is_some()
}

fn in_package(type_name: &str, known: &[&str]) -> Option<String> {
    let (package, _) = type_name.rsplit_once('.')?;
    let names = known.iter().filter_map(|name| name.strip_prefix(package)?.strip_prefix('.'));
    let names: Vec<&str> = names.filter(|name| !name.contains('.')).take(FEW_TYPES).collect();
    (!names.is_empty()).then(|| format!("`{package}` has {}", enumerate(names, "and")))
}

/// The name that shares most words with another, at least two of them: `secretKeyId` for `secretAccessKey`.
pub(crate) fn related<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = words(name);
    let shared = |candidate: &str| {
        let found = words(candidate);
        let count = wanted.iter().filter(|word| found.contains(word)).count();
        (count, found.first() == wanted.first())
    };
    candidates
        .into_iter()
        .map(|candidate| (shared(candidate), candidate))
        .filter(|((count, _), _)| *count >= 2)
        .max_by_key(|(rank, candidate)| (*rank, std::cmp::Reverse(candidate.len())))
        .map(|(_, candidate)| candidate)
}

/// The words of a name in camel case, kebab case or snake case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c.is_uppercase() || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// How many names are compared for suggestions about one source: one that is wrong everywhere must not cost seconds.
const COMPARISONS: usize = 200_000;

/// What may still be spent on suggestions. Where it is used up there are none.
#[derive(Debug)]
pub(crate) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(COMPARISONS))
    }
}

impl Budget {
    /// Takes so many comparisons; false if nothing was left.
    pub(crate) fn take(&self, comparisons: usize) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(comparisons));
        left > 0
    }

    /// `did you mean ...?`, if anything is near enough; of more candidates than may still be compared, the first.
    pub(crate) fn did_you_mean<'c>(
        &self,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<String> {
        let candidates = candidates.into_iter().take(self.0.get());
        let counted = candidates.inspect(|_| {
            self.take(1);
        });
        did_you_mean(name, counted)
    }
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
            "a.core.debug.Repeat",
            "a.scripts.shell.Commands",
            "a.scripts.python.Commands",
        ];
        for (name, expected) in [
            ("a.core.log.Logg", Some("did you mean `a.core.log.Log`?")),
            ("Log", Some("did you mean `a.core.log.Log`?")),
            ("a.tasks.log.log", Some("did you mean `a.core.log.Log`?")),
            ("python.Commands", Some("did you mean `a.scripts.python.Commands`?")),
            ("a.core.debug.Repe", Some("did you mean `a.core.debug.Repeat`?")),
            ("a.scripts.pyton.Commands", Some("did you mean `a.scripts.python.Commands`?")),
            (
                "a.scripts.bash.Commands",
                Some("did you mean `a.scripts.shell.Commands` or `a.scripts.python.Commands`?"),
            ),
            ("a.scripts.shell.Command", Some("did you mean `a.scripts.shell.Commands`?")),
            ("a.core.debug.Missing", Some("`a.core.debug` has `Repeat`")),
            ("b.other.Missing", None),
        ] {
            assert_eq!(type_hint(name, &known).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn related_names() {
        let names = ["accessKeyId", "secretKeyId", "bucket", "sessionToken"];
        for (name, expected) in
            [("secretAccessKey", Some("secretKeyId")), ("access_key", Some("accessKeyId")), ("keyName", None)]
        {
            assert_eq!(related(name, names), expected, "{name}");
        }
    }

    #[test]
    fn packages() {
        let known = ["a.scripts.shell.Commands", "a.scripts.python.Commands", "a.core.log.Log"];
        for (package, expected) in [
            ("a.scripts.pyton", Some("did you mean `a.scripts.python`?")),
            ("a.scripts.bash", Some("`a.scripts` has `python` and `shell`")),
            ("b.scripts.bash", None),
        ] {
            assert_eq!(package_hint(package, &known).as_deref(), expected, "{package}");
        }
    }

    #[test]
    fn enumerations() {
        assert_eq!(enumerate(["a"], "or"), "`a`");
        assert_eq!(enumerate(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
