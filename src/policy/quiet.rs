//! Quiet hours, and the hours of a method: what is not to be told now waits until they are over.

use chrono::{DateTime, Utc};
use sysalert_abi::Kind;

use super::{Filter, Rules, Silence};
use crate::event::short_time;
use crate::incident::Severity;

/// Why an alert waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// It is due then.
    pub until: DateTime<Utc>,
    /// Why, in words.
    pub why: String,
}

/// The end of the quiet hours that hold now for an incident of this severity.
pub(super) fn until(rules: &Rules, severity: Severity, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let quiet = rules.quiet.as_ref().filter(|_| severity < Severity::Critical)?;
    quiet.until(now)
}

/// An alert that waits to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Untold<'a> {
    /// Its kind.
    pub kind: Kind,
    /// How bad its incident is.
    pub severity: Severity,
    /// True when an older alert about its incident must not be sent now by the same method.
    pub behind: bool,
    /// The silence that holds for its subject.
    pub silence: Option<&'a Silence>,
    /// The settings for its subject.
    pub rules: &'a Rules,
    /// What its method takes, and when.
    pub filter: &'a Filter,
    /// The method's name.
    pub method: &'a str,
}

/// Whether an alert must not be sent now. A recovery goes to whoever heard of the failure, at any hour of that method and whatever
/// was silenced since, but in no quiet hours.
pub fn hold(untold: &Untold<'_>, now: DateTime<Utc>) -> Option<Hold> {
    let Untold { kind, severity, behind, silence, rules, filter, method } = untold;
    let is_awaited = *kind == Kind::Recovery && !*behind;
    if let Some(silence) = silence.filter(|_| !is_awaited) {
        return Some(silence.hold());
    }
    if let Some(until) = until(rules, *severity, now) {
        return Some(Hold { until, why: format!("quiet hours until {}", short_time(until)) });
    }
    let hours = filter.hours.as_ref().filter(|_| !is_awaited)?;
    let until = hours.next(now);
    (until > now).then(|| Hold { until, why: format!("{method} sends from {} on", short_time(until)) })
}
