//! The work for a source grows with its length and with the number of mistakes in it, and no faster.
//!
//! Work is counted, not timed: bytes that are allocated, and questions to the catalogue and about other flows. From once to
//! twice the size as much is added as the size once costs; from twice to four times, twice that. What is quadratic adds four
//! times as much.

mod common;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weft_flow::testing::{TestFiles, check_tests};
use weft_flow::{
    Called, Catalogue, Flow, Graph, ParseOptions, RenderOptions, Told, TypeInfo, Validator, check_calls,
    draw_tree, render,
};

/// Mistakes at the first size: with so many, what is bounded (suggestions) has met its bound already.
const SIZE: usize = 500;

/// How much more the second step may add than the first. Twice is linear, four times quadratic.
const GROWTH: u64 = 3;

/// Plugins that count how often they are asked.
struct Counted {
    plugins: common::Plugins,
    asked: AtomicU64,
}

impl Counted {
    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }
}

impl Catalogue for Counted {
    fn task(&self, type_name: &str) -> Option<&TypeInfo> {
        self.ask();
        self.plugins.task(type_name)
    }

    fn trigger(&self, type_name: &str) -> Option<&TypeInfo> {
        self.ask();
        self.plugins.trigger(type_name)
    }

    fn type_names(&self) -> Vec<&str> {
        self.ask();
        self.plugins.type_names()
    }
}

struct NoFiles;

impl TestFiles for NoFiles {
    fn problem(&self, _: &str) -> Option<String> {
        Some("there are no files".to_owned())
    }
}

/// What is done with a source.
enum Use {
    /// It is checked, and all that is wrong is shown; what can be used is drawn too.
    Check,
    /// The flow's calls of other flows are checked: of so many that have other names, or of one with so many inputs.
    Calls(fn(usize) -> Vec<String>),
    /// It holds tests of a flow of so many tasks and inputs.
    Tests,
}

struct Case {
    name: &'static str,
    source: fn(usize) -> String,
    used: Use,
    /// Mistakes at the size of 8.
    mistakes: usize,
}

fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect()
}

/// A flow with these lines after the first three.
fn flow(lines: impl AsRef<str>) -> String {
    format!("id: f\nnamespace: n\n{}", lines.as_ref())
}

fn tasks(lines: impl AsRef<str>) -> String {
    flow(format!("tasks:\n{}", lines.as_ref()))
}

fn one_task(lines: impl AsRef<str>) -> String {
    tasks(format!("  - id: t\n    type: org.example.shell.Commands\n{}", lines.as_ref()))
}

fn log(id: impl std::fmt::Display, message: impl std::fmt::Display) -> String {
    format!("  - {{id: {id}, type: org.example.log.Log, message: \"{message}\"}}\n")
}

fn tests(fixtures: impl AsRef<str>) -> String {
    format!("id: t\nnamespace: n\nflowId: f\ntestCases:\n{}", fixtures.as_ref())
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("other{index}")).collect()
}

