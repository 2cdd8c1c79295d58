//! What flows write, and what goes out and comes back, against a server that is a function: real connections are the
//! tests' of weft-host and of the whole.

use serde_json::{Value, json};
use weft_sdk::Error;
use weft_sdk::testing::{Answer, Harness, Run, Sent};

use crate::WeftPlugin;
use crate::names::{file_name, plain};

fn request(host: &Harness, properties: &Value) -> Run {
    host.call::<WeftPlugin>("io.kestra.plugin.core.http.Request", properties)
}

fn download(host: &Harness, properties: &Value) -> Run {
    host.call::<WeftPlugin>("io.kestra.plugin.fs.http.Download", properties)
}

/// A server that answers everything with this.
fn always(answer: Answer) -> Harness {
    Harness::new().http(move |_| answer.clone())
}

fn line(sent: &Sent, header: &str) -> String {
    format!("{} {} {} {}", sent.method, sent.url, sent.header(header).unwrap_or("-"), sent.text())
}

#[test]
fn what_is_sent() {
    for (properties, header, expected) in [
        (json!({"uri": "http://a/b"}), "content-type", "GET http://a/b - "),
        (json!({"uri": "http://a/b c?d=é"}), "content-type", "GET http://a/b%20c?d=%C3%A9 - "),
        (
            json!({"uri": "http://a", "method": "post", "body": "{}"}),
            "content-type",
            "POST http://a/ application/json {}",
        ),
        (
            json!({"uri": "http://a", "method": "PUT", "body": 1, "contentType": "text/plain"}),
            "content-type",
            "PUT http://a/ text/plain 1",
        ),
        (
            json!({"uri": "http://a", "body": "x", "headers": {"content-type": "text/x"}}),
            "content-type",
            "GET http://a/ text/x x",
        ),
        (
            json!({"uri": "http://a?x=1#f", "params": {"a b": [1, 2], "c": "&"}}),
            "accept",
            "GET http://a/?x=1&a%20b=1&a%20b=2&c=%26 - ",
        ),
        (
            json!({"uri": "http://a", "method": "POST", "formData": {"u": "a b", "n": 2, "o": {"x": 1}}}),
            "content-type",
            "POST http://a/ application/x-www-form-urlencoded u=a%20b&n=2&o=%7B%22x%22%3A1%7D",
        ),
        (
            json!({"uri": "http://a", "headers": {"Accept": "text/csv", "Host": "b"}}),
            "host",
            "GET http://a/ - ",
        ),
        (
            json!({"uri": "http://u:p%40@a/", "headers": {"Accept": "x"}}),
            "authorization",
            "GET http://a/ Basic dTpwQA== ",
        ),
        (
            json!({"uri": "http://a", "options": {"auth": {"username": "u", "password": "p"}}}),
            "authorization",
            "GET http://a/ Basic dTpw ",
        ),
        (
            json!({"uri": "http://a", "options": {"basicAuthUser": "u", "basicAuthPassword": "p"}}),
            "authorization",
            "GET http://a/ Basic dTpw ",
        ),
        (
            json!({"uri": "http://a", "options": {"auth": {"type": "BEARER", "token": "t"}}}),
            "authorization",
            "GET http://a/ Bearer t ",
        ),
    ] {
        let run = request(&always(Answer::new(200, "ok")), &properties);
        assert!(run.result.is_ok(), "{properties}: {:?}", run.result);
        assert_eq!(line(&run.requests[0], header), expected, "{properties}");
    }
}

#[test]
fn how_it_is_sent() {
    for (options, expected) in [
        (json!({}), json!({"insecure": false})),
        (json!({"ssl": {"insecureTrustAllCertificates": true}}), json!({"insecure": true})),
        (
            json!({"timeout": {"connectTimeout": "PT2S"}}),
            json!({"insecure": false, "connectTimeoutMs": 2000}),
        ),
        (json!({"proxy": {"type": "DIRECT"}}), json!({"insecure": false, "proxy": "none"})),
        (
            json!({"proxy": {"type": "SOCKS", "address": "p", "port": 1080}}),
            json!({"insecure": false, "proxy": "socks5://p:1080"}),
        ),
        (
            json!({"proxyAddress": "p", "proxyPort": 3128, "proxyUsername": "u@", "proxyPassword": "s:"}),
            json!({"insecure": false, "proxy": "http://u%40:s%3A@p:3128"}),
        ),
    ] {
        let host = always(Answer::new(200, ""));
        request(&host, &json!({"uri": "http://a", "options": options}));
        assert_eq!(host.http_options(), expected, "{options}");
    }
    let host = always(Answer::new(200, ""));
    request(&host, &json!({"uri": "http://a", "sslOptions": {"insecureTrustAllCertificates": true}}));
    assert_eq!(host.http_options(), json!({"insecure": true}));
}

