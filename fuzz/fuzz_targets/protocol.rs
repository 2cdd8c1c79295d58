//! Any output of a script: nothing panics, and what is no message is logged as it was.
#![no_main]
#![allow(dead_code, reason = "the parser's module is taken in as a file: its crate brings the whole engine along")]

use libfuzzer_sys::fuzz_target;

#[path = "../../engine/worker/src/protocol.rs"]
mod protocol;

fuzz_target!(|output: &[u8]| {
    let mut parser = protocol::LineParser::default();
    let (mut items, mut logged) = (0usize, 0usize);
    let lines: Vec<&[u8]> = output.split(|&byte| byte == b'\n').collect();
    let mut emit = |item: protocol::Item<'_>| {
        items += 1;
        if let protocol::Item::Line(line) = item {
            logged += line.len();
        }
    };
    for line in &lines {
        parser.line(line, &mut emit);
    }
    parser.finish(&mut emit);
    assert!(logged <= output.len(), "no line is logged twice");
    assert!(items <= lines.len() * 2 + 1, "nothing is made of nothing");
});
