//! What holds for every flow, whatever its tasks do and whenever the engine stops.

mod support;

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;
use support::World;
use support::build::*;
use weft_executor::Event;
use weft_flow::{Flow, Shape as FlowShape, Task, TaskKind};
use weft_model::{Execution, ExecutionUpdate, State};

/// A task without its name.
#[derive(Debug, Clone)]
enum Shape {
    Ok,
    Warns,
    Fails,
    Flaky(u32),
    Allowed,
    Skipped,
    Sub(&'static str),
    Sequence(Vec<Shape>),
    Parallel(u32, Vec<Shape>),
    Dag(Vec<(Shape, Vec<usize>)>),
    Either(bool, Vec<Shape>),
    Loop(u32, usize, Vec<Shape>),
    Until(u32, Vec<Shape>),
    Directory(Vec<Shape>),
    AllowFailure(Vec<Shape>),
    Pause,
    Items(u32, &'static str),
    Guarded(Box<Shape>, Vec<Shape>, Vec<Shape>),
}

fn shape(in_directory: bool) -> BoxedStrategy<Shape> {
    let leaf = prop_oneof![
        8 => Just(Shape::Ok),
        1 => Just(Shape::Warns),
        1 => Just(Shape::Fails),
        2 => (1..4_u32).prop_map(Shape::Flaky),
        1 => Just(Shape::Allowed),
        1 => Just(Shape::Skipped),
    ];
    let leaf = if in_directory {
        leaf.boxed()
    } else {
        let subflow = prop_oneof![Just("success"), Just("failed"), Just("warning")];
        prop_oneof![
            12 => leaf,
            1 => subflow.clone().prop_map(Shape::Sub),
            1 => (0..3_u32, subflow).prop_map(|(count, flow)| Shape::Items(count, flow)),
            1 => Just(Shape::Pause),
            1 => prop::collection::vec(shape(true), 1..3).prop_map(Shape::Directory),
        ]
        .boxed()
    };
    leaf.prop_recursive(3, 20, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).boxed();
        let some = prop::collection::vec(inner.clone(), 1..3).boxed();
        let dag = prop::collection::vec((inner.clone(), prop::collection::vec(0..8_usize, 0..3)), 1..5);
        prop_oneof![
            3 => list.clone().prop_map(Shape::Sequence),
            3 => (0..3_u32, list.clone()).prop_map(|(most, tasks)| Shape::Parallel(most, tasks)),
            2 => dag.prop_map(Shape::Dag),
            2 => (any::<bool>(), list.clone()).prop_map(|(holds, tasks)| Shape::Either(holds, tasks)),
            2 => (0..3_u32, 0..4_usize, some.clone()).prop_map(|(most, values, tasks)| Shape::Loop(most, values, tasks)),
            1 => (1..4_u32, some).prop_map(|(count, tasks)| Shape::Until(count, tasks)),
            1 => list.clone().prop_map(Shape::AllowFailure),
            2 => (inner, list.clone(), list).prop_map(|(task, errors, finally)| {
                Shape::Guarded(Box::new(task), errors, finally)
            }),
        ]
    })
    .boxed()
}

/// Names tasks by their place and builds them.
struct Builder {
    next: usize,
}

impl Builder {
    fn tasks(&mut self, shapes: &[Shape]) -> Vec<Task> {
        shapes.iter().map(|shape| self.task(shape)).collect()
    }

