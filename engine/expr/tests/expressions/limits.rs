//! Rendering ends, and says why, whatever the template is.

use crate::world::{context, fails, render};
use weft_expr::{Environment, Limits, NoEnvironment, Template, Value};

/// An environment with small limits.
struct Small;

impl Environment for Small {
    fn limits(&self) -> Limits {
        Limits { depth: 5, iterations: 1000, output_bytes: 1000, recursion: 3 }
    }
}

#[track_caller]
fn fails_small(rows: &[(&str, &str)]) {
    for (template, expected) in rows {
        let parsed = Template::parse(template).expect(template);
        let error = parsed.render(&context(), &Small).expect_err(template);
        assert!(error.to_string().contains(expected), "{template}: {error}");
    }
}

#[test]
fn nesting_of_the_syntax_is_bounded() {
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{1:", "}"), ("max(", ")"), ("a[", "]"), ("- ", ""), ("not ", "")]
    {
        let deep = |count: usize| format!("{{{{ {}1{} }}}}", open.repeat(count), close.repeat(count));
        assert!(Template::parse(&deep(20)).is_ok(), "{open}");
        let error = Template::parse(&deep(100_000)).unwrap_err();
        assert!(error.message.contains("nested more than 64 deep"), "{open}: {error}");
    }
    for (open, close) in
        [("{% if 1 %}", "{% endif %}"), ("{% for x in y %}", "{% endfor %}"), ("{% filter trim %}", "")]
    {
        let deep = format!("{}{}", open.repeat(10_000), close.repeat(10_000));
        let error = Template::parse(&deep).unwrap_err();
        assert!(error.message.contains("tags are nested more than 64 deep"), "{open}: {error}");
    }
    let strings = "\"#{".repeat(1000);
    assert!(
        Template::parse(&format!("{{{{ {strings} }}}}"))
            .unwrap_err()
            .message
            .contains("nested more than 8 deep")
    );
}

#[test]
fn long_chains_are_bounded() {
    for (link, count) in [("~ 1 ", 150), ("| trim ", 150), ("+ 1", 150), ("?? 1", 150)] {
        let chain = |count: usize| format!("{{{{ 1 {} }}}}", link.repeat(count));
        assert!(render(&chain(count)).is_ok(), "{link}");
        let error = Template::parse(&chain(100_000)).unwrap_err();
        assert!(error.message.contains("more than 200 operators in a row"), "{link}: {error}");
    }
    let ternaries = format!("{{{{ {}1 }}}}", "1 ? 2 : ".repeat(100_000));
    assert!(Template::parse(&ternaries).is_err());
}

#[test]
fn the_deepest_allowed_syntax_renders_on_a_small_stack() {
    let chain = format!("1{}", " ~ 1".repeat(120));
    let brackets = format!("{}{chain}{}", "[".repeat(60), "]".repeat(60));
    let tags = format!("{}{{{{ {brackets} }}}}{}", "{% if 1 %}".repeat(60), "{% endif %}".repeat(60));
    let work =
        move || Template::parse(&tags).unwrap().render(&Value::from(()), &NoEnvironment).unwrap().len();
    // What the threads of an asynchronous runtime have.
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap();
    assert_eq!(worker.join().unwrap(), 60 * 2 + 121 + 2);
}

#[test]
fn recursion_of_templates_is_bounded() {
    let work = || {
        fails(&[
            ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "the template is nested too deep"),
            (
                "{% macro m(n) %}{{ m(n + 1) ~ m(n) }}{% endmacro %}{{ m(1) }}",
                "the template is nested too deep",
            ),
            ("{% block a %}{{ block('a') }}{% endblock %}", "the template is nested too deep"),
            ("{{ render(self) }}", "more than 100 templates in templates"),
            ("{{ render(ping) }}", "more than 100 templates in templates"),
        ]);
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
    fails_small(&[("{{ render(ping) }}", "more than 3 templates in templates")]);
}

