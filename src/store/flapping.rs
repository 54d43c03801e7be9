//! How often a subject was restarted, or failed and recovered, of late. Each question is answered by an index, however many
//! events there are.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::events::PASSED_OVER;
use super::{incidents, looks, time};
use crate::event::{Event, Subject};
use crate::policy::Recent;

/// The restarts by systemd within this time up to this event, since it last gave up or somebody cleared the unit; of more
/// than `most`, so many.
pub fn restarts_of_late(db: &Connection, event: &Event, window: TimeDelta, most: u64) -> rusqlite::Result<Recent> {
    let (from, until) = (begin(db, event, window, true)?, event.at.timestamp_micros());
    let subject = event.subject.as_str();
    let sql = format!("SELECT count(*) FROM (SELECT 1 {RESTARTS} LIMIT ?4)");
    let times = db.query_row(&sql, params![subject, from, until, most], |row| row.get(0))?;
    let sql = format!("SELECT at {RESTARTS} ORDER BY at LIMIT 1");
    let since = db.query_row(&sql, params![subject, from, until], |row| row.get(0)).optional()?;
    Ok(Recent { times, since: since.map_or(event.at, time) })
}

/// All of them.
pub fn restarts_since(db: &Connection, event: &Event, since: DateTime<Utc>) -> rusqlite::Result<u64> {
    let range = params![event.subject.as_str(), since.timestamp_micros() - 1, event.at.timestamp_micros()];
    db.query_row(&format!("SELECT count(*) {RESTARTS}"), range, |row| row.get(0))
}

const RESTARTS: &str = "FROM events WHERE subject = ?1 AND at > ?2 AND at <= ?3 AND restarts AND confirmed";

/// The incidents of which somebody was told within this time before this event, and that are over.
pub fn incidents_of_late(db: &Connection, event: &Event, window: TimeDelta) -> rusqlite::Result<Recent> {
    let sql = "SELECT count(DISTINCT e.incident), min(e.at) FROM events e JOIN incidents i ON i.id = e.incident
        WHERE e.subject = ?1 AND e.spoke AND e.outcome = 'failed' AND e.at > ?2 AND e.at <= ?3
        AND i.state = 'resolved' AND NOT i.cleared";
    let from = begin(db, event, window, false)?;
    db.query_row(sql, params![event.subject.as_str(), from, event.at.timestamp_micros()], |row| {
        Ok(Recent { times: row.get(0)?, since: row.get::<_, Option<i64>>(1)?.map_or(event.at, time) })
    })
}

/// The failures of earlier incidents within this time before this event, without those that nobody asks about and those that
/// somebody cleared; `each`: also those that systemd tried again.
pub fn failures_of_late(
    db: &Connection,
    event: &Event,
    incident: Option<i64>,
    window: TimeDelta,
    each: bool,
) -> rusqlite::Result<u64> {
    let among = if each { "" } else { "AND NOT e.restarts" };
    let sql = format!(
        "SELECT count(*) FROM events e JOIN incidents i ON i.id = e.incident
        WHERE e.subject = ?1 AND e.at > ?2 AND e.at <= ?3 AND e.outcome = 'failed' {among}
        AND e.incident IS NOT ?4 AND NOT i.cleared AND NOT {PASSED_OVER}"
    );
    let begin = event.at.checked_sub_signed(window).unwrap_or(DateTime::UNIX_EPOCH).timestamp_micros();
    db.query_row(&sql, params![event.subject.as_str(), begin, event.at.timestamp_micros(), incident], |row| row.get(0))
}

/// What counts begins here: with the window, at the last time that the failures were forgotten, or that systemd gave up.
fn begin(db: &Connection, event: &Event, window: TimeDelta, given_up: bool) -> rusqlite::Result<i64> {
    let subject = event.subject.as_str();
    // one that lies ahead is of a clock that was set back since
    let sql = "SELECT max(ended) FROM incidents WHERE subject = ?1 AND cleared AND ended <= ?2";
    let cleared: Option<i64> = db.query_row(sql, params![subject, event.at.timestamp_micros()], |row| row.get(0))?;
    let sql = "SELECT max(at) FROM events WHERE subject = ?1 AND at < ?2 AND outcome = 'failed' AND NOT restarts AND confirmed";
    let ended: Option<i64> = match given_up {
        true => db.query_row(sql, params![subject, event.at.timestamp_micros()], |row| row.get(0))?,
        false => None,
    };
    // of a process nothing but that leaves a mark; of a unit each look at the journal does
    let mark = if event.subject.is_watchdogs() { looks::mark(db, &event.subject)? } else { None };
    let mark = mark.filter(|mark| *mark <= event.at).map(|mark| mark.timestamp_micros());
    let begin = event.at.checked_sub_signed(window).unwrap_or(DateTime::UNIX_EPOCH).timestamp_micros();
    Ok([cleared, ended, mark].into_iter().flatten().fold(begin, i64::max))
}

