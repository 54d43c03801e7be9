//! What was not delivered when the recovery came: one message tells both.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::outbox::{self, Claimed};
use super::{deliveries, time};
use crate::message::Context;

/// An alert that is told with its recovery.
#[derive(Debug)]
pub struct Overtaken {
    /// Its row in the outbox.
    pub id: i64,
    /// Its number.
    pub alert: i64,
    /// When its event happened.
    pub at: DateTime<Utc>,
    /// How many tries there were.
    pub attempts: u32,
    /// What the last of them met.
    pub detail: Option<String>,
    /// The method's limit, if it waited for that.
    pub held: Option<String>,
    /// What is told beside its event.
    pub context: Context,
}

/// The alerts of this incident before this one that wait for this method, oldest first.
pub(super) fn by(db: &Connection, incident: i64, alert: i64, method: &str) -> rusqlite::Result<Vec<Overtaken>> {
    let sql = "SELECT o.id, o.alert, a.at, o.attempts, o.detail, o.held, a.context FROM outbox o JOIN alerts a ON a.id = o.alert
        WHERE a.incident = ?1 AND o.alert < ?2 AND o.method = ?3 ORDER BY o.alert";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map(params![incident, alert, method], |row| {
        Ok(Overtaken {
            id: row.get("id")?,
            alert: row.get("alert")?,
            at: time(row.get("at")?),
            attempts: row.get("attempts")?,
            detail: row.get("detail")?,
            held: row.get("held")?,
            context: outbox::context(row)?,
        })
    })?;
    rows.collect()
}

/// The recovery is delivered, and told what it had overtaken; what was given up meanwhile stays that.
pub fn settle_overtaken(db: &Connection, recovery: &Claimed, detail: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    for one in &recovery.overtaken {
        if db.execute("DELETE FROM outbox WHERE id = ?1", [one.id])? > 0 {
            deliveries::record_merged(db, one.alert, recovery, detail, at)?;
        }
    }
    Ok(())
}
