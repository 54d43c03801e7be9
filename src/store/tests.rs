//! Tests of the whole store.

use std::fs;
use std::thread;

use rusqlite::types::Value;

use super::*;
use crate::event::{Event, Manager, Outcome, Problem, Subject, UnitName};
use crate::incident::Severity;
use crate::policy::Reason;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
}

pub(super) fn subject(unit: &str) -> Subject {
    Subject::unit(&Manager::System, &UnitName::typed(unit).unwrap())
}

pub(super) fn failure(unit: &str, run: &str, second: i64) -> Event {
    let [service_result, exit_code, exit_status] = ["exit-code", "exited", "3"].map(|word| Some(word.to_owned()));
    Event {
        subject: subject(unit),
        outcome: Outcome::Failed,
        run: run.to_owned(),
        invocation_id: Some(run.to_owned()),
        problem: Problem { service_result, exit_code, exit_status, cause: None },
        triggered_by: None,
        start: None,
        restarts: false,
        at: at(second),
    }
}

pub(super) fn open(folder: &Path) -> Store {
    Store::open(folder, Older::Refuse, PATIENCE).unwrap()
}

/// A failure that was decided, with its alert queued for these methods.
pub(super) fn told(store: &mut Store, event: &Event, methods: &[&str]) {
    let methods: Vec<String> = methods.iter().map(|&name| name.to_owned()).collect();
    let queued = store.write(|db| {
        insert(db, event, true)?;
        let id = db.last_insert_rowid();
        let incident = match active(db, &event.subject)? {
            Some(incident) => incident,
            None => begin(db, &event.subject, Severity::Critical, event.at)?,
        }
        .failed(event.at, true);
        save(db, &incident, event.at)?;
        decide(db, id, Some(incident.id), &Reason::First)?;
        let alert = Alert { kind: sysalert_abi::Kind::Failure, key: &event.run, about: Some((incident.id, id)), at: event.at };
        let alert = queue(db, &alert, &methods)?;
        set_context(db, alert, &crate::message::Context::default())
    });
    queued.unwrap();
}

pub(super) fn claim_at(store: &mut Store, second: i64, busy: &[&str]) -> Option<Claimed> {
    let busy: Vec<String> = busy.iter().map(|&name| name.to_owned()).collect();
    store.write(|db| claim(db, at(second), &busy, |_| at(second + 10))).unwrap()
}

#[test]
fn each_commit_is_synced_and_foreign_keys_hold() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let asked = |name: &str| store.db.pragma_query_value(None, name, |row| row.get::<_, Value>(0)).unwrap();
    assert_eq!(asked("journal_mode"), Value::Text("wal".to_owned()));
    for (name, value) in [("synchronous", 2), ("foreign_keys", 1), ("wal_autocheckpoint", 10_000)] {
        assert_eq!(asked(name), Value::Integer(value), "{name}");
    }
}

/// Somebody's tool may have turned the log off: of another journal nobody would sync the place.
#[test]
fn a_database_without_a_log_gets_it_back() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let tool = Connection::open(folder.path().join(FILE)).unwrap();
    tool.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    drop(tool);
    assert!(!folder.path().join(LOG).exists());
    let mut store = open(folder.path());
    told(&mut store, &failure("a", "1", 0), &["mail"]);
    assert!(size_of(&folder.path().join(LOG)) > 0);
}

#[test]
fn the_oldest_database_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join(FILE)).unwrap();
    // what version 1 left behind: never change it
    old.execute_batch(include_str!("version1.sql")).unwrap();
    drop(old);
    let store = Store::open(folder.path(), Older::Migrate, PATIENCE).unwrap();
    let rows = store.with(|db| list(db, Which::Active)).unwrap();
    assert_eq!((rows.len(), rows[0].incident.subject.name(), rows[0].alerts), (1, "backup.service", 1));
    assert_eq!(store.with(waiting).unwrap()[0].method, "mail");

    assert!(store.with(schema::is_of_its_version).unwrap(), "a migrated database differs from a new one");
}

