//! What was observed, and what was decided about it.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::time;
use crate::event::{Event, Outcome, Problem, Start, Subject};
use crate::incident::Incident;
use crate::policy::{Reason, Told};

pub(super) const COLUMNS: &str =
    "subject, outcome, run, invocation_id, service_result, exit_code, exit_status, cause, triggered_by, start, restarts, at";

/// Records an event; false when it is on record already. `confirmed`: it is as the journal tells it, not as a trigger does.
pub fn insert(db: &Connection, event: &Event, confirmed: bool) -> rusqlite::Result<bool> {
    let sql = format!(
        "INSERT OR IGNORE INTO events ({COLUMNS}, confirmed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    );
    let Problem { service_result, exit_code, exit_status, cause } = &event.problem;
    let rows = db.execute(
        &sql,
        params![
            event.subject.as_str(),
            event.outcome.as_str(),
            event.run,
            event.invocation_id,
            service_result,
            exit_code,
            exit_status,
            cause,
            event.triggered_by,
            event.start.map(Start::as_str),
            event.restarts,
            event.at.timestamp_micros(),
            confirmed
        ],
    )?;
    Ok(rows > 0)
}

pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        subject: Subject::stored(row.get("subject")?),
        outcome: if row.get::<_, String>("outcome")? == Outcome::Failed.as_str() { Outcome::Failed } else { Outcome::Succeeded },
        run: row.get("run")?,
        invocation_id: row.get("invocation_id")?,
        problem: problem(row)?,
        triggered_by: row.get("triggered_by")?,
        start: row.get::<_, Option<String>>("start")?.and_then(|word| Start::parse(&word)),
        restarts: row.get("restarts")?,
        at: time(row.get("at")?),
    })
}

pub(super) fn problem(row: &Row<'_>) -> rusqlite::Result<Problem> {
    Ok(Problem {
        service_result: row.get("service_result")?,
        exit_code: row.get("exit_code")?,
        exit_status: row.get("exit_status")?,
        cause: row.get("cause")?,
    })
}

/// An event without a verdict.
#[derive(Debug)]
pub struct Undecided {
    /// Its number.
    pub id: i64,
    /// What was observed.
    pub event: Event,
    /// The incident that it was counted in already: it was decided before, and has turned final since.
    pub counted: Option<i64>,
    /// What its run complained of last; empty: nothing; `None`: nobody looked yet.
    pub error: Option<String>,
}

/// The confirmed events without a verdict, in the order in which they happened.
pub fn undecided(db: &Connection) -> rusqlite::Result<Vec<Undecided>> {
    let sql = format!("SELECT id, {COLUMNS}, incident, error FROM events WHERE reason IS NULL AND confirmed ORDER BY at, id");
    let row = |row: &Row<'_>| {
        Ok(Undecided { id: row.get("id")?, event: event(row)?, counted: row.get("incident")?, error: row.get("error")? })
    };
    db.prepare(&sql)?.query_map([], row)?.collect()
}

/// Notes what an event's run complained of last.
pub fn set_error(db: &Connection, id: i64, error: &str) -> rusqlite::Result<()> {
    db.execute("UPDATE events SET error = ?2 WHERE id = ?1", params![id, error]).map(drop)
}

/// How many events have no verdict yet.
pub fn count_undecided(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("SELECT count(*) FROM events WHERE reason IS NULL", [], |row| row.get(0))
}

/// Whether this subject has neither an incident that is not over nor an event without a verdict.
pub fn nothing_open(db: &Connection, subject: &Subject) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM incidents WHERE subject = ?1 AND state <> 'resolved')
        AND NOT EXISTS (SELECT 1 FROM events WHERE subject = ?1 AND reason IS NULL)";
    db.query_row(sql, [subject.as_str()], |row| row.get(0))
}

/// Files the verdict on an event.
pub fn decide(db: &Connection, id: i64, incident: Option<i64>, reason: &Reason) -> rusqlite::Result<()> {
    let json = serde_json::to_string(reason).unwrap_or_default();
    db.execute(
        "UPDATE events SET incident = ?2, reason = ?3, spoke = ?4 WHERE id = ?1",
        params![id, incident, json, reason.alert().is_some()],
    )?;
    Ok(())
}

