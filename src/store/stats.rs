//! How large the database is, and what is in it.

use std::fs;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::events::maybe;
use super::{FILE, Store, schema};
use crate::error::Result;
use crate::incident::State;

/// Sizes and counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The database's file, in bytes.
    pub file: u64,
    /// How much of it is free for new rows, in bytes.
    pub free: u64,
    /// The log beside it, in bytes.
    pub log: u64,
    /// The version of its tables.
    pub schema: usize,
    /// How many incidents are in each state.
    pub incidents: Vec<(State, u64)>,
    /// How many events are recorded.
    pub events: u64,
    /// How many of them nobody has decided yet.
    pub undecided: u64,
    /// How many alerts there were.
    pub alerts: u64,
    /// How many tries to deliver them.
    pub deliveries: u64,
    /// How many wait, one for each alert and method.
    pub waiting: u64,
    /// When the oldest event happened.
    pub oldest: Option<DateTime<Utc>>,
}

/// Measures and counts.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn stats(store: &Store) -> Result<Stats> {
    let size = |name: &str| fs::metadata(store.folder.join(name)).map_or(0, |about| about.len());
    let (file, log) = (size(FILE), size(&format!("{FILE}-wal")));
    store.with(|db| {
        let snapshot = db.unchecked_transaction()?;
        let count = |rows: &str| snapshot.query_row(&format!("SELECT count(*) FROM {rows}"), [], |row| row.get(0));
        Ok(Stats {
            file,
            free: pragma(&snapshot, "freelist_count")? * pragma(&snapshot, "page_size")?,
            log,
            schema: schema::version(&snapshot)?,
            incidents: incidents(&snapshot)?,
            events: count("events")?,
            undecided: count("events WHERE reason IS NULL")?,
            alerts: count("alerts")?,
            deliveries: count("deliveries")?,
            waiting: count("outbox")?,
            oldest: maybe(snapshot.query_row("SELECT min(at) FROM events", [], |row| row.get(0))?),
        })
    })
}

fn incidents(db: &Connection) -> rusqlite::Result<Vec<(State, u64)>> {
    let states = [State::Pending, State::Open, State::Acknowledged, State::Resolved];
    let count = |state: State| {
        db.query_row("SELECT count(*) FROM incidents WHERE state = ?1", [state.as_str()], |row| Ok((state, row.get(0)?)))
    };
    states.into_iter().map(count).collect()
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<u64> {
    db.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::super::insert;
    use super::super::tests::{at, failure, open, told};
    use super::*;

    #[test]
    fn everything_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        told(&mut store, &failure("a", "1", 7), &["mail", "phone"]);
        told(&mut store, &failure("b", "2", 8), &[]);
        store.write(|db| insert(db, &failure("c", "3", 9), true)).unwrap();
        let stats = stats(&store).unwrap();
        assert!(stats.file > 0 && stats.log > 0, "{stats:?}");
        let incidents: Vec<u64> = stats.incidents.iter().map(|(_, count)| *count).collect();
        assert_eq!(incidents, [0, 2, 0, 0]);
        let counts = [stats.events, stats.undecided, stats.alerts, stats.deliveries, stats.waiting];
        assert_eq!((counts, stats.oldest), ([3, 1, 2, 0, 2], Some(at(7))));
    }
}
