//! What has become due by time alone, while nothing happened.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Reason, Rules, Silence, escalate, quiet, remind};
use crate::incident::{Incident, State};

/// An incident that is not over, at a moment in which nothing happens to it.
#[derive(Debug)]
pub struct Standing<'a> {
    /// The incident.
    pub incident: &'a Incident,
    /// When its first alert was sent, or decided while nobody has sent it, or was let go after its hour had come; `None`: it has
    /// none.
    pub told: Option<DateTime<Utc>>,
    /// The same of its last one.
    pub last_alert: Option<DateTime<Utc>>,
    /// How many alerts it has.
    pub alerts: u64,
    /// True when others were told, since nobody acknowledged it.
    pub escalated: bool,
    /// The silence that holds for its subject.
    pub silence: Option<&'a Silence>,
    /// The settings for its subject.
    pub rules: &'a Rules,
    /// Now.
    pub now: DateTime<Utc>,
}

impl Standing<'_> {
    /// Since when this alert waits for somebody who knows of it: who takes that back has everybody's time begin anew.
    pub(super) fn unanswered_since(&self, alert: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        alert.max(self.incident.reopened_at())
    }
}

/// A rule speaks when its time has come.
type Rule = fn(&Standing<'_>) -> Option<Reason>;

/// The first one that is due is told; what else is due comes with the next run.
const RULES: &[Rule] = &[escalate::nobody_acknowledged, remind::reminder];

/// Why somebody is to be told now, if somebody is.
pub fn due(standing: &Standing<'_>) -> Option<Reason> {
    let Standing { incident, rules, silence, now, .. } = standing;
    let at_rest = quiet::until(rules, incident.severity, *now).is_some();
    if incident.state != State::Open || !rules.enabled || silence.is_some() || at_rest {
        return None;
    }
    RULES.iter().find_map(|rule| rule(standing))
}

/// Whether so much time has passed. Far before: the clock was set back, and nobody waits until its old time comes round.
pub(super) fn passed(since: DateTime<Utc>, length: std::time::Duration, now: DateTime<Utc>) -> bool {
    TimeDelta::from_std(length).is_ok_and(|length| (now - since).abs() >= length)
}
