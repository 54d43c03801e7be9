//! Retention: forgets what is over and old, a bounded step at a time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::{Store, silences, time, totals};
use crate::error::Result;
use crate::policy::Reason;

/// One transaction removes so many rows at the most, so that no handler waits long for the lock.
const STEP: u32 = 1000;
/// How often dispatch looks for something to prune.
const PACE: TimeDelta = TimeDelta::days(1);
/// When dispatch last found nothing more to prune.
const PRUNED: &str = "pruned";
/// After a longer pause the clock is not believed at once: it may have jumped years ahead, by which all of the record is old.
const LONG: TimeDelta = TimeDelta::days(3);
const DOUBT: TimeDelta = TimeDelta::days(7);
/// Since when it is in doubt.
const JUMPED: &str = "jumped";

/// The incidents that are not over before ?1, or of which an alert still waits.
const NEEDED: &str = "SELECT id FROM incidents WHERE state <> 'resolved' OR coalesce(ended, last_failure) >= ?1
    UNION SELECT a.incident FROM outbox o JOIN alerts a ON a.id = o.alert WHERE a.incident IS NOT NULL";

/// What is pruned, in this order: nothing goes before what refers to it.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// That are about no event: tests, for example.
    Alerts,
    /// With the alerts about them, and with their incidents as soon as these have no more. What nobody has decided yet stays.
    Events,
    /// That kept silent while their unit flapped, as it still does: their incident has counted them.
    Silent,
}

const PARTS: [Part; 2] = [Part::Alerts, Part::Events];

impl Part {
    /// Which rows may go: at most ?2 of those older than ?1 that fit this condition.
    fn old(self, among: &str) -> String {
        match self {
            Part::Alerts => format!(
                "SELECT id FROM alerts WHERE at < ?1 AND event IS NULL AND (incident IS NULL OR incident NOT IN ({NEEDED}))
                    AND id NOT IN (SELECT alert FROM outbox) AND {among} ORDER BY id LIMIT ?2"
            ),
            // by incidents: one that is half gone would be listed with what it never was
            Part::Events => format!(
                "SELECT id FROM events WHERE at < ?1 AND reason IS NOT NULL
                    AND (incident IS NULL OR incident NOT IN ({NEEDED}))
                    AND id NOT IN (SELECT a.event FROM outbox o JOIN alerts a ON a.id = o.alert WHERE a.event IS NOT NULL)
                    AND {among} ORDER BY incident, id LIMIT ?2"
            ),
            Part::Silent => format!(
                "SELECT id FROM (SELECT e.id FROM incidents i JOIN events e ON e.subject = i.subject AND e.incident = i.id
                    WHERE i.state <> 'resolved' AND i.flapping IS NOT NULL AND e.at < ?1
                    AND json_extract(e.reason, '$.reason') = '{}' AND NOT EXISTS (SELECT 1 FROM alerts WHERE event = e.id))
                    WHERE {among} LIMIT ?2",
                Reason::Flapping.word()
            ),
        }
    }

    /// Removes these rows.
    fn remove(self, db: &Connection, ids: &[i64]) -> rusqlite::Result<Pruned> {
        let list = json(ids);
        let delete = |what: &str| db.execute(&format!("DELETE FROM {what}"), [&list]);
        match self {
            Part::Alerts => {
                delete("deliveries WHERE alert IN (SELECT value FROM json_each(?1))")?;
                delete("alerts WHERE id IN (SELECT value FROM json_each(?1))")?;
                Ok(Pruned::default())
            }
            Part::Events | Part::Silent => {
                let sql = "SELECT DISTINCT incident FROM events
                    WHERE id IN (SELECT value FROM json_each(?1)) AND incident IS NOT NULL";
                let incidents = numbers(db, sql, [&list])?;
                // the next look at the unit begins after them: what it filed again would be news
                let sql = "UPDATE marks SET at = max(at, newest) FROM
                    (SELECT subject AS pruned, max(at) AS newest FROM events WHERE id IN (SELECT value FROM json_each(?1)) GROUP BY subject)
                    WHERE subject = pruned";
                db.execute(sql, [&list])?;
                delete("deliveries WHERE alert IN (SELECT id FROM alerts WHERE event IN (SELECT value FROM json_each(?1)))")?;
                delete("alerts WHERE event IN (SELECT value FROM json_each(?1))")?;
                let events = delete("events WHERE id IN (SELECT value FROM json_each(?1))")?;
                let sql = "DELETE FROM incidents WHERE id IN (SELECT value FROM json_each(?1))
                    AND NOT EXISTS (SELECT 1 FROM events WHERE incident = incidents.id)
                    AND NOT EXISTS (SELECT 1 FROM alerts WHERE incident = incidents.id)";
                Ok(Pruned { events, incidents: db.execute(sql, [json(&incidents)])? })
            }
        }
    }
}

