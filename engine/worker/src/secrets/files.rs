//! Secrets in files: a directory with a file for each, as Docker and Kubernetes mount them, or a dotenv file.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use weft_files::{OpenFile, StorageError};

use super::environment::decode;
use super::{SecretError, Secrets, plain_key};

/// A larger file holds no secret.
const MAX_BYTES: u64 = 1 << 20;

/// Secrets in a directory or a dotenv file. It is read each time: who changes it need not start the engine again.
#[derive(Debug, Clone)]
pub struct FileSecrets {
    path: PathBuf,
}

impl FileSecrets {
    /// Secrets in this place, which is looked at when one is asked for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file of a directory that is named by the key, as written, in upper or in lower case. A line break at its end
    /// is not part of the secret.
    fn in_directory(&self, key: &str) -> Result<Option<String>, SecretError> {
        let key = plain_key(key)?;
        for name in [key.to_owned(), key.to_uppercase(), key.to_lowercase()] {
            let path = self.path.join(name);
            match read(&path) {
                Ok(text) => {
                    let text = text
                        .strip_suffix('\n')
                        .map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
                    return Ok(Some(text.to_owned()));
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) if error.kind() == ErrorKind::IsADirectory => {}
                Err(error) => return Err(SecretError::Unreadable { path, reason: error.to_string() }),
            }
        }
        Ok(None)
    }

    /// The value of `KEY`, or of `SECRET_KEY`, which is base64 as in the environment.
    fn in_dotenv(&self, key: &str) -> Result<Option<String>, SecretError> {
        let unreadable = |reason: String| SecretError::Unreadable { path: self.path.clone(), reason };
        let text = read(&self.path).map_err(|error| unreadable(error.to_string()))?;
        let encoded_key = format!("SECRET_{key}");
        let mut found = None;
        for entry in Entries::new(&text) {
            let (name, value) = entry.map_err(&unreadable)?;
            // The last of several counts, as in a shell.
            if name.eq_ignore_ascii_case(key) {
                found = Some(value);
            } else if name.eq_ignore_ascii_case(&encoded_key) {
                let place = format!("`{name}` in `{}`", self.path.display());
                let secret = decode(&value).ok_or(SecretError::NotBase64 { place, name: name.to_owned() })?;
                found = Some(secret);
            }
        }
        Ok(found)
    }
}

