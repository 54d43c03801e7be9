//! What an administrator does to the outbox by hand: try again now, or give up.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

/// Somebody is sending it at ?1; a lease of the future is over, too, once the clock was set back.
const LEASED: &str = "(coalesce(lease, 0) > ?1 AND tried <= ?1)";

/// What became of a wish to try again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    /// How many alerts are due now.
    pub due: usize,
    /// How many are being sent right now; they are left alone.
    pub leased: usize,
}

/// Makes an alert due at once, with those about its subject that go before it by the same method, or with it; without an ID, all but what
/// waits for its hour.
/// `None`: no alert of this ID waits.
pub fn retry(db: &Connection, id: Option<i64>, now: DateTime<Utc>) -> rusqlite::Result<Option<Retried>> {
    let now = now.timestamp_micros();
    let meant = "(?2 IS NULL AND coalesce(held_until, 0) <= ?1 OR id = ?2 OR id IN (
        SELECT o.id FROM outbox o JOIN alerts a ON a.id = o.alert JOIN incidents i ON i.id = a.incident
            JOIN outbox me ON me.id = ?2 JOIN alerts mine ON mine.id = me.alert JOIN incidents its ON its.id = mine.incident
        WHERE o.method = me.method AND i.subject = its.subject
            AND (o.alert < me.alert OR a.incident = mine.incident AND a.kind = 'recovery')))";
    if let Some(id) = id
        && !is_there(db, id)?
    {
        return Ok(None);
    }
    let sql = format!("SELECT count(*) FROM outbox WHERE {LEASED} AND {meant}");
    let leased = db.query_row(&sql, params![now, id], |row| row.get(0))?;
    let due = db.execute(
        &format!("UPDATE outbox SET due = 0, held_until = iif(?2 IS NULL, held_until, 0) WHERE NOT {LEASED} AND {meant}"),
        params![now, id],
    )?;
    Ok(Some(Retried { due, leased }))
}

/// What became of a wish to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It is out of the outbox.
    Gone,
    /// Somebody is sending it right now: it stays.
    Leased,
    /// No alert of this ID waits.
    Missing,
}

/// Takes an alert out of the outbox, undelivered.
pub fn drop_waiting(db: &Connection, id: i64, now: DateTime<Utc>) -> rusqlite::Result<Dropped> {
    // of a digest, what it would have told, too
    let sql = format!(
        "DELETE FROM outbox WHERE digest = (SELECT alert FROM outbox o JOIN alerts a ON a.id = o.alert
            WHERE o.id = ?2 AND a.kind = 'digest' AND NOT {})",
        LEASED.replace("lease", "o.lease").replace("tried", "o.tried")
    );
    db.execute(&sql, params![now.timestamp_micros(), id])?;
    let sql = format!("DELETE FROM outbox WHERE id = ?2 AND NOT {LEASED}");
    Ok(match (db.execute(&sql, params![now.timestamp_micros(), id])?, is_there(db, id)?) {
        (0, true) => Dropped::Leased,
        (0, false) => Dropped::Missing,
        _ => Dropped::Gone,
    })
}

fn is_there(db: &Connection, id: i64) -> rusqlite::Result<bool> {
    Ok(db.query_row("SELECT 1 FROM outbox WHERE id = ?1", [id], |_| Ok(())).optional()?.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, claim_at, failure, open, told};
    use super::super::{give_back, waiting};
    use super::*;

    /// The alerts' dues, in seconds: 0 is at once.
    fn dues(store: &super::super::Store) -> Vec<(i64, Option<DateTime<Utc>>)> {
        store.with(waiting).unwrap().into_iter().map(|waiting| (waiting.id, waiting.due)).collect()
    }

    #[test]
    fn retry_makes_due_and_leaves_what_is_being_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        for (unit, run) in [("a", "1"), ("b", "2"), ("c", "3")] {
            told(&mut store, &failure(unit, run, 0), &["mail"]);
        }
        for id in [1, 2] {
            let claimed = claim_at(&mut store, 1, &[]).unwrap();
            assert_eq!(claimed.id, id);
            store.write(|db| give_back(db, &claimed, at(900), "refused")).unwrap();
        }
        let held = claim_at(&mut store, 2, &[]).unwrap();
        let all = |store: &mut super::super::Store, id| store.write(|db| retry(db, id, at(5))).unwrap();
        assert_eq!(all(&mut store, Some(1)), Some(Retried { due: 1, leased: 0 }));
        assert_eq!(dues(&store), [(1, None), (2, Some(at(900))), (3, None)], "only the one that was named");
        assert_eq!(all(&mut store, None), Some(Retried { due: 2, leased: 1 }));
        assert_eq!(dues(&store), [(1, None), (2, None), (3, None)]);
        assert_eq!(all(&mut store, Some(99)), None);
        let lease = store.with(waiting).unwrap()[2].lease;
        assert_eq!(lease, Some(held.lease), "nobody else may take over what is being sent");
    }

    #[test]
    fn retry_takes_along_what_must_go_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail", "phone"]);
        told(&mut store, &failure("a", "2", 1), &["mail", "phone"]);
        while let Some(claimed) = claim_at(&mut store, 2, &[]) {
            store.write(|db| give_back(db, &claimed, at(900), "busy")).unwrap();
        }
        assert!(claim_at(&mut store, 5, &[]).is_none());
        let rows = store.with(waiting).unwrap();
        let later = rows.iter().filter(|row| row.method == "mail").max_by_key(|row| row.id).unwrap().id;
        store.write(|db| retry(db, Some(later), at(5))).unwrap();
        let claimed = claim_at(&mut store, 5, &[]).expect("the first mail is due, or the second never goes");
        assert_eq!((claimed.key.as_str(), claimed.method.as_str()), ("1", "mail"));
        assert!(claim_at(&mut store, 5, &["mail"]).is_none(), "the phone was not meant");
    }

    #[test]
    fn drop_takes_out_only_what_nobody_sends() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        let held = claim_at(&mut store, 1, &[]).unwrap();
        let give_up = |store: &mut super::super::Store, second| store.write(|db| drop_waiting(db, held.id, at(second))).unwrap();
        assert_eq!(give_up(&mut store, 10), Dropped::Leased);
        assert_eq!(store.with(waiting).unwrap().len(), 1);
        assert_eq!(give_up(&mut store, 11), Dropped::Gone, "its holder died");
        assert_eq!(give_up(&mut store, 11), Dropped::Missing);
    }

    #[test]
    fn a_lease_of_the_future_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        let held = claim_at(&mut store, 3600, &[]).unwrap();
        assert_eq!(store.write(|db| drop_waiting(db, held.id, at(1))).unwrap(), Dropped::Gone);
    }
}
