//! Jobs: what starts, stops or restarts a unit, and when it is done.

use std::time::{Duration, Instant};

use systemd::bus::{ContainerType, Message};

use super::units::{MANAGER, MANAGERS_PATH};
use super::{ServiceManager, UNIT, path_of};
use crate::host::clock;

/// So often it is asked whether a job is done.
const LOOK: Duration = Duration::from_millis(100);

/// What is to become of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is started.
    Start,
    /// It is stopped and started.
    Restart,
}

impl ServiceManager {
    /// Lets the manager do this, and waits until it is done or the time is over; whether it did well is for the caller to see.
    ///
    /// # Errors
    /// The manager's words when it refuses; a sentence when it takes too long, or does not answer.
    pub fn change(&mut self, change: Change, unit: &str, until: Instant) -> Result<(), String> {
        let method = match change {
            Change::Start => "StartUnit",
            Change::Restart => "RestartUnit",
        };
        let name = unit.to_owned();
        let whom = move |call: &mut Message| {
            call.append(name.as_str())?;
            // nothing that is under way is cancelled
            call.append("fail")
        };
        self.call((MANAGERS_PATH, MANAGER, method), whom, |_| Some(()))?;
        self.settled(unit, until)
    }

    /// Waits until a unit has no job any more, or the time is over.
    ///
    /// # Errors
    /// A sentence, when it takes too long, or the manager does not answer.
    pub fn settled(&mut self, unit: &str, until: Instant) -> Result<(), String> {
        let path = path_of(unit);
        while self.has_job(&path).ok_or("systemd does not answer")? {
            if clock::started() >= until {
                return Err(format!("{unit} takes too long"));
            }
            clock::wait(LOOK);
        }
        Ok(())
    }

    /// Whether a unit has a job that is not done.
    fn has_job(&mut self, path: &str) -> Option<bool> {
        self.get(path, UNIT, "Job", "(uo)", |iter| {
            let entered = iter.enter_container(ContainerType::Struct, "uo").ok()?;
            Some(entered && iter.next::<u32>().ok()?.unwrap_or_default() != 0)
        })
    }

    /// Since when a unit is active.
    pub fn active_since(&mut self, unit: &str) -> Option<chrono::DateTime<chrono::Utc>> {
        self.time(&path_of(unit), UNIT, "ActiveEnterTimestamp")
    }

    /// `LoadState` and `ActiveState` of a unit; the manager loads it if need be.
    pub fn is(&mut self, unit: &str) -> Option<(String, String)> {
        let path = path_of(unit);
        Some((self.text(&path, UNIT, "LoadState")?, self.text(&path, UNIT, "ActiveState")?))
    }
}
