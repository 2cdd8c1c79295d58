//! Digests of files, for plugins that send them or compare them.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use weft_files::OpenFile;

/// How much is read at a time.
const BLOCK: usize = 256 << 10;

/// How a digest is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32, as zip has it.
    Crc32,
    /// CRC-32C, Castagnoli's.
    Crc32C,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// The algorithm with this name in the plugin contract.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "crc32" => Self::Crc32,
            "crc32c" => Self::Crc32C,
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            _ => return None,
        })
    }
}

/// The digest of a file, or of `(offset, length)` of it, in base64. A part that is not there is an error, and so is that
/// `stop` turned true.
pub fn of_file(
    file: OpenFile,
    algorithm: Algorithm,
    part: Option<(u64, u64)>,
    stop: &AtomicBool,
) -> io::Result<String> {
    let size = file.size();
    let mut file = file.into_file();
    let (offset, length) = part.unwrap_or((0, size));
    if size < offset.saturating_add(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = Stoppable { reader: file.take(length), stop };
    let bytes = match algorithm {
        Algorithm::Crc32 => {
            let mut hasher = crc32fast::Hasher::new();
            each_block(&mut reader, |block| hasher.update(block))?;
            hasher.finalize().to_be_bytes().to_vec()
        }
        Algorithm::Crc32C => {
            let mut sum = 0;
            each_block(&mut reader, |block| sum = crc32c::crc32c_append(sum, block))?;
            sum.to_be_bytes().to_vec()
        }
        Algorithm::Md5 => hashed::<Md5>(&mut reader)?,
        Algorithm::Sha1 => hashed::<Sha1>(&mut reader)?,
        Algorithm::Sha256 => hashed::<Sha256>(&mut reader)?,
    };
    Ok(BASE64_STANDARD.encode(bytes))
}

/// A file may be larger than a task has time for: a hole takes no room.
struct Stoppable<'a, R> {
    reader: R,
    stop: &'a AtomicBool,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the task has ended"));
        }
        self.reader.read(buffer)
    }
}

fn hashed<D: Digest>(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut digest = D::new();
    each_block(reader, |block| digest.update(block))?;
    Ok(digest.finalize().to_vec())
}

fn each_block(reader: &mut dyn Read, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match reader.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(length) => each(&block[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_other_programs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "xx123456789yy").unwrap();
        for (name, expected) in [
            ("crc32", "y/Q5Jg=="),
            ("crc32c", "4waSgw=="),
            ("md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
            ("sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
            ("sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            let algorithm = Algorithm::from_name(name).unwrap();
            let of =
                |part, stop| of_file(OpenFile::open(&path).unwrap(), algorithm, part, &AtomicBool::new(stop));
            let digest = of(Some((2, 9)), false).unwrap();
            assert_eq!(digest, expected, "{name}");
            assert_ne!(digest, of(None, false).unwrap(), "{name}");
            assert!(of(Some((10, 9)), false).is_err());
            assert!(of(None, true).is_err(), "{name}");
        }
        assert_eq!(Algorithm::from_name("md4"), None);
    }
}
