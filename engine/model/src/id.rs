//! Identifiers: a UUID as 22 characters of base 62, and slugs for storage paths.

use uuid::Uuid;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn base62(uuid: Uuid) -> String {
    let mut rest = uuid.as_u128();
    let mut digits = [b'0'; 22];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|&digit| digit as char).collect()
}

/// A new random identifier, in the form of Kestra's FriendlyId.
pub fn new_id() -> String {
    base62(Uuid::new_v4())
}

/// The identifier of a thing named `path` inside the thing `parent`: the same every time, so that an execution taken
/// up again after a crash finds the task runs it had already announced.
pub fn child_id(parent: &str, path: &str) -> String {
    let parent = Uuid::new_v5(&Uuid::NAMESPACE_OID, parent.as_bytes());
    base62(Uuid::new_v5(&parent, path.as_bytes()))
}

/// `text` as part of a storage path: words joined with `-`, lower case (compat: "slug").
pub fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '_' | '-' | ' ' | '.' => slug.push('-'),
            c if c.is_alphanumeric() => slug.extend(c.to_lowercase()),
            _ => {}
        }
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_22_characters_and_differ() {
        let (a, b) = (new_id(), new_id());
        assert_eq!((a.len(), b.len()), (22, 22));
        assert_ne!(a, b);
    }

    #[test]
    fn child_ids_are_stable_and_depend_on_both_parts() {
        assert_eq!(child_id("e", "t"), child_id("e", "t"));
        assert_ne!(child_id("e", "t"), child_id("e", "u"));
        assert_ne!(child_id("e", "t"), child_id("f", "t"));
    }

    #[test]
    fn slugs() {
        for (text, expected) in [("myTask_1", "mytask-1"), ("1-1_each", "1-1-each"), ("a/b", "ab")] {
            assert_eq!(slug(text), expected, "{text}");
        }
    }
}
