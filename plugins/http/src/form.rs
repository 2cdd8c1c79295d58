//! Bodies made of fields.

use serde_json::{Map, Value};
use weft_sdk::http::{Body, Piece};
use weft_sdk::{Context, Error, Result};

/// Content type and body of a form.
pub fn form(
    fields: &Map<String, Value>,
    content_type: Option<&str>,
    cx: &Context,
) -> Result<(Option<String>, Body)> {
    let is_multipart =
        content_type.is_some_and(|content_type| content_type.starts_with("multipart/form-data"));
    if is_multipart {
        return multipart(fields, cx);
    }
    let content_type = "application/x-www-form-urlencoded".to_owned();
    Ok((Some(content_type), urlencoded(fields).into()))
}

/// `a=1&b=2`; a list gives a field for each of its items.
pub fn urlencoded(fields: &Map<String, Value>) -> String {
    let mut pairs = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Array(items) => {
                pairs.extend(items.iter().map(|item| format!("{}={}", encoded(name), encoded(&text(item)))));
            }
            Value::Null => {}
            value => pairs.push(format!("{}={}", encoded(name), encoded(&text(value)))),
        }
    }
    pairs.join("&")
}

/// What a URL may hold of a text, the rest as `%XX`.
pub fn encoded(text: &str) -> String {
    let mut all = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            all.push('%');
            all.push(char::from(HEX[usize::from(byte >> 4)]));
            all.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    all
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// RFC 7578. Files go from storage to the wire without being held.
fn multipart(fields: &Map<String, Value>, cx: &Context) -> Result<(Option<String>, Body)> {
    // The id of a task run is random enough to be in no file by accident.
    let boundary = format!("weft-{}-{}", cx.task_run_id(), cx.attempt());
    let mut pieces = Vec::new();
    for (name, value) in fields {
        let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
        match file(value)? {
            Some((uri, file_name)) => {
                let local = fetch(cx, uri, pieces.len())?;
                let file_name = file_name.unwrap_or_else(|| uri.rsplit('/').next().unwrap_or("file"));
                head.push_str(&format!(
                    "; filename=\"{}\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                    quoted(file_name)
                ));
                pieces.push(Piece::Bytes(head.into_bytes()));
                pieces.push(Piece::File { path: local, offset: 0, length: None });
                pieces.push(Piece::Bytes(b"\r\n".to_vec()));
            }
            None => {
                head.push_str("\r\n\r\n");
                head.push_str(&text(value));
                head.push_str("\r\n");
                pieces.push(Piece::Bytes(head.into_bytes()));
            }
        }
    }
    pieces.push(Piece::Bytes(format!("--{boundary}--\r\n").into_bytes()));
    Ok((Some(format!("multipart/form-data; boundary={boundary}")), Body::pieces(pieces)))
}

/// The stored file that a field stands for, and the name it is to have.
fn file(value: &Value) -> Result<Option<(&str, Option<&str>)>> {
    let stored = |uri: &Value| uri.as_str().is_some_and(|uri| uri.starts_with("kestra://"));
    match value {
        Value::String(uri) if stored(value) => Ok(Some((uri, None))),
        Value::Object(map) if map.contains_key("name") && map.contains_key("content") => {
            match (map["name"].as_str(), map["content"].as_str()) {
                (Some(name), Some(uri)) if stored(&map["content"]) => Ok(Some((uri, Some(name)))),
                _ => Err(Error::new(
                    "property.invalid",
                    "property `formData`: `content` beside `name` must be the `kestra://` URI of a stored file",
                )),
            }
        }
        _ => Ok(None),
    }
}

/// A stored file as a local one, gone with the task run.
fn fetch(cx: &Context, uri: &str, number: usize) -> Result<String> {
    let path = scratch(cx, &format!("form-{number}"))?;
    cx.storage().get(uri, &path)?;
    Ok(path)
}

/// A path for a file of this task run, in the folder that the engine removes.
pub fn scratch(cx: &Context, name: &str) -> Result<String> {
    let folder = format!(".weft/{}", cx.task_run_id());
    std::fs::create_dir_all(cx.path(&folder))?;
    Ok(format!("{folder}/{name}"))
}

/// A text between quotation marks of a header field.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
