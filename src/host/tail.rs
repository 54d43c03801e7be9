//! What was written to a log since it was last read, through its rotations: by renaming, or by copying and truncating.
//!
//! Where reading stopped is known again by what stands before that place, and not by the file's number alone: a number that is
//! free is given to the next file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

/// Where reading stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file's number.
    inode: u64,
    /// So many of its bytes are read.
    offset: u64,
    /// Made of the bytes before that.
    mark: u64,
}

/// What became of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Where the next one goes on.
    pub place: Place,
    /// There is more than is read at once.
    pub more: bool,
    /// The log was replaced, and what is left of the old one was not found: lines are lost.
    pub gap: bool,
}

/// So much is read at once, and so far back the first reading goes.
const MOST: u64 = 8 * 1024 * 1024;
/// Of a line that is longer only its beginning is read.
const LONGEST: u64 = 16 * 1024;
/// So many bytes before a place tell it from others.
const MARKED: u64 = 256;
/// So many older files are looked at.
const OLDER: usize = 8;
const COMPRESSED: [&str; 5] = ["gz", "xz", "zst", "bz2", "lz4"];

/// Hands over the whole lines that were written since that place, oldest first and without their ends; at first those of the
/// last 8 MiB. What is no text in them is replaced.
///
/// # Errors
/// The system's, when the log cannot be read, or is no regular file.
pub fn lines(path: &Path, from: Option<&Place>, line: &mut dyn FnMut(&str)) -> io::Result<Reached> {
    let log = Log::open(path)?;
    let (files, gap) = match from {
        None => {
            let start = log.line_after(log.size.saturating_sub(MOST))?;
            (vec![(log, start)], false)
        }
        Some(from) if log.inode == from.inode && log.is_at(from) => (vec![(log, from.offset)], false),
        Some(from) => {
            let mut files = since(path, from);
            let gap = files.is_empty() && from.offset > 0;
            files.push((log, 0));
            (files, gap)
        }
    };
    let (mut budget, count) = (MOST, files.len());
    let mut reached = None;
    for (number, (file, start)) in files.into_iter().enumerate() {
        let is_over = number + 1 < count;
        let (place, more) = file.read(start, budget, is_over, line)?;
        budget = budget.saturating_sub(place.offset.saturating_sub(start));
        reached = Some(Reached { place, more, gap });
        if more {
            break;
        }
    }
    reached.ok_or_else(|| io::Error::other("there is no such log"))
}

/// The older files of this log from the one on in which reading stopped, and where it did; none if that one is gone.
fn since(path: &Path, from: &Place) -> Vec<(Log, u64)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Vec::new() };
    // "auth.log.1", "auth.log-20261121"
    let is_older = |other: &str| {
        let rest = other.strip_prefix(name).filter(|rest| rest.starts_with(['.', '-']));
        rest.is_some_and(|rest| !COMPRESSED.iter().any(|ending| rest.ends_with(ending)))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let older = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_older));
    let mut older: Vec<Log> = older.filter_map(|entry| Log::open(&entry.path()).ok()).collect();
    older.sort_by_key(|log| std::cmp::Reverse(log.written));
    older.truncate(OLDER);
    older.reverse();
    // before the first byte all files look alike
    let stopped = older.iter().position(|log| log.is_at(from) && (from.offset > 0 || log.inode == from.inode));
    let Some(stopped) = stopped else { return Vec::new() };
    older.drain(..stopped);
    older.into_iter().enumerate().map(|(number, log)| (log, if number == 0 { from.offset } else { 0 })).collect()
}

/// An open file: whatever becomes of its name.
struct Log {
    file: File,
    inode: u64,
    size: u64,
    /// When it was last written to.
    written: (i64, i64),
}

impl Log {
    fn open(path: &Path) -> io::Result<Log> {
        // without O_NONBLOCK the opening of a FIFO waits for its writer
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Log { file, inode: about.ino(), size: about.size(), written: (about.mtime(), about.mtime_nsec()) })
    }

    fn is_at(&self, place: &Place) -> bool {
        self.size >= place.offset && self.before(place.offset).is_ok_and(|bytes| mark(&bytes) == place.mark)
    }

    /// The bytes before this one, as many as a place is known by.
    fn before(&self, offset: u64) -> io::Result<Vec<u8>> {
        let start = offset.saturating_sub(MARKED);
        let mut bytes: Vec<u8> = Vec::new();
        let mut part = [0; 64];
        while start + (bytes.len() as u64) < offset {
            let count = self.file.read_at(&mut part, start + bytes.len() as u64)?;
            if count == 0 {
                break;
            }
            bytes.extend(&part[..count]);
        }
        bytes.truncate(usize::try_from(offset - start).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    /// Where the first line begins that begins here or later.
    fn line_after(&self, offset: u64) -> io::Result<u64> {
        if offset == 0 {
            return Ok(0);
        }
        let mut reader = BufReader::new(&self.file);
        reader.seek(SeekFrom::Start(offset - 1))?;
        Ok(offset - 1 + past_end(&mut reader, &mut Vec::new())?)
    }

    /// Hands over the whole lines from there on; of a file to which nothing more comes the last line, too, if it has no end. Where
    /// it stopped, and whether there is more than that many bytes. The place is made of what was read: by now the log may be cut.
    fn read(&self, start: u64, most: u64, is_over: bool, line: &mut dyn FnMut(&str)) -> io::Result<(Place, bool)> {
        let mut last = self.before(start)?;
        let mut reader = BufReader::new(&self.file);
        reader.seek(SeekFrom::Start(start))?;
        let mut offset = start;
        let mut bytes = Vec::new();
        let place = |offset: u64, last: &[u8]| Place { inode: self.inode, offset, mark: mark(last) };
        while offset - start < most {
            bytes.clear();
            let mut count = reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? as u64;
            let is_whole = bytes.last() == Some(&b'\n');
            if count == 0 || (!is_whole && count < LONGEST && !is_over) {
                return Ok((place(offset, &last), false));
            }
            keep_last(&mut last, &bytes);
            if !is_whole && count == LONGEST {
                count += past_end(&mut reader, &mut last)?;
            }
            offset += count;
            let text = String::from_utf8_lossy(&bytes);
            line(text.strip_suffix('\n').unwrap_or(&text));
        }
        Ok((place(offset, &last), true))
    }
}

/// FNV-1a, the same in every version of this program.
fn mark(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Of all that was read the last bytes, as many as a place is known by.
fn keep_last(last: &mut Vec<u8>, bytes: &[u8]) {
    last.extend(bytes);
    let more = last.len().saturating_sub(usize::try_from(MARKED).unwrap_or(usize::MAX));
    last.drain(..more);
}

/// Reads to the end of the line, and how many bytes that were.
fn past_end(reader: &mut impl BufRead, last: &mut Vec<u8>) -> io::Result<u64> {
    let mut count = 0;
    loop {
        let mut bytes = Vec::new();
        let part = reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? as u64;
        keep_last(last, &bytes);
        count += part;
        if part == 0 || bytes.last() == Some(&b'\n') {
            return Ok(count);
        }
    }
}

#[cfg(test)]
mod tests;
