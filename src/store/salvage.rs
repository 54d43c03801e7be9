//! What can still be read of a damaged database goes into the new one, row by row. What was told stays known, and what waits
//! is sent; rows whose fellows are lost are left out, so that the new one is whole.

use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::check::{self, Stage};

/// In this order.
pub(super) const TABLES: [&str; 14] = [
    "incidents",
    "events",
    "alerts",
    "outbox",
    "deliveries",
    "resends",
    "silences",
    "outages",
    "marks",
    "schedules",
    "sensors",
    "streaks",
    "absences",
    "meta",
];

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// True when every row is.
    pub(super) whole: bool,
    /// Incidents that are not over.
    pub(super) incidents: u64,
    /// Alerts that wait.
    pub(super) waiting: u64,
    /// The newest event.
    pub(super) last_event: i64,
}

/// Events whose incident is lost.
const ALONE: &str = "DELETE FROM events WHERE incident IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = incident AND i.subject = events.subject)";

/// What must not be in the new database, in this order: rows whose fellows are lost, and values that are none.
const CLEAN: &[&str] = &[
    // what such a row said is gone; the journal may still tell its failures
    "DELETE FROM incidents WHERE severity NOT IN ('info', 'warning', 'critical')",
    "DELETE FROM events WHERE reason IS NOT NULL AND CASE WHEN json_valid(reason) THEN reason ->> 'reason' IS NULL ELSE true END",
    ALONE,
    // what flaps may never have failed, or its failures are forgotten and stay counted
    "DELETE FROM incidents WHERE state <> 'resolved' AND NOT coalesce(json_valid(flapping), false)
        AND NOT EXISTS (SELECT 1 FROM events WHERE incident = incidents.id AND outcome = 'failed')",
    // what was left of those
    ALONE,
    "UPDATE incidents SET failures = max(iif(flapping IS NULL, 0, failures),
            (SELECT count(*) FROM events WHERE incident = incidents.id AND outcome = 'failed'))
        WHERE state <> 'resolved' OR failures < 0",
    "UPDATE incidents SET acknowledged = NULL WHERE acknowledged IS NOT NULL AND NOT json_valid(acknowledged)",
    "UPDATE incidents SET ended = last_failure WHERE state = 'resolved' AND ended IS NULL",
    "DELETE FROM alerts WHERE kind NOT IN ('failure', 'reminder', 'recovery', 'digest', 'test')
        OR incident IS NOT NULL AND incident NOT IN (SELECT id FROM incidents)
        OR event IS NOT NULL AND event NOT IN (SELECT id FROM events)
        OR kind IN ('failure', 'reminder', 'recovery') AND (event IS NULL OR incident IS NULL) AND outage IS NULL",
    "UPDATE alerts SET context = NULL WHERE context IS NOT NULL AND NOT json_valid(context)",
    "UPDATE alerts SET reason = NULL WHERE reason IS NOT NULL AND NOT json_valid(reason)",
    "DELETE FROM outbox WHERE alert NOT IN (SELECT id FROM alerts)
        OR alert IN (SELECT a.id FROM alerts a JOIN incidents i ON i.id = a.incident WHERE i.cleared)",
    "UPDATE outbox SET digest = NULL WHERE digest NOT IN (SELECT alert FROM outbox)",
    "UPDATE outbox SET attempts = 0 WHERE attempts NOT BETWEEN 0 AND 1000000",
    "DELETE FROM deliveries WHERE alert NOT IN (SELECT id FROM alerts)",
    "DELETE FROM resends WHERE alert NOT IN (SELECT id FROM alerts) OR incident NOT IN (SELECT id FROM incidents)",
];

/// Incidents of which nobody may have been told: neither does an alert wait, nor was one sent or given up.
const UNTOLD: &str = "SELECT id FROM incidents WHERE state = 'open' AND id NOT IN (SELECT a.incident FROM alerts a
    WHERE a.incident IS NOT NULL AND (a.id IN (SELECT alert FROM outbox)
        OR a.id IN (SELECT alert FROM deliveries WHERE status IN ('sent', 'merged', 'expired'))))";

