//! Gives files that a container's user has made to the engine's user, who may not be root: he must read, collect and remove
//! them.

use std::os::unix::fs::MetadataExt;

use bollard::models::{Mount, MountType};
use weft_files::StorageError;
use weft_files::workdir::Directory;

use super::daemon::Daemon;
use super::{ContainerError, archive, helper};

/// Lets the users of containers into a working directory, which only the engine's user could enter so far. The directory
/// above becomes what keeps others of the machine out; a container does not see it.
///
/// The folders `inside` are found below the directory: a container that is in it already may have put something else there.
pub(super) fn share(directory: &Directory, inside: &[String]) -> Result<(), StorageError> {
    if let Some(above) = directory.path().parent() {
        Directory::open(above)?.set_mode(0o700)?;
    }
    directory.set_mode(0o777)?;
    for name in inside {
        directory.open_directory(name)?.set_mode(0o777)?;
    }
    Ok(())
}

/// Gives what belongs to others to the engine's user. Root needs nothing of the kind.
pub(super) async fn reclaim(
    daemon: &Daemon,
    image: &str,
    directory: &Directory,
) -> Result<(), ContainerError> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if user.is_root() || !has_foreign(directory, user.as_raw()) {
        return Ok(());
    }
    let path = directory.path().to_string_lossy().into_owned();
    let mount = Mount {
        source: Some(path.clone()),
        target: Some(path.clone()),
        typ: Some(MountType::BIND),
        ..Mount::default()
    };
    let owner = format!("{}:{}", user.as_raw(), group.as_raw());
    let changed = helper::run(daemon, image, &["chown", "-R", "-h", &owner, &path], mount.clone()).await;
    match changed {
        Ok(_) => Ok(()),
        // An image without `chown`: the daemon itself writes the files again, with another owner.
        Err(_) => {
            archive::rewrite_owner(daemon, image, directory.path(), mount, (user.as_raw(), group.as_raw()))
                .await
        }
    }
}

/// Whether anything in a directory belongs to somebody else, or cannot be looked into.
fn has_foreign(directory: &Directory, user: u32) -> bool {
    let mut found = false;
    let walked = directory.walk(".", &mut |entry| {
        found |= entry.metadata().map_or(true, |metadata| metadata.uid() != user);
        Ok(())
    });
    found || walked.is_err()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    #[test]
    fn only_what_is_inside_is_opened_to_others() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("work");
        let (output, outside) = (directory.join(".weft/output"), home.path().join("outside"));
        fs::create_dir_all(&output).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o700)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (open, name) = (Directory::open(&directory).unwrap(), ".weft/output".to_owned());
        share(&open, std::slice::from_ref(&name)).unwrap();
        assert_eq!((mode(home.path()), mode(&directory), mode(&output)), (0o700, 0o777, 0o777));

        fs::remove_dir(&output).unwrap();
        symlink(&outside, &output).unwrap();
        assert_eq!(share(&open, &[name]).unwrap_err().code(), "files.escape");
        assert_eq!(mode(&outside), 0o700);
    }

    #[test]
    fn what_belongs_to_others_is_found_without_leaving_the_directory() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("a/b")).unwrap();
        fs::write(home.path().join("a/b/c"), "").unwrap();
        symlink("/", home.path().join("root")).unwrap();
        let user = fs::metadata(home.path()).unwrap().uid();
        let directory = Directory::open(home.path()).unwrap();
        assert!(!has_foreign(&directory, user));
        assert!(has_foreign(&directory, user + 1));
    }
}
