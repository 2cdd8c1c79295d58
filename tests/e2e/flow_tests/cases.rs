//! What cases can say, and what becomes of them.

use super::{json, passes, sandbox};
use crate::assert_seen;
use crate::harness::Sandbox;

#[test]
fn passing_cases() {
    let sandbox = sandbox(
        "
  - id: for_real
    fixtures:
      inputs: {country: DE}
    assertions:
      - value: \"{{ execution.outputs.total }}\"
        equalTo: 6
      - metric: rows
        equalTo: 3
      - log: extracting from DE
        taskId: extract
        level: INFO
        times: 1
      - value: \"{{ outputs.load.b.value }}\"
        equalTo: b3
      - taskId: load
        runs: 2
        state: SUCCESS
      - taskId: alert
        runs: 0
  - id: off
    disabled: true
  - id: with_a_stand_in
    fixtures:
      tasks:
        - id: extract
          outputs: {vars: {rows: [20, 22]}}
          metrics: [{name: rows, value: 2}]
          logs: [taken from the test, {level: WARN, message: twice}]
    assertions:
      - value: \"{{ execution.outputs.total }}\"
        equalTo: \"{{ 40 + 2 }}\"
      - metric: rows
        taskId: extract
        lessThan: 3
      - log: {matches: \"^twice$\"}
        level: WARN
      - log: extracting
        times: 0
",
    );
    let run = sandbox.weft(["test"]);
    assert_seen!(sandbox, run, @r"
    status: 0
    --- stdout
    orders.test.yaml company.team.orders
      ✓ for_real [TOOK]
      - off disabled
      ✓ with_a_stand_in [TOOK]
    2 passed, 1 skipped in [TOOK]
    --- stderr
    ");
    let listed = sandbox.weft(["executions", "list", "--json"]).expect(0);
    assert_eq!(listed.stdout.trim(), "[]", "tests leave nothing in the data directory");
}

#[test]
fn failing_cases_show_what_differs() {
    let sandbox = sandbox(
        "
  - id: wrong
    fixtures:
      tasks:
        - {id: extract, outputs: {vars: {rows: [1], note: \"one\\ntwo\\nthree\"}}, logs: [one row]}
        - {id: load, value: z}
    assertions:
      - value: \"{{ execution.outputs.total }}\"
        description: everything is added up
        errorMessage: the total is not what was ordered
        equalTo: 7
      - value: \"{{ outputs.extract.vars }}\"
        equalTo: {rows: [1, 2], note: \"one\\ntwo\\nthree\"}
      - value: \"{{ outputs.extract.vars.note }}\"
        equalTo: \"one\\n2\\nthree\"
      - value: \"{{ outputs.extract.vars.nosuch }}\"
        contains: x
      - metric: bytes
        greaterThan: 0
      - log: two rows
        taskId: extract
      - taskId: load
        state: FAILED
        runs: 3
        attempts: 2
        error: full
  - id: fails
    fixtures:
      tasks:
        - {id: load, value: b, error: the table is full}
        - {id: extract, outputs: {vars: {rows: []}}}
",
    );
    let run = sandbox.weft(["test", "."]);
    assert_seen!(sandbox, run, @r#"
    status: 1
    --- stdout
    orders.test.yaml company.team.orders
      ✗ wrong [TOOK]
      {{ execution.outputs.total }} orders.test.yaml:12:9
      everything is added up
      the total is not what was ordered
      expected  equalTo 7
      found  1
      {{ outputs.extract.vars }} orders.test.yaml:16:9
      - expected  + found
      {
      "rows": [
      -  1,
      -  2
      +  1
      ],
      "note": "one\ntwo\nthree"
      }
      {{ outputs.extract.vars.note }} orders.test.yaml:18:9
      - expected  + found
      one
      - 2
      + two
      three
      {{ outputs.extract.vars.nosuch }} orders.test.yaml:20:9
      expected  contains "x"
      found  nothing: unable to find `outputs.extract.vars.nosuch`
      hint: `outputs.extract.vars` has `rows`, `note`
      metric `bytes` orders.test.yaml:22:9
      expected  greaterThan 0
      found  nothing: there are `duration`, `length`
      log of `extract` orders.test.yaml:24:9
      expected  a line: contains "two rows"
      found  not in the only line
      state of `load` orders.test.yaml:26:9
      expected  FAILED
      found  SUCCESS for the value `a`
      SUCCESS for the value `b`
      runs of `load` orders.test.yaml:26:9
      expected  3
      found  2
      attempts of `load` orders.test.yaml:26:9
      expected  2
      found  1 for the value `a`, 1 for the value `b`
      error of `load` orders.test.yaml:26:9
      expected  a message: contains "full"
      found  there was none
      note: line 10: the fixture of `load` for the value `z` was not used
      the end of the log:
      [TIME] INFO  extract one row
      ✗ fails [TOOK]
      state of the execution orders.test.yaml:31:9
      expected  SUCCESS or WARNING
      found  FAILED
      task `load`: the table is full
      the end of the log:
      [TIME] ERROR load the table is full
      [TIME] INFO  alert load the table is full
    2 failed, 0 passed in [TOOK]
    --- stderr
    "#);
}

#[test]
fn failures_retries_and_error_branches() {
    passes(
        "
    description: The hours between two attempts do not pass.
    fixtures:
      tasks:
        - id: extract
          attempts:
            - error: no route to host
            - {state: FAILED, outputs: {exitCode: 7}}
            - outputs: {vars: {rows: [1]}}
    assertions:
      - taskId: extract
        attempts: 3
        error: no route
      - value: \"{{ taskruns.extract[0].attempts[0].error.code }}\"
        equalTo: test.fixture
",
    );
    passes(
        "
    fixtures:
      tasks:
        - {id: extract, error: no route to host}
    state: FAILED
    assertions:
      - {taskId: extract, attempts: 3, state: FAILED}
      - {taskId: each, runs: 0}
      - {log: extract no route to host, taskId: alert}
      - {value: \"{{ tasks.extract.state }}\", equalTo: FAILED}
      - {value: \"{{ outputs.total ?? 'none' }}\", equalTo: none}
      - {value: \"{{ outputs.total }}\", isNull: true}
",
    );
    passes(
        "
    fixtures:
      tasks:
        - {id: extract, state: WARNING, outputs: {vars: {rows: [1]}}}
    state: WARNING
    assertions:
      - {value: \"{{ execution.state }}\", in: [WARNING]}
",
    );
}

#[test]
fn loops() {
    passes(
        "
    fixtures:
      tasks:
        - {id: extract, outputs: {vars: {rows: [1]}}}
        - {id: load, value: b, outputs: {value: \"{{ taskrun.value | upper }}\"}}
        - {id: load, iteration: 0, outputs: {value: first}}
    assertions:
      - {value: \"{{ outputs.load.a.value ~ outputs.load.b.value }}\", equalTo: firstB}
      - {value: \"{{ taskruns.load | jq('map(.value)') | first }}\", equalTo: [a, b]}
",
    );
    passes(
        "
    description: A flowable with a stand-in is not entered.
    fixtures:
      tasks:
        - {id: extract, outputs: {vars: {rows: [1]}}}
        - {id: each, outputs: {done: true}}
    assertions:
      - {taskId: load, runs: 0}
      - {value: \"{{ outputs.each.done }}\", isTrue: true}
",
    );
    passes(
        "
    description: Nothing runs by accident.
    fixtures:
      others: FAIL
      tasks:
        - {type: io.kestra.core.tasks.debugs.Return, outputs: {value: 1}}
    state: FAILED
    assertions:
      - {taskId: extract, error: has no fixture}
",
    );
    passes(
        "
    fixtures:
      others: SUCCEED
      tasks: [{id: total, outputs: {value: 3}}]
    assertions:
      - {value: \"{{ execution.outputs.total }}\", equalTo: 3}
",
    );
}

#[test]
fn inputs_are_refused() {
    passes("    fixtures: {inputs: {country: france}}\n    refused: must match the pattern\n");
    let sandbox = sandbox(
        "  - id: taken\n    refused: true\n  - id: other\n    fixtures: {inputs: {country: x}}\n    refused: minimum\n",
    );
    let run = sandbox.weft(["test", "--json"]).expect(1);
    let failures: Vec<_> = json(&run)["files"][0]["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| case["failures"][0]["actual"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(failures[0], "they were taken");
    assert!(failures[1].contains("must match the pattern"), "{failures:?}");
}

#[test]
fn files_values_and_secrets() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "flow.yaml",
        "
id: files
namespace: n
inputs:
  - {id: csv, type: FILE, allowedFileExtensions: [.csv]}
  - {id: text, type: FILE}
triggers:
  - {id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: \"0 0 * * *\"}
tasks:
  - id: wdir
    type: io.kestra.plugin.core.flow.WorkingDirectory
    tasks:
      - id: make
        type: io.kestra.plugin.scripts.shell.Commands
        runner: PROCESS
        commands: [\"false\"]
      - id: use
        type: io.kestra.plugin.scripts.shell.Commands
        runner: PROCESS
        commands:
          - cat made/a.txt
          - cat '{{ outputs.make.outputFiles['made/b.bin'] }}'
          - cat '{{ inputs.csv }}' '{{ inputs.text }}'
          - 'echo \"inherited [$SECRET_KEY]\"'
  - id: show
    type: io.kestra.plugin.core.debug.Return
    format: \"{{ read('q.sql') }} {{ secret('KEY') }} {{ kv('k') }} {{ kv('k', 'other') }} {{ envs.region }} {{ labels.l }} {{ trigger.date }}\"
",
    );
    sandbox.file("data/b.bin", "from beside\n");
    sandbox.file("data/in.csv", "a,b\n");
    sandbox.file(
        "flow.test.yaml",
        "
id: t
flow: ./flow.yaml
fixtures:
  inputs: {csv: {path: data/in.csv}, text: \"written {{ 'here' }}\\n\"}
testCases:
  - id: all
    fixtures:
      files: {q.sql: select 1}
      secrets: {key: hush-hush}
      kv: [{key: k, value: 1}, {namespace: other, key: k, value: two}]
      envs: {region: eu}
      labels: {l: v}
      trigger: {id: daily, variables: {date: \"{{ '2024' }}\"}}
      tasks:
        - id: make
          outputFiles: {made/a.txt: \"in the test\\n\", made/b.bin: {path: data/b.bin}}
    assertions:
      - {value: \"{{ outputs.show.value }}\", equalTo: select 1 hush-hush 1 two eu v 2024}
      - {value: \"{{ read(outputs.make.outputFiles['made/b.bin']) | trim }}\", equalTo: from beside}
      - {log: in the test, taskId: use}
      - {log: from beside, taskId: use}
      - {log: \"a,b\", taskId: use}
      - {log: {equalTo: \"inherited []\"}, taskId: use}
      - {log: {equalTo: written here}, taskId: use}
      - {value: \"{{ secret('KEY') }}\", equalTo: masked in the report}
  - id: no_secret
    fixtures: {kv: {k: 1}, files: {q.sql: x}, tasks: [{id: wdir}], trigger: {variables: {date: x}}}
    state: FAILED
    assertions:
      - {taskId: show, error: the test gives no secret}
",
    );
    let secret = ("SECRET_KEY", "cmVhbA==");
    let run = crate::harness::finish(sandbox.command().args(["test", "--json"]).env(secret.0, secret.1));
    let report = json(&run);
    let cases = report["files"][0]["cases"].as_array().unwrap();
    let failures = cases[0]["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{failures:#?}");
    assert_eq!(failures[0]["actual"], "\"******\"", "a secret is masked in reports");
    assert!(!run.stdout.contains("hush-hush") && !run.stderr.contains("hush-hush"), "{run:?}");
    assert_eq!(cases[1]["result"], "PASSED", "{report:#}");
    let run = crate::harness::finish(
        sandbox.command().args(["test", "-k", "no_secret", "--real-secrets"]).env(secret.0, secret.1),
    );
    assert!(!run.expect(1).stdout.contains("gives no secret `"), "that of the machine is found");
}

#[test]
fn pauses_time_limits_and_subflows() {
    let sandbox = Sandbox::new();
    sandbox.file("child.yaml", "id: child\nnamespace: n\ntasks:\n  - {id: wait, type: io.kestra.plugin.core.flow.Pause, delay: PT2H}\n  - {id: get, type: io.kestra.plugin.core.debug.Return, format: from the child}\noutputs:\n  - {id: got, type: STRING, value: \"{{ outputs.get.value }}\"}\n");
    sandbox.file(
        "flow.yaml",
        "
id: waits
namespace: n
tasks:
  - {id: ask, type: io.kestra.plugin.core.flow.Pause, onResume: [{id: ok, type: BOOL}]}
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: child, wait: true}
  - {id: later, type: io.kestra.plugin.core.flow.Pause, delay: PT5H}
  - {id: end, type: io.kestra.plugin.core.debug.Return, format: \"{{ outputs.call.outputs.got }}\"}
",
    );
    sandbox.file(
        "limited.yaml",
        "
id: limited
namespace: n
sla: [{id: quick, type: MAX_DURATION, duration: PT1H, behavior: FAIL}]
tasks:
  - {id: slow, type: io.kestra.plugin.core.flow.Pause, delay: PT2H}
",
    );
    sandbox.file(
        "waits.test.yaml",
        "
id: waits
namespace: n
flowId: waits
testCases:
  - id: waits_for_a_person
    state: PAUSED
  - id: with_the_child
    fixtures: {tasks: [{id: ask, outputs: {onResume: {ok: true}}}]}
    assertions: [{value: \"{{ outputs.end.value }}\", equalTo: from the child}]
  - id: without_the_child
    fixtures:
      tasks:
        - {id: ask}
        - {id: call, outputs: {outputs: {got: from the test}}}
    assertions: [{value: \"{{ outputs.end.value }}\", equalTo: from the test}]
",
    );
    sandbox.file(
        "limited.test.yaml",
        "id: limits\nnamespace: n\nflowId: limited\ntestCases: [{id: too_slow, state: FAILED}]\n",
    );
    let run = sandbox.weft(["test"]);
    assert_seen!(sandbox, run, @r"
    status: 0
    --- stdout
    limited.test.yaml n.limited
      ✓ too_slow [TOOK]
    waits.test.yaml n.waits
      ✓ waits_for_a_person [TOOK]
      ✓ with_the_child [TOOK]
      ✓ without_the_child [TOOK]
    4 passed in [TOOK]
    --- stderr
    ");
}

#[test]
fn a_case_that_takes_too_long_is_killed() {
    let sandbox = Sandbox::new();
    sandbox.file("flow.yaml", "id: slow\nnamespace: n\ntasks:\n  - {id: sleep, type: io.kestra.plugin.scripts.shell.Commands, runner: PROCESS, commands: [sleep 600]}\n");
    sandbox.file(
        "slow.test.yaml",
        "id: t\nnamespace: n\nflowId: slow\ntestCases: [{id: c, timeout: PT0.5S}, {id: d, disabled: true}]\n",
    );
    let run = sandbox.weft(["test", "--quiet"]).expect(1);
    assert!(run.stdout.contains("within PT0.5S") && run.stdout.contains("was killed"), "{run:?}");
    assert!(!run.stdout.contains("- d"), "{run:?}");
}
