//! Restart, replay, a state changed by hand, and the restart of the engine.

mod support;

use std::sync::Arc;

use serde_json::json;
use support::World;
use support::build::*;
use weft_executor::{Event, LostTasks, Machine, Replay, RestartError, Settings, Start};
use weft_flow::{Flow, Shape, Task};
use weft_model::{Execution, State, TaskRun};

impl World {
    /// A world in which the execution of this one goes on, or another takes its place.
    fn again(
        &self,
        make: impl FnOnce(Arc<Flow>, Execution, Arc<Settings>) -> Result<Machine, RestartError>,
    ) -> Self {
        let machine = make(self.flow.clone(), self.execution().clone(), self.settings.clone());
        let machine = machine.expect("an execution that can be done again");
        let mut world = World::around(self.flow.clone(), self.settings.clone(), machine, self.now);
        world.send(Event::Start);
        world.run();
        world
    }

    fn restart(&self) -> Self {
        self.again(|flow, execution, settings| Machine::restart(flow, execution, settings, self.now))
    }

    fn replay(&self, run: &TaskRun) -> Self {
        let replay = Replay { id: "replay".into(), flow_revision: 2, from: Some(run.id.clone()) };
        self.again(|flow, execution, settings| Machine::replay(flow, &execution, settings, replay, self.now))
    }
}

/// Fails once, in the whole life of the task run.
fn once(id: &str) -> Task {
    flaky(id, 1)
}

#[test]
fn restarts_run_what_failed_again() {
    let cases: [(&str, Flow, &[&str], &[&str]); 11] = [
        (
            "the last task",
            flow([ok("a"), once("b"), ok("c")]),
            &["b[1]", "c[0]"],
            &["a=SUCCESS", "b=SUCCESS", "c=SUCCESS"],
        ),
        (
            "nested",
            flow([seq("s", [par("p", 0, [ok("a"), once("b")]), ok("c")])]),
            &["b[1]", "c[0]"],
            &["s=SUCCESS", "p=SUCCESS", "a=SUCCESS", "b=SUCCESS", "c=SUCCESS"],
        ),
        (
            "errors have gone",
            flow([seq("s", [once("a")]).errors([ok("e")]), ok("b")]).with(|flow| {
                flow.errors = vec![ok("f")];
                flow.finally = vec![ok("x")];
                flow.after_execution = vec![ok("y")];
            }),
            &["a[1]", "b[0]", "x[0]", "y[0]"],
            &["s=SUCCESS", "a=SUCCESS", "b=SUCCESS", "x=SUCCESS", "y=SUCCESS"],
        ),
        (
            "a loop",
            flow([each("e", 0, json!([1, 2]), [once("a"), ok("b")])]),
            &["a[1]", "a[1]", "b[0]", "b[0]"],
            &["e=SUCCESS", "a[1]=SUCCESS", "a[2]=SUCCESS", "b[1]=SUCCESS", "b[2]=SUCCESS"],
        ),
        (
            "a loop that did not get far",
            flow([each("e", 1, json!([1, 2]), [ok("a").run_if("{{ taskrun.value == '1' }}"), once("b")])]),
            &["b[1]", "b[0]"],
            &["e=FAILED", "a[1]=SUCCESS", "b[1]=SUCCESS", "a[2]=SKIPPED", "b[2]=FAILED"],
        ),
        (
            "a directory as a whole",
            flow([directory("w", [ok("a"), once("b")]), ok("c")]),
            &["w[2]", "a[0]", "b[0]", "w[3]"],
            &["w=FAILED", "a=SUCCESS", "b=FAILED"],
        ),
        (
            "what was allowed to fail is left alone",
            flow([allow("s", [once("a")]), once("b")]),
            &["b[1]"],
            &["s=WARNING", "a=FAILED", "b=SUCCESS"],
        ),
        (
            "a Dag",
            flow([dag("d", [(ok("a"), &[][..]), (once("b"), &["a"]), (ok("c"), &["b"])])]),
            &["b[1]", "c[0]"],
            &["d=SUCCESS", "a=SUCCESS", "b=SUCCESS", "c=SUCCESS"],
        ),
        (
            "only what cleans up",
            flow([seq("s", [ok("a")]).finally([once("x"), ok("y")]), ok("b")]),
            &["x[0]", "y[0]"],
            &["s=FAILED", "a=SUCCESS", "x=FAILED", "y=SUCCESS"],
        ),
        (
            "in an iteration",
            flow([until("u", "{{ outputs.u.iterationCount == 2 }}", 9, [ok("a"), once("b"), ok("c")])]),
            &["b[1]", "c[0]", "a[0]", "b[0]"],
            &["u=FAILED", "a=SUCCESS", "b=FAILED", "c=SUCCESS"],
        ),
        (
            "a branch that was chosen",
            flow([either("i", "true", vec![once("a")], vec![ok("b")])]),
            &["a[1]"],
            &["i=SUCCESS", "a=SUCCESS"],
        ),
    ];
    for (name, flow, asked, runs) in cases {
        let failed = World::finish(flow);
        assert_eq!(failed.state(), State::Failed, "{name}");
        let world = failed.restart();
        assert_eq!(world.asked, asked, "{name}");
        assert_eq!(world.runs(), runs, "{name}");
        assert_eq!(world.execution().id, failed.execution().id, "{name}");
        assert!(world.history().contains(&"RESTARTED"), "{name}");
        assert!(world.done, "{name}");
    }
}