#[test]
fn a_multipart_form_carries_stored_files() {
    let host = always(Answer::new(200, "")).stored("kestra:///a/data.csv", "1,2\n");
    let fields = json!({
        "note": "a \"b\"",
        "file": "kestra:///a/data.csv",
        "other": {"name": "x.csv", "content": "kestra:///a/data.csv"},
    });
    let run = request(
        &host,
        &json!({"uri": "http://a", "method": "POST", "contentType": "multipart/form-data", "formData": fields}),
    );
    let sent = &run.requests[0];
    assert_eq!(sent.header("content-type"), Some("multipart/form-data; boundary=weft-taskrun-0"));
    let expected = "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\na \"b\"\r\n\
         --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"data.csv\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n1,2\n\r\n\
         --B\r\nContent-Disposition: form-data; name=\"other\"; filename=\"x.csv\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n1,2\n\r\n--B--\r\n";
    assert_eq!(sent.text(), expected.replace("--B", "--weft-taskrun-0"));
}

#[test]
fn an_answer_is_put_out() {
    let answer = Answer::new(201, "höi".as_bytes()).header("X-A", "1").header("x-a", "2");
    let run = request(&always(answer), &json!({"uri": "http://a/x?y"}));
    assert_eq!(
        Value::Object(run.outputs),
        json!({"uri": "http://a/x?y", "code": 201, "headers": {"x-a": ["1", "2"]}, "body": "höi"})
    );
    assert_eq!((run.metrics[0].name.as_str(), run.metrics[0].value), ("response.length", 4.0));
    let latin =
        Answer::new(200, b"h\xf6i".as_slice()).header("Content-Type", "text/plain; charset=\"ISO-8859-1\"");
    assert_eq!(request(&always(latin), &json!({"uri": "http://a"})).output("body"), "höi");
}

#[test]
fn answers_that_are_failures() {
    for (status, extra, expected) in [
        (404, json!({}), Some(("http.status", false))),
        (503, json!({}), Some(("http.status", true))),
        (429, json!({}), Some(("http.status", true))),
        (404, json!({"allowFailed": true}), None),
        (404, json!({"options": {"allowFailed": true}}), None),
        (404, json!({"options": {"allowedResponseCodes": [404]}}), None),
        (500, json!({"options": {"allowedResponseCodes": [404]}}), Some(("http.status", true))),
    ] {
        let mut properties = json!({"uri": "http://a/x?token=t"});
        properties.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let run = request(&always(Answer::new(status, "because")), &properties);
        let failed = run.result.as_ref().err().map(|error| (error.code(), error.is_retryable()));
        assert_eq!(failed, expected, "{status} {extra}");
        if let Some(message) = run.message() {
            assert!(message.starts_with(&format!("`http://a/x` answered with status {status}")), "{message}");
            assert!(message.ends_with("\nbecause"), "{message}");
        }
    }
    let large = always(Answer::new(200, vec![b'x'; 11 << 20]));
    let run = request(&large, &json!({"uri": "http://a"}));
    assert_eq!(run.code(), Some("http.too-large"));
    assert!(run.message().unwrap().contains("10485760 bytes"), "{run:?}");
    let run = request(&large, &json!({"uri": "http://a", "options": {"maxContentLength": 12_000_000}}));
    assert!(run.result.is_ok());
    assert_eq!(
        request(&always(Answer::new(200, [0xff])), &json!({"uri": "http://a"})).code(),
        Some("http.not-text")
    );
    assert_eq!(
        request(&large, &json!({"uri": "http://a", "encryptBody": true})).code(),
        Some("property.invalid")
    );
}

#[test]
fn credentials_that_are_refused_are_named_by_their_property() {
    for (more, said) in [
        (json!({}), "Unauthorized: it wants to know who asks"),
        (
            json!({"options": {"auth": {"username": "u", "password": "s3cret"}}}),
            "in `options.auth` were refused",
        ),
        (json!({"options": {"basicAuthUser": "u"}}), "in `options.basicAuthUser` were refused"),
        (json!({"headers": {"authorization": "Bearer s3cret"}}), "in `headers.Authorization` were refused"),
        (json!({"uri": "http://u:s3cret@a/x"}), "in `uri` were refused"),
        (json!({"uri": "http://a/x@y"}), "Unauthorized: it wants to know who asks"),
    ] {
        let mut properties = json!({"uri": "http://a/x"});
        properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let run = request(&always(Answer::new(401, "")), &properties);
        let message = run.message().unwrap();
        assert!(message.ends_with(said) && !message.contains("s3cret"), "{more}: {message}");
    }
}

