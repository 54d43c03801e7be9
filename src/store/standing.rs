//! Incidents that are not over, as time finds them.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::events::{self, maybe};
use super::{flapping, incidents};
use crate::event::Subject;
use crate::incident::{Acknowledgement, Incident, State};
use crate::policy::Reason;

/// An incident that is not over, and what time may make of it.
#[derive(Debug)]
pub struct Standing {
    /// The incident.
    pub incident: Incident,
    /// When its first alert was sent, or decided while nobody has sent it, or was let go after its hour had come; `None`: it has
    /// none.
    pub told: Option<DateTime<Utc>>,
    /// When its last alert was sent, or decided while nobody has sent it; one that tells old news is as new as its delivery.
    pub last_alert: Option<DateTime<Utc>>,
    /// How many it has.
    pub alerts: u64,
    /// True when others were told, since nobody acknowledged it.
    pub escalated: bool,
    /// Its newest event that a silence keeps from being told.
    pub silenced: Option<i64>,
}

/// By the index of those that are not over, and of each by its own.
pub(super) const STANDING: &str = "SELECT i.*,
        (SELECT coalesce((SELECT min(at) FROM deliveries WHERE alert = a.id AND status IN ('sent', 'merged')), a.at)
         FROM alerts a WHERE a.incident = i.id ORDER BY a.id DESC LIMIT 1) AS last_alert,
        (SELECT count(*) FROM alerts WHERE incident = i.id) AS alerts,
        (SELECT coalesce((SELECT min(at) FROM deliveries WHERE alert = a.id AND status IN ('sent', 'merged')),
            max(a.at, coalesce((SELECT max(held_until) FROM outbox WHERE alert = a.id AND held_until <= ?1), 0)))
         FROM alerts a WHERE a.incident = i.id ORDER BY a.id LIMIT 1) AS told
    FROM incidents i WHERE i.state <> 'resolved'";

/// The incidents that are not over.
pub fn standing(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Vec<Standing>> {
    let mut statement = db.prepare(STANDING)?;
    let rows = statement.query_map([now.timestamp_micros()], |row| {
        Ok(Standing {
            incident: incidents::incident(row)?,
            told: maybe(row.get("told")?),
            last_alert: maybe(row.get("last_alert")?),
            alerts: row.get("alerts")?,
            escalated: row.get::<_, Option<i64>>("escalated")?.is_some(),
            silenced: row.get("silenced")?,
        })
    })?;
    rows.collect()
}

/// The methods that have something to tell of this incident which they have not sent yet.
pub fn waits_for(db: &Connection, incident: i64) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT o.method FROM alerts a JOIN outbox o ON o.alert = a.id WHERE a.incident = ?1";
    db.prepare(sql)?.query_map([incident], |row| row.get(0))?.collect()
}

/// The methods that have told something of this incident, or are about to.
pub fn told_by(db: &Connection, incident: i64) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT o.method FROM alerts a JOIN outbox o ON o.alert = a.id WHERE a.incident = ?1
        UNION SELECT d.method FROM alerts a JOIN deliveries d ON d.alert = a.id
            WHERE a.incident = ?1 AND d.status IN ('sent', 'merged')";
    db.prepare(sql)?.query_map([incident], |row| row.get(0))?.collect()
}

/// The event that tells best how an incident stands: its newest failure, or, where it flaps, what was told last.
pub fn how_it_stands(db: &Connection, incident: &Incident) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM events WHERE subject = ?1 AND at >= ?2 AND incident = ?3 AND outcome = 'failed'
        ORDER BY at DESC, id DESC LIMIT 1";
    let first = incident.first_failure.timestamp_micros();
    let failure = || db.query_row(sql, params![incident.subject.as_str(), first, incident.id], |row| row.get(0)).optional();
    // what fails in between is forgotten soon
    let sql = "SELECT event FROM alerts WHERE incident = ?1 AND event IS NOT NULL ORDER BY id DESC LIMIT 1";
    let told = if incident.flaps().is_some() { db.query_row(sql, [incident.id], |row| row.get(0)).optional()? } else { None };
    told.map_or_else(failure, |told| Ok(Some(told)))
}

/// Keeps with an alert why it was decided, and what was gathered for the last one about the same event; of a check that is the
/// last value, and by now another one.
pub fn set_reason(db: &Connection, alert: i64, reason: &Reason) -> rusqlite::Result<()> {
    let sql = "UPDATE alerts SET reason = ?2, context = (SELECT b.context FROM alerts b JOIN events e ON e.id = b.event
        WHERE b.event = alerts.event AND b.id < alerts.id AND e.subject NOT LIKE 'check:%:%:%' ORDER BY b.id DESC LIMIT 1) WHERE id = ?1";
    db.execute(sql, params![alert, serde_json::to_string(reason).unwrap_or_default()]).map(drop)
}

/// Notes that others were told.
pub fn set_escalated(db: &Connection, incident: i64, at: DateTime<Utc>) -> rusqlite::Result<()> {
    db.execute("UPDATE incidents SET escalated = ?2 WHERE id = ?1", params![incident, at.timestamp_micros()]).map(drop)
}

/// Notes that a silence keeps this event from being told, or that it keeps none any more.
pub fn set_silenced(db: &Connection, incident: i64, event: Option<i64>) -> rusqlite::Result<()> {
    db.execute("UPDATE incidents SET silenced = ?2 WHERE id = ?1", params![incident, event]).map(drop)
}

/// The silence is over: what it kept from being told is to be decided once more. The words for why it comes late, if it was
/// kept back.
pub fn end_silence(db: &Connection, incident: i64, event: i64) -> rusqlite::Result<Option<String>> {
    set_silenced(db, incident, None)?;
    let reason = events::get(db, event)?.and_then(|recorded| recorded.reason);
    let Some(Reason::Silenced { until, by, why }) = reason else { return Ok(None) };
    flapping::decide_again(db, event)?;
    Ok(Some(crate::policy::Silence::words(until, &by, why.as_deref())))
}

/// Says at the alerts about an event why they come late.
pub fn set_held(db: &Connection, event: i64, why: &str) -> rusqlite::Result<()> {
    db.execute("UPDATE outbox SET held = ?2 WHERE alert IN (SELECT id FROM alerts WHERE event = ?1)", params![event, why])
        .map(drop)
}

/// Somebody knows of the subject's incident: they need no reminder that waits, and what a silence keeps back they have seen.
/// `None`: there is no incident.
pub fn acknowledge(db: &Connection, subject: &Subject, acknowledgement: Acknowledgement) -> rusqlite::Result<Option<Incident>> {
    let Some(incident) = incidents::active(db, subject)? else { return Ok(None) };
    if incident.state == State::Pending
        && let Some(event) = how_it_stands(db, &incident)?
    {
        // to them it is told
        db.execute("UPDATE events SET spoke = 1 WHERE id = ?1", [event])?;
    }
    set_silenced(db, incident.id, None)?;
    let sql = "DELETE FROM outbox WHERE alert IN (SELECT id FROM alerts WHERE incident = ?1 AND kind = 'reminder')
        AND (lease IS NULL OR lease <= ?2)";
    db.execute(sql, params![incident.id, acknowledgement.at.timestamp_micros()])?;
    let incident = incident.acknowledged(acknowledgement);
    incidents::save(db, &incident, incident.last_failure)?;
    Ok(Some(incident))
}