/// Rather told twice than never: they are decided anew.
const TELL_AGAIN: [&str; 5] = [
    "DELETE FROM resends WHERE incident = ?1",
    "DELETE FROM deliveries WHERE alert IN (SELECT id FROM alerts WHERE incident = ?1)",
    "DELETE FROM alerts WHERE incident = ?1",
    "UPDATE events SET reason = NULL, spoke = 0, incident = NULL WHERE incident = ?1",
    "DELETE FROM incidents WHERE id = ?1",
];

/// What is noted of the record as a whole, and whether it says how far the journal was swept.
const NOTES: &str = "'since', 'swept', 'pruned', 'jumped', 'checkpoint'";
const SWEPT: &str = "SELECT count(*) = 2 FROM meta WHERE key IN ('since', 'swept')";

/// Copies all that can be read, and makes it whole again.
///
/// # Errors
/// When the new database cannot take it. Nothing that is wrong with the old one is an error.
pub(super) fn salvage(old: &Connection, new: &Connection, size: u64) -> rusqlite::Result<Kept> {
    let mut whole = true;
    for table in TABLES {
        whole &= copy(old, new, table, size)?;
    }
    new.execute(&format!("DELETE FROM meta WHERE key NOT IN ({NOTES}) OR typeof(value) <> 'integer'"), [])?;
    let before = rows(new)?;
    for sql in CLEAN {
        new.execute(sql, [])?;
    }
    whole &= rows(new)? == before && new.query_row(SWEPT, [], |row| row.get(0))?;
    if !whole {
        let untold: Vec<i64> = new.prepare(UNTOLD)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for (sql, incident) in untold.iter().flat_map(|incident| TELL_AGAIN.map(|sql| (sql, incident))) {
            new.execute(sql, [incident])?;
        }
    }
    for stage in Stage::ALL {
        if let Some(finding) = check::run(new, stage)?.into_iter().next() {
            return Err(rusqlite::Error::ToSqlConversionFailure(finding.text.into()));
        }
    }
    let number = |sql: &str| new.query_row(sql, [], |row| row.get::<_, i64>(0));
    let count = |sql: &str| number(sql).map(|count| u64::try_from(count).unwrap_or(0));
    Ok(Kept {
        whole,
        incidents: count("SELECT count(*) FROM incidents WHERE state <> 'resolved'")?,
        waiting: count("SELECT count(*) FROM outbox")?,
        last_event: number("SELECT coalesce(max(id), 0) FROM events")?,
    })
}

/// What was lost may have been filed: each unit's journal is asked again from then on.
pub(super) fn look_back(new: &Connection, since: DateTime<Utc>) -> rusqlite::Result<DateTime<Utc>> {
    let known: Option<i64> = new.query_row("SELECT max(value) FROM meta WHERE key = 'since'", [], |row| row.get(0))?;
    // what is older than the record never comes back
    let since = known.map_or(since, |known| since.max(super::time(known)));
    let micros = since.timestamp_micros();
    new.execute("UPDATE marks SET at = min(at, ?1)", [micros])?;
    for key in ["since", "swept"] {
        let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = min(value, ?2)";
        new.execute(sql, params![key, micros])?;
    }
    Ok(since)
}

fn rows(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    TABLES.iter().map(|table| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))).collect()
}

/// Copies a table from its begin up to what cannot be read, and from its end; true when that was all of it.
fn copy(old: &Connection, new: &Connection, table: &str, size: u64) -> rusqlite::Result<bool> {
    let Ok(columns) = columns(old, table) else { return Ok(false) };
    let known: Vec<String> = self::columns(new, table)?.into_iter().filter(|name| columns.contains(name)).collect();
    if known.is_empty() {
        return Ok(false);
    }
    let names = known.join(", ");
    let marks = vec!["?"; known.len()].join(", ");
    let mut insert = new.prepare(&format!("INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"))?;
    let orders: &[&str] = if known[0] == "id" { &["ORDER BY id", "ORDER BY id DESC"] } else { &[""] };
    for order in orders {
        // a page that is reached twice must not make this endless: no row has less than 4 bytes
        let select = format!("SELECT {names} FROM {table} {order} LIMIT {}", size / 4 + 1);
        let Ok(mut statement) = old.prepare(&select) else { return Ok(false) };
        let Ok(mut rows) = statement.query([]) else { return Ok(false) };
        let mut whole = true;
        loop {
            match rows.next() {
                Ok(Some(row)) => match (0..known.len()).map(|number| row.get(number)).collect::<Result<Vec<Value>, _>>() {
                    Ok(values) => whole &= taken(insert.execute(params_from_iter(values)))?,
                    Err(_) => whole = false,
                },
                Ok(None) if whole => return Ok(true),
                Ok(None) => return Ok(false),
                Err(_) => break,
            }
        }
    }
    Ok(false)
}

