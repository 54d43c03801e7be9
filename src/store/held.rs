//! What is not to be told yet: quiet hours, and the hours of a method.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};
use sysalert_abi::Kind;

use super::events::maybe;
use super::outbox;
use crate::event::Subject;
use crate::incident::Severity;

/// An alert about an incident that waits by itself.
#[derive(Debug)]
pub struct Untold {
    /// Its row.
    pub id: i64,
    /// Its kind.
    pub kind: Kind,
    /// By which method.
    pub method: String,
    /// The incident.
    pub incident: i64,
    /// Its subject.
    pub subject: Subject,
    /// How bad it is.
    pub severity: Severity,
    /// Until when it is held, or was.
    pub held_until: Option<DateTime<Utc>>,
    /// Why, in words.
    pub held: Option<String>,
    /// True when it was tried.
    pub tried: bool,
}

/// Those that wait, oldest first, but for what is being sent, and what somebody wants sent at any hour.
pub fn untold(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Vec<Untold>> {
    let sql = "SELECT o.id, a.kind, o.method, a.incident, i.subject, i.severity, o.held_until, o.held, o.attempts FROM outbox o
            JOIN alerts a ON a.id = o.alert JOIN incidents i ON i.id = a.incident
        WHERE o.digest IS NULL AND o.held_until IS NOT 0 AND (coalesce(o.lease, 0) <= ?1 OR ?1 < o.tried) ORDER BY o.alert";
    let row = |row: &Row<'_>| {
        Ok(Untold {
            id: row.get("id")?,
            kind: outbox::kind(&row.get::<_, String>("kind")?),
            method: row.get("method")?,
            incident: row.get("incident")?,
            subject: Subject::stored(row.get("subject")?),
            severity: Severity::parse(&row.get::<_, String>("severity")?).unwrap_or(Severity::Critical),
            held_until: maybe(row.get("held_until")?),
            held: row.get("held")?,
            tried: row.get::<_, i64>("attempts")? > 0,
        })
    };
    db.prepare(sql)?.query_map([now.timestamp_micros()], row)?.collect()
}

/// It is not sent before, and says why.
pub fn hold_until(db: &Connection, id: i64, until: DateTime<Utc>, why: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE outbox SET held_until = ?2, held = ?3 WHERE id = ?1";
    db.execute(sql, params![id, until.timestamp_micros(), why]).map(drop)
}

/// It need not wait any longer.
pub fn hold_no_longer(db: &Connection, id: i64, now: DateTime<Utc>) -> rusqlite::Result<()> {
    db.execute("UPDATE outbox SET held_until = ?2 WHERE id = ?1", params![id, now.timestamp_micros()]).map(drop)
}

/// Binds these rows to a digest.
pub fn bind_rows(db: &Connection, digest: i64, rows: &[i64]) -> rusqlite::Result<()> {
    let rows = serde_json::to_string(rows).unwrap_or_default();
    let sql = "UPDATE outbox SET digest = ?1 WHERE digest IS NULL AND attempts = 0 AND id IN (SELECT value FROM json_each(?2))";
    db.execute(sql, params![digest, rows]).map(drop)
}
