//! What is known of a template without rendering it.

use weft_expr::{CallKind, Template};

/// The references of a template as `path` or `path?` for guarded ones.
fn references(template: &str) -> Vec<String> {
    let template = Template::parse(template).expect(template);
    let shown = template.references().into_iter().map(|reference| {
        let written = &template.source()[reference.span.clone()];
        assert!(written.starts_with(&reference.path[0]), "{written} does not begin with its root");
        format!("{}{}", reference.path.join("/"), if reference.guarded { "?" } else { "" })
    });
    shown.collect()
}

#[test]
fn references_are_paths_from_a_root() {
    for (template, expected) in [
        ("plain", vec![]),
        ("{{ inputs.name }}", vec!["inputs/name"]),
        (
            "{{ outputs['my-task'].value }} {{ outputs.a[0].b }}",
            vec!["outputs/my-task/value", "outputs/a/0/b"],
        ),
        ("{{ outputs.make[taskrun.value].value }}", vec!["outputs/make", "taskrun/value"]),
        ("{{ 1 is defined }}", vec![]),
        ("{{ a | join(b) ~ max(c, [d, {'k': e}]) }}", vec!["a", "b", "c", "d", "e"]),
        (r#"{{ "x #{inputs.y}" }}"#, vec!["inputs/y"]),
        ("{% for x in list %}{{ x.a }}{{ loop.index }}{{ y }}{% endfor %}{{ x }}", vec!["list", "y", "x"]),
        ("{{ n }}{% set n = m %}{{ n }}", vec!["n", "m"]),
        ("{% macro f(a, b=c) %}{{ a }}{{ d }}{% endmacro %}{{ f(e) }}", vec!["c", "d", "e"]),
        ("{% block x %}{{ a }}{% endblock %}{% filter upper %}{{ b }}{% endfilter %}", vec!["a", "b"]),
        ("{{ not a }}{{ -b }}{{ c.trim() }}", vec!["a", "b", "c"]),
    ] {
        assert_eq!(references(template), expected, "{template}");
    }
}

#[test]
fn references_may_be_guarded() {
    for (template, expected) in [
        ("{{ a.b ?? c }}", vec!["a/b?", "c"]),
        ("{{ a ??? b ?? c }}", vec!["a?", "b?", "c"]),
        ("{{ (a | upper) ?? b }}", vec!["a?", "b"]),
        ("{{ a | default(b) }}", vec!["a?", "b"]),
        ("{{ a.b is defined }} {{ a.b is not defined }} {{ a is null }}", vec!["a/b?", "a/b?", "a"]),
        ("{{ a.b is defined ? a.b.c : d }}", vec!["a/b?", "a/b/c?", "d"]),
        ("{{ a.b is not defined ? d : a }}", vec!["a/b?", "d", "a?"]),
        ("{{ a ? a : b }}", vec!["a", "a", "b"]),
        ("{{ a is defined and a.b == 1 }} {{ a.b }}", vec!["a?", "a/b?", "a/b"]),
        (
            "{% if a.b is defined %}{{ a.b }}{{ c }}{% elseif a.b == 1 %}{{ a.x }}{% else %}{{ a.b.c }}{% endif %}{{ a.b }}",
            vec!["a/b?", "a/b?", "c", "a/b?", "a/x", "a/b/c?", "a/b"],
        ),
        ("{% if (a ?? 1) == 1 and b is defined %}{{ a }}{{ b }}{% endif %}", vec!["a?", "b?", "a?", "b?"]),
    ] {
        assert_eq!(references(template), expected, "{template}");
    }
}

#[test]
fn calls_are_functions_filters_and_tests() {
    let template =
        Template::parse("{{ secret('KEY') | upper }}{% if read(file) is empty %}{% endif %}").unwrap();
    let calls: Vec<_> =
        template.calls().into_iter().map(|call| (call.name, call.kind, call.literal)).collect();
    assert_eq!(
        calls,
        [
            ("secret".to_string(), CallKind::Function, Some("KEY".to_string())),
            ("upper".to_string(), CallKind::Filter, None),
            ("read".to_string(), CallKind::Function, None),
            ("empty".to_string(), CallKind::Test, None),
        ]
    );
}

#[test]
fn literals_are_recognised() {
    for (template, literal) in [
        ("", true),
        ("plain { text }", true),
        ("} } %} #}", true),
        ("{{ a }}", false),
        ("{% set a = 1 %}", false),
        ("{# note #}", false),
    ] {
        assert_eq!(Template::parse(template).unwrap().is_literal(), literal, "{template}");
    }
}
