//! What looks at the journal need to know, and what they change: see `trigger::look`.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{events, flapping, time};
use crate::event::{Event, Outcome, Problem, Start, Subject};
use crate::policy::Reason;

/// The events of a subject that stand as their triggers told them, oldest first.
pub fn unconfirmed(db: &Connection, subject: &Subject) -> rusqlite::Result<Vec<(i64, Event)>> {
    let sql = format!("SELECT id, {} FROM events WHERE NOT confirmed AND subject = ?1 ORDER BY at, id", events::COLUMNS);
    db.prepare(&sql)?.query_map([subject.as_str()], |row| Ok((row.get("id")?, events::event(row)?)))?.collect()
}

/// The index is named, for SQLite would rather read all events in the order of their subjects.
pub(super) const TO_LOOK_AT: &str = "SELECT subject FROM events INDEXED BY events_undecided WHERE NOT confirmed
    UNION SELECT subject FROM incidents WHERE state <> 'resolved' AND subject LIKE 'unit:%' ORDER BY subject";

/// The subjects that are worth a look: of unconfirmed events, and of incidents that are not over.
pub fn to_look_at(db: &Connection) -> rusqlite::Result<Vec<Subject>> {
    db.prepare(TO_LOOK_AT)?.query_map([], |row| Ok(Subject::stored(row.get(0)?)))?.collect()
}

/// When the last confirmed failure of a subject was.
pub fn last_failure(db: &Connection, subject: &Subject) -> rusqlite::Result<Option<DateTime<Utc>>> {
    let sql = "SELECT max(at) FROM events WHERE subject = ?1 AND outcome = 'failed' AND confirmed";
    db.query_row(sql, [subject.as_str()], |row| row.get(0)).map(events::maybe)
}

/// Up to when the journal was asked for a subject.
pub fn mark(db: &Connection, subject: &Subject) -> rusqlite::Result<Option<DateTime<Utc>>> {
    db.query_row("SELECT at FROM marks WHERE subject = ?1", [subject.as_str()], |row| row.get(0).map(time)).optional()
}

/// Since when there is a record; `None` before anybody has looked.
pub fn recorded_since(db: &Connection) -> rusqlite::Result<Option<DateTime<Utc>>> {
    db.query_row("SELECT value FROM meta WHERE key = 'since'", [], |row| row.get(0).map(time)).optional()
}

/// When the newest event on record happened.
pub fn newest_event(db: &Connection) -> rusqlite::Result<Option<DateTime<Utc>>> {
    db.query_row("SELECT max(at) FROM events", [], |row| row.get(0)).map(events::maybe)
}

/// Up to when the journal was swept; `None`: never.
pub fn swept(db: &Connection) -> rusqlite::Result<Option<DateTime<Utc>>> {
    db.query_row("SELECT value FROM meta WHERE key = 'swept'", [], |row| row.get(0).map(time)).optional()
}

