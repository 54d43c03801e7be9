//! What is on record about timers, and about units that should succeed from time to time.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::events::maybe;
use super::time;
use crate::event::Subject;
use crate::host::pulse::{Absence, Pulse};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The timer, or the unit.
    pub subject: Subject,
    /// When it was first seen.
    pub since: DateTime<Utc>,
    /// True when the timer was active at some time.
    pub active: bool,
    /// True when it was enabled at some time.
    pub enabled: bool,
    /// When it is, or was, to elapse.
    pub due: Option<DateTime<Utc>>,
    /// When it last succeeded, if that is asked for.
    pub success: Option<DateTime<Utc>>,
}

/// All of them.
pub fn schedules(db: &Connection) -> rusqlite::Result<Vec<Schedule>> {
    let row = |row: &Row<'_>| {
        Ok(Schedule {
            subject: Subject::stored(row.get("subject")?),
            since: time(row.get("since")?),
            active: row.get("active")?,
            enabled: row.get("enabled")?,
            due: maybe(row.get("due")?),
            success: maybe(row.get("success")?),
        })
    };
    db.prepare("SELECT * FROM schedules ORDER BY subject")?.query_map([], row)?.collect()
}

/// Keeps one as it is now.
pub fn keep_schedule(db: &Connection, schedule: &Schedule) -> rusqlite::Result<()> {
    let Schedule { subject, since, active, enabled, due, success } = schedule;
    let sql = "INSERT OR REPLACE INTO schedules (subject, since, active, enabled, due, success) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let [due, success] = [due, success].map(|time| time.map(|time| time.timestamp_micros()));
    db.execute(sql, params![subject.as_str(), since.timestamp_micros(), active, enabled, due, success]).map(drop)
}

/// It is not watched any more.
pub fn forget_schedule(db: &Connection, subject: &Subject) -> rusqlite::Result<()> {
    db.execute("DELETE FROM schedules WHERE subject = ?1", [subject.as_str()]).map(drop)
}

/// The schedules whose incident is not over.
pub fn lapsed(db: &Connection) -> rusqlite::Result<Vec<Subject>> {
    let sql = "SELECT subject FROM incidents WHERE state <> 'resolved' AND subject LIKE 'schedule:%' ORDER BY subject";
    db.prepare(sql)?.query_map([], |row| Ok(Subject::stored(row.get(0)?)))?.collect()
}

/// The last sign that the host ran.
pub fn pulse(db: &Connection) -> rusqlite::Result<Option<Pulse>> {
    let json: Option<String> = db.query_row("SELECT value FROM meta WHERE key = 'pulse'", [], |row| row.get(0)).optional()?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// How many looks at the services in a row came to nothing, until somebody is told.
pub fn blind(db: &Connection) -> rusqlite::Result<u32> {
    let looks = db.query_row("SELECT value FROM meta WHERE key = 'blind'", [], |row| row.get(0)).optional()?;
    Ok(looks.unwrap_or_default())
}

/// Notes it.
pub fn set_blind(db: &Connection, looks: u32) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES ('blind', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
    db.execute(sql, [looks]).map(drop)
}

/// Nothing looks back further.
const KEPT: TimeDelta = TimeDelta::days(800);

/// Notes that sign, and the time in which there was none.
pub fn set_pulse(db: &Connection, pulse: &Pulse, absence: Option<Absence>) -> rusqlite::Result<()> {
    let json = serde_json::to_string(pulse).unwrap_or_default();
    let sql = "INSERT INTO meta (key, value) VALUES ('pulse', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
    db.execute(sql, [json])?;
    // from when the clock was ahead: it must not hide what comes
    db.execute("UPDATE absences SET until = max(since, ?1) WHERE until > ?1", [pulse.at.timestamp_micros()])?;
    if let Some(Absence { since, until }) = absence {
        let sql = "INSERT INTO absences (since, until) VALUES (?1, ?2) ON CONFLICT (since) DO UPDATE SET until = max(until, ?2)";
        db.execute(sql, [since.timestamp_micros(), until.timestamp_micros()])?;
        db.execute("DELETE FROM absences WHERE until < ?1", [(pulse.at - KEPT).timestamp_micros()])?;
    }
    Ok(())
}

/// When the host was off or asleep.
pub fn absences(db: &Connection) -> rusqlite::Result<Vec<Absence>> {
    let row = |row: &Row<'_>| Ok(Absence { since: time(row.get("since")?), until: time(row.get("until")?) });
    db.prepare("SELECT since, until FROM absences ORDER BY since")?.query_map([], row)?.collect()
}
