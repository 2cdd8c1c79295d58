//! The topology of a flow: what runs after what, for pictures of it.

mod draw;
mod tree;

use std::collections::HashMap;

use crate::{DagTask, Flow, Flowable, Shape, Task, TaskKind};

pub use tree::draw_tree;

/// Tasks of a flow as a graph. Flowables are a node and a cluster around what is in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// Tasks in the order of the flow.
    pub nodes: Vec<GraphNode>,
    /// Flowables, outer ones before inner ones.
    pub clusters: Vec<Cluster>,
    /// What follows what.
    pub edges: Vec<Edge>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// The task's id.
    pub id: String,
    /// The task's type as written.
    pub type_name: String,
    /// The innermost cluster it is in, as an index.
    pub cluster: Option<usize>,
    /// Whether it is not run.
    pub disabled: bool,
}

/// A flowable, or a section of the flow such as `errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The flowable's id, or the section's name.
    pub label: String,
    /// The cluster around it, as an index.
    pub parent: Option<usize>,
}

/// One task after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Index of the first node.
    pub from: usize,
    /// Index of the second node.
    pub to: usize,
    /// When: `then`, `else`, the key of a case, `errors`.
    pub label: Option<String>,
}

impl Graph {
    /// The topology of a flow.
    pub fn of(flow: &Flow) -> Graph {
        let mut builder = Builder::default();
        let mut exits = builder.chain(&flow.tasks, &[], None);
        if !flow.errors.is_empty() {
            // After whatever failed: an edge from every task would say nothing.
            let cluster = builder.cluster("errors", None);
            builder.chain(&flow.errors, &[], Some(cluster));
        }
        for (section, tasks) in [("finally", &flow.finally), ("afterExecution", &flow.after_execution)] {
            if !tasks.is_empty() {
                let cluster = builder.cluster(section, None);
                exits = builder.chain(tasks, &exits, Some(cluster));
            }
        }
        builder.graph
    }
}

/// Whether a flowable has no tasks of this flow in it.
fn is_leaf(flowable: &Flowable) -> bool {
    let inside = match &flowable.shape {
        Shape::Subflow(_) | Shape::ForEachItem(_) | Shape::Templated { .. } => false,
        Shape::Pause(pause) => pause.on_pause.is_some() || !pause.tasks.is_empty(),
        _ => true,
    };
    !inside && flowable.errors.is_empty() && flowable.finally.is_empty()
}

/// Ends of a task of a Dag up to which each is drawn as coming before those that wait for it; of more, only the task is.
const MANY_ENDS: usize = 64;

/// Where something begins: the nodes that come before, and under which condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exit {
    node: usize,
    label: Option<String>,
}

#[derive(Default)]
struct Builder {
    graph: Graph,
}

impl Builder {
    fn cluster(&mut self, label: &str, parent: Option<usize>) -> usize {
        self.graph.clusters.push(Cluster { label: label.to_owned(), parent });
        self.graph.clusters.len() - 1
    }

    /// Tasks one after the other; the result is where what follows begins.
    fn chain(&mut self, tasks: &[Task], before: &[Exit], cluster: Option<usize>) -> Vec<Exit> {
        tasks.iter().fold(before.to_vec(), |before, task| self.task(task, &before, cluster))
    }

    fn node(&mut self, task: &Task, before: &[Exit], cluster: Option<usize>) -> usize {
        let node = self.graph.nodes.len();
        self.graph.nodes.push(GraphNode {
            id: task.id.clone(),
            type_name: task.type_name.clone(),
            cluster,
            disabled: task.disabled,
        });
        let edges = before.iter().map(|exit| Edge { from: exit.node, to: node, label: exit.label.clone() });
        self.graph.edges.extend(edges);
        node
    }

    fn task(&mut self, task: &Task, before: &[Exit], around: Option<usize>) -> Vec<Exit> {
        let flowable = match &task.kind {
            TaskKind::Flowable(flowable) if !is_leaf(flowable) => flowable,
            _ => return vec![Exit { node: self.node(task, before, around), label: None }],
        };
        let cluster = self.cluster(&task.id, around);
        let node = self.node(task, before, Some(cluster));
        let start = |label: Option<&str>| vec![Exit { node, label: label.map(str::to_owned) }];
        let mut exits = self.inside(&flowable.shape, node, cluster);
        if exits.is_empty() {
            exits = start(None);
        }
        self.after(flowable, start(Some("errors")), exits, cluster)
    }

