//! A flow as a tree of lines for a terminal.

use crate::{DagTask, Flow, Shape, Task, TaskKind};

/// Draws a flow as a tree: one line for each task, branches under the words that lead to them.
pub fn draw_tree(flow: &Flow) -> String {
    let mut branches: Vec<Branch<'_>> = flow.tasks.iter().map(Branch::Task).collect();
    for (name, tasks) in
        [("errors", &flow.errors), ("finally", &flow.finally), ("afterExecution", &flow.after_execution)]
    {
        branches.extend(named(name, tasks));
    }
    let mut out = format!("{} ({})\n", flow.id, flow.namespace);
    draw(&branches, "", &mut out);
    out
}

/// A line and what is below it.
enum Branch<'f> {
    Task(&'f Task),
    /// A task of a Dag, with what it waits for.
    Dag(&'f DagTask),
    Named(&'f str, &'f [Task]),
}

/// A branch with a name, unless there is nothing in it.
fn named<'f>(name: &'f str, tasks: &'f [Task]) -> Option<Branch<'f>> {
    (!tasks.is_empty()).then_some(Branch::Named(name, tasks))
}

fn draw(branches: &[Branch<'_>], indent: &str, out: &mut String) {
    for (index, branch) in branches.iter().enumerate() {
        let last = index + 1 == branches.len();
        out.push_str(indent);
        out.push_str(if last { "└─ " } else { "├─ " });
        let below = match branch {
            Branch::Task(task) => {
                out.push_str(&title(task));
                children(task)
            }
            Branch::Dag(child) => {
                out.push_str(&title(&child.task));
                if !child.depends_on.is_empty() {
                    out.push_str(" after ");
                    out.push_str(&child.depends_on.join(", "));
                }
                children(&child.task)
            }
            Branch::Named(name, tasks) => {
                out.push_str(name);
                out.push(':');
                tasks.iter().map(Branch::Task).collect()
            }
        };
        out.push('\n');
        draw(&below, &format!("{indent}{}", if last { "   " } else { "│  " }), out);
    }
}

fn title(task: &Task) -> String {
    let simple = task.type_name.rsplit('.').next().unwrap_or_default();
    let more = match &task.kind {
        TaskKind::Flowable(flowable) => match &flowable.shape {
            Shape::Subflow(subflow) => format!(" {}/{}", subflow.namespace, subflow.flow_id),
            Shape::ForEachItem(each) => format!(" {}/{}", each.subflow.namespace, each.subflow.flow_id),
            _ => String::new(),
        },
        TaskKind::Run { .. } => String::new(),
    };
    let disabled = if task.disabled { " [disabled]" } else { "" };
    format!("{} ({simple}{more}){disabled}", task.id)
}

fn children(task: &Task) -> Vec<Branch<'_>> {
    let TaskKind::Flowable(flowable) = &task.kind else { return Vec::new() };
    let mut branches: Vec<Branch<'_>> = match &flowable.shape {
        Shape::Sequential { tasks }
        | Shape::Parallel { tasks, .. }
        | Shape::ForEach { tasks, .. }
        | Shape::WorkingDirectory { tasks, .. }
        | Shape::AllowFailure { tasks } => tasks.iter().map(Branch::Task).collect(),
        Shape::LoopUntil(round) => round.tasks.iter().map(Branch::Task).collect(),
        Shape::Dag { tasks, .. } => tasks.iter().map(Branch::Dag).collect(),
        Shape::If { then, otherwise, .. } => {
            named("then", then).into_iter().chain(named("else", otherwise)).collect()
        }
        Shape::Switch { cases, defaults, .. } => {
            let defaults = defaults.as_deref().and_then(|tasks| named("defaults", tasks));
            cases.iter().filter_map(|(case, tasks)| named(case, tasks)).chain(defaults).collect()
        }
        Shape::Pause(pause) => {
            let during =
                pause.on_pause.as_deref().and_then(|task| named("onPause", std::slice::from_ref(task)));
            during.into_iter().chain(pause.tasks.iter().map(Branch::Task)).collect()
        }
        Shape::Subflow(_) | Shape::ForEachItem(_) | Shape::Templated { .. } => Vec::new(),
    };
    branches.extend(named("errors", &flowable.errors));
    branches.extend(named("finally", &flowable.finally));
    branches
}
