//! What is wrong with the YAML itself.

mod common;

use common::{check, check_tasks, flow, lines, with_tasks};
use serde_json::json;
use weft_flow::{ParseOptions, TaskKind};

#[test]
fn yaml_that_cannot_be_read() {
    check(&[
        ("", "1:1 empty-flow there is no flow in this file"),
        ("# nothing\n", "1:1 empty-flow there is no flow in this file"),
        ("- a\n", "1:1 wrong-type expected a map, found a list"),
        (
            "id: a\nid: b\nnamespace: n\ntasks: 1",
            "2:1 duplicate-key the key `id` is here twice\n4:8 wrong-type expected a list of tasks, found a number",
        ),
        (
            "id: a\n---\nid: b\n",
            "2:1 multiple-documents a second YAML document begins here, and a file holds one flow",
        ),
        ("id: \"a\n", "1:5 yaml-syntax this quoted text has no closing quote"),
        ("id: a: b\n", "1:6 yaml-syntax there is a second `: ` in this value"),
        (
            "id: a\n  namespace: b\n",
            "2:3 yaml-syntax a key cannot begin here: the line above has a value already",
        ),
        ("id: a\nnamespace\ntasks: []\n", "2:1 yaml-syntax expected `key: value` here"),
        ("id: @a\n", "1:5 yaml-syntax a value cannot begin with `@`"),
        ("id: \"a\\d\"\n", "1:7 yaml-syntax this escape does not exist in double quotes"),
        ("id: \"a\" b\n", "1:9 yaml-syntax there is more text after the closing quote"),
        ("tasks: - id: a\n", "1:8 yaml-syntax a list cannot begin here"),
        ("a: *.csv\n", "1:4 yaml-alias there is no anchor `&.csv` above"),
        (
            "a: * * * * *\n",
            "1:4 yaml-syntax a `*` or `&` at the start of a value begins an alias or an anchor, and a name must follow",
        ),
        (
            "id: &a\n  b: *a\n",
            "1:5 wrong-type expected a string, found a map\n2:6 yaml-alias an alias cannot stand inside its own anchor",
        ),
        (
            "a: {<<: 5}\n",
            "1:1 missing-property the flow has no property `id`\n1:1 missing-property the flow has no property `namespace`\n1:1 missing-property the flow has no property `tasks`\n1:1 unknown-property unknown property `a` of the flow\n1:9 yaml-alias `<<` merges a map or a list of maps, found a number",
        ),
        ("? [a]\n: b\n", "1:3 wrong-type a key must be a text, found a list"),
        (": b\n", "1:1 yaml-syntax there is no key before this `:`"),
    ]);
}

#[test]
fn a_tab_is_found_where_it_stands() {
    check(&[
        (
            "id: f\nnamespace: n\ntasks:\n\t- id: a\n",
            "4:1 yaml-tab YAML does not allow TAB for indentation; replace it with spaces",
        ),
        (
            "a:\n  b:\n\t\t  - c\n",
            "1:1 unknown-property unknown property `a` of the flow\n3:1 yaml-tab YAML does not allow TAB for indentation; replace it with spaces",
        ),
        (
            "a:\n  b: c\n  \td: e\n",
            "3:3 yaml-tab YAML does not allow TAB for indentation; replace it with spaces",
        ),
        ("id:\tb\n", "1:4 yaml-tab YAML does not allow a TAB here; replace it with a space"),
        (
            "description: b\n\tc\n",
            "2:1 yaml-tab YAML does not allow TAB for indentation; replace it with spaces",
        ),
        (
            "description: \"b\n \tc\"\nvariables:\n\te: f\n",
            "4:1 yaml-tab YAML does not allow TAB for indentation; replace it with spaces",
        ),
    ]);
    // Where indentation means nothing, a TAB is as good as a space.
    for tasks in [
        "  - id: a\n    type: org.example.debug.Return\n    format: |\n      a\n      \tb\n",
        "  - {\n    \tid: a, type: org.example.debug.Return}\n",
        "  - id: a\t# comment\n    type: org.example.debug.Return\n",
    ] {
        flow(&with_tasks(tasks));
    }
}

