//! What waits because its method has sent as much as it may.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Params};

/// Those that are due, or were when they were held, and do not say this yet.
const MEANT: &str =
    "method = ?1 AND coalesce(lease, 0) <= ?4 AND (held IS NOT NULL OR due <= ?4) AND (held IS NOT ?2 OR due <> ?3)";

/// Whether some alert of this method does not say yet that it waits for this, until then at least.
pub fn to_hold(db: &Connection, method: &str, why: &str, until: DateTime<Utc>, now: DateTime<Utc>) -> rusqlite::Result<bool> {
    db.prepare(&format!("SELECT 1 FROM outbox WHERE {MEANT}"))?.exists(values(method, why, until, now))
}

/// Notes that at each of them.
pub fn hold(db: &Connection, method: &str, why: &str, until: DateTime<Utc>, now: DateTime<Utc>) -> rusqlite::Result<()> {
    db.execute(&format!("UPDATE outbox SET held = ?2, due = ?3 WHERE {MEANT}"), values(method, why, until, now)).map(drop)
}

fn values<'a>(method: &'a str, why: &'a str, until: DateTime<Utc>, now: DateTime<Utc>) -> impl Params + 'a {
    (method, why, until.timestamp_micros(), now.timestamp_micros())
}
