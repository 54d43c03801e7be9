//! What a story leaves: in the database, in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use sysalert::error::Error;
use sysalert::store::{self, Store};

use super::{Telling, counted};

impl Telling {
    /// Says what has changed in the database since the last look.
    pub(super) fn look(&mut self) {
        match self.found() {
            Ok(Some(now)) => self.changed(now),
            Ok(None) => {}
            // with a damaged database there is nothing to see
            Err(_) => self.say("", "the database does not answer"),
        }
    }

    fn found(&self) -> Result<Option<BTreeMap<String, String>>, Error> {
        let Some(store) = Store::read(&self.site.state)? else { return Ok(None) };
        let mut now = BTreeMap::new();
        for id in 1.. {
            let Some(recorded) = store.with(|db| store::event(db, id))? else { break };
            let verdict = recorded.reason.map_or_else(|| "not decided yet".to_owned(), |reason| reason.to_string());
            now.insert(format!("1 event {id}"), format!("event {id}: {verdict}"));
        }
        for row in store.with(|db| store::list(db, store::Which::All))? {
            let incident = &row.incident;
            let state = if row.cleared { "cleared" } else { incident.state.as_str() };
            let about = format!("{}, failures: {}, alerts sent: {}", incident.subject.name(), incident.failures, row.alerts);
            now.insert(format!("2 incident {}", incident.id), format!("incident {}: {state}; {about}", incident.id));
        }
        for row in store.with(store::waiting)? {
            let due = row.due.map_or("once".to_owned(), counted);
            let subject = row.subject.or(row.outage.map(|method| format!("the method {method}")));
            let subject = subject.unwrap_or_else(|| if row.damage { "the database".to_owned() } else { String::new() });
            let met = row.detail.map_or_else(String::new, |detail| format!(", met: {detail}"));
            let instead = row.instead_of.map_or_else(String::new, |method| format!(", instead of {method}"));
            let held = row.held.map_or_else(String::new, |limit| format!(", held: {limit}"));
            let with = if row.with_recovery { ", with its recovery" } else { "" };
            let line = format!(
                "outbox: {} of {subject} by {}, tries: {}, due at {due}{met}{instead}{held}{with}",
                row.kind.as_str(),
                row.method,
                row.attempts
            );
            now.insert(format!("3 outbox {:03}", row.id), line);
        }
        Ok(Some(now))
    }

    fn changed(&mut self, now: BTreeMap<String, String>) {
        for (key, line) in &now {
            if self.last.get(key) != Some(line) {
                self.said += &format!("{:10}{line}\n", "");
            }
        }
        for (_, line) in self.last.iter().filter(|(key, _)| key.starts_with('3') && !now.contains_key(*key)) {
            let what = line.trim_start_matches("outbox: ").split(", tries").next().unwrap_or_default();
            self.said += &format!("{:10}outbox: no longer {what}\n", "");
        }
        self.last = now;
    }

    /// All that is in the state folder, but for what readers leave in SQLite's index of the log, and what lies in `/run` in a
    /// folder of the system's: the wake flag, and what one poll leaves for the next.
    pub(super) fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut bytes = BTreeMap::new();
        for entry in fs::read_dir(&self.site.state).unwrap().map(|entry| entry.unwrap().path()) {
            let is_passing = ["pending", "polled.json", "sysalert.db-shm"].iter().any(|name| entry.ends_with(name));
            if !is_passing && entry.is_file() {
                bytes.insert(entry.clone(), fs::read(entry).unwrap());
            } else if entry.is_dir() {
                bytes.extend(fs::read_dir(entry).unwrap().map(|spooled| (spooled.unwrap().path(), Vec::new())));
            }
        }
        bytes
    }
}
