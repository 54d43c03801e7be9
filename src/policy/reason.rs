//! Why somebody hears of an event, or nobody does. Stored with the event, printed by `explain`.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sysalert_abi::Kind;

use super::Silence;
use crate::event::{Start, local_time};

/// The reason of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// Spoke: the first failure that counts.
    First,
    /// Spoke: the first failure of a run that somebody asks about.
    FirstAskedFor,
    /// Spoke: as many failures were ignored as the settings say.
    IgnoredEnough {
        /// How many kept quiet.
        ignored: u64,
    },
    /// Spoke: with the failures of earlier incidents it is more than the settings ignore.
    TooOften {
        /// How many failures there were, this one included.
        failures: u64,
        /// Within how many seconds.
        seconds: u64,
    },
    /// Spoke: systemd has tried it again, and now gives up.
    StaysFailed {
        /// How often it was tried again.
        restarts: u64,
    },
    /// Spoke: systemd starts it again and again.
    KeepsRestarting,
    /// Spoke: it fails and recovers, again and again.
    KeepsRecovering,
    /// Spoke: it failed and recovered again and again, and now stays failed.
    StayedFailed {
        /// For how many seconds.
        seconds: u64,
    },
    /// Spoke: it fails in a way that nobody was told yet.
    NewProblem {
        /// What was told last.
        was: String,
    },
    /// Spoke: it fails in the same way and complains of something else.
    NewError {
        /// Of what.
        error: String,
        /// What was told of such a failure last.
        was: String,
    },
    /// Spoke: a problem that was told before is back after another one.
    Returned {
        /// What was told last.
        was: String,
    },
    /// Spoke: it is well again.
    Recovered,
    /// Spoke: it flapped, and is stable now.
    Stable {
        /// For how many seconds.
        seconds: u64,
    },
    /// Spoke: it flapped, and nothing runs it any more.
    NoLongerRuns {
        /// For how many seconds.
        seconds: u64,
    },
    /// Spoke: it is not over, and the last alert is so long ago.
    Reminder {
        /// So many seconds.
        every: u64,
        /// How many alerts there were before.
        told: u64,
    },
    /// Spoke: it is not over, and so long ago whoever knew of it took that back.
    TakenBack {
        /// So many seconds.
        every: u64,
        /// How many alerts there were before.
        told: u64,
    },
    /// Spoke, to others as well: nobody acknowledged it in time.
    Unacknowledged {
        /// Within so many seconds.
        after: u64,
        /// How many alerts there were before.
        told: u64,
    },
    /// Spoke, of several incidents: they were not to be told before.
    Waited,
    /// Silent: somebody wants to hear nothing of it for a while.
    Silenced {
        /// Until then.
        until: DateTime<Utc>,
        /// Who.
        by: String,
        /// What they said about it.
        why: Option<String>,
    },
    /// Silent: this failure is among the ones to ignore.
    Ignored {
        /// Which one it is, from 1.
        seen: u64,
        /// How many to ignore.
        of: u64,
    },
    /// Silent: this failure is among the ones to ignore, with those of earlier incidents.
    IgnoredWithin {
        /// Which one it is, from 1.
        seen: u64,
        /// How many to ignore.
        of: u64,
        /// Within how many seconds.
        seconds: u64,
    },
    /// Silent: nobody asks about runs that were started like this.
    StartedOtherwise {
        /// What started it.
        by: Start,
    },
    /// Silent: systemd starts it again by itself.
    Restarts,
    /// Silent: it ended well, and systemd starts it again by itself.
    StartedAgain,
    /// Silent: that it flaps is told.
    Flapping,
    /// Silent: it flaps, so that one success is no recovery.
    Unsteady,
    /// Silent: somebody stopped it, which is no recovery.
    Stopped,
    /// Silent: told already.
    SameProblem {
        /// When it happened that somebody was told.
        told: DateTime<Utc>,
    },
    /// Silent: told before, and the last alert is too fresh.
    TooSoon {
        /// From when it would speak again.
        until: DateTime<Utc>,
    },
    /// Silent: the settings say that nobody wants to hear of recoveries.
    RecoveryUnwanted,
    /// Silent: it recovered before anybody was told that it failed.
    NeverTold,
    /// Silent: nothing was wrong.
    NothingWrong,
    /// Silent: a success of a run that failed; systemd says so at times.
    SameRunFailed,
    /// Silent: by the time this success was decided, the unit had failed again.
    Overtaken,
    /// Silent: the settings turn this unit off.
    Disabled,
    /// Silent: a damaged database had lost it, and it had recovered when the journal told it again.
    RecoveredByThen,
    /// Silent: `db clear` came before a decision.
    Cleared,
}

impl Reason {
    /// The kind of alert that follows.
    pub fn alert(&self) -> Option<Kind> {
        match self {
            Reason::First
            | Reason::FirstAskedFor
            | Reason::IgnoredEnough { .. }
            | Reason::TooOften { .. }
            | Reason::StaysFailed { .. }
            | Reason::NewProblem { .. }
            | Reason::NewError { .. }
            | Reason::Returned { .. }
            | Reason::KeepsRestarting
            | Reason::KeepsRecovering
            | Reason::StayedFailed { .. } => Some(Kind::Failure),
            Reason::Reminder { .. } | Reason::TakenBack { .. } | Reason::Unacknowledged { .. } => Some(Kind::Reminder),
            Reason::Waited => Some(Kind::Digest),
            Reason::Recovered | Reason::Stable { .. } | Reason::NoLongerRuns { .. } => Some(Kind::Recovery),
            Reason::Silenced { .. }
            | Reason::Ignored { .. }
            | Reason::IgnoredWithin { .. }
            | Reason::StartedOtherwise { .. }
            | Reason::Restarts
            | Reason::StartedAgain
            | Reason::Flapping
            | Reason::Unsteady
            | Reason::Stopped
            | Reason::SameProblem { .. }
            | Reason::TooSoon { .. }
            | Reason::RecoveryUnwanted
            | Reason::NeverTold
            | Reason::NothingWrong
            | Reason::SameRunFailed
            | Reason::Overtaken
            | Reason::Disabled
            | Reason::RecoveredByThen
            | Reason::Cleared => None,
        }
    }
}

