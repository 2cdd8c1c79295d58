//! `weft explain`: what an error code means, as the documentation has it.

use std::process::ExitCode;

use strsim::damerau_levenshtein;

use crate::app::{self, usage};

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Mistakes in a code up to which it is understood.
const NEAR: usize = 3;

/// Prints the page of a code, or the list of all.
pub fn run(code: Option<&str>) -> anyhow::Result<ExitCode> {
    let Some(code) = code else {
        let lines: Vec<String> =
            PAGES.iter().map(|(name, page)| format!("{name:<28} {}\n", title(page))).collect();
        app::print(&lines.concat())?;
        return Ok(ExitCode::SUCCESS);
    };
    // As it is printed.
    let code = ["error", "warning"]
        .iter()
        .find_map(|word| code.strip_prefix(word)?.strip_prefix('[')?.strip_suffix(']'))
        .unwrap_or(code);
    let Some((_, page)) = PAGES.iter().find(|(name, _)| *name == code) else {
        let near = PAGES
            .iter()
            .map(|(name, _)| (damerau_levenshtein(name, code), name))
            .min()
            .filter(|(distance, _)| *distance <= NEAR);
        let hint = match near {
            Some((_, name)) => format!("did you mean `{name}`?"),
            None => "`weft explain` lists all codes".to_owned(),
        };
        return Err(usage(format!("there is no error code `{code}`\nhint: {hint}")));
    };
    app::print(page)?;
    Ok(ExitCode::SUCCESS)
}

/// The first sentence below the heading.
fn title(page: &str) -> &str {
    let line = page.lines().skip(1).find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.split_inclusive(". ").next().unwrap_or(line).trim()
}