const CASES: &[Case] = &[
    Case {
        name: "wrong expressions in one line",
        source: |n| one_task(format!("    commands: [{}]\n", list(n, |_| "\"{{ 1 + }}\", ".to_owned()))),
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "wrong expressions in one line that is not ASCII",
        source: |n| one_task(format!("    commands: [{}]\n", list(n, |_| "\"日本 {{ 1 + }}\", ".to_owned()))),
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "expressions in one text",
        source: |n| {
            one_task(format!("    commands: [\"é {}\"]\n", list(n, |i| format!("{{{{ outputs.x{i}.y }}}} "))))
        },
        used: Use::Check,
        mistakes: 8,
    },
    Case { name: "one id", source: |n| tasks(list(n, |_| log("a", "x"))), used: Use::Check, mistakes: 7 },
    Case {
        name: "unknown types",
        source: |n| tasks(list(n, |i| format!("  - {{id: a{i}, type: org.example.shell.Comands{i}}}\n"))),
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "unknown properties of one task",
        source: |n| one_task(format!("    commands: [a]\n{}", list(n, |i| format!("    comandz{i}: 1\n")))),
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "unknown properties of the flow",
        source: |n| flow(format!("{}tasks:\n{}", list(n, |i| format!("inputz{i}: 1\n")), log("a", "x"))),
        used: Use::Check,
        mistakes: 9,
    },
    Case {
        name: "outputs of tasks that do not exist",
        source: |n| tasks(list(n, |i| log(format!("a{i}"), format!("{{{{ outputs.b{i}.c }}}}")))),
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "dashes that subtract",
        source: |n| tasks(list(n, |i| log(format!("a-{i}"), format!("{{{{ outputs.a-{i} }}}}")))),
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "inputs and variables that do not exist",
        source: |n| {
            flow(format!(
                "inputs:\n{}variables:\n{}tasks:\n{}",
                list(n, |i| format!("  - {{id: i{i}, type: STRING}}\n")),
                list(n, |i| format!("  v{i}: 1\n")),
                list(n, |i| log(
                    format!("a{i}"),
                    format!("{{{{ inputs.x{i} }}}} {{{{ vars.y{i} }}}} {{{{ z{i} }}}}")
                ))
            ))
        },
        used: Use::Check,
        mistakes: 24,
    },
    Case {
        name: "wrong values in one map",
        source: |n| {
            one_task(format!("    commands: [a]\n    env:\n{}", list(n, |i| format!("      K{i}: []\n"))))
        },
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "numbers in one map of texts",
        source: |n| {
            one_task(format!("    commands: [a]\n    env:\n{}", list(n, |i| format!("      K{i}: {i}\n"))))
        },
        used: Use::Check,
        mistakes: 0,
    },
    Case {
        name: "unknown dependencies of a Dag",
        source: |n| {
            let child = |i| {
                format!(
                    "      - {{task: {{id: c{i}, type: org.example.log.Log, message: x}}, dependsOn: [d{i}]}}\n"
                )
            };
            tasks(format!(
                "  - id: dag\n    type: io.kestra.plugin.core.flow.Dag\n    tasks:\n{}",
                list(n, child)
            ))
        },
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "a circle in a Dag",
        source: |n| {
            let child = |i| {
                let next = (i + 1) % n;
                format!(
                    "      - {{task: {{id: c{i}, type: org.example.log.Log, message: x}}, dependsOn: [c{next}]}}\n"
                )
            };
            tasks(format!(
                "  - id: dag\n    type: io.kestra.plugin.core.flow.Dag\n    tasks:\n{}",
                list(n, child)
            ))
        },
        used: Use::Check,
        mistakes: 1,
    },
    Case {
        name: "many wait for many in a Dag",
        source: |n| {
            let inner = |i| format!("{{id: p{i}, type: org.example.log.Log, message: x}}, ");
            let first = format!(
                "      - task: {{id: first, type: io.kestra.plugin.core.flow.Parallel, tasks: [{}]}}\n",
                list(n, inner)
            );
            let child = |i| {
                format!(
                    "      - {{task: {{id: c{i}, type: org.example.log.Log, message: x}}, dependsOn: [first]}}\n"
                )
            };
            tasks(format!(
                "  - id: dag\n    type: io.kestra.plugin.core.flow.Dag\n    tasks:\n{first}{}",
                list(n, child)
            ))
        },
        used: Use::Check,
        mistakes: 0,
    },
    Case {
        name: "inputs that depend on what does not exist",
        source: |n| {
            let input = |i| format!("  - {{id: i{i}, type: STRING, dependsOn: {{inputs: [j{i}]}}}}\n");
            flow(format!("inputs:\n{}tasks:\n{}", list(n, input), log("a", "x")))
        },
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "inputs that depend on each other",
        source: |n| {
            let input =
                |i| format!("  - {{id: i{i}, type: STRING, dependsOn: {{inputs: [i{}]}}}}\n", (i + 1) % n);
            flow(format!("inputs:\n{}tasks:\n{}", list(n, input), log("a", "x")))
        },
        used: Use::Check,
        mistakes: 1,
    },
    Case {
        name: "inputs that no trigger gives",
        source: |n| {
            let trigger = |i| {
                format!("  - {{id: t{i}, type: org.example.files.Trigger, path: x, inputs: {{w{i}: 1}}}}\n")
            };
            flow(format!(
                "inputs:\n{}triggers:\n{}tasks:\n{}",
                list(n, |i| format!("  - {{id: i{i}, type: STRING}}\n")),
                list(n, trigger),
                log("a", "x")
            ))
        },
        used: Use::Check,
        mistakes: 72,
    },
    Case {
        name: "keys that are there twice",
        source: |n| {
            one_task(format!(
                "    commands: [a]\n    env:\n{}",
                list(n, |i| format!("      K{}: a\n", i / 2))
            ))
        },
        used: Use::Check,
        mistakes: 4,
    },
    Case {
        name: "maps that are merged",
        source: |n| {
            let anchors = list(n, |i| format!("  v{i}: &m{i} {{K{i}: a}}\n"));
            let merged = list(n, |i| format!("*m{i}, "));
            flow(format!(
                "variables:\n{anchors}tasks:\n  - id: t\n    type: org.example.shell.Commands\n    commands: [a]\n    \
                 env:\n      <<: [{merged}]\n"
            ))
        },
        used: Use::Check,
        mistakes: 0,
    },
    Case {
        name: "maps that are merged one by one",
        source: |n| {
            let anchors = list(n, |i| format!("  v{i}: &m{i} {{K{i}: a}}\n"));
            let merged = list(n, |i| format!("      <<: *m{i}\n"));
            flow(format!(
                "variables:\n{anchors}tasks:\n  - id: t\n    type: org.example.shell.Commands\n    commands: [a]\n    \
                 env:\n{merged}"
            ))
        },
        used: Use::Check,
        mistakes: 0,
    },
    Case {
        name: "defaults for types that nothing is of",
        source: |n| {
            let default = |i| format!("  - {{type: org.example.nothing{i}, values: {{level: INFO}}}}\n");
            flow(format!(
                "pluginDefaults:\n{}tasks:\n{}",
                list(n, default),
                list(n, |i| log(format!("a{i}"), "x"))
            ))
        },
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "lines that are no YAML",
        source: |n| {
            tasks(list(n, |i| format!("  - id: a{i}\n    type: org.example.log.Log\n    message: \"x\" y\n")))
        },
        used: Use::Check,
        mistakes: 8,
    },
    Case {
        name: "texts without end below long keys",
        source: |n| {
            let key = "k".repeat(1_000);
            one_task(format!(
                "    commands: [a]\n    ? {key}\n    : [{}]\n",
                list(n, |_| "\"{{ 1 + }}\", ".to_owned())
            ))
        },
        used: Use::Check,
        mistakes: 9,
    },
    Case {
        name: "calls of flows that are not there",
        source: |n| {
            let call = |i| {
                format!(
                    "  - {{id: a{i}, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: g{i}}}\n"
                )
            };
            tasks(list(n, call))
        },
        used: Use::Calls(numbered),
        mistakes: 8,
    },
    Case {
        name: "inputs that a called flow does not have",
        source: |n| {
            let inputs = list(n, |i| format!("      x{i}: 1\n"));
            tasks(format!(
                "  - id: a\n    type: io.kestra.plugin.core.flow.Subflow\n    namespace: n\n    flowId: called\n    \
                 inputs:\n{inputs}"
            ))
        },
        used: Use::Calls(|_| Vec::new()),
        mistakes: 16,
    },
    Case {
        name: "tests of tasks that do not exist",
        source: |n| {
            let case = |i| {
                format!(
                    "  - id: c{i}\n    fixtures: {{tasks: [{{id: x{i}}}], inputs: {{y{i}: 1}}}}\n    assertions:\n      - \
                     {{value: \"{{{{ outputs.z{i}.a }}}}\", equalTo: 1}}\n"
                )
            };
            tests(list(n, case))
        },
        used: Use::Tests,
        mistakes: 24,
    },
    Case {
        name: "fixtures of one case",
        source: |n| {
            let fixtures = list(n, |i| format!("        - {{id: a{i}}}\n        - {{id: a{i}}}\n"));
            let labels = list(n, |i| format!("        l{i}: x\n"));
            tests(format!(
                "  - id: c\n    fixtures:\n      labels:\n{labels}      tasks:\n{fixtures}    assertions: [{{value: 1, \
                 equalTo: 1}}]\n"
            ))
        },
        used: Use::Tests,
        mistakes: 8,
    },
];

