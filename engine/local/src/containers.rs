//! Whose containers are whose: several engines and several users share one daemon.

use std::path::Path;
use std::sync::Arc;

use weft_files::private;
use weft_runner::{Docker, DockerSettings};
use weft_state::Owner;

use crate::Layout;

/// The settings of this engine's containers, made when the first one is wanted.
pub(crate) fn settings(
    settings: DockerSettings,
    layout: Layout,
) -> Arc<dyn Fn() -> DockerSettings + Send + Sync> {
    Arc::new(move || DockerSettings {
        engine: engine_id(&layout.engine_id()),
        owner: serde_json::to_string(&Owner::current()).unwrap_or_default(),
        marks: Some(layout.containers()),
        ..settings.clone()
    })
}

/// The id of the engine of a data directory, made with its first container. Not the directory's path: another machine may
/// have the same and share the daemon.
fn engine_id(file: &Path) -> String {
    let read =
        || std::fs::read_to_string(file).ok().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    if let Some(id) = read() {
        return id;
    }
    let id = weft_model::new_id();
    // Several processes may begin at once: whoever links the file first has named the engine.
    let mine = file.with_extension(&id);
    let made = private::write(&mine, &id).and_then(|()| std::fs::hard_link(&mine, file));
    let _ = std::fs::remove_file(&mine);
    match made {
        Ok(()) => id,
        // Without an id that lasts (full disk), containers of a killed engine are not found again, which is said nowhere
        // but here: the run itself is fine.
        Err(_) => read().unwrap_or(id),
    }
}

/// Removes the containers of engines that were killed. Nothing is asked of any daemon if there were none.
pub(crate) fn clean_up(layout: &Layout) {
    let is_dead = |owner: &str| serde_json::from_str::<Owner>(owner).is_ok_and(|owner| !owner.is_alive());
    if !Docker::may_have_orphans(&layout.containers(), &is_dead) {
        return;
    }
    let engine = engine_id(&layout.engine_id());
    // A runtime of its own: this runs on a thread of its own, and with commands that need no runtime.
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
        runtime.block_on(Docker::remove_orphans(&layout.containers(), &engine, &is_dead));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_keeps_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/engine-id");
        let id = engine_id(&file);
        assert_eq!(engine_id(&file), id);
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
