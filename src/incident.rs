//! An incident's life: from a subject's first failure to its recovery. Pure.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::event::Subject;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody was told yet.
    Pending,
    /// Somebody was or will be told.
    Open,
    /// Somebody said that they know.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl State {
    /// Its word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Open => "open",
            State::Acknowledged => "acknowledged",
            State::Resolved => "resolved",
        }
    }

    /// The state of this word.
    pub fn parse(word: &str) -> Option<State> {
        [State::Pending, State::Open, State::Acknowledged, State::Resolved].into_iter().find(|state| state.as_str() == word)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must look.
    Critical,
}

impl Severity {
    /// The words, mildest first.
    pub const WORDS: [&str; 3] = ["info", "warning", "critical"];

    /// Its word in the database, in JSON and in the configuration.
    pub fn as_str(self) -> &'static str {
        Severity::WORDS[self as usize]
    }

    /// The severity of this word.
    pub fn parse(word: &str) -> Option<Severity> {
        [Severity::Info, Severity::Warning, Severity::Critical].into_iter().find(|severity| severity.as_str() == word)
    }
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its number in the database.
    pub id: i64,
    /// What is in trouble.
    pub subject: Subject,
    /// Where it stands.
    pub state: State,
    /// How bad it is.
    pub severity: Severity,
    /// How many failures it has.
    pub failures: u64,
    /// When it began.
    pub first_failure: DateTime<Utc>,
    /// When it last failed.
    pub last_failure: DateTime<Utc>,
    /// Set once it flaps.
    pub flapping: Option<Flapping>,
    /// Set once somebody said that they know, also if they took that back.
    pub acknowledged: Option<Acknowledgement>,
}

/// Somebody knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: DateTime<Utc>,
    /// What they said about it.
    pub why: Option<String>,
    /// When it was taken back, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<DateTime<Utc>>,
}

/// Who acknowledges what is acknowledged in the watchdog's database.
const DATABASE: &str = "the database";

impl Acknowledgement {
    /// One that the watchdog's database tells: it ends with what that says.
    pub fn of_database(at: DateTime<Utc>) -> Acknowledgement {
        Acknowledgement { by: DATABASE.to_owned(), at, why: None, taken_back: None }
    }

    /// Whether it is such a one.
    pub fn is_of_database(&self) -> bool {
        self.by == DATABASE
    }
}

impl fmt::Display for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "acknowledged by {}", self.by)?;
        self.why.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

/// How a subject flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// systemd starts it again and again, as its `Restart=` says.
    Restarting,
    /// It fails and recovers, again and again.
    Alternating,
}

/// That an incident is one long up and down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flapping {
    /// How it flaps.
    pub how: How,
    /// Since when; that may be before its incident.
    pub since: DateTime<Utc>,
    /// How often it failed or was restarted since then.
    pub times: u64,
    /// When it last did.
    pub last: DateTime<Utc>,
    /// True when it stays failed now; when it is well again, its incident is over.
    pub over: bool,
}

impl Flapping {
    /// What it does, of a unit: "keeps restarting".
    pub fn does(&self) -> &'static str {
        match self.how {
            How::Restarting => "keeps restarting",
            How::Alternating => "keeps failing and recovering",
        }
    }

    /// What it did, once that is over.
    pub fn did(&self) -> &'static str {
        match self.how {
            How::Restarting => "kept restarting",
            How::Alternating => "kept failing and recovering",
        }
    }
}

impl Incident {
    /// The incident that a subject's failure begins. It has no failure yet: [`Incident::failed`] counts each.
    pub fn begin(id: i64, subject: Subject, severity: Severity, at: DateTime<Utc>) -> Incident {
        Incident {
            id,
            subject,
            state: State::Pending,
            severity,
            failures: 0,
            first_failure: at,
            last_failure: at,
            flapping: None,
            acknowledged: None,
        }
    }

    /// One more failure; `told`: somebody hears of it.
    #[must_use]
    pub fn failed(mut self, at: DateTime<Utc>, told: bool) -> Incident {
        self.failures += 1;
        // failures can be filed late and out of order
        self.first_failure = self.first_failure.min(at);
        self.last_failure = self.last_failure.max(at);
        if told && self.state == State::Pending {
            self.state = State::Open;
        }
        self
    }

    /// The flapping that goes on.
    pub fn flaps(&self) -> Option<&Flapping> {
        self.flapping.as_ref().filter(|flapping| !flapping.over && self.state != State::Resolved)
    }

    /// It flaps from now on, and somebody hears of it.
    #[must_use]
    pub fn begins_to_flap(mut self, flapping: Flapping) -> Incident {
        self.flapping = Some(flapping);
        if self.state == State::Pending {
            self.state = State::Open;
        }
        self
    }

    /// It failed, or was restarted, once more while it flaps. What lies ahead by `window` is of a clock that was set back.
    #[must_use]
    pub fn flaps_again(mut self, at: DateTime<Utc>, window: TimeDelta) -> Incident {
        if let Some(flapping) = &mut self.flapping {
            flapping.times += 1;
            flapping.since = flapping.since.min(at);
            flapping.last = if flapping.last - at >= window { at } else { flapping.last.max(at) };
        }
        self
    }

    /// It does not flap any more; it stays failed since this failure.
    #[must_use]
    pub fn stays_failed(mut self, since: DateTime<Utc>) -> Incident {
        if let Some(flapping) = self.flapping.as_mut().filter(|flapping| !flapping.over) {
            flapping.over = true;
            flapping.last = flapping.last.max(since);
        }
        self
    }

    /// Somebody knows of it, until it is over.
    #[must_use]
    pub fn acknowledged(mut self, acknowledgement: Acknowledgement) -> Incident {
        self.state = State::Acknowledged;
        self.acknowledged = Some(acknowledgement);
        self
    }

    /// Who knows of it, as far as they did not take that back.
    pub fn known(&self) -> Option<&Acknowledgement> {
        self.acknowledged.as_ref().filter(|known| known.taken_back.is_none())
    }

    /// Whoever knew of it takes that back.
    #[must_use]
    pub fn reopened(mut self, at: DateTime<Utc>) -> Incident {
        self.state = State::Open;
        if let Some(known) = &mut self.acknowledged {
            known.taken_back = Some(at);
        }
        self
    }

    /// Since when nobody knows of it again, if somebody did.
    pub fn reopened_at(&self) -> Option<DateTime<Utc>> {
        self.acknowledged.as_ref().and_then(|known| known.taken_back)
    }

    /// It is over.
    #[must_use]
    pub fn resolved(mut self) -> Incident {
        self.state = State::Resolved;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Manager, UnitName};

    #[test]
    fn a_life() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let subject = Subject::unit(&Manager::System, &UnitName::typed("a").unwrap());
        let pending = Incident::begin(1, subject, Severity::Critical, at(10)).failed(at(10), false);
        assert_eq!((pending.state, pending.failures), (State::Pending, 1));
        let open = pending.failed(at(20), true).failed(at(15), false);
        assert_eq!((open.state, open.failures, open.first_failure, open.last_failure), (State::Open, 3, at(10), at(20)));
        assert_eq!(open.resolved().state, State::Resolved);
    }
}
