//! Digests: many alerts of one method that go out as one. The alerts stay in the outbox, bound to their digest, until it is sent.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Params, params};
use sysalert_abi::Kind;

use super::events::{self, Recorded};
use super::incidents;
use super::outbox::{self, Alert, Claimed, kind};
use crate::incident::Incident;
use crate::message::Context;
use crate::policy::Reason;

/// The methods that have alerts about incidents to deliver which a digest could take in.
pub fn methods_at_work(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT o.method FROM outbox o JOIN alerts a ON a.id = o.alert
        WHERE a.incident IS NOT NULL AND o.digest IS NULL AND o.attempts = 0 AND coalesce(o.held_until, 0) <= ?1
        ORDER BY o.method";
    db.prepare(sql)?.query_map([now.timestamp_micros()], |row| row.get(0))?.collect()
}

/// Of how many incidents this method tells or told since then, and of how many it has yet to tell.
pub fn load(db: &Connection, method: &str, since: DateTime<Utc>, now: DateTime<Utc>) -> rusqlite::Result<(u64, u64)> {
    // later than now: the clock was set back
    let sql = "SELECT count(DISTINCT incident) FROM alerts a WHERE incident IS NOT NULL AND at > ?2 AND at <= ?3
        AND (EXISTS (SELECT 1 FROM outbox o WHERE o.alert = a.id AND o.method = ?1 AND coalesce(o.held_until, 0) <= ?3)
          OR EXISTS (SELECT 1 FROM deliveries d WHERE d.alert = a.id AND d.method = ?1 AND d.status = 'sent'))";
    let recent = db.query_row(sql, params![method, since.timestamp_micros(), now.timestamp_micros()], |row| row.get(0))?;
    let sql = "SELECT count(DISTINCT a.incident) FROM outbox o JOIN alerts a ON a.id = o.alert
        WHERE o.method = ?1 AND a.incident IS NOT NULL AND coalesce(o.held_until, 0) <= ?2";
    Ok((recent, db.query_row(sql, params![method, now.timestamp_micros()], |row| row.get(0))?))
}

/// A digest that is not being sent.
#[derive(Debug)]
pub struct Open {
    /// Its alert.
    pub alert: i64,
    /// When it was begun.
    pub begun: DateTime<Utc>,
}

