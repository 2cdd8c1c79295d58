//! Any answers of a server to the tasks and the trigger of S3: what comes of it is an output or an error with a code, and it
//! comes to an end. The first byte chooses the task, the second the status; the answers follow, with a NUL between them.

use serde_json::{Value, json};
use weft_fuzz_aws::WeftPlugin;
use weft_sdk::Error;
use weft_sdk::testing::{Answer, Harness, Run};

const STATUS: [u16; 8] = [200, 200, 301, 400, 403, 404, 500, 503];
const TASKS: [&str; 8] = ["List", "Delete", "DeleteList", "Download", "Downloads", "Copy", "CreateBucket", "Trigger"];
/// Answers beyond these are the last one again: a server may say the same for ever.
const ANSWERS: usize = 6;

pub fn run(input: &[u8]) -> Option<()> {
    let [task, status, answers @ ..] = input else { return None };
    let task = TASKS[usize::from(*task) % TASKS.len()];
    // These wait before another try whatever they are told, so they are not told to try again.
    let status = if matches!(task, "DeleteList" | "Trigger") { 200 } else { STATUS[usize::from(*status) % STATUS.len()] };
    let answers: Vec<Vec<u8>> = answers.split(|&byte| byte == 0).take(ANSWERS).map(<[u8]>::to_vec).collect();
    let mut asked = 0;
    let host = Harness::new().http(move |_| {
        asked += 1;
        assert!(asked < 3_000, "a server that says the same for ever is asked for ever");
        let Some(answer) = answers.get(asked - 1).or(answers.last()) else {
            return Answer::fails(Error::new("network.interrupted", "gone"));
        };
        // The first line of an answer is the server's clock, where it is one.
        let line = answer.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line = std::str::from_utf8(line).unwrap_or_default();
        Answer::new(status, answer.clone()).header("date", line).header("etag", "\"e\"")
    });
    if task == "Trigger" {
        let polled = host.call_trigger::<WeftPlugin>("io.kestra.plugin.aws.s3.Trigger", &properties(task), "null");
        if let Err(error) = polled {
            check(&error);
        }
        return Some(());
    }
    // Whoever is told to stop waits no more, so nothing here waits.
    let host = if status == 200 { host } else { host.cancel_after(0) };
    let run: Run = host.call::<WeftPlugin>(&format!("io.kestra.plugin.aws.s3.{task}"), &properties(task));
    if let Err(error) = &run.result {
        check(error);
    }
    for sent in &run.requests {
        let signed = sent.headers.iter().all(|(name, value)| !name.is_empty() && !value.contains(['\r', '\n']));
        assert!(signed, "a header field has one line: {:?}", sent.headers);
    }
    Some(())
}

fn properties(task: &str) -> Value {
    let mut all = json!({
        "accessKeyId": "AKIA", "secretKeyId": "secret", "region": "eu-central-1", "bucket": "b",
        "endpointOverride": "http://s3.test",
    });
    let more = match task {
        "List" => json!({"maxKeys": 2000}),
        "Delete" | "Download" => json!({"key": "k"}),
        "DeleteList" => json!({"concurrent": 2}),
        "Downloads" => json!({"prefix": "p/", "action": "NONE"}),
        "Copy" => json!({"from": {"bucket": "b", "key": "k"}, "to": {"bucket": "c", "key": "l"}}),
        "Trigger" => json!({"prefix": "p/", "action": "NONE", "interval": "PT1M"}),
        _ => json!({}),
    };
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

fn check(error: &Error) {
    assert!(!error.code().is_empty() && !error.message().is_empty(), "{error}");
    assert!(!matches!(error.code(), "plugin.properties" | "property.invalid"), "the properties are fine: {error}");
}