/// A flow of so many tasks and inputs.
fn large(count: usize) -> String {
    flow(format!(
        "inputs:\n{}tasks:\n{}",
        list(count, |i| format!("  - {{id: i{i}, type: STRING}}\n")),
        list(count, |i| log(format!("a{i}"), "x"))
    ))
}

/// What a case costs at a size, and how many mistakes are found.
fn work(case: &Case, size: usize) -> (u64, usize) {
    let source = (case.source)(size);
    let called: Arc<Flow> = Arc::new(common::flow(&large(size)));
    let plugins = Counted { plugins: common::Plugins::new(), asked: AtomicU64::new(0) };
    let (mut mistakes, mut found_flows) = (0, 0);
    let counted = allocation_counter::measure(|| {
        let validator = Validator::new(&plugins);
        let (options, shown) = (ParseOptions::default(), RenderOptions::default());
        let diagnostics = match case.used {
            Use::Tests => {
                let (tests, mut diagnostics) = validator.parse_tests(&source, &options);
                diagnostics
                    .extend(tests.iter().flat_map(|tests| check_tests(tests, &called, &plugins, &NoFiles)));
                diagnostics
            }
            Use::Check | Use::Calls(_) => {
                let outcome = validator.parse(&source, &options);
                let mut diagnostics = outcome.diagnostics;
                if let Some(flow) = &outcome.flow {
                    let drawn = draw_tree(flow).len() + Graph::of(flow).to_mermaid().len();
                    assert!(drawn > 0);
                    if let Use::Calls(others) = case.used {
                        let others: Arc<[String]> = others(size).into();
                        let asked = Cell::new(0);
                        diagnostics.extend(check_calls(flow, &source, &|_, id| {
                            asked.set(asked.get() + 1);
                            match id {
                                "called" => Called::Found(Arc::clone(&called)),
                                _ => Called::Missing { others: Arc::clone(&others) },
                            }
                        }));
                        found_flows = asked.get();
                    }
                }
                diagnostics
            }
        };
        mistakes = diagnostics.len();
        let all = render(&diagnostics, &source, "flow.yaml", shown);
        let told = Told::most_of(&diagnostics, 100);
        let some = render(told.shown.iter().copied(), &source, "flow.yaml", shown);
        assert!(some.len() <= all.len() && told.shown.len() <= 100);
    });
    // One question takes about as long as a few small allocations.
    (counted.bytes_total + 100 * (plugins.asked.into_inner() + found_flows), mistakes)
}

#[test]
fn work_grows_with_length_and_mistakes() {
    let mut failed = Vec::new();
    for case in CASES {
        let (_, mistakes) = work(case, 8);
        if mistakes != case.mistakes {
            failed.push(format!("{}: {mistakes} mistakes of 8, expected {}", case.name, case.mistakes));
        }
        let [one, two, four] = [1, 2, 4].map(|times| work(case, times * SIZE).0);
        if four.saturating_sub(two) > GROWTH * two.saturating_sub(one) {
            failed
                .push(format!("{}: {one}, {two}, {four} at once, twice and four times the size", case.name));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_count_tells_what_is_quadratic() {
    let quadratic = |n: usize| {
        let counted = allocation_counter::measure(|| {
            for _ in 0..n {
                drop("x".repeat(n));
            }
        });
        counted.bytes_total
    };
    let [one, two, four] = [1, 2, 4].map(|times| quadratic(times * SIZE));
    assert!(four - two > GROWTH * (two - one));
}
