//! What needs no server: properties that cannot be used, and where credentials come from.

use std::cell::RefCell;
use std::collections::VecDeque;

use serde_json::{Value, json};
use weft_sdk::Error;
use weft_sdk::testing::{Answer, Harness, Run, Sent};

use crate::WeftPlugin;

/// A task with the properties of a server that does not exist, and these (a null takes one away).
fn call(host: &Harness, name: &str, properties: &Value) -> Run {
    let mut all = json!({
        "accessKeyId": "AKIA", "secretKeyId": "secret", "region": "eu-central-1", "bucket": "b",
        "endpointOverride": "http://s3.test",
    });
    for (name, value) in properties.as_object().unwrap() {
        match value {
            Value::Null => _ = all.as_object_mut().unwrap().remove(name),
            value => all[name] = value.clone(),
        }
    }
    host.call::<WeftPlugin>(&format!("io.kestra.plugin.aws.s3.{name}"), &all)
}

/// A server that answers with these, one after the other.
fn answers(answers: impl IntoIterator<Item = Answer>) -> Harness {
    let answers: RefCell<VecDeque<Answer>> = RefCell::new(answers.into_iter().collect());
    Harness::new().http(move |_| answers.borrow_mut().pop_front().unwrap_or_else(|| Answer::new(204, "")))
}

fn refusal(status: u16, code: &str, more: &str) -> Answer {
    Answer::new(status, format!("<Error><Code>{code}</Code><Message>why</Message>{more}</Error>"))
}

/// The region that a request was signed for.
fn region(sent: &Sent) -> &str {
    sent.header("authorization").unwrap().split('/').nth(2).unwrap()
}

#[test]
fn mistakes_in_properties_are_named_before_anything_is_sent() {
    let host = Harness::new();
    for (name, properties, expected) in [
        ("Upload", json!({"key": "k", "from": []}), "property `from`: there is no file in it"),
        (
            "Upload",
            json!({"key": "k", "from": "x", "requestPayer": "me"}),
            "property `requestPayer`: expected `requester`",
        ),
        (
            "Upload",
            json!({"key": "k", "from": "x", "secretKeyId": null}),
            "property `secretKeyId`: it is needed beside",
        ),
        ("List", json!({"regexp": "("}), "property `regexp`: `(`"),
        ("List", json!({"endpointOverride": "localhost:9000"}), "property `endpointOverride`"),
        ("Download", json!({}), "property `key`: expected it, or `prefix`"),
        ("Downloads", json!({"action": "MOVE"}), "property `moveTo`"),
        (
            "Copy",
            json!({"from": {"bucket": "b", "key": "k"}, "delete": true}),
            "property `delete`: the copy would be deleted",
        ),
    ] {
        let run = call(&host, name, &properties);
        assert!(run.message().unwrap().starts_with(expected), "{name} {properties}: {:?}", run.message());
        assert!(run.requests.is_empty(), "{name} {properties}");
    }
}

