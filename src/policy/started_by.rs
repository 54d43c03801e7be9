//! `started_by`: runs that nobody asks about are recorded, and not told. Of a run that nobody knows the start of, somebody hears.

use super::{Reason, Situation};
use crate::event::Start;

/// All that a setting can tell apart. What systemd starts again belongs to what it was that started it first.
const ANY: [Start; 3] = [Start::Timer, Start::Path, Start::Other];

/// The kinds of start that these words stand for.
pub(super) fn starts(words: &[String]) -> Vec<Start> {
    ANY.into_iter().filter(|start| words.iter().any(|word| word == "any" || word == start.as_str())).collect()
}

/// Whether nothing is passed over.
pub(super) fn is_any(starts: &[Start]) -> bool {
    starts.len() == ANY.len()
}

/// A run that was started otherwise than the settings ask for.
pub(super) fn otherwise(situation: &Situation<'_>) -> Option<Reason> {
    let start = situation.start.filter(|start| *start != Start::Restart)?;
    (!situation.rules.started_by.contains(&start)).then_some(Reason::StartedOtherwise { by: start })
}
