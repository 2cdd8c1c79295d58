//! Typical expressions beside the same in MiniJinja, whose values they are evaluated on.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use minijinja::value::Serde;
use serde_json::json;
use weft_expr::{NoEnvironment, Template, Value};

/// A name, ours, MiniJinja's.
const CASES: [(&str, &str, &str); 4] = [
    ("text", "no expression at all", "no expression at all"),
    ("path", "{{ outputs.load.vars.rows }}", "{{ outputs.load.vars.rows }}"),
    (
        "filters",
        "{{ inputs.name | upper | trim }} of {{ flow.id }}",
        "{{ inputs.name | upper | trim }} of {{ flow.id }}",
    ),
    (
        "loop",
        "{% for row in outputs.load.vars.list %}{{ row.id }}: {{ row.name | default('none') }}\n{% endfor %}",
        "{% for row in outputs.load.vars.list %}{{ row.id }}: {{ row.name | default('none') }}\n{% endfor %}",
    ),
];

fn context() -> Value {
    let list: Vec<_> = (0..20).map(|id| json!({"id": id, "name": format!("row {id}")})).collect();
    Value::from(Serde(json!({
        "flow": {"id": "bench"},
        "inputs": {"name": " ada "},
        "outputs": {"load": {"vars": {"rows": 42, "list": list}}},
    })))
}

fn evaluate(c: &mut Criterion) {
    let context = context();
    let environment = minijinja::Environment::new();
    for (name, ours, theirs) in CASES {
        let mut group = c.benchmark_group(name);
        let template = Template::parse(ours).unwrap_or_else(|error| panic!("{error}"));
        group.bench_function("weft", |b| {
            b.iter(|| template.render(black_box(&context), &NoEnvironment).map(|text| text.len()));
        });
        let raw = environment.template_from_str(theirs).unwrap_or_else(|error| panic!("{error}"));
        group.bench_function("minijinja", |b| {
            b.iter(|| raw.render(black_box(&context)).map(|text| text.len()))
        });
        group.bench_function("weft, parsed each time", |b| {
            b.iter(|| Template::parse(black_box(ours)).map(|template| template.is_literal()));
        });
        group.finish();
    }
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
