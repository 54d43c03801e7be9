//! What a step of a story may be.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Deserialize;

use crate::machine::MachineState;

/// One step: `at` and one thing that happens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// When, counted from the story's start.
    pub(super) at: String,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    /// systemd starts the failure handler.
    Failed(Run),
    /// systemd starts the success handler.
    Succeeded(Run),
    /// Dispatch runs; each method's answer: "sent", "retry: why" or "refused: why".
    Dispatch(BTreeMap<String, String>),
    /// Dispatch claims the oldest alert that is due, for this method, and is killed while it sends it.
    Killed(String),
    /// An administrator's command; the state folder is added.
    Sysalert(String),
    /// Somebody acknowledges the incident of this unit.
    Ack(String),
    /// Somebody silences these units.
    Silence(Quieted),
    /// Somebody lifts that.
    Unsilence(String),
    /// The configuration is now this one.
    Config(String),
    /// A run fails, and no handler is started: systemd has merged the trigger into another's, or tries it again first.
    Missed(Run),
    /// A run succeeds, and no handler is started.
    Unseen(Run),
    /// Somebody stops the unit's run; it ends well.
    Stopped(Run),
    /// The unit is like this now.
    Unit(State),
    /// Whoever polls the unit sees this from now on.
    Shown(Shown),
    /// `sysalert check services` runs; beside the units that are shown these are installed.
    Check(Vec<String>),
    /// The machine booted so long before; at the beginning of a story it has been up for long.
    Booted(String),
    /// The database is damaged: "garbage", "empty", "index" (without its entries), or "TABLE": the pages that hold it.
    Damaged(String),
    /// A file changes of which every unit of the story is made.
    Changed(String),
    /// A timer is like this now.
    Timer(TimerState),
    /// The manager knows this unit; it remembers no run of it, but the one that ended well so long ago: "1h", or "".
    Job([String; 2]),
    /// The manager remembers that a run of this unit has just ended.
    Ended(Last),
    /// The manager answers nobody any more, or (false) all again.
    Silent(bool),
    /// The manager knows no such unit.
    Missing(String),
    /// The network tells the time: the clock has just been set forward by so much.
    Network(String),
    /// Schedules are looked at.
    Schedules(Here),
    /// The machine is like this from now on, for its sensors.
    Machine(MachineState),
    /// `sysalert check sensors` runs.
    Sensors(Here),
}

/// `{}`: a step that says no more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Here {}

/// The last run of a job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Last {
    pub(super) unit: String,
    pub(super) run: usize,
    /// True: by a signal that counts as a good end.
    #[serde(default)]
    pub(super) killed: bool,
}

/// How the manager shows a timer that starts the unit of its name; times are counted from the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimerState {
    pub(super) unit: String,
    #[serde(default = "loaded")]
    pub(super) load: String,
    #[serde(default = "enabled")]
    pub(super) file: String,
    #[serde(default = "active")]
    pub(super) active: String,
    #[serde(default)]
    pub(super) sub: String,
    pub(super) next: Option<String>,
    pub(super) last: Option<String>,
    /// So long it is not active.
    pub(super) inactive: Option<String>,
}

pub(super) fn loaded() -> String {
    "loaded".to_owned()
}

fn enabled() -> String {
    "enabled".to_owned()
}

fn active() -> String {
    "active".to_owned()
}

pub(super) fn length(words: &str) -> TimeDelta {
    TimeDelta::from_std(humantime::parse_duration(words).unwrap()).unwrap()
}

/// What is silenced, for how long and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quieted {
    pub(super) glob: String,
    pub(super) lasts: String,
    pub(super) why: Option<String>,
}

/// How the manager shows a unit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    pub(super) unit: String,
    pub(super) active: String,
    #[serde(default)]
    pub(super) sub: String,
    /// Its current run.
    pub(super) run: usize,
}

/// How the manager shows a unit that is polled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    pub(super) unit: String,
    /// "active running", "inactive dead masked": its state, and its load state unless it is loaded.
    pub(super) state: String,
    /// Its current run, or the last one.
    pub(super) run: Option<usize>,
    /// `Type=`.
    pub(super) kind: Option<String>,
    /// True: its target is up, and it never ran.
    #[serde(default)]
    pub(super) due: bool,
}

/// What systemd tells about a run; by default it exited with status 3.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    /// "backup.service", or "alice/bot.service" of alice's user manager.
    pub(super) unit: String,
    pub(super) result: Option<String>,
    pub(super) code: Option<String>,
    pub(super) status: Option<String>,
    /// Its invocation; by default a new one.
    pub(super) run: Option<usize>,
    /// True: a dependency failed, so that systemd has no invocation to tell and calls the result "success".
    #[serde(default)]
    pub(super) not_started: bool,
    /// True: systemd starts it again by itself.
    #[serde(default)]
    pub(super) restarts: bool,
    /// How much processor time it used: "72s".
    pub(super) cpu: Option<String>,
    /// What it prints, each line "<3>..." if it has a priority.
    #[serde(default)]
    pub(super) prints: Vec<String>,
    /// What started it: "timer", "path" or "other".
    pub(super) start: Option<String>,
    /// True: the journal has not caught up; it never tells of this run.
    #[serde(default)]
    pub(super) unwritten: bool,
    /// True: the database cannot be opened meanwhile.
    #[serde(default)]
    pub(super) database_blocked: bool,
}
