//! Finds the end of a task in the output of a container that goes on after it. Pure: no I/O.
//!
//! A kept container has two output streams for all of its tasks. When a task has ended, the shell around it writes a line
//! break, a text that nobody can guess, and what there is to say (see `keeper`). Everything before that line break is the
//! task's own output, byte for byte.

use memchr::memmem::Finder;

/// Looks for one text in one stream.
#[derive(Debug)]
pub(super) struct Sentinel {
    finder: Finder<'static>,
    /// The end of what came so far that may be the beginning of the text; once it was found, what follows it.
    held: Vec<u8>,
    found: bool,
}

impl Sentinel {
    /// A sentinel for a text without line breaks.
    pub(super) fn new(nonce: &str) -> Self {
        Self {
            finder: Finder::new(format!("\n{nonce}").as_bytes()).into_owned(),
            held: Vec::new(),
            found: false,
        }
    }

    /// Takes the next bytes and calls `emit` with those that are output. The result is what stands behind the text, on
    /// its line, once that line is complete; what comes after it is taken by the next call.
    pub(super) fn push(&mut self, chunk: &[u8], mut emit: impl FnMut(&[u8])) -> Option<String> {
        if !self.found && self.held.is_empty() {
            return self.search(chunk, &mut emit);
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(chunk);
        if self.found { self.complete(&all) } else { self.search(&all, &mut emit) }
    }

    /// The stream has ended: hands over what was held back.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(&[u8])) {
        if !self.found && !self.held.is_empty() {
            emit(&std::mem::take(&mut self.held));
        }
    }

    fn search(&mut self, bytes: &[u8], emit: &mut impl FnMut(&[u8])) -> Option<String> {
        let needle = self.finder.needle();
        if let Some(start) = self.finder.find(bytes) {
            let rest = bytes[start + needle.len()..].to_vec();
            emit_some(&bytes[..start], emit);
            self.found = true;
            return self.complete(&rest);
        }
        let longest = bytes.len().min(needle.len() - 1);
        let held = (1..=longest).rev().find(|&length| needle.starts_with(&bytes[bytes.len() - length..]));
        let (output, held) = bytes.split_at(bytes.len() - held.unwrap_or(0));
        emit_some(output, emit);
        self.held.extend_from_slice(held);
        None
    }

    fn complete(&mut self, bytes: &[u8]) -> Option<String> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.held.extend_from_slice(bytes);
            return None;
        };
        self.found = false;
        // A second text may follow at once; its line break is then the first byte of what is left.
        self.held.extend_from_slice(&bytes[end + 1..]);
        Some(String::from_utf8_lossy(&bytes[..end]).trim().to_owned())
    }
}

fn emit_some(bytes: &[u8], emit: &mut impl FnMut(&[u8])) {
    if !bytes.is_empty() {
        emit(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<String>) {
        let mut sentinel = Sentinel::new("NONCE");
        let (mut output, mut said) = (Vec::new(), Vec::new());
        for chunk in chunks {
            said.extend(sentinel.push(chunk, |bytes| output.extend_from_slice(bytes)));
            // What followed on the heels of a text is looked at without new bytes.
            while !said.is_empty() {
                match sentinel.push(b"", |bytes| output.extend_from_slice(bytes)) {
                    Some(more) => said.push(more),
                    None => break,
                }
            }
        }
        sentinel.finish(|bytes| output.extend_from_slice(bytes));
        (output, said)
    }

    #[test]
    fn output_ends_where_the_text_begins() {
        for (chunks, output, said) in [
            (&["a\n"][..], "a\n", &[][..]),
            (&["a\n\nNONCE 0\n"], "a\n", &["0"]),
            (&["a\nNONCE 0\n"], "a", &["0"]),
            (&["\nNONCE 127\n"], "", &["127"]),
            (&["a\n\nNON", "CE 1\n"], "a\n", &["1"]),
            (&["a\n", "\n", "N", "ONCE 1", "2\n"], "a\n", &["12"]),
            (&["a\nNON", "SENSE"], "a\nNONSENSE", &[]),
            (&["a\n\n\n", "b"], "a\n\n\nb", &[]),
            (&["\nNONCE missing\n\nNONCE\n"], "", &["missing", ""]),
            (&["aNONCE\nNONC"], "aNONCE\nNONC", &[]),
        ] {
            let (seen, heard) = run(chunks.iter().map(|chunk| chunk.as_bytes()));
            assert_eq!(
                (String::from_utf8(seen).unwrap().as_str(), heard),
                (output, said.iter().map(|s| (*s).to_owned()).collect()),
                "{chunks:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_cutting_into_chunks_does_not_matter(
            output in "[\n\rNOCEab]{0,40}",
            cuts in proptest::collection::vec(1usize..9, 0..20),
        ) {
            prop_assume!(!output.contains("\nNONCE"));
            let text = format!("{output}\nNONCE 7\n");
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, more) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = more;
            }
            chunks.push(rest);
            let (seen, said) = run(chunks);
            prop_assert_eq!(seen, output.as_bytes());
            prop_assert_eq!(said, ["7".to_owned()]);
        }
    }
}
