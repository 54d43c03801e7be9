//! Silences: what somebody wants to hear nothing of for a while. It is recorded, and told when the silence ends, if it is not
//! over by then.

use chrono::{DateTime, Utc};
use sysalert_abi::Kind;
use wildmatch::WildMatch;

use super::{Flaps, Hold, Reason, Situation, Verdict};
use crate::event::{Subject, short_time};

/// What is said of it begins so.
const SAID: &str = "silenced until ";

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The names that it is for.
    pub glob: String,
    /// From when.
    pub since: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Who wants it.
    pub by: String,
    /// What they said about it.
    pub why: Option<String>,
}

impl Silence {
    /// Whether it holds now. Before it was made: the clock was set back, by a moment or an hour, and somebody still works there;
    /// but it must not last for longer than twice as long as it was to.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        now < self.until && self.since - now <= self.until - self.since
    }

    /// The one that holds for this subject now; of several, the one that ends last.
    pub fn of<'s>(silences: &'s [Silence], subject: &Subject, now: DateTime<Utc>) -> Option<&'s Silence> {
        let meant = |silence: &&Silence| silence.holds(now) && WildMatch::new(&silence.glob).matches(subject.name());
        silences.iter().filter(meant).max_by_key(|silence| silence.until)
    }

    /// "silenced until 2026-01-05 12:00 +00:00 by alice: the disk is being changed"
    pub fn words(until: DateTime<Utc>, by: &str, why: Option<&str>) -> String {
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        format!("{SAID}{} by {by}{why}", short_time(until))
    }

    /// Why an alert waits that was to be sent before somebody silenced it.
    pub(super) fn hold(&self) -> Hold {
        Hold { until: self.until, why: Silence::words(self.until, &self.by, self.why.as_deref()) }
    }

    /// Whether an alert waited for the end of a silence, by what is said of it.
    pub fn was_held(why: &str) -> bool {
        why.starts_with(SAID)
    }
}

/// A failure that would be told waits for the end of the silence; it is decided once more then. A recovery is told all the
/// same: whoever heard of the failure waits for it.
pub(super) fn silenced(situation: &Situation<'_>, verdict: Verdict) -> Verdict {
    let Some(Silence { until, by, why, .. }) = situation.silence.filter(|_| verdict.alert == Some(Kind::Failure)) else {
        return verdict;
    };
    let reason = Reason::Silenced { until: *until, by: by.clone(), why: why.clone() };
    // it flaps as before, whatever becomes of that when it is told
    let flaps =
        if situation.incident.is_some_and(|incident| incident.flaps().is_some()) { Flaps::GoesOn } else { Flaps::AsBefore };
    Verdict { alert: None, flaps, reason, ..verdict }
}