#[test]
fn a_restart_has_its_retries_again() {
    let failed = World::finish(flow([flaky("a", 5).retry(constant(3))]));
    assert_eq!((failed.state(), failed.task_run("a").attempts.len()), (State::Failed, 3));
    let world = failed.restart();
    assert_eq!((world.state(), world.task_run("a").attempts.len()), (State::Success, 6));
}

#[test]
fn killed_executions_can_be_restarted() {
    let mut world = World::new(flow([par("p", 0, [ok("a"), pause("q", Some("PT1S"), [])]), ok("b")]));
    world.send(Event::Kill { reason: "test".into() });
    world.run();
    assert_eq!(world.runs(), ["p=KILLED", "a=KILLED", "q=KILLED"]);
    let world = world.restart();
    assert_eq!((world.state(), world.runs().len()), (State::Success, 4));
    assert!(world.execution().error.is_none());
}

#[test]
fn a_restart_can_be_killed_before_it_runs() {
    let failed = World::finish(flow([seq("s", [ok("a"), once("b")]), ok("c")]));
    let (flow, settings) = (failed.flow.clone(), failed.settings.clone());
    let machine =
        Machine::restart(flow.clone(), failed.execution().clone(), settings.clone(), failed.now).unwrap();
    let mut world = World::around(flow, settings, machine, failed.now);
    world.send(Event::Kill { reason: "test".into() });
    world.run();
    assert_eq!(world.runs(), ["s=KILLED", "a=SUCCESS", "b=KILLED"]);
    assert_eq!((world.state(), world.done), (State::Killed, true));
}

#[test]
fn what_cannot_be_restarted() {
    let settings = || Arc::new(Settings::default());
    let restart = |world: &World| {
        Machine::restart(world.flow.clone(), world.execution().clone(), settings(), world.now).map(drop)
    };
    let running = World::new(flow([ok("a")]));
    assert!(matches!(restart(&running), Err(RestartError::NotOver { state: State::Running, .. })));
    let over = World::finish(flow([ok("a")]));
    assert_eq!(restart(&over), Err(RestartError::NothingFailed("execution".into())));
    let replay = Replay { id: "replay".into(), flow_revision: 1, from: Some("nothing".into()) };
    let result = Machine::replay(over.flow.clone(), over.execution(), settings(), replay, over.now).map(drop);
    assert!(matches!(result, Err(RestartError::UnknownTaskRun { .. })));
}