/// Whether the new table has taken a row; what does not fit into it is left out.
fn taken(inserted: rusqlite::Result<usize>) -> rusqlite::Result<bool> {
    use rusqlite::ffi::ErrorCode::{ConstraintViolation, TypeMismatch};
    match inserted {
        Ok(rows) => Ok(rows > 0),
        Err(error) if matches!(error.sqlite_error_code(), Some(ConstraintViolation | TypeMismatch)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn columns(db: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    db.prepare("SELECT name FROM pragma_table_info(?1)")?.query_map([table], |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, failure, open, subject, told};
    use super::super::{acknowledge, active, hold_until, silence, silences, waiting};
    use super::*;
    use crate::incident::{Acknowledgement, State};
    use crate::policy::Silence;

    #[test]
    fn who_knows_what_is_silenced_and_what_waits_for_its_hour_is_kept() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [mut old, mut new] = folders.each_ref().map(|folder| open(folder.path()));
        told(&mut old, &failure("a", "1", 0), &["mail"]);
        told(&mut old, &failure("b", "2", 0), &["mail"]);
        let known = Acknowledgement { by: "alice".into(), at: at(5), why: Some("a new disk".into()), taken_back: None };
        let quiet = Silence { glob: "web-*".into(), since: at(5), until: at(500), by: "alice".into(), why: None };
        old.write(|db| {
            acknowledge(db, &subject("a"), known.clone())?;
            silence(db, &quiet)?;
            hold_until(db, 2, at(900), "quiet hours")
        })
        .unwrap();
        salvage(&old.db, &new.db, 1 << 20).unwrap();
        let of = |unit| new.with(|db| active(db, &subject(unit))).unwrap().unwrap();
        assert_eq!((of("a").state, of("a").acknowledged), (State::Acknowledged, Some(known)));
        assert_eq!(of("b").acknowledged, None);
        assert_eq!(new.with(|db| silences(db, at(6))).unwrap(), [quiet]);
        let dues: Vec<_> = new.with(waiting).unwrap().into_iter().map(|one| one.due).collect();
        assert_eq!(dues, [None, Some(at(900))]);
        // what is no JSON any more tells nothing, and the incident stays known
        old.write(|db| db.execute("UPDATE incidents SET acknowledged = '{' WHERE id = 1", [])).unwrap();
        new.write(|db| TABLES.iter().rev().try_for_each(|table| db.execute(&format!("DELETE FROM {table}"), []).map(drop)))
            .unwrap();
        salvage(&old.db, &new.db, 1 << 20).unwrap();
        let kept = new.with(|db| active(db, &subject("a"))).unwrap().unwrap();
        assert_eq!((kept.state, kept.acknowledged), (State::Acknowledged, None));
    }

    #[test]
    fn what_is_sent_again_goes_with_what_it_is_about() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [mut old, new] = folders.each_ref().map(|folder| open(folder.path()));
        told(&mut old, &failure("a", "1", 0), &["fleet"]);
        // nobody may have been told of it
        told(&mut old, &failure("b", "2", 0), &[]);
        for store in [&old, &new] {
            store.db.pragma_update(None, "foreign_keys", false).unwrap();
        }
        let again = "INSERT INTO resends (incident, method, alert, pause, due) VALUES
            (1, 'fleet', 1, 60000000, 0), (1, 'lost', 99, 60000000, 0), (99, 'lost', 1, 60000000, 0), (2, 'fleet', 2, 60000000, 0)";
        old.db.execute(again, []).unwrap();
        salvage(&old.db, &new.db, 1 << 20).unwrap();
        let rows: Vec<(i64, String)> = new
            .with(|db| {
                db.prepare("SELECT incident, method FROM resends")?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .unwrap();
        assert_eq!(rows, [(1, "fleet".to_owned())]);
    }
}
