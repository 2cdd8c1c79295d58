//! Whatever is written, nothing panics and limits hold.

use crate::world::World;
use proptest::prelude::*;
use weft_expr::{Environment, Fault, Limits, Template, Value};

/// As [`World`], with limits that a test can wait for.
struct Bounded;

const LIMITS: Limits = Limits { depth: 20, iterations: 20_000, output_bytes: 100_000, recursion: 5 };

impl Environment for Bounded {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn now(&self) -> Result<jiff::Zoned, Fault> {
        World.now()
    }

    fn random(&self) -> Result<u64, Fault> {
        Ok(u64::MAX)
    }
}

/// Parts of templates, so that random sequences of them often parse.
const PARTS: &[&str] = &[
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{# ",
    " #}",
    "{{- ",
    " -}}",
    "if ",
    "elseif ",
    "else ",
    "endif ",
    "for x in ",
    "endfor ",
    "set a = ",
    "macro m(a, b=1) ",
    "endmacro ",
    "block b ",
    "endblock ",
    "filter upper ",
    "endfilter ",
    "raw ",
    "endraw ",
    "a",
    "b",
    "x",
    "list",
    "map",
    "text",
    "loop.index",
    "missing",
    "null",
    "true",
    "1",
    "2.5",
    "-",
    "+",
    "*",
    "/",
    "%",
    "~",
    "|",
    "??",
    "???",
    "..",
    "==",
    "!=",
    "<",
    ">=",
    "?",
    ":",
    ",",
    ".",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'s'",
    "\"d #{a}\"",
    "\"",
    "'",
    "\\",
    " and ",
    " or ",
    " not ",
    " is ",
    " is not ",
    " contains ",
    "defined",
    "empty",
    "even",
    "é",
    "\n",
    " ",
    "| upper",
    "| first",
    "| length",
    "| sort",
    "| join(',')",
    "| default('d')",
    "| toJson",
    "| jq('.[]')",
    "| slice(0, 1)",
    "| split('.')",
    "| replace({'a': 'b'})",
    "| date('yyyy')",
    "| numberFormat('#.##')",
    "| keys",
    "| yaml",
    "| chunk(2)",
    "m()",
    "max(1, a)",
    "range(1, 3)",
    "now()",
    "fromJson(text)",
    "render(text)",
    "block('b')",
    "1..3",
];

/// Templates whose delimiters match, around random expressions.
fn template() -> impl Strategy<Value = String> {
    let expression =
        prop::collection::vec(prop::sample::select(PARTS), 1..8).prop_map(|parts| parts.concat());
    let piece = prop_oneof![
        expression.clone().prop_map(|inside| format!("{{{{ {inside} }}}}")),
        expression.clone().prop_map(|inside| format!("{{% if {inside} %}}y{{% else %}}n{{% endif %}}")),
        expression.clone().prop_map(|inside| format!("{{% for x in {inside} %}}{{{{ x }}}}{{% endfor %}}")),
        expression.prop_map(|inside| format!("{{% set a = {inside} %}}")),
        ".{0,8}",
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        // serde_json reads back no more digits than these without fault.
        any::<i32>().prop_map(|number| (f64::from(number) / 1000.0).into()),
        ".{0,12}".prop_map(Into::into),
        Just("{{ text }}".into()),
        Just("2024-02-29T12:00:00Z".into()),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec(("[a-z]{1,3}", inner), 0..5).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

fn context() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec!["a", "b", "list", "map", "text"]);
    prop::collection::vec((names, json()), 0..6).prop_map(|pairs| {
        let map: serde_json::Map<_, _> =
            pairs.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        Value::from(minijinja::value::Serde(&map))
    })
}

/// Renders in every way there is; errors are fine, panics and broken limits are not.
fn exercise(source: &str, context: &Value) -> Result<(), TestCaseError> {
    let template = match Template::parse(source) {
        Ok(template) => template,
        Err(error) => {
            prop_assert!(
                error.span.start <= error.span.end && error.span.end <= source.len() + 2,
                "{error:?}"
            );
            prop_assert!(error.line >= 1 && error.column >= 1);
            return Ok(());
        }
    };
    for reference in template.references() {
        prop_assert!(source.get(reference.span).is_some());
    }
    for call in template.calls() {
        prop_assert!(source.get(call.span).is_some());
    }
    match template.render(context, &Bounded) {
        Ok(text) => prop_assert!(text.len() <= LIMITS.output_bytes),
        Err(error) => prop_assert!(source.get(error.span.clone()).is_some(), "{error:?}"),
    }
    let _ = template.render_typed(context, &Bounded);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_can_be_parsed(source in any::<String>()) {
        let _ = Template::parse(&source);
        let _ = Template::parse(&format!("{{{{ {source} }}}}"));
        let _ = Template::parse(&format!("{{% {source} %}}"));
    }

    #[test]
    fn any_parts_can_be_parsed_and_rendered(parts in prop::collection::vec(prop::sample::select(PARTS), 0..40), context in context()) {
        exercise(&parts.concat(), &context)?;
    }

    #[test]
    fn any_template_can_be_rendered(source in template(), context in context()) {
        exercise(&source, &context)?;
    }

    #[test]
    fn texts_without_delimiters_stay_as_they_are(source in "[^{]*") {
        prop_assert_eq!(Template::parse(&source).unwrap().render(&Value::from(()), &Bounded).unwrap(), source);
    }

    #[test]
    fn json_that_is_printed_can_be_read_again(value in json()) {
        let context = Value::from_pairs([("a", Value::from(minijinja::value::Serde(&value)))]);
        let text = Template::parse("{{ a | toJson }}").unwrap().render(&context, &Bounded).unwrap();
        let again: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(again, value);
    }

    #[test]
    fn any_arguments_are_taken(input in json(), argument in json(), index in 0..FILTERS.len()) {
        let context = Value::from_pairs([("i", Value::from(minijinja::value::Serde(&input))), ("a", Value::from(minijinja::value::Serde(&argument)))]);
        let source = FILTERS[index];
        let template = Template::parse(source).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let _ = template.render(&context, &Bounded);
    }

    #[test]
    fn any_patterns_are_taken(text in ".{0,20}", pattern in ".{0,20}") {
        let context = Value::from_pairs([("t", text), ("p", pattern)]);
        for source in [
            "{{ t | split(p) }}", "{{ t | replace({p: '$1'}, true) }}", "{{ t | regexReplace(p, t) }}", "{{ t | regexExtract(p) }}",
            "{{ t | date(p) }}", "{{ 0 | date(p) }}", "{{ 0 | date(timeZone=p) }}", "{{ t | date('iso', existingFormat=p) }}",
            "{{ 12345.678 | numberFormat(p) }}", "{{ 0 | jq(p) }}", "{{ fromIon(t) }}", "{{ yaml(t) }}", "{{ render(t) }}",
        ] {
            let _ = Template::parse(source).unwrap().render(&context, &Bounded);
        }
    }
}

/// Filters and functions with arguments of any type.
const FILTERS: &[&str] = &[
    "{{ i | abbreviate(a) }}",
    "{{ i | abs }}",
    "{{ i | base64decode }}",
    "{{ i | capitalize }}",
    "{{ i | chunk(a) }}",
    "{{ i | date(a, a, a) }}",
    "{{ i | dateAdd(a, 'DAYS') }}",
    "{{ i | dateAdd(1, a) }}",
    "{{ i | default(a) }}",
    "{{ i | distinct }}",
    "{{ i | escapeChar(a) }}",
    "{{ i | first }}",
    "{{ i | flatten }}",
    "{{ i | indent(a, a) }}",
    "{{ i | join(a) }}",
    "{{ i | jq(a) }}",
    "{{ i | jq('.') }}",
    "{{ i | keys }}",
    "{{ i | last }}",
    "{{ i | length }}",
    "{{ i | merge(a) }}",
    "{{ i | nindent(a) }}",
    "{{ i | number(a) }}",
    "{{ i | numberFormat(a) }}",
    "{{ i | replace(a) }}",
    "{{ i | reverse }}",
    "{{ i | rsort }}",
    "{{ i | slice(a, a) }}",
    "{{ i | slugify }}",
    "{{ i | sort }}",
    "{{ i | split(a, a) }}",
    "{{ i | timestamp }}",
    "{{ i | title }}",
    "{{ i | toIon }}",
    "{{ i | urldecode }}",
    "{{ i | values }}",
    "{{ i | yaml }}",
    "{{ i + a }}",
    "{{ i - a }}",
    "{{ i * a }}",
    "{{ i / a }}",
    "{{ i % a }}",
    "{{ i ~ a }}",
    "{{ i == a }}",
    "{{ i < a }}",
    "{{ i contains a }}",
    "{{ i .. a }}",
    "{{ i ?? a }}",
    "{{ not i }}",
    "{{ -i }}",
    "{{ i[a] }}",
    "{{ i and a }}",
    "{{ i ? 1 : 2 }}",
    "{{ i is empty }}",
    "{{ i is even }}",
    "{{ i is json }}",
    "{{ i is equalTo(a) }}",
    "{{ max(i, a) }}",
    "{{ range(i, a, i) }}",
    "{{ fromJson(i) }}",
    "{{ fromIon(i) }}",
    "{{ yaml(i) }}",
    "{{ render(i) }}",
    "{{ currentEachOutput(i) }}",
    "{{ randomInt(i, a) }}",
    "{{ dayOfWeek(i) }}",
    "{{ isLastWorkingDay(i, a) }}",
    "{{ tasksWithState(i) }}",
    "{{ now(i, a) }}",
];
