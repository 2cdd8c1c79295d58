//! Nothing that anybody writes makes the parser panic, and places are always in the source.

mod common;

use proptest::prelude::*;
use weft_flow::testing::{TestFiles, check_tests};
use weft_flow::{Diagnostic, Graph, ParseOptions, RenderOptions, Validator, draw_tree, render};

/// Words and signs of which flows are made.
const PARTS: &[&str] = &[
    "id: a\n",
    "namespace: n\n",
    "tasks:\n",
    "  - id: b\n",
    "    type: org.example.shell.Commands\n",
    "    commands:\n",
    "      - ls\n",
    "    type: io.kestra.plugin.core.flow.Dag\n",
    "    tasks:\n",
    "      - task:\n",
    "        dependsOn: [b]\n",
    "    values: \"{{ outputs.b.x }}\"\n",
    "    message: \"\\u00e9 {{ inputs.x }} {{ bad\"\n",
    "    script: |\n",
    "\t",
    "- ",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "'",
    "\"",
    "{{",
    "}}",
    "[",
    "]",
    "{",
    "}",
    ",",
    "#",
    "\n",
    "\r\n",
    "  ",
    "日本",
    "\u{feff}",
    "\u{0}",
    "inputs:\n  - {id: i, type: INT, min: 1}\n",
    "pluginDefaults: [{type: org.example, values: {commands: 1}}]\n",
    "triggers: [{id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '* * x'}]\n",
    "!!str ",
    "---\n",
    "...\n",
    "? ",
    "|-\n",
    ">\n",
    "~",
    "0x1",
    "1.5e3",
    "null",
    "true",
];

fn check(source: &str) {
    let plugins = common::Plugins::new();
    let options = ParseOptions { max_nodes: 10_000, ..ParseOptions::default() };
    let validator = Validator::new(&plugins);
    let outcome = validator.parse(source, &options);
    assert!(outcome.flow.is_some() || !outcome.diagnostics.is_empty(), "neither a flow nor a reason");
    check_places(&outcome.diagnostics, source);
    if let Some(flow) = &outcome.flow {
        let _ = (draw_tree(flow), Graph::of(flow).to_mermaid(), Graph::of(flow).to_dot());
    }
    let _ = validator.parse_task(source, &options);
    let (tests, mut found) = validator.parse_tests(source, &options);
    assert!(tests.is_some() || !found.is_empty(), "neither tests nor a reason");
    if let Some(tests) = &tests {
        found.extend(check_tests(tests, &common::flow(TESTED), &plugins, &NoFiles));
    }
    check_places(&found, source);
}

fn check_places(diagnostics: &[Diagnostic], source: &str) {
    for diagnostic in diagnostics {
        let (start, end) = (diagnostic.span.start, diagnostic.span.end);
        assert!(start.line >= 1 && start.column >= 1, "{diagnostic:?}");
        assert!(start.offset <= end.offset && end.offset as usize <= source.len(), "{diagnostic:?}");
        assert!(source.is_char_boundary(start.offset as usize), "{diagnostic:?}");
        assert!(source.is_char_boundary(end.offset as usize), "{diagnostic:?}");
    }
    let text = render(diagnostics, source, "flow.yaml", RenderOptions { color: false, width: 40 });
    assert_eq!(text.is_empty(), diagnostics.is_empty());
}

struct NoFiles;

