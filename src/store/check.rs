//! Is the database whole? SQLite's own checks, and what must always be true of sysalert's records.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::{Store, spool};
use crate::error::Result;
use crate::event::Event;

/// So many findings of one check are told.
const MOST: u32 = 100;

/// What is checked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The file's pages and indexes; it reads all of them.
    File,
    /// That what rows refer to is there.
    References,
    /// That the records agree with each other.
    Records,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 3] = [Stage::File, Stage::References, Stage::Records];

    /// What is looked at, in words.
    pub fn words(self) -> &'static str {
        match self {
            Stage::File => "the file and its indexes",
            Stage::References => "what refers to what",
            Stage::Records => "incidents, events and alerts",
        }
    }
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A sentence.
    pub text: String,
    /// True when the file itself is damaged.
    pub damaged: bool,
}

/// What must never be: each row of an answer is a sentence. NAME is a subject without its kind. Of a unit that flaps silent
/// failures are forgotten and stay counted.
const RECORDS: &[&str] = &[
    "SELECT 'the incident of ' || NAME(subject) || ' has ' || failures || ' failures by its count, and ' || there || ' on record'
     FROM (SELECT subject, failures, flapping, (SELECT count(*) FROM events WHERE incident = i.id AND outcome = 'failed') AS there
           FROM incidents i WHERE state <> 'resolved') WHERE failures <> there AND (flapping IS NULL OR failures < there)",
    "SELECT 'the incident ' || id || ' of ' || NAME(subject) || ' is over, but nobody knows since when'
     FROM incidents WHERE state = 'resolved' AND ended IS NULL",
    "SELECT 'the incident of ' || NAME(subject) || ' has the severity \"' || severity || '\", which is none'
     FROM incidents WHERE severity NOT IN ('info', 'warning', 'critical')",
    "SELECT 'the incident ' || id || ' of ' || NAME(subject) || ' has ' || failures || ' failures' FROM incidents WHERE failures < 0",
    "SELECT 'the event ' || e.id || ' of ' || NAME(e.subject) || ' is part of an incident of ' || NAME(i.subject)
     FROM events e JOIN incidents i ON i.id = e.incident WHERE i.subject <> e.subject",
    "SELECT 'the event ' || id || ' of ' || NAME(subject) || ' has a decision that cannot be read'
     FROM events WHERE reason IS NOT NULL AND CASE WHEN json_valid(reason) THEN reason ->> 'reason' IS NULL ELSE true END",
    "SELECT 'the alert ' || id || ' is of the kind \"' || kind || '\", which is none'
     FROM alerts WHERE kind NOT IN ('failure', 'reminder', 'recovery', 'digest', 'test')",
    "SELECT 'the alert ' || alert || ' was tried ' || attempts || ' times' FROM outbox WHERE attempts NOT BETWEEN 0 AND 1000000",
    "SELECT 'the alert ' || id || ' was kept with a context that cannot be read'
     FROM alerts WHERE context IS NOT NULL AND NOT json_valid(context)",
    "SELECT 'the alert ' || a.id || ' waits, though the failures of ' || NAME(i.subject) || ' were cleared'
     FROM outbox o JOIN alerts a ON a.id = o.alert JOIN incidents i ON i.id = a.incident WHERE i.cleared",
];

/// Does one of the checks.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn check(store: &Store, stage: Stage) -> Result<Vec<Finding>> {
    store.with(|db| {
        // one transaction: else what is recorded in between would look like a contradiction
        let snapshot = db.unchecked_transaction()?;
        run(&snapshot, stage)
    })
}

pub(super) fn run(db: &Connection, stage: Stage) -> rusqlite::Result<Vec<Finding>> {
    match stage {
        Stage::File => {
            let said = texts(db, &format!("PRAGMA integrity_check({MOST})"), |row| row.get(0))?;
            Ok(said.into_iter().filter(|text| text != "ok").map(|text| Finding { text, damaged: true }).collect())
        }
        Stage::References => {
            let dangling = |row: &Row<'_>| {
                let (table, id, to): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(format!("the row {id} of {table} refers to a row of {to} that is not there"))
            };
            let sql = format!("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT {MOST}");
            Ok(texts(db, &sql, dangling)?.into_iter().map(record).collect())
        }
        Stage::Records => {
            let mut findings = Vec::new();
            for sql in RECORDS {
                findings.extend(texts(db, &format!("{} LIMIT {MOST}", named(sql)), |row| row.get(0))?.into_iter().map(record));
            }
            Ok(findings)
        }
    }
}