#[test]
fn an_empty_file_is_a_damaged_database() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Store::read(folder.path()).unwrap().is_none(), "without a file");
    // a new one is made under another name: nobody meets half of it, not even after a kill
    fs::write(folder.path().join(FILE), "").unwrap();
    for error in [Store::open(folder.path(), Older::Refuse, PATIENCE).unwrap_err(), Store::read(folder.path()).unwrap_err()] {
        assert_eq!(error.kind, Kind::Damaged, "{error}");
    }
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).db.pragma_update(None, "user_version", 99).unwrap();
    let errors = [
        Store::open(folder.path(), Older::Migrate, PATIENCE).unwrap_err(),
        Store::open(folder.path(), Older::Refuse, PATIENCE).unwrap_err(),
        Store::read(folder.path()).unwrap_err(),
    ];
    for error in errors {
        let path = folder.path().join(FILE);
        let expected = format!(
            "the database {} is of a newer version than this sysalert\n\
             hint: install the newer sysalert again, or move the database away",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_damaged_database_says_what_to_do_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let garbage = "no database, but a text that is long enough to look like one. ".repeat(100);
    fs::write(&path, &garbage).unwrap();
    for error in [Store::open(folder.path(), Older::Migrate, PATIENCE).unwrap_err(), Store::read(folder.path()).unwrap_err()] {
        assert_eq!(error.kind, Kind::Damaged);
        assert!(error.message.contains(&path.display().to_string()), "{error}");
        assert!(error.hint.as_ref().is_some_and(|hint| hint.starts_with("it is damaged: the next run of")), "{error}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), garbage);
}

#[test]
fn twenty_writers_at_once_lose_nothing() {
    const EACH: i64 = 5;
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for writer in 0..20 {
            let folder = folder.path();
            scope.spawn(move || {
                for number in 0..EACH {
                    // as a handler does: one connection an event, the first ones on a folder without a database
                    let event = failure("a", &format!("{writer}-{number}"), number);
                    assert!(open(folder).write(|db| insert(db, &event, true)).unwrap());
                }
            });
        }
    });
    let store = Store::read(folder.path()).unwrap().unwrap();
    assert_eq!(store.with(undecided).unwrap().len(), 20 * EACH as usize);
    assert_eq!(store.with(|db| db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))).unwrap(), "ok");
}

#[test]
fn readers_see_what_is_committed_and_disturb_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let count = |reader: &Store| reader.with(undecided).unwrap().len();
    store.write(|db| insert(db, &failure("a", "1", 0), true)).unwrap();
    let readers = [(); 2].map(|()| Store::read(folder.path()).unwrap().unwrap());
    store
        .write(|db| {
            insert(db, &failure("a", "2", 1), true)?;
            assert_eq!(readers.each_ref().map(count), [1, 1], "before the commit");
            Ok(())
        })
        .unwrap();
    assert_eq!(readers.each_ref().map(count), [2, 2], "after the commit");
    let refused = readers[0].with(|db| db.execute("DELETE FROM events", []));
    assert_eq!(refused.unwrap_err().kind, Kind::Permission);
    store.write(|db| db.execute("DELETE FROM events", [])).unwrap();
}

#[test]
fn a_write_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let written: Result<()> = store.write(|db| {
        insert(db, &failure("a", "1", 0), true)?;
        Err(rusqlite::Error::InvalidQuery)
    });
    assert!(written.is_err());
    assert!(store.with(undecided).unwrap().is_empty());
}

#[test]
fn the_same_observation_is_one_event() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let first = failure("a", "1", 0);
    let mut without_result = failure("a", "5", 0);
    without_result.problem = Problem::default();
    let other_result = Problem { service_result: Some("signal".to_owned()), ..first.problem.clone() };
    let rows = [
        ("the first", first.clone(), true),
        ("the same again", first.clone(), false),
        ("later", Event { at: at(99), ..first.clone() }, false),
        (
            "another exit status of the same result",
            Event { problem: Problem { exit_status: None, ..first.problem.clone() }, ..first.clone() },
            false,
        ),
        ("another run", failure("a", "2", 0), true),
        ("another unit", failure("b", "1", 0), true),
        ("another outcome", Event { outcome: Outcome::Succeeded, ..first.clone() }, true),
        ("another result", Event { problem: other_result, ..first }, true),
        ("without a result", without_result.clone(), true),
        ("without a result again", without_result, false),
    ];
    for (what, event, is_new) in rows {
        assert_eq!(store.write(|db| insert(db, &event, true)).unwrap(), is_new, "{what}");
    }
}

#[test]
fn a_claim_holds_until_its_lease_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    told(&mut store, &failure("a", "1", 0), &["mail"]);
    let first = claim_at(&mut store, 1, &[]).unwrap();
    assert_eq!((first.method.as_str(), first.attempt, first.lease), ("mail", 1, at(11)));
    assert!(claim_at(&mut store, 10, &[]).is_none(), "somebody holds it");
    let second = claim_at(&mut store, 11, &[]).unwrap();
    assert_eq!((second.key, second.attempt), (first.key.clone(), 2), "its holder died");

    // the first was only slow: what it says of a try that is no longer its own changes nothing
    store.write(|db| give_back(db, &first, at(500), "slow")).unwrap();
    let waits = store.with(waiting).unwrap();
    assert_eq!((waits[0].due, waits[0].detail.clone()), (None, None));
    assert!(claim_at(&mut store, 20, &[]).is_none(), "the second still holds it");
}

