//! All tasks of a flow with their places in its structure: enough to say which ids exist, which are there twice, and
//! whether one task can have run before another.

use std::cell::Cell;
use std::collections::HashSet;

use indexmap::IndexMap;

use crate::{Span, TypeInfo};

/// Edges of Dags that are followed in one flow. Whether one task waits for another through others costs as many edges as
/// there are between them, and each reference asks: a Dag of a thousand tasks in a row, each of which reads all before it,
/// takes half of this.
const EDGES: usize = 1_000_000;

/// A task in an [`Outline`].
pub(crate) type TaskIndex = usize;

/// A list of tasks in an [`Outline`].
pub(crate) type GroupIndex = usize;

/// How the tasks of a list run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Sequential,
    Parallel,
    Dag,
}

/// When a list of tasks runs, seen from the task (or flow) that it belongs to. Lists of one stage exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// `onPause`.
    Before,
    /// `tasks`, `then`, `else`, `cases`, `defaults`.
    Main,
    Errors,
    Finally,
    /// Where a flow's `outputs` are rendered.
    Outputs,
    AfterExecution,
}

/// A list of tasks.
#[derive(Debug)]
struct Group {
    owner: Option<TaskIndex>,
    stage: Stage,
    order: Order,
    size: usize,
}

/// A task.
#[derive(Debug)]
pub(crate) struct OutlineTask<'a> {
    pub(crate) id: String,
    pub(crate) id_span: Span,
    pub(crate) path: String,
    pub(crate) disabled: bool,
    /// Whether what is in it runs once for each of some values.
    pub(crate) repeats: bool,
    /// What is known of its outputs.
    pub(crate) info: Option<&'a TypeInfo>,
    group: GroupIndex,
    position: usize,
    /// Siblings in a Dag that it waits for.
    waits_for: Vec<TaskIndex>,
}

/// All tasks of a flow.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    tasks: Vec<OutlineTask<'a>>,
    groups: Vec<Group>,
    /// In the order of the source.
    by_id: IndexMap<String, TaskIndex>,
    /// How many edges of Dags may still be followed.
    edges: Cell<usize>,
}

impl Default for Outline<'_> {
    fn default() -> Self {
        Self { tasks: Vec::new(), groups: Vec::new(), by_id: IndexMap::new(), edges: Cell::new(EDGES) }
    }
}

/// A task as it is when its id is known and nothing else.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) id_span: Span,
    pub(crate) path: String,
    pub(crate) disabled: bool,
}

/// Whether one task can have run before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Yes,
    /// It is the same task.
    Itself,
    /// It comes later.
    Later,
    /// It is inside the other.
    Inside,
    /// Both run at the same time.
    SameTime,
    /// Only one of the two ever runs.
    OtherBranch,
    /// In a Dag, the other does not wait for it.
    NotWaitedFor,
}

impl<'a> Outline<'a> {
    /// Begins a list of tasks that belongs to a task, or to the flow.
    pub(crate) fn group(&mut self, owner: Option<TaskIndex>, stage: Stage, order: Order) -> GroupIndex {
        self.groups.push(Group { owner, stage, order, size: 0 });
        self.groups.len() - 1
    }

    /// Adds a task at the end of a list. Of tasks with the same id, the first is the one that is found by it.
    pub(crate) fn add(&mut self, found: Found, group: GroupIndex) -> TaskIndex {
        let index = self.tasks.len();
        self.by_id.entry(found.id.clone()).or_insert(index);
        let position = self.groups[group].size;
        self.groups[group].size += 1;
        self.tasks.push(OutlineTask {
            id: found.id,
            id_span: found.id_span,
            path: found.path,
            disabled: found.disabled,
            repeats: false,
            info: None,
            group,
            position,
            waits_for: Vec::new(),
        });
        index
    }

