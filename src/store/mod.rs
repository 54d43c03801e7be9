//! The database: the only place that knows SQL.
//!
//! Whoever writes takes a `flock` first: it waits in the kernel and in turn, where SQLite's own busy handler polls and
//! starves. WAL with `synchronous=FULL` makes one commit one fsync. SQLite by itself would sync the folder at each connection's
//! first commit, too, whether or not its log is new there; it is told not to (.cargo/config.toml), and `begin_log` does it when
//! that is so.

mod by_hand;
mod check;
mod damage;
mod deliveries;
mod digests;
mod events;
mod fallback;
mod flapping;
mod held;
mod history;
mod incidents;
mod limit;
mod lock;
mod looks;
mod outages;
mod outbox;
mod overtaken;
mod processes;
mod prune;
mod replace;
mod resends;
mod salvage;
mod schedules;
mod schema;
mod sensors;
mod silences;
mod spool;
mod standing;
mod stats;
mod totals;
mod unended;

pub use by_hand::{Dropped, Retried, drop_waiting, retry};
pub use check::{Finding, Stage, check, unreadable};
pub use damage::{Damage, announce as announce_damage, damage, end_refill, is_refilled, recovered_by_then, taken_over};
pub use deliveries::{
    Delivery, last as last_delivery, of_event as deliveries_of, record as record_delivery, record_expired, sent_between,
};
pub use digests::{
    Member, begin_digest, bind, digest_sent, has_orphans, last_digest, load, members, methods_at_work, next_digest, open_digest,
    release_orphans, rows_of_digest,
};
pub use events::{
    Failures, Recorded, Undecided, count_undecided, decide, failed_since, failures_of, final_failures, first_start, get as event,
    insert, last_of, nothing_open, passed_over, run_failed, set_error, subjects, told, undecided,
};
pub use fallback::{Instead, hand_over, tell_stand_in, to_hand_over};
pub use flapping::{failures_of_late, fold, incidents_of_late, is_well, restarts_of_late, restarts_since, stays_failed};
pub use held::{Untold, bind_rows, hold_no_longer, hold_until, untold};
pub use history::{Newest, Sent, newest_alert, of_subject};
pub use incidents::{Row, Which, acknowledged, active, begin, clear, clearable, list, save};
pub use limit::{hold, to_hold};
pub use looks::{
    begin_record, correct, drop_unconfirmed, file, last_failure, mark, newest_event, recorded_since, set_mark, set_swept, swept,
    to_look_at, unconfirmed,
};
pub use outages::{Outage, announce, cannot_send, drop_stale, is_failing, outages, sends, set_told};
pub use outbox::{
    Alert, Claimed, Waiting, claim, done, drop_tests, due, give_back, queue, queue_test, set_context, waiting, without_context,
};
pub use overtaken::{Overtaken, settle_overtaken};
pub use processes::{
    ProcessAlarm, ProcessRecord, acknowledge_anew, forget_process_alarm, is_acknowledged_anew, keep_process, keep_process_alarm,
    process_alarms, process_records, processes_checked, processes_in_trouble, set_processes_checked,
};
pub use prune::{Pruned, before, prune, prune_a_step};
pub use replace::{Identity, current, replace};
pub use resends::{
    Resend, claim_resend, drop_ended_resends, drop_resends, has_ended_resends, not_resent, resend_due, resent, send_again,
};
pub use schedules::{Schedule, absences, blind, forget_schedule, keep_schedule, lapsed, pulse, schedules, set_blind, set_pulse};
use schema::Trouble;
pub use sensors::{
    ByNow, Nothing, Seen, Sensed, Streak, by_now, end_streak, forget_sensor, keep_sensor, keep_streak, sensors, streaks,
};
pub use silences::{silence, silences, unsilence};
pub use spool::{FOLDER as SPOOL, keep as keep_in_spool, read as read_spool};
pub use standing::{
    Standing, acknowledge, end_silence, how_it_stands, set_escalated, set_held, set_reason, set_silenced, standing, told_by,
    waits_for,
};
pub use stats::{Stats, stats};
pub use totals::{Queue, Totals, UnitTotals, metrics_trouble, set_metrics_trouble, set_succeeded, succeeded, totals};
pub use unended::unended;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Error, Kind, Result};
use crate::host::identity;

