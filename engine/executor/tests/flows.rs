//! Whole flows: how many task runs, in which states, in which order.

mod support;

use serde_json::json;
use support::World;
use support::build::*;
use weft_flow::{Flow, Shape, Task};
use weft_model::State;

/// A flow, its final state and its task runs in the order in which they began.
struct Case {
    name: &'static str,
    flow: Flow,
    state: State,
    runs: &'static [&'static str],
}

fn case(
    name: &'static str,
    tasks: impl IntoIterator<Item = Task>,
    state: State,
    runs: &'static [&'static str],
) -> Case {
    Case { name, flow: flow(tasks), state, runs }
}

fn check(cases: impl IntoIterator<Item = Case>) {
    for Case { name, flow, state, runs } in cases {
        let world = World::finish(flow);
        assert_eq!(world.runs(), runs, "{name}: {:#?}", world.logs);
        assert_eq!(world.state(), state, "{name}");
        assert_eq!((world.ended.as_slice(), world.done), (&[state][..], true), "{name}");
        assert!(world.machine.is_done(), "{name}");
    }
}

use State::{Failed, Killed, Success, Warning};

#[test]
fn sequences() {
    check([
        case("nothing enabled", [ok("a").disabled()], Success, &[]),
        case("in a row", [ok("a"), ok("b").disabled(), ok("c")], Success, &["a=SUCCESS", "c=SUCCESS"]),
        case("stops at a failure", [ok("a"), fail("b"), ok("c")], Failed, &["a=SUCCESS", "b=FAILED"]),
        case(
            "nested, stops at a failure",
            [seq("s", [ok("a"), seq("t", [fail("b"), ok("c")]), ok("d")]), ok("e")],
            Failed,
            &["s=FAILED", "a=SUCCESS", "t=FAILED", "b=FAILED"],
        ),
        case(
            "empty flowables",
            [seq("s", []), par("p", 0, []), ok("a")],
            Success,
            &["s=SUCCESS", "p=SUCCESS", "a=SUCCESS"],
        ),
        case(
            "a warning",
            [script("a", json!({"state": "WARNING"})), ok("b")],
            Warning,
            &["a=WARNING", "b=SUCCESS"],
        ),
        case(
            "killed by something else",
            [seq("s", [script("a", json!({"state": "KILLED"})), ok("b")])],
            Killed,
            &["s=KILLED", "a=KILLED"],
        ),
        case(
            "a worker that says nonsense",
            [script("a", json!({"state": "RUNNING"})), ok("b")],
            Failed,
            &["a=FAILED"],
        ),
    ]);
}

#[test]
fn failures_that_are_allowed() {
    let allowed =
        |id: &str, warning| fail(id).with(|task| (task.allow_failure, task.allow_warning) = (true, warning));
    check([
        case("allowFailure", [allowed("a", false), ok("b")], Warning, &["a=WARNING", "b=SUCCESS"]),
        case("and allowWarning", [allowed("a", true), ok("b")], Success, &["a=SUCCESS", "b=SUCCESS"]),
        case(
            "allowFailure on a flowable",
            [seq("s", [fail("a"), ok("b")]).with(|task| task.allow_failure = true), ok("c")],
            Warning,
            &["s=WARNING", "a=FAILED", "c=SUCCESS"],
        ),
        case(
            "AllowFailure",
            [allow("s", [fail("a"), ok("b")]), ok("c")],
            Warning,
            &["s=WARNING", "a=FAILED", "c=SUCCESS"],
        ),
        case(
            "AllowFailure with errors",
            [allow("s", [fail("a")]).errors([ok("e")]), ok("c")],
            Warning,
            &["s=WARNING", "a=FAILED", "e=SUCCESS", "c=SUCCESS"],
        ),
        case(
            "errors do not run for a failure that is allowed",
            [seq("s", [allowed("a", false)]).errors([ok("e")])],
            Warning,
            &["s=WARNING", "a=WARNING"],
        ),
    ]);
}

