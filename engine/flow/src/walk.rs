//! Finding tasks in a flow, however deep they stand.

use crate::{Flow, Flowable, Shape, Task, TaskKind};

impl Flow {
    /// The task with this id, wherever it stands.
    pub fn task(&self, id: &str) -> Option<&Task> {
        [&self.tasks, &self.errors, &self.finally, &self.after_execution]
            .into_iter()
            .find_map(|tasks| tasks.iter().find_map(|task| task.find(id)))
    }
}

impl Task {
    /// This task, or the one below it, with this id.
    fn find(&self, id: &str) -> Option<&Task> {
        if self.id == id {
            return Some(self);
        }
        match &self.kind {
            TaskKind::Run { .. } => None,
            TaskKind::Flowable(flowable) => flowable.children().into_iter().find_map(|task| task.find(id)),
        }
    }
}

impl Flowable {
    /// The tasks directly below, those of `errors` and `finally` too.
    pub fn children(&self) -> Vec<&Task> {
        let mut children: Vec<&Task> = match &self.shape {
            Shape::Sequential { tasks }
            | Shape::Parallel { tasks, .. }
            | Shape::ForEach { tasks, .. }
            | Shape::WorkingDirectory { tasks, .. }
            | Shape::AllowFailure { tasks } => tasks.iter().collect(),
            Shape::Dag { tasks, .. } => tasks.iter().map(|child| &child.task).collect(),
            Shape::If { then, otherwise, .. } => then.iter().chain(otherwise).collect(),
            Shape::Switch { cases, defaults, .. } => {
                cases.values().flatten().chain(defaults.iter().flatten()).collect()
            }
            Shape::LoopUntil(until) => until.tasks.iter().collect(),
            Shape::Pause(pause) => pause.tasks.iter().chain(pause.on_pause.as_deref()).collect(),
            Shape::Subflow(_) | Shape::ForEachItem(_) | Shape::Templated { .. } => Vec::new(),
        };
        children.extend(self.errors.iter().chain(&self.finally));
        children
    }
}
