//! Every try to deliver an alert, and what became of it.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use sysalert_abi::Status;

use super::outbox::Claimed;
use super::time;

/// One try.
#[derive(Debug)]
pub struct Delivery {
    /// By which method.
    pub method: String,
    /// "sent", "retry" or "refused".
    pub status: String,
    /// What the method said.
    pub detail: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Files a try.
pub fn record(db: &Connection, claimed: &Claimed, status: Status, detail: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let word = match status {
        Status::Sent => "sent",
        Status::Retry => "retry",
        Status::Refused => "refused",
    };
    db.execute(
        "INSERT INTO deliveries (alert, method, attempt, status, detail, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![claimed.alert, claimed.method, claimed.attempt, word, detail, at.timestamp_micros()],
    )
    .map(drop)
}

/// The last try of each method to report this event.
pub fn of_event(db: &Connection, event: i64) -> rusqlite::Result<Vec<Delivery>> {
    let sql = "SELECT d.method, d.status, d.detail, max(d.id), d.at FROM deliveries d JOIN alerts a ON a.id = d.alert
         WHERE a.event = ?1 GROUP BY d.method ORDER BY d.method";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([event], |row| {
        Ok(Delivery { method: row.get(0)?, status: row.get(1)?, detail: row.get(2)?, at: time(row.get(4)?) })
    })?;
    rows.collect()
}
