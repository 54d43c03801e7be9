//! One observation of a subject, and the words for what was observed.

mod breach;
mod escape;
mod gone;
mod lapse;
mod problem;
mod process;
mod quantity;
mod subject;

pub use breach::{Blind, Breach, CheckName, Finding, Op};
pub use escape::{escaped, is_invisible, shell, shell_path};
pub use gone::Gone;
pub use lapse::{Inactive, Lapse};
pub use problem::Problem;
pub use process::{Alarm, ProcessName, shown_name};
pub use quantity::{Unit, counted, is_or_are, quantity, times};
pub use subject::{CHECK, DATABASE, Manager, PROCESS, SCHEDULE, Subject, UnitName};

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is in trouble.
    Failed,
    /// It is well.
    Succeeded,
}

impl Outcome {
    /// Its word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Failed => "failed",
            Outcome::Succeeded => "succeeded",
        }
    }
}

/// What started a run. systemd tells no more: a person, a socket and another unit look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// A timer.
    Timer,
    /// A path unit.
    Path,
    /// systemd itself, as the unit's `Restart=` says.
    Restart,
    /// None of these.
    Other,
}

impl Start {
    /// Its word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Start::Timer => "timer",
            Start::Path => "path",
            Start::Restart => "restart",
            Start::Other => "other",
        }
    }

    /// The kind of start of this word.
    pub fn parse(word: &str) -> Option<Start> {
        [Start::Timer, Start::Path, Start::Restart, Start::Other].into_iter().find(|start| start.as_str() == word)
    }
}

/// One observation. The same subject, run, outcome and result is one event, however often it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What was observed.
    pub subject: Subject,
    /// How it ended.
    pub outcome: Outcome,
    /// Which run it was: the invocation ID, or what stands in for it where nothing was started.
    pub run: String,
    /// The run's invocation ID.
    pub invocation_id: Option<String>,
    /// What kind of end it was.
    #[serde(flatten)]
    pub problem: Problem,
    /// The unit that started the run: a timer or a path.
    pub triggered_by: Option<String>,
    /// What kind of start it was; `None`: not known.
    #[serde(default)]
    pub start: Option<Start>,
    /// True when systemd itself starts the unit again, as its `Restart=` says: the failure is not final.
    #[serde(default)]
    pub restarts: bool,
    /// When it was observed.
    pub at: DateTime<Utc>,
}

impl Event {
    /// What a look at the subject found; no trigger tells it, nor more of it.
    pub fn found(subject: &Subject, outcome: Outcome, run: String, problem: Problem, at: DateTime<Utc>) -> Event {
        Event {
            subject: subject.clone(),
            outcome,
            run,
            invocation_id: None,
            problem,
            triggered_by: None,
            start: None,
            restarts: false,
            at,
        }
    }
}

/// A time for people: local, with its zone.
pub fn local_time(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%a %Y-%m-%d %H:%M:%S %:z").to_string()
}

/// A time for tables, where width is dear: to the minute.
pub fn short_time(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%d %H:%M %:z").to_string()
}

/// A time for programs: RFC 3339 in UTC.
pub fn utc_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
