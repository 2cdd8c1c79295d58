//! "Did you mean": the nearest of some names.

/// How many names are looked at: a context of thousands of outputs must not make an error slow.
const LOOKED_AT: usize = 1000;

/// The name that is most likely meant, if any is near enough.
pub(crate) fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = written.to_lowercase();
    names
        .into_iter()
        .take(LOOKED_AT)
        .filter(|name| *name != written)
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(similarity, _)| *similarity > 0.85)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, name)| name)
}