    fn task(&mut self, shape: &Shape) -> Task {
        let id = format!("t{}", self.next);
        self.next += 1;
        let id = id.as_str();
        match shape {
            Shape::Ok => ok(id),
            Shape::Warns => script(id, json!({"state": "WARNING"})),
            Shape::Fails => fail(id),
            Shape::Flaky(fails) => flaky(id, *fails).retry(constant(3)),
            Shape::Allowed => fail(id).with(|task| task.allow_failure = true),
            Shape::Skipped => ok(id).run_if("false"),
            Shape::Sub(state) => subflow(id, state),
            Shape::Sequence(tasks) => seq(id, self.tasks(tasks)),
            Shape::Parallel(most, tasks) => par(id, *most, self.tasks(tasks)),
            Shape::Dag(tasks) => {
                let built = self.tasks(&tasks.iter().map(|(task, _)| task.clone()).collect::<Vec<_>>());
                let ids: Vec<String> = built.iter().map(|task| task.id.clone()).collect();
                let earlier = |index: usize, wanted: &[usize]| -> Vec<&str> {
                    let mut ids: Vec<&str> = wanted
                        .iter()
                        .filter(|other| **other < index)
                        .map(|other| ids[*other].as_str())
                        .collect();
                    ids.sort_unstable();
                    ids.dedup();
                    ids
                };
                let depends_on: Vec<Vec<&str>> =
                    tasks.iter().enumerate().map(|(index, (_, wanted))| earlier(index, wanted)).collect();
                dag(id, built.into_iter().zip(depends_on.iter().map(Vec::as_slice)))
            }
            Shape::Either(holds, tasks) => {
                let (then, otherwise) = (self.tasks(tasks), self.tasks(tasks));
                either(id, if *holds { "true" } else { "false" }, then, otherwise)
            }
            Shape::Loop(most, values, tasks) => {
                let values: Vec<String> = (0..*values).map(|value| format!("v{value}")).collect();
                each(id, *most, json!(values), self.tasks(tasks))
            }
            Shape::Until(count, tasks) => {
                let condition = format!("{{{{ outputs.{id}.iterationCount == {count} }}}}");
                // Seen from a loop around, the outputs have other names.
                let condition = if *count == 1 { "true".to_owned() } else { condition };
                until(id, &condition, 3, self.tasks(tasks))
            }
            Shape::Directory(tasks) => directory(id, self.tasks(tasks)),
            Shape::AllowFailure(tasks) => allow(id, self.tasks(tasks)),
            Shape::Pause => pause(id, Some("PT2S"), [self.task(&Shape::Ok)]),
            Shape::Items(count, state) => each_item(id, &count.to_string(), state),
            Shape::Guarded(task, errors, finally) => {
                let inner = self.task(task);
                seq(id, [inner]).errors(self.tasks(errors)).finally(self.tasks(finally))
            }
        }
    }
}

/// A flow without its names.
#[derive(Debug, Clone)]
struct Outline {
    tasks: Vec<Shape>,
    errors: Vec<Shape>,
    finally: Vec<Shape>,
    after: Vec<Shape>,
}

impl Outline {
    fn flow(&self) -> Flow {
        let mut builder = Builder { next: 0 };
        flow(builder.tasks(&self.tasks)).with(|flow| {
            flow.errors = builder.tasks(&self.errors);
            flow.finally = builder.tasks(&self.finally);
            flow.after_execution = builder.tasks(&self.after);
        })
    }
}

fn outline() -> impl Strategy<Value = Outline> {
    let some = || prop::collection::vec(shape(false), 1..4);
    let maybe = || prop_oneof![Just(Vec::new()), some()];
    (some(), maybe(), maybe(), maybe()).prop_map(|(tasks, errors, finally, after)| Outline {
        tasks,
        errors,
        finally,
        after,
    })
}

/// Final states of task runs by id: the order in which things end may differ.
fn result(world: &World) -> (State, HashMap<String, (String, State)>) {
    let runs = world.execution().task_run_list.iter();
    (world.state(), runs.map(|run| (run.id.clone(), (run.task_id.clone(), run.current()))).collect())
}

fn check_over(world: &World) -> Result<(), TestCaseError> {
    prop_assert!(world.done && world.machine.is_done());
    prop_assert!(world.state().is_terminal());
    for run in &world.execution().task_run_list {
        prop_assert!(run.current().is_terminal(), "{} is {}", run.task_id, run.current());
        for attempt in &run.attempts {
            prop_assert!(attempt.state.current().is_terminal(), "an attempt of {}", run.task_id);
        }
    }
    check_order(world.execution())
}

