//! `ignore`: the first N failures of an incident keep quiet; with `ignore_within`, those of earlier incidents count too.

use super::{Reason, Situation};

/// Failures that are still among the first N.
pub(super) fn ignored(situation: &Situation<'_>) -> Option<Reason> {
    let Situation { rules, earlier, .. } = situation;
    let (seen, of) = (situation.finals + earlier + 1, rules.ignore);
    // once somebody was told, N was reached, even if the settings have grown since
    let is_ignored = situation.told.is_empty() && seen <= of;
    is_ignored.then_some(match rules.ignore_within.as_secs() {
        0 => Reason::Ignored { seen, of },
        seconds => Reason::IgnoredWithin { seen, of, seconds },
    })
}

/// Failures that would still be among the first N, were it not for those of earlier incidents.
pub(super) fn too_often(situation: &Situation<'_>) -> Option<Reason> {
    let Situation { rules, earlier, .. } = situation;
    let alone = situation.finals + 1;
    let is_it = situation.told.is_empty() && alone <= rules.ignore && *earlier > 0;
    is_it.then(|| Reason::TooOften { failures: alone + earlier, seconds: rules.ignore_within.as_secs() })
}
