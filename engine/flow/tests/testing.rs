//! Test files: what is read of them, and what is wrong with them.

mod common;

use common::{Plugins, flow};
use weft_flow::testing::{FixtureTarget, FlowTests, Subject, TestFiles, check_tests, tests_schema};
use weft_flow::{Diagnostic, ParseOptions, Severity, Validator};
use weft_model::State;

const FLOW: &str = "
id: f
namespace: n
inputs:
  - {id: count, type: INT, required: false}
  - {id: orders, type: FILE, required: false}
  - {id: a.b, type: STRING, required: false}
tasks:
  - id: extract
    type: org.example.shell.Commands
    commands: [x]
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a, b]
    tasks:
      - id: load
        type: org.example.old.Log
        message: x
triggers:
  - id: files
    type: org.example.files.Trigger
    path: x
";

struct Files;

impl TestFiles for Files {
    fn problem(&self, path: &str) -> Option<String> {
        (path != "there.csv").then(|| format!("there is no file `{path}`"))
    }
}

fn read(source: &str) -> (Option<FlowTests>, Vec<Diagnostic>) {
    let plugins = Plugins::new();
    let (tests, mut found) = Validator::new(&plugins).parse_tests(source, &ParseOptions::default());
    if let Some(tests) = &tests {
        found.extend(check_tests(tests, &flow(FLOW), &plugins, &Files));
    }
    found.sort_by_key(|diagnostic| diagnostic.span.start);
    (tests, found)
}

/// A file with one case of these lines, which begin in line 6.
fn case(lines: &str) -> String {
    format!("id: t\nnamespace: n\nflowId: f\ntestCases:\n  - id: c\n{lines}")
}

