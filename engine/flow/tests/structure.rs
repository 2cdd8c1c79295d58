//! What is wrong with the structure of a flow: properties, ids, types, Dags, directories.

mod common;

use common::{check, check_tasks};

#[test]
fn properties_of_the_flow() {
    check(&[
        ("id: f\nnamespace: n\n", "1:1 missing-property the flow has no property `tasks`"),
        ("id: f\nnamespace: n\ntasks:\n", "3:1 missing-property property `tasks` of the flow has no value"),
        (
            "id: f\nnamespace: n\ntasks: []\n",
            "3:8 missing-property expected at least one of tasks, found an empty list",
        ),
    ]);
    let tasks = "tasks: [{id: a, type: org.example.debug.Return}]\n";
    for (more, expected) in [
        ("taks: 1\n", "4:1 unknown-property unknown property `taks` of the flow"),
        (
            "labels: {system.a: b, c: [d]}\n",
            "~4:10 system-label the label `system.a` begins with `system.`, which is for the system\n4:26 wrong-type expected a string, found a list",
        ),
        (
            "labels: [{key: a, value: 1}, {key: b, vale: c}]\n",
            "4:39 unknown-property unknown property `vale` of this label",
        ),
        ("listeners: []\n", "~4:1 no-effect `listeners` has no effect"),
        (
            "checks: []\nquotas: []\n",
            "~4:1 no-effect `checks` has no effect\n~5:1 no-effect `quotas` has no effect",
        ),
        (
            "concurrency: {limit: 0, behavior: WAIT}\n",
            "4:22 invalid-value must be at least 1, found 0\n4:35 invalid-value expected one of `QUEUE`, `CANCEL` or `FAIL`, found `WAIT`",
        ),
        ("concurrency: {}\n", "4:14 missing-property `concurrency` has no property `limit`"),
        ("revision: x\n", "4:11 wrong-type expected a whole number, found a string"),
        ("disabled: maybe\n", "4:11 wrong-type expected `true` or `false`, found a string"),
        ("disabled: \"{{ x }}\"\n", "4:11 wrong-type expected `true` or `false`, found an expression"),
        (
            "sla: [{id: s, type: MAX_DURATION, duration: 5m, behavior: FAIL}]\n",
            "4:45 invalid-duration `5m` is not a duration: expected ISO-8601 such as `PT30S`, `PT1H30M` or `P1D`",
        ),
        (
            "outputs: [{id: o, type: STRING, value: x}, {id: o, type: INT}]\n",
            "4:45 missing-property output `o` has no property `value`\n4:49 duplicate-id two outputs have the id `o`",
        ),
    ] {
        check(&[(&format!("id: f\nnamespace: n\n{tasks}{more}"), expected)]);
    }
}

#[test]
fn ids() {
    check(&[
        (
            "id: -f\nnamespace: A\ntasks:\n  - id: a.b\n    type: org.example.debug.Return\n  - id: é\n    type: org.example.debug.Return\n",
            "1:5 invalid-id `-f` is not a valid flow id: it cannot begin with `-`
2:12 invalid-id `A` is not a valid namespace: it cannot have `A`
4:9 invalid-id `a.b` is not a valid id: it cannot have `.`
6:9 invalid-id `é` is not a valid id: it cannot have `é`",
        ),
        (
            "id: kill\nnamespace: n\ntasks: [{id: 1_a, type: org.example.debug.Return}]",
            "~1:5 invalid-id the flow id `kill` is a word of the API's addresses; Kestra refuses it",
        ),
    ]);
    check_tasks(&[
        (
            "  - id: a\n    type: org.example.debug.Return\n  - id: b\n    type: io.kestra.plugin.core.flow.Sequential\n    tasks:\n      - id: a\n        type: org.example.debug.Return\n    errors:\n      - id: b\n        type: org.example.debug.Return\n",
            "9:13 duplicate-id two tasks have the id `a`\n12:13 duplicate-id two tasks have the id `b`",
        ),
        (
            "  - type: org.example.debug.Return\n  - id: b\n",
            "4:5 missing-property this task has no property `id`\n5:5 missing-property task `b` has no property `type`",
        ),
    ]);
}

