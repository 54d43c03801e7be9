//! That the host runs: what is noted from time to time, to know later when it was off or asleep.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::clock;

/// A sign that the host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Since when the manager runs. It tells one boot from the next, also in a container, of which the kernel knows no boot.
    pub booted: Option<DateTime<Utc>>,
    /// How long the host has slept since it was booted.
    pub slept: Duration,
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
    /// The pulse now.
    pub fn now(booted: Option<DateTime<Utc>>, at: DateTime<Utc>) -> Pulse {
        Pulse { booted, slept: clock::slept(), at }
    }
}