impl Secrets for FileSecrets {
    fn get(&self, key: &str) -> Result<Option<String>, SecretError> {
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_dir() => self.in_directory(key),
            Ok(_) => self.in_dotenv(key),
            Err(error) => Err(SecretError::Unreadable { path: self.path.clone(), reason: error.to_string() }),
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    match OpenFile::open(path) {
        Ok(file) => file.read_to_string(MAX_BYTES),
        Err(StorageError::Io { source, .. }) => Err(source),
        Err(_) if path.is_dir() => Err(ErrorKind::IsADirectory.into()),
        // A pipe would be waited for.
        Err(error) => Err(std::io::Error::other(error)),
    }
}

/// The entries of a dotenv text: `KEY=value`, with `export ` before it or not, values in `'...'` as they are, in `"..."`
/// with `\n`, `\"` and `\\`, both over several lines, or bare up to the end of the line. Lines that begin with `#` say
/// nothing. `$` is a character like others: passwords have it.
struct Entries<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Entries<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 }
    }

    /// Takes so many bytes.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.bytes().filter(|&byte| byte == b'\n').count();
        self.rest = rest;
        taken
    }

    /// Takes the rest of the line, without its end.
    fn take_line(&mut self) -> &'a str {
        let end = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
        self.take(end).trim_end_matches(['\n', '\r'])
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let start = self.line;
        self.take(1);
        let mut value = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c @ ('"' | '\\' | '$'))) => value.push(c),
                    Some((_, c)) => value.extend(['\\', c]),
                    None => break,
                },
                c if c == quote => {
                    self.take(at + c.len_utf8());
                    let after = self.take_line().trim();
                    if after.is_empty() || after.starts_with('#') {
                        return Ok(value);
                    }
                    return Err(format!("line {start}: there is text behind the closing `{quote}`"));
                }
                c => value.push(c),
            }
        }
        Err(format!("line {start}: the closing `{quote}` is missing"))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a str, String), String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.take(blank);
            if self.rest.is_empty() {
                return None;
            }
            if self.rest.starts_with('#') {
                self.take_line();
                continue;
            }
            let line = self.line;
            let end = self.rest.find(['=', '\n']).unwrap_or(self.rest.len());
            let name = self.take(end).trim();
            let name = name.strip_prefix("export ").map_or(name, str::trim);
            if !self.rest.starts_with('=') || name.is_empty() || name.contains(char::is_whitespace) {
                // The line may hold a secret: it is not repeated.
                self.rest = "";
                return Some(Err(format!("line {line}: expected `KEY=value`")));
            }
            self.take(1);
            let spaces = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
            self.take(spaces);
            let value = match self.rest.chars().next() {
                Some(quote @ ('"' | '\'')) => self.quoted(quote),
                _ => {
                    let value = self.take_line();
                    Ok(value.split(" #").next().unwrap_or(value).trim_end().to_owned())
                }
            };
            if value.is_err() {
                self.rest = "";
            }
            return Some(value.map(|value| (name, value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_texts() {
        for (text, expected) in [
            ("A=1\nB = two words \n", vec![("A", "1"), ("B", "two words")]),
            ("# no\n\nexport A=1 # said\r\nB=#2", vec![("A", "1"), ("B", "#2")]),
            ("A='a $b \\n #c'\nB=\"x\\ny\\\"\\\\z\"", vec![("A", "a $b \\n #c"), ("B", "x\ny\"\\z")]),
            (
                "A=\"-----BEGIN\nkey\n-----END\"\nB=p$ss=w",
                vec![("A", "-----BEGIN\nkey\n-----END"), ("B", "p$ss=w")],
            ),
            ("A=\nB=''", vec![("A", ""), ("B", "")]),
            ("", vec![]),
        ] {
            let entries: Vec<_> = Entries::new(text).map(|entry| entry.unwrap()).collect();
            let entries: Vec<_> = entries.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(entries, expected, "{text:?}");
        }
        for (text, expected) in [
            ("A=1\nhunter2\n", "line 2: expected `KEY=value`"),
            ("A=1\n\nB=\"open\nC=1", "line 3: the closing `\"` is missing"),
            ("A='x' y", "line 1: there is text behind the closing `'`"),
        ] {
            let error = Entries::new(text).find_map(Result::err).expect(text);
            assert_eq!(error, expected, "{text:?}");
        }
    }

    #[test]
    fn secrets_are_found_in_both_kinds_of_places() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("team")).unwrap();
        for (name, text) in [("API_TOKEN", "t0ken\n"), ("db", " p \r\n"), ("team/x", "1")] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let dotenv = directory.path().join("secrets.env");
        fs::write(&dotenv, "api_token=other\nSECRET_ENCODED=czNjcmV0\nSECRET_BAD=%\n").unwrap();
        let (directory, dotenv) = (FileSecrets::new(directory.path()), FileSecrets::new(dotenv));
        for (place, key, expected) in [
            (&directory, "api_token", Some("t0ken")),
            (&directory, "API_TOKEN", Some("t0ken")),
            (&directory, "DB", Some(" p ")),
            (&directory, "team/x", Some("1")),
            (&directory, "team", None),
            (&directory, "none", None),
            (&dotenv, "API_TOKEN", Some("other")),
            (&dotenv, "encoded", Some("s3cret")),
            (&dotenv, "none", None),
        ] {
            assert_eq!(place.get(key).unwrap().as_deref(), expected, "{key}");
        }
        assert_eq!(directory.get("../x").unwrap_err().code(), "secret.invalid");
        assert_eq!(dotenv.get("BAD").unwrap_err().code(), "secret.invalid");
        let pipe = directory.path.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
        assert_eq!(directory.get("pipe").unwrap_err().code(), "secret.file");
        assert_eq!(FileSecrets::new(pipe).get("A").unwrap_err().code(), "secret.file");
        assert_eq!(FileSecrets::new("/no/such").get("A").unwrap_err().code(), "secret.file");
    }
}
