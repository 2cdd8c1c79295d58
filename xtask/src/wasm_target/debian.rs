//! The standard library for `wasm32-wasip2`, built from Debian's packages `rust-src` and `wasi-libc`.
//!
//! The packages come from the machine's own Debian mirror, checked against Debian's archive keys, with package lists
//! and caches of our own: the machine's apt configuration is read and never changed. Everything happens in one temporary
//! folder under the cache directory; only the finished library is moved into the compiler's tree.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{TARGET, Toolchain, remove};
use crate::exec::{self, capture, joined, run, say};

/// Where Debian keeps versions of rustc that are newer than its release.
const SUITE: &str = "trixie-backports";

/// The keys of Debian's archive, under its older and its newer name.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Builds the library and puts it into the compiler's tree.
pub fn install(toolchain: &Toolchain) -> Result<()> {
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        if exec::find(tool).is_none() {
            bail!("`{tool}` is not installed: this is no Debian machine");
        }
    }
    let cache = exec::cache_dir()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let folder = tempfile::Builder::new().prefix("wasm32-wasip2-").tempdir_in(&cache)?;
    let packages = download(toolchain, folder.path())?;
    let built = build(toolchain, folder.path(), &packages)?;
    move_into(toolchain, &built, &packages.join("usr/lib").join(TARGET))
}

/// Downloads and unpacks both packages; returns the root of the unpacked tree.
fn download(toolchain: &Toolchain, folder: &Path) -> Result<PathBuf> {
    let keyring = KEYRINGS.into_iter().find(|path| Path::new(path).exists()).with_context(|| {
        format!("expected Debian's keys in {}\nhint: apt-get install debian-archive-keyring", KEYRINGS[0])
    })?;
    let apt = Apt::new(folder)?;
    let mut offered = BTreeSet::new();
    for mirror in apt.mirrors()? {
        say(format!(
            "{TARGET}: looking for the sources of rustc {} in {SUITE} at {mirror}",
            toolchain.release
        ));
        fs::write(&apt.sources, format!("deb [signed-by={keyring}] {mirror} {SUITE} main\n"))?;
        if let Err(error) = capture(apt.get().args(["-o", "APT::Update::Error-Mode=any", "update"])) {
            say(format!("{TARGET}: {error:#}"));
            continue;
        }
        let versions = apt.versions("rust-src")?;
        let Some(version) =
            versions.iter().find(|version| version.starts_with(&format!("{}+", toolchain.release)))
        else {
            offered.extend(versions);
            continue;
        };
        let packages = folder.join("packages");
        fs::create_dir(&packages)?;
        run(apt.get().current_dir(&packages).args([
            "download",
            &format!("rust-src={version}"),
            "wasi-libc",
        ]))?;
        return unpack(&packages);
    }
    let offered: Vec<_> = offered.into_iter().collect();
    bail!(
        "no mirror that apt knows has `rust-src` {} in {SUITE} (found: {})",
        toolchain.release,
        if offered.is_empty() { "none".to_owned() } else { offered.join(", ") }
    )
}

fn unpack(packages: &Path) -> Result<PathBuf> {
    let tree = packages.join("tree");
    for entry in fs::read_dir(packages)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("--extract").arg(path).arg(&tree))?;
        }
    }
    Ok(tree)
}

