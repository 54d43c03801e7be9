//! Which lines belong to one attempt: each is counted once, however many lines it left.
//!
//! Of a wrong password the server, PAM and the end of the connection tell; of a rejected key the end alone, where the server logs
//! as usual. So what tells of a connection's end counts when nothing else has; and a connection on which several keys were tried is
//! one attempt.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::said::{Said, What};

/// A login that failed; or one that did not, to know what follows on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub at: DateTime<Utc>,
    #[serde(default)]
    pub user: String,
    pub address: Option<String>,
    port: Option<u16>,
    /// The server's process for this connection.
    process: Option<u32>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// An attempt.
    Sure,
    /// An attempt of which PAM has told, and the server may yet.
    Pam,
    /// A sign of one: an attempt of this connection takes its place.
    Unsure,
    /// A sign of one by a module of PAM: one from this address takes its place.
    Module,
    /// It got in.
    Accepted,
}

/// All that was seen of late.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    seen: Vec<Seen>,
    /// Of each connection the latest.
    latest: HashMap<Connection, usize>,
    /// Of each address the latest.
    of_address: HashMap<String, usize>,
}

/// A process of the server serves one connection; without its number the client's port tells.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Connection {
    Process(u32),
    Port(String, u16),
}

/// A connection's process may get its number again after this time.
const LONGEST: TimeDelta = TimeDelta::minutes(10);
/// PAM and the server tell of the same attempt within this time: a wrong password makes both wait for seconds.
const NEAR: TimeDelta = TimeDelta::seconds(30);
/// Of a name so many characters are kept.
const NAME: usize = 64;

impl Attempts {
    /// Goes on from what was kept.
    pub(super) fn new(kept: Vec<Seen>) -> Attempts {
        let mut attempts = Attempts::default();
        kept.into_iter().for_each(|seen| attempts.push(seen));
        attempts
    }

    /// Takes a line.
    pub(super) fn take(&mut self, at: DateTime<Utc>, process: Option<u32>, said: &Said<'_>) {
        let seen = |kind| Seen {
            at,
            user: said.user.chars().take(NAME).collect(),
            address: said.address.map(str::to_owned),
            port: said.port,
            process,
            kind,
        };
        if said.what == What::PamSign {
            if said.address.is_some() && self.near(at, said).is_none() {
                self.push(seen(Kind::Module));
            }
            return;
        }
        let Some(connection) = connection(process, said.address, said.port) else {
            // nobody knows to what it belongs: an attempt all the same
            if said.what == What::Attempt {
                self.push(seen(Kind::Sure));
            }
            return;
        };
        let latest = self.latest.get(&connection).copied().filter(|number| {
            let known = &self.seen[*number];
            let is_other = known.port.is_some() && said.port.is_some() && known.port != said.port;
            !is_other && at - known.at <= LONGEST
        });
        let known = latest.map(|number| self.seen[number].kind);
        let kind = match (said.what, known) {
            (What::Sign, Some(_)) => return,
            (What::Sign, None) => Kind::Unsure,
            (What::AfterPam, Some(Kind::Pam)) => {
                latest.into_iter().for_each(|number| self.seen[number].kind = Kind::Sure);
                return;
            }
            (What::PamAttempt, _) => Kind::Pam,
            (What::Accepted, _) => Kind::Accepted,
            (What::Attempt | What::AfterPam | What::PamSign, _) => Kind::Sure,
        };
        // it takes the place of what was only a sign of it
        let sign = latest.filter(|_| known == Some(Kind::Unsure));
        let sign = sign.or_else(|| self.near(at, said).filter(|number| self.seen[*number].kind == Kind::Module));
        match sign {
            Some(number) => {
                let old = &self.seen[number];
                let mut new = seen(kind);
                new.address = new.address.or_else(|| old.address.clone());
                if new.user.is_empty() {
                    new.user.clone_from(&old.user);
                }
                self.seen[number] = new;
                self.latest.insert(connection, number);
            }
            None => self.push(seen(kind)),
        }
        // the others of a line that stands for several
        if kind == Kind::Sure {
            (1..said.times).for_each(|_| self.push(seen(Kind::Sure)));
        }
    }

    /// The latest failure from this address, if it was a moment ago.
    fn near(&self, at: DateTime<Utc>, said: &Said<'_>) -> Option<usize> {
        let number = *self.of_address.get(said.address?)?;
        (self.seen[number].kind != Kind::Accepted && (at - self.seen[number].at).abs() <= NEAR).then_some(number)
    }

    fn push(&mut self, seen: Seen) {
        let number = self.seen.len();
        if let Some(connection) = connection(seen.process, seen.address.as_deref(), seen.port)
            && seen.kind != Kind::Module
        {
            self.latest.insert(connection, number);
        }
        if let Some(address) = &seen.address {
            self.of_address.insert(address.clone(), number);
        }
        self.seen.push(seen);
    }

    /// The attempts that failed within this time, oldest first.
    pub(super) fn failed(&self, since: DateTime<Utc>, until: DateTime<Utc>) -> Vec<&Seen> {
        let is_failure = |seen: &&Seen| seen.kind != Kind::Accepted && seen.at > since && seen.at <= until;
        let mut failed: Vec<&Seen> = self.seen.iter().filter(is_failure).collect();
        failed.sort_by_key(|seen| seen.at);
        failed
    }

    /// What the next run must know: the newest, not older than this.
    pub(super) fn keep(mut self, since: DateTime<Utc>, until: DateTime<Utc>, most: usize) -> Vec<Seen> {
        self.seen.retain(|seen| seen.at > since && seen.at <= until);
        self.seen.split_off(self.seen.len().saturating_sub(most))
    }
}

fn connection(process: Option<u32>, address: Option<&str>, port: Option<u16>) -> Option<Connection> {
    match (process, address, port) {
        (Some(process), ..) => Some(Connection::Process(process)),
        (None, Some(address), Some(port)) => Some(Connection::Port(address.to_owned(), port)),
        _ => None,
    }
}
