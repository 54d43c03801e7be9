//! What somebody wants to hear nothing of for a while.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};

use super::time;
use crate::policy::Silence;

/// Begins a silence; one of the same names is replaced.
pub fn silence(db: &Connection, silence: &Silence) -> rusqlite::Result<()> {
    let Silence { glob, since, until, by, why } = silence;
    let sql = "INSERT OR REPLACE INTO silences (glob, since, until, by, why) VALUES (?1, ?2, ?3, ?4, ?5)";
    db.execute(sql, params![glob, since.timestamp_micros(), until.timestamp_micros(), by, why]).map(drop)
}

/// Ends it; false when there is none of these names.
pub fn unsilence(db: &Connection, glob: &str) -> rusqlite::Result<bool> {
    db.execute("DELETE FROM silences WHERE glob = ?1", [glob]).map(|ended| ended > 0)
}

/// Those that hold now, the one that ends first comes first.
pub fn silences(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Vec<Silence>> {
    let sql = "SELECT glob, since, until, by, why FROM silences WHERE ?1 < until ORDER BY until, glob";
    let row = |row: &Row<'_>| {
        Ok(Silence {
            glob: row.get("glob")?,
            since: time(row.get("since")?),
            until: time(row.get("until")?),
            by: row.get("by")?,
            why: row.get("why")?,
        })
    };
    let mut silences: Vec<Silence> =
        db.prepare(sql)?.query_map([now.timestamp_micros()], row)?.collect::<rusqlite::Result<_>>()?;
    silences.retain(|silence| silence.holds(now));
    Ok(silences)
}

/// Forgets those that are over; `before`: a while ago, so that a clock that jumps ends none.
pub(super) fn forget(db: &Connection, before: DateTime<Utc>) -> rusqlite::Result<()> {
    db.execute("DELETE FROM silences WHERE until < ?1", [before.timestamp_micros()]).map(drop)
}
