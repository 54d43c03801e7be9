//! `remind`: who was told of an incident is told again, as long as it is not over and nobody has acknowledged it.

use super::due::passed;
use super::{Reason, Standing};

/// It is so long since the last alert.
pub(super) fn reminder(standing: &Standing<'_>) -> Option<Reason> {
    let every = standing.rules.remind?;
    let last = standing.last_alert?;
    passed(last, every, standing.now).then_some(Reason::Reminder { every: every.as_secs(), told: standing.alerts })
}
