//! Writes the table of error pages, `docs/errors/*.md`, that `weft explain` prints.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let pages = Path::new(&folder).join("../../docs/errors");
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut table = String::from("static PAGES: &[(&str, &str)] = &[\n");
    let mut names: Vec<String> = fs::read_dir(&pages)?
        .filter_map(|entry| {
            entry.ok()?.file_name().into_string().ok()?.strip_suffix(".md").map(str::to_owned)
        })
        .filter(|name| name != "README")
        .collect();
    names.sort();
    for name in names {
        let path = pages.join(format!("{name}.md")).canonicalize()?;
        table.push_str(&format!("    ({name:?}, include_str!({:?})),\n", path.display().to_string()));
    }
    table.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("pages.rs"), table)
}
