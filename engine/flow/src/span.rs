//! Places in the source text.

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

/// Finds places by line and column or by byte, fast enough to be asked for every node.
#[derive(Debug)]
pub(crate) struct Lines<'s> {
    source: &'s str,
    /// Byte at which each line begins.
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    /// Splits as YAML does: at LF, CR and CR LF.
    pub(crate) fn new(source: &'s str) -> Self {
        let bytes = source.as_bytes();
        let mut starts = vec![0];
        for (index, byte) in bytes.iter().enumerate() {
            let ends_line = match byte {
                b'\n' => true,
                b'\r' => bytes.get(index + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends_line {
                starts.push(index + 1);
            }
        }
        Self { source, starts }
    }

    /// The source that was split.
    pub(crate) fn source(&self) -> &'s str {
        self.source
    }

    /// How many lines there are; an unfinished last line counts.
    pub(crate) fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    /// A line without its break, by number from 1; empty if there is no such line.
    pub(crate) fn text(&self, line: u32) -> &'s str {
        let (start, end) = self.bounds(line);
        self.source[start..end].trim_end_matches(['\n', '\r'])
    }

    /// The place at a line from 1 and a number of characters before it in the line.
    pub(crate) fn at(&self, line: u32, characters: u32) -> Position {
        let (start, end) = self.bounds(line);
        let text = &self.source[start..end];
        let ascii = text.as_bytes().iter().take(characters as usize).all(u8::is_ascii);
        let width = if ascii {
            text.len().min(characters as usize)
        } else {
            text.char_indices().nth(characters as usize).map_or(text.len(), |(width, _)| width)
        };
        Position { line: line.max(1), column: characters + 1, offset: (start + width) as u32 }
    }

    /// The place of a byte; of the character it is in if it is in the middle of one.
    pub(crate) fn at_byte(&self, byte: usize) -> Position {
        let mut byte = byte.min(self.source.len());
        while !self.source.is_char_boundary(byte) {
            byte -= 1;
        }
        let line = self.starts.partition_point(|&start| start <= byte);
        let start = self.starts[line - 1];
        let column = self.source[start..byte].chars().count() + 1;
        Position { line: line as u32, column: column as u32, offset: byte as u32 }
    }

    fn bounds(&self, line: u32) -> (usize, usize) {
        let index = (line.max(1) - 1) as usize;
        let end = self.source.len();
        let start = self.starts.get(index).copied().unwrap_or(end);
        (start, self.starts.get(index + 1).copied().unwrap_or(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_a_place_agree() {
        let source = "ab\r\nçd\re\n\nlast";
        let lines = Lines::new(source);
        for (line, characters, offset, rest) in
            [(1, 0, 0, "ab"), (1, 2, 2, "\r\n"), (2, 1, 6, "d"), (3, 0, 8, "e"), (4, 0, 10, "\n"), (5, 4, 15, "")]
        {
            let place = lines.at(line, characters);
            assert_eq!(place, Position { line, column: characters + 1, offset }, "line {line}");
            assert_eq!(lines.at_byte(offset as usize), place, "byte {offset}");
            assert!(source[offset as usize..].starts_with(rest), "byte {offset}");
        }
        assert_eq!((lines.text(2), lines.text(4), lines.text(9)), ("çd", "", ""));
        assert_eq!(lines.at_byte(5).offset, 4, "in the middle of a character");
    }
}
