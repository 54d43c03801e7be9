//! The circuit breaker of one process: after some failed restarts in a row it opens, and none is tried for a while; then one
//! trial decides.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many failed cycles in a row open it.
    pub failures: u64,
    /// So long it stays open.
    pub reset: Duration,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Restarts are tried.
    Closed,
    /// None is tried until then.
    Open(DateTime<Utc>),
    /// One is tried: if it fails, the breaker opens again.
    HalfOpen,
}

/// What is kept of it: the cycles in a row that failed, and since when it is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Breaker {
    /// The cycles.
    pub failed: u64,
    /// Since when.
    pub opened: Option<DateTime<Utc>>,
}

impl Breaker {
    /// How it stands now.
    pub fn state(&self, limits: Limits, now: DateTime<Utc>) -> State {
        let Some(opened) = self.opened else { return State::Closed };
        let until = opened + TimeDelta::from_std(limits.reset).unwrap_or(TimeDelta::MAX);
        // opened later than now: the clock was set back, and nobody knows how long it has been
        if now >= until || opened > now { State::HalfOpen } else { State::Open(until) }
    }

    /// How it stands after a cycle.
    #[must_use]
    pub fn after(self, worked: bool, limits: Limits, now: DateTime<Utc>) -> Breaker {
        if worked {
            return Breaker::default();
        }
        let failed = self.failed.saturating_add(1);
        let opens = self.opened.is_some() || failed >= limits.failures;
        Breaker { failed, opened: opens.then_some(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_at_the_limit_lets_one_trial_pass_and_closes_by_a_success() {
        let limits = Limits { failures: 3, reset: Duration::from_secs(1800) };
        let at = |minute: i64| DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap();
        let mut breaker = Breaker::default();
        for minute in [0, 5] {
            breaker = breaker.after(false, limits, at(minute));
            assert_eq!(breaker.state(limits, at(minute)), State::Closed);
        }
        breaker = breaker.after(false, limits, at(10));
        assert_eq!(breaker.state(limits, at(10)), State::Open(at(40)));
        assert_eq!(breaker.state(limits, at(39)), State::Open(at(40)));
        assert_eq!(breaker.state(limits, at(40)), State::HalfOpen);
        // the trial fails
        breaker = breaker.after(false, limits, at(41));
        assert_eq!(breaker.state(limits, at(42)), State::Open(at(71)));
        // the next one does not
        assert_eq!(breaker.state(limits, at(71)), State::HalfOpen);
        assert_eq!(breaker.after(true, limits, at(71)), Breaker::default());
        // a success in between begins anew
        let breaker = Breaker { failed: 2, opened: None }.after(true, limits, at(0)).after(false, limits, at(1));
        assert_eq!((breaker.failed, breaker.state(limits, at(1))), (1, State::Closed));
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let limits = Limits { failures: 1, reset: Duration::from_secs(1800) };
        let at = |second: i64| DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
        let breaker = Breaker::default().after(false, limits, at(0));
        assert_eq!(breaker.state(limits, at(-86_400)), State::HalfOpen);
    }
}
