//! What was not delivered when the recovery came: one message tells both.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use sysalert_abi::Kind;

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
    /// Its kind.
    pub kind: Kind,
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
    let sql = "SELECT o.id, o.alert, a.kind, a.at, o.attempts, o.detail, o.held, a.context FROM outbox o JOIN alerts a ON a.id = o.alert
        WHERE a.incident = ?1 AND o.alert < ?2 AND o.method = ?3 AND o.digest IS NULL ORDER BY o.alert";
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map(params![incident, alert, method], |row| {
        Ok(Overtaken {
            id: row.get("id")?,
            alert: row.get("alert")?,
            kind: outbox::kind(&row.get::<_, String>("kind")?),
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
            deliveries::record_merged(db, one, &recovery.method, detail, at)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sysalert_abi::Status;

    use super::super::tests::{at, claim_at, failure, open, subject, told};
    use super::super::{Alert, Store, active, done, give_back, last_of, queue, record_delivery, set_context, waiting};
    use super::*;

    /// The recovery of a, without an event of its own.
    fn recovers(store: &mut Store) {
        let recovery = store.write(|db| {
            let incident = active(db, &subject("a"))?.map_or(0, |incident| incident.id);
            let event = last_of(db, &subject("a"))?.map_or(0, |event| event.id);
            let alert = Alert { kind: Kind::Recovery, key: "r", about: Some((incident, event)), at: at(9) };
            let alert = queue(db, &alert, &["mail".to_owned(), "phone".to_owned()])?;
            set_context(db, alert, &Context::default())
        });
        recovery.unwrap();
    }

    #[test]
    fn the_recovery_takes_along_what_its_method_has_not_delivered() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail", "phone"]);
        told(&mut store, &failure("a", "2", 1), &["mail"]);
        told(&mut store, &failure("b", "3", 2), &["mail"]);
        let first = claim_at(&mut store, 3, &["phone"]).unwrap();
        recovers(&mut store);
        let keys = |store: &mut Store, second, busy: &[&str]| claim_at(store, second, busy).map(|claimed| claimed.key);
        assert_eq!(keys(&mut store, 4, &["phone"]).as_deref(), Some("3"));
        assert_eq!(keys(&mut store, 4, &["phone"]), None, "while a failure is being sent, its recovery waits");
        store.write(|db| give_back(db, &first, at(4), "busy")).unwrap();

        let recovery = claim_at(&mut store, 5, &["phone"]).unwrap();
        let taken: Vec<_> = recovery.overtaken.iter().map(|one| (one.alert, one.attempts, one.detail.as_deref())).collect();
        assert_eq!((recovery.key.as_str(), taken), ("r", vec![(1, 1, Some("busy")), (2, 0, None)]));
        assert!(claim_at(&mut store, 6, &["phone"]).is_none(), "they are told by it alone");
        // by the other method, too, each for itself
        assert_eq!(claim_at(&mut store, 6, &["mail"]).unwrap().overtaken.len(), 1);

        // at its second try it is told, and somebody drops one of them meanwhile
        store.write(|db| give_back(db, &recovery, at(6), "busy")).unwrap();
        let recovery = claim_at(&mut store, 6, &["phone"]).unwrap();
        store.write(|db| done(db, recovery.overtaken[1].id)).unwrap();
        let settled = store.write(|db| {
            record_delivery(db, &recovery, Status::Sent, "", at(7))?;
            settle_overtaken(db, &recovery, "told with its recovery", at(7))?;
            done(db, recovery.id)
        });
        settled.unwrap();
        let left: Vec<_> = store.with(waiting).unwrap().into_iter().map(|one| (one.method, one.with_recovery)).collect();
        assert_eq!(left, [("phone", true), ("mail", false), ("phone", false)].map(|(name, with)| (name.to_owned(), with)));
        let merged = |alert| {
            let last = store.with(|db| super::super::last_delivery(db, "mail", Some(alert))).unwrap();
            last.map(|last| (last.status.clone(), last.was_sent()))
        };
        assert_eq!((merged(1), merged(2)), (Some(("merged".to_owned(), true)), None));
        let tries = "SELECT attempt FROM deliveries WHERE alert = 1 AND method = 'mail' AND status = 'merged'";
        let tries: u32 = store.with(|db| db.query_row(tries, [], |row| row.get(0))).unwrap();
        assert_eq!(tries, 1, "its own, not its recovery's");
    }
}