#[test]
fn properties_of_all_tasks() {
    let task = "  - id: a\n    type: org.example.debug.Return\n    ";
    for (more, expected) in [
        ("timeout: 10\n", "6:14 wrong-type expected a duration such as `PT30S`, found a number"),
        ("timeout: \"{{ vars.t }}\"\n", "?6:23 undefined-variable the flow has no variable `t`"),
        (
            "logLevel: info\n",
            "6:15 invalid-value expected one of `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`, found `info`",
        ),
        ("workerGroup: {key: gpu, fallback: WAIT}\n", "~6:29 no-effect `fallback` has no effect"),
        ("taskCache: {enabled: true}\n", "~6:5 no-effect `taskCache` has no effect"),
        ("runIf: \"{{ 1 | nil }}\"\n", "6:20 expression-syntax"),
        ("retry: {type: constant}\n", "6:13 missing-property a constant retry has no property `interval`"),
        (
            "retry: {type: constant, interval: PT1S, maxInterval: PT2S}\n",
            "6:45 unknown-property unknown property `maxInterval` of this retry",
        ),
        (
            "retry: {type: random, minInterval: PT5S, maxInterval: PT2S, maxAttempt: 0}\n",
            "6:59 invalid-value `maxInterval` must not be shorter than `minInterval`\n6:77 invalid-value must be at least 1, found 0",
        ),
        ("retry: {interval: PT1S}\n", "6:13 missing-property this retry has no property `type`"),
        (
            "retry: {type: exponential, interval: -PT1S, maxInterval: PT1S, delayFactor: 0.5}\n",
            "6:42 invalid-value a duration must not be negative here\n6:81 invalid-value must be at least 1, found 0.5",
        ),
    ] {
        let found = common::lines(&common::parse(&common::with_tasks(&format!("{task}{more}"))));
        assert!(found.starts_with(expected), "{more}\n{found}");
        assert_eq!(found.lines().count(), expected.lines().count(), "{more}\n{found}");
    }
}

#[test]
fn a_timeout_is_for_tasks_that_do_something() {
    let inside = "tasks: [{id: b, type: org.example.debug.Return}]";
    for (more, expected) in [
        (
            format!("type: io.kestra.plugin.core.flow.Sequential\n    timeout: PT1S\n    {inside}\n"),
            "~6:14 no-effect",
        ),
        ("type: io.kestra.plugin.core.flow.Pause\n    timeout: PT1S\n".to_owned(), ""),
        ("type: org.example.debug.Return\n    timeout: PT1S\n".to_owned(), ""),
    ] {
        let found = common::lines(&common::parse(&common::with_tasks(&format!("  - id: a\n    {more}"))));
        assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{more}\n{found}");
    }
}

#[test]
fn unknown_types_have_a_hint() {
    for (type_name, expected) in [
        ("org.example.log.Logg", Some("did you mean `org.example.log.Log`?")),
        ("org.example.core.Log", Some("did you mean `org.example.log.Log`?")),
        ("Commands", Some("did you mean `org.example.shell.Commands`?")),
        (
            "io.kestra.core.tasks.flows.Sequental",
            Some("did you mean `io.kestra.plugin.core.flow.Sequential`?"),
        ),
        ("org.example.shell.Upload", Some("`org.example.shell` has `Commands`")),
        ("org.other.Thing", Some("no plugin brings this type")),
        (
            "io.kestra.core.tasks.flows.Template",
            Some("templates are gone: make it a flow and use `io.kestra.plugin.core.flow.Subflow`"),
        ),
        ("org.example.old.Log", None),
    ] {
        let outcome = common::parse(&common::with_tasks(&format!(
            "  - id: a\n    type: {type_name}\n    message: m\n"
        )));
        let hint = outcome.diagnostics.first().and_then(|diagnostic| diagnostic.hint.as_deref());
        assert_eq!(hint, expected, "{type_name}");
    }
}

