//! What sysalert must do, as simply as it can be said: no journal, no database, no two commits. It is told what became of the
//! units, and when somebody looked.

use chrono::{DateTime, TimeDelta, Utc};

/// How a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Status3,
    Status4,
    Killed,
    Timeout,
}

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub ignore: u64,
    pub each: bool,
    pub min_interval: i64,
    pub recovery: bool,
}

/// A daemon counts as recovered after so many seconds.
pub const HOLD: i64 = 10;

/// What became of a run.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Failed {
        how: How,
        restarts: bool,
    },
    /// Of the same run: systemd does not start it again after all.
    GaveUp,
    /// By itself, and for good.
    Succeeded,
}

/// A message that somebody is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Failure,
    Recovery,
}

/// A failure on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub run: usize,
    pub how: How,
    pub restarts: bool,
    pub spoke: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending,
    Open,
    Resolved,
    Cleared,
}

/// One unit's story.
#[derive(Debug, Default)]
pub struct Unit {
    /// What happened since the last look.
    unseen: Vec<(usize, End, DateTime<Utc>)>,
    /// Runs that `db clear` met before a look: whether they are on record is nobody's business.
    pub dropped: Vec<usize>,
    pub failures: Vec<Failure>,
    pub incidents: Vec<(State, u64)>,
    told: Vec<(How, DateTime<Utc>)>,
    finals: u64,
    pub active_since: Option<DateTime<Utc>>,
    /// Not yet delivered, in their order.
    pub unsent: Vec<Told>,
    /// A trigger came before the journal had its words.
    pub waits: bool,
}

impl Unit {
    pub fn ended(&mut self, run: usize, end: End, at: DateTime<Utc>) {
        self.active_since = None;
        match (self.unseen.iter_mut().find(|unseen| unseen.0 == run), end) {
            // nobody saw that it was to be tried again
            (Some((_, End::Failed { restarts, .. }, failed)), End::GaveUp) => (*restarts, *failed) = (false, at),
            _ => self.unseen.push((run, end, at)),
        }
    }

    /// True when a success is no news.
    pub fn is_quiet(&self) -> bool {
        !self.is_open() && !self.waits
    }

    pub fn is_open(&self) -> bool {
        self.incidents.last().is_some_and(|(state, _)| matches!(state, State::Pending | State::Open))
    }

    /// Somebody looks, and the journal is complete.
    pub fn look(&mut self, rules: Rules, now: DateTime<Utc>) {
        self.waits = false;
        for (run, end, at) in std::mem::take(&mut self.unseen) {
            match end {
                End::Failed { how, restarts } => self.failed(rules, Failure { run, how, restarts, spoke: false }, at),
                End::GaveUp => self.gave_up(rules, run, at),
                End::Succeeded => self.recovered(rules),
            }
        }
        if self.active_since.is_some_and(|since| since + TimeDelta::seconds(HOLD) <= now) {
            self.recovered(rules);
        }
    }

    fn failed(&mut self, rules: Rules, mut failure: Failure, at: DateTime<Utc>) {
        if !self.is_open() {
            self.incidents.push((State::Pending, 0));
            self.told.clear();
            self.finals = 0;
        }
        let counts = rules.each || !failure.restarts;
        failure.spoke = counts
            && match self.told.last() {
                None => self.finals >= rules.ignore,
                Some((last, _)) if *last == failure.how => false,
                Some((_, last)) => {
                    let is_new = !self.told.iter().any(|(how, _)| *how == failure.how);
                    is_new || at >= *last + TimeDelta::seconds(rules.min_interval)
                }
            };
        let incident = self.incidents.last_mut().expect("it is open");
        incident.1 += 1;
        self.finals += u64::from(counts);
        if failure.spoke {
            incident.0 = State::Open;
            self.told.push((failure.how, at));
            self.unsent.push(Told::Failure);
        }
        self.failures.push(failure);
    }

    /// The failure of which nobody heard, since systemd was to try again, is decided anew.
    fn gave_up(&mut self, rules: Rules, run: usize, at: DateTime<Utc>) {
        let last = self.failures.pop_if(|last| last.run == run && !last.spoke);
        let Some(last) = last else { return };
        if self.is_open() {
            self.incidents.last_mut().expect("it is open").1 -= 1;
            self.finals -= u64::from(rules.each);
        }
        self.failed(rules, Failure { restarts: false, ..last }, at);
    }

    fn recovered(&mut self, rules: Rules) {
        if !self.is_open() {
            return;
        }
        let incident = self.incidents.last_mut().expect("it is open");
        if incident.0 == State::Open && rules.recovery {
            self.unsent.push(Told::Recovery);
        }
        incident.0 = State::Resolved;
    }

    pub fn clear(&mut self) {
        let unseen = std::mem::take(&mut self.unseen).into_iter();
        self.dropped.extend(unseen.filter(|(_, end, _)| matches!(end, End::Failed { .. })).map(|(run, ..)| run));
        self.waits = false;
        self.unsent.clear();
        if self.is_open() {
            self.incidents.last_mut().expect("it is open").0 = State::Cleared;
        }
    }
}
