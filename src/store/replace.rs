//! Puts a new database in place: the first one, or one instead of a damaged one, which is set aside.
//!
//! A new one is made under another name, whole and synced, before anybody can see it. With that it is decided: whoever comes
//! next finishes what a kill cut, for each step can be done twice. All of it happens under the lock.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction};

use super::damage::{self, Damage};
use super::salvage::{self, Kept};
use super::{BUSY, FILE, broken, lock, schema, size_of, writer};
use crate::error::{Error, Result};
use crate::host::clock;

/// A new database that is being made, and one that only has to be put in place.
const DRAFT: &str = "sysalert.db.draft";
const NEW: &str = "sysalert.db.new";
/// One that was set aside: this, and when.
const ASIDE: &str = "sysalert.db.broken-";
const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// What SQLite keeps beside a database, and what belongs to it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// How many that were set aside are kept: a disk that damages one each hour must not be filled by them.
const KEPT: usize = 3;
/// Of more than this within an hour, by a disk that damages what it is given, only the log and `status` tell.
const TOLD: usize = 2;
/// So far the journal is asked for what was lost.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// Which file this is; `None`: there is none.
pub type Identity = Option<(u64, u64)>;

/// Which database this folder has.
pub fn current(folder: &Path) -> Identity {
    identity(&folder.join(FILE))
}

/// Which file is there.
pub(super) fn identity(path: &Path) -> Identity {
    fs::metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

/// Makes the first database. The caller holds the lock.
pub(super) fn begin(folder: &Path) -> Result<()> {
    make(folder, clock::system, |_| Ok(()))?;
    finish(folder).map_err(|error| Error::file("make", &folder.join(FILE), &error))
}

/// If the database is damaged, sets it aside and puts a new one in its place, with all that can still be read. `None`: there is
/// nothing wrong with it, or somebody else was faster. `began`: when it failed first; `seen`: the database of which a
/// statement said that it is damaged, and how, for SQLite's check does not see all of it.
///
/// # Errors
/// `Failure`, when it is of a newer version, or cannot be looked at or replaced: a full disk, for example.
pub fn replace(
    folder: &Path,
    seen: Option<(Identity, &str)>,
    now: DateTime<Utc>,
    began: DateTime<Utc>,
    patience: Duration,
) -> Result<Option<Damage>> {
    let _lock = lock::take(folder, patience)?;
    let path = folder.join(FILE);
    let put = |error: io::Error| Error::file("replace", &path, &error).hint(CANNOT);
    finish(folder).map_err(put)?;
    let Some((old, what)) = look_at(&path, seen)? else { return Ok(None) };
    let size = size_of(&path) + size_of(&beside(&path, BESIDE[0]));
    let mut stamp = now;
    while folder.join(aside(stamp)).exists() {
        stamp += TimeDelta::seconds(1);
    }
    let recent = stamps(folder).into_iter().filter(|stamp| (now - *stamp).abs() < TimeDelta::hours(1)).count();
    let told = (recent >= TOLD).then_some(now);
    let mut replaced = None;
    let mut fill = |new: &Connection, old: Option<&Connection>| {
        let kept = old.map_or_else(|| Ok(Kept::default()), |old| salvage::salvage(old, new, size))?;
        let since = if kept.whole { None } else { Some(salvage::look_back(new, now - LOOK_BACK)?) };
        let Kept { whole, incidents, waiting, last_event } = kept;
        let damage =
            Damage { at: now, what: what.clone(), file: aside(stamp), whole, incidents, waiting, since, last_event, told };
        damage::note(new, &damage, began)?;
        replaced = Some(damage);
        Ok(())
    };
    // what cannot be taken over, and a disk that has room for an empty one only, must not keep a new one from beginning
    make(folder, || stamp, |new| fill(new, Some(&old)))
        .or_else(|_| make(folder, || stamp, |new| fill(new, None)))
        .map_err(|error| error.hint(CANNOT))?;
    drop(old);
    finish(folder).map_err(put)?;
    forget_the_oldest(folder, stamp);
    Ok(replaced)
}

const CANNOT: &str = "the database is damaged and could not be replaced; what happens until then waits in a spool";

/// The damaged database and what is wrong with it; `None`: nothing is, or there is none.
fn look_at(path: &Path, seen: Option<(Identity, &str)>) -> Result<Option<(Connection, String)>> {
    if !path.exists() {
        return Ok(None);
    }
    let seen = seen.filter(|(file, _)| *file == identity(path)).map(|(_, what)| what.to_owned());
    let old = writer(path).map_err(|error| broken(path, &error))?;
    let opened = old.busy_timeout(BUSY).and_then(|()| old.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
    opened.map_err(|error| broken(path, &error))?;
    let what = damage::examine(&old).map_err(|trouble| trouble.told(path))?;
    Ok(what.or(seen).map(|what| (old, what)))
}

/// Makes a new database, whole and synced, that only has to be put in place. Its time is the one that the old one's new name has.
fn make(folder: &Path, stamp: impl Fn() -> DateTime<Utc>, fill: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<()> {
    let draft = folder.join(DRAFT);
    let made = || -> io::Result<File> {
        for suffix in [""].iter().chain(&BESIDE) {
            gone(fs::remove_file(beside(&draft, suffix)))?;
        }
        File::options().read(true).write(true).create_new(true).mode(0o640).open(&draft)
    };
    let file = made().map_err(|error| Error::file("make", &draft, &error))?;
    let filled = filled(&draft, fill);
    let synced = filled.map_err(|error| broken(&draft, &error)).and_then(|()| {
        let set = file.set_modified(stamp().into()).and_then(|()| file.sync_all());
        let put = set.and_then(|()| fs::rename(&draft, folder.join(NEW))).and_then(|()| File::open(folder)?.sync_all());
        put.map_err(|error| Error::file("make", &draft, &error))
    });
    if synced.is_err() {
        // what matters is the first error; on a full disk a draft would be in the way
        for suffix in [""].iter().chain(&BESIDE) {
            let _ = fs::remove_file(beside(&draft, suffix));
        }
    }
    synced
}

fn filled(draft: &Path, fill: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let mut db = writer(draft)?;
    // it is synced when it is whole
    db.pragma_update(None, "synchronous", "OFF")?;
    db.pragma_update(None, "foreign_keys", false)?;
    db.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))?;
    let transaction: Transaction<'_> = db.transaction()?;
    schema::create(&transaction)?;
    fill(&transaction)?;
    transaction.commit()?;
    // stays in the file
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.close().map_err(|(_, error)| error)
}

/// Puts a new database in place that waits for that; what is there already is set aside.
pub(super) fn finish(folder: &Path) -> io::Result<()> {
    let new = folder.join(NEW);
    let stamp: DateTime<Utc> = match fs::metadata(&new) {
        Ok(about) => about.modified()?.into(),
        Err(error) => return gone(Err(error)),
    };
    let (path, aside) = (folder.join(FILE), folder.join(aside(stamp)));
    let mut was_there = false;
    // a second name first: there is a database at any time
    match fs::hard_link(&path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => was_there |= there(linked)?,
    }
    // the new one must not find the log of the old one beside it
    for suffix in BESIDE {
        was_there |= there(fs::rename(beside(&path, suffix), beside(&aside, suffix)))?;
    }
    if was_there {
        File::open(folder)?.sync_all()?;
    }
    fs::rename(&new, &path)?;
    File::open(folder)?.sync_all()
}

/// True when the file was there.
fn there(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) => gone(Err(error)).map(|()| false),
    }
}

