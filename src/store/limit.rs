//! What waits because its method has sent as much as it may.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Params};

/// Those that are due, or were when they were held, and do not say this yet.
const MEANT: &str =
    "method = ?1 AND coalesce(lease, 0) <= ?4 AND (held IS NOT NULL OR due <= ?4) AND (held IS NOT ?2 OR due <> ?3)
    AND coalesce(held_until, 0) <= ?4";

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

#[cfg(test)]
mod tests {
    use super::super::tests::{at, claim_at, failure, open, told};
    use super::super::{give_back, record_delivery, sent_between, waiting};
    use super::*;

    #[test]
    fn what_is_held_says_why_and_is_due_once_nothing_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail", "phone"]);
        told(&mut store, &failure("b", "2", 0), &["mail"]);
        let tried = claim_at(&mut store, 1, &["phone"]).unwrap();
        store.write(|db| give_back(db, &tried, at(500), "busy")).unwrap();

        assert!(store.with(|db| to_hold(db, "mail", "at most 1", at(60), at(2))).unwrap());
        store.write(|db| hold(db, "mail", "at most 1", at(60), at(2))).unwrap();
        assert!(!store.with(|db| to_hold(db, "mail", "at most 1", at(60), at(3))).unwrap(), "all is said");
        let rows: Vec<_> = store.with(waiting).unwrap().into_iter().map(|one| (one.method, one.due, one.held)).collect();
        let expected = [
            // the pause after its try is longer
            ("mail".to_owned(), Some(at(500)), None),
            ("phone".to_owned(), None, None),
            ("mail".to_owned(), Some(at(60)), Some("at most 1".to_owned())),
        ];
        assert_eq!(rows, expected);
        assert!(store.with(|db| to_hold(db, "mail", "at most 1", at(70), at(3))).unwrap(), "the next is later");

        assert!(claim_at(&mut store, 4, &["mail", "phone"]).is_none(), "the limit holds");
        let claimed = claim_at(&mut store, 4, &["phone"]).unwrap();
        assert_eq!((claimed.key.as_str(), claimed.held.as_deref()), ("2", Some("at most 1")), "the limit is gone");
        store.write(|db| give_back(db, &claimed, at(40), "busy")).unwrap();
        assert_eq!(store.with(waiting).unwrap()[2].held, None);
        assert!(claim_at(&mut store, 39, &["phone"]).is_none(), "now it pauses as any other");
    }

    #[test]
    fn only_what_was_sent_within_the_time_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        let claimed = claim_at(&mut store, 1, &[]).unwrap();
        let mut file = |status, second| store.write(|db| record_delivery(db, &claimed, status, "", at(second))).unwrap();
        let sent = sysalert_abi::Status::Sent;
        [1, 20, 30, 90].into_iter().for_each(|second| file(sent, second));
        file(sysalert_abi::Status::Retry, 40);
        let within = |since, now, most| store.with(|db| sent_between(db, "mail", at(since), at(now), most)).unwrap();
        assert_eq!(within(1, 50, 9), [at(30), at(20)]);
        assert_eq!(within(0, 100, 2), [at(90), at(30)]);
    }
}
