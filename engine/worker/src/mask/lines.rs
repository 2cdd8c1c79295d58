//! Secrets that go over the end of a line: `base64` breaks its output after 76 characters, `fold` anywhere.
//!
//! A line that ends with the beginning of a secret is masked there before anybody knows how the next one begins, and a
//! line that begins with the end of a secret, or is nothing but a part of one, likewise. Parts of a few characters are
//! only masked where the line before ended with the part before: of a secret that is cut into pieces, at most the first
//! few characters can be seen.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use super::{Masker, replaced};

/// Shorter secrets are not looked for in pieces.
const MIN_PATTERN: usize = 8;
/// A whole line that is part of a secret is masked from this length on.
const MIN_INNER: usize = 16;

/// Pieces of secrets.
#[derive(Debug)]
pub(super) struct Fragments {
    patterns: Vec<Vec<u8>>,
    heads: AhoCorasick,
    tails: AhoCorasick,
    /// All patterns, each followed by a line break, which no line has in it; and where each begins.
    joined: Vec<u8>,
    starts: Vec<usize>,
    longest: usize,
}

impl Fragments {
    pub(super) fn new(patterns: &[Arc<str>]) -> Option<Self> {
        let patterns: Vec<Vec<u8>> = patterns
            .iter()
            .filter(|form| form.len() >= MIN_PATTERN)
            .map(|form| form.as_bytes().to_vec())
            .collect();
        let heads = patterns.iter().map(|pattern| &pattern[..least(pattern)]);
        let tails = patterns.iter().map(|pattern| &pattern[pattern.len() - least(pattern)..]);
        let (heads, tails) = (AhoCorasick::new(heads).ok()?, AhoCorasick::new(tails).ok()?);
        let mut joined = Vec::new();
        let mut starts = Vec::new();
        for pattern in &patterns {
            starts.push(joined.len());
            joined.extend_from_slice(pattern);
            joined.push(b'\n');
        }
        let longest = patterns.iter().map(Vec::len).max()?;
        Some(Self { patterns, heads, tails, joined, starts, longest })
    }

    /// Where a line holds pieces, and which patterns may go on in the next line.
    fn find(&self, line: &[u8], carried: &[Carry]) -> (Vec<Range<usize>>, Vec<Carry>) {
        let (mut found, mut carry) = (Vec::new(), Vec::new());
        for &Carry { pattern, seen } in carried {
            let Some(rest) = self.patterns.get(pattern).and_then(|pattern| pattern.get(seen..)) else {
                continue;
            };
            if rest.is_empty() {
                // The line before ended with all of it.
            } else if line.starts_with(rest) {
                found.push(0..rest.len());
            } else if !line.is_empty() && rest.starts_with(line) {
                found.push(0..line.len());
                carry.push(Carry { pattern, seen: seen + line.len() });
            }
        }
        let head = &line[..line.len().min(self.longest)];
        for tail in self.tails.find_overlapping_iter(head) {
            let pattern = &self.patterns[tail.pattern()];
            if pattern.len() > tail.end() && pattern.ends_with(&line[..tail.end()]) {
                found.push(0..tail.end());
            }
        }
        if (MIN_INNER..self.longest).contains(&line.len())
            && let Some(at) = memmem::find(&self.joined, line)
        {
            found.push(0..line.len());
            let pattern = self.starts.partition_point(|&start| start <= at) - 1;
            carry.push(Carry { pattern, seen: at - self.starts[pattern] + line.len() });
        }
        let end = line.len().saturating_sub(self.longest);
        for start in self.heads.find_overlapping_iter(&line[end..]) {
            let (pattern, at) = (start.pattern().as_usize(), end + start.start());
            let rest = &line[at..];
            if self.patterns[pattern].len() > rest.len() && self.patterns[pattern].starts_with(rest) {
                found.push(at..line.len());
                carry.push(Carry { pattern, seen: rest.len() });
            }
        }
        (found, carry)
    }
}

/// The shortest piece of a pattern that is masked without knowing the other piece.
fn least(pattern: &[u8]) -> usize {
    (pattern.len() / 2).clamp(4, 8)
}

