//! Any text as a flow, as one task, and as test cases: nothing panics, every place lies in the text, and bounds hold.

use serde_json::Value;
use weft_flow::testing::{TestFiles, check_tests};
use weft_flow::{
    Diagnostic, Flow, Graph, ParseOptions, RenderOptions, Span, Task, TaskKind, draw_tree, locate, render, yaml_to_json,
};

use crate::catalogue::{Plugins, with_validator};
use crate::text;

/// So narrow that most flows meet them.
const NARROW: ParseOptions = ParseOptions { max_bytes: 600, max_depth: 5, max_nodes: 60 };
/// Properties of one task whose places are asked for: each time the text is parsed again.
const PROPERTIES: usize = 6;

pub fn run(input: &[u8]) -> Option<()> {
    let source = text(input)?;
    with_validator(|validator| {
        let outcome = validator.parse(source, &ParseOptions::default());
        check(&outcome.diagnostics, source);
        let fatal = outcome.diagnostics.iter().any(Diagnostic::is_fatal);
        assert_eq!(outcome.flow.is_none(), fatal, "a flow, or a reason why there is none");

        let narrow = validator.parse(source, &NARROW);
        check(&narrow.diagnostics, source);
        if source.len() > NARROW.max_bytes {
            assert!(narrow.flow.is_none(), "more bytes than may be");
        }
        if fatal {
            assert!(narrow.flow.is_none(), "bounds mend nothing");
        }

        let (task, found) = validator.parse_task(source, &ParseOptions::default());
        check(&found, source);
        assert_eq!(task.is_none(), found.iter().any(Diagnostic::is_fatal));

        let (tests, found) = validator.parse_tests(source, &ParseOptions::default());
        check(&found, source);
        if let (Some(tests), Some(flow)) = (&tests, &outcome.flow) {
            check(&check_tests(tests, flow, Plugins::get(), &NoFiles), source);
        }
        if let Some(flow) = &outcome.flow {
            draw_tree(flow);
            Graph::of(flow).to_mermaid();
            Graph::of(flow).to_dot();
            places(flow, source);
        }
    });
    match yaml_to_json(source, &NARROW) {
        Ok(value) => assert!(depth(&value) <= NARROW.max_depth, "deeper than may be"),
        Err(diagnostic) => inside(diagnostic.span, source),
    }
    Some(())
}

/// Every place is one in the source, and all of it can be shown.
fn check(diagnostics: &[Diagnostic], source: &str) {
    for diagnostic in diagnostics {
        inside(diagnostic.span, source);
        for related in &diagnostic.related {
            inside(related.span, source);
        }
        serde_json::to_string(&diagnostic.to_machine("flow.yaml")).expect("a diagnostic is data");
    }
    for width in [20, 120] {
        let shown = render(diagnostics, source, "flow.yaml", RenderOptions { color: false, width });
        assert_eq!(shown.is_empty(), diagnostics.is_empty());
        let control = shown.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "what is shown has control characters\n{shown}");
    }
}

fn inside(span: Span, source: &str) {
    let (start, end) = (span.start, span.end);
    assert!(start.line >= 1 && start.column >= 1, "{span:?}");
    assert!(start.offset <= end.offset && end.offset as usize <= source.len(), "{span:?}");
    assert!(source.is_char_boundary(start.offset as usize), "{span:?}");
    assert!(source.is_char_boundary(end.offset as usize), "{span:?}");
    let line = source[..start.offset as usize].matches('\n').count() + 1;
    assert!(start.line as usize >= line, "{span:?} is in line {line}, or after a carriage return");
}

fn part(span: Span, source: &str) -> &str {
    &source[span.start.offset as usize..span.end.offset as usize]
}

/// Each property of a task is found, and so is each part of its text.
fn places(flow: &Flow, source: &str) {
    let tasks = flow.all_tasks();
    // Another task for each source, and the same one again for the same source.
    let Some(task) = tasks.get(source.len() % tasks.len().max(1)) else { return };
    let is_unique = tasks.iter().filter(|other| other.id == task.id).count() == 1;
    for (property, value) in texts(task).into_iter().take(PROPERTIES) {
        let Some(whole) = locate(source, &task.id, &property, None) else { continue };
        inside(whole, source);
        for bytes in [0..value.len(), value.len() / 2..value.len(), 1..2, value.len()..value.len() + 9] {
            let Some(span) = locate(source, &task.id, &property, Some(bytes.clone())) else {
                panic!("`{property}` has a place, but {bytes:?} of it none");
            };
            inside(span, source);
            // A text that stands in the source as it is has its parts where they are.
            if is_unique
                && part(whole, source) == value
                && let Some(expected) = value.get(bytes.clone())
                && !expected.is_empty()
            {
                assert_eq!(part(span, source), expected, "{bytes:?} of `{property}`");
            }
        }
    }
}

/// The texts of a task's properties, with the paths that a failed expression would name.
fn texts(task: &Task) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    if let TaskKind::Run { properties } = &task.kind {
        for (name, value) in properties {
            walk(value, name.clone(), &mut found);
        }
    }
    found.extend([("id".to_owned(), task.id.as_str()), ("type".to_owned(), task.type_name.as_str())]);
    found
}

fn walk<'v>(value: &'v Value, path: String, found: &mut Vec<(String, &'v str)>) {
    match value {
        Value::String(text) => found.push((path, text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, format!("{path}[{index}]"), found);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                walk(member, format!("{path}.{key}"), found);
            }
        }
        _ => {}
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

struct NoFiles;

impl TestFiles for NoFiles {
    fn problem(&self, _: &str) -> Option<String> {
        Some("there are no files".to_owned())
    }
}