/// Notes that.
pub fn set_swept(db: &Connection, until: DateTime<Utc>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES ('swept', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1";
    db.execute(sql, [until.timestamp_micros()]).map(drop)
}

/// Notes that there is a record from now on.
pub fn begin_record(db: &Connection, now: DateTime<Utc>) -> rusqlite::Result<()> {
    db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('since', ?1)", [now.timestamp_micros()]).map(drop)
}

/// Notes up to when the journal was asked.
pub fn set_mark(db: &Connection, subject: &Subject, at: DateTime<Utc>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO marks (subject, at) VALUES (?1, ?2) ON CONFLICT (subject) DO UPDATE SET at = ?2";
    db.execute(sql, params![subject.as_str(), at.timestamp_micros()]).map(drop)
}

/// Files an event that the journal tells. What a trigger told of it meanwhile is corrected. A failure on record that systemd
/// was to try again turns final, if this one is: it is to be decided once more.
pub fn file(db: &Connection, event: &Event) -> rusqlite::Result<()> {
    if events::insert(db, event, true)? {
        return Ok(());
    }
    // between this look and its commit a handler was started for the same event
    let sql = "SELECT id FROM events WHERE subject = ?1 AND run = ?2 AND outcome = ?3 AND coalesce(service_result, '') = ?4
        AND NOT confirmed";
    let result = event.problem.service_result.as_deref().unwrap_or_default();
    let key = params![event.subject.as_str(), event.run, event.outcome.as_str(), result];
    if let Some(id) = db.query_row(sql, key, |row| row.get(0)).optional()? {
        return correct(db, id, event);
    }
    if event.restarts || event.outcome != Outcome::Failed {
        return Ok(());
    }
    let sql = "UPDATE events SET restarts = 0, at = ?4
        WHERE subject = ?1 AND run = ?2 AND outcome = 'failed' AND coalesce(service_result, '') = ?3 AND restarts
        RETURNING id, spoke, coalesce(json_extract(reason, '$.reason'), '')";
    let key = params![event.subject.as_str(), event.run, result, event.at.timestamp_micros()];
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
    let Some((id, spoke, reason)) = db.query_row(sql, key, row).optional()? else { return Ok(()) };
    // what was told already, and what was cleared, is not decided again; that it was to be restarted is no such thing
    let is_settled = (spoke && reason != Reason::KeepsRestarting.word()) || reason == Reason::Cleared.word();
    if is_settled { Ok(()) } else { flapping::decide_again(db, id) }
}

/// An event turned out to be like this; not if somebody else has looked meanwhile, for what is confirmed may be told already.
pub fn correct(db: &Connection, id: i64, event: &Event) -> rusqlite::Result<()> {
    let Problem { service_result, exit_code, exit_status, cause } = &event.problem;
    let sql = "UPDATE OR IGNORE events SET run = ?2, invocation_id = ?3, service_result = ?4, exit_code = ?5, exit_status = ?6,
        cause = ?7, triggered_by = ?8, start = ?9, restarts = ?10, at = ?11, confirmed = 1 WHERE id = ?1 AND NOT confirmed";
    db.execute(
        sql,
        params![
            id,
            event.run,
            event.invocation_id,
            service_result,
            exit_code,
            exit_status,
            cause,
            event.triggered_by,
            event.start.map(Start::as_str),
            event.restarts,
            event.at.timestamp_micros()
        ],
    )?;
    // what it turned out to be is on record already
    drop_unconfirmed(db, id)
}

/// An event was one more trigger for a failure that is on record.
pub fn drop_unconfirmed(db: &Connection, id: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM events WHERE id = ?1 AND NOT confirmed", [id]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{at, failure, open, subject};
    use crate::store::{Undecided, insert, undecided};

    #[test]
    fn what_a_handler_recorded_during_a_look_is_confirmed_by_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let problem = Problem { cause: Some("ExecStartPre".to_owned()), ..failure("a", "1", 0).problem };
        let looked = Event { problem, ..failure("a", "1", 0) };
        store
            .write(|db| {
                insert(db, &failure("a", "1", 1), false)?;
                file(db, &looked)?;
                // the handler's own look then finds it filed, and takes its event for one more trigger
                drop_unconfirmed(db, 1)
            })
            .unwrap();
        let found: Vec<Event> = store.with(undecided).unwrap().into_iter().map(|Undecided { event, .. }| event).collect();
        assert_eq!(found, [looked]);
        assert_eq!(store.with(|db| unconfirmed(db, &subject("a"))).unwrap(), []);
    }

    #[test]
    fn of_two_looks_at_once_the_first_to_commit_decides() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let started = |by: &str| Event { triggered_by: Some(by.to_owned()), start: Some(Start::Timer), ..failure("a", "1", 0) };
        // the second one came when the unit was unloaded, and nobody knew any more what had started it
        let late = Event { at: at(5), restarts: true, ..failure("a", "1", 0) };
        store
            .write(|db| {
                insert(db, &failure("a", "1", 1), false)?;
                correct(db, 1, &started("a.timer"))?;
                correct(db, 1, &late)
            })
            .unwrap();
        let found: Vec<Event> = store.with(undecided).unwrap().into_iter().map(|Undecided { event, .. }| event).collect();
        assert_eq!(found, [started("a.timer")]);
    }
}