/// A pattern of which the last line ended with the first `seen` bytes.
#[derive(Debug, Clone, Copy)]
struct Carry {
    pattern: usize,
    seen: usize,
}

/// Masks the lines of one stream of text.
#[derive(Debug)]
pub struct LineMasker {
    masker: Masker,
    /// For each part of the search, what may go on in the next line.
    carried: Vec<Vec<Carry>>,
    /// To what `carried` refers: it means nothing once there are more secrets.
    generation: u64,
}

impl LineMasker {
    pub(super) fn new(masker: Masker) -> Self {
        Self { masker, carried: Vec::new(), generation: 0 }
    }

    /// The next line, without its end, with every secret and every piece of one replaced by [`super::MASK`].
    pub fn mask<'t>(&mut self, line: &'t [u8]) -> Cow<'t, [u8]> {
        let inner = self.masker.read();
        let searches = &inner.searches;
        if searches.is_empty() {
            return Cow::Borrowed(line);
        }
        let mut ranges = searches.find(line);
        if self.generation != searches.generation() {
            self.generation = searches.generation();
            self.carried = vec![Vec::new(); searches.parts().len()];
        }
        // Indentation is no part of what was cut.
        let text = line.trim_ascii();
        let indent = line.len() - line.trim_ascii_start().len();
        for (part, carried) in searches.parts().iter().zip(&mut self.carried) {
            let Some(fragments) = &part.fragments else { continue };
            let (found, carry) = fragments.find(text, carried);
            ranges.extend(found.into_iter().map(|range| range.start + indent..range.end + indent));
            *carried = carry;
        }
        if ranges.is_empty() { Cow::Borrowed(line) } else { Cow::Owned(replaced(line, ranges)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MASK;
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    const SECRET: &str = "correct-horse-battery-staple";

    fn masked(secret: &str, lines: &[&str]) -> Vec<String> {
        let masker = Masker::default();
        masker.add(secret);
        let mut masker = masker.lines();
        lines
            .iter()
            .map(|line| String::from_utf8(masker.mask(line.as_bytes()).into_owned()).unwrap())
            .collect()
    }

    #[test]
    fn pieces_at_the_ends_of_lines_are_hidden() {
        for (lines, expected) in [
            (&["token: correct-hor", "se-battery-staple!"][..], &["token: ******", "******!"][..]),
            // The rest is short, and known from the line before.
            (&["correct-horse-battery-stap", "le and more"], &["******", "****** and more"]),
            (&["  correct-ho", "  rse-ba", "  ttery-staple"], &["  ******", "  ******", "  ******"]),
            (&["correct-horse-ba", "something else"], &["******", "something else"]),
            (&["le and more"], &["le and more"]),
            (&["correct", "is correct"], &["correct", "is correct"]),
            (&["correct-horse-battery-staple", "x"], &["******", "x"]),
        ] {
            assert_eq!(masked(SECRET, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn no_line_shows_more_than_a_few_characters_however_a_secret_is_cut() {
        let secret: String = (0..300_u32).map(|n| char::from(b'!' + (n * 7919 % 90) as u8)).collect();
        let encoded = BASE64_STANDARD.encode(format!("user:{secret}"));
        for (text, whole) in
            [(secret.as_str(), secret.as_str()), (encoded.as_str(), &encoded[8..encoded.len() - 4])]
        {
            for width in [20, 33, 64, 76, 100, 299] {
                let lines: Vec<&str> =
                    text.as_bytes().chunks(width).map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
                let shown = masked(&secret, &lines);
                for (line, shown) in lines.iter().zip(&shown) {
                    let rest = shown.replace(MASK, "");
                    assert!(
                        rest.len() <= 12 || !whole.contains(&rest),
                        "width {width}: {line} became {shown}"
                    );
                }
            }
        }
    }

    #[test]
    fn lines_without_secrets_are_not_copied() {
        let masker = Masker::default();
        let mut lines = masker.lines();
        assert!(matches!(lines.mask(b"anything"), Cow::Borrowed(_)));
        masker.add(SECRET);
        assert!(matches!(lines.mask(b"anything"), Cow::Borrowed(_)));
        assert_eq!(lines.mask(SECRET.as_bytes()).as_ref(), MASK.as_bytes());
    }
}
