//! Every try to deliver an alert, and what became of it.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
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

impl Delivery {
    /// Whether the channel took it.
    pub fn was_sent(&self) -> bool {
        self.status == "sent"
    }
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

pub(super) fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery { method: row.get("method")?, status: row.get("status")?, detail: row.get("detail")?, at: time(row.get("at")?) })
}

/// The last try of each method to report this event.
pub fn of_event(db: &Connection, event: i64) -> rusqlite::Result<Vec<Delivery>> {
    let sql = "SELECT method, status, detail, at FROM deliveries WHERE id IN
        (SELECT max(d.id) FROM deliveries d JOIN alerts a ON a.id = d.alert WHERE a.event = ?1 GROUP BY d.method) ORDER BY method";
    db.prepare(sql)?.query_map([event], delivery)?.collect()
}

/// The last try by this method, of this alert or of any.
pub fn last(db: &Connection, method: &str, alert: Option<i64>) -> rusqlite::Result<Option<Delivery>> {
    let sql = "SELECT method, status, detail, at FROM deliveries
        WHERE method = ?1 AND (?2 IS NULL OR alert = ?2) ORDER BY id DESC LIMIT 1";
    db.query_row(sql, params![method, alert], delivery).optional()
}
