//! The same problem is told once; a new one at once; one that comes back after another, not before `min_interval` is over.

use chrono::TimeDelta;

use super::rules::SameProblem;
use super::{Reason, Situation, Told};

/// Nobody was told yet.
pub(super) fn first(situation: &Situation<'_>) -> Option<Reason> {
    if !situation.told.is_empty() {
        return None;
    }
    let restarted = situation.incident.map_or(0, |incident| incident.failures).saturating_sub(situation.finals);
    Some(match (situation.finals, restarted) {
        (0, _) if situation.passed_over > 0 => Reason::FirstAskedFor,
        (0, 0) => Reason::First,
        (0, restarts) => Reason::StaysFailed { restarts },
        (ignored, _) => Reason::IgnoredEnough { ignored },
    })
}

/// A problem that nobody was told in this incident.
pub(super) fn new(situation: &Situation<'_>) -> Option<Reason> {
    let last = situation.told.last()?;
    if situation.told.iter().any(|told| is_same(situation, told)) {
        return None;
    }
    let alike = situation.told.iter().rfind(|told| told.problem.is_same(&situation.event.problem));
    Some(match (alike.and_then(|told| told.error.clone()), situation.error) {
        (Some(was), Some(error)) => Reason::NewError { error: error.to_owned(), was },
        _ => Reason::NewProblem { was: last.problem.to_string() },
    })
}

/// The problem that was told last.
pub(super) fn same(situation: &Situation<'_>) -> Option<Reason> {
    let last = situation.told.last()?;
    is_same(situation, last).then_some(Reason::SameProblem { told: last.at })
}

/// The same result; and where that is asked for, the same error. A run of which nobody knows the error may have had the same.
fn is_same(situation: &Situation<'_>, told: &Told) -> bool {
    let differs = match (&told.error, situation.error) {
        (Some(was), Some(is)) => situation.rules.same_problem == SameProblem::Error && was != is,
        _ => false,
    };
    told.problem.is_same(&situation.event.problem) && !differs
}

/// An earlier problem, too soon after the last alert.
pub(super) fn too_soon(situation: &Situation<'_>) -> Option<Reason> {
    let last = situation.told.last()?.at;
    let interval = TimeDelta::from_std(situation.rules.min_interval).ok()?;
    // far before it: the clock was set back, and nobody waits until its old time comes round
    ((situation.event.at - last).abs() < interval).then_some(Reason::TooSoon { until: last + interval })
}

/// An earlier problem is back.
pub(super) fn returned(situation: &Situation<'_>) -> Option<Reason> {
    let last = situation.told.last()?;
    let differs_by_error = last.problem.is_same(&situation.event.problem);
    let was = last.error.clone().filter(|_| differs_by_error).unwrap_or_else(|| last.problem.to_string());
    Some(Reason::Returned { was })
}
