//! The record of one subject, to be looked at.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sysalert_abi::Kind;

use super::deliveries::{self, Delivery};
use super::events::{self, Recorded};
use super::{outbox, time};
use crate::event::Subject;
use crate::message::Context;
use crate::policy::Reason;

/// What became of one alert by one method: its last try.
#[derive(Debug)]
pub struct Sent {
    /// The alert's kind.
    pub kind: Kind,
    /// The try.
    pub delivery: Delivery,
}

/// Every recorded event of a subject, oldest first, each with what was sent about it.
pub fn of_subject(db: &Connection, subject: &Subject) -> rusqlite::Result<Vec<(Recorded, Vec<Sent>)>> {
    let sql = "SELECT a.event, a.kind, d.method, d.status, d.detail, d.at
         FROM events e JOIN alerts a ON a.event = e.id JOIN deliveries d ON d.alert = a.id
         WHERE e.subject = ?1 AND d.id = (SELECT max(id) FROM deliveries WHERE alert = a.id AND method = d.method) ORDER BY d.id";
    let mut sent: BTreeMap<i64, Vec<Sent>> = BTreeMap::new();
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([subject.as_str()])?;
    while let Some(row) = rows.next()? {
        let kind = outbox::kind(&row.get::<_, String>("kind")?);
        sent.entry(row.get("event")?).or_default().push(Sent { kind, delivery: deliveries::delivery(row)? });
    }
    let sql = "SELECT id FROM events WHERE subject = ?1 ORDER BY at, id";
    let ids: Vec<i64> = db.prepare(sql)?.query_map([subject.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut history = Vec::new();
    for id in ids {
        if let Some(recorded) = events::get(db, id)? {
            history.push((recorded, sent.remove(&id).unwrap_or_default()));
        }
    }
    Ok(history)
}

/// The newest alert about a subject.
#[derive(Debug)]
pub struct Newest {
    /// Its kind.
    pub kind: Kind,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// Why, where its event does not say it.
    pub reason: Option<Reason>,
    /// The number of the event that it is about.
    pub event: i64,
    /// What is told beside the event; `None`: not gathered yet.
    pub context: Option<Context>,
    /// How many tries there were, while it waits in the outbox.
    pub tries: Option<u32>,
    /// What the last of them met.
    pub detail: Option<String>,
}

/// The newest alert about this subject, as it waits for this method, or for the one that had the most tries.
pub fn newest_alert(db: &Connection, subject: &Subject, method: Option<&str>) -> rusqlite::Result<Option<Newest>> {
    let sql = "SELECT a.kind, a.at, a.reason, a.event, a.context, o.attempts, o.detail
         FROM events e JOIN alerts a ON a.event = e.id
            LEFT JOIN outbox o ON o.alert = a.id AND (?2 IS NULL OR o.method = ?2)
         WHERE e.subject = ?1 ORDER BY a.id DESC, o.attempts DESC LIMIT 1";
    let newest = |row: &Row<'_>| {
        Ok(Newest {
            kind: outbox::kind(&row.get::<_, String>("kind")?),
            at: time(row.get("at")?),
            reason: outbox::reason(row)?,
            event: row.get("event")?,
            context: row.get::<_, Option<String>>("context")?.and_then(|json| serde_json::from_str(&json).ok()),
            tries: row.get("attempts")?,
            detail: row.get("detail")?,
        })
    };
    db.query_row(sql, params![subject.as_str(), method], newest).optional()
}
