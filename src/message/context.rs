//! What a message tells beside its event: gathered while it was fresh, kept with the alert, so that a late delivery has it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Findings;

/// What was gathered about a run. All of it is safe to print.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The run's last lines, oldest first; secrets are taken out.
    pub excerpt: Vec<String>,
    /// How many secrets were taken out of them.
    pub secrets: usize,
    /// A sentence: why there are no lines, or why some may be missing.
    pub note: Option<String>,
    /// How long the run lasted, to its failure.
    pub ran: Option<Duration>,
    /// How long its last successful runs lasted: their median. Only for jobs that run and end.
    pub usual: Option<Duration>,
    /// When a run of it last succeeded, before this one.
    pub last_success: Option<DateTime<Utc>>,
    /// Of a schedule: when its unit's last run ended, however.
    pub last_run: Option<DateTime<Utc>>,
    /// Of a schedule: when a timer is to start it next.
    pub next_run: Option<DateTime<Utc>>,
    /// Of a sensor's rule, when somebody is told again: the last value, and when it was measured.
    pub measured: Option<String>,
    /// The same where there is no value any more: since when, and why.
    pub unmeasured: Option<(DateTime<Utc>, String)>,
    /// The unit's `Documentation=`: "man:nginx(8)", "https://...".
    pub documentation: Vec<String>,
    /// The sockets that could have started it, when no timer and no path did.
    pub sockets: Vec<String>,
    /// What else was found out.
    pub findings: Findings,
}