/// What `with` and `write` hand to their closures, and what these answer.
pub type Database = Connection;
/// The answer of such a closure.
pub type Answer<T> = rusqlite::Result<T>;

/// The file's name in the state folder.
const FILE: &str = "sysalert.db";
/// Its log.
const LOG: &str = "sysalert.db-wal";
/// A reader may meet a checkpoint; a writer holds the lock already.
const BUSY: Duration = Duration::from_secs(10);
/// Handlers leave checkpoints to dispatch, for each costs fsyncs. Should dispatch never run, they begin at 40 MB.
const CHECKPOINT_BY_HANDLERS: u32 = 10_000;
/// Dispatch checkpoints a log longer than this many bytes: whoever opens the database alone reads all of it, 4 KiB at a time.
const CHECKPOINT_BY_DISPATCH: u64 = 64 * 1024;

/// The open database.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    file: replace::Identity,
    folder: PathBuf,
    patience: Duration,
}

/// What to do with a database of an older version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// Bring it up to date.
    Migrate,
    /// Refuse it: a handler has no time for that.
    Refuse,
}

impl Store {
    /// Opens the database for writing, and makes it where there is none.
    ///
    /// # Errors
    /// `Permission`, when this user may not write it; `Failure`, when it is damaged or newer than this program; `Busy`, when it
    /// is locked for longer than `patience`.
    pub fn open(folder: &Path, older: Older, patience: Duration) -> Result<Store> {
        let _lock = lock::take(folder, patience)?;
        Store::open_locked(folder, older, patience)
    }

    /// Opens the database as it should be, and writes at once, under the same lock; for that waits for `moment` at most.
    ///
    /// # Errors
    /// Those of `open` and `write`; `Busy`, when others hold the lock for longer than `moment`.
    pub fn open_and_write<T>(
        folder: &Path,
        [moment, patience]: [Duration; 2],
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Store> {
        let _lock = lock::take(folder, moment)?;
        let mut store = Store::open_locked(folder, Older::Refuse, patience)?;
        store.write_locked(write)?;
        Ok(store)
    }

    fn open_locked(folder: &Path, older: Older, patience: Duration) -> Result<Store> {
        let path = folder.join(FILE);
        replace::finish(folder).map_err(|error| Error::file("replace", &path, &error))?;
        if !path.exists() {
            replace::begin(folder)?;
        }
        // whoever writes to it first has synced its place in the folder before
        let is_begun = size_of(&folder.join(LOG)) > 0;
        let mut db = writer(&path).map_err(|error| broken(&path, &error))?;
        prepare(&db).map_err(|error| error.told(&path))?;
        // first: another program's database stays as it is
        schema::bring_up(&mut db, older).map_err(|error| error.told(&path))?;
        if !is_begun {
            begin_log(&db).map_err(|error| broken(&path, &error))?;
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::file("sync", folder, &error))?;
        }
        Ok(Store { db, file: replace::identity(&path), folder: folder.to_owned(), patience })
    }

    /// Opens the database for reading; `None` where nothing was recorded yet.
    ///
    /// # Errors
    /// `Permission`, when this user may not read it; `Failure`, when it is damaged or of another version.
    pub fn read(folder: &Path) -> Result<Option<Store>> {
        let path = folder.join(FILE);
        let log = folder.join(LOG);
        // Whoever may not write the folder cannot begin a log to read beside the file; without one all is in the file.
        let opened = reader(&path, "").or_else(|trouble| if log.exists() { Err(trouble) } else { reader(&path, "&immutable=1") });
        match opened {
            Ok(db) => Ok(Some(Store { db, file: replace::identity(&path), folder: folder.to_owned(), patience: BUSY })),
            Err(trouble) => match File::open(&path).map_err(|error| (error.kind(), error)) {
                Ok(_) => Err(trouble.told(&path)),
                Err((io::ErrorKind::NotFound, _)) => Ok(None),
                Err((io::ErrorKind::PermissionDenied, _)) => Err(identity::not_allowed(folder)),
                Err((_, error)) => Err(Error::file("open", &path, &error)),
            },
        }
    }