/// Compiles the library in an empty crate; returns the directory of its `.rlib`s.
fn build(toolchain: &Toolchain, folder: &Path, packages: &Path) -> Result<PathBuf> {
    let sources = packages.join(format!("usr/src/rustc-{}/library", toolchain.release));
    let _link = SourceLink::new(&toolchain.sysroot.join("lib/rustlib/src/rust/library"), &sources)?;

    let seed = folder.join("seed");
    fs::create_dir_all(seed.join("src"))?;
    fs::write(seed.join("src/lib.rs"), "")?;
    fs::write(
        seed.join("Cargo.toml"),
        "[package]\nname = \"seed\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
    )?;
    // Without embedded bitcode, `lto` in a plugin fails. The C library becomes part of the `libc` crate's `.rlib`.
    let mut flags = joined("-Cembed-bitcode=yes -Lnative=", &packages.join("usr/lib").join(TARGET));
    flags.push(" -Awarnings");
    run(exec::cargo()
        .current_dir(&seed)
        .args([
            "build",
            "--quiet",
            "--release",
            "-Zbuild-std=std,panic_abort",
            "--target",
            TARGET,
            "--target-dir",
            "out",
        ])
        // `-Z` is for nightly compilers; the standard library is allowed it, and this is the standard library.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", flags))?;
    Ok(seed.join("out").join(TARGET).join("release/deps"))
}

/// Makes `TARGET` of the compiler's tree from the `.rlib`s in `built` and the C library in `libc`, in one step.
fn move_into(toolchain: &Toolchain, built: &Path, libc: &Path) -> Result<()> {
    let target = toolchain.target_dir();
    let partial = target.with_extension("partial");
    remove(&partial)?;
    let libraries = partial.join("lib");
    fs::create_dir_all(libraries.join("self-contained")).with_context(|| unwritable(&toolchain.sysroot))?;
    copy(built, &libraries, |name| name.ends_with(".rlib") && !name.starts_with("libseed-"))?;
    copy(libc, &libraries.join("self-contained"), |name| name.ends_with(".o") || name.ends_with(".a"))?;
    remove(&target)?;
    fs::rename(&partial, &target).with_context(|| unwritable(&toolchain.sysroot))
}

fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if wanted(&entry.file_name().to_string_lossy()) {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn unwritable(sysroot: &Path) -> String {
    format!("cannot write below {}\nhint: run this as the owner of the Rust compiler", sysroot.display())
}

/// apt with lists, cache and sources of its own.
struct Apt {
    sources: PathBuf,
    lists: PathBuf,
    cache: PathBuf,
}

impl Apt {
    fn new(folder: &Path) -> Result<Apt> {
        let apt = Apt {
            sources: folder.join("sources.list"),
            lists: folder.join("apt-lists"),
            cache: folder.join("apt-cache"),
        };
        fs::create_dir_all(apt.lists.join("partial"))?;
        fs::create_dir_all(apt.cache.join("archives/partial"))?;
        Ok(apt)
    }

    /// `apt-get` that sees our one source.
    fn get(&self) -> Command {
        self.own("apt-get", true)
    }

    fn own(&self, tool: &str, sources: bool) -> Command {
        let mut command = Command::new(tool);
        command.arg("-o").arg(joined("Dir::State::Lists=", &self.lists));
        command.arg("-o").arg(joined("Dir::Cache=", &self.cache));
        // apt as root downloads as another user, who cannot reach a cache in a home directory. Signatures are checked
        // all the same.
        command.args(["-o", "APT::Sandbox::User=root", "-q"]);
        if sources {
            command.arg("-o").arg(joined("Dir::Etc::SourceList=", &self.sources));
            command.args(["-o", "Dir::Etc::SourceParts=/dev/null"]);
        }
        command
    }

    /// The addresses of the archives that the machine is configured for, from what `update` would fetch: lines such as
    /// `'http://mirror/debian/dists/bookworm/InRelease' NAME 0`. Works where the machine's lists were never fetched.
    fn mirrors(&self) -> Result<Vec<String>> {
        let uris = capture(self.own("apt-get", false).args(["update", "--print-uris"]))?;
        let mirrors = mirrors_in(&uris);
        if mirrors.is_empty() {
            bail!("apt is not configured with an archive to download from");
        }
        Ok(mirrors)
    }

    /// The versions of `package` in the lists, newest first: lines such as ` rust-src | 1.95.0+dfsg1-2 | ADDRESS ...`.
    fn versions(&self, package: &str) -> Result<Vec<String>> {
        let table = capture(self.own("apt-cache", true).args(["madison", package]))?;
        Ok(table
            .lines()
            .filter_map(|line| line.split('|').nth(1))
            .map(|version| version.trim().to_owned())
            .collect())
    }
}

fn mirrors_in(uris: &str) -> Vec<String> {
    let mut mirrors = Vec::new();
    for line in uris.lines() {
        let Some((mirror, _)) = line.trim_start_matches('\'').split_once("/dists/") else { continue };
        // Security updates are another archive, without backports.
        if mirror.starts_with("http")
            && !mirror.contains("security")
            && !mirrors.iter().any(|known| known == mirror)
        {
            mirrors.push(mirror.to_owned());
        }
    }
    mirrors
}

/// The sources where cargo looks for them; removed in the end, as they are not part of the installed compiler.
struct SourceLink(Option<PathBuf>);

impl SourceLink {
    /// Leaves sources that are there (rustup's component `rust-src`) as they are.
    fn new(place: &Path, sources: &Path) -> Result<SourceLink> {
        if place.exists() {
            return Ok(SourceLink(None));
        }
        let made = || -> Result<()> {
            fs::create_dir_all(place.parent().context("expected a folder in the compiler's tree")?)?;
            // One that points to nowhere is left from a run that was killed.
            let _ = fs::remove_file(place);
            symlink(sources, place)?;
            Ok(())
        };
        made().with_context(|| {
            format!("cannot create {}\nhint: run this as the owner of the Rust compiler", place.display())
        })?;
        Ok(SourceLink(Some(place.to_owned())))
    }
}

impl Drop for SourceLink {
    fn drop(&mut self) {
        // Best effort: a link that stays does no harm, the next run replaces it.
        if let Some(link) = &self.0 {
            let _ = fs::remove_file(link);
            // `src/rust` and `src`, if they are empty: a folder of somebody else's stays.
            for folder in link.ancestors().skip(1).take(2) {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_archives_once_each() {
        for (uris, expected) in [
            ("", &[][..]),
            (
                "'http://m/debian/dists/bookworm/InRelease' m_InRelease 0\n'http://m/debian/dists/bookworm-updates/InRelease' x 0",
                &["http://m/debian"],
            ),
            ("'http://m/debian-security/dists/bookworm-security/InRelease' x 0", &[]),
            (
                "'cdrom:[Debian]/dists/trixie/InRelease' x 0\n'https://n/dists/trixie/InRelease' x 0",
                &["https://n"],
            ),
        ] {
            assert_eq!(mirrors_in(uris), expected, "{uris}");
        }
    }
}
