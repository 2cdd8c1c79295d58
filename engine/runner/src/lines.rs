//! Cuts a stream of bytes into lines. Pure: no I/O.
//!
//! A line ends with `\n`, `\r\n` or `\r`, so that each state of a progress bar is a line. Empty lines are lines; what
//! follows the last terminator is one only where it is not empty. (Kestra's process runner reads in the same way.)
//! Apart from the terminator, bytes are passed on as they are.

/// Capacity that is kept for unfinished lines after a longer one made it grow.
const KEPT_CAPACITY: usize = 16 * 1024;

/// The state between two chunks of one stream. It never holds more than the bound on one line.
#[derive(Debug)]
pub struct Splitter {
    max_line: usize,
    /// Beginning of the unfinished line, at most `max_line` bytes.
    held: Vec<u8>,
    /// Length of the unfinished line, with what was not held.
    length: u64,
    /// The last chunk ended with `\r`: a `\n` at the start of the next one belongs to it.
    after_return: bool,
    lines: u64,
}

impl Splitter {
    /// A splitter that hands over at most `max_line` bytes of each line.
    pub fn new(max_line: usize) -> Self {
        Self { max_line, held: Vec::new(), length: 0, after_return: false, lines: 0 }
    }

    /// How many lines were handed over so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Takes the next bytes and calls `emit` for each line that they complete, with the line's bytes and, where they
    /// were cut off at the bound, with its whole length.
    pub fn push(&mut self, chunk: &[u8], mut emit: impl FnMut(&[u8], Option<u64>)) {
        let Some(&first) = chunk.first() else { return };
        let mut start = usize::from(self.after_return && first == b'\n');
        self.after_return = false;
        for end in memchr::memchr2_iter(b'\n', b'\r', chunk) {
            if end < start {
                continue; // the second half of a terminator
            }
            self.end_line(&chunk[start..end], &mut emit);
            start = end + 1;
            if chunk[end] == b'\r' {
                match chunk.get(start) {
                    Some(b'\n') => start += 1,
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
        }
        self.hold(&chunk[start..]);
    }

    /// The stream has ended: hands over what is left.
    pub fn finish(&mut self, mut emit: impl FnMut(&[u8], Option<u64>)) {
        if self.length > 0 {
            self.end_line(&[], &mut emit);
        }
    }

    fn hold(&mut self, piece: &[u8]) {
        let room = self.max_line - self.held.len();
        self.held.extend_from_slice(&piece[..piece.len().min(room)]);
        self.length += piece.len() as u64;
    }

    fn end_line(&mut self, piece: &[u8], emit: &mut impl FnMut(&[u8], Option<u64>)) {
        self.lines += 1;
        if self.length == 0 {
            let kept = piece.len().min(self.max_line);
            emit(&piece[..kept], (kept < piece.len()).then_some(piece.len() as u64));
            return;
        }
        self.hold(piece);
        emit(&self.held, (self.length > self.held.len() as u64).then_some(self.length));
        self.held.clear();
        self.held.shrink_to(KEPT_CAPACITY);
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Lines = Vec<(Vec<u8>, Option<u64>)>;

    fn split<'a>(max_line: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Lines {
        let mut splitter = Splitter::new(max_line);
        let mut lines = Lines::new();
        for chunk in chunks {
            splitter.push(chunk, |bytes, truncated| lines.push((bytes.to_vec(), truncated)));
        }
        splitter.finish(|bytes, truncated| lines.push((bytes.to_vec(), truncated)));
        assert_eq!(splitter.lines(), lines.len() as u64);
        lines
    }

    #[test]
    fn terminators() {
        for (input, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\nb", &["a", "b"]),
            ("a\r\nb\r\n", &["a", "b"]),
            ("\n", &[""]),
            ("\r", &[""]),
            ("\r\n", &[""]),
            ("\n\n", &["", ""]),
            ("\n\r", &["", ""]),
            ("\r\r\n\n", &["", "", ""]),
            ("10%\r50%\r100%\n", &["10%", "50%", "100%"]),
            ("  a\t\n b ", &["  a\t", " b "]),
            ("a\u{85}b\u{2028}c\x0bd\x0c", &["a\u{85}b\u{2028}c\x0bd\x0c"]),
        ] {
            let lines = split(100, [input.as_bytes()]);
            let expected: Lines = expected.iter().map(|line| (line.as_bytes().to_vec(), None)).collect();
            assert_eq!(lines, expected, "{input:?}");
        }
    }

    #[test]
    fn a_terminator_over_two_chunks_is_one() {
        for (chunks, expected) in [
            (&["a\r", "\nb"][..], &["a", "b"][..]),
            (&["a\r", "b"], &["a", "b"]),
            (&["a\r", "\r\n"], &["a", ""]),
            (&["a\r", "", "\nb"], &["a", "b"]),
            (&["a\r", "\n"], &["a"]),
            (&["a\r", "\n", "\n"], &["a", ""]),
            (&["a", "b\r", "\n\n"], &["ab", ""]),
        ] {
            let lines = split(100, chunks.iter().map(|chunk| chunk.as_bytes()));
            let expected: Lines = expected.iter().map(|line| (line.as_bytes().to_vec(), None)).collect();
            assert_eq!(lines, expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_line_over_the_bound_is_cut_and_measured() {
        for (chunks, expected) in [
            (&["abcd\n"][..], &[("abcd", None)][..]),
            (&["abcde\n"], &[("abcd", Some(5))]),
            (&["ab", "cdef", "gh\nx"], &[("abcd", Some(8)), ("x", None)]),
            (&["abcd", "", "\n"], &[("abcd", None)]),
            (&["abcd", "e"], &[("abcd", Some(5))]),
        ] {
            let lines = split(4, chunks.iter().map(|chunk| chunk.as_bytes()));
            let expected: Lines =
                expected.iter().map(|(line, cut)| (line.as_bytes().to_vec(), *cut)).collect();
            assert_eq!(lines, expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_long_line_does_not_keep_its_memory() {
        let mut splitter = Splitter::new(1 << 20);
        let mut longest = 0;
        for _ in 0..100 {
            splitter.push(&[b'x'; 100_000], |_, _| {});
            longest = longest.max(splitter.held.capacity());
        }
        splitter.push(b"\n", |bytes, truncated| {
            assert_eq!((bytes.len(), truncated), (1 << 20, Some(10_000_000)))
        });
        assert!(longest <= 2 << 20, "held {longest} bytes");
        assert!(splitter.held.capacity() <= KEPT_CAPACITY);
    }

    proptest! {
        /// However the stream was cut into chunks, the lines are the same.
        #[test]
        fn chunks_do_not_matter(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..10),
            max_line in 0usize..20,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]);
            prop_assert_eq!(split(max_line, chunks), split(max_line, [&input[..]]));
        }

        /// Nothing but terminators is lost.
        #[test]
        fn every_other_byte_is_handed_over(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
        ) {
            let kept: Vec<u8> = split(usize::MAX, [&input[..]]).into_iter().flat_map(|(line, _)| line).collect();
            let expected: Vec<u8> = input.into_iter().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
            prop_assert_eq!(kept, expected);
        }
    }
}
