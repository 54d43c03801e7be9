//! Does anybody hear of this event? A situation goes in, a verdict with its reason comes out; and what is told when nothing
//! happens but time. Pure: no clock, no store.

mod due;
mod escalate;
mod flapping;
mod ignore;
mod problem;
mod quiet;
mod reason;
mod recovery;
mod remind;
mod restart;
mod route;
mod rules;
mod silence;
mod started_by;

pub use due::{Standing, due};
pub use flapping::Recent;
pub use quiet::{Hold, Untold, hold};
pub use reason::Reason;
pub use route::{Filter, route};
pub use rules::{AlertOn, KEYS, Rules, SEVERITIES, UNIT_KEYS};
pub use silence::Silence;

use chrono::{DateTime, Utc};
use sysalert_abi::Kind;

use crate::event::{Event, Outcome, Problem, Start};
use crate::incident::{How, Incident};

/// All that a decision may look at.
#[derive(Debug)]
pub struct Situation<'a> {
    /// The event to decide.
    pub event: &'a Event,
    /// What its run complained of last, if that is known.
    pub error: Option<&'a str>,
    /// The subject's incident that is not over, before this event.
    pub incident: Option<&'a Incident>,
    /// The problems of this incident that somebody was told, oldest first.
    pub told: &'a [Told],
    /// What started the run; of one that systemd started again, what started the first of them. `None`: not known.
    pub start: Option<Start>,
    /// How many failures of this incident came before that count: systemd did not try again, and somebody asks about them.
    pub finals: u64,
    /// How many such failures of earlier incidents came before within `ignore_within`.
    pub earlier: u64,
    /// How many came before that nobody asks about, for they were started otherwise; 0 once somebody was told.
    pub passed_over: u64,
    /// True when a failure of the same run is on record.
    pub run_failed: bool,
    /// True when a failure of the incident happened and was recorded after this event.
    pub failed_since: bool,
    /// True when a damaged database had lost this failure, and the unit has recovered since.
    pub recovered_by_then: bool,
    /// How often systemd has started it again within `flapping_window` up to this event, since it last gave up.
    pub restarts: Recent,
    /// The incidents before this one within `flapping_window` that somebody was told and that are over.
    pub incidents: Recent,
    /// The silence that holds for this subject.
    pub silence: Option<&'a Silence>,
    /// The settings for this subject.
    pub rules: &'a Rules,
}

/// A problem that somebody was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it was.
    pub problem: Problem,
    /// What its run complained of last, if that is known.
    pub error: Option<String>,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// True when systemd was to start it again.
    pub restarts: bool,
}

/// What follows from an event.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The alert to queue, if one is.
    pub alert: Option<Kind>,
    /// Whether the incident is over.
    pub resolves: bool,
    /// What becomes of its flapping.
    pub flaps: Flaps,
    /// Why.
    pub reason: Reason,
}

/// What an event means for a subject that flaps, or does from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaps {
    /// It flaps from now on.
    Begins(How),
    /// It still does.
    GoesOn,
    /// It stays failed now.
    Ends,
    /// Nothing.
    AsBefore,
}

/// A rule speaks about the situations that it is for, and passes over the rest.
type Rule = fn(&Situation<'_>) -> Option<Reason>;

/// The first rule that has something to say decides.
const FAILED: &[Rule] = &[
    rules::disabled,
    recovery::by_then,
    flapping::goes_on,
    flapping::stayed_failed,
    started_by::otherwise,
    flapping::keeps_restarting,
    restart::not_final,
    ignore::ignored,
    flapping::keeps_recovering,
    ignore::too_often,
    problem::first,
    problem::new,
    problem::same,
    problem::too_soon,
    problem::returned,
];
const SUCCEEDED: &[Rule] = &[
    recovery::same_run,
    recovery::stopped,
    recovery::overtaken,
    recovery::nothing_wrong,
    rules::disabled,
    flapping::unsteady,
    recovery::never_told,
    recovery::unwanted,
    flapping::no_longer_runs,
    flapping::stable,
    recovery::recovered,
];
/// An end after which systemd starts it again.
const RESTARTS: &[Rule] = &[
    recovery::same_run,
    recovery::stopped,
    rules::disabled,
    flapping::goes_on,
    started_by::otherwise,
    flapping::keeps_restarting,
    restart::not_over,
];

/// Decides one event.
pub fn decide(situation: &Situation<'_>) -> Verdict {
    let chain = match situation.event.outcome {
        Outcome::Failed => FAILED,
        Outcome::Succeeded if situation.event.restarts => RESTARTS,
        Outcome::Succeeded => SUCCEEDED,
    };
    // the last rule of each chain always answers; were it otherwise, silence would be the wrong way to fail
    let reason = chain.iter().find_map(|rule| rule(situation)).unwrap_or(Reason::First);
    let is_false = matches!(reason, Reason::SameRunFailed | Reason::Overtaken | Reason::Stopped | Reason::Unsteady);
    let ends_well = situation.event.outcome == Outcome::Succeeded && !situation.event.restarts;
    let resolves = ends_well && !is_false && situation.incident.is_some();
    let flaps = match reason {
        Reason::KeepsRestarting => Flaps::Begins(How::Restarting),
        Reason::KeepsRecovering => Flaps::Begins(How::Alternating),
        Reason::Flapping => Flaps::GoesOn,
        _ if situation.event.outcome == Outcome::Failed => Flaps::Ends,
        _ => Flaps::AsBefore,
    };
    silence::silenced(situation, Verdict { alert: reason.alert(), resolves, flaps, reason })
}

#[cfg(test)]
mod due_tests;
#[cfg(test)]
mod tests;