/// How many rows are gone.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Events, whose alerts and deliveries went with them.
    pub events: usize,
    /// Incidents.
    pub incidents: usize,
}

/// Removes what is over and happened before this time, and what was sent about it, in steps; each is told how far it has
/// come. Incidents that are not over stay whole, and so does what an alert that waits is about. Up to when the journal was
/// asked is not forgotten, so that nothing comes back from there.
///
/// # Errors
/// `Failure`, when the lock or the database is not to be had; the steps before are done.
pub fn prune(store: &mut Store, before: DateTime<Utc>, told: &dyn Fn(Pruned)) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    for part in PARTS {
        while step(store, part, before, &mut pruned)? {
            told(pruned);
        }
    }
    store.write(|db| {
        totals::forget(db, before)?;
        silences::forget(db, before)
    })?;
    Ok(pruned)
}

/// Dispatch's share: one step. When nothing is left to prune, it rests for a day; when it was not there for days, for a week.
///
/// # Errors
/// `Failure`, when the lock or the database is not to be had.
pub fn prune_a_step(store: &mut Store, history: Duration, now: DateTime<Utc>) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let (last, jumped) = store.with(|db| Ok((noted(db, PRUNED)?, noted(db, JUMPED)?)))?;
    // in the future: the clock was set back
    if last.is_some_and(|last| last <= now && now - last < PACE) {
        return Ok(pruned);
    }
    let jumps = last.is_some_and(|last| now - last > LONG);
    if jumps || jumped.is_some_and(|jumped| jumped <= now && now - jumped < DOUBT) {
        store.write(|db| {
            note(db, PRUNED, now)?;
            if jumps { note(db, JUMPED, now) } else { Ok(()) }
        })?;
        return Ok(pruned);
    }
    // a unit that flaps may fail ten times a second
    let old = before(history, now);
    for (part, before) in [(Part::Silent, old.max(now - PACE)), (Part::Alerts, old), (Part::Events, old)] {
        if step(store, part, before, &mut pruned)? {
            return Ok(pruned);
        }
    }
    store.write(|db| {
        totals::forget(db, old)?;
        silences::forget(db, old)?;
        note(db, PRUNED, now)
    })?;
    Ok(pruned)
}

