//! What the tables of tests share: a context, an environment that knows the answers, and the check of a row.

use jiff::Zoned;
use jiff::tz::TimeZone;
use minijinja::value::Serde;
use serde_json::json;
use weft_expr::{Environment, Fault, Template, Value};

/// A small world at a fixed time.
pub struct World;

impl Environment for World {
    fn time_zone(&self) -> TimeZone {
        TimeZone::get("Europe/Paris").expect("the time zone database")
    }

    fn now(&self) -> Result<Zoned, Fault> {
        "2024-02-29T12:30:45.123456789+01:00[Europe/Paris]".parse().map_err(|_| Fault::new("no clock"))
    }

    fn secret(&self, key: &str) -> Result<String, Fault> {
        match key {
            "TOKEN" => Ok("s3cret".to_string()),
            "JSON" => Ok(r#"{"user": "ann", "port": 5432}"#.to_string()),
            _ => Err(Fault::new(format!("cannot find the secret `{key}`"))),
        }
    }

    fn read(&self, path_or_uri: &str) -> Result<String, Fault> {
        Ok(format!("content of {path_or_uri}"))
    }

    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, Fault> {
        Ok((key == "answer").then(|| Value::from(Serde(&json!({"n": 42, "namespace": namespace})))))
    }

    fn file_size(&self, uri: &str) -> Result<u64, Fault> {
        Ok(if uri.ends_with("empty") { 0 } else { 7 })
    }

    fn file_exists(&self, uri: &str) -> Result<bool, Fault> {
        Ok(!uri.ends_with("missing"))
    }

    fn file_uri(&self, path: &str) -> Result<String, Fault> {
        Ok(format!("kestra:///company/team/_files/{path}"))
    }

    fn random(&self) -> Result<u64, Fault> {
        Ok(7)
    }

    fn free_port(&self) -> Result<u16, Fault> {
        Ok(49152)
    }

    fn encrypt(&self, key: &str, text: &str) -> Result<String, Fault> {
        Ok(format!("{key}({text})"))
    }

    fn error_logs(&self) -> Result<Value, Fault> {
        Ok(Value::from(Serde(&json!([{"taskId": "load", "message": "no such file"}]))))
    }

    fn http(&self, request: &Value) -> Result<Value, Fault> {
        Ok(request.clone())
    }
}

/// What templates of the tests see.
pub fn context() -> Value {
    Value::from(Serde(&json!({
        "text": "hello World", "nothing": null, "count": 42, "price": 3.65, "yes": true, "no": false, "blank": "",
        "numbers": [3, 1, 2], "words": ["b", "a", "c"], "none_of_it": [],
        "map": {"a": 1, "b-c": "dash", "nil": null, "deep": {"k": "v"}},
        "with-dash": "root", "date": "2013-09-08T16:19:12.123456+01:00",
        "rows": [{"uri": "u1", "size": 10}, {"uri": "u2", "size": 20}],
        "first": "1", "second": "{{ first }}", "third": "{{ second }}", "self": "{{ render(self) }}",
        "ping": "{{ pong }}", "pong": "{{ ping }}", "rawed": "{% raw %}{{ first }}{% endraw %}",
        "outputs": {
            "make": {"b": {"x": {"value": "inner"}}, "a": {"x": {"value": "other"}}},
            "my-task": {"value": "dashed"},
        },
        "parents": [{"taskrun": {"value": "b"}}], "taskrun": {"value": "x"},
        "tasks": {
            "one": {"state": "SUCCESS"}, "two": {"state": "FAILED"},
            "each": {"p": {"state": "FAILED"}, "q": {"state": "SUCCESS"}},
        },
    })))
}

/// Renders with [`World`] and [`context`].
pub fn render(template: &str) -> Result<String, String> {
    let template = Template::parse(template).map_err(|error| error.to_string())?;
    template.render(&context(), &World).map_err(|error| error.to_string())
}

/// Checks that each template renders to the text next to it.
#[track_caller]
pub fn renders(rows: &[(&str, &str)]) {
    for (template, expected) in rows {
        assert_eq!(render(template).as_deref(), Ok(*expected), "{template}");
    }
}

/// Checks that each template fails with a message that has the text next to it.
#[track_caller]
pub fn fails(rows: &[(&str, &str)]) {
    for (template, expected) in rows {
        match render(template) {
            Ok(rendered) => panic!("{template} rendered to {rendered:?}"),
            Err(message) => assert!(message.contains(expected), "{template}: {message}"),
        }
    }
}