#[test]
fn what_follows_broken_yaml_is_checked_too() {
    let tasks = |broken: &str| {
        format!(
            "  - id: a\n    type: org.example.debug.Return\n{broken}\n  - id: b\n    type: org.example.debug.Retrun\n    \
             format: \"{{{{ outputs.a.value ~ inputs.x }}}}\"\n"
        )
    };
    let then = |first: &str| {
        format!(
            "{first}\n8:11 unknown-type unknown task type `org.example.debug.Retrun`\n?9:42 undefined-input the flow has no \
             input `x`"
        )
    };
    for (broken, first) in [
        ("    format: a: b", "6:14 yaml-syntax there is a second `: ` in this value"),
        ("    format: \"a\" b", "6:17 yaml-syntax there is more text after the closing quote"),
        ("    format: @a", "6:13 yaml-syntax a value cannot begin with `@`"),
        ("    format: {{ a }} b", "6:13 unquoted-expression a value that begins with `{{` must be quoted"),
        (
            "    format: \"a",
            "6:13 yaml-syntax this quoted text has no closing quote, or its later lines are not indented",
        ),
        ("    format: [a", "6:13 yaml-syntax this `[` is never closed"),
        ("     format: a", "6:6 yaml-syntax a key cannot begin here: the line above has a value already"),
        ("\tformat: a", "6:1 yaml-tab YAML does not allow TAB for indentation; replace it with spaces"),
    ] {
        check_tasks(&[(&tasks(broken), &then(first))]);
    }
    // Where a whole line has to be left out, nothing is said of what it may have been needed for.
    check_tasks(&[(
        &tasks("    format a"),
        "6:5 yaml-syntax expected `key: value` here\n8:11 unknown-type unknown task type `org.example.debug.Retrun`",
    )]);
    // Several mistakes of the text are told at once.
    check_tasks(&[(
        "  - id: a\n    type: a: b\n    format: \"x\" y\n  - id: c\n    format: @d\n",
        "5:12 yaml-syntax there is a second `: ` in this value",
    )]);
}

#[test]
fn an_expression_without_quotes() {
    check_tasks(&[
        (
            "  - id: a\n    format: {{ b }} c\n",
            "5:13 unquoted-expression a value that begins with `{{` must be quoted",
        ),
        (
            "  - id: a\n    format: {{ b }}\n",
            "5:13 unquoted-expression a value that begins with `{{` must be quoted",
        ),
        ("  - {{ b }}\n", "4:5 unquoted-expression a value that begins with `{{` must be quoted"),
    ]);
}

#[test]
fn limits_hold() {
    let mut bomb = String::from("a0: &a0 [x, x]\n");
    for level in 1..40 {
        bomb.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
    }
    let mut tower = String::from("a0: &a0 [x]\n");
    for level in 1..200 {
        tower.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    let small = ParseOptions { max_bytes: 10, ..ParseOptions::default() };
    for (source, options, expected) in [
        (bomb, ParseOptions::default(), "the flow has more than 1000000 values"),
        (tower, ParseOptions::default(), "lists and maps are nested more than 100 deep"),
        ("- ".repeat(101), ParseOptions::default(), "lists and maps are nested more than 100 deep"),
        (
            "[".repeat(101) + &"]".repeat(101),
            ParseOptions::default(),
            "lists and maps are nested more than 100 deep",
        ),
        ("[".repeat(1_000_000), ParseOptions::default(), "brackets are nested too deep"),
        ("a: 1234567890".to_owned(), small, "the source has 13 bytes, more than the 10 allowed"),
    ] {
        let outcome = weft_flow::parse(&source, &common::Plugins::new(), &options);
        let found: Vec<&str> =
            outcome.diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
        assert_eq!(found, [expected], "{:.20}", source);
        assert!(outcome.flow.is_none());
    }
}

#[test]
fn values_are_those_of_jackson() {
    let source = with_tasks(
        "  - id: a
    type: org.example.execution.SetVariables
    variables: &v
      text: yes
      quoted: \"true\"
      yes: on
      boolean: TRUE
      number: 0x10
      float: 1.50
      nothing: ~
      empty:
      date: 2024-01-01
      block: |
        a
          b
      tagged: !!str 12
      1: one
  - id: b
    type: org.example.execution.SetVariables
    variables:
      <<: *v
      text: own
",
    );
    let flow = flow(&source);
    let TaskKind::Run { properties } = &flow.tasks[0].kind else { panic!("a plugin's task") };
    let expected = json!({
        "text": "yes", "quoted": "true", "yes": "on", "boolean": true, "number": 16, "float": 1.5, "nothing": null,
        "empty": null, "date": "2024-01-01", "block": "a\n  b\n", "tagged": "12", "1": "one",
    });
    assert_eq!(properties["variables"], expected);
    let TaskKind::Run { properties } = &flow.tasks[1].kind else { panic!("a plugin's task") };
    assert_eq!(properties["variables"]["text"], "own");
    assert_eq!(properties["variables"]["number"], 16);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_move_nothing() {
    for source in
        ["\u{feff}id: a b\nnamespace: n\n", "id: a b\r\nnamespace: n\r\n", "id: a b\rnamespace: n\r"]
    {
        let found = lines(&common::parse(source));
        assert!(found.contains("1:5 invalid-id"), "{source:?}: {found}");
    }
}