/// What in this folder's spool is no event: it was put aside, or the next run will do that.
pub fn unreadable(folder: &Path) -> Vec<Finding> {
    let entries = fs::read_dir(folder.join(spool::FOLDER)).into_iter().flatten().filter_map(std::result::Result::ok);
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|path| !spool::is_draft(path)).collect();
    paths.sort();
    let is_event = |path: &Path| fs::read(path).is_ok_and(|bytes| serde_json::from_slice::<Event>(&bytes).is_ok());
    paths.retain(|path| !is_event(path));
    paths.iter().map(|path| record(format!("{} is no event: look at it, and remove it then", path.display()))).collect()
}

/// Puts SQLite's words for NAME.
fn named(sql: &str) -> String {
    ["subject", "e.subject", "i.subject"].iter().fold(sql.to_owned(), |sql, column| {
        sql.replace(&format!("NAME({column})"), &format!("substr({column}, instr({column}, ':') + 1)"))
    })
}

fn record(text: String) -> Finding {
    Finding { text, damaged: false }
}

fn texts(db: &Connection, sql: &str, text: impl Fn(&Row<'_>) -> rusqlite::Result<String>) -> rusqlite::Result<Vec<String>> {
    db.prepare(sql)?.query_map([], |row| text(row))?.collect()
}

#[cfg(test)]
mod tests {
    use super::super::FILE;
    use super::super::tests::{failure, open, told};
    use super::*;

    fn findings(store: &Store) -> Vec<String> {
        Stage::ALL.iter().flat_map(|stage| check(store, *stage).unwrap()).map(|finding| finding.text).collect()
    }

    #[test]
    fn each_contradiction_is_told() {
        let rows = [
            ("UPDATE incidents SET failures = 3", "the incident of a.service has 3 failures by its count, and 1 on record"),
            ("UPDATE incidents SET state = 'resolved'", "the incident 1 of a.service is over, but nobody knows since when"),
            ("UPDATE incidents SET severity = 'bad'", "the incident of a.service has the severity \"bad\", which is none"),
            ("UPDATE events SET subject = 'unit:b.service'", "the event 1 of b.service is part of an incident of a.service"),
            ("UPDATE events SET reason = 'because'", "the event 1 of a.service has a decision that cannot be read"),
            ("UPDATE events SET reason = '{}'", "the event 1 of a.service has a decision that cannot be read"),
            ("UPDATE alerts SET kind = 'rumour'", "the alert 1 is of the kind \"rumour\", which is none"),
            ("UPDATE alerts SET context = '{'", "the alert 1 was kept with a context that cannot be read"),
            (
                "UPDATE incidents SET state = 'resolved', ended = 5, cleared = 1",
                "the alert 1 waits, though the failures of a.service were cleared",
            ),
            (
                "PRAGMA foreign_keys = false; UPDATE outbox SET alert = 9",
                "the row 1 of outbox refers to a row of alerts that is not there",
            ),
        ];
        for (damage, expected) in rows {
            let folder = tempfile::tempdir().unwrap();
            let mut store = open(folder.path());
            told(&mut store, &failure("a", "1", 0), &["mail"]);
            assert_eq!(findings(&store), [""; 0], "before {damage}");
            store.with(|db| db.execute_batch(damage)).unwrap();
            assert_eq!(findings(&store), [expected], "after {damage}");
        }
    }

    #[test]
    fn a_page_that_is_overwritten_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 0), &["mail"]);
        store.with(|db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))).unwrap();
        drop(store);
        let path = folder.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(14).position(|window| window == b"unit:a.service").unwrap();
        bytes[at] = b'x';
        fs::write(&path, bytes).unwrap();
        let found = check(&Store::read(folder.path()).unwrap().unwrap(), Stage::File).unwrap();
        assert!(!found.is_empty() && found.iter().all(|finding| finding.damaged), "{found:?}");
    }

    #[test]
    fn what_in_the_spool_is_no_event_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(unreadable(folder.path()), []);
        spool::keep(folder.path(), &failure("a", "1", 0)).unwrap();
        assert_eq!(unreadable(folder.path()), [], "it waits for the next run");
        for name in ["1.unreadable", "2.json", ".draft"] {
            fs::write(folder.path().join(spool::FOLDER).join(name), "{").unwrap();
        }
        let texts: Vec<_> = unreadable(folder.path()).into_iter().map(|finding| finding.text).collect();
        let spool = folder.path().join(spool::FOLDER);
        let expected = ["1.unreadable", "2.json"]
            .map(|name| format!("{} is no event: look at it, and remove it then", spool.join(name).display()));
        assert_eq!(texts, expected);
    }
}
