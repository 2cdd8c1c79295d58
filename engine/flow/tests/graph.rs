//! Pictures of a flow.

mod common;

use weft_flow::{Graph, draw_tree};

const FLOW: &str = "id: shop
namespace: dev
tasks:
  - {id: first, type: org.example.debug.Return}
  - id: both
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - {id: left, type: org.example.debug.Return}
      - {id: right, type: org.example.debug.Return, disabled: true}
  - id: choose
    type: io.kestra.plugin.core.flow.Switch
    value: \"{{ outputs.first.value }}\"
    cases:
      a \"b\": [{id: one, type: org.example.debug.Return}]
    defaults: [{id: other, type: org.example.debug.Return}]
    errors: [{id: wrong, type: org.example.log.Log, message: m}]
  - id: steps
    type: io.kestra.plugin.core.flow.Dag
    tasks:
      - task: {id: s1, type: org.example.debug.Return}
      - task: {id: s2, type: org.example.debug.Return}
        dependsOn: [s1]
  - {id: sub, type: io.kestra.plugin.core.flow.Subflow, namespace: dev, flowId: child}
errors:
  - {id: tell, type: org.example.log.Log, message: m}
";

#[test]
fn mermaid() {
    insta::assert_snapshot!(Graph::of(&common::flow(FLOW)).to_mermaid());
}

#[test]
fn dot() {
    insta::assert_snapshot!(Graph::of(&common::flow(FLOW)).to_dot());
}

#[test]
fn tree() {
    insta::assert_snapshot!(draw_tree(&common::flow(FLOW)));
}
