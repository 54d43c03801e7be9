//! What can happen to the three units, and how systemd speaks of it.

use sysalert::event::{Manager, Subject, UnitName};
use sysalert::host::manager::Unit as State;

use crate::reference::How;

/// One thing that happens, so many seconds after the one before.
#[derive(Debug, Clone)]
pub struct Step(pub i64, pub What);

#[derive(Debug, Clone)]
pub enum What {
    /// A run fails: the one that is active, or a new one.
    Fails(Name, How, Then, Heard),
    /// A unit that waits for its restart is not started again after all.
    GivesUp(Name, Heard),
    /// A run ends well by itself; with or without a trigger.
    Succeeds(Name, Then, bool),
    /// systemd calls a run a success that failed.
    FalseSuccess(Name),
    /// A run begins, and stays active.
    Starts(Name),
    /// Somebody stops it; with or without a trigger.
    Stops(Name, bool),
    /// Dispatch runs, and the method takes everything, or nothing.
    Dispatch { sends: bool },
    /// `sysalert ack`, of what somebody was told.
    Acknowledge(Name),
    /// `sysalert db clear`.
    Clear(Name),
    /// `sysalert silence`, for so many seconds; 0: `sysalert unsilence`.
    Silence(Name, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    A,
    B,
    C,
}

pub const NAMES: [(Name, &str); 3] = [(Name::A, "a.service"), (Name::B, "b.service"), (Name::C, "c.service")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Stays,
    Restarts,
}

/// What becomes of a failure's trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    InTime,
    /// The journal has not caught up when the handler looks.
    Early,
    Twice,
    Wordless,
    WordlessAndEarly,
    /// Merged into another's, or the handler was masked: only the journal knows.
    Never,
}

impl Heard {
    pub fn is_early(self) -> bool {
        matches!(self, Heard::Early | Heard::WordlessAndEarly)
    }
}

pub fn text(name: Name) -> &'static str {
    NAMES[name as usize].1
}

pub fn unit(name: Name) -> UnitName {
    UnitName::typed(text(name)).unwrap()
}

pub fn subject(name: Name) -> Subject {
    Subject::unit(&Manager::System, &unit(name))
}

pub fn id(run: usize) -> String {
    format!("{run:032x}")
}

pub fn state(run: usize, active: &str, sub: &str) -> State {
    State { active: active.to_owned(), sub: sub.to_owned(), invocation: Some(id(run)), ..State::default() }
}

/// systemd's words for a failure: result, exit code, exit status.
pub fn words(how: How) -> [&'static str; 3] {
    match how {
        How::Status3 => ["exit-code", "exited", "3"],
        How::Status4 => ["exit-code", "exited", "4"],
        How::Killed => ["signal", "killed", "KILL"],
        How::Timeout => ["timeout", "killed", "TERM"],
    }
}

/// Ours.
pub fn said(how: How) -> &'static str {
    match how {
        How::Status3 => "exited with status 3",
        How::Status4 => "exited with status 4",
        How::Killed => "killed by SIGKILL",
        How::Timeout => "timed out (killed by SIGTERM)",
    }
}
