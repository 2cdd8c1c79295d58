//! A plugin whose description is whatever the test writes over `ANSWER` in the built file, and which misbehaves where
//! that begins with `!`.

use weft_sdk::bindings::exports::weft::plugin::{descriptor, task, trigger};
use weft_sdk::bindings::weft::plugin::types::{Failure, Invocation};

const SIZE: usize = 4096;

/// Spaces, after a mark by which the test finds the place.
#[used]
static ANSWER: [u8; SIZE] = {
    let mark = b"@@ the test writes the answer of `describe` here @@";
    let mut text = [b' '; SIZE];
    let mut index = 0;
    while index < mark.len() {
        text[index] = mark[index];
        index += 1;
    }
    text
};

struct Lying;

impl descriptor::Guest for Lying {
    fn describe() -> String {
        let answer = std::hint::black_box(&ANSWER);
        let text = std::str::from_utf8(answer).unwrap().trim_end();
        match text {
            "!loop" => loop {
                std::hint::black_box(0);
            },
            "!wait" => std::thread::sleep(std::time::Duration::from_secs(3600)),
            "!panic" => panic!("describe went wrong"),
            "!memory" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1u8; 1 << 20]);
                }
            }
            "!large" => return "x".repeat(4_508_877),
            "!secret" => {
                let failure = weft_sdk::bindings::weft::plugin::secrets::get("password").unwrap_err();
                return failure.message;
            }
            _ => {}
        }
        text.to_owned()
    }
}

impl task::Guest for Lying {
    fn run(_: Invocation) -> Result<String, Failure> {
        Ok("[1, 2, 3]".to_owned())
    }
}

impl trigger::Guest for Lying {
    fn poll(_: trigger::Evaluation) -> Result<trigger::PollResult, Failure> {
        Ok(trigger::PollResult { events: vec!["{".to_owned()], state: String::new(), next_poll_ms: None })
    }

    fn acknowledge(_: trigger::Evaluation) -> Result<String, Failure> {
        Ok("{".to_owned())
    }
}

weft_sdk::bindings::export!(Lying with_types_in weft_sdk::bindings);
