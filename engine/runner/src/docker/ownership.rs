//! Gives files that a container's user has made to the engine's user, who may not be root: he must read, collect and remove
//! them.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bollard::models::{Mount, MountType};

use super::daemon::Daemon;
use super::{ContainerError, archive, helper};

/// Lets the users of containers into a working directory, which only the engine's user could enter so far. The directory
/// above becomes what keeps others of the machine out; a container does not see it.
pub(super) fn share(directory: &Path, inside: &[PathBuf]) -> std::io::Result<()> {
    if let Some(above) = directory.parent() {
        std::fs::set_permissions(above, std::fs::Permissions::from_mode(0o700))?;
    }
    for directory in std::iter::once(directory).chain(inside.iter().map(PathBuf::as_path)) {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777))?;
    }
    Ok(())
}

/// Gives what belongs to others to the engine's user. Root needs nothing of the kind.
pub(super) async fn reclaim(daemon: &Daemon, image: &str, directory: &Path) -> Result<(), ContainerError> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if user.is_root() || !has_foreign(directory, user.as_raw()) {
        return Ok(());
    }
    let path = directory.to_string_lossy().into_owned();
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
            archive::rewrite_owner(daemon, image, directory, mount, (user.as_raw(), group.as_raw())).await
        }
    }
}

/// Whether anything in a directory belongs to somebody else, or cannot be looked into.
fn has_foreign(directory: &Path, user: u32) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else { return true };
    entries.flatten().any(|entry| match entry.metadata() {
        Ok(metadata) => metadata.uid() != user || metadata.is_dir() && has_foreign(&entry.path(), user),
        Err(_) => true,
    })
}
