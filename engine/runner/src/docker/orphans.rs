//! Containers of engines that were killed.

use std::collections::HashMap;
use std::path::Path;

use bollard::query_parameters::{KillContainerOptions, ListContainersOptionsBuilder};

use super::daemon::Daemon;
use super::marks::{self, Mark};
use super::{DETACHED_LABEL, Docker, ENGINE_LABEL, KEPT_LABEL, OWNER_LABEL, remains};

impl Docker {
    /// Whether engines that are gone may have left containers. It looks at a folder of marks, and asks no daemon.
    pub fn may_have_orphans(marks: &Path, is_dead: &dyn Fn(&str) -> bool) -> bool {
        !marks::of_the_dead(marks, is_dead).is_empty()
    }

    /// Removes the containers that engines which are gone have left behind; how many. `engine` and the owners are what the
    /// labels say. Those that their flow wanted to outlive the engine (`wait: false`) are left alone, and those that it
    /// wanted to keep (`delete: false`) are only ended. A daemon that cannot be reached is asked again by the next start.
    pub async fn remove_orphans(
        marks: &Path,
        engine: &str,
        is_dead: &(dyn Fn(&str) -> bool + Sync),
    ) -> usize {
        let mut removed = 0;
        for (file, mark) in marks::of_the_dead(marks, is_dead) {
            let mut clear = true;
            for address in &mark.daemons {
                match Daemon::connect(address.clone(), None).await {
                    Ok(daemon) => match clean(&daemon, engine, &mark).await {
                        Some(count) => removed += count,
                        None => clear = false,
                    },
                    Err(_) => clear = false,
                }
            }
            if clear {
                let _ = std::fs::remove_file(file);
            }
        }
        removed
    }
}

/// Removes what one dead process has left with one daemon; none where that did not fully succeed.
async fn clean(daemon: &Daemon, engine: &str, mark: &Mark) -> Option<usize> {
    let filters = HashMap::from([(
        "label".to_owned(),
        vec![format!("{ENGINE_LABEL}={engine}"), format!("{OWNER_LABEL}={}", mark.owner)],
    )]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let containers = daemon.api.list_containers(Some(options)).await.ok()?;
    let (mut removed, mut all) = (0, true);
    for container in containers {
        let labels = container.labels.unwrap_or_default();
        let Some(id) = container.id else { continue };
        if labels.contains_key(DETACHED_LABEL) {
            continue;
        }
        if labels.contains_key(KEPT_LABEL) {
            // One that has ended by itself cannot be killed, which is as good.
            let _ = daemon.api.kill_container(&id, None::<KillContainerOptions>).await;
        } else if remains::remove(daemon, &id, false).await {
            removed += 1;
        } else {
            all = false;
        }
    }
    all.then_some(removed)
}
