//! The way into the file: one write, then the disk, then a look whether the file is still the one that the path names.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use sysalert_abi::Answer;

/// No rotation comes so often in a row.
const ROTATIONS: usize = 10;

/// Appends `text` to the file, on a line of its own. A file that was rotated away meanwhile may have been compressed or removed
/// without the text: then it is written once more, to the one that took its place.
///
/// # Errors
/// The answer for the administrator: what is wrong with which path, and what to do.
pub(crate) fn append(path: &Path, text: &str) -> Result<(), Answer> {
    for _ in 0..ROTATIONS {
        if once(path, text)? {
            return Ok(());
        }
    }
    Err(Answer::Retry(
        format!("{} is replaced all the time: another program makes it anew again and again", path.display()),
        None,
    ))
}

/// One try; false when the file was replaced or truncated meanwhile.
fn once(path: &Path, text: &str) -> Result<bool, Answer> {
    let mut file = open(path).map_err(|error| answer(path, &error))?;
    let found = file.metadata().map_err(|error| answer(path, &error))?;
    if !found.is_file() {
        return Err(irregular(path));
    }
    ours(path, &found)?;
    // While another writer is at it, the file seems to end in the middle of a line. Where there are no locks (some network
    // file systems) that makes an empty line too much, and loses nothing. The lock ends with the process at the latest.
    let _ = file.lock();
    if !is_still_there(&file, path, 0).map_err(|error| answer(path, &error))? {
        return Ok(false);
    }
    let begin = file.metadata().map_err(|error| answer(path, &error))?.len();
    let torn = is_torn(&file, begin).map_err(|error| answer(path, &error))?;
    let whole = if torn { format!("\n{text}") } else { text.to_string() };
    // One write and no loop: the rest of a message after another writer's would be worse than a second try.
    let written = file.write(whole.as_bytes()).map_err(|error| answer(path, &error))?;
    let end = begin + written as u64;
    if written < whole.len() {
        // No half message stays, unless somebody who knows no lock has written behind it.
        if file.metadata().is_ok_and(|now| now.len() == end) {
            let _ = file.set_len(begin);
        }
        let short = format!("{} took {written} of {} bytes: make room on its file system", path.display(), whole.len());
        return Err(Answer::Retry(short, None));
    }
    file.sync_data().map_err(|error| answer(path, &error))?;
    if begin == 0 {
        // A file that was just made has a name only when its folder is on the disk. Not everybody may open that.
        let _ = path.parent().map(|folder| File::open(folder).and_then(|folder| folder.sync_all()));
    }
    is_still_there(&file, path, end).map_err(|error| answer(path, &error))
}

/// Whether the path names this file still, and the file reaches this far.
fn is_still_there(file: &File, path: &Path, end: u64) -> io::Result<bool> {
    let ours = file.metadata()?;
    match path.symlink_metadata() {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino()) && ours.len() >= end),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where everybody can write, somebody may have put the file there first: to read the alerts, or to have them appended to