#[test]
fn redirects_are_followed_unless_told_otherwise() {
    let server = || {
        Harness::new().http(|sent| match sent.url.as_str() {
            "http://a/" => Answer::new(302, "").header("Location", "/b"),
            _ => Answer::new(200, "there"),
        })
    };
    let run = request(&server(), &json!({"uri": "http://a"}));
    assert_eq!((run.output("uri"), run.output("body")), (&json!("http://a/b"), &json!("there")));
    let run = request(&server(), &json!({"uri": "http://a", "options": {"followRedirects": false}}));
    assert_eq!((run.output("code"), run.output("uri")), (&json!(302), &json!("http://a/")));
}

#[test]
fn a_download_is_a_file_of_storage() {
    let host =
        always(Answer::new(200, "a,b\n").header("Content-Disposition", "attachment; filename=\"o.csv\""));
    let run = download(&host, &json!({"uri": "http://a/x/orders.csv?y"}));
    assert_eq!(run.output("uri"), "kestra:///test/o.csv");
    assert_eq!((run.output("length"), run.output("code")), (&json!(4), &json!(200)));
    assert_eq!(host.stored_text("kestra:///test/o.csv").as_deref(), Some("a,b\n"));
    let run = download(&always(Answer::new(200, "x")), &json!({"uri": "http://a/", "saveAs": "../n.txt"}));
    assert_eq!(run.output("uri"), "kestra:///test/n.txt");
}

#[test]
fn downloads_that_fail_leave_nothing() {
    let broken = Answer::new(200, "ha").breaks(Error::new("network.interrupted", "closed").retryable());
    for (answer, extra, expected) in [
        (broken, json!({}), Some("network.interrupted")),
        (Answer::new(200, ""), json!({}), Some("http.empty")),
        (Answer::new(200, ""), json!({"failOnEmptyResponse": false}), None),
        (Answer::new(404, ""), json!({"allowFailed": true}), None),
        (Answer::new(404, "gone"), json!({}), Some("http.status")),
        (Answer::new(200, "12345"), json!({"options": {"maxContentLength": 4}}), Some("http.too-large")),
        (Answer::new(200, "x"), json!({"saveAs": ".."}), Some("property.invalid")),
    ] {
        let host = always(answer);
        let mut properties = json!({"uri": "http://a/f"});
        properties.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let run = download(&host, &properties);
        assert_eq!(run.code(), expected, "{extra}: {:?}", run.result);
        if expected.is_some() {
            assert_eq!(host.stored_text("kestra:///test/f"), None);
            assert!(!host.directory().join(".weft/taskrun/download").exists(), "{extra}");
        }
    }
}

#[test]
fn names_of_files() {
    for (disposition, url, expected) in [
        (None, "http://a/b/c.csv?d", "c.csv"),
        (None, "http://a/", "download"),
        (None, "http://a/..%2F..%2Fetc%2Fpasswd", "passwd"),
        (Some("attachment; filename=x.csv"), "http://a/b", "x.csv"),
        (Some("attachment; filename=\"x; \\\"y\\\".csv\"; size=1"), "http://a/b", "x; \"y\".csv"),
        (Some("attachment; filename=\"../../x\""), "http://a/b", "x"),
        (Some("attachment; filename=a.txt; filename*=UTF-8''%C3%A9.txt"), "http://a/b", "é.txt"),
        (Some("attachment; FileName*=ISO-8859-1'de'%E9.txt"), "http://a/b", "é.txt"),
        (Some("attachment"), "http://a/b", "b"),
        (Some("attachment; filename=\"\""), "http://a/b", "b"),
        (Some("inline; filename=\"open"), "http://a/b", "open"),
    ] {
        assert_eq!(file_name(disposition, url), expected, "{disposition:?} {url}");
    }
    let long = format!("{}.csv", "é".repeat(300));
    let name = plain(&long).unwrap();
    assert!(name.len() <= 180 && name.ends_with("é.csv"), "{name}");
}

#[test]
fn what_a_task_can_do_about_a_certificate_is_a_property_that_it_has() {
    let untrusted = Error::new("network.certificate", "not trusted\nhint: for all tasks");
    let run = request(&always(Answer::fails(untrusted)), &json!({"uri": "https://a"}));
    let message = run.message().unwrap();
    assert!(
        message.starts_with("not trusted\nhint: name the authority's certificate in `network: {caFile"),
        "{message}"
    );
    assert!(
        message.contains("insecureTrustAllCertificates") && !message.contains("for all tasks"),
        "{message}"
    );
}
