//! Dags: what a task waits for must be in the same Dag, and nothing may wait for itself.

use std::cell::LazyCell;
use std::collections::HashMap;

use super::TaskIndex;
use crate::codes::{DEPENDENCY_CYCLE, UNKNOWN_DEPENDENCY};
use crate::parse::{Path, Reader};
use crate::yaml::Node;
use crate::{DagTask, Diagnostic, Span, Task};

/// A child of a Dag, with the nodes of its `dependsOn`.
pub(crate) struct DagChild<'n> {
    pub(crate) task: Task,
    pub(crate) index: TaskIndex,
    /// Ids of siblings.
    pub(crate) depends_on: Vec<(String, &'n Node)>,
}

impl DagChild<'_> {
    /// What the model keeps of it.
    pub(crate) fn into_task(self) -> DagTask {
        DagTask { task: self.task, depends_on: self.depends_on.into_iter().map(|(id, _)| id).collect() }
    }
}

impl Reader<'_> {
    /// Checks the children of one Dag and tells the outline who waits for whom.
    pub(crate) fn check_dag(&mut self, children: &[DagChild<'_>], path: &Path<'_>) {
        let by_id: HashMap<&str, usize> =
            children.iter().enumerate().map(|(index, child)| (child.task.id.as_str(), index)).collect();
        let names = LazyCell::new(|| {
            let mut names: Vec<&str> = by_id.keys().copied().collect();
            names.sort_unstable();
            names
        });
        let mut edges: Vec<Vec<(usize, Span)>> = Vec::with_capacity(children.len());
        for (index, child) in children.iter().enumerate() {
            let mut known = Vec::with_capacity(child.depends_on.len());
            for (id, node) in &child.depends_on {
                match by_id.get(id.as_str()) {
                    Some(&other) => known.push((other, node.span)),
                    None => self.unknown_dependency(id, node, &names, &path.index(index)),
                }
            }
            self.outline
                .waits_for(child.index, known.iter().map(|&(other, _)| children[other].index).collect());
            edges.push(known);
        }
        if let Some(cycle) = find_cycle(&edges) {
            self.cycle(&cycle, children, path);
        }
    }

    fn unknown_dependency(&mut self, id: &str, node: &Node, names: &[&str], path: &Path<'_>) {
        let elsewhere = self.outline.find(id).is_some();
        let message = if elsewhere {
            format!("`{id}` is not a task of this Dag: `dependsOn` may only name tasks beside it")
        } else {
            format!("there is no task `{id}` to depend on")
        };
        let hint = self.nearest_or_all(id, names.iter().copied(), "the tasks of this Dag are");
        let diagnostic = Diagnostic::error(UNKNOWN_DEPENDENCY, node.span, message);
        self.push(diagnostic.at(path.key("dependsOn")).maybe_hint(hint));
    }

    fn cycle(&mut self, cycle: &[(usize, Span)], children: &[DagChild<'_>], path: &Path<'_>) {
        let name = |index: usize| format!("`{}`", children[index].task.id);
        let Some(&(first, span)) = cycle.first() else { return };
        let message = cycle_message(cycle, name);
        let mut diagnostic = Diagnostic::error(DEPENDENCY_CYCLE, span, message)
            .at(path.index(first).key("dependsOn"))
            .hint("remove one of these from `dependsOn`");
        for &(index, span) in cycle.iter().take(LONGEST_CYCLE).skip(1) {
            diagnostic = diagnostic.related(span, format!("{} depends on it here", name(index)));
        }
        self.push(diagnostic);
    }
}

/// Members of a cycle that are named.
const LONGEST_CYCLE: usize = 20;

/// A cycle in words: each member depends on the next, and the last on the first.
pub(crate) fn cycle_message(cycle: &[(usize, Span)], name: impl Fn(usize) -> String) -> String {
    let mut names: Vec<String> = cycle.iter().take(LONGEST_CYCLE).map(|&(index, _)| name(index)).collect();
    match cycle.len().checked_sub(LONGEST_CYCLE).filter(|&more| more > 0) {
        Some(more) => names.push(format!("{more} more, the last of which depends on {}", name(cycle[0].0))),
        None => names.extend(cycle.first().map(|&(first, _)| name(first))),
    }
    format!("cyclic dependency: {}", names.join(" depends on "))
}

/// The first cycle in the order of the source: each task with the place where it names the next.
pub(crate) fn find_cycle(edges: &[Vec<(usize, Span)>]) -> Option<Vec<(usize, Span)>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for root in 0..edges.len() {
        if marks[root] != Mark::New {
            continue;
        }
        // Task and how many of its edges were followed; no recursion, a chain may be as long as the flow.
        let mut stack = vec![(root, 0)];
        marks[root] = Mark::Open;
        while let Some((task, followed)) = stack.last_mut() {
            let task = *task;
            let Some(&(next, _)) = edges[task].get(*followed) else {
                marks[task] = Mark::Done;
                stack.pop();
                continue;
            };
            *followed += 1;
            match marks[next] {
                Mark::Done => {}
                Mark::New => {
                    marks[next] = Mark::Open;
                    stack.push((next, 0));
                }
                Mark::Open => {
                    let start = stack.iter().position(|&(task, _)| task == next).unwrap_or(0);
                    return Some(
                        stack[start..]
                            .iter()
                            .map(|&(task, followed)| (task, edges[task][followed - 1].1))
                            .collect(),
                    );
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_cycles_are_cut() {
        let message = |length: usize| {
            let cycle: Vec<_> = (0..length).map(|index| (index, Span::default())).collect();
            cycle_message(&cycle, |index| index.to_string())
        };
        assert_eq!(message(1), "cyclic dependency: 0 depends on 0");
        assert_eq!(message(2), "cyclic dependency: 0 depends on 1 depends on 0");
        assert!(message(20).ends_with("18 depends on 19 depends on 0"), "{}", message(20));
        let long = message(1_000);
        assert!(long.ends_with("19 depends on 980 more, the last of which depends on 0"), "{long}");
    }

    #[test]
    fn cycles() {
        for (edges, expected) in [
            (vec![vec![1], vec![2], vec![]], None),
            (vec![vec![1], vec![0]], Some(vec![0, 1])),
            (vec![vec![0]], Some(vec![0])),
            (vec![vec![], vec![0, 2], vec![3], vec![1]], Some(vec![1, 2, 3])),
            (vec![vec![1, 2], vec![3], vec![3], vec![]], None),
        ] {
            let edges: Vec<Vec<(usize, Span)>> = edges
                .iter()
                .map(|others: &Vec<usize>| others.iter().map(|&other| (other, Span::default())).collect())
                .collect();
            let found =
                find_cycle(&edges).map(|cycle| cycle.iter().map(|&(task, _)| task).collect::<Vec<_>>());
            assert_eq!(found, expected);
        }
    }
}