#[test]
fn conditions() {
    check([
        case(
            "runIf",
            [
                put("a", "1"),
                ok("b").run_if("{{ outputs.a.value == '1' }}"),
                ok("c").run_if("0"),
                ok("d").run_if(""),
            ],
            Success,
            &["a=SUCCESS", "b=SUCCESS", "c=SKIPPED", "d=SKIPPED"],
        ),
        case(
            "runIf that cannot be evaluated",
            [ok("a").run_if("{{ outputs.missing.x }}"), ok("b")],
            Failed,
            &["a=FAILED"],
        ),
        case(
            "runIf on a flowable",
            [seq("s", [ok("a")]).run_if("false"), seq("t", [ok("b").run_if("false")])],
            Success,
            &["s=SKIPPED", "t=SUCCESS", "b=SKIPPED"],
        ),
        case(
            "If",
            [
                either("i", "true", vec![ok("a")], vec![ok("b")]),
                either("j", "false", vec![ok("c")], vec![ok("d")]),
                either("k", "0", vec![ok("e")], vec![]),
            ],
            Success,
            &["i=SUCCESS", "a=SUCCESS", "j=SUCCESS", "d=SUCCESS", "k=SUCCESS"],
        ),
        case(
            "conditions in YAML blocks, which end with a line break",
            [
                either("i", " {{ 1 == 2 }}\n", vec![ok("a")], vec![ok("b")]),
                either("j", "{{ 1 == 1 }}\n", vec![ok("c")], vec![ok("d")]),
                ok("e").run_if("{{ false }}\n"),
                ok("f").run_if("  "),
                until("u", "{{ outputs.u.iterationCount == 2 }}\n", 5, [ok("g")]),
                put("h", "{{ outputs.u.iterationCount }}"),
            ],
            Success,
            &[
                "i=SUCCESS",
                "b=SUCCESS",
                "j=SUCCESS",
                "c=SUCCESS",
                "e=SKIPPED",
                "f=SKIPPED",
                "u=SUCCESS",
                "g=SUCCESS",
                "h=SUCCESS",
            ],
        ),
        case(
            "If that cannot be evaluated",
            [either("i", "{{ nothing.x }}", vec![ok("a")], vec![])],
            Failed,
            &["i=FAILED"],
        ),
        case(
            "Switch",
            [
                switch("s", "B", [("A", vec![ok("a")]), ("B", vec![ok("b")])], Some(vec![ok("c")])),
                switch("t", "C", [("A", vec![ok("d")])], Some(vec![ok("e")])),
            ],
            Success,
            &["s=SUCCESS", "b=SUCCESS", "t=SUCCESS", "e=SUCCESS"],
        ),
        case(
            "Switch without a match",
            [switch("s", "C", [("A", vec![ok("a")])], None), ok("b")],
            Failed,
            &["s=FAILED"],
        ),
        case(
            "a failure in a Switch",
            [switch("s", "A", [("A", vec![fail("a"), ok("b")])], None)],
            Failed,
            &["s=FAILED", "a=FAILED"],
        ),
    ]);
}

#[test]
fn many_at_once() {
    check([
        case(
            "parallel in parallel",
            [
                par(
                    "p",
                    0,
                    [
                        ok("a"),
                        ok("b"),
                        par("q", 0, [ok("c"), seq("s", [ok("d"), ok("e")]), ok("f")]),
                        ok("g"),
                    ],
                ),
                ok("h"),
            ],
            Success,
            &[
                "p=SUCCESS",
                "a=SUCCESS",
                "b=SUCCESS",
                "q=SUCCESS",
                "g=SUCCESS",
                "c=SUCCESS",
                "s=SUCCESS",
                "f=SUCCESS",
                "d=SUCCESS",
                "e=SUCCESS",
                "h=SUCCESS",
            ],
        ),
        case(
            "all have begun before one fails",
            [par("p", 0, [fail("a"), ok("b")]), ok("c")],
            Failed,
            &["p=FAILED", "a=FAILED", "b=SUCCESS"],
        ),
        case(
            "nothing begins after a failure",
            [par("p", 1, [ok("a"), fail("b"), ok("c")])],
            Failed,
            &["p=FAILED", "a=SUCCESS", "b=FAILED"],
        ),
        case(
            "a Dag",
            [dag(
                "d",
                [
                    (ok("c"), &["a", "b"][..]),
                    (ok("a"), &[]),
                    (ok("b"), &["a"]),
                    (ok("x").disabled(), &[]),
                    (ok("e"), &["x"]),
                ],
            )],
            Success,
            &["d=SUCCESS", "a=SUCCESS", "e=SUCCESS", "b=SUCCESS", "c=SUCCESS"],
        ),
        case(
            "a failure in a Dag",
            [dag("d", [(fail("a"), &[][..]), (ok("b"), &["a"]), (ok("c"), &[])])],
            Failed,
            &["d=FAILED", "a=FAILED", "c=SUCCESS"],
        ),
    ]);
}

