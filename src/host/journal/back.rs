//! The files of the journal from the newest back, and no more of them than a message is worth.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use nix::unistd::{AccessFlags, access};

use super::files::{SLACK, all, is_active};
use super::micros;
use crate::host::clock;

/// So many archived files are searched at most for what a message tells. Each costs some milliseconds when the disk has to be asked,
/// and a journal may have any number. Where files of 80 MB last three hours these are two days: a job that runs once a day keeps its
/// "last success".
const MOST: usize = 16;

/// Files of the journal, the newest first; at most [`MOST`] archived ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Back {
    /// Each with the time when it was last written.
    files: Vec<(PathBuf, u64)>,
    /// True when older ones were left out.
    pub(super) cut: bool,
}

impl Back {
    /// The files, the newest first.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.since(0)
    }

    /// Those that may hold entries since then.
    pub(super) fn since(&self, at: u64) -> Vec<PathBuf> {
        let may_hold = |(path, written): &&(PathBuf, u64)| is_active(path) || written.saturating_add(SLACK) >= at;
        self.files.iter().filter(may_hold).map(|(path, _)| path.clone()).collect()
    }
}

/// The files that may hold entries of that time (microseconds since 1970), and that this user may read.
pub(super) fn back(span: (u64, u64)) -> Back {
    back_of(all(), span, clock::system(), &is_readable)
}

/// Those of them that may hold what a manager says: the system's, or that of the user with this number.
pub(super) fn managers_back(span: (u64, u64), user: Option<u32>) -> Back {
    back_of(all(), span, clock::system(), &|path| is_managers(path, user) && is_readable(path))
}

/// Who has a journal of their own sees those of the others, and cannot open them.
fn is_readable(path: &Path) -> bool {
    access(path, AccessFlags::R_OK).is_ok()
}

fn back_of(
    mut files: Vec<(PathBuf, u64)>,
    (since, end): (u64, u64),
    now: DateTime<Utc>,
    is_asked_for: &dyn Fn(&Path) -> bool,
) -> Back {
    files.retain(|(path, written)| {
        let ended = written.saturating_add(SLACK) < since;
        // what begins ahead of now is of a clock that was set back, and may hold anything
        let begins_after = begun(path).is_some_and(|begun| begun > end.saturating_add(SLACK) && begun <= micros(now));
        is_active(path) || !(ended || begins_after)
    });
    files.sort_by_key(|(path, written)| (!is_active(path), Reverse(*written)));
    let mut back = Back::default();
    let mut archived = 0;
    for (path, written) in files {
        if !is_asked_for(&path) {
            continue;
        }
        archived += usize::from(!is_active(&path));
        if archived > MOST {
            back.cut = true;
            break;
        }
        back.files.push((path, written));
    }
    back
}

/// When an archived file was begun, as journald calls it: "system@SOURCE-NUMBER-TIME.journal", in hexadecimal digits. One that
/// broke off bears another time.
fn begun(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".journal")?;
    let mut parts = name.split_once('@')?.1.split('-');
    let time = parts.nth(2).filter(|_| parts.next().is_none())?;
    u64::from_str_radix(time, 16).ok()
}

/// The system's manager writes into no namespace, and journald keeps it apart from what users write; users' managers are in the files
/// of their users, or with the system's.
fn is_managers(path: &Path, user: Option<u32>) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let is_of = |who: &str| name.strip_prefix(who).is_some_and(|rest| rest.starts_with(['.', '@']));
    let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy()).unwrap_or_default();
    (is_of("system") && !folder.contains('.')) || user.is_some_and(|user| is_of(&format!("user-{user}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of "abc", each with the second in which it was last written.
    fn written(files: &[(&str, u64)]) -> Vec<(PathBuf, u64)> {
        files.iter().map(|(name, second)| (Path::new("/j/abc").join(name), second * 1_000_000)).collect()
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn names(back: &Back) -> Vec<&str> {
        back.files.iter().map(|(path, _)| path.strip_prefix("/j/abc").unwrap().to_str().unwrap()).collect()
    }

    #[test]
    fn files_are_gone_through_from_the_newest_back() {
        // 0x3938700 is second 60, 0x8f0d180 second 150
        let files = written(&[
            ("system@a-1-1.journal", 50),
            ("system@a-2-3938700.journal", 150),
            ("system@a-3-8f0d180.journal", 300),
            ("system@60-1.journal~", 100),
            ("system.journal", 310),
            ("user-1000.journal", 20),
            ("user-1001@a-1-1.journal", 290),
            ("../abc.web/system.journal", 310),
        ]);
        let back = |span: (u64, u64), user| {
            let span = (span.0 * 1_000_000, span.1 * 1_000_000);
            back_of(files.clone(), span, at(400), &|path| is_managers(path, user))
        };
        let (active, last) = ("system.journal", "system@a-3-8f0d180.journal");
        assert_eq!(
            names(&back((0, 400), None)),
            [active, last, "system@a-2-3938700.journal", "system@60-1.journal~", "system@a-1-1.journal"]
        );
        assert_eq!(names(&back((103, 400), None)), [active, last, "system@a-2-3938700.journal"], "what ended before");
        assert_eq!(names(&back((103, 140), None)), [active, "system@a-2-3938700.journal"], "what began after");
        let set_back = back_of(files.clone(), (103_000_000, 140_000_000), at(140), &|path| is_managers(path, None));
        assert_eq!(names(&set_back), [active, last, "system@a-2-3938700.journal"], "what began after, by a clock that was ahead");
        assert_eq!(back((0, 400), None).since(103_000_000).len(), 3, "the same afterwards");
        assert_eq!(names(&back((200, 400), Some(1000))), [active, "user-1000.journal", last]);
        assert_eq!(names(&back((200, 400), Some(1001))), [active, last, "user-1001@a-1-1.journal"]);
        assert_eq!(back_of(files.clone(), (0, u64::MAX), at(400), &|_| true).files.len(), files.len());
    }

    #[test]
    fn a_large_journal_is_not_gone_through_to_its_beginning() {
        let archived: Vec<_> = (0..40).map(|number| format!("system@a-{number:x}-1.journal")).collect();
        let mut files: Vec<_> = archived.iter().zip(1000..).map(|(name, second)| (name.as_str(), second)).collect();
        files.push(("system.journal", 2000));
        let most = back_of(written(&files), (0, u64::MAX), at(400), &|_| true);
        assert!(most.cut);
        assert_eq!(most.files.len(), 1 + MOST);
        assert_eq!(names(&most)[..2], ["system.journal", "system@a-27-1.journal"]);
        let few = back_of(written(&files[40 - MOST..]), (0, u64::MAX), at(400), &|_| true);
        assert!(!few.cut, "all of them: {:?}", names(&few));
        assert_eq!(few.files.len(), 1 + MOST);
    }
}
