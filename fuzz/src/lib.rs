//! What must hold for any bytes that come from outside: one function for each kind of them.
//!
//! Owns: the targets, the corpus that is kept (`corpus/TARGET`), and the inputs that once broke something
//! (`regressions/TARGET`). The tests of this crate put both through the targets, so no target and no mended mistake can rot.
//! Never does: making inputs. That is libFuzzer's, in the program that `cargo xtask fuzz` builds of `main.rs`.
//!
//! A target is a file in `src/targets` with a function `run`. It panics where something does not hold, and answers none where
//! an input is of no use, so that it is not kept. What it tests is best taken from the crate that owns it; the parts of two
//! crates that would bring wasmtime along, and many minutes of building, are taken in as files (`worker`, `host`).

mod catalogue;
mod play;
mod world;

#[path = "../../engine/host/src"]
#[allow(dead_code, missing_docs, reason = "the host uses all of it")]
mod host {
    pub mod descriptor;
    pub mod grants;
}

#[path = "../../engine/cli/src/ui"]
#[allow(dead_code, missing_docs, reason = "the binary uses all of it")]
mod ui {
    pub mod printable;
}

#[path = "../../engine/worker/src"]
#[allow(dead_code, missing_docs, reason = "the worker uses all of it")]
mod worker {
    pub mod protocol;
    pub mod render;
    pub mod schema;
}

// Where the modules above look for each other.
use host::grants::{GrantError, Grants};
use worker::schema;

/// What must hold for some kind of input.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its file, and of its folders of inputs.
    pub name: &'static str,
    /// Panics where something does not hold; none where the input is of no use.
    pub run: fn(&[u8]) -> Option<()>,
}

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// Declares the targets, and for each a test that puts its kept inputs through it.
macro_rules! targets {
    ($($name:ident),+ $(,)?) => {
        mod targets {
            $(pub mod $name;)+
        }

        /// All targets, in the order in which they are run.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: targets::$name::run }),+];

        #[cfg(test)]
        mod kept_inputs_hold {
            $(#[test]
            fn $name() {
                crate::replay::replay(stringify!($name), crate::targets::$name::run);
            })+
        }
    };
}

targets!(
    flow, agreement, expression, ion, protocol, terminal, descriptor, files, config, journal, s3, mongodb
);

/// Text, or an input of no use.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A folder for files of this thread, which goes with it; what a process leaves that ends otherwise is in the temporary
/// directory that `cargo xtask fuzz` gives it.
fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("weft-fuzz-").tempdir().expect("a temporary directory can be made")
}

#[cfg(test)]
mod replay {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::TARGETS;

    /// The kept inputs of a target. Others than files have no place there.
    fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort_unstable();
        files
    }

    pub fn replay(target: &str, run: fn(&[u8]) -> Option<()>) {
        let corpus = inputs("corpus", target);
        assert!(!corpus.is_empty(), "no corpus is kept: run `cargo xtask fuzz {target} --minimize`");
        let mut useful = 0;
        for file in corpus.iter().chain(&inputs("regressions", target)) {
            // The last line before a panic says which input it was.
            let input = fs::read(file).unwrap();
            eprintln!("{}", file.display());
            useful += usize::from(run(&input).is_some());
        }
        assert!(useful > 0, "no input is of use: the target does nothing");
    }

    #[test]
    fn inputs_belong_to_targets() {
        for folder in ["corpus", "regressions"] {
            let Ok(entries) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else {
                continue;
            };
            for entry in entries {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(super::find(&name).is_some(), "there is no target `{name}`, but `{folder}/{name}`");
            }
        }
    }

    #[test]
    fn every_file_of_a_target_is_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/targets");
        let mut files: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        files.sort_unstable();
        names.sort_unstable();
        assert_eq!(files, names);
    }
}