/// Whether the last that is known of a subject since then is a success, and that nobody stopped it.
pub fn is_well(db: &Connection, subject: &Subject, since: DateTime<Utc>) -> rusqlite::Result<bool> {
    let sql = "SELECT outcome = 'succeeded' AND NOT restarts AND coalesce(cause, '') <> 'stop'
        FROM events WHERE subject = ?1 AND at > ?2 AND confirmed ORDER BY at DESC, id DESC LIMIT 1";
    let last = db.query_row(sql, params![subject.as_str(), since.timestamp_micros()], |row| row.get(0)).optional()?;
    Ok(last.unwrap_or(false))
}

/// Removes an event that is counted with its incident: of a unit that flaps each restart after a good end would be a row.
pub fn fold(db: &Connection, id: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM events WHERE id = ?1", [id]).map(drop)
}

/// A unit that flapped stays failed: its last failure is to be decided once more. What that has to say and nobody has
/// delivered yet, the new decision says.
pub fn stays_failed(db: &Connection, subject: &Subject) -> rusqlite::Result<()> {
    let Some(incident) = incidents::active(db, subject)? else { return Ok(()) };
    let Some(last) = incident.flaps().map(|flapping| flapping.last) else { return Ok(()) };
    let sql = "SELECT id, at FROM events WHERE subject = ?1 AND at >= ?2 AND outcome = 'failed' AND NOT restarts
        ORDER BY at DESC, id DESC LIMIT 1";
    let row = |row: &Row<'_>| Ok((row.get(0)?, time(row.get(1)?)));
    let found = db.query_row(sql, params![subject.as_str(), last.timestamp_micros()], row).optional()?;
    // a failure that turned final is later than it was
    incidents::save(db, &incident.stays_failed(found.map_or(last, |(_, at)| at)), last)?;
    found.map_or(Ok(()), |(id, _)| decide_again(db, id))
}

