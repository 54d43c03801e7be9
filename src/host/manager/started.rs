//! What started a unit. systemd's own `ActivationDetails` are of the first start that had any since the unit was loaded: a unit
//! that fails stays loaded, and then they are those of its first failure, whatever starts it later. So times decide.

use chrono::{DateTime, Utc};
use systemd::bus::ContainerType;

use super::properties::Properties;
use super::{ServiceManager, TIMER, UNIT, path_of, string};
use crate::event::Start;

/// A unit that starts another; with a time: a timer that elapsed then, perhaps for an earlier start.
pub(super) type By = (String, Option<DateTime<Utc>>);

/// The manager notes when a timer elapses, and a moment later that the unit starts.
const CLOSE: u64 = 1_000_000;

impl ServiceManager {
    /// What started the unit last.
    pub(super) fn started_by(&mut self, path: &str, of: &Properties) -> Option<(Start, Option<By>)> {
        let other = (Start::Other, None);
        let Some(first) = self.first_trigger(path)? else { return Some(other) };
        let begun = of.number("InactiveExitTimestampMonotonic")?;
        let mut triggers = of.list("TriggeredBy").to_vec();
        triggers.push(first);
        let (paths, others): (Vec<_>, Vec<_>) = triggers.into_iter().partition(|unit| unit.ends_with(".path"));
        for trigger in paths {
            if self.is_of_path(of, begun, &trigger)? {
                return Some((Start::Path, Some((trigger, None))));
            }
        }
        let mut before = None;
        for timer in others.into_iter().filter(|unit| unit.ends_with(".timer")) {
            let by = path_of(&timer);
            let Some(elapsed) = self.number_of::<u64>(&by, TIMER, "LastTriggerUSecMonotonic", "t") else { continue };
            if begun.abs_diff(elapsed) < CLOSE {
                return Some((Start::Timer, Some((timer, None))));
            }
            if elapsed > 0 && elapsed < begun {
                before = before.max(Some((elapsed, timer)));
            }
        }
        let Some((_, timer)) = before else { return Some(other) };
        let elapsed = self.time(&path_of(&timer), TIMER, "LastTriggerUSec");
        Some((Start::Other, elapsed.map(|elapsed| (timer, Some(elapsed)))))
    }

    /// Whether a path unit started the run that was begun then: it looks again when the unit that it started has ended; of one
    /// that was started otherwise it sees the start.
    fn is_of_path(&mut self, of: &Properties, begun: u64, trigger: &str) -> Option<bool> {
        let looked = self.number_of::<u64>(&path_of(trigger), UNIT, "StateChangeTimestampMonotonic", "t")?;
        let ended = of.number("InactiveEnterTimestampMonotonic").unwrap_or(0);
        // still running: the path unit has not looked since it started it
        Some(if begun > ended { looked <= begun } else { looked >= ended })
    }

    /// The unit in `ActivationDetails`. The outer `None`: this systemd does not tell.
    fn first_trigger(&mut self, path: &str) -> Option<Option<String>> {
        self.get(path, UNIT, "ActivationDetails", "a(ss)", |iter| {
            let mut trigger = None;
            if iter.enter_container(ContainerType::Array, "(ss)").ok()? {
                while iter.enter_container(ContainerType::Struct, "ss").ok()? {
                    let (name, value) = (string(iter)?, string(iter)?);
                    trigger = trigger.or((name == "trigger_unit").then_some(value));
                    iter.exit_container().ok()?;
                }
                iter.exit_container().ok()?;
            }
            Some(trigger)
        })
    }
}