impl Reason {
    /// Its word in the database.
    pub fn word(&self) -> String {
        let json = serde_json::to_value(self).unwrap_or_default();
        json["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Why, without saying whether it spoke.
    pub fn why(&self) -> String {
        match self {
            Reason::First => "the first failure of a new incident".to_owned(),
            Reason::FirstAskedFor => "the first failure of this incident that `started_by` asks for".to_owned(),
            Reason::IgnoredEnough { ignored: 1 } => "the failure before this one kept silent".to_owned(),
            Reason::IgnoredEnough { ignored } => format!("{ignored} failures before this one kept silent"),
            Reason::TooOften { failures, seconds } => {
                format!("it failed {failures} times within {}, though it recovered in between", length(*seconds))
            }
            Reason::StaysFailed { restarts: 1 } => "systemd tried it once more, and gives up".to_owned(),
            Reason::StaysFailed { restarts } => format!("systemd tried it {restarts} times more, and gives up"),
            Reason::NewProblem { was } => format!("a new problem; reported last: {was}"),
            Reason::NewError { error, was } => format!("a different error than before: {error}; before: {was}"),
            Reason::Returned { was } => format!("an earlier problem is back; reported last: {was}"),
            Reason::KeepsRestarting => "systemd keeps restarting it".to_owned(),
            Reason::KeepsRecovering => "it keeps failing and recovering".to_owned(),
            Reason::StayedFailed { seconds } => {
                format!("it kept failing and recovering, and has stayed failed for {}", length(*seconds))
            }
            Reason::Recovered => "it recovered".to_owned(),
            Reason::Stable { seconds } => format!("no failure and no restart for {}", length(*seconds)),
            Reason::NoLongerRuns { seconds } => format!("it flapped, and has not run for {}", length(*seconds)),
            Reason::Reminder { every, .. } => {
                format!("it is not over, and the last alert was {} ago, as `remind` says", length(*every))
            }
            Reason::TakenBack { every, .. } => {
                format!("it is not over, and its acknowledgement was taken back {} ago, as `remind` says", length(*every))
            }
            Reason::Unacknowledged { after, .. } => {
                format!("nobody acknowledged it within {}, as `escalate_after` says", length(*after))
            }
            Reason::Waited => "it was not to be told before: quiet hours, or the hours of its method".to_owned(),
            Reason::Silenced { until, by, why } => {
                format!("{}; it is reported then, if it is not over", Silence::words(*until, by, why.as_deref()))
            }
            Reason::Ignored { seen, of } => format!("failure {seen} of the {of} to ignore, as `ignore` says"),
            Reason::IgnoredWithin { seen, of, seconds } => {
                format!("failure {seen} of the {of} to ignore within {}, as `ignore` and `ignore_within` say", length(*seconds))
            }
            Reason::StartedOtherwise { by } => {
                let what = match by {
                    Start::Timer => "a timer",
                    Start::Path => "a path unit",
                    Start::Other | Start::Restart => "neither a timer nor a path unit",
                };
                format!("{what} started this run, and `started_by` does not ask for that")
            }
            Reason::Restarts => "systemd starts it again by itself (Restart=), and `alert_on` is \"final\"".to_owned(),
            Reason::StartedAgain => "it ended well, and systemd starts it again by itself (Restart=)".to_owned(),
            Reason::Flapping => "it flaps, which is reported; it speaks again when it is stable or stays failed".to_owned(),
            Reason::Unsteady => "it flaps: it has recovered when nothing happens for `flapping_window`".to_owned(),
            Reason::Stopped => "it was stopped, which is no recovery".to_owned(),
            Reason::SameProblem { told } => format!("the same problem as reported for {}", local_time(*told)),
            Reason::TooSoon { until } => format!("reported before, and `min_interval` lasts until {}", local_time(*until)),
            Reason::RecoveryUnwanted => "it recovered, and `recovery` is false".to_owned(),
            Reason::NeverTold => "it recovered before its failure was reported".to_owned(),
            Reason::NothingWrong => "nothing was wrong".to_owned(),
            Reason::SameRunFailed => "systemd called a run a success whose failure is on record".to_owned(),
            Reason::Overtaken => "it failed again after this success".to_owned(),
            Reason::Disabled => "`enabled` is false for this unit".to_owned(),
            Reason::RecoveredByThen => {
                "a damaged database had lost it; when the journal told it again, the unit had recovered".to_owned()
            }
            Reason::Cleared => "cleared before it was decided".to_owned(),
        }
    }
}

/// "1h", "1m 30s", "2d"
fn length(seconds: u64) -> String {
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    text.replace("days", "d").replace("day", "d")
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.alert().is_some() { "spoke" } else { "silent" }, self.why())
    }
}
