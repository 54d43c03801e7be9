//! What the watchdog keeps: the rows that are in alarm, and what became of each process's restarts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::events::maybe;
use super::{incidents, standing, time};
use crate::event::{PROCESS, Subject};
use crate::incident::Acknowledgement;

/// A row of the watchdog's database that is in alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessAlarm {
    /// As that database numbers it.
    pub id: i64,
    /// The name as it stands there.
    pub name: String,
    /// When it was first seen.
    pub since: DateTime<Utc>,
    /// When its process was restarted and healthy: it is not restarted again for this alarm.
    pub restarted: Option<DateTime<Utc>>,
    /// Somebody acknowledged it there.
    pub known_of: bool,
}

/// What became of a process's restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessRecord {
    /// Cycles in a row that failed.
    pub failed: u64,
    /// Since when its circuit breaker is open.
    pub opened: Option<DateTime<Utc>>,
    /// A cycle was asked for then; what it came to is not kept yet.
    pub begun: Option<DateTime<Utc>>,
    /// Cycles that brought it back.
    pub restarts: u64,
    /// Cycles that did not.
    pub failures: u64,
    /// The last cycle.
    pub last: Option<DateTime<Utc>>,
    /// The last one that brought it back.
    pub restarted: Option<DateTime<Utc>>,
    /// Why the last one failed.
    pub why: Option<String>,
    /// It was restarted by hand then, and its alarms could not be read: those that are found next are over by that.
    pub unread: Option<DateTime<Utc>>,
}

/// The rows in alarm, by number.
pub fn process_alarms(db: &Connection) -> rusqlite::Result<Vec<ProcessAlarm>> {
    let row = |row: &Row<'_>| {
        Ok(ProcessAlarm {
            id: row.get("id")?,
            name: row.get("name")?,
            since: time(row.get("since")?),
            restarted: maybe(row.get("restarted")?),
            known_of: row.get("known_of")?,
        })
    };
    db.prepare("SELECT * FROM process_alarms ORDER BY id")?.query_map([], row)?.collect()
}

/// Keeps one.
pub fn keep_process_alarm(db: &Connection, alarm: &ProcessAlarm) -> rusqlite::Result<()> {
    let ProcessAlarm { id, name, since, restarted, known_of } = alarm;
    let sql = "INSERT OR REPLACE INTO process_alarms (id, name, since, restarted, known_of) VALUES (?1, ?2, ?3, ?4, ?5)";
    let restarted = restarted.map(|at| at.timestamp_micros());
    db.execute(sql, params![id, name, since.timestamp_micros(), restarted, known_of]).map(drop)
}

/// It is not in alarm any more.
pub fn forget_process_alarm(db: &Connection, id: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM process_alarms WHERE id = ?1", [id]).map(drop)
}

/// What became of the restarts, by process.
pub fn process_records(db: &Connection) -> rusqlite::Result<BTreeMap<String, ProcessRecord>> {
    let row = |row: &Row<'_>| {
        let record = ProcessRecord {
            failed: row.get("failed")?,
            opened: maybe(row.get("opened")?),
            begun: maybe(row.get("begun")?),
            restarts: row.get("restarts")?,
            failures: row.get("failures")?,
            last: maybe(row.get("last")?),
            restarted: maybe(row.get("restarted")?),
            why: row.get("why")?,
            unread: maybe(row.get("unread")?),
        };
        Ok((row.get("name")?, record))
    };
    db.prepare("SELECT * FROM processes")?.query_map([], row)?.collect()
}

/// Keeps what became of one's.
pub fn keep_process(db: &Connection, name: &str, record: &ProcessRecord) -> rusqlite::Result<()> {
    let ProcessRecord { failed, opened, begun, restarts, failures, last, restarted, why, unread } = record;
    let sql = "INSERT OR REPLACE INTO processes (name, failed, opened, begun, restarts, failures, last, restarted, why, unread)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let [opened, begun, last, restarted, unread] =
        [opened, begun, last, restarted, unread].map(|at| at.map(|at| at.timestamp_micros()));
    db.execute(sql, params![name, failed, opened, begun, restarts, failures, last, restarted, why, unread]).map(drop)
}

/// The processes whose incident is not over, by their names for people.
pub fn processes_in_trouble(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT subject FROM incidents WHERE state <> 'resolved' AND subject >= ?1 AND subject < ?2 ORDER BY subject";
    // one character further is behind all that begins so
    let row = |row: &Row<'_>| Ok(Subject::stored(row.get(0)?).name().to_owned());
    db.prepare(sql)?.query_map([PROCESS, "process;"], row)?.collect()
}

/// Whether what its database says of an acknowledgement is news to a process's incident; `known_of`: somebody acknowledged all
/// its rows in alarm.
pub fn is_acknowledged_anew(db: &Connection, subject: &Subject, known_of: bool) -> rusqlite::Result<bool> {
    Ok(incidents::active(db, subject)?.is_some_and(|incident| match incident.known() {
        None => known_of,
        // it is in alarm, and this is not over
        Some(_) if known_of => incident.flaps().is_some(),
        Some(known) => known.is_of_database(),
    }))
}

/// An acknowledgement in its database is one here, and ends with it; one that was made here stays. What flaps and is in alarm
/// is not well meanwhile.
pub fn acknowledge_anew(db: &Connection, subject: &Subject, known_of: bool, now: DateTime<Utc>) -> rusqlite::Result<()> {
    let Some(mut incident) = incidents::active(db, subject)? else { return Ok(()) };
    match incident.known() {
        None if known_of => {
            incident = standing::acknowledge(db, subject, Acknowledgement::of_database(now))?.unwrap_or(incident);
        }
        Some(known) if !known_of && known.is_of_database() => incident = incident.reopened(now),
        _ => {}
    }
    if let Some(flapping) = incident.flapping.as_mut().filter(|flapping| known_of && !flapping.over) {
        flapping.last = now;
    }
    incidents::save(db, &incident, now)
}

/// When the watchdog last asked its database.
pub fn processes_checked(db: &Connection) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let sql = "SELECT value FROM meta WHERE key = 'processes_checked'";
    Ok(db.query_row(sql, [], |row| row.get(0)).optional()?.map(time))
}

/// Notes that it did.
pub fn set_processes_checked(db: &Connection, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES ('processes_checked', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
    db.execute(sql, [at.timestamp_micros()]).map(drop)
}
