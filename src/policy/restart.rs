//! `alert_on`: what systemd tries again by itself is not final.

use super::rules::AlertOn;
use super::{Reason, Situation};

/// A failure after which systemd starts the unit again, as its `Restart=` says.
pub(super) fn not_final(situation: &Situation<'_>) -> Option<Reason> {
    (situation.event.restarts && situation.rules.alert_on == AlertOn::Final).then_some(Reason::Restarts)
}

/// A good end after which systemd starts the unit again: whether it is well now, the next run shows.
pub(super) fn not_over(situation: &Situation<'_>) -> Option<Reason> {
    situation.event.restarts.then_some(Reason::StartedAgain)
}
