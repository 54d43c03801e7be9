//! `ignore`: the first N failures of an incident keep quiet.

use super::{Reason, Situation};

/// Failures that are still among the first N.
pub(super) fn ignored(situation: &Situation<'_>) -> Option<Reason> {
    let seen = situation.finals + 1;
    // once somebody was told, N was reached, even if the settings have grown since
    (situation.told.is_empty() && seen <= situation.rules.ignore).then_some(Reason::Ignored { seen, of: situation.rules.ignore })
}