#[test]
fn what_is_given_back_waits_until_it_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    told(&mut store, &failure("a", "1", 0), &["mail"]);
    let claimed = claim_at(&mut store, 1, &[]).unwrap();
    store.write(|db| give_back(db, &claimed, at(31), "connection refused")).unwrap();
    assert!(claim_at(&mut store, 30, &[]).is_none());
    let again = claim_at(&mut store, 31, &[]).unwrap();
    assert_eq!((again.attempt, again.detail.as_deref()), (2, Some("connection refused")));
    store.write(|db| done(db, again.id)).unwrap();
    assert!(store.with(waiting).unwrap().is_empty());
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let day = 24 * 3600;
    told(&mut store, &failure("a", "1", day), &["mail"]);
    let claimed = claim_at(&mut store, 0, &[]).expect("an alert of tomorrow, by the old clock, is due");
    store.write(|db| give_back(db, &claimed, at(30), "busy")).unwrap();
    assert!(claim_at(&mut store, 1, &[]).is_none(), "its pause");
    assert!(claim_at(&mut store, -day, &[]).is_some(), "a pause that began tomorrow is over");
    assert!(claim_at(&mut store, -day, &[]).is_none(), "its lease");
    assert!(claim_at(&mut store, -2 * day, &[]).is_some(), "a lease that began tomorrow is over");
}

#[test]
fn alerts_of_one_incident_keep_their_order_and_others_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    told(&mut store, &failure("a", "1", 0), &["mail", "phone"]);
    told(&mut store, &failure("a", "2", 1), &["mail", "phone"]);
    told(&mut store, &failure("b", "3", 2), &["mail"]);
    let mut claimed = || claim_at(&mut store, 5, &[]).map(|claimed| format!("{} {}", claimed.key, claimed.method));
    let order: Vec<String> = std::iter::from_fn(&mut claimed).take(9).collect();
    assert_eq!(order, ["1 mail", "1 phone", "3 mail"], "the second alert of a waits for the first");

    let busy = tempfile::tempdir().unwrap();
    let mut store = open(busy.path());
    told(&mut store, &failure("a", "1", 0), &["mail", "phone"]);
    assert_eq!(claim_at(&mut store, 5, &["mail"]).unwrap().method, "phone");
}

#[test]
fn a_unit_that_fails_again_waits_for_the_news_of_its_last_incident() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    told(&mut store, &failure("a", "1", 0), &["mail"]);
    let claimed = claim_at(&mut store, 1, &[]).unwrap();
    store.write(|db| give_back(db, &claimed, at(30), "busy")).unwrap();
    let incident = store.with(|db| active(db, &subject("a"))).unwrap().unwrap();
    store.write(|db| save(db, &incident.resolved(), at(2))).unwrap();
    told(&mut store, &failure("a", "2", 3), &["mail"]);
    assert!(claim_at(&mut store, 10, &[]).is_none(), "old news that come last would be taken for the newest");
    let later = store.with(waiting).unwrap().iter().map(|row| row.id).max();
    store.write(|db| retry(db, later, at(11))).unwrap();
    assert_eq!(claim_at(&mut store, 11, &[]).unwrap().key, "1");
}

#[test]
fn clear_ends_the_incident_and_keeps_its_history() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    told(&mut store, &failure("a", "1", 0), &["mail"]);
    told(&mut store, &failure("b", "2", 0), &["mail"]);
    store.write(|db| insert(db, &failure("a", "3", 1), true)).unwrap();
    assert!(store.write(|db| clear(db, &subject("a"), at(9))).unwrap());

    let units: Vec<Option<String>> = store.with(waiting).unwrap().into_iter().map(|waiting| waiting.subject).collect();
    assert_eq!(units, [Some("unit:b.service".to_owned())], "only what was queued for a is dropped");
    assert!(store.with(undecided).unwrap().is_empty(), "what nobody decided yet does not speak later");
    let rows = store.with(|db| list(db, Which::All)).unwrap();
    let row = rows.iter().find(|row| row.incident.subject == subject("a")).unwrap();
    assert_eq!((row.incident.state, row.incident.failures, row.cleared), (crate::incident::State::Resolved, 1, true));
    assert!(!store.write(|db| insert(db, &failure("a", "1", 0), true)).unwrap(), "a cleared failure does not come back");
    assert!(!store.write(|db| clear(db, &subject("a"), at(9))).unwrap(), "there is nothing left to clear");
}

/// The incident is over, but its alerts wait for a server that is down.
#[test]
fn clear_drops_what_waits_of_an_incident_that_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    told(&mut store, &failure("a", "1", 0), &["mail"]);
    store
        .write(|db| {
            let incident = active(db, &subject("a"))?.unwrap().resolved();
            save(db, &incident, at(5))
        })
        .unwrap();
    store.write(|db| clear(db, &subject("a"), at(9))).unwrap();
    assert!(store.with(waiting).unwrap().is_empty(), "an alert of a cleared unit still waits");
}
