//! A log file of one's own that is begun anew when it is full: `x.log`, then `x.log.1`, the newest of the old ones, and so on.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::O_NOFOLLOW;

/// Appends a line. A file that it would make larger than `most` bytes becomes the first of the old ones, of which `keep` stay.
///
/// # Errors
/// When the file cannot be written.
pub fn append(path: &Path, most: u64, keep: u64, line: &str) -> io::Result<()> {
    let length = fs::metadata(path).map_or(0, |about| about.len());
    if length > 0 && length + line.len() as u64 + 1 > most {
        for number in (1..keep).rev() {
            moved(&old(path, number), &old(path, number + 1))?;
        }
        moved(path, &old(path, 1))?;
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(O_NOFOLLOW).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

fn old(path: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_old_files_of_that_size_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        for number in 0..12 {
            // two of these lines fit
            append(&path, 20, 3, &format!("line {number:04}")).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(read("x.log").as_deref(), Some("line 0010\nline 0011\n"));
        assert_eq!(read("x.log.1").as_deref(), Some("line 0008\nline 0009\n"));
        assert_eq!(read("x.log.3").as_deref(), Some("line 0004\nline 0005\n"));
        assert_eq!(read("x.log.4"), None);
        // what does not fit at all is written all the same
        append(&path, 5, 3, "a long line").unwrap();
        assert_eq!(read("x.log").as_deref(), Some("a long line\n"));
    }
}