/// No task run begins before the one around it, nor ends after it; dates never go back.
fn check_order(execution: &Execution) -> Result<(), TestCaseError> {
    let by_id: HashMap<_, _> = execution.task_run_list.iter().map(|run| (&run.id, run)).collect();
    for run in &execution.task_run_list {
        let dates: Vec<_> = run.state.histories().iter().map(|change| change.date).collect();
        prop_assert!(dates.is_sorted(), "{}: {dates:?}", run.task_id);
        let Some(parent) = run.parent_task_run_id.as_ref().map(|id| by_id[id]) else { continue };
        prop_assert!(
            run.state.end_date() <= parent.state.end_date(),
            "{} in {}",
            run.task_id,
            parent.task_id
        );
    }
    Ok(())
}

/// Pairs of tasks of which the second waits for the first, where they run side by side at all.
fn waits(tasks: &[Task], in_a_row: bool, pairs: &mut Vec<(String, String)>) {
    if in_a_row {
        pairs.extend(tasks.windows(2).map(|pair| (pair[0].id.clone(), pair[1].id.clone())));
    }
    for task in tasks {
        let TaskKind::Flowable(flowable) = &task.kind else { continue };
        waits(&flowable.errors, true, pairs);
        waits(&flowable.finally, true, pairs);
        match &flowable.shape {
            FlowShape::Parallel { tasks, .. } => waits(tasks, false, pairs),
            FlowShape::Dag { tasks, .. } => {
                for child in tasks {
                    pairs.extend(child.depends_on.iter().map(|other| (other.clone(), child.task.id.clone())));
                    waits(std::slice::from_ref(&child.task), false, pairs);
                }
            }
            FlowShape::If { then, otherwise, .. } => {
                waits(then, true, pairs);
                waits(otherwise, true, pairs);
            }
            FlowShape::LoopUntil(until) => waits(&until.tasks, true, pairs),
            FlowShape::Sequential { tasks }
            | FlowShape::AllowFailure { tasks }
            | FlowShape::WorkingDirectory { tasks, .. }
            | FlowShape::ForEach { tasks, .. } => waits(tasks, true, pairs),
            _ => {}
        }
    }
}

/// No task run begins before those it waits for have ended.
fn check_waits(world: &World) -> Result<(), TestCaseError> {
    let mut pairs = Vec::new();
    let flow = &world.flow;
    for tasks in [&flow.tasks, &flow.errors, &flow.finally, &flow.after_execution] {
        waits(tasks, true, &mut pairs);
    }
    let runs = &world.execution().task_run_list;
    for (first, second) in pairs {
        for second in runs.iter().filter(|run| run.task_id == second) {
            let beside = runs.iter().filter(|run| {
                let place = (&run.parent_task_run_id, run.iteration);
                run.task_id == first && place == (&second.parent_task_run_id, second.iteration)
            });
            for first in beside {
                let ended = first.state.end_date();
                prop_assert!(
                    ended <= Some(second.state.start_date()),
                    "{} and {}",
                    first.task_id,
                    second.task_id
                );
            }
        }
    }
    Ok(())
}

