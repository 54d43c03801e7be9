//! What the reference speaks of.

use chrono::{DateTime, Utc};

/// How a run fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Status3,
    Status4,
    Killed,
    Timeout,
}

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub ignore: u64,
    pub each: bool,
    pub min_interval: i64,
    pub recovery: bool,
    /// So many restarts, or incidents, are flapping; 0: none are.
    pub flapping: usize,
    /// Within so many seconds.
    pub window: i64,
    /// A reminder comes so many seconds after the last message; 0: never.
    pub remind: i64,
    /// Units are silenced: the reference knows nothing of that, and only what must never be is looked for.
    pub silences: bool,
}

/// A daemon counts as recovered after so many seconds.
pub const HOLD: i64 = 10;

/// What became of a run.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Failed {
        how: How,
        restarts: bool,
    },
    /// Of the same run: systemd does not start it again after all.
    GaveUp,
    /// By itself, and for good.
    Succeeded,
    /// It ended well, and systemd starts it again now.
    StartedAgain,
}

/// How the unit is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Now {
    #[default]
    Inactive,
    Active,
    Failed,
    /// systemd is to start it again.
    Waits,
}

/// A long up and down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flapping {
    pub alternates: bool,
    pub times: usize,
    pub last: DateTime<Utc>,
}

/// A message that somebody is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Failure,
    Reminder,
    Recovery,
}

/// A failure on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub run: usize,
    pub how: How,
    pub restarts: bool,
    pub spoke: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending,
    Open,
    Acknowledged,
    Resolved,
    Cleared,
}