#[test]
fn tasks_inside_an_unknown_type_are_still_known() {
    check_tasks(&[(
        "  - id: a\n    type: Sequental\n    tasks:\n      - id: b\n        type: org.example.debug.Return\n        fromat: x\n  - id: c\n    type: org.example.debug.Return\n    format: \"{{ outputs.b.value }}\"\n",
        "5:11 unknown-type unknown task type `Sequental`\n9:9 unknown-property unknown property `fromat` of task `b`",
    )]);
}

#[test]
fn flowables() {
    check_tasks(&[
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.Sequential\n",
            "4:5 missing-property task `a` has no property `tasks`",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.Parallel\n    tasks: []\n    concurent: 1\n",
            "6:12 missing-property expected at least one of tasks, found an empty list\n7:5 unknown-property unknown property `concurent` of task `a`",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.If\n    then: [{id: b, type: org.example.debug.Return}]\n",
            "4:5 missing-property task `a` has no property `condition`",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.Switch\n    value: x\n    cases: [b]\n",
            "7:12 wrong-type expected a map, found a list",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.ForEach\n    values: 5\n    tasks: [{id: b, type: org.example.debug.Return}]\n",
            "6:13 wrong-type expected a list, or an expression of one, found a number",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.EachSequential\n    values: []\n    tasks: [{id: b, type: org.example.debug.Return}]\n",
            "6:5 unknown-property unknown property `values` of task `a`",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.LoopUntil\n    condition: \"{{ x }}\"\n    tasks: [{id: b, type: org.example.debug.Return}]\n    checkFrequency: {interval: \"{{ y }}\"}\n",
            "~6:20 undefined-variable nothing is known of a variable `x`\n8:32 wrong-type expected a duration such as `PT30S`, found an expression",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.Pause\n    behavior: RESUMED\n    onResume: [{id: x, type: STRNG}]\n",
            "6:15 invalid-value expected one of `RESUME`, `WARN`, `FAIL` or `CANCEL`, found `RESUMED`\n7:30 invalid-value expected one of `STRING`, `INT`, `FLOAT`, `BOOL`, `BOOLEAN`, `DATETIME`, `DATE`, `TIME`, `DURATION`, `FILE`, `JSON`, `YAML`, `URI`, `SECRET`, `ARRAY`, `SELECT`, `ENUM`, `MULTISELECT` or `EMAIL`, found `STRNG`",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.Subflow\n    flowId: f\n    namespace: n\n",
            "6:13 recursive-subflow recursive call: this flow would start itself without end",
        ),
        (
            "  - id: a\n    type: io.kestra.plugin.core.flow.Subflow\n    flowId: \"{{ x.y ?? 'z' }}\"\n    namespace: n o\n",
            "7:16 invalid-id `n o` is not a valid namespace: it cannot have ` `",
        ),
    ]);
}

#[test]
fn dags() {
    let dag = |children: &str| {
        format!("  - id: d\n    type: io.kestra.plugin.core.flow.Dag\n    tasks:\n{children}")
    };
    let child = |id: &str, depends_on: &str| {
        format!(
            "      - task: {{id: {id}, type: org.example.debug.Return}}\n        dependsOn: [{depends_on}]\n"
        )
    };
    check_tasks(&[
        (
            &dag(&[child("a", "b"), child("b", "a")].concat()),
            "8:21 dependency-cycle cyclic dependency: `a` depends on `b` depends on `a`",
        ),
        (&dag(&child("a", "a")), "8:21 dependency-cycle cyclic dependency: `a` depends on `a`"),
        (
            &dag(&[child("a", ""), child("b", "c, d")].concat()),
            "10:21 unknown-dependency there is no task `c` to depend on\n10:24 unknown-dependency `d` is not a task of this Dag: `dependsOn` may only name tasks beside it",
        ),
        (
            &dag("      - {id: a, type: org.example.debug.Return}\n"),
            "7:10 missing-property a task of a Dag stands below the key `task`",
        ),
    ]);
}

