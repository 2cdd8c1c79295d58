//! Places in the source text.

use std::cell::OnceCell;

/// A place between two characters of the source. The default is no place at all (line 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// In characters, from 1. A TAB is one character.
    pub column: u32,
    /// In bytes, from 0.
    pub offset: u32,
}

/// A stretch of the source: `start` is in it, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first character.
    pub start: Position,
    /// The character after the last.
    pub end: Position,
}

impl Span {
    /// The stretch between two places.
    pub fn new(start: Position, end: Position) -> Self {
        Self { start, end }
    }

    /// The stretch of no length at a place.
    pub fn at(place: Position) -> Self {
        Self { start: place, end: place }
    }

    /// The text that is meant, or nothing if the span belongs to another source.
    pub fn text(self, source: &str) -> &str {
        source.get(self.start.offset as usize..self.end.offset as usize).unwrap_or_default()
    }
}

/// Bytes between two counts of the characters before them.
const STEP: usize = 128;

/// Finds places by line and column or by byte, fast enough to be asked for every node: at once in ASCII lines, and in
/// others by counting no more than [`STEP`] bytes, in whatever order the questions come and however long the line is.
#[derive(Debug)]
pub(crate) struct Lines<'s> {
    source: &'s str,
    lines: Vec<Line>,
    /// How many characters there are before each [`STEP`] bytes: made when a line that is not ASCII is first asked for.
    counts: OnceCell<Vec<u32>>,
}

#[derive(Debug)]
struct Line {
    start: usize,
    ascii: bool,
}

/// How many characters begin in these bytes.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

impl<'s> Lines<'s> {
    /// Splits as YAML does: at LF, CR and CR LF.
    pub(crate) fn new(source: &'s str) -> Self {
        let bytes = source.as_bytes();
        // A byte order mark is not a character of the first line.
        let start = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut lines = vec![Line { start, ascii: true }];
        for (index, byte) in bytes.iter().enumerate().skip(start) {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => bytes.get(index + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                lines.push(Line { start: index + 1, ascii: true });
            } else if !byte.is_ascii()
                && let Some(line) = lines.last_mut()
            {
                line.ascii = false;
            }
        }
        Self { source, lines, counts: OnceCell::new() }
    }

