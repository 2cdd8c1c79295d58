//! The corpus that is checked in: few inputs that cover what all of them cover.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::build::Driver;
use super::{Target, files, remove};
use crate::exec::{self, say};

/// Bytes that the kept inputs of a target have at most.
const MAX_BYTES: u64 = 200_000;

/// Replaces the kept inputs by those that are needed of them, of what runs have found, and of what the sources have.
pub fn minimize(driver: &Driver, target: &Target) -> Result<()> {
    target.prepare()?;
    let merged = target.work.join("merged");
    remove(&merged)?;
    fs::create_dir_all(&merged).with_context(|| format!("cannot make `{}`", merged.display()))?;
    let mut merge = driver.command(&target.name, &target.scratch());
    // Edges alone, not how often they are taken: else thousands of inputs matter.
    merge
        .args(["-merge=1", "-use_counters=0", "-verbosity=0", "-timeout=10", "-rss_limit_mb=2048"])
        .arg(&merged);
    merge.args([&target.kept, &target.seeds(), &target.found()].into_iter().filter(|folder| folder.is_dir()));
    exec::run(&mut merge)?;

    let mut sized: Vec<(u64, PathBuf)> = Vec::new();
    for file in files(&merged)? {
        let size = fs::metadata(&file).with_context(|| format!("cannot read `{}`", file.display()))?.len();
        sized.push((size, file));
    }
    let all = sized.len();
    // The smallest ones cover most for what they take.
    sized.sort_unstable();
    let mut left = MAX_BYTES;
    sized.retain(|(size, _)| match left.checked_sub(*size) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });

    if target.kept.exists() {
        fs::remove_dir_all(&target.kept)
            .with_context(|| format!("cannot remove `{}`", target.kept.display()))?;
    }
    fs::create_dir_all(&target.kept).with_context(|| format!("cannot make `{}`", target.kept.display()))?;
    for (_, file) in &sized {
        let Some(name) = file.file_name() else { continue };
        let to = target.kept.join(name);
        fs::copy(file, &to).with_context(|| format!("cannot write `{}`", to.display()))?;
    }
    target.tidy()?;
    say(format!("{}: {} inputs of {all} with {} bytes are kept", target.name, sized.len(), MAX_BYTES - left));
    Ok(())
}