#[test]
fn working_directories() {
    let inside = |task: &str| {
        format!(
            "  - id: w\n    type: io.kestra.core.tasks.flows.WorkingDirectory\n    tasks:\n      - id: s\n        type: io.kestra.plugin.core.flow.Sequential\n        tasks:\n          - {task}\n"
        )
    };
    let message = |line: &str, name: &str| {
        format!(
            "{line} misplaced-task only runnable tasks, and flowables of them, are allowed inside a WorkingDirectory; `{name}` is not"
        )
    };
    check_tasks(&[
        (&inside("{id: a, type: org.example.debug.Return}"), ""),
        (&inside("{id: a, type: io.kestra.plugin.core.flow.Pause}"), &message("10:27", "Pause")),
        (
            &inside("{id: a, type: io.kestra.plugin.core.flow.Subflow, namespace: x, flowId: y}"),
            &message("10:27", "Subflow"),
        ),
        (
            &inside(
                "{id: a, type: io.kestra.plugin.core.flow.Worker, tasks: [{id: b, type: org.example.debug.Return}]}",
            ),
            &message("10:27", "WorkingDirectory"),
        ),
        // What runs after a failure is not in the directory any more.
        (
            "  - id: w\n    type: io.kestra.core.tasks.flows.Worker\n    tasks: [{id: a, type: org.example.debug.Return}]\n    errors: [{id: p, type: io.kestra.plugin.core.flow.Pause}]\n",
            "",
        ),
        (
            "  - id: w\n    type: io.kestra.core.tasks.flows.Worker\n    tasks: [{id: a, type: org.example.debug.Return}]\n    cache: {ttl: PT5m}\n",
            "7:13 missing-property `cache` has no property `patterns`",
        ),
    ]);
}

#[test]
fn triggers() {
    let tasks = "id: f\nnamespace: n\ntasks: [{id: a, type: org.example.debug.Return}]\ntriggers:\n";
    for (triggers, expected) in [
        ("  - {id: t, type: org.example.files.Trigger, path: /x}\n", ""),
        (
            "  - {id: t, type: org.example.files.Trigger, pat: /x}\n",
            "5:46 unknown-property unknown property `pat` of trigger `t`",
        ),
        (
            "  - {id: t, type: org.example.files.Triger}\n",
            "5:19 unknown-type unknown trigger type `org.example.files.Triger`",
        ),
        (
            "  - {id: t, type: org.example.log.Log}\n",
            "5:19 unknown-type unknown trigger type `org.example.log.Log`",
        ),
        (
            "  - {id: t, type: io.kestra.core.models.triggers.types.Schedule, cron: '0 9 * * *', stopAfter: [FAILED, DONE]}\n",
            "5:105 invalid-value expected one of `CREATED`, `RUNNING`, `PAUSED`, `SUCCESS`, `WARNING`, `FAILED`, `KILLED`, `CANCELLED`, `RETRIED` or `SKIPPED`, found `DONE`",
        ),
        (
            "  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 9 * 13 *', lateMaximumDelay: 5}\n",
            "5:72 invalid-cron `13` is not a valid month (1 to 12)\n5:97 invalid-duration `5` is not a duration such as `PT30S` or `P1D`",
        ),
        (
            "  - {id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '@hourly', timezone: Nowhere/City}\n",
            "5:86 invalid-time-zone `Nowhere/City` is not a time zone",
        ),
        (
            "  - {id: t, type: io.kestra.plugin.core.trigger.Webhook, key: ''}\n",
            "5:63 invalid-value this must not be empty",
        ),
        (
            "  - {id: t, type: io.kestra.plugin.core.trigger.Webhook, key: k}\n  - {id: t, type: io.kestra.plugin.core.trigger.Flow}\n",
            "6:10 duplicate-id two triggers have the id `t`",
        ),
        (
            "  - {id: t, type: io.kestra.plugin.core.trigger.Webhook, key: '{{ x | nil }}'}\n",
            "5:71 expression-syntax",
        ),
    ] {
        check(&[(&format!("{tasks}{triggers}"), expected)]);
    }
}
