//! How often a subject was restarted, or failed and recovered, of late. Each question is answered by an index, however many
//! events there are.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{incidents, time};
use crate::event::{Event, Subject};
use crate::policy::Recent;

/// The restarts by systemd within this time up to this event, since it last gave up or somebody cleared the unit; of more
/// than `most`, so many.
pub fn restarts_of_late(db: &Connection, event: &Event, window: TimeDelta, most: u64) -> rusqlite::Result<Recent> {
    let (from, until) = (begin(db, event, window, true)?, event.at.timestamp_micros());
    let subject = event.subject.as_str();
    let sql = format!("SELECT count(*) FROM (SELECT 1 {RESTARTS} LIMIT ?4)");
    let times = db.query_row(&sql, params![subject, from, until, most], |row| row.get(0))?;
    let sql = format!("SELECT at {RESTARTS} ORDER BY at LIMIT 1");
    let since = db.query_row(&sql, params![subject, from, until], |row| row.get(0)).optional()?;
    Ok(Recent { times, since: since.map_or(event.at, time) })
}

/// All of them.
pub fn restarts_since(db: &Connection, event: &Event, since: DateTime<Utc>) -> rusqlite::Result<u64> {
    let range = params![event.subject.as_str(), since.timestamp_micros() - 1, event.at.timestamp_micros()];
    db.query_row(&format!("SELECT count(*) {RESTARTS}"), range, |row| row.get(0))
}

const RESTARTS: &str = "FROM events WHERE subject = ?1 AND at > ?2 AND at <= ?3 AND restarts AND confirmed";

/// The incidents of which somebody was told within this time before this event, and that are over.
pub fn incidents_of_late(db: &Connection, event: &Event, window: TimeDelta) -> rusqlite::Result<Recent> {
    let sql = "SELECT count(DISTINCT e.incident), min(e.at) FROM events e JOIN incidents i ON i.id = e.incident
        WHERE e.subject = ?1 AND e.spoke AND e.outcome = 'failed' AND e.at > ?2 AND e.at <= ?3
        AND i.state = 'resolved' AND NOT i.cleared";
    let from = begin(db, event, window, false)?;
    db.query_row(sql, params![event.subject.as_str(), from, event.at.timestamp_micros()], |row| {
        Ok(Recent { times: row.get(0)?, since: row.get::<_, Option<i64>>(1)?.map_or(event.at, time) })
    })
}

/// What counts begins here: with the window, at the last time that the failures were forgotten, or that systemd gave up.
fn begin(db: &Connection, event: &Event, window: TimeDelta, given_up: bool) -> rusqlite::Result<i64> {
    let subject = event.subject.as_str();
    let sql = "SELECT max(ended) FROM incidents WHERE subject = ?1 AND cleared";
    let cleared: Option<i64> = db.query_row(sql, [subject], |row| row.get(0))?;
    let sql = "SELECT max(at) FROM events WHERE subject = ?1 AND at < ?2 AND outcome = 'failed' AND NOT restarts AND confirmed";
    let ended: Option<i64> = match given_up {
        true => db.query_row(sql, params![subject, event.at.timestamp_micros()], |row| row.get(0))?,
        false => None,
    };
    let begin = event.at.checked_sub_signed(window).unwrap_or(DateTime::UNIX_EPOCH).timestamp_micros();
    Ok([cleared, ended].into_iter().flatten().fold(begin, i64::max))
}

/// Whether the last that is known of a subject since then is a success, and that nobody stopped it.
pub fn is_well(db: &Connection, subject: &Subject, since: DateTime<Utc>) -> rusqlite::Result<bool> {
    let sql = "SELECT outcome = 'succeeded' AND NOT restarts AND coalesce(cause, '') <> 'stop'
        FROM events WHERE subject = ?1 AND at > ?2 AND confirmed ORDER BY at DESC, id DESC LIMIT 1";
    let last = db.query_row(sql, params![subject.as_str(), since.timestamp_micros()], |row| row.get(0)).optional()?;
    Ok(last.unwrap_or(false))
}

/// Removes an event that is counted with its incident: of a unit that flaps each restart after a good end would be a row.
pub fn fold(db: &Connection, id: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM events WHERE id = ?1", [id]).map(drop)
}

/// A unit that flapped stays failed: its last failure is to be decided once more. What that has to say and nobody has
/// delivered yet, the new decision says.
pub fn stays_failed(db: &Connection, subject: &Subject) -> rusqlite::Result<()> {
    let Some(incident) = incidents::active(db, subject)? else { return Ok(()) };
    let Some(last) = incident.flaps().map(|flapping| flapping.last) else { return Ok(()) };
    let sql = "SELECT id, at FROM events WHERE subject = ?1 AND at >= ?2 AND outcome = 'failed' AND NOT restarts
        ORDER BY at DESC, id DESC LIMIT 1";
    let row = |row: &Row<'_>| Ok((row.get(0)?, time(row.get(1)?)));
    let found = db.query_row(sql, params![subject.as_str(), last.timestamp_micros()], row).optional()?;
    // a failure that turned final is later than it was
    incidents::save(db, &incident.stays_failed(found.map_or(last, |(_, at)| at)), last)?;
    found.map_or(Ok(()), |(id, _)| decide_again(db, id))
}

/// Takes back the verdict on an event.
pub(super) fn decide_again(db: &Connection, id: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM outbox WHERE alert IN (SELECT id FROM alerts WHERE event = ?1)", [id])?;
    db.execute("UPDATE events SET reason = NULL, spoke = 0 WHERE id = ?1", [id]).map(drop)
}
