//! The values that an execution is started with.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{check, flow};
use serde_json::{Value, json};
use weft_expr::NoEnvironment;
use weft_flow::{FileInputs, Flow, Given, coerce_output, resolve_inputs};

/// Remembers what was uploaded.
#[derive(Default)]
struct Files(Vec<String>);

impl FileInputs for Files {
    fn upload(&mut self, input: &str, file: &Path, extension: &str) -> Result<String, String> {
        if file.starts_with("/missing") {
            return Err("no such file".to_owned());
        }
        self.0.push(format!("{input} {} {extension}", file.display()));
        Ok(format!("kestra:///uploads/{input}"))
    }
}

fn with_inputs(inputs: &str) -> Flow {
    flow(&source(inputs))
}

fn source(inputs: &str) -> String {
    format!(
        "id: f\nnamespace: n\nvariables: {{v: 5}}\ninputs:\n{inputs}tasks: [{{id: t, type: org.example.debug.Return}}]\n"
    )
}

fn texts(given: &[(&str, &str)]) -> BTreeMap<String, Given> {
    given.iter().map(|(name, text)| ((*name).to_owned(), Given::Text((*text).to_owned()))).collect()
}

/// The values, or the problems as text.
fn resolve(flow: &Flow, given: &BTreeMap<String, Given>) -> Result<Value, String> {
    resolve_inputs(flow, given, &NoEnvironment, &mut Files::default())
        .map(Value::Object)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn values_of_all_types() {
    for (input, text, expected) in [
        ("type: STRING", "a b", json!("a b")),
        ("type: INT", "42", json!(42)),
        ("type: FLOAT", "42.42", json!(42.42)),
        ("type: BOOLEAN", "TRUE", json!(true)),
        ("type: BOOL", "yes", json!(false)),
        ("type: DATETIME", "2013-08-09T14:19:00+02:00", json!("2013-08-09T12:19:00Z")),
        ("type: DATE", "2013-08-09", json!("2013-08-09")),
        ("type: TIME", "14:19", json!("14:19:00")),
        ("type: DURATION", "pt5m6s", json!("PT5M6S")),
        ("type: JSON", "{\"a\": [1]}", json!({"a": [1]})),
        ("type: YAML", "a:\n  - 1\n  - x: y\n", json!({"a": [1, {"x": "y"}]})),
        ("type: URI", "https://example.com/a?b=c", json!("https://example.com/a?b=c")),
        ("type: SECRET", "s", json!("s")),
        ("type: ARRAY, itemType: INT", "[1, \"2\"]", json!([1, 2])),
        ("type: ARRAY, itemType: STRING", "- a\n- b\n", json!(["a", "b"])),
        ("type: SELECT, values: [a, b]", "b", json!("b")),
        ("type: ENUM, values: [a], allowCustomValue: true", "c", json!("c")),
        ("type: SELECT, expression: \"{{ ['x', 'y'] }}\"", "y", json!("y")),
        ("type: MULTISELECT, values: [a, b, c]", "[\"a\", \"c\"]", json!(["a", "c"])),
        ("type: EMAIL", "", json!("")),
        ("type: FILE", "/some/file.csv", json!("kestra:///uploads/x")),
        ("type: FILE", "kestra:///a/b", json!("kestra:///a/b")),
    ] {
        let flow = with_inputs(&format!("  - {{id: x, {input}}}\n"));
        assert_eq!(resolve(&flow, &texts(&[("x", text)])), Ok(json!({"x": expected})), "{input} {text}");
    }
}

#[test]
fn values_that_do_not_fit() {
    for (input, text, expected) in [
        (
            "type: STRING, validator: '^[a-z]+$'",
            "A1",
            "it must match the pattern `^[a-z]+$`, but received `A1`",
        ),
        ("type: STRING, validator: 'a|ab'", "abc", "it must match the pattern `a|ab`, but received `abc`"),
        (
            "type: STRING, validator: '(?=.*[0-9]).+'",
            "abc",
            "it must match the pattern `(?=.*[0-9]).+`, but received `abc`",
        ),
        ("type: INT", "x", "it must be a whole number of 32 bits, but received `x`"),
        ("type: INT", "2147483648", "it must be a whole number of 32 bits, but received `2147483648`"),
        ("type: INT, min: 10", "9", "it must be more than `10`, but received `9`"),
        ("type: FLOAT, max: 1.5", "2", "it must be less than `1.5`, but received `2`"),
        (
            "type: DATE, after: '2023-01-01'",
            "2022-01-01",
            "it must be after `2023-01-01`, but received `2022-01-01`",
        ),
        ("type: TIME, before: '12:00:00'", "13:00", "it must be before `12:00:00`, but received `13:00`"),
        ("type: DURATION, max: PT1H", "PT2H", "it must be less than `PT1H`, but received `PT2H`"),
        (
            "type: DATETIME",
            "2013-08-09",
            "it must be a date with time and zone such as `2024-01-31T12:00:00Z`, but received `2013-08-09`",
        ),
        (
            "type: JSON",
            "{",
            "it must be JSON: EOF while parsing an object at line 1 column 1, but received `{`",
        ),
        (
            "type: URI",
            "http://localhost/",
            "it must be an address such as `https://example.com/path`, but received `http://localhost/`",
        ),
        (
            "type: ARRAY, itemType: INT",
            "[1, x]",
            "item 1: it must be a whole number of 32 bits, but received `[1, x]`",
        ),
        ("type: ARRAY, itemType: INT", "5", "it must be a list, as in `[1, 2]`, but received `5`"),
        (
            "type: SELECT, values: [alpha, beta]",
            "alpa",
            "it must match one of the values `alpha` or `beta` (did you mean `alpha`?), but received `alpa`",
        ),
        (
            "type: MULTISELECT, values: [a]",
            "[\"b\"]",
            "it must match one of the values `a`, but received `[\"b\"]`",
        ),
        ("type: EMAIL", "nobody", "it must be a mail address, but received `nobody`"),
        (
            "type: FILE",
            "/missing/a.csv",
            "the file cannot be taken: no such file, but received `/missing/a.csv`",
        ),
        (
            "type: FILE, allowedFileExtensions: [.csv, .json]",
            "/a.txt",
            "the file's name must end with `.csv` or `.json`, but received `/a.txt`",
        ),
        (
            "type: SECRET, validator: 'x+'",
            "hunter2",
            "it must match the pattern `x+`, but received `********`",
        ),
        (
            "type: ARRAY, itemType: SECRET",
            "hunter2",
            "it must be a list, as in `[1, 2]`, but received `********`",
        ),
    ] {
        let flow = with_inputs(&format!("  - {{id: x, {input}}}\n"));
        let expected = Err(format!("invalid input for `x`, {expected}"));
        assert_eq!(resolve(&flow, &texts(&[("x", text)])), expected, "{input} {text}");
    }
}

#[test]
fn missing_unknown_and_optional() {
    let flow = with_inputs("  - {id: name, type: STRING}\n  - {id: size, type: INT, required: false}\n");
    assert_eq!(
        resolve(&flow, &texts(&[("nme", "x")])),
        Err("invalid input for `nme`, the flow has no such input\nhint: did you mean `name`?\n\
             invalid input for `name`, missing required input, but received `null`\nhint: give it a value, as in `name=...`"
            .to_owned())
    );
    assert_eq!(resolve(&flow, &texts(&[("name", "")])), Ok(json!({"name": "", "size": null})));
}

#[test]
fn defaults_see_earlier_inputs() {
    let flow = with_inputs(
        "  - {id: a, type: STRING, defaults: x}
  - {id: b.c, type: STRING, defaults: \"{{ inputs.a }}-{{ flow.id }}-{{ vars.v }}\"}
  - {id: b.d, type: JSON, defaults: {list: [\"{{ inputs.b.c }}\"]}}
  - {id: e, type: ARRAY, itemType: INT, defaults: \"{{ [1, 2] }}\"}
  - {id: f, type: SELECT, values: [p, q], autoSelectFirst: true}
  - {id: g, type: FILE, extension: .csv, defaults: /data/x}
  - {id: h, type: STRING, defaults: 1.10}
",
    );
    let mut files = Files::default();
    let values = resolve_inputs(&flow, &texts(&[("a", "y")]), &NoEnvironment, &mut files);
    assert_eq!(
        values.map(Value::Object),
        Ok(json!({
            "a": "y",
            "b": {"c": "y-f-5", "d": {"list": ["y-f-5"]}},
            "e": [1, 2],
            "f": "p",
            "g": "kestra:///uploads/g",
            "h": "1.10",
        }))
    );
    assert_eq!(files.0, ["g /data/x .csv"]);
}

#[test]
fn dependent_inputs() {
    let flow = with_inputs(
        "  - {id: region, type: STRING, dependsOn: {inputs: [cloud], condition: \"{{ inputs.cloud == 'aws' }}\"}}
  - {id: cloud, type: STRING}
",
    );
    for (given, expected) in [
        (&[("cloud", "gcp")][..], Ok(json!({"cloud": "gcp"}))),
        (&[("cloud", "aws"), ("region", "eu")], Ok(json!({"cloud": "aws", "region": "eu"}))),
        (&[("cloud", "aws")], Err("invalid input for `region`, missing required input, but received `null`\nhint: give it a value, as in `region=...`".to_owned())),
    ] {
        assert_eq!(resolve(&flow, &texts(given)), expected, "{given:?}");
    }
}

#[test]
fn values_that_have_a_type_already() {
    let flow = with_inputs("  - {id: x, type: JSON}\n  - {id: y, type: INT, required: false}\n");
    let given = |y: Given| BTreeMap::from([("x".to_owned(), Given::Json(json!([1]))), ("y".to_owned(), y)]);
    assert_eq!(resolve(&flow, &given(Given::Json(json!(3)))), Ok(json!({"x": [1], "y": 3})));
    assert_eq!(
        resolve(&flow, &given(Given::FilePath("/a".into()))),
        Err("invalid input for `y`, only an input of type FILE takes a file, but received `/a`".to_owned())
    );
}

#[test]
fn mistakes_in_the_definition() {
    for (inputs, expected) in [
        (
            "  - {name: a, type: STRING}\n  - {id: a, type: INT}\n",
            "6:10 duplicate-id two inputs have the id `a`",
        ),
        ("  - {type: STRING}\n", "5:6 missing-property this input has no property `id`"),
        ("  - {id: a}\n", "5:6 missing-property input `a` has no property `type`"),
        ("  - {id: a, type: INT, min: 5, max: 1}\n", "5:37 invalid-value `max` must not be less than `min`"),
        (
            "  - {id: a, type: INT, validator: x}\n",
            "5:24 unknown-property unknown property `validator` of input `a`",
        ),
        (
            "  - {id: a, type: STRING, validator: '('}\n",
            "5:38 invalid-regex this is not a regular expression: Parsing error at position 1: Opening parenthesis without closing parenthesis",
        ),
        (
            "  - {id: a, type: INT, defaults: x}\n",
            "5:34 invalid-value the default value does not fit the input: it must be a whole number of 32 bits",
        ),
        (
            "  - {id: a, type: DATE, after: yesterday}\n",
            "5:32 invalid-value it must be a date such as `2024-01-31`",
        ),
        (
            "  - {id: a, type: SELECT}\n",
            "5:6 missing-property input `a` has neither `values` nor `expression` to choose from",
        ),
        (
            "  - {id: a, type: ARRAY, itemType: ARRAY}\n",
            "5:36 invalid-value a list of lists is not possible; use the type JSON",
        ),
        (
            "  - {id: a, type: STRING, dependsOn: {inputs: [b]}}\n  - {id: b, type: STRING, dependsOn: {inputs: [a, c]}}\n",
            "5:48 dependency-cycle cyclic dependency: `a` depends on `b` depends on `a`\n6:51 unknown-dependency there is no input `c` to depend on",
        ),
    ] {
        check(&[(&source(inputs), expected)]);
    }
}

#[test]
fn outputs_are_taken_in_their_type() {
    let flow = flow(
        "id: f
namespace: n
tasks: [{id: t, type: org.example.debug.Return}]
outputs:
  - {id: a, type: ARRAY, value: x}
  - {id: b, type: INT, value: x}
  - {id: c, type: JSON, value: x}
",
    );
    let kind = |index: usize| &flow.outputs[index].kind;
    for (index, value, expected) in [
        (0, json!(["a", 1]), Ok(json!(["a", 1]))),
        (0, json!("[\"a\"]"), Ok(json!(["a"]))),
        (0, json!({}), Err("it must be a list, as in `[1, 2]`".to_owned())),
        (1, json!("3"), Ok(json!(3))),
        (1, json!("x"), Err("it must be a whole number of 32 bits".to_owned())),
        (1, Value::Null, Ok(Value::Null)),
        (2, json!("plain"), Ok(json!("plain"))),
        (2, json!("{\"a\": 1}"), Ok(json!({"a": 1}))),
    ] {
        assert_eq!(coerce_output(kind(index), &value), expected, "{index} {value}");
    }
}
