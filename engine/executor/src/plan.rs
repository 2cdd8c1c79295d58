//! A flow laid out for running: its enabled tasks numbered, with who stands where.

use std::collections::HashMap;
use std::sync::Arc;

use weft_flow::{DagTask, Flow, Flowable, Retry, RetryBehavior, Shape, Task, TaskKind};

/// A task of the flow, by its number in the [`Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

/// A list of tasks of a flowable or, for four of them, of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    /// `tasks`.
    Tasks,
    /// `then` of an If.
    Then,
    /// `else` of an If.
    Otherwise,
    /// One of the `cases` of a Switch.
    Case(u32),
    /// `defaults` of a Switch.
    Defaults,
    /// `onPause` of a Pause.
    OnPause,
    /// The calls of a `ForEachItem`: one node that stands for all batches.
    Batch,
    /// `errors`.
    Errors,
    /// `finally`.
    Finally,
    /// `afterExecution` of the flow.
    After,
}

/// What the plan knows of one task.
#[derive(Debug)]
struct Node {
    owner: Option<NodeId>,
    branch: Branch,
    /// Among all tasks of the list.
    index: u32,
    /// Among the enabled tasks of the list.
    position: u32,
    children: Vec<(Branch, Vec<NodeId>)>,
}

/// The enabled tasks of a flow. Disabled ones are left out with all that is in them.
#[derive(Debug)]
pub(crate) struct Plan {
    flow: Arc<Flow>,
    nodes: Vec<Node>,
    roots: Vec<(Branch, Vec<NodeId>)>,
    by_id: HashMap<String, NodeId>,
}

