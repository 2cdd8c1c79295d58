//! Files that people name, or that lie in folders which they name: read only if they are files, and no more of them than is
//! good for anybody. A pipe would be waited for, a device may never end, and a sparse file is larger than the machine.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading, or one that a symbolic link leads to. Never waits.
///
/// # Errors
/// That of the system, or one that says what it is instead: "it is a named pipe, not a file".
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened, for opening a device may do something.
    check(fs::metadata(path)?.file_type())?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    // And once more, for something else may stand there by now.
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Whether [`open`] would open it.
///
/// # Errors
/// As [`open`].
pub fn look_at(path: &Path) -> io::Result<()> {
    check(fs::metadata(path)?.file_type())
}

/// The bytes of a regular file that has at most `most` of them. A larger one is not read.
///
/// # Errors
/// As [`open`], and where the file is larger.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(too_large(most));
    }
    read_up_to(file, most, length)
}

/// The bytes of something that need not be a file, such as standard input, if there are at most `most`.
///
/// # Errors
/// That of the system, and where there are more bytes.
pub fn read_all(from: impl io::Read, most: u64) -> io::Result<Vec<u8>> {
    read_up_to(from, most, 0)
}

fn read_up_to(from: impl io::Read, most: u64, expected: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    // A file may grow while it is read.
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

fn too_large(most: u64) -> io::Error {
    let shown =
        if most.is_multiple_of(1 << 20) { format!("{} MiB", most >> 20) } else { format!("{most} bytes") };
    io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {shown}"))
}

fn check(found: FileType) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let (kind, what) = match found {
        found if found.is_dir() => (ErrorKind::IsADirectory, "a folder"),
        found if found.is_fifo() => (ErrorKind::InvalidInput, "a named pipe"),
        found if found.is_socket() => (ErrorKind::InvalidInput, "a socket"),
        _ => (ErrorKind::InvalidInput, "a device"),
    };
    Err(io::Error::new(kind, format!("it is {what}, not a file")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn only_files_are_read_and_only_so_much_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "12345").unwrap();
        fs::create_dir(at("folder")).unwrap();
        mkfifoat(CWD, at("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        File::create(at("sparse")).unwrap().set_len(3 << 30).unwrap();
        for (link, target) in [
            ("to-file", "file"),
            ("to-pipe", "pipe"),
            ("to-zero", "/dev/zero"),
            ("loop", "loop"),
            ("gone", "nowhere"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        for (name, most, expected) in [
            ("file", 5, Ok("12345")),
            ("to-file", 9, Ok("12345")),
            ("file", 4, Err("it is larger than 4 bytes")),
            ("sparse", 16 << 20, Err("it is larger than 16 MiB")),
            ("folder", 9, Err("it is a folder, not a file")),
            ("pipe", 9, Err("it is a named pipe, not a file")),
            ("to-pipe", 9, Err("it is a named pipe, not a file")),
            ("socket", 9, Err("it is a socket, not a file")),
            ("to-zero", 9, Err("it is a device, not a file")),
            ("loop", 9, Err("Too many levels of symbolic links (os error 40)")),
            ("gone", 9, Err("No such file or directory (os error 2)")),
        ] {
            let found = read(&at(name), most).map_err(|error| error.to_string());
            assert_eq!(found, expected.map(Vec::from).map_err(str::to_owned), "{name}");
            let looked = look_at(&at(name)).map_err(|error| error.to_string());
            assert_eq!(looked.is_ok(), !expected.is_err_and(|error| !error.contains("larger")), "{name}");
        }
        assert!(read_all(io::repeat(b'x'), 10).is_err());
        assert_eq!(read_all(&b"ab"[..], 2).unwrap(), b"ab");
    }
}
