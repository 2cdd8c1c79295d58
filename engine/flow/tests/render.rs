//! Diagnostics as people and programs see them.

mod common;

use weft_flow::{RenderOptions, render};

const FLOW: &str = "id: shop
namespace: dev
tasks:
  - id: load
    type: org.example.shell.Commands
    comands:
      - python load.py --date \"{{ trigger.date }}\" --into \"{{ outputs.clean.vars.path }}\" --and-a-very-long-option that makes the line too long
  - id: load
    type: org.example.log.Log
    message: \"日本 {{ inputs.name | uper }}\"
";

#[test]
fn for_people() {
    let outcome = common::parse(FLOW);
    let options = RenderOptions { color: false, width: 80 };
    insta::assert_snapshot!(render(&outcome.diagnostics, FLOW, "shop.yaml", options));
}

#[test]
fn with_colour() {
    let source = "id: f\nnamespace: n\ntasks:\n\t- id: a\n";
    let outcome = common::parse(source);
    let options = RenderOptions { color: true, width: 80 };
    let text = render(&outcome.diagnostics, source, "tab.yaml", options);
    insta::assert_snapshot!(text.replace('\u{1b}', "<esc>"));
}

#[test]
fn for_programs() {
    let outcome = common::parse(FLOW);
    let machine: Vec<_> =
        outcome.diagnostics.iter().map(|diagnostic| diagnostic.to_machine("shop.yaml")).collect();
    insta::assert_json_snapshot!(machine);
}
