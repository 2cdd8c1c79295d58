//! The shapes in which a secret turns up in text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// The shortest text that is hidden: shorter ones would hide every second word.
const MIN_LENGTH: usize = 3;
/// The shortest part of an encoding that is hidden where only part of it depends on the secret alone.
const MIN_PART: usize = 5;
/// The shortest text that is hidden because the secret is its base64: many a word happens to be that of something.
const MIN_DECODED: usize = 6;

/// A secret as it is, each of its lines, with other capital letters, what becomes of it in base64 (at each of the three
/// places in a group of three bytes where it may begin), in hexadecimal, in JSON, in a URL and in quotes of a shell, and
/// what it is the base64 of.
pub(super) fn forms(secret: &str) -> BTreeSet<String> {
    let trimmed = secret.trim();
    let mut forms = BTreeSet::new();
    let mut add = |form: &str, least: usize| {
        if form.trim().len() >= least {
            forms.insert(form.to_owned());
        }
    };
    add(secret, MIN_LENGTH);
    add(trimmed, MIN_LENGTH);
    for line in secret.lines() {
        add(line, MIN_LENGTH);
    }
    if trimmed.len() < MIN_LENGTH {
        return forms;
    }
    for spelling in [trimmed.to_lowercase(), trimmed.to_uppercase(), capitalized(trimmed), title(trimmed)] {
        add(&spelling, MIN_LENGTH);
    }
    for engine in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
        add(&engine.encode(trimmed), MIN_LENGTH);
        for offset in 0..3 {
            add(&aligned(engine, trimmed, offset), MIN_PART);
        }
    }
    let hexadecimal = hexadecimal(trimmed);
    add(&hexadecimal, MIN_LENGTH);
    add(&hexadecimal.to_uppercase(), MIN_LENGTH);
    let json = serde_json::to_string(trimmed).unwrap_or_default();
    add(json.trim_matches('"'), MIN_LENGTH);
    let ascii: String = escaped(trimmed);
    add(&ascii, MIN_LENGTH);
    add(&in_url(trimmed, "%20", b"-._~"), MIN_LENGTH);
    add(&in_url(trimmed, "+", b"-._~"), MIN_LENGTH);
    // As Java has it, and `urlencode`.
    add(&in_url(trimmed, "+", b"-._*"), MIN_LENGTH);
    for quote in ["'\\''", "\\'"] {
        add(&trimmed.replace('\'', quote), MIN_LENGTH);
    }
    if let Some(decoded) = decoded(trimmed) {
        add(decoded.trim(), MIN_DECODED);
    }
    forms
}

/// As `capitalize` writes it, of a text that does not begin with a blank.
fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// As `title` writes it.
fn title(text: &str) -> String {
    let mut begins = true;
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match begins {
            true => all.extend(c.to_uppercase()),
            false => all.push(c),
        }
        begins = c.is_whitespace();
    }
    all
}

fn hexadecimal(text: &str) -> String {
    let mut all = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        // Writing to a text does not fail.
        let _ = write!(all, "{byte:02x}");
    }
    all
}

/// The text that this is the base64 of, if it is one that a person could read.
fn decoded(text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace() && *c != '=').collect();
    let bytes = BASE64_STANDARD_NO_PAD.decode(&compact).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(&compact));
    let text = String::from_utf8(bytes.ok()?).ok()?;
    (!text.contains(|c: char| c.is_control() && !c.is_whitespace())).then_some(text)
}

/// The characters of base64 that depend on the secret alone where `offset` bytes of something else precede it in its
/// group of three.
fn aligned(engine: &impl Engine, secret: &str, offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(secret.as_bytes());
    let encoded = engine.encode(&bytes);
    // Six bits a character.
    let (first, end) = ((8 * offset).div_ceil(6), 8 * bytes.len() / 6);
    encoded.get(first..end).unwrap_or_default().to_owned()
}

/// As JSON has it where everything beyond ASCII is escaped, which is how Python writes it.
fn escaped(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap_or_default();
    let mut all = String::new();
    for c in json.trim_matches('"').chars() {
        if c.is_ascii() {
            all.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a text does not fail.
                let _ = write!(all, "\\u{unit:04x}");
            }
        }
    }
    all
}

/// With the letters and digits of ASCII and what is in `plain` as they are.
fn in_url(text: &str, space: &str, plain: &[u8]) -> String {
    let mut all = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            all.push(char::from(byte));
        } else if byte == b' ' {
            all.push_str(space);
        } else {
            // Writing to a text does not fail.
            let _ = write!(all, "%{byte:02X}");
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;

    #[test]
    fn base64_is_known_wherever_the_secret_begins_and_ends() {
        let secret = "correct-horse>battery?";
        let forms = forms(secret);
        for before in ["", "x", "xy", "xyz", "user:"] {
            for after in ["", "\n", "ab", "abc"] {
                for encoded in [
                    BASE64_STANDARD.encode(format!("{before}{secret}{after}")),
                    BASE64_URL_SAFE_NO_PAD.encode(format!("{before}{secret}{after}")),
                ] {
                    let found = forms.iter().filter(|form| encoded.contains(*form)).map(String::len).max();
                    // All but the two characters at the ends that also depend on what stands beside it.
                    assert!(
                        found.is_some_and(|length| length >= secret.len() * 8 / 6 - 1),
                        "{encoded} {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn short_secrets_give_no_short_forms() {
        assert!(forms("ab").is_empty());
        assert!(forms(" \n").is_empty());
        assert!(forms("abc").iter().all(|form| form.len() >= 3));
    }
}
