//! Which cases are run, and the reports.

use std::process::Stdio;

use super::{json, sandbox};
use crate::assert_seen;
use crate::harness::{Run, Sandbox};

#[test]
fn invalid_files_are_explained_and_nothing_is_run() {
    let sandbox = sandbox(
        "
  - id: one
    fixtures:
      tasks:
        - {id: extrakt, outputs: {vars: {}}}
    assertion:
      - {value: x, equalTo: x}
",
    );
    sandbox.file("other.test.yaml", "id: t\nnamespace: n\nflowId: nosuch\ntestCases: [{id: a}]\n");
    let run = sandbox.weft(["test"]);
    assert_seen!(sandbox, run, @r#"
    status: 2
    --- stdout
    --- stderr
    error[unknown-task]: the flow has no task `extrakt`
     --> orders.test.yaml:9:16
      |
    9 |  - {id: extrakt, outputs: {vars: {}}}
      |  ^^^^^^^
      = in `testCases[0].fixtures.tasks[0].id`
    hint: did you mean `extract`?

    error[unknown-property]: unknown property `assertion` of test case `one`
      --> orders.test.yaml:10:5
      |
    10 |  assertion:
      |  ^^^^^^^^^
      = in `testCases[0].assertion`
    hint: did you mean `assertions`?

    error[unknown-flow]: there is no flow `n.nosuch` in `.`
     --> other.test.yaml:3:9
      |
    3 | flowId: nosuch
      |  ^^^^^^
    hint: name its file with `flow: PATH`, or its folder with `weft test --flows DIR`
    error: 2 test files are invalid: nothing was run
    "#);

    let run = sandbox.weft(["validate", "orders.test.yaml", "--json"]).expect(2);
    let codes: Vec<_> = json(&run).as_array().unwrap().iter().map(|found| found["code"].clone()).collect();
    assert_eq!(codes, ["unknown-task", "unknown-property"]);
}

#[test]
fn what_is_tested_can_be_chosen() {
    let sandbox = sandbox(
        "  - {id: one, fixtures: {others: SUCCEED, tasks: [{id: total, outputs: {value: 1}}]}}\n  - {id: two, fixtures: {others: FAIL}}\n",
    );
    sandbox.file(
        "elsewhere/child.yaml",
        "id: child\nnamespace: n\ntasks: [{id: a, type: io.kestra.plugin.core.log.Log, message: x}]\n",
    );
    sandbox
        .file("elsewhere/tests/child.yaml", "id: tc\nnamespace: n\nflowId: child\ntestCases: [{id: ok}]\n");
    let ran = |args: &[&str], status: i32| {
        let mut all = vec!["test", "--json"];
        all.extend(args);
        let run = sandbox.weft(all).expect(status);
        let report = json(&run);
        let files = report["files"].as_array().unwrap().iter();
        let names = files.flat_map(|file| {
            let cases = file["cases"].as_array().unwrap().clone();
            cases.into_iter().map(|case| case["id"].as_str().unwrap().to_owned())
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(ran(&["orders.test.yaml"], 1), ["one", "two"]);
    assert_eq!(ran(&["orders.yaml", "-k", "orders/one"], 0), ["one"]);
    assert_eq!(ran(&["elsewhere"], 0), ["ok"]);
    assert_eq!(ran(&["elsewhere/tests/child.yaml", "--flows", "elsewhere"], 0), ["ok"]);
    assert_eq!(ran(&["--jobs", "1", "-k", "one", "-k", "ok"], 0), ["ok", "one"]);
    assert_eq!(ran(&["--jobs", "1", "--fail-fast", "orders.test.yaml", "-k", "two"], 1), ["two"]);
    sandbox.weft(["validate", "elsewhere/child.yaml", "elsewhere/tests/child.yaml"]).expect(0);
    let run = sandbox.weft(["run", "orders.test.yaml"]).expect(2);
    assert!(run.stderr.contains("weft test orders.test.yaml"), "{}", run.stderr);
    for (args, part) in [
        (&["-k", "nosuch"][..], "no test case has this name"),
        (&["nosuch.yaml"], "nosuch.yaml"),
        (&["elsewhere/child.yaml"], "no test files"),
    ] {
        let run = sandbox.weft([&["test"], args].concat()).expect(2);
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
}

#[test]
fn a_reader_that_goes_away_changes_neither_the_status_nor_the_report() {
    let sandbox =
        sandbox("  - {id: one, fixtures: {others: FAIL}}\n  - {id: two, fixtures: {others: FAIL}}\n");
    let mut child = sandbox
        .command()
        .args(["test", "--jobs", "1", "--junit", "report.xml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let report = std::fs::read_to_string(sandbox.home().join("report.xml")).unwrap();
    assert!(report.contains("failures=\"2\""), "{report}");
}

#[test]
fn reports_for_machines() {
    let sandbox = sandbox(
        "
  - id: good
    fixtures: {others: SUCCEED, tasks: [{id: total, outputs: {value: 1}}]}
  - id: bad
    description: not so
    fixtures: {tasks: [{id: extract, error: \"<no> & never\", logs: [last words]}]}
  - id: off
    disabled: true
",
    );
    let run = sandbox.weft(["test", "--json", "--junit", "out/report.xml", "--jobs", "1"]).expect(1);
    let report = json(&run);
    assert_eq!((&report["passed"], &report["failed"], &report["skipped"]), (&1.into(), &1.into(), &1.into()));
    let bad = &report["files"][0]["cases"][1];
    assert_eq!(
        (&bad["result"], &bad["state"], &bad["line"]),
        (&"FAILED".into(), &"FAILED".into(), &8.into())
    );
    assert_eq!(bad["failures"][0]["expected"], "SUCCESS or WARNING");
    assert!(bad["log"].as_array().unwrap().iter().any(|line| line["message"] == "last words"), "{bad:#}");
    assert!(run.stderr.contains("✗ bad"), "people still read stderr: {}", run.stderr);

    let xml = std::fs::read_to_string(sandbox.home().join("out/report.xml")).unwrap();
    let mut parts = xml.split(" time=\"");
    let first = parts.next().unwrap().to_owned();
    let xml = parts.fold(first, |xml, part| xml + " time=\"[SECONDS]" + &part[part.find('"').unwrap()..]);
    let xml = Run { status: 1, stdout: xml, stderr: String::new() };
    assert_seen!(sandbox, xml, @r#"
    status: 1
    --- stdout
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="weft test" tests="3" skipped="1" failures="1" errors="0">
      <testsuite name="orders.test.yaml" tests="3" skipped="1" errors="0" failures="1" time="[SECONDS]">
      <properties>
      <property name="flow" value="company.team.orders"/>
      </properties>
      <testcase name="good" classname="company.team.orders" time="[SECONDS]" file="orders.test.yaml" line="6"/>
      <testcase name="bad" classname="company.team.orders" time="[SECONDS]" file="orders.test.yaml" line="8">
      <failure message="state of the execution: expected SUCCESS or WARNING, found FAILED
    task `extract`: &lt;no&gt; &amp; never">  state of the execution orders.test.yaml:8:9
      expected  SUCCESS or WARNING
      found  FAILED
      task `extract`: &lt;no&gt; &amp; never
    </failure>
      <system-out>[TIME] INFO  extract last words
    [TIME] ERROR extract &lt;no&gt; &amp; never
    [TIME] INFO  extract last words
    [TIME] ERROR extract &lt;no&gt; &amp; never
    [TIME] INFO  extract last words
    [TIME] ERROR extract &lt;no&gt; &amp; never
    [TIME] INFO  alert extract &lt;no&gt; &amp; neverextract &lt;no&gt; &amp; neverextract &lt;no&gt; &amp; never
    </system-out>
      </testcase>
      <testcase name="off" classname="company.team.orders" time="[SECONDS]" file="orders.test.yaml" line="11">
      <skipped/>
      </testcase>
      </testsuite>
    </testsuites>
    --- stderr
    "#);
}

#[test]
fn cases_run_side_by_side_and_are_shown_in_order() {
    // Two scripts that wait for each other only end if both run.
    let sandbox = Sandbox::new();
    let meet = sandbox.home().join("meet");
    std::fs::create_dir(&meet).unwrap();
    sandbox.file(
        "flow.yaml",
        format!(
            "
id: meets
namespace: n
inputs: [{{id: me, type: STRING}}, {{id: other, type: STRING}}]
tasks:
  - id: wait
    type: io.kestra.plugin.scripts.shell.Commands
    runner: PROCESS
    commands:
      - touch {0}/{{{{ inputs.me }}}}
      - while ! test -e {0}/{{{{ inputs.other }}}}; do sleep 0.02; done
",
            meet.display()
        ),
    );
    sandbox.file(
        "flow.test.yaml",
        "
id: t
namespace: n
flowId: meets
testCases:
  - {id: one, fixtures: {inputs: {me: a, other: b}}, timeout: PT1M}
  - {id: two, fixtures: {inputs: {me: b, other: a}}, timeout: PT1M}
",
    );
    let run = sandbox.weft(["test", "--jobs", "2"]).expect(0);
    let (one, two) = (run.stdout.find("✓ one"), run.stdout.find("✓ two"));
    assert!(one.is_some() && one < two, "{run:?}");
}

#[test]
fn kept_executions_can_be_looked_at() {
    let sandbox = sandbox("  - {id: bad, fixtures: {tasks: [{id: extract, error: gone}]}}\n");
    let run = sandbox.weft(["test", "--keep", "--json"]).expect(1);
    let report = json(&run);
    let data = std::path::PathBuf::from(report["dataDir"].as_str().unwrap());
    let case = data.join("1-tests_of_orders/bad");
    let shown = sandbox.weft(["executions", "show", "last", "--data-dir", case.to_str().unwrap()]).expect(0);
    assert!(shown.stdout.contains("gone"), "{shown:?}");
    assert!(run.stderr.contains(case.to_str().unwrap()), "{run:?}");
    std::fs::remove_dir_all(data).unwrap();
}

/// The first two YAML blocks of a page: a flow and its tests.
fn example(page: &str) -> (String, String) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let mut blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    (blocks.next().unwrap(), blocks.next().unwrap())
}

#[test]
fn examples_of_the_documentation() {
    for (page, passed) in [("docs/testing.md", "2 passed"), ("README.md", "1 passed")] {
        let (flow, tests) = example(page);
        let sandbox = Sandbox::new();
        sandbox.file("flow.yaml", flow);
        sandbox.file("flow.test.yaml", tests);
        let run = sandbox.weft(["test"]).expect(0);
        assert!(run.stdout.contains(passed), "{page}: {}", run.stdout);
    }
}