/// another file by a hard link.
fn ours(path: &Path, file: &Metadata) -> Result<(), Answer> {
    let shown = path.display();
    // Whoever runs this owns its entry in /proc: no call of geteuid(2), which would be unsafe code.
    let own = Path::new("/proc/self").metadata().map_err(|error| answer(path, &error))?.uid();
    if file.uid() != own && file.uid() != 0 {
        return Err(Answer::Refused(format!("{shown} belongs to somebody else: remove it, or chown sysalert {shown}")));
    }
    if file.nlink() > 1 {
        return Err(Answer::Refused(format!("{shown} has a second name (a hard link): remove it, it will be made anew")));
    }
    let folder = path.parent().unwrap_or(path);
    let about = folder.metadata().map_err(|error| answer(path, &error))?;
    if about.mode() & 0o1002 == 0o002 {
        let text = format!("{} can be changed by everybody, who could exchange the file: chmod o-w {0}", folder.display());
        return Err(Answer::Refused(text));
    }
    Ok(())
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
fn is_torn(file: &File, length: u64) -> io::Result<bool> {
    let Some(end) = length.checked_sub(1) else { return Ok(false) };
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
    use std::os::unix::fs::{PermissionsExt, symlink};
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
    fn what_is_rotated_away_meanwhile_is_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("alerts"), folder.path().join("alerts.1"));
        let file = open(&path).expect("a file");
        fs::write(&path, "one\n").expect("written");
        assert!(is_still_there(&file, &path, 4).expect("looked"));
        assert!(!is_still_there(&file, &path, 5).expect("looked"), "truncated");
        fs::rename(&path, &moved).expect("moved");
        assert!(!is_still_there(&file, &path, 4).expect("looked"), "gone");
        fs::write(&path, "two\n").expect("written");
        assert!(!is_still_there(&file, &path, 4).expect("looked"), "another one");
    }

    #[test]
    fn rotation_at_any_moment_loses_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("alerts"), folder.path().join("alerts.1"));
        let done = std::sync::atomic::AtomicBool::new(false);
        let kept = std::thread::scope(|scope| {
            // As logrotate with `compress` and `nocreate`: renamed, read to the end, removed.
            let rotates = scope.spawn(|| {
                let mut kept = String::new();
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    // at once after the write of a message, and before anything else of it
                    if path.metadata().is_ok_and(|about| about.len() > 80) && fs::rename(&path, &moved).is_ok() {
                        kept += &fs::read_to_string(&moved).expect("the rotated file");
                        fs::remove_file(&moved).expect("removed");
                    }
                    std::thread::yield_now();
                }
                kept
            });
            // One that waits for another's lock has the file open already, and that is rotated away before its turn.
            let writer = |from: usize| {
                let path = &path;
                move || (from..from + 50).map(|number| append(path, &format!("message {number}\n"))).collect::<Vec<_>>()
            };
            let writers = [1000, 1050, 1100, 1150].map(|from| scope.spawn(writer(from)));
            let written: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(written.iter().find(|written| written.is_err()), None);
            rotates.join().expect("rotated")
        });
        let all = kept + &fs::read_to_string(&path).unwrap_or_default();
        let found: std::collections::BTreeSet<&str> = all.lines().collect();
        let missing: Vec<usize> = (1000..1200).filter(|number| !found.contains(format!("message {number}").as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert_eq!(found.len(), 200, "and nothing is torn");
    }

    #[test]
    fn what_others_put_there_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("alerts");
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("a mode");
        let complaint = || match append(&path, "x\n") {
            Ok(()) => String::new(),
            Err(Answer::Refused(text)) => text,
            Err(other) => panic!("{other:?}"),
        };
        let (shown, its_folder) = (path.display().to_string(), folder.path().display().to_string());
        mode(0o777);
        let everybody = format!("{its_folder} can be changed by everybody, who could exchange the file: chmod o-w {its_folder}");
        assert_eq!(complaint(), everybody);
        // in a sticky folder such as /tmp nobody can exchange it; a group is the administrator's choice
        for safe in [0o1777, 0o775, 0o755] {
            mode(safe);
            assert_eq!(complaint(), "", "{safe:o}");
        }
        fs::hard_link(&path, folder.path().join("second")).expect("a link");
        assert_eq!(complaint(), format!("{shown} has a second name (a hard link): remove it, it will be made anew"));
        fs::remove_file(folder.path().join("second")).expect("removed");
        assert_eq!(complaint(), "");
        // only root can give a file away; as anybody else this row cannot be tried
        if std::os::unix::fs::chown(&path, Some(65534), None).is_ok() {
            assert_eq!(complaint(), format!("{shown} belongs to somebody else: remove it, or chown sysalert {shown}"));
        }
        assert_eq!(fs::read_to_string(&path).expect("the file").lines().count(), 4);
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