impl TestFiles for NoFiles {
    fn problem(&self, _: &str) -> Option<String> {
        Some("there are no files".to_owned())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text(source in any::<String>()) {
        check(&source);
    }

    #[test]
    fn text_like_a_flow(parts in prop::collection::vec(prop::sample::select(PARTS), 0..60)) {
        check(&parts.concat());
    }

    #[test]
    fn a_flow_with_a_hole(from in 0..FLOW.len(), length in 0..40_usize, put in prop::sample::select(PARTS)) {
        let to = (from + length).min(FLOW.len());
        if FLOW.is_char_boundary(from) && FLOW.is_char_boundary(to) {
            check(&format!("{}{put}{}", &FLOW[..from], &FLOW[to..]));
        }
    }

    #[test]
    fn tests_with_a_hole(from in 0..TESTS.len(), length in 0..40_usize, put in prop::sample::select(PARTS)) {
        let to = (from + length).min(TESTS.len());
        if TESTS.is_char_boundary(from) && TESTS.is_char_boundary(to) {
            check(&format!("{}{put}{}", &TESTS[..from], &TESTS[to..]));
        }
    }
}

/// What [`TESTS`] are for.
const TESTED: &str = "
id: f
namespace: n
inputs: [{id: i, type: INT, required: false}, {id: file, type: FILE, required: false}]
tasks:
  - {id: a, type: org.example.shell.Commands, commands: [x]}
";

const TESTS: &str = "id: t
namespace: n
flowId: f
fixtures:
  inputs: {i: 1, file: {path: x.csv}}
testCases:
  - id: c
    timeout: PT1M
    fixtures:
      files: {日本.csv: x, y: {content: z}}
      kv: [{key: k, value: {a: 1}}]
      triggers: [{id: x, variables: {d: 1}}]
      others: SUCCEED
      tasks:
        - {type: org.example.*, value: [a, b], attempts: [{error: e}, {outputs: {vars: \"{{ outputs.a }}\"}}]}
        - id: a
          iteration: 1
          outputFiles: {f: |
            text}
          logs: [a, {level: WARN, message: b}]
          metrics: [{name: m, value: 1.5, tags: {t: 1}}]
    state: [SUCCESS, FAILED]
    assertions:
      - {value: '{{ taskruns.a }}', equalTo: \"{{ inputs.i }}\", matches: 'a+', in: [1]}
      - {taskId: a, error: {contains: x}, runs: 0, attempts: 1}
      - {log: x, level: INFO, times: 2, errorMessage: m}
      - {metric: m, tags: {t: 1}, lessThan: 3}
";

const FLOW: &str = "id: f
namespace: n
labels: {a: b}
inputs:
  - {id: i, type: STRING, validator: '[a-z]+', defaults: x, dependsOn: {inputs: [j]}}
  - {id: j, type: SELECT, values: [a, b]}
variables: &v {x: \"{{ inputs.i }}\"}
pluginDefaults:
  - {type: org.example.shell, values: {env: {A: 日本}}}
tasks:
  - id: w
    type: io.kestra.plugin.core.flow.WorkingDirectory
    cache: {patterns: ['*.txt'], ttl: PT1H}
    tasks:
      - id: s
        type: org.example.shell.Commands
        retry: {type: exponential, interval: PT1S, maxInterval: PT1M}
        commands:
          - 'echo ''{{ vars.x }}'' \"{{ taskrun.id }}\"'
          - \"\\u00e9 {{ outputs.s ?? '' }}\\n\"
        env: *v
  - id: d
    type: io.kestra.plugin.core.flow.Dag
    tasks:
      - task: {id: e, type: org.example.log.Log, message: [a, b]}
      - task: {id: g, type: org.example.log.Log, message: \"{{ outputs.e.value }}\"}
        dependsOn: [e]
  - id: p
    type: io.kestra.plugin.core.flow.Pause
    delay: PT5M
    onResume: [{id: ok, type: BOOL}]
errors:
  - id: l
    type: org.example.log.Log
    message: |
      {%- for log in errorLogs() -%}
      - {{ log.message }}
      {%- endfor -%}
triggers:
  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 9 * * MON-FRI', timezone: UTC}
";

#[test]
fn the_flow_is_valid_without_a_hole() {
    let outcome = common::parse(FLOW);
    let fatal: Vec<_> = outcome.diagnostics.iter().filter(|diagnostic| diagnostic.is_fatal()).collect();
    assert!(fatal.is_empty(), "{fatal:?}");
}