#[test]
fn credentials_are_looked_for_in_order() {
    let none = json!({"accessKeyId": null, "secretKeyId": null, "key": "k"});
    let run = call(&Harness::new(), "Delete", &none);
    assert_eq!(run.code(), Some("s3.credentials"));
    for place in ["accessKeyId", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "~/.aws/credentials"] {
        assert!(run.message().unwrap().contains(place), "{place}: {:?}", run.message());
    }
    let files = || {
        answers([])
            .user_file("~/.aws/credentials", "[default]\naws_access_key_id = FILE\naws_secret_access_key=s\n[other]\naws_access_key_id=OTHER\naws_secret_access_key=t\naws_session_token=token\n")
            .user_file("~/.aws/config", "[default]\nregion = eu-west-3\n")
    };
    let variables = files().variable("AWS_ACCESS_KEY_ID", "ENV").variable("AWS_SECRET_ACCESS_KEY", "s");
    let with = |more: Value| {
        let mut all = none.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    for (host, properties, key, token, expected_region) in [
        (variables, with(json!({})), "ENV", None, "eu-central-1"),
        (files(), with(json!({"region": null})), "FILE", None, "eu-west-3"),
        (files().variable("AWS_PROFILE", "other"), with(json!({})), "OTHER", Some("token"), "eu-central-1"),
        (
            files(),
            with(json!({"accessKeyId": "OWN", "secretKeyId": "x", "sessionToken": "y"})),
            "OWN",
            Some("y"),
            "eu-central-1",
        ),
        (answers([]).variable("AWS_REGION", "r"), json!({"region": null, "key": "k"}), "AKIA", None, "r"),
    ] {
        let run = call(&host, "Delete", &properties);
        let [sent] = &run.requests[..] else { panic!("{:?}: {:?}", run.result, run.requests) };
        let authorization = sent.header("authorization").unwrap();
        assert!(authorization.contains(&format!("Credential={key}/")), "{key}: {authorization}");
        assert_eq!(sent.header("x-amz-security-token"), token, "{key}");
        assert_eq!(region(sent), expected_region, "{key}");
    }
}

#[test]
fn roles_are_taken_on() {
    let keys = |id: &str, action: &str| {
        Answer::new(
            200,
            format!(
                "<{action}Response><{action}Result><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken></Credentials></{action}Result></{action}Response>"
            ),
        )
    };
    let host = answers([keys("ROLE", "AssumeRole")]);
    let role = json!({
        "key": "k", "stsRoleArn": "arn:aws:iam::1:role/r", "stsRoleExternalId": "x y", "stsRoleSessionDuration": "PT1H",
        "stsEndpointOverride": "http://sts.test",
    });
    let run = call(&host, "Delete", &role);
    let [sts, s3] = &run.requests[..] else { panic!("{:?}: {:?}", run.result, run.requests) };
    assert_eq!(sts.url, "http://sts.test/");
    for part in [
        "Action=AssumeRole&",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr",
        "ExternalId=x%20y",
        "DurationSeconds=3600",
    ] {
        assert!(sts.text().contains(part), "{part}: {}", sts.text());
    }
    assert!(sts.header("authorization").unwrap().contains("/eu-central-1/sts/"));
    assert!(s3.header("authorization").unwrap().contains("Credential=ROLE/"));
    assert_eq!(s3.header("x-amz-security-token"), Some("t"));

    let host = answers([keys("WEB", "AssumeRoleWithWebIdentity")])
        .variable("AWS_ROLE_ARN", "arn:aws:iam::1:role/w")
        .variable("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/token")
        .user_file("/var/token", "jwt\n");
    let run = call(&host, "Delete", &json!({"key": "k", "accessKeyId": null, "secretKeyId": null}));
    let [sts, s3] = &run.requests[..] else { panic!("{:?}: {:?}", run.result, run.requests) };
    assert_eq!(sts.url, "https://sts.eu-central-1.amazonaws.com/");
    assert!(
        sts.text().contains("WebIdentityToken=jwt") && sts.header("authorization").is_none(),
        "{}",
        sts.text()
    );
    assert!(s3.header("authorization").unwrap().contains("Credential=WEB/"));
}

#[test]
fn buckets_stand_in_the_host_or_in_the_path() {
    for (properties, expected) in [
        (json!({"endpointOverride": null}), "https://b.s3.eu-central-1.amazonaws.com/k%20%C3%BC/%2B"),
        (
            json!({"endpointOverride": null, "forcePathStyle": true}),
            "https://s3.eu-central-1.amazonaws.com/b/k%20%C3%BC/%2B",
        ),
        (json!({"endpointOverride": "http://h:9/base/"}), "http://h:9/base/b/k%20%C3%BC/%2B"),
        (json!({"endpointOverride": "https://h", "forcePathStyle": false}), "https://b.h/k%20%C3%BC/%2B"),
        (
            json!({"endpointOverride": null, "region": "cn-north-1"}),
            "https://b.s3.cn-north-1.amazonaws.com.cn/k%20%C3%BC/%2B",
        ),
    ] {
        let mut all = properties.clone();
        all["key"] = json!("k ü/+");
        let run = call(&answers([]), "Delete", &all);
        assert_eq!(run.requests[0].url, expected, "{properties}");
    }
}

#[test]
fn what_passes_is_tried_again_and_what_the_server_teaches_is_learned() {
    let key = json!({"key": "k"});
    // Busy, and a connection that breaks.
    let broken = Error::new("network.interrupted", "the connection broke").retryable();
    let host =
        answers([Answer::new(503, "<html>"), Answer::fails(broken), refusal(500, "InternalError", "")]);
    let run = call(&host, "Delete", &key);
    assert!(run.result.is_ok(), "{:?}", run.result);
    assert_eq!(run.requests.len(), 4);
    assert_eq!(run.messages().iter().filter(|line| line.contains("is tried again in")).count(), 3);
    // Another region, in the answer's body and in a header; not for ever.
    for moved in [
        refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
        refusal(301, "PermanentRedirect", "").header("x-amz-bucket-region", "eu-west-1"),
    ] {
        let run = call(&answers([moved]), "Delete", &key);
        assert!(run.result.is_ok(), "{:?}", run.result);
        assert_eq!(run.requests.iter().map(region).collect::<Vec<_>>(), ["eu-central-1", "eu-west-1"]);
    }
    let lost = Harness::new().http(|_| refusal(301, "PermanentRedirect", ""));
    assert_eq!(call(&lost, "Delete", &key).code(), Some("s3.region"));
    // Another clock.
    let late = refusal(403, "RequestTimeTooSkewed", "").header("date", "Thu, 01 Jan 2015 00:00:00 GMT");
    let run = call(&answers([late]), "Delete", &key);
    assert!(run.result.is_ok(), "{:?}", run.result);
    assert!(
        run.requests[1].header("x-amz-date").unwrap().starts_with("20150101T0000"),
        "{:?}",
        run.requests[1]
    );
    let skewed = Harness::new().http(|_| refusal(403, "RequestTimeTooSkewed", ""));
    assert_eq!(call(&skewed, "Delete", &key).code(), Some("s3.clock"));
    // What does not pass is said at once, with the server's words.
    let run = call(&answers([refusal(403, "AccessDenied", "<RequestId>r1</RequestId>")]), "Delete", &key);
    assert_eq!(run.message(), Some("cannot delete `s3://b/k`: AccessDenied (why; request r1)"));
    assert_eq!((run.code(), run.requests.len()), (Some("s3.access-denied"), 1));
}

#[test]
fn a_server_that_is_not_reached_is_tried_less_often_if_its_name_is_unknown() {
    let key = json!({"key": "k"});
    for (code, properties, tries, hint) in [
        ("network.lookup", json!({}), 2, "look at scheme, host and port in `endpointOverride`"),
        ("network.lookup", json!({"endpointOverride": null}), 2, "look at `region`"),
        ("network.tls", json!({}), 1, "look at scheme, host and port in `endpointOverride`"),
        ("network.denied", json!({}), 1, "the operator's"),
    ] {
        let error = Error::new(code, "no way\nhint: the operator's");
        let error = if tries > 1 { error.retryable() } else { error };
        let host = Harness::new().http(move |_| Answer::fails(error.clone()));
        let mut all = properties.clone();
        all.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
        let run = call(&host, "Delete", &all);
        let expected = format!("cannot delete `s3://b/k`: no way\nhint: {hint}");
        assert!(run.message().unwrap().starts_with(&expected), "{:?}", run.message());
        assert_eq!(run.requests.len(), tries, "{code}");
        let said = run.messages().into_iter().filter(|line| line.contains("tried again")).collect::<Vec<_>>();
        assert_eq!(said.len(), tries - 1, "{said:?}");
        assert!(
            said.iter().all(|line| line.starts_with("cannot delete `s3://b/k`: no way; it is tried")),
            "{said:?}"
        );
    }
}

#[test]
fn a_listing_that_has_no_end_is_left() {
    let page = |token: u32| {
        format!(
            "<R><IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken></R>"
        )
    };
    for task in ["List", "DeleteList"] {
        let run = call(&Harness::new().http(move |_| Answer::new(200, page(1))), task, &json!({}));
        assert_eq!((run.code(), run.requests.len()), (Some("s3.refused"), 2), "{task}");
        assert!(run.message().unwrap().contains("promises another one"), "{:?}", run.message());
    }
    // Pages without an object are nothing strange.
    let last = "<R><Contents><Key>k</Key></Contents></R>";
    let pages = (0..50).map(|token| Answer::new(200, page(token))).chain([Answer::new(200, last)]);
    let run = call(&answers(pages), "List", &json!({}));
    assert_eq!(run.output("objects")[0]["key"], "k", "{:?}", run.result);
}
