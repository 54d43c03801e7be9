//! What a method cannot deliver goes to its fallback, too; the method itself goes on trying.

use rusqlite::{Connection, params};

/// One method stands in for another.
#[derive(Debug, Clone, Copy)]
pub struct Instead<'a> {
    /// The one that sends.
    pub by: &'a str,
    /// The one that should.
    pub of: &'a str,
    /// What is wrong with that: "keeps failing: ...".
    pub because: &'a str,
}

const MEANT: &str = "method = ?1 AND NOT handed_over AND (?2 IS NULL OR alert IN (SELECT value FROM json_each(?2)))
    AND alert NOT IN (SELECT id FROM alerts WHERE kind = 'test')";

/// Whether something waits for this method that its fallback was not given.
pub fn to_hand_over(db: &Connection, method: &str) -> rusqlite::Result<bool> {
    db.prepare(&format!("SELECT 1 FROM outbox WHERE {MEANT}"))?.exists(params![method, None::<String>])
}

/// Queues for the fallback what waits for a method: these alerts, or all. Each once, and none that the fallback was asked to
/// send anyway; a test is about its own method alone. Tells how many were queued.
pub fn hand_over(db: &Connection, instead: Instead<'_>, alerts: Option<&[i64]>) -> rusqlite::Result<usize> {
    let Instead { by, of, because } = instead;
    let alerts = alerts.map(|alerts| serde_json::to_string(alerts).unwrap_or_default());
    let sql = format!(
        "INSERT OR IGNORE INTO outbox (alert, method, instead_of, because) SELECT alert, ?3, ?1, ?4 FROM outbox
         WHERE {MEANT} AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.alert = outbox.alert AND d.method = ?3)"
    );
    let queued = db.execute(&sql, params![of, alerts, by, because])?;
    db.execute(&format!("UPDATE outbox SET handed_over = 1 WHERE {MEANT}"), params![of, alerts])?;
    Ok(queued)
}
