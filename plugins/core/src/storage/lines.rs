//! Reading a file by lines, forwards and backwards, with one line in memory at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

/// How much is read at once when going backwards.
const BLOCK: usize = 64 * 1024;

/// Calls `each` with every line, without its end (`\n` or `\r\n`).
pub fn forwards<E: From<std::io::Error>>(
    file: File,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = BufReader::with_capacity(BLOCK, file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        each(trimmed(&line))?;
        line.clear();
    }
    Ok(())
}

/// The same from the last line to the first.
pub fn backwards<E: From<std::io::Error>>(
    mut file: File,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut position = file.seek(SeekFrom::End(0))?;
    // What has been read and not been given out: it begins somewhere within a line and ends with the end of one.
    let mut rest: Vec<u8> = Vec::new();
    let mut last = true;
    while position > 0 {
        let length = BLOCK.min(usize::try_from(position).unwrap_or(BLOCK));
        position -= length as u64;
        let mut block = vec![0; length];
        file.seek(SeekFrom::Start(position))?;
        file.read_exact(&mut block)?;
        if last {
            last = false;
            if block.last() == Some(&b'\n') {
                block.pop();
            }
        }
        block.extend_from_slice(&rest);
        let mut end = block.len();
        // Line feeds in the part that was read before are given out already.
        let mut search = length.min(end);
        while let Some(feed) = block[..search].iter().rposition(|&b| b == b'\n') {
            each(trimmed(&block[feed + 1..end]))?;
            end = feed;
            search = feed;
        }
        block.truncate(end);
        rest = block;
    }
    if last { Ok(()) } else { each(trimmed(&rest)) }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("weft-lines-{}-{number}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let (mut there, mut back) = (Vec::new(), Vec::new());
        let open = || File::open(&path).unwrap();
        forwards(open(), |line| -> std::io::Result<()> {
            there.push(line.to_vec());
            Ok(())
        })
        .unwrap();
        backwards(open(), |line| -> std::io::Result<()> {
            back.push(line.to_vec());
            Ok(())
        })
        .unwrap();
        std::fs::remove_file(&path).unwrap();
        (there, back)
    }

    #[test]
    fn both_directions_see_the_same_lines() {
        let long = "x".repeat(BLOCK * 2 + 7);
        for content in [
            String::new(),
            "\n".to_owned(),
            "\n\n".to_owned(),
            "a".to_owned(),
            "a\n".to_owned(),
            "a\nb".to_owned(),
            "a\r\nb\r\n".to_owned(),
            "\na\n\nb\n".to_owned(),
            format!("{long}\n{long}b\n\nend"),
            format!("{}\n", "y".repeat(BLOCK - 1)),
            format!("{}\nz\n", "y".repeat(BLOCK - 1)),
            format!("a\n{}", "z".repeat(BLOCK)),
        ] {
            let expected: Vec<Vec<u8>> = content.lines().map(|line| line.as_bytes().to_vec()).collect();
            let (there, mut back) = read(content.as_bytes());
            back.reverse();
            let start: String = content.chars().take(20).collect();
            assert!(there == expected, "forwards: {start:?}");
            assert!(back == expected, "backwards: {start:?}");
        }
    }
}
