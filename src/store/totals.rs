//! What metrics tell: totals that triggers keep (see the schema), and what is few at any time. Nothing here reads the events.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::events::maybe;
use super::processes::{self, ProcessRecord};
use super::sensors::{self, Sensed, Streak};
use super::{looks, outages, silences, time};
use crate::event::Subject;
use crate::incident::State;

/// All of it, as of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// How many incidents are in each state but the last, `resolved`.
    pub incidents: Vec<(State, u64)>,
    /// The units that failed, and those of which a success is known; by subject.
    pub units: Vec<UnitTotals>,
    /// How many tries to deliver, by method and how they ended.
    pub deliveries: Vec<(String, String, u64)>,
    /// What waits for each method that something waits for.
    pub outbox: Vec<Queue>,
    /// The methods that have sent nothing since a try failed.
    pub failing: Vec<String>,
    /// What became of the restarts of processes, by name.
    pub processes: BTreeMap<String, ProcessRecord>,
    /// Up to when the journal was swept.
    pub swept: Option<DateTime<Utc>>,
    /// What the sensors saw last.
    pub sensors: Vec<Sensed>,
    /// The rules that are violated, or were a moment ago.
    pub streaks: Vec<Streak>,
    /// How many silences hold.
    pub silences: usize,
}

/// A unit's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitTotals {
    /// The unit.
    pub subject: Subject,
    /// Its incident is open or acknowledged.
    pub failed: bool,
    /// How many runs failed since the record began, pruned ones included.
    pub failures: u64,
    /// When the last one did.
    pub last_failure: Option<DateTime<Utc>>,
    /// When it last ended well, as far as that is known.
    pub last_success: Option<DateTime<Utc>>,
}

/// What waits for a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The method.
    pub method: String,
    /// How many alerts.
    pub alerts: u64,
    /// When the oldest of them was decided.
    pub oldest: DateTime<Utc>,
}

const INCIDENTS: &str = "SELECT count(*) FROM incidents WHERE state = ?1 AND state <> 'resolved'";
const UNITS: &str = "SELECT u.*, i.id IS NOT NULL AND i.state <> 'pending' AS failed
    FROM unit_totals u LEFT JOIN incidents i ON i.subject = u.subject AND i.state <> 'resolved' ORDER BY u.subject";
const DELIVERIES: &str = "SELECT method, status, deliveries FROM delivery_totals ORDER BY method, status";
const OUTBOX: &str = "SELECT o.method, count(*) AS alerts, min(a.at) AS oldest FROM outbox o JOIN alerts a ON a.id = o.alert
    GROUP BY o.method ORDER BY o.method";