/// The time before which all is old.
pub fn before(history: Duration, now: DateTime<Utc>) -> DateTime<Utc> {
    TimeDelta::from_std(history).ok().and_then(|history| now.checked_sub_signed(history)).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Removes up to [`STEP`] rows of this part; false when there was none to remove.
fn step(store: &mut Store, part: Part, before: DateTime<Utc>, pruned: &mut Pruned) -> Result<bool> {
    // the search may be long, and disturbs nobody; only the removal needs the lock
    let found = store.with(|db| old(db, part, before, None))?;
    if found.is_empty() {
        return Ok(false);
    }
    // what happened in between counts
    let gone = store.write(|db| part.remove(db, &old(db, part, before, Some(&found))?))?;
    pruned.events += gone.events;
    pruned.incidents += gone.incidents;
    Ok(true)
}

fn old(db: &Connection, part: Part, before: DateTime<Utc>, among: Option<&[i64]>) -> rusqlite::Result<Vec<i64>> {
    let condition = if among.is_some() { "id IN (SELECT value FROM json_each(?3))" } else { "?3 IS NULL" };
    numbers(db, &part.old(condition), params![before.timestamp_micros(), STEP, among.map(json)])
}

fn numbers(db: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<Vec<i64>> {
    db.prepare(sql)?.query_map(values, |row| row.get(0))?.collect()
}

fn json(ids: &[i64]) -> String {
    serde_json::to_string(ids).unwrap_or_default()
}

fn noted(db: &Connection, key: &str) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let at: Option<i64> = db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    Ok(at.map(time))
}

fn note(db: &Connection, key: &str, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
    db.execute(sql, params![key, at.timestamp_micros()]).map(drop)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use sysalert_abi::Kind;

    use super::super::tests::{at, claim_at, failure, open, subject, told};
    use super::super::{Alert, active, decide, done, insert, last_of, mark, queue, save, set_mark, waiting};
    use super::*;
    use crate::incident::{Flapping, How, Incident};

    const DAY: i64 = 24 * 3600;

    /// The unit's incident is over.
    fn resolve(store: &mut Store, unit: &str, second: i64) {
        let resolved = store.write(|db| {
            let incident = active(db, &subject(unit))?.unwrap().resolved();
            save(db, &incident, at(second))
        });
        resolved.unwrap();
    }

    /// Everything that waits is delivered.
    fn deliver(store: &mut Store) {
        while let Some(claimed) = claim_at(store, DAY, &[]) {
            let delivered = store.write(|db| {
                super::super::record_delivery(db, &claimed, sysalert_abi::Status::Sent, "taken", at(DAY))?;
                done(db, claimed.id)
            });
            delivered.unwrap();
        }
    }

    fn rows(store: &Store) -> [i64; 5] {
        ["incidents", "events", "alerts", "outbox", "deliveries"]
            .map(|table| store.with(|db| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))).unwrap())
    }

    fn prune_at(store: &mut Store, second: i64) -> Pruned {
        prune(store, at(second), &|_| {}).unwrap()
    }

    #[test]
    fn what_is_over_and_old_goes_with_all_that_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail", "phone"]);
        told(&mut store, &failure("a", "2", 5), &["mail"]);
        deliver(&mut store);
        resolve(&mut store, "a", 10);
        let whole = rows(&store);
        assert_eq!(whole, [1, 2, 2, 0, 3]);
        assert_eq!(prune_at(&mut store, 10), Pruned::default(), "it ended at this moment, not before it");
        assert_eq!(rows(&store), whole);
        assert_eq!(prune_at(&mut store, 11), Pruned { events: 2, incidents: 1 });
        assert_eq!(rows(&store), [0; 5]);
    }

    #[test]
    fn what_is_not_over_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("open", "1", 0), &["mail"]);
        deliver(&mut store);
        told(&mut store, &failure("waits", "2", 0), &[]);
        told(&mut store, &failure("waits", "3", 0), &["mail"]);
        resolve(&mut store, "waits", 1);
        told(&mut store, &failure("alone", "4", 0), &["mail"]);
        resolve(&mut store, "alone", 1);
        store.write(|db| db.execute("UPDATE alerts SET incident = NULL WHERE key = '4'", [])).unwrap();
        store.write(|db| insert(db, &failure("undecided", "5", 0), true)).unwrap();
        let whole = rows(&store);
        assert_eq!(prune_at(&mut store, 9 * DAY), Pruned::default());
        assert_eq!(rows(&store), whole);
        assert_eq!(store.with(waiting).unwrap().len(), 2);
    }

    #[test]
    fn what_belongs_to_no_incident_goes_by_its_own_age() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        for (run, second) in [("1", 0), ("2", 100)] {
            store
                .write(|db| {
                    insert(db, &failure("a", run, second), true)?;
                    decide(db, db.last_insert_rowid(), None, &Reason::Cleared)?;
                    let test = Alert { kind: Kind::Test, key: run, about: None, at: at(second) };
                    queue(db, &test, &[])
                })
                .unwrap();
        }
        assert_eq!(prune_at(&mut store, 50), Pruned { events: 1, incidents: 0 });
        assert_eq!(rows(&store), [0, 1, 1, 0, 0]);
        assert_eq!(store.with(|db| last_of(db, &subject("a"))).unwrap().unwrap().event.run, "2");
    }

    #[test]
    fn it_goes_in_bounded_steps() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let many = i64::from(STEP) + 1;
        store
            .write(|db| {
                (0..many).try_for_each(|number| {
                    insert(db, &failure("a", &number.to_string(), number), true)?;
                    decide(db, db.last_insert_rowid(), None, &Reason::Cleared)
                })
            })
            .unwrap();
        let steps = Cell::new(0);
        prune(&mut store, at(DAY), &|_| steps.set(steps.get() + 1)).unwrap();
        assert_eq!((steps.get(), rows(&store)[1]), (2, 0));
    }

    #[test]
    fn dispatch_takes_one_step_and_rests_for_a_day_when_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let over = |store: &mut Store, run: &str| {
            told(store, &failure("a", run, 0), &[]);
            resolve(store, "a", 1);
        };
        let history = Duration::from_secs(30);
        let run = |store: &mut Store, second| prune_a_step(store, history, at(second)).unwrap();
        over(&mut store, "1");
        assert_eq!(run(&mut store, 30), Pruned::default(), "young");
        assert_eq!(run(&mut store, 60), Pruned::default(), "old, but looked for a moment ago");
        assert_eq!(run(&mut store, 30 + DAY), Pruned { events: 1, incidents: 1 });
        over(&mut store, "2");
        assert_eq!(run(&mut store, 31 + DAY), Pruned { events: 1, incidents: 1 }, "the next step");
        assert_eq!(run(&mut store, 32 + DAY), Pruned::default());
        over(&mut store, "3");
        assert_eq!(run(&mut store, 33 + DAY), Pruned::default(), "it rests");
        assert_eq!(run(&mut store, DAY / 2), Pruned { events: 1, incidents: 1 }, "not after the clock was set back");
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_back_prunes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &[]);
        resolve(&mut store, "a", 1);
        let history = Duration::from_secs(100 * 24 * 3600);
        let mut run = |day: i64| prune_a_step(&mut store, history, at(day * DAY)).unwrap().events;
        // fourteen years ahead for days, and back; then a machine that was off for half a year
        let days = [1, 2, 5000, 5001, 5002, 5005, 3, 4, 5].into_iter().chain(180..187);
        assert_eq!(days.map(&mut run).sum::<usize>(), 0);
        assert_eq!(run(187), 1, "in the end it is really that late");
    }

    #[test]
    fn what_kept_silent_while_a_unit_flaps_is_forgotten_after_a_day_and_stays_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &[]);
        told(&mut store, &failure("other", "2", 0), &[]);
        let flapping = Flapping { how: How::Restarting, since: at(0), times: 3, last: at(2 * DAY), over: false };
        let silent = store.write(|db| {
            let incident = Incident { failures: 3, ..active(db, &subject("a"))?.unwrap().begins_to_flap(flapping) };
            save(db, &incident, at(0))?;
            for (run, second) in [("3", 10), ("4", 2 * DAY)] {
                insert(db, &failure("a", run, second), true)?;
                decide(db, db.last_insert_rowid(), Some(incident.id), &Reason::Flapping)?;
            }
            Ok(())
        });
        silent.unwrap();
        let year = Duration::from_secs(365 * 24 * 3600);
        let run = |store: &mut Store, second| prune_a_step(store, year, at(second)).unwrap().events;
        assert_eq!(run(&mut store, 2 * DAY), 1, "the one that is older than a day");
        let runs = |store: &Store| {
            let history = store.with(|db| super::super::of_subject(db, &subject("a"))).unwrap();
            history.into_iter().map(|(recorded, _)| recorded.event.run).collect::<Vec<_>>()
        };
        assert_eq!(runs(&store), ["1", "4"], "what spoke stays");
        assert_eq!(store.with(|db| active(db, &subject("a"))).unwrap().unwrap().failures, 3);
        assert_eq!(super::super::check(&store, super::super::Stage::Records).unwrap(), [], "and that is no contradiction");
        assert_eq!((run(&mut store, 3 * DAY), run(&mut store, 4 * DAY + 1), rows(&store)[1]), (0, 1, 2));
    }

    #[test]
    fn what_is_pruned_does_not_come_back_from_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        for unit in ["a", "b", "c"] {
            for (run, second) in [("1", 0), ("2", 7)] {
                told(&mut store, &failure(unit, &format!("{unit}{run}"), second), &[]);
            }
            resolve(&mut store, unit, 8);
        }
        let marks = [("a", 3), ("b", 9)];
        store.write(|db| marks.iter().try_for_each(|(unit, second)| set_mark(db, &subject(unit), at(*second)))).unwrap();
        assert_eq!(prune_at(&mut store, DAY).events, 6);
        let marks = ["a", "b", "c"].map(|unit| store.with(|db| mark(db, &subject(unit))).unwrap());
        assert_eq!(marks, [Some(at(7)), Some(at(9)), None]);
    }
}