fn lines(found: &[Diagnostic]) -> String {
    let line = |diagnostic: &Diagnostic| {
        let start = diagnostic.span.start;
        let mark = if diagnostic.severity == Severity::Warning { "~" } else { "" };
        let hint = diagnostic.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
        format!("{mark}{}:{} {} {}{hint}", start.line, start.column, diagnostic.code, diagnostic.message)
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (source, expected) in cases {
        let source = case(source);
        let found = lines(&read(&source).1);
        if found != *expected {
            wrong += &format!("{source}found:\n{found}\nexpected:\n{expected}\n\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn everything_that_can_be_said() {
    let source = "
id: t
flow: f.yaml
fixtures:
  inputs: {count: 1}
  secrets: {KEY: common, OTHER: x}
  tasks:
    - {id: extract, outputs: {vars: {n: 0}}}
testCases:
  - id: one
    type: io.kestra.core.tests.flow.UnitTest
    description: about it
    timeout: PT10S
    realTime: true
    state: [SUCCESS, WARNING]
    fixtures:
      inputs:
        orders: {path: there.csv}
        a.b: \"{{ 'x' }}\"
      files: {a/b.txt: text, empty: null, c.csv: {path: there.csv}}
      secrets: {KEY: own}
      kv: [{namespace: other, key: k, value: [1]}]
      envs: {region: eu}
      labels: {l: v}
      trigger: {id: files, variables: {date: \"{{ flow.id }}\"}}
      others: FAIL
      tasks:
        - {type: org.example.*, outputFiles: {f: 1}, logs: [a, {level: WARN, message: b}]}
        - {id: load, value: [a], attempts: [{error: no}, {metrics: [{name: m, value: 2, tags: {t: 1}}]}]}
    assertions:
      - {value: \"{{ outputs.extract.vars.n }}\", greaterThan: 0, in: [1, 2], errorMessage: e, description: d}
      - {metric: m, taskId: load, tags: {t: 1}, isNotNull: true}
      - {log: \"{{ flow.id }}\", level: WARN, times: 0}
      - {taskId: load, state: FAILED, attempts: 2, runs: 1, error: {matches: \"^no$\"}}
      - {value: \"{{ taskruns.load[0].state ~ logs ~ metrics }}\", notEqualTo: x}
  - id: two
    disabled: true
    refused: true
";
    let (tests, found) = read(source);
    assert_eq!(lines(&found), "");
    let tests = tests.unwrap();
    assert_eq!(tests.flow.path.as_deref(), Some("f.yaml"));
    let [one, two] = &tests.cases[..] else { panic!("{:?}", tests.cases.len()) };
    let fixtures = &one.fixtures;
    assert_eq!(fixtures.inputs.keys().collect::<Vec<_>>(), ["orders", "a.b", "count"]);
    assert_eq!((fixtures.secrets["KEY"].as_str(), fixtures.secrets["OTHER"].as_str()), ("own", "x"));
    let targets: Vec<_> = fixtures.tasks.iter().map(|fixture| fixture.target.clone()).collect();
    let id = |id: &str| FixtureTarget::Id(id.to_owned());
    assert_eq!(
        targets,
        [FixtureTarget::Type("org.example.*".to_owned()), id("load"), id("extract")],
        "those of the case come first"
    );
    let attempts = &fixtures.tasks[1].answers;
    assert_eq!((attempts[0].state, attempts[1].state), (State::Failed, State::Success));
    assert!(matches!(&one.assertions[2].subject, Subject::Log { times: Some(0), .. }));
    assert!(two.disabled && two.refused.as_deref() == Some(""));
}

#[test]
fn mistakes_in_the_file_itself() {
    for (source, expected) in [
        (
            "testCases: []\n",
            "1:1 missing-property the test file has no property `id` (add `id: a-unique-name`)\n\
             1:1 missing-property the test file has no property `namespace` (add `namespace: company.team`)\n\
             1:1 missing-property the test file has no property `flowId` (add `flowId: a-flow`)\n\
             1:12 missing-property expected at least one of test cases, found an empty list (add one: `- id: a-case` and, \
             below it, its `assertions`)",
        ),
        (
            "id: t\nflow: f\ntestcases:\n  - id: a\n",
            "3:1 unknown-property unknown property `testcases` of the test file (did you mean `testCases`?)",
        ),
        (
            "id: t\nflow: f\nnamespace: m\nflowId: g\ntestCases:\n  - id: a\n  - id: a\n",
            "2:7 invalid-value the flow in this file is `n.f` (write `namespace: n` and `flowId: f`, or leave it out: `flow` \
             names the flow)\n\
             7:9 duplicate-id two test cases have the id `a` (rename one of the two)",
        ),
    ] {
        let (_, mut found) = read(source);
        found.dedup();
        assert_eq!(lines(&found), expected, "\n{source}");
    }
}

#[test]
fn mistakes_in_fixtures() {
    check(&[
        (
            "    fixtures:\n      task: []\n",
            "7:7 unknown-property unknown property `task` of `fixtures` (did you mean `tasks`?)",
        ),
        (
            "    fixtures:\n      tasks:\n        - id: extrct\n",
            "8:15 unknown-task the flow has no task `extrct` (did you mean `extract`?)",
        ),
        (
            "    fixtures:\n      tasks:\n        - type: org.example.log.Lg\n",
            "8:17 unknown-task the flow has no task of the type `org.example.log.Lg` (did you mean `org.example.old.Log`?)",
        ),
        (
            "    fixtures:\n      tasks:\n        - outputs: {}\n",
            "8:11 missing-property this fixture names no task (add `id: TASK`, or `type: TYPE` for all tasks of a type)",
        ),
        (
            "    fixtures:\n      tasks:\n        - {id: extract, type: x}\n",
            "8:31 invalid-value the fixture of a task has either `id` or `type`",
        ),
        (
            "    fixtures:\n      tasks:\n        - id: extract\n        - id: extract\n",
            "9:15 duplicate-id a second fixture for the same task (remove one of the two, say for which loop `value` \
             each is, or list what the attempts come to in `attempts`)",
        ),
        (
            "    fixtures:\n      tasks:\n        - {id: extract, state: SUCESS}\n",
            "8:32 invalid-value expected one of `SUCCESS`, `WARNING`, `FAILED` or `KILLED`, found `SUCESS` \
             (did you mean `SUCCESS`?)",
        ),
        (
            "    fixtures:\n      tasks:\n        - {id: extract, state: SUCCESS, error: no}\n",
            "8:48 invalid-value a task that ends in SUCCESS has no `error`",
        ),
        (
            "    fixtures:\n      tasks:\n        - {id: extract, outputs: {}, attempts: [{}]}\n",
            "8:25 invalid-value `outputs` stands beside `attempts` (move it into each attempt that it is for; the last \
             attempt is also what further ones come to)",
        ),
        (
            "    fixtures:\n      tasks:\n        - {id: extract, outputs: {exitcode: 1}}\n",
            "~8:35 undefined-output the task `extract` has no output `exitcode` (did you mean `exitCode`?)",
        ),
        (
            "    fixtures:\n      tasks:\n        - id: extract\n          outputs: {vars: \"{{ outputs.ech }}\"}\n",
            "9:39 undefined-output the flow has no task `ech` (did you mean `each`?)",
        ),
        (
            "    fixtures:\n      inputs: {cont: 1}\n",
            "7:16 undefined-input the flow has no input `cont` (did you mean `count`?)",
        ),
        (
            "    fixtures:\n      inputs: {count: many}\n",
            "7:16 invalid-value the flow does not take this value for `count`: it must be a whole number of 32 bits (a case for \
             inputs that the flow does not take says `refused: true`)",
        ),
        ("    refused: true\n    fixtures:\n      inputs: {count: many, other: 1}\n", ""),
        (
            "    fixtures:\n      inputs: {orders: {path: gone.csv}}\n      files: {a: {path: gone.sql}, b: [1]}\n",
            "7:16 missing-file there is no file `gone.csv` (paths are relative to the folder of the test file)\n\
             8:18 missing-file there is no file `gone.sql` (paths are relative to the folder of the test file)\n\
             8:39 invalid-value expected the file's content as text, or `path: FILE`",
        ),
        (
            "    fixtures:\n      trigger: {id: file}\n",
            "7:21 invalid-value the flow has no trigger `file` (did you mean `files`?)",
        ),
        (
            "    fixtures:\n      triggers: [{id: files}, {id: files}]\n",
            "7:31 invalid-value an execution is started by one trigger, found several",
        ),
    ]);
}

#[test]
fn mistakes_in_assertions() {
    check(&[
        (
            "    assertions:\n      - value: \"{{ 1 }}\"\n        equalsTo: 1\n",
            "8:9 unknown-property unknown property `equalsTo` of this assertion (did you mean `equalTo`?)",
        ),
        (
            "    assertions:\n      - description: x\n",
            "7:9 missing-property this assertion looks at nothing (write `value` with an operator such as `equalTo`, or \
             `metric`, `log` or `state`)",
        ),
        (
            "    assertions:\n      - {value: 1, equalTo: 1, log: x}\n",
            "7:37 invalid-value an assertion has either `value` or `log`",
        ),
        (
            "    assertions:\n      - {log: x, equalTo: 1}\n",
            "7:18 invalid-value `equalTo` does not go with `log` (write it below: `log: {equalTo: ...}`)",
        ),
        (
            "    assertions:\n      - {runs: 1}\n",
            "7:10 invalid-value `runs` says nothing without `taskId` (add `taskId`, or remove `runs`)",
        ),
        (
            "    assertions:\n      - {value: x, level: INFO, isNull: true}\n",
            "7:20 invalid-value `level` says nothing without `log` (add `log`, or remove `level`)",
        ),
        (
            "    assertions:\n      - {value: x, matches: \"(\"}\n",
            "7:29 invalid-regex not a regular expression: Parsing error at position 1: Opening parenthesis without closing parenthesis",
        ),
        (
            "    assertions:\n      - {value: x, isNull: maybe}\n      - {value: x, in: 3}\n      - {value: x, lessThan: [1]}\n",
            "7:28 wrong-type expected `true` or `false`, found a string\n\
             8:24 wrong-type expected a list of values, found a number\n\
             9:30 wrong-type expected a number or a text, found a list",
        ),
        (
            "    assertions:\n      - {taskId: lod, state: FAILED}\n",
            "7:18 unknown-task the flow has no task `lod` (did you mean `load`?)",
        ),
        (
            "    assertions:\n      - value: \"{{ outputs.lod.x }} {{ taskruns.lod }} {{ inputs.cont }} {{ lgs }} {{ inputs.a.b }}\"\n        equalTo: 1\n",
            "7:28 undefined-output the flow has no task `lod` (did you mean `load`?)\n\
             7:49 unknown-task the flow has no task `lod` (did you mean `load`?)\n\
             7:66 undefined-input the flow has no input `cont` (did you mean `count`?)\n\
             ~7:77 undefined-variable nothing is known of a variable `lgs` (did you mean `logs`?)",
        ),
        (
            "    refused: true\n    state: FAILED\n",
            "7:12 invalid-value there is no execution when the inputs are refused, so no `state` (remove `refused` or `state`)",
        ),
    ]);
}

#[test]
fn the_schema_is_one_and_takes_what_the_reader_takes() {
    let schema = jsonschema::validator_for(&tests_schema()).unwrap();
    let json = |source: &str| weft_flow::yaml_to_json(source, &ParseOptions::default()).unwrap();
    for (source, valid) in [
        (case("    state: FAILED\n    assertions: [{value: x, equalTo: 1}]\n"), true),
        (case("    fixtures: {tasks: [{id: a, attempts: [{error: x}]}], trigger: {variables: {}}}\n"), true),
        (case("    fixtures: {files: {a: 1, b: {path: x}}}\n    refused: text\n"), true),
        (case("    assertions: [{log: {matches: x}}, {taskId: a, runs: 0}]\n"), true),
        (case("    assertion: []\n"), false),
        (case("    fixtures: {tasks: [{outputs: {}}]}\n"), false),
        (case("    assertions: [{value: x, isNull: 1}]\n"), false),
        ("id: t\ntestCases: [{id: a}]\n".to_owned(), false),
    ] {
        assert_eq!(schema.is_valid(&json(&source)), valid, "{source}");
    }
}
