//! Names of files and folders in a working directory.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::{Result, StorageError};

/// The path of what is named `name` below `root`, which must exist. `name` is relative, with `/`; `.` is `root` itself.
///
/// Refused are absolute names, names with `..`, and names that lead through a symbolic link to somewhere outside.
/// Nothing needs to exist at the path, and nothing is made.
pub fn resolve(root: &Path, name: &str) -> Result<PathBuf> {
    let parts = parts(name)?;
    let root = fs::canonicalize(root).map_err(|error| StorageError::io("open", root, error))?;
    let mut path = root.clone();
    for (index, part) in parts.iter().enumerate() {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => path = follow(&root, &path, name)?,
            Ok(metadata) if index + 1 < parts.len() && !metadata.is_dir() => {
                return Err(not_a_directory(name, &path));
            }
            Ok(_) => {}
            // Nothing below can be a symbolic link.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                path.extend(&parts[index + 1..]);
                return Ok(path);
            }
            // A link led to a file.
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                path.pop();
                return Err(not_a_directory(name, &path));
            }
            Err(error) => return Err(StorageError::io("open", &path, error)),
        }
    }
    Ok(path)
}

/// The path of the file `name` below `root`, to be written: like [`resolve`], and makes the folders that are missing
/// above the file. A name of a directory is refused.
pub fn prepare(root: &Path, name: &str) -> Result<PathBuf> {
    let path = resolve(root, name)?;
    if name.ends_with('/') || path.is_dir() {
        let reason = "it names a directory, not a file".to_owned();
        return Err(StorageError::InvalidName { name: name.to_owned(), reason });
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|error| StorageError::io("create the directory", folder, error))?;
    }
    Ok(path)
}

/// The parts of a relative name.
fn parts(name: &str) -> Result<Vec<&std::ffi::OsStr>> {
    let escape = |reason: &str| StorageError::Escape { name: name.to_owned(), reason: reason.to_owned() };
    if name.is_empty() || name.contains('\0') {
        let reason = "it is empty or contains a NUL character".to_owned();
        return Err(StorageError::InvalidName { name: name.to_owned(), reason });
    }
    let mut parts = Vec::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(escape("`..` is not allowed")),
            Component::RootDir | Component::Prefix(_) => return Err(escape("it must be relative")),
        }
    }
    Ok(parts)
}

fn not_a_directory(name: &str, path: &Path) -> StorageError {
    let reason = format!("`{}` is a file, not a directory", path.display());
    StorageError::InvalidName { name: name.to_owned(), reason }
}

/// Where the symbolic link `link` leads, if that exists and is inside of `root`.
fn follow(root: &Path, link: &Path, name: &str) -> Result<PathBuf> {
    let reason = match fs::canonicalize(link) {
        Ok(target) if target.starts_with(root) => return Ok(target),
        Ok(target) => format!("`{}` is a symbolic link to `{}`", link.display(), target.display()),
        Err(_) => format!("`{}` is a symbolic link that leads nowhere", link.display()),
    };
    Err(StorageError::Escape { name: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir_all(dir.path().join("outside")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        fs::write(dir.path().join("outside/secret"), "").unwrap();
        symlink("../outside", root.join("out")).unwrap();
        symlink("../outside/secret", root.join("out_file")).unwrap();
        symlink("../outside/absent", root.join("dangling")).unwrap();
        symlink("sub", root.join("in")).unwrap();
        symlink("file", root.join("in_file")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let root = fs::canonicalize(root).unwrap();
        (dir, root)
    }

    #[test]
    fn names_inside_are_resolved() {
        let (_dir, root) = directory();
        for (name, expected) in [
            ("a.txt", "a.txt"),
            ("a/b/c.txt", "a/b/c.txt"),
            ("./a//b.txt", "a/b.txt"),
            ("file", "file"),
            ("in/x", "sub/x"),
            ("in_file", "file"),
            (".hidden", ".hidden"),
            ("...", "..."),
            ("sub/", "sub"),
            (".", ""),
        ] {
            assert_eq!(resolve(&root, name).unwrap(), root.join(expected), "{name}");
        }
        assert!(!root.join("a").exists());
        fs::write(prepare(&root, "a/b/c.txt").unwrap(), "x").unwrap();
        assert_eq!(fs::read(root.join("a/b/c.txt")).unwrap(), b"x");
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        let (_dir, root) = directory();
        for (name, code, reason) in [
            ("/etc/passwd", "files.escape", "relative"),
            ("../x", "files.escape", "`..`"),
            ("a/../../x", "files.escape", "`..`"),
            ("a/..", "files.escape", "`..`"),
            ("out/x", "files.escape", "outside"),
            ("out/secret", "files.escape", "outside"),
            ("out_file", "files.escape", "outside/secret"),
            ("dangling", "files.escape", "nowhere"),
            ("loop/x", "files.escape", "nowhere"),
            ("", "files.invalid-name", "empty"),
            ("file/x", "files.invalid-name", "is a file"),
            ("in_file/x", "files.invalid-name", "is a file"),
            ("a\0b", "files.invalid-name", "NUL"),
        ] {
            let error = resolve(&root, name).unwrap_err();
            assert_eq!(error.code(), code, "{name}: {error}");
            assert!(error.to_string().contains(reason), "{name}: {error}");
        }
    }

    #[test]
    fn directories_are_not_written_to() {
        let (_dir, root) = directory();
        for name in [".", "sub", "in", "new/"] {
            let error = prepare(&root, name).unwrap_err();
            assert_eq!(error.code(), "files.invalid-name", "{name}: {error}");
            assert!(error.to_string().contains("names a directory"), "{name}: {error}");
        }
        assert!(!root.join("new").exists());
    }
}
