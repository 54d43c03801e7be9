//! Methods that cannot send, and the alerts about that.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
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
    /// How many alerts wait for the method, and how many it should get again.
    pub waiting: u64,
}

/// A try by this method failed.
pub fn cannot_send(db: &Connection, method: &str, detail: &str, now: DateTime<Utc>) -> rusqlite::Result<()> {
    // after a clock that was set back it cannot have begun in the future
    let sql = "INSERT INTO outages (method, since, last, detail) VALUES (?1, ?2, ?2, ?3)
        ON CONFLICT (method) DO UPDATE SET since = min(since, ?2), last = ?2, detail = ?3";
    db.execute(sql, params![method, now.timestamp_micros(), detail]).map(drop)
}

/// Whether this method is known to fail.
pub fn is_failing(db: &Connection, method: &str) -> rusqlite::Result<bool> {
    db.prepare("SELECT 1 FROM outages WHERE method = ?1")?.exists([method])
}

/// This method has sent something: the outage that this ends.
pub fn sends(db: &Connection, method: &str) -> rusqlite::Result<Option<Outage>> {
    let ended = one(db, method)?;
    if ended.is_some() {
        db.execute("DELETE FROM outages WHERE method = ?1", [method])?;
    }
    Ok(ended)
}

// what is held for its hour, or silenced, does not wait for the method
const SELECT: &str = "SELECT method, since, last, detail, told,
    (SELECT count(*) FROM outbox WHERE outbox.method = outages.method AND coalesce(outbox.held_until, 0) <= outages.last)
        + (SELECT count(*) FROM resends WHERE resends.method = outages.method) AS waiting FROM outages";

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
    let sql = "DELETE FROM outages WHERE told IS NULL
        AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.method = outages.method AND coalesce(outbox.held_until, 0) <= outages.last)
        AND method NOT IN (SELECT method FROM resends)";
    db.execute(sql, []).map(drop)
}

/// Notes that somebody was told.
pub fn set_told(db: &Connection, method: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    db.execute("UPDATE outages SET told = ?2 WHERE method = ?1", params![method, at.timestamp_micros()]).map(drop)
}

/// Queues an alert about an outage: `Failure`, or `Recovery` at its end.
pub fn announce(db: &Connection, kind: Kind, key: &str, outage: &Outage, by: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    about_itself(db, &outbox::Alert { kind, key, about: None, at }, outage, &[by.to_owned()])
}

/// Queues an alert about sysalert itself.
pub(super) fn about_itself(
    db: &Connection,
    alert: &outbox::Alert<'_>,
    what: &impl Serialize,
    methods: &[String],
) -> rusqlite::Result<()> {
    let alert = outbox::queue(db, alert, methods)?;
    let json = serde_json::to_string(what).unwrap_or_default();
    db.execute("UPDATE alerts SET outage = ?2 WHERE id = ?1", params![alert, json]).map(drop)
}

/// The outage that an alert is about, or the damage: each has fields that the other has not.
pub(super) fn of_alert<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<Option<T>> {
    let json: Option<String> = row.get("outage")?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, claim_at, failure, open, told};
    use super::super::{done, drop_tests, waiting};
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_failed_try_to_the_next_message() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        store.write(|db| cannot_send(db, "mail", "busy", at(10))).unwrap();
        store.write(|db| cannot_send(db, "mail", "down", at(70))).unwrap();
        let found = store.with(outages).unwrap().remove(0);
        assert_eq!((found.since, found.last, found.detail.as_str(), found.waiting), (at(10), at(70), "down", 1));
        store.write(|db| cannot_send(db, "mail", "down", at(-5))).unwrap();
        assert_eq!(store.with(outages).unwrap()[0].since, at(-5), "the clock was set back");
        assert_eq!(store.write(|db| sends(db, "mail")).unwrap().unwrap().since, at(-5));
        assert!(store.with(outages).unwrap().is_empty());
        assert!(store.write(|db| sends(db, "mail")).unwrap().is_none());
    }

    #[test]
    fn an_outage_is_forgotten_when_nothing_waits_unless_somebody_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail", "phone"]);
        for method in ["mail", "phone", "pager"] {
            store.write(|db| cannot_send(db, method, "busy", at(10))).unwrap();
        }
        store.write(|db| set_told(db, "pager", at(20))).unwrap();
        let claimed = claim_at(&mut store, 11, &["phone"]).unwrap();
        store.write(|db| done(db, claimed.id)).unwrap();
        store.write(|db| drop_stale(db)).unwrap();
        let left: Vec<_> = store.with(outages).unwrap().into_iter().map(|outage| outage.method).collect();
        assert_eq!(left, ["pager", "phone"]);
    }

    #[test]
    fn an_alert_about_an_outage_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.write(|db| cannot_send(db, "mail", "busy", at(10))).unwrap();
        let outage = store.with(outages).unwrap().remove(0);
        store.write(|db| announce(db, Kind::Failure, "key", &outage, "phone", at(20))).unwrap();
        // `db clear --all` forgets tests, not this
        store.write(|db| drop_tests(db)).unwrap();
        assert_eq!(store.with(waiting).unwrap()[0].outage.as_deref(), Some("mail"));
        let claimed = claim_at(&mut store, 21, &[]).unwrap();
        assert_eq!((claimed.outage, claimed.about.is_none()), (Some(outage), true));
    }
}
