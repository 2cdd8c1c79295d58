//! What a downloaded file is called.

use percent_encoding::percent_decode_str;

/// The longest name: file systems take 255 bytes, and storage adds to it.
const LONGEST: usize = 180;

/// The name that the server gives (`Content-Disposition`, RFC 6266), else that of the URL.
pub fn file_name(disposition: Option<&str>, url: &str) -> String {
    let given = disposition.and_then(from_disposition);
    let of_url = || url.parse::<weft_sdk::http::Url>().ok()?.file_name();
    given
        .and_then(|name| plain(&name))
        .or_else(|| of_url().and_then(|name| plain(&name)))
        .unwrap_or_else(|| "download".to_owned())
}

/// A name without folders and without what no name has; none if nothing is left.
pub fn plain(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let mut name: String = name.chars().filter(|c| !c.is_control()).collect();
    if name.len() > LONGEST {
        // The extension says what it is: the end matters more than the middle.
        let (stem, extension) = match name.rfind('.') {
            Some(dot) if name.len() - dot <= 20 => name.split_at(dot),
            _ => (name.as_str(), ""),
        };
        let end = stem.floor_char_boundary(LONGEST - extension.len());
        name = format!("{}{extension}", &stem[..end]);
    }
    let name = name.trim().trim_matches('.');
    (!name.is_empty()).then(|| name.to_owned())
}

fn from_disposition(value: &str) -> Option<String> {
    let mut plain = None;
    for (name, value) in parameters(value) {
        match name.as_str() {
            // The one for other alphabets goes before the other, wherever it stands.
            "filename*" => {
                let mut parts = value.splitn(3, '\'');
                let (charset, _, encoded) = (parts.next()?, parts.next()?, parts.next()?);
                let bytes = percent_decode_str(encoded).collect::<Vec<u8>>();
                return Some(if charset.eq_ignore_ascii_case("utf-8") {
                    String::from_utf8_lossy(&bytes).into_owned()
                } else {
                    bytes.into_iter().map(char::from).collect()
                });
            }
            "filename" => plain = Some(value),
            _ => {}
        }
    }
    plain
}

/// `name=value` and `name="value"` behind each semicolon; names in lower case.
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut rest = value.find(';').map_or("", |at| &value[at + 1..]);
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, end) = match after.strip_prefix('"') {
            Some(inner) => {
                let mut text = String::new();
                let mut chars = inner.char_indices();
                let mut end = after.len();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '\\' => text.extend(chars.next().map(|(_, c)| c)),
                        '"' => {
                            end = at + 2;
                            break;
                        }
                        c => text.push(c),
                    }
                }
                (text, end)
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), end)
            }
        };
        all.push((name.trim().to_ascii_lowercase(), value));
        rest = after.get(end..).unwrap_or_default();
        rest = rest.find(';').map_or("", |at| &rest[at + 1..]);
    }
    all
}
