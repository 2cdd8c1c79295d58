//! Builds the guest crates for `wasm32-wasip2` and writes `plugins.rs`, the table that `src/lib.rs` includes.
//!
//! The guests are members of this workspace, but belong to another target and profile, so they are built by a cargo of
//! their own with a target directory of its own: cargo locks a target directory for the whole of a build, and the outer
//! build is still running.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// The bundle: `plugins/NAME` is package `weft-plugin-NAME`.
const PLUGINS: [&str; 6] = ["aws", "core", "git", "http", "mongodb", "script"];

const TARGET: &str = "wasm32-wasip2";

/// Variables of the outer cargo, and of whoever started it, that the inner one may see. Every other `CARGO_*` says how
/// to build for the host (flags, profiles, target directory).
const KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
];

/// The same for variables not named `CARGO_*`. `RUSTC_WORKSPACE_WRAPPER` is how `cargo clippy` gets between.
const CLEARED: [&str; 4] = ["CLIPPY_ARGS", "RUSTC_WORKSPACE_WRAPPER", "RUSTDOCFLAGS", "RUSTFLAGS"];

fn main() {
    if let Err(error) = run() {
        // One line each: the directive ends at the end of the line.
        for line in format!("{error:#}").lines() {
            println!("cargo::error={line}");
        }
    }
}

fn run() -> Result<()> {
    println!("cargo::rerun-if-env-changed=WEFT_BUNDLE_DIR");
    let directory = match env::var_os("WEFT_BUNDLE_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => build()?,
    };
    write_table(&directory)
}

/// Builds every guest; returns the directory of the `.wasm` files.
fn build() -> Result<PathBuf> {
    let root = Path::new(&required("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    for input in ["Cargo.lock", "Cargo.toml", "plugins", "sdk", "wit"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    require_target()?;

    let target_dir = root.join("target/plugins");
    let mut cargo = Command::new(required("CARGO")?);
    cargo.current_dir(&root).args(["build", "--locked", "--profile", "plugin", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target_dir);
    for name in PLUGINS {
        cargo.args(["--package", &format!("weft-plugin-{name}")]);
    }
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let of_host = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
        if of_host || CLEARED.contains(&&*name) {
            cargo.env_remove(&*name);
        }
    }
    let status = cargo.status().context("cannot run cargo for the guest crates")?;
    if !status.success() {
        bail!(
            "the guest crates under `plugins/` do not build for {TARGET} ({status}); the messages are above"
        );
    }
    Ok(target_dir.join(TARGET).join("plugin"))
}

/// An error that says what to do, instead of rustc's "can't find crate for `core`".
fn require_target() -> Result<()> {
    let output =
        Command::new(required("RUSTC")?).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let installed = fs::read_dir(&libraries)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_std(&entry.path()))));
    if !installed {
        bail!("the target {TARGET} of the Rust compiler is not installed\nhint: cargo xtask setup");
    }
    // Cargo does not notice when the standard library of a target is replaced.
    println!("cargo::rerun-if-changed={}", libraries.display());
    Ok(())
}

fn is_std(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libstd-") && name.ends_with(".rlib")
}

/// Copies the components from `directory`, so that the crate stays whole when that is cleaned, and writes the table.
fn write_table(directory: &Path) -> Result<()> {
    let out = PathBuf::from(required("OUT_DIR")?);
    let mut table = format!("static PLUGINS: [Bundled; {}] = [\n", PLUGINS.len());
    for name in PLUGINS {
        let file = format!("weft_plugin_{name}.wasm");
        let source = directory.join(&file);
        if env::var_os("WEFT_BUNDLE_DIR").is_some() {
            println!("cargo::rerun-if-changed={}", source.display());
        }
        let wasm =
            fs::read(&source).with_context(|| format!("cannot read the plugin {}", source.display()))?;
        fs::write(out.join(&file), &wasm)?;
        let descriptor = describe(&out, name)?;
        let sha256: String = Sha256::digest(&wasm).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(
            table,
            "    Bundled {{ name: {name:?}, wasm: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{file}\")), sha256: {sha256:?}, descriptor: {descriptor} }},"
        )?;
    }
    table.push_str("];\n");
    fs::write(out.join("plugins.rs"), table)?;
    Ok(())
}

/// Writes what a plugin says about itself, as the plugin's own tests keep it, and gives the expression that includes it.
fn describe(out: &Path, name: &str) -> Result<String> {
    if env::var_os("WEFT_BUNDLE_DIR").is_some() {
        return Ok("None".to_owned());
    }
    let packed = Path::new(&required("CARGO_MANIFEST_DIR")?)
        .join("../../plugins")
        .join(name)
        .join("descriptor.packed");
    let packed = fs::read_to_string(&packed).with_context(|| format!("cannot read {}", packed.display()))?;
    let file = format!("{name}.json");
    fs::write(out.join(&file), weft_sdk::internal::unpack(&packed))?;
    Ok(format!("Some(include_str!(concat!(env!(\"OUT_DIR\"), \"/{file}\")))"))
}

/// A variable that cargo sets for build scripts.
fn required(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("cargo sets no `{name}`"))
}