    /// Reads.
    ///
    /// # Errors
    /// `Failure`, when the database does not answer.
    pub fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.db).map_err(|error| broken(&self.folder.join(FILE), &error))
    }

    /// Writes in one transaction: one commit, one fsync. Nothing is written when `write` fails.
    ///
    /// # Errors
    /// `Busy`, when the lock is not to be had; `Failure`, when the database is not.
    pub fn write<T>(&mut self, write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let path = self.folder.join(FILE);
        let _lock = lock::take(&self.folder, self.patience)?;
        if replace::identity(&path) != self.file {
            // what is written now would go into the file that was set aside
            let text = format!("the database {} was replaced meanwhile", path.display());
            return Err(Error::failure(text).hint("do it once more"));
        }
        self.write_locked(write)
    }

    fn write_locked<T>(&mut self, write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let path = self.folder.join(FILE);
        let transaction =
            self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| broken(&path, &error))?;
        let written = write(&transaction).and_then(|value| transaction.commit().map(|()| value));
        written.map_err(|error| broken(&path, &error))
    }

    /// A file beside the database.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// How large the database and its log are, in bytes.
    pub fn size(&self) -> u64 {
        [FILE, LOG].iter().map(|name| size_of(&self.folder.join(name))).sum()
    }

    /// Reads all of it, compares the indexes with their tables, and looks for rows whose fellows are lost.
    ///
    /// # Errors
    /// `Damaged`, when it is not whole; `Failure`, when it does not answer.
    pub fn examine(&self) -> Result<()> {
        let found = [Stage::File, Stage::References].into_iter().find_map(|stage| match check(self, stage) {
            Ok(findings) => findings.into_iter().next().map(|finding| Ok(finding.text)),
            Err(error) => Some(Err(error)),
        });
        let Some(text) = found.transpose()? else { return Ok(()) };
        let text = format!("the database {} is damaged: {}", self.folder.join(FILE).display(), damage::line(&text));
        Err(Error::new(Kind::Damaged, text).hint(damage::CERTAIN))
    }

    /// Copies a long log into the database, and begins the next one, so that no handler pays for that.
    ///
    /// # Errors
    /// `Failure`, when the database does not answer.
    pub fn checkpoint(&mut self, now: DateTime<Utc>) -> Result<()> {
        if size_of(&self.folder.join(LOG)) < CHECKPOINT_BY_DISPATCH {
            return Ok(());
        }
        self.with(|db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))?;
        // the first commit to an empty log writes and syncs its header
        self.write(|transaction| {
            let sql = "INSERT INTO meta (key, value) VALUES ('checkpoint', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
            transaction.execute(sql, [now.timestamp_micros()]).map(drop)
        })
    }
}

fn reader(path: &Path, how: &str) -> std::result::Result<Connection, Trouble> {
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let db = Connection::open_with_flags(format!("file:{escaped}?mode=ro{how}"), flags)?;
    db.busy_timeout(BUSY)?;
    schema::fits(&db)?;
    Ok(db)
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |about| about.len())
}

fn writer(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Makes the log, where there is none. A database that somebody's tool has given another journal gets its log back: of such a
/// journal nobody would sync the place.
fn begin_log(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // a log that was turned on is made when somebody reads
    schema::version(db).map(drop)
}

/// That a commit is synced, and that foreign keys hold, is how this SQLite is compiled: a test asks it.
fn prepare(db: &Connection) -> std::result::Result<(), Trouble> {
    db.busy_timeout(BUSY)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_BY_HANDLERS)?;
    Ok(())
}

fn broken(path: &Path, cause: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let text = format!("the database {} does not answer: {}", path.display(), damage::line(&cause.to_string()));
    let error = |hint: &str| Error::failure(text.clone()).hint(hint);
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Error { kind: Kind::Damaged, ..error(damage::CERTAIN) },
        Some(ErrorCode::DiskFull) => error("the disk is full: make room"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            let text = format!("the database {} may be changed only by its owner and by root", path.display());
            Error::new(Kind::Permission, text).hint(lock::given_back(path.parent().unwrap_or(path)))
        }
        Some(ErrorCode::CannotOpen) => error(&lock::given_back(path.parent().unwrap_or(path))),
        _ if damage::is_suspicious(cause) => Error { kind: Kind::Suspect, ..error(damage::SUSPECTED) },
        _ => Error::failure(text),
    }
}

/// Microseconds since 1970, as stored.
pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests;