#[test]
fn rounds_are_bounded() {
    fails_small(&[
        ("{% for x in 1..2000 %}{% endfor %}", "more than 1000 rounds"),
        ("{% for x in 1..100 %}{% for y in 1..100 %}{% endfor %}{% endfor %}", "more than 1000 rounds"),
        ("{{ range(1, 9223372036854775807) }}", "more than 1000 rounds"),
        ("{% set l = 1..100 %}{% for x in l %}{{ l | sort | length }}{% endfor %}", "more than 1000 rounds"),
        ("{{ 0 | jq('[repeat(1)]') }}", "took too many steps"),
        ("{{ 0 | jq('def f: f; f') }}", "took too many steps"),
        ("{{ 0 | jq('[range(1e15)] | length') }}", "took too many steps"),
        ("{{ 0 | jq('try repeat(1) catch 2') }}", "took too many steps"),
        (
            "{{ 0 | jq('[.,.] | [.,.] | [.,.] | [.,.] | [.,.] | [.,.] | [.,.] | [.,.] | [.,.] | [.,.] | [.,.]') }}",
            "jq",
        ),
        ("{{ 0 | jq('reduce range(40) as $i (1; [., .]) | tojson') }}", "took too many steps"),
        ("{{ 0 | jq('reduce range(40) as $i (1; [., .]) | . == .') }}", "took too many steps"),
        ("{{ 0 | jq('reduce range(40) as $i (1; [., .]) | [..] | length') }}", "took too many steps"),
        ("{{ 0 | jq('def __step: .; def f: f; f') }}", "`__step` is reserved"),
    ]);
    fails(&[("{{ 0 | jq('def f: 1 + f; f') }}", "the `jq` program is nested too deep")]);
}

#[test]
fn bytes_are_bounded() {
    fails_small(&[
        ("{% for x in 1..200 %}0123456789{% endfor %}", "the text is longer than 1000 bytes"),
        (
            "{% set s = 'x' %}{% for x in 1..40 %}{% set s = s ~ s %}{% endfor %}",
            "the text is longer than 1000 bytes",
        ),
        (
            "{% set s = 'x' %}{% for x in 1..40 %}{% set s = \"#{s}#{s}\" %}{% endfor %}",
            "longer than 1000 bytes",
        ),
        ("{% set s = [1] %}{% for x in 1..40 %}{% set s = s + s %}{% endfor %}", "more than 1000 rounds"),
        ("{{ 'x' | indent(9223372036854775807) }}", "the text is longer than 1000 bytes"),
        (
            "{{ 'aaaaaaaaaa' | replace({'': 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'}) }}",
            "longer than 1000 bytes",
        ),
        ("{{ 0 | jq('\"x\" * 1e12') }}", "the text is longer than 1000 bytes"),
        ("{{ 0 | jq('reduce range(60) as $i (\"x\"; . + .)') }}", "the text is longer than 1000 bytes"),
        (
            "{{ 0 | jq('reduce range(60) as $i ({a: \"x\"}; .a += .a)') }}",
            "the text is longer than 1000 bytes",
        ),
    ]);
}

#[test]
fn values_nest_only_so_deep() {
    fails_small(&[
        ("{% set a = [] %}{% for x in 1..100 %}{% set a = [a] %}{% endfor %}", "nested more than 5 deep"),
        (
            "{% set a = [] %}{% for x in 1..100 %}{% set a = [a] | reverse %}{% endfor %}",
            "nested more than 5 deep",
        ),
        (
            "{% set a = {} %}{% for x in 1..100 %}{% set a = {'k': a} | merge({'l': 1}) %}{% endfor %}",
            "nested more than 5 deep",
        ),
        (
            "{% set a = [] %}{% for x in 1..100 %}{% set a = [a] | chunk(1) | flatten %}{% endfor %}",
            "nested more than 5 deep",
        ),
        ("{{ fromJson('[[[[[[[]]]]]]]') }}", "nested"),
        ("{{ fromIon('[[[[[[[]]]]]]]') }}", "nested more than 5 deep"),
        ("{{ yaml('[[[[[[[]]]]]]]') }}", "nested more than 5 deep"),
        ("{{ 0 | jq('[[[[[[[.]]]]]]]') }}", "nested too deep"),
    ]);
    let deep = "[".repeat(100_000);
    for call in ["fromJson", "fromIon", "yaml"] {
        let context = Value::from_pairs([("deep", Value::from(deep.as_str()))]);
        let template = Template::parse(&format!("{{{{ {call}(deep) }}}}")).unwrap();
        assert!(template.render(&context, &NoEnvironment).is_err(), "{call}");
    }
}

#[test]
fn long_templates_are_parsed() {
    let long = 200_000;
    for (valid, template) in [
        (false, "{% raw %}".repeat(long)),
        (true, "{{ 1 }}".repeat(long)),
        (false, "{".repeat(long)),
        (false, "{#".repeat(long)),
        (false, "{% verbatim %}".repeat(long)),
        (true, format!("{{{{ '{}' }}}}", "\\".repeat(long))),
        (true, format!("{{{{ [{}1] }}}}", "1,".repeat(long))),
    ] {
        assert_eq!(Template::parse(&template).is_ok(), valid, "{}", &template[..20]);
    }
    assert!(Template::parse(&"{{ x".repeat(5 << 20)).unwrap_err().message.contains("longer than 16 MiB"));
}