#[test]
fn replays_take_over_what_came_before() {
    let tasks = || [ok("a"), each("e", 0, json!([1, 2]), [seq("s", [ok("b"), ok("c")])]), ok("d")];
    let world = World::finish(flow(tasks()));
    let cases: [(&str, usize, &[&str]); 5] = [
        ("a", 0, &["a[1]", "b[0]", "b[0]", "c[0]", "c[0]", "d[0]"]),
        ("e", 0, &["b[0]", "b[0]", "c[0]", "c[0]", "d[0]"]),
        ("s", 1, &["b[0]", "c[0]", "d[0]"]),
        ("c", 0, &["c[1]", "d[0]"]),
        ("d", 0, &["d[1]"]),
    ];
    for (task, index, asked) in cases {
        let mut of_task = world.execution().task_run_list.iter().filter(|run| run.task_id == task);
        let replay = world.replay(of_task.nth(index).unwrap());
        assert_eq!(
            (replay.state(), replay.asked.as_slice()),
            (State::Success, &asked.map_all()[..]),
            "{task}"
        );
        let execution = replay.execution();
        assert_eq!((execution.id.as_str(), execution.original_id.as_str()), ("replay", "execution"));
        assert_eq!(execution.flow_revision, 2);
        assert_eq!(execution.task_run_list.len(), world.execution().task_run_list.len(), "{task}");
        for run in &execution.task_run_list {
            assert_eq!(run.execution_id, "replay");
            assert!(world.execution().task_run_list.iter().all(|old| old.id != run.id), "{task}");
        }
    }
}

trait MapAll {
    fn map_all(&self) -> Vec<String>;
}

impl MapAll for &[&str] {
    fn map_all(&self) -> Vec<String> {
        self.iter().map(|text| text.to_string()).collect()
    }
}

#[test]
fn replays_from_the_start_and_in_other_shapes() {
    let world = World::finish(flow([
        dag("d", [(ok("a"), &[][..]), (ok("b"), &["a"]), (ok("c"), &["b"]), (ok("x"), &[])]),
        directory("w", [ok("e"), ok("f")]),
    ]));
    let replay = Replay { id: "replay".into(), flow_revision: 1, from: None };
    let whole = world
        .again(|flow, execution, settings| Machine::replay(flow, &execution, settings, replay, world.now));
    assert_eq!((whole.state(), whole.asked.len()), (State::Success, world.asked.len()));
    let from_b = world.replay(world.task_run("b"));
    assert_eq!(from_b.asked, ["b[1]", "c[0]", "w[0]", "e[0]", "f[0]", "w[1]"]);
    let from_f = world.replay(world.task_run("f"));
    assert_eq!(from_f.asked, ["w[2]", "e[0]", "f[0]", "w[3]"], "a directory is made again as a whole");
}

#[test]
fn a_state_changed_by_hand_lets_the_execution_go_on() {
    let world = World::finish(
        flow([seq("s", [fail("a"), ok("b")]), ok("c")]).with(|flow| flow.errors = vec![ok("e")]),
    );
    let id = world.task_run("a").id.clone();
    for (state, expected, runs) in [
        (State::Success, State::Success, &["s=SUCCESS", "a=SUCCESS", "b=SUCCESS", "c=SUCCESS"][..]),
        (State::Warning, State::Warning, &["s=WARNING", "a=WARNING", "b=SUCCESS", "c=SUCCESS"]),
        (State::Failed, State::Failed, &["s=FAILED", "a=FAILED", "e=SUCCESS"]),
    ] {
        let changed = world.again(|flow, execution, settings| {
            Machine::change_state(flow, execution, settings, &id, state, world.now)
        });
        assert_eq!((changed.state(), changed.runs()), (expected, runs.map_all()), "{state}");
    }
}

#[test]
fn a_restarted_engine_asks_again() {
    let tasks = [
        ok("a"),
        par("p", 0, [ok("b"), flaky("c", 1).retry(constant(2)), pause("q", Some("PT5S"), [])]),
        until("u", "{{ outputs.u.iterationCount == 2 }}", 9, [ok("d")]),
    ];
    let mut world = World::new(flow(tasks));
    world.crash();
    assert_eq!(world.asked, ["a[0]", "a[0]"], "the same attempt");
    let mut steps = 0;
    while world.step() {
        steps += 1;
        world.crash();
        assert!(steps < 100);
    }
    assert_eq!(world.state(), State::Success);
    assert_eq!(
        world.runs(),
        ["a=SUCCESS", "p=SUCCESS", "b=SUCCESS", "c=SUCCESS", "q=SUCCESS", "u=SUCCESS", "d=SUCCESS"]
    );
    assert_eq!(world.task_run("c").attempts.len(), 2);
}