#[test]
fn loops() {
    check([
        case(
            "one after the other",
            [each("e", 1, json!(["x", "y"]), [ok("a"), ok("b")]), ok("c")],
            Success,
            &["e=SUCCESS", "a[x]=SUCCESS", "b[x]=SUCCESS", "a[y]=SUCCESS", "b[y]=SUCCESS", "c=SUCCESS"],
        ),
        case(
            "all at once",
            [each("e", 0, json!("[1, 2, 3]"), [ok("a"), ok("b")])],
            Success,
            &[
                "e=SUCCESS",
                "a[1]=SUCCESS",
                "a[2]=SUCCESS",
                "a[3]=SUCCESS",
                "b[1]=SUCCESS",
                "b[2]=SUCCESS",
                "b[3]=SUCCESS",
            ],
        ),
        case(
            "two at a time",
            [each("e", 2, json!([1, 2, 3]), [ok("a"), ok("b")])],
            Success,
            &[
                "e=SUCCESS",
                "a[1]=SUCCESS",
                "a[2]=SUCCESS",
                "b[1]=SUCCESS",
                "b[2]=SUCCESS",
                "a[3]=SUCCESS",
                "b[3]=SUCCESS",
            ],
        ),
        case(
            "tasks at once, too",
            [each_parallel("e", json!([1, 2]), [ok("a"), ok("b")])],
            Success,
            &["e=SUCCESS", "a[1]=SUCCESS", "b[1]=SUCCESS", "a[2]=SUCCESS", "b[2]=SUCCESS"],
        ),
        case(
            "objects become texts, values are taken once",
            [each("e", 1, json!([{"k": 1}, "x", "x"]), [ok("a")])],
            Success,
            &["e=SUCCESS", r#"a[{"k":1}]=SUCCESS"#, "a[x]=SUCCESS"],
        ),
        case("no values", [each("e", 1, json!([]), [ok("a")])], Success, &["e=SUCCESS"]),
        case("null", [each("e", 1, json!("[1, null]"), [ok("a")]), ok("b")], Failed, &["e=FAILED"]),
        case(
            "a failure ends the loop",
            [each("e", 1, json!([1, 2]), [fail("a"), ok("b")])],
            Failed,
            &["e=FAILED", "a[1]=FAILED"],
        ),
        case(
            "a loop in a loop",
            [each("e", 1, json!([1, 2]), [each("f", 1, json!(["x", "y"]), [ok("a")])])],
            Success,
            &[
                "e=SUCCESS",
                "f[1]=SUCCESS",
                "a[x]=SUCCESS",
                "a[y]=SUCCESS",
                "f[2]=SUCCESS",
                "a[x]=SUCCESS",
                "a[y]=SUCCESS",
            ],
        ),
        case(
            "a condition in a loop",
            [each(
                "e",
                1,
                json!(["1", "2"]),
                [
                    ok("a"),
                    either(
                        "i",
                        "{{ taskrun.value == '2' }}",
                        vec![put("b", "{{ parent.taskrun.value }}")],
                        vec![],
                    ),
                ],
            )],
            Success,
            &["e=SUCCESS", "a[1]=SUCCESS", "i[1]=SUCCESS", "a[2]=SUCCESS", "i[2]=SUCCESS", "b=SUCCESS"],
        ),
        case(
            "allowed failures in a loop",
            [
                each("e", 1, json!(["1", "2"]), [ok("a"), allow("f", [put("b", "{{ outputs.nothing.x }}")])]),
                ok("c"),
            ],
            Warning,
            &[
                "e=WARNING",
                "a[1]=SUCCESS",
                "f[1]=WARNING",
                "b=FAILED",
                "a[2]=SUCCESS",
                "f[2]=WARNING",
                "b=FAILED",
                "c=SUCCESS",
            ],
        ),
    ]);
}

#[test]
fn loops_until_a_condition_holds() {
    let counted =
        |condition: &str, most| until("u", condition, most, [put("a", "{{ taskrun.iteration }}"), ok("b")]);
    for (task, iterations, state) in [
        (counted("true", 10), 1, Success),
        (counted("{{ outputs.a.value == '2' }}", 10), 3, Success),
        (counted("{{ outputs.u.iterationCount == 2 }}", 10), 2, Success),
        (counted("false", 4), 4, Success),
        (
            counted("false", 4).shape(|shape| match shape {
                Shape::LoopUntil(until) => until.fail_on_max_reached = true,
                _ => unreachable!(),
            }),
            4,
            Failed,
        ),
    ] {
        let world = World::finish(flow([task]));
        assert_eq!(world.state(), state);
        assert_eq!(world.task_run("u").output("iterationCount"), Some(&json!(iterations)));
        assert_eq!(world.value("a"), (iterations - 1).to_string());
        assert_eq!(world.execution().task_run_list.len(), 3, "iterations share their task runs");
        let requests = world.asked.iter().filter(|asked| *asked == "a[0]").count();
        assert_eq!(requests, iterations);
        let seconds = world.now.duration_since(world.execution().state.start_date()).as_secs();
        assert_eq!(seconds, iterations as i64 - 1);
    }
    check([
        case(
            "a failure ends the loop",
            [until("u", "false", 9, [fail("a")])],
            Failed,
            &["u=FAILED", "a=FAILED"],
        ),
        case(
            "another branch each time",
            [until(
                "u",
                "{{ outputs.u.iterationCount == 2 }}",
                9,
                [either(
                    "i",
                    "{{ taskrun.iteration == 0 }}",
                    vec![ok("a")],
                    vec![script("b", json!({"state": "WARNING"}))],
                )],
            )],
            Warning,
            &["u=WARNING", "i=WARNING", "a=SUCCESS", "b=WARNING"],
        ),
    ]);
}

#[test]
fn errors_and_finally() {
    check([
        case("of the flow", [], Failed, &["a=FAILED", "e=SUCCESS", "f=SUCCESS", "x=SUCCESS", "y=SUCCESS"])
            .with_flow(|flow| {
                flow.tasks = vec![fail("a"), ok("b")];
                flow.errors = vec![ok("e"), ok("never").disabled(), ok("f")];
                flow.finally = vec![ok("x")];
                flow.after_execution = vec![ok("y")];
            }),
        case("not needed", [], Success, &["a=SUCCESS", "x=SUCCESS"]).with_flow(|flow| {
            flow.tasks = vec![ok("a")];
            flow.errors = vec![ok("e")];
            flow.finally = vec![ok("x")];
        }),
        case(
            "of both levels",
            [],
            Failed,
            &["s=FAILED", "a=SUCCESS", "b=FAILED", "e=SUCCESS", "f=SUCCESS", "g=SUCCESS"],
        )
        .with_flow(|flow| {
            flow.tasks = vec![seq("s", [ok("a"), fail("b"), ok("c")]).errors([ok("e")]).finally([ok("f")])];
            flow.errors = vec![ok("g")];
        }),
        case(
            "a failure in errors stops nothing",
            [],
            Failed,
            &["a=FAILED", "e=FAILED", "f=SUCCESS", "x=SUCCESS"],
        )
        .with_flow(|flow| {
            flow.tasks = vec![fail("a")];
            flow.errors = vec![fail("e"), ok("f")];
            flow.finally = vec![ok("x")];
        }),
        case("a failure in finally counts", [], Failed, &["a=SUCCESS", "x=FAILED", "y=SUCCESS"]).with_flow(
            |flow| {
                flow.tasks = vec![ok("a")];
                flow.finally = vec![fail("x"), ok("y")];
            },
        ),
        case("a failure after the end does not", [], Success, &["a=SUCCESS", "y=FAILED", "z=SUCCESS"])
            .with_flow(|flow| {
                flow.tasks = vec![ok("a")];
                flow.after_execution = vec![fail("y"), ok("z")];
            }),
        case("deep errors", [], Failed, &["a=FAILED", "p=SUCCESS", "q=SUCCESS", "b=SUCCESS"]).with_flow(
            |flow| {
                flow.tasks = vec![fail("a")];
                flow.errors = vec![par("p", 0, [par("q", 0, [ok("b")])])];
            },
        ),
        case(
            "finally of flowables",
            [
                seq("s", [ok("a")]).finally([ok("x")]),
                par("p", 0, [fail("b"), ok("c")]).errors([ok("e")]).finally([ok("y")]),
            ],
            Failed,
            &[
                "s=SUCCESS",
                "a=SUCCESS",
                "x=SUCCESS",
                "p=FAILED",
                "b=FAILED",
                "c=SUCCESS",
                "e=SUCCESS",
                "y=SUCCESS",
            ],
        ),
    ]);
}

impl Case {
    fn with_flow(mut self, change: impl FnOnce(&mut Flow)) -> Self {
        change(&mut self.flow);
        self
    }
}

#[test]
fn working_directories() {
    check([
        case(
            "in order",
            [directory("w", [ok("a"), ok("b").disabled(), ok("c")]), ok("d")],
            Success,
            &["w=SUCCESS", "a=SUCCESS", "c=SUCCESS", "d=SUCCESS"],
        ),
        case(
            "stops at a failure, errors follow",
            [directory("w", [fail("a"), ok("b")]).errors([ok("e")]).finally([ok("f")]), ok("d")],
            Failed,
            &["w=FAILED", "a=FAILED", "e=SUCCESS", "f=SUCCESS"],
        ),
        case(
            "goes on after a failure that is allowed",
            [directory("w", [fail("a").with(|task| task.allow_failure = true), ok("b")])],
            Warning,
            &["w=WARNING", "a=WARNING", "b=SUCCESS"],
        ),
        case(
            "flowables inside",
            [directory("w", [each("e", 1, json!(["x"]), [ok("a")]), par("p", 0, [ok("b"), ok("c")])])],
            Success,
            &["w=SUCCESS", "e=SUCCESS", "a[x]=SUCCESS", "p=SUCCESS", "b=SUCCESS", "c=SUCCESS"],
        ),
    ]);
}

#[test]
fn subflows() {
    let calls = |state: &str| subflow("s", state);
    let detached = |state: &str| {
        calls(state).shape(|shape| match shape {
            Shape::Subflow(subflow) => subflow.transmit_failed = false,
            _ => unreachable!(),
        })
    };
    check([
        case("success", [calls("success"), ok("a")], Success, &["s=SUCCESS", "a=SUCCESS"]),
        case("warning", [calls("warning"), ok("a")], Warning, &["s=WARNING", "a=SUCCESS"]),
        case("failed", [calls("failed"), ok("a")], Failed, &["s=FAILED"]),
        case("cancelled", [calls("cancelled"), ok("a")], Failed, &["s=FAILED"]),
        case("killed", [calls("killed"), ok("a")], Killed, &["s=KILLED"]),
        case("failed, not transmitted", [detached("failed"), ok("a")], Success, &["s=SUCCESS", "a=SUCCESS"]),
        case(
            "batches",
            [each_item("i", "3", "success"), ok("a")],
            Success,
            &["i=SUCCESS", "i_items=SUCCESS", "i_items=SUCCESS", "i_items=SUCCESS", "a=SUCCESS"],
        ),
        case("no batches", [each_item("i", "0", "success")], Success, &["i=SUCCESS"]),
        case(
            "batches that fail",
            [each_item("i", "2", "failed").errors([ok("e")])],
            Failed,
            &["i=FAILED", "i_items=FAILED", "i_items=FAILED", "e=SUCCESS"],
        ),
    ]);
}
