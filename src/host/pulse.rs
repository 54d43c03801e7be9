//! That the host runs: what is noted from time to time, to know later when it was off or asleep.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A sign that the host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Since when the manager runs. It tells one boot from the next, also in a container, of which the kernel knows no boot.
    pub booted: Option<DateTime<Utc>>,
    /// How long the host has slept since it was booted.
    pub slept: Duration,
    /// How long the manager has run, sleep included: this does not jump with the clock. 0: a record from before it was noted.
    #[serde(default)]
    pub up: Duration,
    /// When that was so.
    pub at: DateTime<Utc>,
}

/// A time in which the host was off or asleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absence {
    /// From when on.
    pub since: DateTime<Utc>,
    /// Up to when.
    pub until: DateTime<Utc>,
}

impl Pulse {
    /// Since when the manager runs, by the clock of now. Without a battery the clock says something long past until the network
    /// tells the time, and the manager keeps what it said at first.
    pub fn begun(&self) -> Option<DateTime<Utc>> {
        let booted = self.booted?;
        let by_now = TimeDelta::from_std(self.up).ok().filter(|up| !up.is_zero()).and_then(|up| self.at.checked_sub_signed(up));
        Some(by_now.map_or(booted, |by_now| by_now.max(booted)).min(self.at))
    }
}