/// Whatever is not there is no error.
fn gone(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn aside(stamp: DateTime<Utc>) -> String {
    format!("{ASIDE}{}", stamp.format(STAMP))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The one that was just set aside stays, also when a clock that was wrong has left some that look younger.
fn forget_the_oldest(folder: &Path, but: DateTime<Utc>) {
    let mut others = stamps(folder);
    others.retain(|stamp| aside(*stamp) != aside(but));
    for stamp in others.into_iter().rev().skip(KEPT - 1) {
        for suffix in [""].iter().chain(&BESIDE) {
            // one that stays is tried again at the next time
            let _ = fs::remove_file(beside(&folder.join(aside(stamp)), suffix));
        }
    }
}

/// When the databases beside it were set aside, the oldest first.
fn stamps(folder: &Path) -> Vec<DateTime<Utc>> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    // what belongs to a database that is gone is found by its own name
    let stamp = |name: String| name.strip_prefix(ASIDE)?.split('-').next().map(str::to_owned);
    let parsed = |stamp: String| Some(NaiveDateTime::parse_from_str(&stamp, STAMP).ok()?.and_utc());
    let mut stamps: Vec<_> = names.filter_map(stamp).filter_map(parsed).collect();
    stamps.sort();
    stamps.dedup();
    stamps
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::tests::{at, failure, open, told};
    use super::super::{Older, Store, count_undecided, insert};
    use super::*;
    use crate::error::Kind;
    use crate::event::{Event, Outcome};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn garbage(folder: &Path) {
        fs::write(folder.join(FILE), "no database, but a text. ".repeat(300)).unwrap();
    }

    fn replaced(folder: &Path, second: i64) -> Result<Option<Damage>> {
        replace(folder, None, at(second), at(second), PATIENCE)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn of_two_that_found_it_one_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        told(&mut open(folder.path()), &failure("a", "1", 0), &["mail"]);
        let met = current(folder.path());
        let seen = Some((met, "it is malformed"));
        let replace = || replace(folder.path(), seen, at(9), at(9), PATIENCE).unwrap();
        let found = thread::scope(|scope| [(); 2].map(|()| scope.spawn(replace)).map(|thread| thread.join().unwrap()));
        assert_eq!(found.iter().flatten().count(), 1, "{found:?}");
        assert_eq!(names(folder.path()).iter().filter(|name| name.ends_with('Z')).count(), 1);
    }

    #[test]
    fn only_what_is_damaged_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(replaced(folder.path(), 0).unwrap(), None, "there is none");
        let store = open(folder.path());
        told(&mut open(folder.path()), &failure("a", "1", 0), &["mail"]);
        assert_eq!(replaced(folder.path(), 0).unwrap(), None, "it is whole");
        store.db.pragma_update(None, "user_version", 99).unwrap();
        let error = replaced(folder.path(), 0).unwrap_err();
        assert!(error.kind == Kind::Failure && error.message.contains("newer version"), "{error}");
        store.db.pragma_update(None, "user_version", 3).unwrap();
        // somebody else's tool holds it
        let other = Connection::open(folder.path().join(FILE)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let busy = store.with(|db| {
            db.busy_timeout(Duration::ZERO)?;
            db.execute("DELETE FROM meta", [])
        });
        assert_eq!(busy.unwrap_err().kind, Kind::Failure, "that is no damage");
    }

    /// A success that kept silent is part of the incident, too.
    #[test]
    fn an_incident_whose_failures_are_lost_takes_nothing_else_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        told(&mut store, &failure("b", "2", 0), &["mail"]);
        let lost = store.write(|db| {
            insert(db, &Event { outcome: Outcome::Succeeded, ..failure("a", "3", 1) }, true)?;
            db.execute("UPDATE events SET incident = 1, reason = '{\"reason\":\"stopped\"}' WHERE run = '3'", [])?;
            db.execute("DELETE FROM outbox WHERE alert = 1", [])?;
            db.execute("DELETE FROM alerts WHERE id = 1", [])?;
            db.execute("DELETE FROM events WHERE run = '1'", [])
        });
        lost.unwrap();
        let damage = replaced(folder.path(), 9).unwrap().unwrap();
        assert_eq!((damage.incidents, damage.waiting), (1, 1), "{damage:?}");
    }

    /// A handler that had it open when it was set aside would write into the old one.
    #[test]
    fn who_had_it_open_cannot_write_into_the_one_that_was_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let mut handler = open(folder.path());
        garbage(folder.path());
        assert!(replaced(folder.path(), 0).unwrap().is_some());
        let error = handler.write(|db| insert(db, &failure("a", "1", 0), false)).unwrap_err();
        assert!(error.message.ends_with("was replaced meanwhile"), "{error}");
        assert_eq!(open(folder.path()).with(count_undecided).unwrap(), 0);
    }

    #[test]
    fn the_newest_three_are_kept_and_none_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Vec::new();
        // the last is made by a clock that was set back
        for second in [0, 0, 0, 50, 90, -9] {
            open(folder.path());
            garbage(folder.path());
            let damage = replaced(folder.path(), second).unwrap().unwrap();
            assert_eq!(damage.told.is_some(), kept.len() >= TOLD, "a disk that damages all is told twice an hour");
            kept.push(damage.file);
        }
        let ends: Vec<_> = kept.iter().map(|name| name.rsplit('T').next().unwrap()).collect();
        assert_eq!(ends, ["134640Z", "134641Z", "134642Z", "134730Z", "134810Z", "134631Z"]);
        let names = names(folder.path());
        assert_eq!(names.iter().filter(|name| name.ends_with('Z')).collect::<Vec<_>>(), [&kept[5], &kept[3], &kept[4]]);
    }

    #[test]
    fn the_log_of_a_database_that_was_removed_is_not_the_next_ones() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        drop(store);
        fs::remove_file(folder.path().join(FILE)).unwrap();
        let store = open(folder.path());
        assert_eq!(store.with(super::super::subjects).unwrap(), []);
        store.examine().unwrap();
        assert!(names(folder.path()).iter().any(|name| name.ends_with("Z-wal")), "{:?}", names(folder.path()));
    }

    #[test]
    fn whoever_comes_next_finishes_what_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        drop(store);
        make(folder.path(), || at(5), |_| Ok(())).unwrap();
        assert!(!Store::read(folder.path()).unwrap().unwrap().with(super::super::subjects).unwrap().is_empty(), "not yet");
        Store::open(folder.path(), Older::Refuse, PATIENCE).unwrap();
        assert_eq!(Store::read(folder.path()).unwrap().unwrap().with(super::super::subjects).unwrap(), []);
        let names = names(folder.path());
        assert!(!names.iter().any(|name| name == NEW || name == DRAFT), "{names:?}");
        assert!(names.contains(&"sysalert.db.broken-19700112T134645Z-wal".to_owned()), "{names:?}");
    }
}