/// Whether a failure of this run is on record.
pub fn run_failed(db: &Connection, subject: &Subject, run: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM events WHERE subject = ?1 AND run = ?2 AND outcome = 'failed'";
    db.prepare(sql)?.exists([subject.as_str(), run])
}

/// Whether a failure of this incident happened and was recorded after this event.
pub fn failed_since(db: &Connection, incident: i64, id: i64, event: &Event) -> rusqlite::Result<bool> {
    // both: the clock may have been set in between, and what was in the spool is recorded late
    let sql = "SELECT 1 FROM events WHERE incident = ?1 AND id > ?2 AND at > ?3 AND outcome = 'failed'";
    db.prepare(sql)?.exists(params![incident, id, event.at.timestamp_micros()])
}

/// How many final failures of an incident were decided before this event; without those of which nobody asks.
pub fn final_failures(db: &Connection, incident: &Incident, id: i64) -> rusqlite::Result<u64> {
    // by the subject: of those events there is an index
    let sql = format!(
        "SELECT count(*) FROM events WHERE subject = ?1 AND at >= ?2 AND incident = ?3 AND id <> ?4
        AND outcome = 'failed' AND NOT restarts AND reason IS NOT NULL AND NOT {PASSED_OVER}"
    );
    let first = incident.first_failure.timestamp_micros();
    db.query_row(&sql, params![incident.subject.as_str(), first, incident.id, id], |row| row.get(0))
}

/// How many failures of an incident were decided before this event of which nobody asks; `each`: also those that systemd tried
/// again.
pub fn passed_over(db: &Connection, incident: &Incident, id: i64, each: bool) -> rusqlite::Result<u64> {
    let among = if each { "" } else { "AND NOT restarts" };
    let sql = format!(
        "SELECT count(*) FROM events WHERE subject = ?1 AND at >= ?2 AND incident = ?3 AND id <> ?4
        AND outcome = 'failed' {among} AND reason IS NOT NULL AND {PASSED_OVER}"
    );
    let first = incident.first_failure.timestamp_micros();
    db.query_row(&sql, params![incident.subject.as_str(), first, incident.id, id], |row| row.get(0))
}

/// Decided by `started_by`.
pub(super) const PASSED_OVER: &str = "json_extract(reason, '$.reason') = 'started-otherwise'";

/// What started the first of the runs that systemd has started again and again up to this event's; `None`: not known.
pub fn first_start(db: &Connection, event: &Event) -> rusqlite::Result<Option<Start>> {
    let sql = "SELECT start, restarts FROM events WHERE subject = ?1 AND at < ?2 AND confirmed AND run <> ?3
        AND coalesce(start, '') <> 'restart' ORDER BY at DESC, id DESC LIMIT 1";
    let row = |row: &Row<'_>| Ok((row.get::<_, Option<String>>("start")?, row.get::<_, bool>("restarts")?));
    let first = db.query_row(sql, params![event.subject.as_str(), event.at.timestamp_micros(), event.run], row).optional()?;
    // one that systemd did not start again is the end of an older story
    Ok(first.filter(|(_, restarts)| *restarts).and_then(|(start, _)| Start::parse(&start?)))
}

/// The problems of an incident that somebody was told, in the order in which that was decided: the clock may have been set.
pub fn told(db: &Connection, incident: &Incident) -> rusqlite::Result<Vec<Told>> {
    // the failure's own time has moved on, if systemd gave up restarting it after it was told
    let sql = "SELECT service_result, exit_code, exit_status, cause, error, restarts,
        coalesce((SELECT max(a.at) FROM alerts a WHERE a.event = events.id AND a.kind <> 'reminder'), at) AS told FROM events
        WHERE subject = ?1 AND at >= ?2 AND incident = ?3 AND spoke AND outcome = 'failed'
        ORDER BY (SELECT max(a.id) FROM alerts a WHERE a.event = events.id), at, id";
    let told = |row: &Row<'_>| {
        let error = row.get::<_, Option<String>>("error")?.filter(|error| !error.is_empty());
        Ok(Told { problem: problem(row)?, error, at: time(row.get("told")?), restarts: row.get("restarts")? })
    };
    let first = incident.first_failure.timestamp_micros();
    db.prepare(sql)?.query_map(params![incident.subject.as_str(), first, incident.id], told)?.collect()
}

