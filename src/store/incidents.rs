//! Incidents: one at a time for each subject.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use serde::de::DeserializeOwned;

use super::events::{self, maybe};
use super::looks;
use super::time;
use crate::event::{Problem, Subject};
use crate::incident::{Acknowledgement, Incident, Severity, State};
use crate::policy::Reason;

pub(super) const COLUMNS: &str = "id, subject, state, severity, failures, first_failure, last_failure, flapping, acknowledged";

pub(super) fn incident(row: &rusqlite::Row<'_>) -> rusqlite::Result<Incident> {
    let state: String = row.get("state")?;
    let severity: String = row.get("severity")?;
    Ok(Incident {
        id: row.get("id")?,
        subject: Subject::stored(row.get("subject")?),
        // the column's CHECK keeps other words out
        state: State::parse(&state).unwrap_or(State::Open),
        severity: Severity::parse(&severity).unwrap_or(Severity::Critical),
        failures: row.get("failures")?,
        first_failure: time(row.get("first_failure")?),
        last_failure: time(row.get("last_failure")?),
        flapping: json(row, "flapping")?,
        acknowledged: json(row, "acknowledged")?,
    })
}

fn json<T: DeserializeOwned>(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(|json| serde_json::from_str(&json).ok()))
}

/// The subject's incident that is not over.
pub fn active(db: &Connection, subject: &Subject) -> rusqlite::Result<Option<Incident>> {
    let sql = format!("SELECT {COLUMNS} FROM incidents WHERE subject = ?1 AND state <> 'resolved'");
    db.query_row(&sql, [subject.as_str()], incident).optional()
}

/// The incident of this number.
pub(super) fn get(db: &Connection, id: i64) -> rusqlite::Result<Incident> {
    db.query_row(&format!("SELECT {COLUMNS} FROM incidents WHERE id = ?1"), [id], incident)
}

/// Who knew of this subject's incidents, by their numbers.
pub fn acknowledged(db: &Connection, subject: &Subject) -> rusqlite::Result<BTreeMap<i64, Acknowledgement>> {
    let sql = format!("SELECT {COLUMNS} FROM incidents WHERE subject = ?1 AND acknowledged IS NOT NULL");
    let mut statement = db.prepare(&sql)?;
    let incidents = statement.query_map([subject.as_str()], incident)?;
    incidents.filter_map(|one| one.map(|one| one.acknowledged.map(|known| (one.id, known))).transpose()).collect()
}

/// Begins an incident; it has no failure yet.
pub fn begin(db: &Connection, subject: &Subject, severity: Severity, at: DateTime<Utc>) -> rusqlite::Result<Incident> {
    let sql = "INSERT INTO incidents (subject, state, severity, failures, first_failure, last_failure) VALUES (?1, 'pending', ?2, 0, ?3, ?3)";
    db.execute(sql, params![subject.as_str(), severity.as_str(), at.timestamp_micros()])?;
    Ok(Incident::begin(db.last_insert_rowid(), subject.clone(), severity, at))
}

/// Writes an incident as it is now; `at` is when it ended, if it did.
pub fn save(db: &Connection, incident: &Incident, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let ended = (incident.state == State::Resolved).then(|| at.timestamp_micros());
    db.execute(
        "UPDATE incidents SET state = ?2, severity = ?3, failures = ?4, first_failure = ?5, last_failure = ?6, ended = ?7, flapping = ?8,
            acknowledged = ?9 WHERE id = ?1",
        params![
            incident.id,
            incident.state.as_str(),
            incident.severity.as_str(),
            incident.failures,
            incident.first_failure.timestamp_micros(),
            incident.last_failure.timestamp_micros(),
            ended,
            incident.flapping.as_ref().and_then(|flapping| serde_json::to_string(flapping).ok()),
            incident.acknowledged.as_ref().and_then(|acknowledged| serde_json::to_string(acknowledged).ok())
        ],
    )?;
    Ok(())
}

