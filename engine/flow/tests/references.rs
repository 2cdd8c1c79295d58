//! What expressions read: does it exist, and does it exist by then?

mod common;

use common::{check, check_tasks};

/// A task that reads something.
fn reads(indent: usize, id: &str, expression: &str) -> String {
    let space = " ".repeat(indent);
    format!(
        "{space}- id: {id}\n{space}  type: org.example.debug.Return\n{space}  format: \"{{{{ {expression} }}}}\"\n"
    )
}

/// A flowable, whose children begin in its fourth line.
fn flowable(name: &str, more: &str, children: &str) -> String {
    format!("  - id: box\n    type: io.kestra.plugin.core.flow.{name}\n{more}    tasks:\n{children}")
}

fn missing(place: &str, id: &str, reason: &str) -> String {
    format!("?{place} undefined-output the outputs of `{id}` do not exist here: {reason}")
}

#[test]
fn inputs_and_variables() {
    let head = "id: f\nnamespace: n\ninputs: [{id: name, type: STRING}, {id: a.b, type: STRING}, {id: j, type: JSON}]\nvariables: {v: 1}\ntasks:\n";
    for (expression, expected) in [
        ("inputs.name ~ inputs.a.b ~ inputs['name'] ~ inputs.j.x.y ~ inputs.a ~ vars.v ~ inputs", ""),
        ("inputs.nam", "?8:24 undefined-input the flow has no input `nam`"),
        ("inputs.a.c", "?8:26 undefined-input the flow has no input `a.c`"),
        ("inputs.nam ?? 'x'", ""),
        ("inputs.nam | default('x')", ""),
        ("vars.w", "?8:22 undefined-variable the flow has no variable `w`"),
        ("trigger.date ~ flow.id ~ parents[0].taskrun.value ~ labels.x", ""),
        ("input.name", "~8:17 undefined-variable nothing is known of a variable `input`"),
        (
            "taskrun.value",
            "?8:25 undefined-variable there is no `taskrun.value` here: the task is in no loop",
        ),
        ("t.value", "~8:17 undefined-variable nothing is known of a variable `t`"),
    ] {
        check(&[(&format!("{head}{}", reads(2, "t", expression)), expected)]);
    }
}

#[test]
fn variables_that_a_task_sets_exist() {
    check_tasks(&[(
        &format!(
            "  - id: s\n    type: org.example.execution.SetVariables\n    variables: {{late: 1}}\n{}{}",
            reads(2, "a", "vars.late"),
            reads(2, "b", "vars.lates")
        ),
        "?12:22 undefined-variable the flow has no variable `lates`",
    )]);
}

#[test]
fn outputs_of_tasks_that_ran_before() {
    let both = |a: &str, b: &str| format!("{}{}", reads(2, "a", a), reads(2, "b", b));
    let in_box = |name: &str, more: &str, a: &str, b: &str| {
        flowable(name, more, &format!("{}{}", reads(6, "a", a), reads(6, "b", b)))
    };
    let case = |tasks: String, expected: String| check_tasks(&[(&tasks, &expected)]);
    case(both("1", "outputs.a.value"), String::new());
    case(both("outputs.b.value", "1"), missing("6:25", "b", "the task runs later"));
    case(both("outputs.a.value", "1"), missing("6:25", "a", "a task cannot read its own outputs"));
    case(both("outputs.c.value", "1"), "?6:25 undefined-output there is no task `c`".to_owned());
    case(both("outputs.c.value ?? 'x'", "outputs['a'].value"), String::new());
    case(both("outputs", "outputs[execution.id].x"), String::new());
    case(in_box("Sequential", "", "1", "outputs.a.value"), String::new());
    case(in_box("Sequential", "", "outputs.b.value", "1"), missing("9:29", "b", "the task runs later"));
    case(
        in_box("Parallel", "", "1", "outputs.a.value"),
        missing("12:29", "a", "both tasks run at the same time"),
    );
    case(in_box("ForEach", "    values: [1]\n", "1", "outputs.a[taskrun.value].value"), String::new());
    case(
        in_box("EachParallel", "    value: [1]\n", "1", "outputs.a.value"),
        missing("13:29", "a", "both tasks run at the same time"),
    );
    // A task around the reader has outputs already, such as the value of a Switch.
    case(in_box("Sequential", "", "outputs.box.x", "1"), String::new());
    case(
        format!("{}{}", in_box("Sequential", "", "1", "1"), reads(2, "z", "outputs.b.value")),
        String::new(),
    );
    case(
        format!("{}{}", reads(2, "z", "outputs.b.value"), in_box("Sequential", "", "1", "1")),
        missing("6:25", "b", "the task runs later"),
    );
    // What is inside has run when a loop looks at its condition, and not when it looks at its values.
    case(in_box("LoopUntil", "    condition: \"{{ outputs.b.value }}\"\n", "1", "1"), String::new());
    case(
        in_box("ForEach", "    values: \"{{ outputs.a.value }}\"\n", "1", "1"),
        missing("6:25", "a", "the task is inside this one and runs later"),
    );
}

