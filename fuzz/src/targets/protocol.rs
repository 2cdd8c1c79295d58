//! Any output of a script: nothing panics, and what is no message is logged as it was.

use crate::worker::protocol::{Item, LineParser};

pub fn run(output: &[u8]) -> Option<()> {
    let mut parser = LineParser::default();
    let (mut items, mut logged) = (0usize, 0usize);
    let lines: Vec<&[u8]> = output.split(|&byte| byte == b'\n').collect();
    let mut emit = |item: Item<'_>| {
        items += 1;
        if let Item::Line(line) = item {
            logged += line.len();
        }
    };
    for line in &lines {
        parser.line(line, &mut emit);
    }
    parser.finish(&mut emit);
    assert!(logged <= output.len(), "no line is logged twice");
    assert!(items <= lines.len() * 2 + 1, "nothing is made of nothing");
    if !output.windows(3).any(|part| part == b"::{") {
        assert_eq!(logged, output.len() + 1 - lines.len(), "without a message, all is logged");
    }
    Some(())
}