/// The digest of a method that still takes in alerts: one that was tried may have arrived, and what is new in it would look like
/// what is known. One that tells what has waited tells nothing else.
pub fn open_digest(db: &Connection, method: &str, now: DateTime<Utc>) -> rusqlite::Result<Option<Open>> {
    let sql = "SELECT a.id, a.at FROM outbox o JOIN alerts a ON a.id = o.alert
        WHERE o.method = ?1 AND a.kind = 'digest' AND a.reason IS NULL AND o.attempts = 0 AND coalesce(o.lease, 0) <= ?2 ORDER BY a.id DESC LIMIT 1";
    let row = db.query_row(sql, params![method, now.timestamp_micros()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(row.map(|(alert, at)| Open { alert, begun: super::time(at) }))
}

/// When this method last sent a digest.
pub fn last_digest(db: &Connection, method: &str) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let sql = "SELECT max(d.at) FROM deliveries d JOIN alerts a ON a.id = d.alert
        WHERE a.kind = 'digest' AND d.method = ?1 AND d.status = 'sent'";
    db.query_row(sql, [method], |row| row.get(0)).map(events::maybe)
}

/// Begins a digest.
pub fn begin_digest(db: &Connection, key: &str, method: &str, at: DateTime<Utc>) -> rusqlite::Result<i64> {
    outbox::queue(db, &Alert { kind: Kind::Digest, key, about: None, at }, &[method.to_owned()])
}

/// Binds what the method has to tell to a digest, which is due then; a digest that was tried already keeps its own time. What
/// was tried by itself goes on by itself: it may have arrived, and would come once more under another key. How many were bound.
pub fn bind(db: &Connection, digest: i64, method: &str, due: DateTime<Utc>, now: DateTime<Utc>) -> rusqlite::Result<usize> {
    let sql =
        "UPDATE outbox SET digest = ?1 WHERE method = ?2 AND digest IS NULL AND attempts = 0 AND coalesce(held_until, 0) <= ?3
        AND alert IN (SELECT id FROM alerts WHERE incident IS NOT NULL)";
    let bound = db.execute(sql, params![digest, method, now.timestamp_micros()])?;
    if bound > 0 {
        let sql = "UPDATE outbox SET due = ?3 WHERE alert = ?1 AND method = ?2 AND attempts = 0";
        db.execute(sql, params![digest, method, due.timestamp_micros()])?;
    }
    Ok(bound)
}

/// An alert that goes out together with others.
#[derive(Debug)]
pub struct Member {
    /// Its kind.
    pub kind: Kind,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// Why, where its event does not say it.
    pub reason: Option<Reason>,
    /// The event that it is about.
    pub recorded: Recorded,
    /// The incident as it stands now.
    pub incident: Incident,
    /// What is told beside the event.
    pub context: Context,
}

/// The alerts of a digest, oldest first.
pub fn members(db: &Connection, digest: i64) -> rusqlite::Result<Vec<Member>> {
    those(db, "SELECT alert FROM outbox WHERE digest = ?1", [digest])
}

/// The alerts about incidents whose numbers this selects, oldest first.
pub(super) fn those(db: &Connection, numbers: &str, values: impl Params) -> rusqlite::Result<Vec<Member>> {
    let sql = format!("SELECT kind, at, reason, event, incident, context FROM alerts WHERE id IN ({numbers}) ORDER BY id");
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(values, |row| {
        let word: String = row.get("kind")?;
        let about: (Option<i64>, Option<i64>) = (row.get("event")?, row.get("incident")?);
        Ok((kind(&word), super::time(row.get("at")?), outbox::reason(row)?, about, outbox::context(row)?))
    })?;
    let mut members = Vec::new();
    for row in rows {
        let (kind, at, reason, about, context) = row?;
        let (Some(event), Some(incident)) = about else { continue };
        if let Some(recorded) = events::get(db, event)? {
            members.push(Member { kind, at, reason, recorded, incident: incidents::get(db, incident)?, context });
        }
    }
    Ok(members)
}

/// What the deliveries of a digest's alerts say.
pub(super) const IN_A_DIGEST: &str = "in a digest";

/// The rows of a digest's alerts, each with its alert.
pub fn rows_of_digest(db: &Connection, digest: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
    let sql = "SELECT id, alert FROM outbox WHERE digest = ?1 ORDER BY alert";
    db.prepare(sql)?.query_map([digest], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The method for which a digest stands in, and what is wrong with that, if all its alerts say the same method.
pub(super) fn instead_of(db: &Connection, digest: i64) -> rusqlite::Result<Option<(String, String)>> {
    let sql = "SELECT max(instead_of), max(because) FROM outbox WHERE digest = ?1
        GROUP BY digest HAVING count(*) = count(instead_of) AND count(DISTINCT instead_of) = 1";
    db.query_row(sql, [digest], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// A digest was sent: so are its alerts.
pub fn digest_sent(db: &Connection, claimed: &Claimed, now: DateTime<Utc>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO deliveries (alert, method, attempt, status, detail, at)
        SELECT alert, method, attempts + 1, 'sent', ?3, ?2 FROM outbox WHERE digest = ?1";
    db.execute(sql, params![claimed.alert, now.timestamp_micros(), IN_A_DIGEST])?;
    db.execute("DELETE FROM outbox WHERE digest = ?1", [claimed.alert]).map(drop)
}

const ORPHANED: &str = "digest IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox d WHERE d.alert = outbox.digest)";

/// Whether something is bound to a digest that is gone.
pub fn has_orphans(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare(&format!("SELECT 1 FROM outbox WHERE {ORPHANED}"))?.exists([])
}

/// Frees what is bound to a digest that is gone.
pub fn release_orphans(db: &Connection) -> rusqlite::Result<usize> {
    db.execute(&format!("UPDATE outbox SET digest = NULL WHERE {ORPHANED}"), [])
}

/// When the next digest is due that was not tried yet.
pub fn next_digest(db: &Connection) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let sql = "SELECT min(o.due) FROM outbox o JOIN alerts a ON a.id = o.alert WHERE a.kind = 'digest' AND o.attempts = 0";
    db.query_row(sql, [], |row| row.get(0)).map(events::maybe)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, claim_at, failure, open, told};
    use super::*;

    /// Whoever was to send it died, perhaps when it had arrived.
    #[test]
    fn what_was_tried_by_itself_goes_out_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        for unit in ["a", "b", "c"] {
            told(&mut store, &failure(unit, unit, 0), &["mail"]);
        }
        let tried = claim_at(&mut store, 0, &[]).unwrap();
        let digest = store
            .write(|db| {
                let digest = begin_digest(db, "key", "mail", at(60))?;
                assert_eq!(bind(db, digest, "mail", at(60), at(60))?, 2, "the claim is over, and all the same");
                Ok(digest)
            })
            .unwrap();
        assert_eq!(store.with(|db| methods_at_work(db, at(60))).unwrap(), [""; 0], "no digest could take in more");
        let names = |member: &Member| member.recorded.event.subject.name().to_owned();
        let members = store.with(|db| members(db, digest)).unwrap();
        assert_eq!(members.iter().map(names).collect::<Vec<_>>(), ["b.service", "c.service"]);
        let again = claim_at(&mut store, 60, &[]).unwrap();
        assert_eq!((again.key, again.attempt), (tried.key, 2));
    }

    /// The recovery's must not be the last word and then the failure's.
    #[test]
    fn a_digest_waits_for_an_earlier_one_about_the_same_incident() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let digest = |store: &mut super::super::Store, units: [(&str, &str); 2], second| {
            for (unit, run) in units {
                told(store, &failure(unit, run, second), &["mail"]);
            }
            let write = store.write(|db| {
                let digest = begin_digest(db, &format!("digest {second}"), "mail", at(second))?;
                bind(db, digest, "mail", at(second), at(second)).map(|_| digest)
            });
            write.unwrap()
        };
        let first = digest(&mut store, [("a", "1"), ("b", "2")], 0);
        assert_eq!(claim_at(&mut store, 0, &[]).unwrap().alert, first);
        let later = "UPDATE outbox SET lease = NULL, due = ?2 WHERE alert = ?1";
        store.write(|db| db.execute(later, params![first, at(100).timestamp_micros()])).unwrap();

        let other = digest(&mut store, [("c", "3"), ("d", "4")], 20);
        let claimed = claim_at(&mut store, 20, &[]).unwrap();
        assert_eq!(claimed.alert, other, "of what the first one does not tell");
        store.write(|db| digest_sent(db, &claimed, at(21)).and_then(|()| outbox::done(db, claimed.id))).unwrap();

        let second = digest(&mut store, [("b", "5"), ("e", "6")], 30);
        assert_eq!(claim_at(&mut store, 40, &[]).map(|claimed| claimed.alert), None, "b is told by the first one yet");
        let claimed = claim_at(&mut store, 100, &[]).unwrap();
        assert_eq!(claimed.alert, first);
        store.write(|db| digest_sent(db, &claimed, at(101)).and_then(|()| outbox::done(db, claimed.id))).unwrap();
        assert_eq!(claim_at(&mut store, 101, &[]).unwrap().alert, second);
    }
}
