//! Every try to deliver an alert, and what became of it.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sysalert_abi::Status;

use super::outbox::Claimed;
use super::overtaken::Overtaken;
use super::{digests, time};

/// One try.
#[derive(Debug)]
pub struct Delivery {
    /// By which method.
    pub method: String,
    /// "sent", "retry", "refused", "merged" (told with its recovery, in one message) or "expired" (given up).
    pub status: String,
    /// What the method said.
    pub detail: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl Delivery {
    /// Whether the channel took it, or the message that tells it, too.
    pub fn was_sent(&self) -> bool {
        matches!(self.status.as_str(), "sent" | "merged")
    }
}

/// Files a try.
pub fn record(db: &Connection, claimed: &Claimed, status: Status, detail: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let word = match status {
        Status::Sent => "sent",
        Status::Retry => "retry",
        Status::Refused => "refused",
    };
    file(db, claimed.alert, &claimed.method, claimed.attempt, word, detail, at)
}

/// Files that an alert is given up.
pub fn record_expired(db: &Connection, alert: i64, claimed: &Claimed, detail: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    file(db, alert, &claimed.method, claimed.attempt, "expired", detail, at)
}

/// Files that an alert was told by this method with its recovery, after so many tries to tell it alone.
pub(super) fn record_merged(
    db: &Connection,
    one: &Overtaken,
    method: &str,
    detail: &str,
    at: DateTime<Utc>,
) -> rusqlite::Result<()> {
    file(db, one.alert, method, one.attempts, "merged", detail, at)
}

fn file(
    db: &Connection,
    alert: i64,
    method: &str,
    attempt: u32,
    word: &str,
    detail: &str,
    at: DateTime<Utc>,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO deliveries (alert, method, attempt, status, detail, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.execute(sql, params![alert, method, attempt, word, detail, at.timestamp_micros()]).map(drop)
}

/// When this method sent its newest messages after `since`, the newest first; at most so many.
pub fn sent_between(
    db: &Connection,
    method: &str,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    most: u64,
) -> rusqlite::Result<Vec<DateTime<Utc>>> {
    // later than now: the clock was set back
    let sql = "SELECT at FROM deliveries WHERE method = ?1 AND at > ?2 AND at <= ?3 AND status = 'sent' AND detail <> ?5
        ORDER BY at DESC LIMIT ?4";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = params![method, since.timestamp_micros(), now.timestamp_micros(), most, digests::IN_A_DIGEST];
    db.prepare(sql)?.query_map(rows, |row| row.get(0).map(time))?.collect()
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