#[test]
fn lost_tasks_may_count_as_failed() {
    let settings = Settings { lost_tasks: LostTasks::Fail, ..Settings::default() };
    let mut world =
        World::with_settings(flow([ok("a").retry(constant(2)), ok("b")]), settings, Start::default());
    world.crash();
    assert_eq!(world.state(), State::Retrying);
    world.run();
    assert_eq!(world.state(), State::Success);
    assert_eq!(world.task_run("a").attempts[0].failure.as_ref().unwrap().code, "engine.restarted");
}

#[test]
fn a_lost_directory_is_made_again() {
    let mut world =
        World::new(flow([ok("a"), directory("w", [ok("b"), seq("s", [ok("c"), ok("d")])]), ok("e")]));
    while !world.asked.contains(&"d[0]".to_owned()) {
        world.step();
    }
    let before: Vec<_> = world.execution().task_run_list.iter().map(|run| run.id.clone()).collect();
    world.crash();
    assert_eq!(world.runs(), ["a=SUCCESS", "w=RUNNING"]);
    assert!(world.logs.iter().any(|line| line.contains("the working directory is made again")));
    world.run();
    assert_eq!(world.state(), State::Success);
    let after: Vec<_> = world.execution().task_run_list.iter().map(|run| run.id.clone()).collect();
    assert_eq!(&after[..before.len()], before, "the same task runs");
    assert_eq!(world.asked.iter().filter(|asked| *asked == "b[0]").count(), 2);
}

#[test]
fn loops_forget_what_iterations_before_ran() {
    let task = until(
        "u",
        "{{ outputs.u.iterationCount == 3 }}",
        9,
        [seq("s", [ok("a"), ok("b")]), each("e", 1, json!(["x", "y"]), [ok("c")])],
    );
    let whole = World::finish(flow([task.clone()]));
    let mut world = World::new(flow([task]));
    let mut asked = 0;
    // A frozen clock: dates alone must still tell the iterations apart.
    while !world.done {
        let now = world.now;
        assert!(world.step());
        world.now = now;
        let before = world.requests.len();
        world.crash();
        assert_eq!(world.requests.len(), before, "{:?}", world.runs());
        asked += 1;
        assert!(asked < 100, "{:?}", world.runs());
    }
    assert_eq!(world.runs(), whole.runs());
    let count = |world: &World, name: &str| {
        let mut asked = world.asked.clone();
        asked.dedup();
        asked.iter().filter(|asked| *asked == name).count()
    };
    assert_eq!(count(&world, "b[0]"), count(&whole, "b[0]"));
}

#[test]
fn pauses_remember_how_they_ended() {
    let task = pause("p", Some("PT1S"), [ok("a")]).shape(|shape| match shape {
        Shape::Pause(pause) => {
            pause.behavior = weft_flow::PauseBehavior::Warn;
            pause.on_pause = Some(Box::new(ok("tell")));
        }
        _ => unreachable!(),
    });
    let mut world = World::new(flow([task]));
    world.requests.clear();
    world.step();
    world.crash();
    world.run();
    assert_eq!((world.state(), world.runs().len()), (State::Warning, 3));
}

#[test]
fn a_pause_whose_timeout_is_over_has_failed_after_a_crash_too() {
    let task = pause("p", None, []).errors([ok("e")]).with(|task| task.timeout = Some("PT0.5S".into()));
    let mut world = World::new(flow([task]));
    world.crash();
    assert_eq!(world.timers.len(), 1);
    world.step();
    assert_eq!(world.runs(), ["p=RUNNING", "e=RUNNING"]);
    world.crash();
    world.run();
    assert_eq!((world.state(), world.runs()), (State::Failed, vec!["p=FAILED".into(), "e=SUCCESS".into()]));
}

#[test]
fn a_pause_that_nobody_heard_of_can_be_restarted() {
    let task = pause("p", Some("PT1S"), []).shape(|shape| match shape {
        Shape::Pause(pause) => {
            pause.behavior = weft_flow::PauseBehavior::Fail;
            pause.on_pause = Some(Box::new(once("tell")));
        }
        _ => unreachable!(),
    });
    let world = World::finish(flow([task]));
    assert_eq!(world.runs(), ["p=FAILED", "tell=FAILED"]);
    assert_eq!(world.restart().runs(), ["p=SUCCESS", "tell=SUCCESS"]);
}