#[test]
fn branches_dags_and_sections() {
    let branches = format!(
        "  - id: if\n    type: io.kestra.plugin.core.flow.If\n    condition: \"{{{{ true }}}}\"\n    then:\n{}    else:\n{}    errors:\n{}    finally:\n{}",
        reads(6, "yes", "1"),
        reads(6, "no", "outputs.yes.value"),
        reads(6, "wrong", "outputs.yes.value"),
        reads(6, "end", "outputs.wrong.value"),
    );
    check_tasks(&[(
        &branches,
        &missing("14:29", "yes", "the task is in another branch, and only one of the two runs"),
    )]);

    let child = |id: &str, expression: &str, depends_on: &str| {
        format!(
            "      - task: {{id: {id}, type: org.example.debug.Return, format: \"{{{{ {expression} }}}}\"}}\n        dependsOn: [{depends_on}]\n"
        )
    };
    let dag = |children: &[String]| flowable("Dag", "", &children.concat());
    check_tasks(&[
        (
            &dag(&[child("a", "1", ""), child("b", "1", "a"), child("c", "outputs.a.x ~ outputs.b.x", "b")]),
            "",
        ),
        (
            &dag(&[child("a", "1", ""), child("b", "outputs.a.x", "")]),
            &missing("9:75", "a", "this task does not wait for it in `dependsOn`"),
        ),
    ]);

    let sections = format!(
        "id: f\nnamespace: n\ntasks:\n{}errors:\n{}finally:\n{}afterExecution:\n{}outputs:\n  - {{id: o, type: STRING, value: \"{{{{ outputs.t.value }}}}\"}}\n  - {{id: p, type: STRING, value: \"{{{{ outputs.x.value }}}}\"}}\n",
        reads(2, "t", "outputs.e.value"),
        reads(2, "e", "outputs.t.value"),
        reads(2, "l", "outputs.e.value"),
        reads(2, "x", "outputs.l.value"),
    );
    check(&[(
        &sections,
        &format!(
            "{}\n{}",
            missing("6:25", "e", "the task runs later"),
            missing("21:46", "x", "the task runs later")
        ),
    )]);
}

#[test]
fn disabled_tasks_have_no_outputs() {
    let disabled = |children: &str| flowable("Sequential", "    disabled: true\n", children);
    check_tasks(&[
        (
            &format!("{}{}", disabled(&reads(6, "a", "1")), reads(2, "b", "outputs.a.value")),
            "?13:25 undefined-output the outputs of `a` do not exist: the task `box` is disabled",
        ),
        (&disabled(&format!("{}{}", reads(6, "a", "1"), reads(6, "b", "outputs.a.value"))), ""),
    ]);
}

#[test]
fn names_of_outputs() {
    let shell = "  - {id: s, type: org.example.shell.Commands, commands: [ls]}\n";
    let read = |expression: &str| format!("{shell}{}", reads(2, "r", expression));
    check_tasks(&[
        (&read("outputs.s.vars.x"), ""),
        (
            &read("outputs.s.outputFile['x']"),
            "~7:27 undefined-output the task `s` has no output `outputFile`",
        ),
        // In a loop, the name after the task is a value.
        (
            &flowable(
                "ForEach",
                "    values: [a]\n",
                &format!("    {shell}{}", reads(6, "r", "outputs.s.a.vars.x")),
            ),
            "",
        ),
        (
            &flowable(
                "ForEach",
                "    values: [a]\n",
                &format!("    {shell}{}", reads(6, "r", "taskrun.value ~ outputs.s.vars.x")),
            ),
            "~11:47 undefined-output the task `s` is in a loop: its outputs are kept for each value",
        ),
    ]);
}

#[test]
fn triggers_and_inputs_know_no_outputs() {
    let flow = "id: f\nnamespace: n\ninputs:\n  - {id: a, type: STRING, defaults: \"{{ inputs.b }}\"}\n  - {id: b, type: STRING, defaults: \"{{ inputs.b }}\"}\n  - {id: c, type: STRING, defaults: \"{{ inputs.d ~ inputs.a }}\", dependsOn: {inputs: [d]}}\n  - {id: d, type: STRING, defaults: \"{{ outputs.t.value }}\"}\ntasks: [{id: t, type: org.example.debug.Return}]\ntriggers:\n  - {id: w, type: io.kestra.plugin.core.trigger.Webhook, key: k, inputs: {a: \"{{ outputs.t.value ~ trigger.body ~ response }}\"}}\n";
    check(&[(
        flow,
        "?4:48 undefined-input the input `b` has no value yet: it comes after this one
?5:48 undefined-input the input `b` cannot use its own value
?7:49 undefined-output no task has run yet when this is rendered
?10:90 undefined-output no task has run yet when this is rendered",
    )]);
}

#[test]
fn places_in_texts_of_all_kinds() {
    let task =
        |format: &str| format!("  - id: a\n    type: org.example.debug.Return\n    format: {format}\n");
    for (format, place) in [
        ("a {{ vars.x }}", "6:23"),
        ("'it''s {{ vars.x }}'", "6:28"),
        ("\"\\u00e9\\t{{ vars.x }}\"", "6:30"),
        ("\"é日 {{ vars.x }}\"", "6:25"),
        ("|\n      one\n      two {{ vars.x }}", "8:19"),
        ("|\n\n\n      one {{ vars.x }}", "9:19"),
        (">\n      one\n      two\n\n      three {{ vars.x }}", "10:21"),
        ("one\n      two {{ vars.x }}", "7:19"),
        ("\"one\n      two \\\n      {{ vars.x }}\"", "8:15"),
        ("\"one\n\n      two {{ vars.x }}\"", "8:19"),
        ("|\n      {% for i in [1] %}\n        {{ vars.x }}\n      {% endfor %}", "8:17"),
    ] {
        let expected = format!("?{place} undefined-variable the flow has no variable `x`");
        check_tasks(&[(&task(format), &expected)]);
    }
}
