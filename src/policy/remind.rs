//! `remind`: who was told of an incident is told again, as long as it is not over and nobody has acknowledged it.

use super::due::passed;
use super::{Reason, Standing};

/// It is so long since the last alert, or since whoever knew of it took that back.
pub(super) fn reminder(standing: &Standing<'_>) -> Option<Reason> {
    let every = standing.rules.remind?;
    let last = standing.last_alert;
    let since = standing.unanswered_since(last)?;
    let (seconds, told) = (every.as_secs(), standing.alerts);
    passed(since, every, standing.now).then_some(match last {
        Some(last) if last == since => Reason::Reminder { every: seconds, told },
        _ => Reason::TakenBack { every: seconds, told },
    })
}
