//! The way into the file: one write, then the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use sysalert_abi::Answer;

/// Appends `text` to the file, on a line of its own.
///
/// # Errors
/// The answer for the administrator: what is wrong with which path, and what to do.
pub(crate) fn append(path: &Path, text: &str) -> Result<(), Answer> {
    let mut file = open(path).map_err(|error| answer(path, &error))?;
    let found = file.metadata().map_err(|error| answer(path, &error))?;
    if !found.is_file() {
        return Err(irregular(path));
    }
    // While another writer is at it, the file seems to end in the middle of a line. Where there are no locks (some network
    // file systems) that makes an empty line too much, and loses nothing. The lock ends with the process at the latest.
    let _ = file.lock();
    let torn = is_torn(&file).map_err(|error| answer(path, &error))?;
    let whole = if torn { format!("\n{text}") } else { text.to_string() };
    // One write and no loop: the rest of a message after another writer's would be worse than a second try.
    let written = file.write(whole.as_bytes()).map_err(|error| answer(path, &error))?;
    if written < whole.len() {
        let short = format!("{} took {written} of {} bytes: make room on its file system", path.display(), whole.len());
        return Err(Answer::Retry(short, None));
    }
    file.sync_data().map_err(|error| answer(path, &error))
}

fn open(path: &Path) -> io::Result<File> {
    // Non-blocking: a device that path names by mistake may hold the open, as a serial line without a carrier does.
    // Readable: see `is_torn`.
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)
}

/// Whether the last line has no end: a full disk or a crash cut it.
fn is_torn(file: &File) -> io::Result<bool> {
    let Some(end) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut last = [0];
    file.read_exact_at(&mut last, end)?;
    Ok(last != *b"\n")
}

fn irregular(path: &Path) -> Answer {
    Answer::Refused(format!("{} is no regular file: set path to one", path.display()))
}

/// What the system's error means for this path.
fn answer(path: &Path, error: &io::Error) -> Answer {
    let shown = path.display();
    let folder = path.parent().unwrap_or(path).display();
    let retry = match error.raw_os_error() {
        // O_NOFOLLOW says so of a link.
        Some(libc::ELOOP) => {
            return Answer::Refused(format!("{shown} is a symbolic link: set path to the file itself"));
        }
        Some(libc::EISDIR | libc::ENXIO | libc::ENODEV) => return irregular(path),
        Some(libc::ENOENT | libc::ENOTDIR) => {
            format!("{shown} cannot be made: the folder {folder} does not exist; make it, for the user sysalert")
        }
        // ProtectSystem=strict shows as a read-only file system.
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => format!(
            "{shown} cannot be written ({error}): it must belong to the user sysalert, \
             and sysalert-dispatch.service may write only below /var/log/sysalert \
             unless a drop-in has ReadWritePaths={folder}"
        ),
        Some(libc::ENOSPC | libc::EDQUOT) => format!("{shown} cannot be written ({error}): make room on its file system"),
        _ => format!("{shown} cannot be written ({error})"),
    };
    Answer::Retry(retry, None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn writers_never_mix() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("alerts");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                // Longer than a pipe's or a page's atomic size.
                let line = format!("{}\n", writer.to_string().repeat(20_000));
                scope.spawn(move || (0..20).try_for_each(|_| append(path, &line)).expect("written"));
            }
        });
        let written = fs::read_to_string(&path).expect("the file");
        assert_eq!(written.lines().count(), 160);
        for line in written.lines() {
            assert!(line.len() == 20_000 && line.bytes().all(|byte| byte == line.as_bytes()[0]));
        }
    }

    #[test]
    fn a_torn_line_takes_nothing_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("alerts");
        fs::write(&path, "{\"torn\": ").expect("a file");
        append(&path, "{}\n").expect("written");
        append(&path, "{}\n").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("the file"), "{\"torn\": \n{}\n{}\n");
    }

    #[test]
    fn only_a_regular_file_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("target"), "").expect("a file");
        symlink(at("target"), at("link")).expect("a link");
        let _listens = UnixListener::bind(at("socket")).expect("a socket");
        assert!(Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo").success());
        for name in ["socket", "pipe", "."] {
            let expected = format!("{} is no regular file: set path to one", at(name).display());
            assert_eq!(append(&at(name), "x\n"), Err(Answer::Refused(expected)), "{name}");
        }
        let expected = format!("{} is a symbolic link: set path to the file itself", at("link").display());
        assert_eq!(append(&at("link"), "x\n"), Err(Answer::Refused(expected)));
        assert_eq!(fs::read(at("target")).expect("the target"), b"");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("no/alerts");
        let expected = format!(
            "{} cannot be made: the folder {} does not exist; make it, for the user sysalert",
            path.display(),
            folder.path().join("no").display()
        );
        assert_eq!(append(&path, "x\n"), Err(Answer::Retry(expected, None)));
    }

    #[test]
    fn an_error_says_what_to_do() {
        let sentence = |code| match answer(Path::new("/srv/alerts/a.json"), &io::Error::from_raw_os_error(code)) {
            Answer::Retry(text, None) => text,
            other => panic!("{other:?}"),
        };
        for code in [libc::EACCES, libc::EPERM, libc::EROFS] {
            let text = sentence(code);
            assert!(text.starts_with("/srv/alerts/a.json cannot be written ("), "{text}");
            assert!(text.ends_with("unless a drop-in has ReadWritePaths=/srv/alerts"), "{text}");
        }
        for code in [libc::ENOSPC, libc::EDQUOT] {
            assert!(sentence(code).ends_with(": make room on its file system"));
        }
        assert_eq!(sentence(libc::EIO), "/srv/alerts/a.json cannot be written (Input/output error (os error 5))");
    }
}