/// An incident's failures up to an event.
#[derive(Debug, Default)]
pub struct Failures {
    /// Oldest first, each with the method names that reported it: the first and the newest.
    pub list: Vec<(Event, Vec<String>)>,
    /// How many are left out between them.
    pub left_out: u64,
}

/// An incident's failures up to this event; of more than `most` the first and the newest.
pub fn failures_of(db: &Connection, incident: i64, until: &Event, most: usize) -> rusqlite::Result<Failures> {
    let among = "FROM events WHERE subject = ?1 AND at <= ?2 AND incident = ?3 AND outcome = 'failed'";
    let (subject, until) = (until.subject.as_str(), until.at.timestamp_micros());
    let read = |order: &str, most: usize| -> rusqlite::Result<Vec<(i64, Event, Option<String>)>> {
        let sql = format!(
            "SELECT id, {COLUMNS}, (SELECT group_concat(DISTINCT d.method) FROM deliveries d JOIN alerts a ON d.alert = a.id
                WHERE a.event = events.id AND d.status IN ('sent', 'merged')) AS methods
             {among} ORDER BY at {order}, id {order} LIMIT ?4"
        );
        let row = |row: &Row<'_>| Ok((row.get("id")?, event(row)?, row.get("methods")?));
        db.prepare(&sql)?.query_map(params![subject, until, incident, most], row)?.collect()
    };
    let mut rows = read("DESC", most)?;
    let mut left_out = 0;
    if rows.len() == most {
        let count: u64 =
            db.query_row(&format!("SELECT count(*) {among}"), params![subject, until, incident], |row| row.get(0))?;
        left_out = count.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
        if left_out > 0 {
            rows.truncate(most.saturating_sub(1));
            rows.extend(read("ASC", 1)?);
        }
    }
    rows.reverse();
    let split = |methods: Option<String>| methods.map_or_else(Vec::new, |all| all.split(',').map(str::to_owned).collect());
    Ok(Failures { list: rows.into_iter().map(|(_, event, methods)| (event, split(methods))).collect(), left_out })
}

/// An event with its verdict.
#[derive(Debug)]
pub struct Recorded {
    /// Its number.
    pub id: i64,
    /// What was observed.
    pub event: Event,
    /// Why it spoke or kept silent; `None`: not decided yet.
    pub reason: Option<Reason>,
    /// Its incident's number.
    pub incident: Option<i64>,
    /// What its run complained of last, where that was looked for.
    pub error: Option<String>,
}

/// The newest event of a subject.
pub fn last_of(db: &Connection, subject: &Subject) -> rusqlite::Result<Option<Recorded>> {
    let sql =
        format!("SELECT id, {COLUMNS}, reason, incident, error FROM events WHERE subject = ?1 ORDER BY at DESC, id DESC LIMIT 1");
    db.query_row(&sql, [subject.as_str()], recorded).optional()
}

/// The event of this number.
pub fn get(db: &Connection, id: i64) -> rusqlite::Result<Option<Recorded>> {
    db.query_row(&format!("SELECT id, {COLUMNS}, reason, incident, error FROM events WHERE id = ?1"), [id], recorded).optional()
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let reason: Option<String> = row.get("reason")?;
    Ok(Recorded {
        id: row.get("id")?,
        event: event(row)?,
        reason: reason.and_then(|json| serde_json::from_str(&json).ok()),
        incident: row.get("incident")?,
        error: row.get::<_, Option<String>>("error")?.filter(|error| !error.is_empty()),
    })
}

/// Every subject that was ever recorded, for "did you mean".
pub fn subjects(db: &Connection) -> rusqlite::Result<Vec<Subject>> {
    db.prepare("SELECT DISTINCT subject FROM events")?.query_map([], |row| Ok(Subject::stored(row.get(0)?)))?.collect()
}

/// For a time that may be absent.
pub(super) fn maybe(micros: Option<i64>) -> Option<DateTime<Utc>> {
    micros.map(time)
}