/// Rolls the tasks of the flow up as the specification says.
fn rolled_up(world: &World) -> State {
    let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>();
    let flow = &world.flow;
    let counted: Vec<String> = [ids(&flow.tasks), ids(&flow.errors), ids(&flow.finally)].concat();
    let runs = world.execution().task_run_list.iter();
    let states: Vec<State> =
        runs.filter(|run| counted.contains(&run.task_id)).map(|run| run.current()).collect();
    let worst =
        [State::Killed, State::Failed, State::Warning].into_iter().find(|state| states.contains(state));
    worst.unwrap_or(State::Success)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn executions_end_as_their_tasks_did(outline in outline()) {
        let world = World::finish(outline.flow());
        check_over(&world)?;
        check_waits(&world)?;
        prop_assert_eq!(world.state(), rolled_up(&world));
        let errors = world.flow.errors.first().map(|task| task.id.clone());
        if let Some(errors) = errors {
            let mains = world.flow.tasks.iter().map(|task| &task.id);
            let mains: Vec<_> = mains.collect();
            let failed = world.execution().task_run_list.iter().any(|run| mains.contains(&&run.task_id) && run.current().is_failed());
            let ran = world.execution().task_run_list.iter().any(|run| run.task_id == errors);
            prop_assert_eq!(failed, ran);
        }
    }

    #[test]
    fn a_crash_after_any_transition_changes_nothing(outline in outline(), at in prop::collection::vec(0..40_usize, 1..6)) {
        let whole = World::finish(outline.flow());
        let mut world = World::new(outline.flow());
        let mut steps = 0;
        loop {
            if at.contains(&steps) {
                world.crash();
            }
            steps += 1;
            if !world.step() {
                break;
            }
            prop_assert!(steps < 10_000);
        }
        check_over(&world)?;
        prop_assert_eq!(result(&world), result(&whole));
    }

    #[test]
    fn a_kill_ends_any_execution(outline in outline(), at in 0..40_usize, crash: bool) {
        let mut world = World::new(outline.flow());
        world.steps(at);
        let over = world.state().is_terminal();
        let state = world.state();
        world.send(Event::Kill { reason: "test".into() });
        if crash {
            world.crash();
        }
        world.run();
        check_over(&world)?;
        prop_assert_eq!(world.state(), if over { state } else { State::Killed });
    }

    #[test]
    fn an_exit_ends_any_execution_and_kills_nothing(outline in outline(), at in 0..40_usize, crash: bool) {
        let mut world = World::new(outline.flow());
        world.steps(at);
        if world.state().is_terminal() {
            return Ok(());
        }
        world.send(Event::Update(vec![ExecutionUpdate::Exit(State::Warning)]));
        if crash {
            world.crash();
        }
        world.run();
        check_over(&world)?;
        prop_assert_eq!(world.state(), State::Warning);
        for run in &world.execution().task_run_list {
            let killed = run.state.histories().iter().any(|change| change.state == State::Killing);
            prop_assert!(!killed, "{}", run.task_id);
        }
    }

    #[test]
    fn restarts_come_to_an_end(outline in outline(), at in 0..40_usize, kill: bool) {
        let mut world = World::new(outline.flow());
        if kill {
            world.steps(at);
            world.send(Event::Kill { reason: "test".into() });
        }
        world.run();
        let restarted = weft_executor::Machine::restart(
            world.flow.clone(),
            world.execution().clone(),
            world.settings.clone(),
            world.now,
        );
        let Ok(machine) = restarted else { return Ok(()) };
        let mut again = World::around(world.flow.clone(), world.settings.clone(), machine, world.now);
        again.send(Event::Start);
        again.run();
        check_over(&again)?;
        prop_assert_eq!(again.state(), rolled_up(&again));
    }

    #[test]
    fn noise_changes_nothing(outline in outline(), noise in prop::collection::vec(any::<u8>(), 1..30)) {
        // A late answer to an earlier iteration cannot be told from one to this: they share task runs.
if format!("{outline:?}").contains("Until") {
            return Ok(());
        }
        let whole = World::finish(outline.flow());
        let mut world = World::new(outline.flow());
        for pick in noise.into_iter().cycle() {
            if !world.step() {
                break;
            }
            let count = world.sent.len();
            let event = world.sent[usize::from(pick) % count].clone();
            let before = world.execution().clone();
            world.repeat(event);
            prop_assert_eq!(world.execution(), &before);
        }
        check_over(&world)?;
        prop_assert_eq!(result(&world), result(&whole));
    }
}
