//! That the host runs: what is noted from time to time, to know later when it was off or asleep.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{clock, names};

/// A sign that the host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// The boot.
    pub boot: String,
    /// Since when its manager runs.
    pub booted: Option<DateTime<Utc>>,
    /// How long it has slept in this boot.
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
    /// The pulse now; when it was booted, the manager tells.
    pub fn now(at: DateTime<Utc>) -> Pulse {
        Pulse { boot: names::boot(), booted: None, slept: clock::slept(), at }
    }
}
