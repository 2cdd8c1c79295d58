//! Sizes as flows write them. Pure.

use super::ContainerError;

/// Bytes of `512MB`, `1.5g`, `64 MiB` or `1024`. As Docker does, every unit is a power of 1024.
pub(super) fn bytes(option: &str, text: &str) -> Result<i64, ContainerError> {
    parse(text).ok_or_else(|| ContainerError::InvalidOption {
        option: option.to_owned(),
        problem: format!("`{text}` is not a size\nhint: write bytes, or a number with a unit: `512MB`, `2g`"),
    })
}

fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    let bytes = number * 2f64.powi(factor);
    // Beyond 2^53 a float is no longer exact, and no machine has that much.
    (bytes <= 9e15).then_some(bytes as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("64b", Some(64)),
            ("512MB", Some(512 << 20)),
            ("512 mb", Some(512 << 20)),
            ("1.5g", Some(3 << 29)),
            ("2GiB", Some(2 << 30)),
            ("1k", Some(1024)),
            ("1t", Some(1 << 40)),
            ("", None),
            ("MB", None),
            ("1x", None),
            ("1.2.3m", None),
            ("-1", None),
            ("99999999t", None),
        ] {
            assert_eq!(bytes("memory.memory", text).ok(), expected, "{text}");
        }
    }
}
