//! Generates the SDK's Rust bindings, `sdk/rust/src/bindings.rs`, from the plugin contract `wit/weft-plugin.wit`.
//!
//! The result is checked in, so that a plugin builds in a second instead of compiling the generator first. This is a
//! crate apart from `xtask` for the same reason: the generator takes half a minute to compile, and only
//! `cargo xtask codegen` and `cargo xtask test` need it. It never touches anything but that one file, and with
//! `--check` nothing at all.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use wit_bindgen_core::{Files, WorldGenerator as _, wit_parser::Resolve};

/// The world that the SDK implements: tasks and triggers in one component.
const WORLD: &str = "plugin";

/// Written above the generated code. The lints are about style, which generated code does not have.
const HEADER: &str = "\
// Generated from `wit/weft-plugin.wit` by `cargo xtask codegen`: change that file, not this one.
#![allow(missing_docs, unused_qualifications, clippy::all, clippy::unwrap_used, reason = \"generated code\")]
";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => bail!("expected no argument or `--check`, got `{}`", arguments.join(" ")),
    };

    let root = workspace_root()?;
    let target = root.join("sdk/rust/src/bindings.rs");
    let fresh = format(&root, &generate(&root.join("wit"))?)?;
    let present = fs::read_to_string(&target).unwrap_or_default();
    if fresh == present {
        return Ok(());
    }
    if check {
        bail!(
            "{} is stale: {}\nhint: run `cargo xtask codegen`",
            target.display(),
            difference(&present, &fresh)
        );
    }
    fs::write(&target, &fresh).with_context(|| format!("cannot write {}", target.display()))
}

fn workspace_root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_owned)
        .context("expected this crate at `xtask/codegen` of the workspace")
}

/// The bindings of [`WORLD`] from the WIT package in `wit`, as the generator lays them out.
fn generate(wit: &Path) -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let options = wit_bindgen_rust::Opts {
        generate_all: true,
        // Plugins are other crates: the macro that makes the component's exports must be visible there, and must find
        // the bindings by itself.
        pub_export_macro: true,
        default_bindings_module: Some("$crate::bindings".to_owned()),
        runtime_path: Some("::wit_bindgen::rt".to_owned()),
        ..Default::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let mut files = files.iter();
    let (Some((_, source)), None) = (files.next(), files.next()) else {
        bail!("expected the generator to make exactly one file");
    };
    Ok(format!("{HEADER}{}", str::from_utf8(source)?))
}

/// `source` as `cargo fmt` would have it, so that generated and formatted code are the same thing.
fn format(root: &Path, source: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `rustfmt`\nhint: rustup component add rustfmt")?;
    let mut stdin = rustfmt.stdin.take().context("rustfmt has no stdin")?;
    // rustfmt reads everything before it writes, so writing first cannot block on a full pipe.
    stdin.write_all(source.as_bytes())?;
    drop(stdin);
    let output = rustfmt.wait_with_output()?;
    if !output.status.success() {
        bail!("rustfmt refused the generated bindings ({})", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Where two texts part, for a reader who wonders which change of the contract was forgotten.
fn difference(present: &str, fresh: &str) -> String {
    let same = present.lines().zip(fresh.lines()).take_while(|(a, b)| a == b).count();
    let line =
        |text: &str| text.lines().nth(same).map_or("(end of file)".to_owned(), |line| line.trim().to_owned());
    format!("line {} is `{}`, expected `{}`", same + 1, line(present), line(fresh))
}