/// Takes back the verdict on an event. That it is not over stays true, whatever is said about it now.
pub(super) fn decide_again(db: &Connection, id: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM outbox WHERE alert IN (SELECT id FROM alerts WHERE event = ?1 AND kind <> 'reminder')", [id])?;
    db.execute("UPDATE events SET reason = NULL, spoke = 0 WHERE id = ?1", [id]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Outcome;
    use crate::host::clock;
    use crate::incident::{Flapping, How};
    use crate::policy::Reason;
    use crate::store::tests::{at, failure, open, subject};
    use crate::store::{Store, Which, begin as begin_incident, decide, failures_of, final_failures, insert, list, save, told};

    fn restart(run: &str, second: i64) -> Event {
        Event { restarts: true, ..failure("a", run, second) }
    }

    #[test]
    fn restarts_count_within_the_window_and_since_the_unit_last_stayed_failed() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let hour = TimeDelta::hours(1);
        let of_late = |store: &Store, second, most| {
            let recent = store.with(|db| restarts_of_late(db, &restart("x", second), hour, most)).unwrap();
            (recent.times, (recent.since - at(0)).num_seconds())
        };
        let add = |store: &mut Store, event: &Event| store.write(|db| insert(db, event, true).map(drop)).unwrap();
        assert_eq!(of_late(&store, 9, 5), (0, 9), "nothing is on record");
        for second in [0, 100, 200, 300] {
            add(&mut store, &restart(&second.to_string(), second));
        }
        add(&mut store, &Event { outcome: Outcome::Succeeded, ..restart("well", 400) });
        add(&mut store, &failure("b", "other", 250));
        assert_eq!(of_late(&store, 400, 9), (5, 0), "after good and bad ends");
        assert_eq!(of_late(&store, 400, 3), (3, 0), "no more than matter");
        assert_eq!(of_late(&store, 300, 9), (4, 0), "what comes later does not count");
        assert_eq!(of_late(&store, 3700, 9), (3, 200), "the window");
        assert_eq!(store.with(|db| restarts_since(db, &restart("x", 400), at(100))).unwrap(), 4);
        add(&mut store, &failure("a", "final", 250));
        assert_eq!(of_late(&store, 400, 9), (2, 300), "systemd gave up at 250");
        let cleared = store.write(|db| {
            begin_incident(db, &subject("a"), crate::incident::Severity::Critical, at(300))?;
            incidents::clear(db, &subject("a"), at(350))
        });
        assert!(cleared.unwrap());
        assert_eq!(of_late(&store, 400, 9), (1, 400), "forgotten at 350");
    }

    #[test]
    fn failures_of_other_incidents_count_within_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let day = TimeDelta::days(1);
        let mut incident = |events: &[(Event, Reason)], cleared: bool| {
            let ended = |db: &Connection| {
                let incident = begin_incident(db, &subject("a"), crate::incident::Severity::Critical, events[0].0.at)?;
                for (event, reason) in events {
                    insert(db, event, true)?;
                    decide(db, db.last_insert_rowid(), Some(incident.id), reason)?;
                }
                match cleared {
                    true => incidents::clear(db, &subject("a"), at(9_000_000)).map(drop),
                    false => save(db, &crate::incident::Incident::resolved(incident.clone()), at(0)),
                }?;
                Ok(incident.id)
            };
            store.write(|db| ended(db)).unwrap()
        };
        incident(&[(failure("a", "1", 0), Reason::First)], false);
        let by_hand = Reason::StartedOtherwise { by: crate::event::Start::Other };
        let second = [(restart("2", 100), Reason::Restarts), (failure("a", "3", 200), Reason::First)];
        let second = incident(&second, false);
        incident(&[(failure("a", "4", 300), by_hand)], false);
        incident(&[(failure("a", "5", 400), Reason::First)], true);
        let of_late = |second, incident, each| {
            store.with(|db| failures_of_late(db, &failure("a", "x", second), incident, day, each)).unwrap()
        };
        assert_eq!((of_late(500, None, false), of_late(500, None, true)), (2, 3), "0 and 200; 100 when each counts");
        assert_eq!((of_late(500, Some(second), false), of_late(150, None, false)), (1, 1), "only others, and only before");
        assert_eq!((of_late(86_300, None, false), of_late(86_400, None, false), of_late(99_999, None, true)), (2, 1, 0));
    }

    /// An hour of ten failures a second: what it costs, and that nothing asks for all of it.
    #[test]
    fn an_hour_of_a_unit_that_flaps_is_affordable() {
        const MANY: i64 = 36_000;
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let size = |store: &Store| -> i64 {
            let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
            store.with(|db| db.query_row(sql, [], |row| row.get(0))).unwrap()
        };
        let before = size(&store);
        let incident = store.write(|db| {
            let incident = begin_incident(db, &subject("a"), crate::incident::Severity::Critical, at(0))?;
            for number in 0..MANY {
                let run = format!("{number:032x}");
                let event = restart(&run, number / 10);
                insert(db, &Event { invocation_id: Some(run), ..event }, true)?;
                let reason = if number == 600 { Reason::KeepsRestarting } else { Reason::Flapping };
                decide(db, db.last_insert_rowid(), Some(incident.id), &reason)?;
            }
            let flapping = Flapping { how: How::Restarting, since: at(0), times: 36_000, last: at(3599), over: false };
            let incident = crate::incident::Incident { failures: 36_000, ..incident.begins_to_flap(flapping) };
            save(db, &incident, at(0))?;
            Ok(incident)
        });
        let incident = incident.unwrap();
        let each = (size(&store) - before) / MANY;
        println!("{each} bytes for each failure");
        assert!(each <= 400, "{each} bytes for each failure");
        let last = restart("x", 3600);
        let began = clock::started();
        let asked = store.with(|db| {
            for _ in 0..100 {
                restarts_of_late(db, &last, TimeDelta::hours(1), 5)?;
                incidents_of_late(db, &last, TimeDelta::hours(1))?;
                is_well(db, &subject("a"), at(3599))?;
                assert_eq!((told(db, &incident)?.len(), final_failures(db, &incident, 0)?), (1, 0));
            }
            Ok(began.elapsed() / 100)
        });
        let asked = asked.unwrap();
        println!("{asked:?} to decide one more");
        // far less than a look at each of them takes
        assert!(asked.as_millis() < 5, "{asked:?} to decide one more");
        let failures = store.with(|db| failures_of(db, incident.id, &last, 100)).unwrap();
        assert_eq!((failures.list.len(), failures.left_out), (100, 35_900));
        assert_eq!((failures.list[0].0.at, failures.list[99].0.at), (at(0), at(3599)));
        assert_eq!(store.with(|db| list(db, Which::Active)).unwrap()[0].incident, incident);
    }

    #[test]
    fn the_questions_are_answered_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let plan = |sql: &str| -> Vec<String> {
            let read = |db: &Connection| {
                let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                statement.query_map([], |row| row.get("detail"))?.collect()
            };
            store.with(read).unwrap()
        };
        for (sql, index) in [
            ("SELECT max(ended) FROM incidents WHERE subject = 'a' AND cleared AND ended <= 9", "incidents_cleared"),
            (
                "SELECT max(at) FROM events WHERE subject = 'a' AND at < 9 AND outcome = 'failed' AND NOT restarts AND confirmed",
                "events_final",
            ),
            (
                "SELECT 1 FROM events WHERE subject = 'a' AND at >= 9 AND incident = 1 AND spoke AND outcome = 'failed'",
                "events_spoke",
            ),
            (
                "SELECT count(*) FROM events e JOIN incidents i ON i.id = e.incident WHERE e.subject = 'a' AND e.at > 9
                    AND e.at <= 99 AND e.outcome = 'failed' AND NOT e.restarts AND e.incident IS NOT 7 AND NOT i.cleared",
                "events_final",
            ),
            (
                "SELECT 1 FROM events WHERE subject = 'a' AND at > 9 AND at <= 10 AND restarts AND confirmed LIMIT 5",
                "events_subject",
            ),
        ] {
            let steps = plan(sql);
            assert!(steps.iter().any(|step| step.contains(index)), "{sql}: {steps:?}");
        }
    }
}