/// A list of tasks as the flow has it.
enum TaskList<'a> {
    Tasks(&'a [Task]),
    Dag(&'a [DagTask]),
    One(&'a Task),
}

impl<'a> TaskList<'a> {
    fn get(&self, index: usize) -> Option<&'a Task> {
        match self {
            Self::Tasks(tasks) => tasks.get(index),
            Self::Dag(tasks) => tasks.get(index).map(|child| &child.task),
            Self::One(task) => (index == 0).then_some(task),
        }
    }
}

impl Plan {
    pub fn new(flow: Arc<Flow>) -> Self {
        let mut plan =
            Self { flow: Arc::clone(&flow), nodes: Vec::new(), roots: Vec::new(), by_id: HashMap::new() };
        for branch in [Branch::Tasks, Branch::Errors, Branch::Finally, Branch::After] {
            let list = plan.add_list(None, branch, &root_list(&flow, branch));
            plan.roots.push((branch, list));
        }
        plan
    }

    fn add_list(&mut self, owner: Option<NodeId>, branch: Branch, tasks: &TaskList<'_>) -> Vec<NodeId> {
        let mut list = Vec::new();
        for index in 0.. {
            let Some(task) = tasks.get(index) else { break };
            if task.disabled {
                continue;
            }
            let id = NodeId(self.nodes.len() as u32);
            let (index, position) = (index as u32, list.len() as u32);
            self.nodes.push(Node { owner, branch, index, position, children: Vec::new() });
            list.push(id);
            if branch == Branch::Batch {
                self.by_id.insert(batch_id(task), id);
                continue;
            }
            self.by_id.insert(task.id.clone(), id);
            if let TaskKind::Flowable(flowable) = &task.kind {
                for branch in branches(&flowable.shape) {
                    let children = self.add_list(Some(id), branch, &list_of(task, flowable, branch));
                    if let Some(node) = self.nodes.get_mut(id.0 as usize) {
                        node.children.push((branch, children));
                    }
                }
            }
        }
        list
    }

    /// The flow itself.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The node of the task run with this task id.
    pub fn find(&self, task_id: &str) -> Option<NodeId> {
        self.by_id.get(task_id).copied()
    }

    /// The task; for the batches of a `ForEachItem` that task itself.
    pub fn task(&self, id: NodeId) -> &Task {
        let node = self.node(id);
        let list = match node.owner {
            None => root_list(&self.flow, node.branch),
            Some(owner) => {
                let owner = self.task(owner);
                match &owner.kind {
                    TaskKind::Flowable(flowable) => list_of(owner, flowable, node.branch),
                    TaskKind::Run { .. } => TaskList::One(owner),
                }
            }
        };
        list.get(node.index as usize).expect("a node is made from the task at this place of the same flow")
    }

    /// The task as a flowable.
    pub fn flowable(&self, id: NodeId) -> Option<&Flowable> {
        match &self.task(id).kind {
            TaskKind::Flowable(flowable) if !self.is_batch(id) => Some(flowable),
            _ => None,
        }
    }

    /// What a task run of this node calls itself.
    pub fn task_id(&self, id: NodeId) -> String {
        if self.is_batch(id) { batch_id(self.task(id)) } else { self.task(id).id.clone() }
    }

    /// Whether task runs of this node have work of their own and not other task runs: only they have attempts.
    pub fn is_leaf(&self, id: NodeId) -> bool {
        self.flowable(id)
            .is_none_or(|flowable| matches!(flowable.shape, Shape::Subflow(_) | Shape::Templated { .. }))
    }

    /// Whether the node stands for the batches of a `ForEachItem`.
    pub fn is_batch(&self, id: NodeId) -> bool {
        self.branch(id) == Branch::Batch
    }

    /// Whether the node is a `WorkingDirectory`.
    pub fn is_directory(&self, id: NodeId) -> bool {
        self.flowable(id).is_some_and(|flowable| matches!(flowable.shape, Shape::WorkingDirectory { .. }))
    }

    /// Whether the node is a `LoopUntil`.
    pub fn is_until(&self, id: NodeId) -> bool {
        self.flowable(id).is_some_and(|flowable| matches!(flowable.shape, Shape::LoopUntil(_)))
    }

    /// Whether the node is a `ForEachItem`.
    pub fn has_batches(&self, id: NodeId) -> bool {
        self.flowable(id).is_some_and(|flowable| matches!(flowable.shape, Shape::ForEachItem(_)))
    }

    /// The enabled tasks of a list, of the flow where there is no owner.
    pub fn list(&self, owner: Option<NodeId>, branch: Branch) -> &[NodeId] {
        let lists = match owner {
            None => &self.roots,
            Some(owner) => &self.node(owner).children,
        };
        lists.iter().find(|(name, _)| *name == branch).map_or(&[], |(_, list)| list)
    }

    /// The list in which the node stands.
    pub fn branch(&self, id: NodeId) -> Branch {
        self.node(id).branch
    }

    /// The node's place among the enabled tasks of its list.
    pub fn position(&self, id: NodeId) -> usize {
        self.node(id).position as usize
    }

    /// Positions of the siblings for which each child of a Dag waits. Disabled and unknown ones are not waited for.
    pub fn dependencies(&self, owner: NodeId) -> Vec<Vec<usize>> {
        let Some(Flowable { shape: Shape::Dag { tasks, .. }, .. }) = self.flowable(owner) else {
            return Vec::new();
        };
        let of = |id: &NodeId| {
            let depends_on =
                tasks.get(self.node(*id).index as usize).map_or(&[][..], |child| &child.depends_on);
            let found = depends_on.iter().filter_map(|sibling| Some(self.node(self.find(sibling)?)));
            let siblings = found.filter(|node| node.owner == Some(owner) && node.branch == Branch::Tasks);
            siblings.map(|node| node.position as usize).collect()
        };
        self.list(Some(owner), Branch::Tasks).iter().map(of).collect()
    }

    /// The retry that applies to a task: its own, else that of the nearest flowable around it, else the flow's.
    pub fn retry(&self, id: NodeId) -> Option<&Retry> {
        let mut next = Some(id);
        while let Some(id) = next {
            if let Some(retry) = &self.task(id).retry {
                return Some(retry);
            }
            next = self.node(id).owner;
        }
        self.flow.retry.as_ref().filter(|retry| retry.behavior == RetryBehavior::RetryFailedTask)
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

/// The task id of the task runs for single batches of a `ForEachItem`.
fn batch_id(task: &Task) -> String {
    format!("{}_items", task.id)
}

fn root_list(flow: &Flow, branch: Branch) -> TaskList<'_> {
    TaskList::Tasks(match branch {
        Branch::Errors => &flow.errors,
        Branch::Finally => &flow.finally,
        Branch::After => &flow.after_execution,
        _ => &flow.tasks,
    })
}

/// The lists that a shape may have, in the order of the source.
fn branches(shape: &Shape) -> Vec<Branch> {
    let mut branches = match shape {
        Shape::If { .. } => vec![Branch::Then, Branch::Otherwise],
        Shape::Switch { cases, .. } => {
            let cases = (0..cases.len()).map(|index| Branch::Case(index as u32));
            cases.chain([Branch::Defaults]).collect()
        }
        Shape::Pause(_) => vec![Branch::OnPause, Branch::Tasks],
        Shape::ForEachItem(_) => vec![Branch::Batch],
        Shape::Subflow(_) | Shape::Templated { .. } => Vec::new(),
        _ => vec![Branch::Tasks],
    };
    branches.extend([Branch::Errors, Branch::Finally]);
    branches
}

fn list_of<'a>(task: &'a Task, flowable: &'a Flowable, branch: Branch) -> TaskList<'a> {
    let tasks: &[Task] = match (&flowable.shape, branch) {
        (_, Branch::Errors) => &flowable.errors,
        (_, Branch::Finally) => &flowable.finally,
        (Shape::ForEachItem(_), Branch::Batch) => return TaskList::One(task),
        (Shape::Dag { tasks, .. }, _) => return TaskList::Dag(tasks),
        (Shape::If { then, .. }, Branch::Then) => then,
        (Shape::If { otherwise, .. }, Branch::Otherwise) => otherwise,
        (Shape::Switch { cases, .. }, Branch::Case(index)) => {
            cases.get_index(index as usize).map_or(&[], |(_, tasks)| tasks)
        }
        (Shape::Switch { defaults, .. }, Branch::Defaults) => defaults.as_deref().unwrap_or_default(),
        (Shape::Pause(pause), Branch::OnPause) => match &pause.on_pause {
            Some(task) => return TaskList::One(task),
            None => &[],
        },
        (Shape::Pause(pause), _) => &pause.tasks,
        (Shape::LoopUntil(until), _) => &until.tasks,
        (
            Shape::Sequential { tasks }
            | Shape::Parallel { tasks, .. }
            | Shape::ForEach { tasks, .. }
            | Shape::WorkingDirectory { tasks, .. }
            | Shape::AllowFailure { tasks },
            _,
        ) => tasks,
        (Shape::If { .. } | Shape::Switch { .. } | Shape::Subflow(_), _)
        | (Shape::ForEachItem(_) | Shape::Templated { .. }, _) => &[],
    };
    TaskList::Tasks(tasks)
}
