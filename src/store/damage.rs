//! A database that is damaged: how that shows, and what is remembered of one that was replaced.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::ffi::ErrorCode;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use sysalert_abi::Kind;

use super::check::{self, Stage};
use super::outages;
use super::outbox::Alert;
use super::schema::{self, Trouble};
use crate::event::{Event, Outcome};

/// What to do about it.
pub(super) const CERTAIN: &str = "it is damaged: the next run of sysalert-dispatch.service sets it aside and begins a new one with \
    what can still be read; look at the disk, too";
pub(super) const SUSPECTED: &str =
    "it may be damaged: the next run of sysalert-dispatch.service examines it, and replaces it if it is";

/// What SQLite says is kept up to this many characters.
const LONGEST: usize = 200;
/// Where the last replacement is remembered.
const KEY: &str = "damage";
/// Up to when failures are the journal's alone: what the record lost, and what was told of it, nobody knows.
const REFILLED: &str = "refilled";

/// A database that was damaged and replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// When that was found.
    pub at: DateTime<Utc>,
    /// What is wrong with it, in SQLite's words or ours.
    pub what: String,
    /// The name under which it was set aside, beside the new one.
    pub file: String,
    /// True when all of its rows are in the new one.
    pub whole: bool,
    /// How many incidents that are not over could be taken over.
    pub incidents: u64,
    /// How many alerts that wait.
    pub waiting: u64,
    /// Since when the journal is asked for what was lost; `None`: nothing was.
    pub since: Option<DateTime<Utc>>,
    /// The newest event that was taken over: the later ones came from the journal.
    pub last_event: i64,
    /// When an alert about it was queued.
    pub told: Option<DateTime<Utc>>,
}

/// Whether an error may come from a database whose rows or tables are not as this program leaves them. An examination tells.
pub(super) fn is_suspicious(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    match error {
        E::FromSqlConversionFailure(..)
        | E::InvalidColumnType(..)
        | E::IntegralValueOutOfRange(..)
        | E::Utf8Error(..)
        | E::QueryReturnedNoRows => true,
        // "no such table", and what a unique index says that is wrong
        _ => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::Unknown | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch)
        ),
    }
}

/// What is wrong with a database; `None`: it is as this program leaves it. It reads all of it.
///
/// # Errors
/// When it cannot be looked at, or is of a newer version: then nobody can say.
pub(super) fn examine(db: &Connection) -> Result<Option<String>, Trouble> {
    match find(db) {
        Err(Trouble::Broken(error)) if is_damage(&error) => Ok(Some(line(&error.to_string()))),
        found => found,
    }
}

/// SQLite's words in one line, without their title and the SQL that they quote.
pub(super) fn line(said: &str) -> String {
    said.lines().find(|line| !line.starts_with("***")).unwrap_or_default().chars().take(LONGEST).collect()
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)) || is_suspicious(error)
}

fn find(db: &Connection) -> Result<Option<String>, Trouble> {
    match schema::fits(db) {
        Err(Trouble::Empty) => return Ok(Some("it is empty".to_owned())),
        Ok(()) | Err(Trouble::Old) => {}
        Err(other) => return Err(other),
    }
    if !schema::is_of_its_version(db)? {
        return Ok(Some("its tables are not sysalert's".to_owned()));
    }
    // an older one is checked as far as its tables allow
    let stages: &[Stage] = if schema::fits(db).is_ok() { &Stage::ALL } else { &[Stage::File, Stage::References] };
    for stage in stages {
        if let Some(finding) = check::run(db, *stage)?.into_iter().next() {
            return Ok(Some(line(&finding.text)));
        }
    }
    for table in super::salvage::TABLES {
        if let Some(column) = unreadable_text(db, table)? {
            return Ok(Some(format!("a text in {table}.{column} is none")));
        }
    }
    Ok(None)
}

/// The first column that holds a text which is no UTF-8: SQLite itself does not mind.
fn unreadable_text(db: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    if !db.table_exists(None, table)? {
        return Ok(None);
    }
    let mut statement = db.prepare(&format!("SELECT * FROM {table}"))?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (number, name) in names.iter().enumerate() {
            if matches!(row.get_ref(number)?, ValueRef::Text(text) if std::str::from_utf8(text).is_err()) {
                return Ok(Some(name.clone()));
            }
        }
    }
    Ok(None)
}

/// The last replacement.
pub fn damage(db: &Connection) -> rusqlite::Result<Option<Damage>> {
    let json: Option<String> = db.query_row("SELECT value FROM meta WHERE key = ?1", [KEY], |row| row.get(0)).optional()?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Notes a replacement. What happened before `began`, when the old database failed first, is the journal's.
pub(super) fn note(db: &Connection, damage: &Damage, began: DateTime<Utc>) -> rusqlite::Result<()> {
    set(db, damage)?;
    if damage.since.is_some() {
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![REFILLED, began.timestamp_micros()])?;
    }
    Ok(())
}

fn set(db: &Connection, damage: &Damage) -> rusqlite::Result<()> {
    let json = serde_json::to_string(damage).unwrap_or_default();
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![KEY, json]).map(drop)
}

/// Queues the alert about a replacement, and notes that.
pub fn announce(db: &Connection, damage: &Damage, key: &str, methods: &[String], at: DateTime<Utc>) -> rusqlite::Result<()> {
    set(db, &Damage { told: Some(at), ..damage.clone() })?;
    outages::about_itself(db, &Alert { kind: Kind::Failure, key, about: None, at }, damage, methods)
}

/// Whether a replacement is so long ago that what happens now is news, however the clock was set since.
pub fn is_refilled(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let at: Option<i64> = db.query_row("SELECT value FROM meta WHERE key = ?1", [REFILLED], |row| row.get(0)).optional()?;
    Ok(at.is_some_and(|at| (now - super::time(at)).abs() > TimeDelta::hours(1)))
}

/// Forgets up to when failures were the journal's alone.
pub fn end_refill(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM meta WHERE key = ?1", [REFILLED]).map(drop)
}

/// How many failures from before a replacement the journal told since.
pub fn taken_over(db: &Connection, damage: &Damage) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM events WHERE id > ?1 AND at <= ?2 AND outcome = 'failed'";
    db.query_row(sql, params![damage.last_event, damage.at.timestamp_micros()], |row| row.get(0))
}

/// Whether this failure is one of those that the record had lost, and its unit had recovered before that was known: it is no
/// news.
pub fn recovered_by_then(db: &Connection, event: &Event) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?1 AND value > ?3)
        AND EXISTS (SELECT 1 FROM events WHERE subject = ?2 AND at > ?3 AND outcome = 'succeeded' AND NOT restarts)";
    let values = params![REFILLED, event.subject.as_str(), event.at.timestamp_micros()];
    if event.outcome == Outcome::Failed { db.query_row(sql, values, |row| row.get(0)) } else { Ok(false) }
}