    /// `errors` and `finally` of a flowable. What comes next does not come after a failure, unless that is allowed.
    fn after(
        &mut self,
        flowable: &Flowable,
        failed: Vec<Exit>,
        mut exits: Vec<Exit>,
        cluster: usize,
    ) -> Vec<Exit> {
        let mut handled = Vec::new();
        if !flowable.errors.is_empty() {
            handled = self.chain(&flowable.errors, &failed, Some(cluster));
        }
        if !flowable.finally.is_empty() || matches!(flowable.shape, Shape::AllowFailure { .. }) {
            exits.extend(handled);
        }
        self.chain(&flowable.finally, &exits, Some(cluster))
    }

    fn inside(&mut self, shape: &Shape, node: usize, cluster: usize) -> Vec<Exit> {
        let start = |label: Option<&str>| vec![Exit { node, label: label.map(str::to_owned) }];
        let cluster = Some(cluster);
        match shape {
            Shape::Sequential { tasks }
            | Shape::WorkingDirectory { tasks, .. }
            | Shape::AllowFailure { tasks } => self.chain(tasks, &start(None), cluster),
            Shape::Parallel { tasks, .. } => self.side_by_side(tasks, &start(None), cluster),
            Shape::ForEach { tasks, parallel_tasks: true, .. } => {
                self.side_by_side(tasks, &start(Some("each")), cluster)
            }
            Shape::ForEach { tasks, .. } => self.chain(tasks, &start(Some("each")), cluster),
            Shape::LoopUntil(round) => self.chain(&round.tasks, &start(Some("until")), cluster),
            Shape::Pause(pause) => {
                let during = pause.on_pause.as_deref().map(std::slice::from_ref).unwrap_or_default();
                self.chain(during, &start(Some("onPause")), cluster);
                self.chain(&pause.tasks, &start(None), cluster)
            }
            Shape::If { then, otherwise, .. } => {
                let mut exits = self.chain(then, &start(Some("then")), cluster);
                exits.extend(self.chain(otherwise, &start(Some("else")), cluster));
                exits
            }
            Shape::Switch { cases, defaults, .. } => {
                let mut exits = Vec::new();
                for (case, tasks) in cases {
                    exits.extend(self.chain(tasks, &start(Some(case)), cluster));
                }
                exits.extend(
                    defaults.iter().flat_map(|tasks| self.chain(tasks, &start(Some("defaults")), cluster)),
                );
                exits
            }
            Shape::Dag { tasks, .. } => self.dag(tasks, node, cluster),
            Shape::Subflow(_) | Shape::ForEachItem(_) | Shape::Templated { .. } => start(None),
        }
    }

    fn side_by_side(&mut self, tasks: &[Task], before: &[Exit], cluster: Option<usize>) -> Vec<Exit> {
        tasks.iter().flat_map(|task| self.task(task, before, cluster)).collect()
    }

    /// Each task after those it depends on; what nobody depends on is the end.
    fn dag(&mut self, tasks: &[DagTask], node: usize, cluster: Option<usize>) -> Vec<Exit> {
        let mut placed: Vec<(usize, Vec<Exit>)> = Vec::with_capacity(tasks.len());
        for child in tasks {
            let entry = self.graph.nodes.len();
            placed.push((entry, self.task(&child.task, &[], cluster)));
        }
        let by_id: HashMap<&str, usize> =
            tasks.iter().enumerate().map(|(index, child)| (child.task.id.as_str(), index)).collect();
        let mut waited_for = vec![false; tasks.len()];
        for (child, &(entry, _)) in tasks.iter().zip(&placed) {
            let before: Vec<usize> =
                child.depends_on.iter().filter_map(|id| by_id.get(id.as_str()).copied()).collect();
            if before.is_empty() {
                self.graph.edges.push(Edge { from: node, to: entry, label: None });
            }
            for other in before {
                waited_for[other] = true;
                let (begin, exits) = &placed[other];
                // Many ends that many wait for would be more edges than anybody can look at.
                if exits.len() > MANY_ENDS {
                    self.graph.edges.push(Edge { from: *begin, to: entry, label: None });
                    continue;
                }
                let edges = exits.iter();
                self.graph.edges.extend(edges.map(|exit| Edge {
                    from: exit.node,
                    to: entry,
                    label: exit.label.clone(),
                }));
            }
        }
        placed
            .into_iter()
            .zip(waited_for)
            .filter(|(_, waited)| !waited)
            .flat_map(|((_, exits), _)| exits)
            .collect()
    }
}
