//! Methods that cannot send, and the alerts about that.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use sysalert_abi::Kind;

use super::events::maybe;
use super::{outbox, time};

/// A method that has sent nothing since then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Its name.
    pub method: String,
    /// When the first try failed.
    pub since: DateTime<Utc>,
    /// When the last one did.
    pub last: DateTime<Utc>,
    /// What that met.
    pub detail: String,
    /// When somebody was told of it.
    pub told: Option<DateTime<Utc>>,
    /// How many alerts wait for the method.
    pub waiting: u64,
}

/// A try by this method failed.
pub fn cannot_send(db: &Connection, method: &str, detail: &str, now: DateTime<Utc>) -> rusqlite::Result<()> {
    // after a clock that was set back it cannot have begun in the future
    let sql = "INSERT INTO outages (method, since, last, detail) VALUES (?1, ?2, ?2, ?3)
        ON CONFLICT (method) DO UPDATE SET since = min(since, ?2), last = ?2, detail = ?3";
    db.execute(sql, params![method, now.timestamp_micros(), detail]).map(drop)
}

/// This method has sent something: the outage that this ends.
pub fn sends(db: &Connection, method: &str) -> rusqlite::Result<Option<Outage>> {
    let ended = one(db, method)?;
    if ended.is_some() {
        db.execute("DELETE FROM outages WHERE method = ?1", [method])?;
    }
    Ok(ended)
}

const SELECT: &str = "SELECT method, since, last, detail, told,
    (SELECT count(*) FROM outbox WHERE outbox.method = outages.method) AS waiting FROM outages";

/// The methods that cannot send.
pub fn outages(db: &Connection) -> rusqlite::Result<Vec<Outage>> {
    db.prepare(&format!("{SELECT} ORDER BY method"))?.query_map([], outage)?.collect()
}

fn one(db: &Connection, method: &str) -> rusqlite::Result<Option<Outage>> {
    db.query_row(&format!("{SELECT} WHERE method = ?1"), [method], outage).optional()
}

fn outage(row: &Row<'_>) -> rusqlite::Result<Outage> {
    Ok(Outage {
        method: row.get("method")?,
        since: time(row.get("since")?),
        last: time(row.get("last")?),
        detail: row.get("detail")?,
        told: maybe(row.get("told")?),
        waiting: row.get("waiting")?,
    })
}

/// Forgets outages of which nobody was told and for whose end nothing waits: what is not tried is neither broken nor well.
pub fn drop_stale(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM outages WHERE told IS NULL AND method NOT IN (SELECT method FROM outbox)", []).map(drop)
}

/// Notes that somebody was told.
pub fn set_told(db: &Connection, method: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    db.execute("UPDATE outages SET told = ?2 WHERE method = ?1", params![method, at.timestamp_micros()]).map(drop)
}

/// Queues an alert about an outage: `Failure`, or `Recovery` at its end.
pub fn announce(db: &Connection, kind: Kind, key: &str, outage: &Outage, by: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let alert = outbox::queue(db, &outbox::Alert { kind, key, about: None, at }, &[by.to_owned()])?;
    let json = serde_json::to_string(outage).unwrap_or_default();
    db.execute("UPDATE alerts SET outage = ?2 WHERE id = ?1", params![alert, json]).map(drop)
}

/// The outage that an alert is about.
pub(super) fn of_alert(row: &Row<'_>) -> rusqlite::Result<Option<Outage>> {
    let json: Option<String> = row.get("outage")?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}
