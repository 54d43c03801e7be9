//! Recoveries: told when they are true, and when the failure was told.

use super::{Reason, Situation, flapping};
use crate::incident::State;

/// systemd 252 calls OnSuccess= for runs that failed.
pub(super) fn same_run(situation: &Situation<'_>) -> Option<Reason> {
    situation.run_failed.then_some(Reason::SameRunFailed)
}

/// Somebody stopped it: that says nothing about whether it works.
pub(super) fn stopped(situation: &Situation<'_>) -> Option<Reason> {
    (is_stop(situation) && !flapping::is_calm(situation)).then_some(Reason::Stopped)
}

pub(super) fn is_stop(situation: &Situation<'_>) -> bool {
    situation.event.problem.cause.as_deref() == Some("stop")
}

/// A success that is decided late must not end what failed after it.
pub(super) fn overtaken(situation: &Situation<'_>) -> Option<Reason> {
    situation.failed_since.then_some(Reason::Overtaken)
}

/// No incident, no recovery.
pub(super) fn nothing_wrong(situation: &Situation<'_>) -> Option<Reason> {
    situation.incident.is_none().then_some(Reason::NothingWrong)
}

/// Whoever did not hear of the trouble does not hear of its end.
pub(super) fn never_told(situation: &Situation<'_>) -> Option<Reason> {
    situation.incident.filter(|incident| incident.state == State::Pending).map(|_| Reason::NeverTold)
}

/// `recovery = false`.
pub(super) fn unwanted(situation: &Situation<'_>) -> Option<Reason> {
    (!situation.rules.recovery).then_some(Reason::RecoveryUnwanted)
}

/// It is well again.
pub(super) fn recovered(_: &Situation<'_>) -> Option<Reason> {
    Some(Reason::Recovered)
}

/// What a damaged database had lost is no news when it is over.
pub(super) fn by_then(situation: &Situation<'_>) -> Option<Reason> {
    situation.recovered_by_then.then_some(Reason::RecoveredByThen)
}
