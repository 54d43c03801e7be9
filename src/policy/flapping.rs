//! Flapping: what systemd starts again and again, or what fails and recovers again and again, is told when that begins and
//! when it is over, and not in between.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Reason, Situation, recovery};
use crate::event::Outcome;
use crate::incident::{Flapping, How};

/// How often something happened of late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    /// So many times; of more than matter for the decision, as many as matter.
    pub times: u64,
    /// When it did first.
    pub since: DateTime<Utc>,
}

/// Restarts must have gone on for so long, or for half of the window if that is shorter: a unit that fails a hundred times in
/// ten seconds and then stays failed is told as that.
const LASTING: Duration = Duration::from_secs(60);

/// The flapping that goes on, if the settings still want to know of any.
fn ongoing<'a>(situation: &Situation<'a>) -> Option<&'a Flapping> {
    let flapping = situation.incident?.flapping.as_ref()?;
    (situation.rules.flapping > 0 && !flapping.over).then_some(flapping)
}

/// While it flaps each failure and each restart is no news, but that systemd gives up is.
pub(super) fn goes_on(situation: &Situation<'_>) -> Option<Reason> {
    let flapping = ongoing(situation)?;
    let event = situation.event;
    match (event.outcome, flapping.how) {
        (Outcome::Succeeded, _) if !event.restarts => None,
        // it was tried again as often as it flapped
        (Outcome::Failed, How::Restarting) if !event.restarts => Some(Reason::StaysFailed { restarts: flapping.times }),
        _ => Some(Reason::Flapping),
    }
}

/// The last failure of a unit that failed and recovered again and again: nothing came after it for `flapping_window`.
pub(super) fn stayed_failed(situation: &Situation<'_>) -> Option<Reason> {
    let flapping = situation.incident?.flapping.as_ref()?;
    let is_it = flapping.over && flapping.how == How::Alternating && situation.event.at == flapping.last;
    is_it.then_some(Reason::StayedFailed { seconds: situation.rules.flapping_window.as_secs() })
}

/// systemd has started it again so often, and for so long, that it is news by itself.
pub(super) fn keeps_restarting(situation: &Situation<'_>) -> Option<Reason> {
    let Situation { event, restarts, rules, .. } = situation;
    // whoever knows that it stays failed learns nothing new until it has recovered
    let knows = situation.told.iter().any(|told| !told.restarts);
    if !event.restarts || rules.flapping == 0 || knows {
        return None;
    }
    let enough = restarts.times >= rules.flapping && restarts.times > rules.ignore;
    let lasting = TimeDelta::from_std(LASTING.min(rules.flapping_window / 2)).unwrap_or(TimeDelta::MAX);
    let begins = enough && event.at - restarts.since >= lasting;
    begins.then_some(if alternates(situation) { Reason::KeepsRecovering } else { Reason::KeepsRestarting })
}

/// So many incidents were told and were over within the window that this one's failure is told as the last of the kind.
pub(super) fn keeps_recovering(situation: &Situation<'_>) -> Option<Reason> {
    (situation.told.is_empty() && alternates(situation)).then_some(Reason::KeepsRecovering)
}

fn alternates(situation: &Situation<'_>) -> bool {
    situation.rules.flapping > 0 && situation.incidents.times + 1 >= situation.rules.flapping.max(2)
}

/// True when a unit that flapped has neither failed nor been restarted for `flapping_window`.
pub(super) fn is_calm(situation: &Situation<'_>) -> bool {
    let window = TimeDelta::from_std(situation.rules.flapping_window).unwrap_or(TimeDelta::MAX);
    // far before it: the clock was set back, and nobody waits until its old time comes round
    ongoing(situation).is_some_and(|flapping| (situation.event.at - flapping.last).abs() >= window)
}

/// While it flaps one success proves nothing.
pub(super) fn unsteady(situation: &Situation<'_>) -> Option<Reason> {
    ongoing(situation)?;
    (!is_calm(situation)).then_some(Reason::Unsteady)
}

/// It was stopped, or nothing has started it again: that ends it as well, and says nothing about whether it works.
pub(super) fn no_longer_runs(situation: &Situation<'_>) -> Option<Reason> {
    (recovery::is_stop(situation) && is_calm(situation))
        .then_some(Reason::NoLongerRuns { seconds: situation.rules.flapping_window.as_secs() })
}

/// Nothing happened for so long that it is well.
pub(super) fn stable(situation: &Situation<'_>) -> Option<Reason> {
    ongoing(situation)?;
    Some(Reason::Stable { seconds: situation.rules.flapping_window.as_secs() })
}