    /// The source that was split.
    pub(crate) fn source(&self) -> &'s str {
        self.source
    }

    /// How many lines there are; an unfinished last line counts.
    pub(crate) fn count(&self) -> u32 {
        self.lines.len() as u32
    }

    /// A line without its break, by number from 1; empty if there is no such line.
    pub(crate) fn text(&self, line: u32) -> &'s str {
        let (start, end) = self.bounds(line);
        self.source[start..end].trim_end_matches(['\n', '\r'])
    }

    /// The place at a line from 1 and a number of characters before it in the line; at its end if it is shorter.
    pub(crate) fn at(&self, line: u32, characters: u32) -> Position {
        let line = line.max(1);
        let (start, end) = self.bounds(line);
        let column = characters + 1;
        if self.is_ascii(line) {
            let offset = end.min(start + characters as usize);
            return Position { line, column, offset: offset as u32 };
        }
        let wanted = self.before(start) + characters as usize;
        let offset = self.byte_of(wanted).clamp(start, end);
        Position { line, column, offset: offset as u32 }
    }

    /// The place of a byte; of the character it is in if it is in the middle of one.
    pub(crate) fn at_byte(&self, byte: usize) -> Position {
        let mut byte = byte.clamp(self.lines[0].start, self.source.len());
        while !self.source.is_char_boundary(byte) {
            byte -= 1;
        }
        let line = self.lines.partition_point(|line| line.start <= byte) as u32;
        let (start, _) = self.bounds(line);
        let offset = byte as u32;
        if self.is_ascii(line) {
            return Position { line, column: (byte - start) as u32 + 1, offset };
        }
        let column = (self.before(byte) - self.before(start)) as u32 + 1;
        Position { line, column, offset }
    }

    /// How many characters each [`STEP`] bytes are after.
    fn counts(&self) -> &[u32] {
        self.counts.get_or_init(|| {
            let mut before = 0;
            let counted = self.source.as_bytes().chunks(STEP).map(|chunk| {
                let here = before;
                before += characters(chunk) as u32;
                here
            });
            counted.collect()
        })
    }

    /// How many characters of the source begin before a byte.
    fn before(&self, byte: usize) -> usize {
        // Right behind the last step is the end of the source.
        let step = (byte / STEP).min(self.counts().len().saturating_sub(1));
        let counted = self.counts().get(step).map_or(0, |&counted| counted as usize);
        counted + characters(&self.source.as_bytes()[step * STEP..byte])
    }

    /// The byte before which that many characters of the source begin: the end of the source if it has fewer.
    fn byte_of(&self, wanted: usize) -> usize {
        let bytes = self.source.as_bytes();
        let step = self.counts().partition_point(|&counted| counted as usize <= wanted).saturating_sub(1);
        let mut left = wanted - self.counts().get(step).map_or(0, |&counted| counted as usize);
        for (index, byte) in bytes.iter().enumerate().skip(step * STEP) {
            if byte & 0xC0 != 0x80 {
                if left == 0 {
                    return index;
                }
                left -= 1;
            }
        }
        bytes.len()
    }

    fn is_ascii(&self, line: u32) -> bool {
        self.lines.get(line as usize - 1).is_none_or(|line| line.ascii)
    }

    fn bounds(&self, line: u32) -> (usize, usize) {
        let index = (line.max(1) - 1) as usize;
        let end = self.source.len();
        let start = self.lines.get(index).map_or(end, |line| line.start);
        (start, self.lines.get(index + 1).map_or(end, |line| line.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_a_place_agree() {
        let source = "ab\r\nçd\re\n\nlast";
        let lines = Lines::new(source);
        for (line, characters, offset, rest) in [
            (1, 0, 0, "ab"),
            (1, 2, 2, "\r\n"),
            (2, 1, 6, "d"),
            (3, 0, 8, "e"),
            (4, 0, 10, "\n"),
            (5, 4, 15, ""),
        ] {
            let place = lines.at(line, characters);
            assert_eq!(place, Position { line, column: characters + 1, offset }, "line {line}");
            assert_eq!(lines.at_byte(offset as usize), place, "byte {offset}");
            assert_eq!(lines.at(line, 0).column, 1, "backwards in line {line}");
            assert_eq!(lines.at(line, characters), place, "again in line {line}");
            assert!(source[offset as usize..].starts_with(rest), "byte {offset}");
        }
        assert_eq!((lines.text(2), lines.text(4), lines.text(9)), ("çd", "", ""));
        assert_eq!(lines.at_byte(5).offset, 4, "in the middle of a character");
    }

    #[test]
    fn places_in_a_long_line_are_found_in_any_order() {
        let source = format!("head\n{}\nlast", "äb€c𝄞".repeat(100));
        let lines = Lines::new(&source);
        let expected: Vec<usize> = source[5..].char_indices().map(|(offset, _)| 5 + offset).collect();
        for step in [1, 7, 499] {
            for index in (0..500).map(|index| index * step % 500) {
                let place = lines.at(2, index as u32);
                assert_eq!(place.offset as usize, expected[index], "character {index}");
                assert_eq!(lines.at_byte(expected[index]), place, "character {index}");
            }
        }
        assert_eq!(lines.at(2, 9_999).offset as usize, 5 + 100 * 11 + 1, "behind the end");
        assert_eq!(lines.at(3, 2), Position { line: 3, column: 3, offset: source.len() as u32 - 2 });
    }

    #[test]
    fn a_byte_order_mark_is_no_character() {
        let lines = Lines::new("\u{feff}ab");
        assert_eq!(lines.at(1, 1), Position { line: 1, column: 2, offset: 4 });
        assert_eq!(lines.at_byte(0), Position { line: 1, column: 1, offset: 3 });
        assert_eq!(lines.text(1), "ab");
    }
}
