//! What a method told of that is not over: for channels that show one state for all.

use rusqlite::{Connection, params};

/// How many incidents, and outages of other methods, this method has told of, counting what it tells with this alert, that are
/// not over.
pub fn unended(db: &Connection, method: &str, alert: Option<i64>) -> rusqlite::Result<u64> {
    let told = "(EXISTS (SELECT 1 FROM deliveries d WHERE d.alert = a.id AND d.method = ?1 AND d.status = 'sent')
        OR EXISTS (SELECT 1 FROM outbox o WHERE o.alert = a.id AND o.method = ?1 AND (o.alert = ?2 OR o.digest = ?2)))";
    let sql = format!(
        "SELECT (SELECT count(*) FROM incidents i WHERE i.state <> 'resolved'
                AND EXISTS (SELECT 1 FROM alerts a WHERE a.incident = i.id AND a.kind <> 'recovery' AND {told}))
            + (SELECT count(*) FROM outages t WHERE t.told IS NOT NULL
                AND EXISTS (SELECT 1 FROM alerts a WHERE a.outage ->> 'method' = t.method AND a.at = t.told AND {told}))"
    );
    db.query_row(&sql, params![method, alert], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use sysalert_abi::{Kind, Status};

    use super::super::tests::{at, claim_at, failure, open, subject, told};
    use super::super::{
        Store, active, announce, begin_digest, bind, cannot_send, done, outages, queue_test, record_delivery, save, sends,
        set_told,
    };
    use super::*;

    fn count(store: &Store, method: &str, alert: Option<i64>) -> u64 {
        store.with(|db| unended(db, method, alert)).unwrap()
    }

    /// Sends what is due, and says how many are not over then.
    fn sent(store: &mut Store, second: i64) -> u64 {
        let claimed = claim_at(store, second, &[]).unwrap();
        let meanwhile = count(store, &claimed.method, Some(claimed.alert));
        let filed = store.write(|db| {
            record_delivery(db, &claimed, Status::Sent, "ok", at(second))?;
            done(db, claimed.id)
        });
        filed.unwrap();
        assert_eq!(count(store, &claimed.method, None), meanwhile, "sent or being sent: the same");
        meanwhile
    }

    fn ends(store: &mut Store, unit: &str) {
        let ended = store.write(|db| save(db, &active(db, &subject(unit))?.unwrap().resolved(), at(90)));
        ended.unwrap();
    }

    #[test]
    fn what_a_method_told_counts_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["check"]);
        told(&mut store, &failure("b", "2", 0), &["mail"]);
        told(&mut store, &failure("c", "3", 0), &["check"]);
        assert_eq!(count(&store, "check", None), 0, "nothing was told yet");
        assert_eq!([sent(&mut store, 1), sent(&mut store, 1), sent(&mut store, 1)], [1, 1, 2]);
        ends(&mut store, "a");
        assert_eq!((count(&store, "check", None), count(&store, "mail", None)), (1, 1));
        ends(&mut store, "c");
        assert_eq!(count(&store, "check", None), 0);
        store.write(|db| queue_test(db, "test", at(95), &["mail".into()])).unwrap();
        assert_eq!(sent(&mut store, 95), 1, "a test is none");
    }

    #[test]
    fn what_goes_out_in_a_digest_counts_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        for unit in ["a", "b"] {
            told(&mut store, &failure(unit, unit, 0), &["check"]);
        }
        let digest = store.write(|db| {
            let digest = begin_digest(db, "key", "check", at(1))?;
            bind(db, digest, "check", at(1), at(1)).map(|_| digest)
        });
        assert_eq!((count(&store, "check", Some(digest.unwrap())), count(&store, "check", None)), (2, 0));
    }

    #[test]
    fn an_outage_of_another_method_counts_until_that_works() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let begun = store.write(|db| {
            cannot_send(db, "mail", "busy", at(10))?;
            set_told(db, "mail", at(20))?;
            announce(db, Kind::Failure, "key", &outages(db)?[0], "check", at(20))
        });
        begun.unwrap();
        assert_eq!(sent(&mut store, 21), 1);
        store.write(|db| sends(db, "mail")).unwrap();
        assert_eq!(count(&store, "check", None), 0);
    }
}
