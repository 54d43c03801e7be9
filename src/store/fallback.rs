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
    AND alert NOT IN (SELECT id FROM alerts WHERE kind IN ('test', 'digest'))";

/// Whether something waits for this method that its fallback was not given.
pub fn to_hand_over(db: &Connection, method: &str) -> rusqlite::Result<bool> {
    db.prepare(&format!("SELECT 1 FROM outbox WHERE {MEANT}"))?.exists(params![method, None::<String>])
}

/// Queues for the fallback what waits for a method: these alerts, or all. Each once, and none that the fallback was asked to
/// send anyway; a test is about its own method alone, and the fallback makes digests of its own. Tells how many were queued.
pub fn hand_over(db: &Connection, instead: Instead<'_>, alerts: Option<&[i64]>) -> rusqlite::Result<usize> {
    let Instead { by, of, because } = instead;
    let alerts = alerts.map(|alerts| serde_json::to_string(alerts).unwrap_or_default());
    let sql = format!(
        "INSERT OR IGNORE INTO outbox (alert, method, instead_of, because, held_until, held)
            SELECT alert, ?3, ?1, ?4, held_until, iif(held_until IS NULL, NULL, held) FROM outbox
         WHERE {MEANT} AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.alert = outbox.alert AND d.method = ?3)"
    );
    let queued = db.execute(&sql, params![of, alerts, by, because])?;
    db.execute(&format!("UPDATE outbox SET handed_over = 1 WHERE {MEANT}"), params![of, alerts])?;
    Ok(queued)
}

/// Queues a recovery for a method that stood in when its failures were told, or is about to; not if it was asked to anyway.
pub fn tell_stand_in(db: &Connection, recovery: i64, method: &str) -> rusqlite::Result<usize> {
    let sql = "INSERT OR IGNORE INTO outbox (alert, method) SELECT r.id, ?2 FROM alerts r
        WHERE r.id = ?1 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE alert = r.id AND method = ?2)
          AND EXISTS (SELECT 1 FROM alerts a WHERE a.incident = r.incident AND a.id < r.id
              AND (EXISTS (SELECT 1 FROM outbox WHERE alert = a.id AND method = ?2)
                OR EXISTS (SELECT 1 FROM deliveries WHERE alert = a.id AND method = ?2 AND status = 'sent')))";
    db.execute(sql, params![recovery, method])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, claim_at, failure, open, told};
    use super::super::{give_back, queue_test, record_delivery, waiting};
    use super::*;

    #[test]
    fn what_waits_is_handed_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        // the phone was asked anyway: one of these it has sent, one it still tries
        told(&mut store, &failure("b", "2", 0), &["mail", "phone"]);
        told(&mut store, &failure("c", "3", 0), &["mail", "phone"]);
        store.write(|db| queue_test(db, "4", at(0), &["mail".to_owned()])).unwrap();
        let sent = claim_at(&mut store, 1, &["mail"]).unwrap();
        assert_eq!((sent.key.as_str(), sent.method.as_str()), ("2", "phone"));
        store
            .write(|db| {
                record_delivery(db, &sent, sysalert_abi::Status::Sent, "", at(1))?;
                super::super::done(db, sent.id)
            })
            .unwrap();

        let instead = Instead { by: "phone", of: "mail", because: "keeps failing: busy" };
        assert!(store.with(|db| to_hand_over(db, "mail")).unwrap());
        assert_eq!(store.write(|db| hand_over(db, instead, Some(&[2]))).unwrap(), 0, "it has sent that");
        assert_eq!(store.write(|db| hand_over(db, instead, None)).unwrap(), 1, "the first alone");
        assert!(!store.with(|db| to_hand_over(db, "mail")).unwrap(), "a test is about its own method");
        let phone: Vec<_> = store.with(waiting).unwrap().into_iter().filter(|one| one.method == "phone").collect();
        let instead_of: Vec<_> = phone.iter().map(|one| one.instead_of.as_deref()).collect();
        assert_eq!(instead_of, [Some("mail"), None]);
        let claimed = claim_at(&mut store, 2, &["mail"]).unwrap();
        assert_eq!((claimed.key.as_str(), &claimed.instead_of), ("1", &Some(("mail".into(), "keeps failing: busy".into()))));

        // somebody gave it up by hand: it does not come back
        store.write(|db| super::super::done(db, claimed.id)).unwrap();
        assert_eq!(store.write(|db| hand_over(db, instead, None)).unwrap(), 0);
    }

    #[test]
    fn an_alert_knows_since_when_its_tries_fail() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        let mut try_at = |second| {
            let claimed = claim_at(&mut store, second, &[]).unwrap();
            store.write(|db| give_back(db, &claimed, at(second + 1), "busy")).unwrap();
            claimed.failing
        };
        assert_eq!([try_at(5), try_at(50), try_at(90)], [None, Some(at(5)), Some(at(5))]);
        assert_eq!(try_at(-100), Some(at(5)));
        assert_eq!(try_at(-90), Some(at(-100)), "a clock that was set back makes nothing older than it is");
    }
}
