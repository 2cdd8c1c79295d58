//! The tasks of a flow, however deep they are.

use weft_model::Map;

use crate::{Flow, Flowable, Shape, Task, TaskKind};

impl Flow {
    /// Every task, those that flowables run included, each before what is in it.
    pub fn all_tasks(&self) -> Vec<&Task> {
        let lists = [&self.tasks, &self.errors, &self.finally, &self.after_execution];
        let mut found = Vec::new();
        let mut open: Vec<&Task> = lists.into_iter().flatten().rev().collect();
        while let Some(task) = open.pop() {
            found.push(task);
            if let TaskKind::Flowable(flowable) = &task.kind {
                let inner = flowable.inner();
                open.extend(inner.into_iter().rev());
            }
        }
        found
    }

    /// The same flow in which each flowable that `is_leaf` picks is a task with work of its own and without properties.
    #[must_use]
    pub fn with_leaves(&self, is_leaf: &dyn Fn(&Task) -> bool) -> Flow {
        let mut flow = self.clone();
        for list in [&mut flow.tasks, &mut flow.errors, &mut flow.finally, &mut flow.after_execution] {
            list.iter_mut().for_each(|task| make_leaf(task, is_leaf));
        }
        flow
    }
}

fn make_leaf(task: &mut Task, is_leaf: &dyn Fn(&Task) -> bool) {
    let replace = is_leaf(task);
    if let TaskKind::Flowable(flowable) = &mut task.kind {
        if replace {
            task.kind = TaskKind::Run { properties: Map::new() };
        } else {
            flowable.inner_mut().into_iter().for_each(|task| make_leaf(task, is_leaf));
        }
    }
}

/// The lists of tasks of a [`Flowable`], and tasks that stand alone: the same for `&` and for `&mut`.
macro_rules! inner {
    (@task $child:ident, iter) => { &$child.task };
    (@task $child:ident, iter_mut) => { &mut $child.task };
    (@unbox $task:ident, iter) => { &**$task };
    (@unbox $task:ident, iter_mut) => { &mut **$task };
    ($flowable:expr, $iter:ident) => {{
        let Flowable { shape, errors, finally } = $flowable;
        let mut inner: Vec<_> = Vec::new();
        match shape {
            Shape::Sequential { tasks }
            | Shape::Parallel { tasks, .. }
            | Shape::ForEach { tasks, .. }
            | Shape::WorkingDirectory { tasks, .. }
            | Shape::AllowFailure { tasks } => inner.extend(tasks.$iter()),
            Shape::Dag { tasks, .. } => inner.extend(tasks.$iter().map(|child| inner!(@task child, $iter))),
            Shape::If { then, otherwise, .. } => {
                inner.extend(then.$iter());
                inner.extend(otherwise.$iter());
            }
            Shape::Switch { cases, defaults, .. } => {
                for (_, tasks) in cases.$iter() {
                    inner.extend(tasks.$iter());
                }
                inner.extend(defaults.$iter().flat_map(|tasks| tasks.$iter()));
            }
            Shape::LoopUntil(until) => inner.extend(until.tasks.$iter()),
            Shape::Pause(pause) => {
                inner.extend(pause.on_pause.$iter().map(|task| inner!(@unbox task, $iter)));
                inner.extend(pause.tasks.$iter());
            }
            Shape::Subflow(_) | Shape::ForEachItem(_) | Shape::Templated { .. } => {}
        }
        inner.extend(errors.$iter());
        inner.extend(finally.$iter());
        inner
    }};
}

impl Flowable {
    /// Every task that it runs itself.
    fn inner(&self) -> Vec<&Task> {
        inner!(self, iter)
    }

    fn inner_mut(&mut self) -> Vec<&mut Task> {
        inner!(self, iter_mut)
    }
}
