//! `escalate_to`: when nobody acknowledges an incident in time, others are told as well, once.

use super::due::passed;
use super::{Reason, Standing};

/// It is so long since the first alert, and nobody said that they know, or they took that back.
pub(super) fn nobody_acknowledged(standing: &Standing<'_>) -> Option<Reason> {
    let Standing { rules, escalated, now, .. } = standing;
    if rules.escalate_to.is_empty() || *escalated {
        return None;
    }
    passed(standing.unanswered_since(standing.told)?, rules.escalate_after, *now)
        .then_some(Reason::Unacknowledged { after: rules.escalate_after.as_secs(), told: standing.alerts })
}