/// Forgets a subject's failures: ends its incident without a recovery, drops what was not yet delivered, and silences what
/// nobody has decided yet; the history stays. False when there was nothing to forget.
pub fn clear(db: &Connection, subject: &Subject, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    let sql = "UPDATE events SET reason = ?2, confirmed = 1 WHERE subject = ?1 AND (reason IS NULL OR NOT confirmed)";
    let reason = serde_json::to_string(&Reason::Cleared).unwrap_or_default();
    let undecided = db.execute(sql, params![subject.as_str(), reason])?;
    let counted = COUNTED.to_owned() + " AND i.subject = ?1";
    let counted = db.query_row(&format!("SELECT EXISTS ({counted})"), [subject.as_str()], |row| row.get(0))?;
    // the journal still has them
    looks::set_mark(db, subject, now)?;
    // also those of an incident that is over: its recovery may wait behind a server that is down
    let sql = "DELETE FROM outbox WHERE alert IN
        (SELECT a.id FROM alerts a JOIN incidents i ON i.id = a.incident WHERE i.subject = ?1)";
    let dropped = db.execute(sql, [subject.as_str()])?;
    let sql = "UPDATE incidents SET state = 'resolved', cleared = 1, ended = ?2 WHERE subject = ?1 AND state <> 'resolved'";
    let ended = db.execute(sql, params![subject.as_str(), now.timestamp_micros()])?;
    Ok(undecided + dropped + ended > 0 || counted)
}

/// The processes that came into alarm and were well again since they were last cleared: that makes them flap, sooner or later.
const COUNTED: &str = "SELECT i.subject FROM incidents i LEFT JOIN marks m ON m.subject = i.subject
    WHERE i.subject LIKE 'process:%' AND i.state = 'resolved' AND NOT i.cleared AND i.ended > coalesce(m.at, 0)";

/// The subjects that have something to [`clear`].
pub fn clearable(db: &Connection) -> rusqlite::Result<Vec<Subject>> {
    let sql = format!(
        "SELECT subject FROM incidents WHERE state <> 'resolved'
        UNION SELECT subject FROM events WHERE reason IS NULL
        UNION SELECT i.subject FROM outbox o JOIN alerts a ON a.id = o.alert JOIN incidents i ON i.id = a.incident
        UNION {COUNTED} ORDER BY subject"
    );
    db.prepare(&sql)?.query_map([], |row| Ok(Subject::stored(row.get(0)?)))?.collect()
}

/// An incident as `db list` shows it.
#[derive(Debug)]
pub struct Row {
    /// The incident.
    pub incident: Incident,
    /// How many alerts of it were delivered by at least one method.
    pub alerts: u64,
    /// When the last of them was delivered.
    pub last_alert: Option<DateTime<Utc>>,
    /// How its last failure ended.
    pub problem: Problem,
    /// The run of its last failure.
    pub invocation_id: Option<String>,
    /// What started that run.
    pub triggered_by: Option<String>,
    /// Why its last event spoke or kept silent.
    pub reason: Option<Reason>,
    /// True when `db clear` ended it.
    pub cleared: bool,
}

/// Which incidents to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that are not over.
    Active,
    /// All.
    All,
    /// The one of this number.
    One(i64),
}

/// Incidents, the newest failure first.
pub fn list(db: &Connection, which: Which) -> rusqlite::Result<Vec<Row>> {
    let (condition, id) = match which {
        Which::Active => ("i.state <> 'resolved'", None),
        Which::All => ("true", None),
        Which::One(id) => ("i.id = ?1", Some(id)),
    };
    let sql = format!(
        "SELECT i.*, f.service_result, f.exit_code, f.exit_status, f.cause, f.invocation_id, f.triggered_by,
            (SELECT reason FROM events WHERE incident = i.id ORDER BY at DESC, id DESC LIMIT 1) AS reason,
            (SELECT count(DISTINCT a.id) FROM alerts a JOIN deliveries d ON d.alert = a.id
                WHERE a.incident = i.id AND d.status = 'sent') AS alerts,
            (SELECT max(d.at) FROM alerts a JOIN deliveries d ON d.alert = a.id
                WHERE a.incident = i.id AND d.status = 'sent') AS last_alert
         FROM incidents i LEFT JOIN events f
            ON f.id = (SELECT id FROM events WHERE incident = i.id AND outcome = 'failed' ORDER BY at DESC, id DESC LIMIT 1)
         WHERE {condition} ORDER BY i.last_failure DESC, i.id DESC"
    );
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(id), |row| {
        let reason: Option<String> = row.get("reason")?;
        Ok(Row {
            incident: incident(row)?,
            alerts: row.get("alerts")?,
            last_alert: maybe(row.get("last_alert")?),
            problem: events::problem(row)?,
            invocation_id: row.get("invocation_id")?,
            triggered_by: row.get("triggered_by")?,
            reason: reason.and_then(|json| serde_json::from_str(&json).ok()),
            cleared: row.get("cleared")?,
        })
    })?;
    rows.collect()
}