    pub(crate) fn task(&self, index: TaskIndex) -> &OutlineTask<'a> {
        &self.tasks[index]
    }

    pub(crate) fn task_mut(&mut self, index: TaskIndex) -> &mut OutlineTask<'a> {
        &mut self.tasks[index]
    }

    /// The ids of all tasks, each once, in the order of the source.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> + Clone {
        self.by_id.keys().map(String::as_str)
    }

    pub(crate) fn find(&self, id: &str) -> Option<TaskIndex> {
        self.by_id.get(id).copied()
    }

    /// Says what a task of a Dag waits for.
    pub(crate) fn waits_for(&mut self, task: TaskIndex, others: Vec<TaskIndex>) {
        self.tasks[task].waits_for = others;
    }

    /// The task and those around it, from the inside out.
    fn around(&self, task: TaskIndex) -> impl Iterator<Item = TaskIndex> + '_ {
        std::iter::successors(Some(task), |&index| self.groups[self.tasks[index].group].owner)
    }

    /// Whether a task is inside another.
    pub(crate) fn is_inside(&self, task: TaskIndex, other: TaskIndex) -> bool {
        self.around(task).skip(1).any(|index| index == other)
    }

    /// Whether a task runs once for each of some values.
    pub(crate) fn is_repeated(&self, task: TaskIndex) -> bool {
        self.around(task).skip(1).any(|index| self.tasks[index].repeats)
    }

    /// The loops around a task, from the inside out.
    pub(crate) fn loops(&self, task: TaskIndex) -> Vec<TaskIndex> {
        self.around(task).skip(1).filter(|index| self.tasks[*index].repeats).collect()
    }

    /// The disabled task, itself or one around it, because of which a task never runs as seen from another.
    pub(crate) fn disabled_for(&self, task: TaskIndex, reader: Option<TaskIndex>) -> Option<TaskIndex> {
        let around_reader: HashSet<TaskIndex> =
            reader.into_iter().flat_map(|reader| self.around(reader)).collect();
        self.around(task).find(|index| self.tasks[*index].disabled && !around_reader.contains(index))
    }

    /// Whether `task` can have run when something of the flow itself is rendered at `stage`.
    pub(crate) fn before_stage(&self, task: TaskIndex, stage: Stage) -> Before {
        let outermost = self.around(task).last().unwrap_or(task);
        let group = &self.groups[self.tasks[outermost].group];
        if group.stage < stage { Before::Yes } else { Before::Later }
    }

    /// Whether `task` can have run when properties of `reader` are rendered.
    pub(crate) fn before(&self, task: TaskIndex, reader: TaskIndex) -> Before {
        if task == reader {
            return Before::Itself;
        }
        let mut chain: Vec<TaskIndex> = self.around(task).collect();
        let mut reader_chain: Vec<TaskIndex> = self.around(reader).collect();
        // From the outside in: drop what both have around them.
        while let (Some(outer), Some(reader_outer)) = (chain.last(), reader_chain.last()) {
            if outer != reader_outer {
                break;
            }
            chain.pop();
            reader_chain.pop();
        }
        match (chain.last(), reader_chain.last()) {
            // A task around the reader: its outputs so far, such as the value of a Switch.
            (None, _) => Before::Yes,
            (Some(_), None) => Before::Inside,
            (Some(&task), Some(&reader)) => self.siblings(task, reader),
        }
    }

    /// The same for two tasks that belong to the same task.
    fn siblings(&self, task: TaskIndex, reader: TaskIndex) -> Before {
        let (of_task, of_reader) = (&self.tasks[task], &self.tasks[reader]);
        let (group, reader_group) = (&self.groups[of_task.group], &self.groups[of_reader.group]);
        if of_task.group != of_reader.group {
            return match group.stage.cmp(&reader_group.stage) {
                std::cmp::Ordering::Less => Before::Yes,
                std::cmp::Ordering::Equal => Before::OtherBranch,
                std::cmp::Ordering::Greater => Before::Later,
            };
        }
        match group.order {
            Order::Sequential if of_task.position < of_reader.position => Before::Yes,
            Order::Sequential => Before::Later,
            Order::Parallel => Before::SameTime,
            Order::Dag if self.reaches(reader, task) => Before::Yes,
            Order::Dag => Before::NotWaitedFor,
        }
    }

    /// Whether `from` waits for `to`, perhaps through others. Where too much was asked already, it is taken to do so: the
    /// execution will tell.
    fn reaches(&self, from: TaskIndex, to: TaskIndex) -> bool {
        if self.tasks[from].waits_for.contains(&to) {
            return true;
        }
        let mut seen = HashSet::new();
        let mut open = vec![from];
        while let Some(task) = open.pop() {
            let next = &self.tasks[task].waits_for;
            match self.edges.get().checked_sub(next.len()) {
                Some(left) => self.edges.set(left),
                None => return true,
            }
            for &next in next {
                if next == to {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    }
}