/// Reads it.
pub fn totals(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<Totals> {
    let snapshot = db.unchecked_transaction()?;
    let states = [State::Pending, State::Open, State::Acknowledged];
    let incidents = |state: State| snapshot.query_row(INCIDENTS, [state.as_str()], |row| Ok((state, row.get(0)?)));
    let queue =
        |row: &Row<'_>| Ok(Queue { method: row.get("method")?, alerts: row.get("alerts")?, oldest: time(row.get("oldest")?) });
    Ok(Totals {
        incidents: states.into_iter().map(incidents).collect::<rusqlite::Result<_>>()?,
        units: snapshot.prepare(UNITS)?.query_map([], unit)?.collect::<rusqlite::Result<_>>()?,
        deliveries: snapshot
            .prepare(DELIVERIES)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?,
        outbox: snapshot.prepare(OUTBOX)?.query_map([], queue)?.collect::<rusqlite::Result<_>>()?,
        failing: outages::outages(&snapshot)?.into_iter().map(|outage| outage.method).collect(),
        processes: processes::process_records(&snapshot)?,
        swept: looks::swept(&snapshot)?,
        sensors: sensors::sensors(&snapshot)?,
        streaks: sensors::streaks(&snapshot)?,
        silences: silences::silences(&snapshot, now)?.len(),
    })
}

fn unit(row: &Row<'_>) -> rusqlite::Result<UnitTotals> {
    Ok(UnitTotals {
        subject: Subject::stored(row.get("subject")?),
        failed: row.get("failed")?,
        failures: row.get("failures")?,
        last_failure: maybe(row.get("last_failure")?),
        last_success: maybe(row.get("last_success")?),
    })
}

/// Up to when the journal was read for successes; `None`: never.
pub fn succeeded(db: &Connection) -> rusqlite::Result<Option<DateTime<Utc>>> {
    db.query_row("SELECT value FROM meta WHERE key = 'succeeded'", [], |row| row.get(0).map(time)).optional()
}

/// Keeps when these units last ended well, and up to when that is known.
pub fn set_succeeded(db: &Connection, units: &[(Subject, DateTime<Utc>)], until: DateTime<Utc>) -> rusqlite::Result<()> {
    for (subject, at) in units {
        let sql = "INSERT INTO unit_totals (subject, last_success) VALUES (?1, ?2)
            ON CONFLICT (subject) DO UPDATE SET last_success = max(coalesce(last_success, ?2), ?2)";
        db.execute(sql, params![subject.as_str(), at.timestamp_micros()])?;
    }
    let sql = "INSERT INTO meta (key, value) VALUES ('succeeded', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
    db.execute(sql, [until.timestamp_micros()]).map(drop)
}

/// Why the metrics could not be written, if that was said.
pub fn metrics_trouble(db: &Connection) -> rusqlite::Result<Option<String>> {
    db.query_row("SELECT value FROM meta WHERE key = 'metrics'", [], |row| row.get(0)).optional()
}

/// Notes that it was said, or that they are written again.
pub fn set_metrics_trouble(db: &Connection, trouble: Option<&str>) -> rusqlite::Result<()> {
    match trouble {
        Some(text) => {
            let sql = "INSERT INTO meta (key, value) VALUES ('metrics', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
            db.execute(sql, [text]).map(drop)
        }
        None => db.execute("DELETE FROM meta WHERE key = 'metrics'", []).map(drop),
    }
}

/// Forgets the units of which there is no event any more, and nothing newer than this.
pub(super) fn forget(db: &Connection, before: DateTime<Utc>) -> rusqlite::Result<()> {
    let sql = "DELETE FROM unit_totals WHERE max(coalesce(last_failure, 0), coalesce(last_success, 0)) < ?1
        AND NOT EXISTS (SELECT 1 FROM events WHERE events.subject = unit_totals.subject)";
    db.execute(sql, [before.timestamp_micros()]).map(drop)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sysalert_abi::Status;

    use super::super::tests::{at, claim_at, failure, open, subject, told};
    use super::super::{
        Older, Store, active, clear, correct, done, drop_unconfirmed, file, insert, prune, prune_a_step, record_delivery, save,
    };
    use super::*;
    use crate::event::Event;

    fn units(store: &Store) -> Vec<UnitTotals> {
        store.with(|db| totals(db, at(0))).unwrap().units
    }

    fn of(unit: &str, failures: u64, last_failure: i64) -> UnitTotals {
        UnitTotals { subject: subject(unit), failed: false, failures, last_failure: Some(at(last_failure)), last_success: None }
    }

    #[test]
    fn a_failure_counts_once_and_only_when_it_is_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        store.write(|db| insert(db, &failure("a", "1", 1), false)).unwrap();
        assert_eq!(units(&store), []);
        store.write(|db| correct(db, 1, &failure("a", "1", 2))).unwrap();
        assert_eq!(units(&store), [of("a", 1, 2)]);
        // once more by a trigger, and by a look
        store.write(|db| insert(db, &failure("a", "1", 3), false)).unwrap();
        store.write(|db| file(db, &failure("a", "1", 3))).unwrap();
        assert_eq!(units(&store), [of("a", 1, 2)]);
        // a trigger for what the look finds to be on record already
        store
            .write(|db| {
                insert(db, &failure("a", "trigger", 4), false)?;
                drop_unconfirmed(db, 2)
            })
            .unwrap();
        assert_eq!(units(&store), [of("a", 1, 2)]);
        // systemd was to try again, and gave up
        store.write(|db| file(db, &Event { restarts: true, ..failure("a", "2", 5) })).unwrap();
        store.write(|db| file(db, &failure("a", "2", 6))).unwrap();
        assert_eq!(units(&store), [of("a", 2, 6)]);
        store.write(|db| insert(db, &failure("a", "3", 7), false)).unwrap();
        store.write(|db| clear(db, &subject("a"), at(8)).map(drop)).unwrap();
        assert_eq!(units(&store), [of("a", 3, 7)], "what is cleared happened");
    }

    #[test]
    fn incidents_outbox_and_deliveries() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 5), &["mail", "phone"]);
        told(&mut store, &failure("b", "2", 3), &["mail"]);
        for status in [Status::Retry, Status::Sent] {
            let claimed = claim_at(&mut store, 100, &["phone"]).unwrap();
            store
                .write(|db| {
                    record_delivery(db, &claimed, status, "", at(100))?;
                    done(db, claimed.id)
                })
                .unwrap();
        }
        told(&mut store, &failure("a", "3", 7), &["mail"]);
        store.write(|db| outages::cannot_send(db, "phone", "busy", at(10))).unwrap();
        store
            .write(|db| {
                let incident = active(db, &subject("b"))?.unwrap().resolved();
                save(db, &incident, at(50))
            })
            .unwrap();
        let found = store.with(|db| totals(db, at(0))).unwrap();
        assert_eq!(found.incidents, [(State::Pending, 0), (State::Open, 1), (State::Acknowledged, 0)]);
        let outbox: Vec<_> = found.outbox.into_iter().map(|queue| (queue.method, queue.alerts, queue.oldest)).collect();
        assert_eq!(outbox, [("mail".into(), 1, at(7)), ("phone".into(), 1, at(5))]);
        assert_eq!(found.deliveries, [("mail".into(), "retry".into(), 1), ("mail".into(), "sent".into(), 1)]);
        assert_eq!(found.failing, ["phone"]);
        let expected = [UnitTotals { failed: true, ..of("a", 2, 7) }, UnitTotals { last_success: Some(at(50)), ..of("b", 1, 3) }];
        assert_eq!(units(&store), expected);
    }

    /// A counter that falls would be read as a restart of everything it counts.
    #[test]
    fn what_is_pruned_stays_counted_until_nothing_is_left_of_the_unit() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        for unit in ["a", "b"] {
            told(&mut store, &failure(unit, unit, 0), &[]);
            store
                .write(|db| {
                    let incident = active(db, &subject(unit))?.unwrap().resolved();
                    save(db, &incident, at(1))
                })
                .unwrap();
        }
        told(&mut store, &failure("c", "c", 0), &[]);
        store.write(|db| set_succeeded(db, &[(subject("b"), at(500)), (subject("d"), at(500))], at(500))).unwrap();
        let names = |store: &Store| units(store).into_iter().map(|unit| (unit.subject, unit.failures)).collect::<Vec<_>>();
        let left = |units: &[(&str, u64)]| units.iter().map(|(unit, count)| (subject(unit), *count)).collect::<Vec<_>>();
        prune(&mut store, at(100), &|_| {}).unwrap();
        assert_eq!(names(&store), left(&[("b", 1), ("c", 1), ("d", 0)]));
        for second in [1000, 1001] {
            prune_a_step(&mut store, Duration::from_secs(60), at(second)).unwrap();
        }
        assert_eq!(names(&store), left(&[("c", 1)]), "its incident is not over");
    }

    #[test]
    fn a_database_that_kept_no_totals_gets_them() {
        let folder = tempfile::tempdir().unwrap();
        let old = Connection::open(folder.path().join("sysalert.db")).unwrap();
        old.execute_batch(include_str!("version1.sql")).unwrap();
        drop(old);
        let store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(60)).unwrap();
        let found = store.with(|db| totals(db, at(0))).unwrap();
        assert_eq!((found.units.len(), found.units[0].failures, found.units[0].failed), (1, 1, true));
        assert_eq!(found.deliveries, [("phone".into(), "sent".into(), 1)]);
    }

    /// A million events must not make dispatch slow.
    #[test]
    fn no_question_reads_a_whole_history() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for sql in [looks::TO_LOOK_AT, super::super::standing::STANDING, INCIDENTS, UNITS, DELIVERIES, OUTBOX] {
            let plan: Vec<String> = store
                .with(|db| {
                    let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.replace("?1", "'open'")))?;
                    plan.query_map([], |row| row.get("detail"))?.collect()
                })
                .unwrap();
            let small = [
                "u",
                "o",
                "delivery_totals",
                "incidents USING INDEX incidents_active",
                "events USING INDEX events_undecided",
                "i USING INDEX incidents_active",
            ];
            let scans = plan.iter().filter_map(|step| step.strip_prefix("SCAN "));
            let long: Vec<&str> =
                scans.filter(|what| !small.iter().any(|fine| *what == *fine || what.starts_with(&format!("{fine} ")))).collect();
            assert!(long.is_empty(), "{sql}\n{plan:#?}");
        }
    }
}
