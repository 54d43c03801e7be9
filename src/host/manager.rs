//! The service manager, asked over D-Bus. It tells how a unit is now; how its runs ended, the journal tells better.

mod health;
mod jobs;
mod listed;
mod names;
mod properties;
mod setup;
mod started;
mod timers;
mod units;

pub use health::{Health, Sandbox};
pub use jobs::Change;
pub use listed::{Counts, Detail, Glance, Listed, Shown};
pub use setup::Setup;
pub use timers::{Asked, Broken, Job, Schedules, Timer, Timetable};
pub use units::{Nature, systemctl, systemd_run};

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use systemd::bus::types::FromSdBusMessage;
use systemd::bus::{Bus, ContainerType, MessageIter};
use utf8_cstr::Utf8CStr;

use self::names::{interface_of, path_of};
use super::{clock, libsystemd};
use crate::event::{Problem, Start, Subject};

const NAME: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const TIMER: &str = "org.freedesktop.systemd1.Timer";

/// What our handlers' names begin with.
const HANDLER: &str = "sysalert-failure@";

/// How a unit is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `ActiveState`: "active", "failed", "activating", ...
    pub active: String,
    /// `SubState`: "running", "auto-restart", ...
    pub sub: String,
    /// The current run, or the last one.
    pub invocation: Option<String>,
    /// Since when it is active.
    pub active_since: Option<DateTime<Utc>>,
    /// Since when it is as it is now; its run was not begun later.
    pub changed: Option<DateTime<Utc>>,
    /// True when systemd began the current run by itself, as `Restart=` says, since the last start from outside.
    pub restarted: bool,
    /// What started it last; `None`: the manager does not tell (before systemd 250).
    pub start: Option<Start>,
    /// The timer or path unit that did.
    pub triggered_by: Option<String>,
    /// A timer that elapsed before the start, and when: either the start had to wait for other units, or the timer began a run
    /// before this one. The journal tells.
    pub elapsed: Option<(String, DateTime<Utc>)>,
}

impl Unit {
    /// Whether it waits for its automatic restart.
    pub fn restarts(&self) -> bool {
        self.sub.starts_with("auto-restart")
    }
}

/// A connection to the service manager; made when it is needed, and given up at the first question without an answer.
pub struct ServiceManager {
    connect: Connect,
    patience: Duration,
    bus: Option<Bus>,
    is_dead: bool,
    /// There is no bus at all: asking again is of no use.
    is_absent: bool,
    /// The units that others depend on.
    needed: BTreeMap<String, State>,
}

/// How a unit is that another depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It failed, or there is none.
    Failed,
    /// It is not up.
    Down,
    /// It is up.
    Up,
}

/// Begins a connection.
type Connect = fn() -> systemd::Result<Bus>;
/// So long the connection may take beside the first answer: in a storm each handler makes one.
const CONNECTING: Duration = Duration::from_secs(1);

impl ServiceManager {
    /// The machine's, or this user's; each answer may take as long as `patience`.
    pub fn new(users: bool, patience: Duration) -> ServiceManager {
        let connect: Connect = if users { || Bus::open_user() } else { || Bus::open_system() };
        ServiceManager { connect, patience, bus: None, is_dead: false, is_absent: false, needed: BTreeMap::new() }
    }

    /// How this unit is; `None` when nobody answers.
    pub fn unit(&mut self, subject: &Subject) -> Option<Unit> {
        let path = path_of(subject.unit_name());
        // with one message: of a unit that is being restarted, several would tell of several states
        let of = self.all(&path, UNIT)?;
        let mut unit = Unit {
            active: of.text("ActiveState")?,
            sub: of.text("SubState")?,
            invocation: of.invocation(),
            active_since: of.time("ActiveEnterTimestamp"),
            changed: of.time("StateChangeTimestamp"),
            restarted: self.number_of::<u32>(&path, SERVICE, "NRestarts", "u").is_some_and(|restarts| restarts > 0),
            ..Unit::default()
        };
        if let Some((start, by)) = self.started_by(&path, &of) {
            unit.start = Some(start);
            match by {
                Some((timer, Some(elapsed))) => unit.elapsed = Some((timer, elapsed)),
                by => unit.triggered_by = by.map(|(name, _)| name),
            }
        }
        // half an answer would look like a unit that is unloaded
        (!self.is_dead).then_some(unit)
    }

    /// How the last run ended, for a systemd that hands nothing to handlers.
    pub fn problem(&mut self, subject: &Subject) -> Option<Problem> {
        let path = path_of(subject.unit_name());
        let result = self.text(&path, &interface_of(subject.unit_name()), "Result")?;
        Some(problem(result, self.number(&path, "ExecMainCode"), self.number(&path, "ExecMainStatus")))
    }

    /// The unit that a unit could not be started for: the nearest of those it depends on that failed. If there is none any more,
    /// what it needs itself and is not up: it is started again, as a second unit that needs it may bring about, or is a device
    /// that never came.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn culprit(&mut self, subject: &Subject) -> Result<Option<String>, NoAnswer> {
        let found = self.nearest_that_failed(subject);
        if self.is_dead && !self.is_absent { Err(NoAnswer) } else { Ok(found) }
    }

    fn nearest_that_failed(&mut self, subject: &Subject) -> Option<String> {
        let mut suspect = None;
        let mut level = vec![subject.unit_name().to_owned()];
        let mut seen = level.clone();
        for _ in 0..DEEPEST {
            let mut next = Vec::new();
            for unit in &level {
                let path = path_of(unit);
                for list in ["Requires", "BindsTo", "Requisite"] {
                    next.extend(self.list(&path, UNIT, list)?);
                }
            }
            next.sort();
            next.dedup();
            next.retain(|unit| !seen.contains(unit));
            for unit in &next {
                match self.state(unit)? {
                    State::Failed => return Some(unit.clone()),
                    State::Down if seen.len() == 1 => suspect = suspect.or_else(|| Some(unit.clone())),
                    State::Down | State::Up => {}
                }
            }
            seen.extend(next.iter().cloned());
            level = next;
        }
        suspect
    }

    /// How a unit is that another depends on. Of a thousand that need the same one, one asks.
    fn state(&mut self, unit: &str) -> Option<State> {
        if let Some(known) = self.needed.get(unit) {
            return Some(*known);
        }
        let path = path_of(unit);
        let state = match self.text(&path, UNIT, "ActiveState")?.as_str() {
            "failed" => State::Failed,
            _ if self.text(&path, UNIT, "LoadState")? == "not-found" => State::Failed,
            "active" | "reloading" => State::Up,
            _ => State::Down,
        };
        self.needed.insert(unit.to_owned(), state);
        Some(state)
    }

    /// Whether this unit's `OnFailure=` names our handler.
    pub fn is_handled(&mut self, subject: &Subject) -> Option<bool> {
        let handlers = self.list(&path_of(subject.unit_name()), UNIT, "OnFailure")?;
        Some(handlers.iter().any(|unit| unit.starts_with(HANDLER)))
    }

    /// The unit's `Documentation=`, and the sockets that could have started it.
    pub fn about(&mut self, subject: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        let path = path_of(subject.unit_name());
        let documentation = self.list(&path, UNIT, "Documentation")?;
        let mut sockets = self.list(&path, UNIT, "TriggeredBy").unwrap_or_default();
        sockets.retain(|unit| unit.ends_with(".socket"));
        Some((documentation, sockets))
    }

    /// The main process of this run, also when it is gone; `None` when the unit has another run by now.
    pub fn main_process(&mut self, unit: &str, invocation: &str) -> Option<u32> {
        let path = path_of(unit);
        let process = self.number_of::<u32>(&path, SERVICE, "ExecMainPID", "u").filter(|process| *process > 0)?;
        // asked after the figure: if it is still this run now, it is its own
        (self.invocation(&path)? == invocation).then_some(process)
    }

    fn invocation(&mut self, path: &str) -> Option<String> {
        let bytes: Vec<u8> = self.get(path, UNIT, "InvocationID", "ay", |iter| {
            let mut bytes = Vec::new();
            if iter.enter_container(ContainerType::Array, "y").ok()? {
                while let Some(byte) = iter.next::<u8>().ok()? {
                    bytes.push(byte);
                }
                iter.exit_container().ok()?;
            }
            Some(bytes)
        })?;
        properties::hexadecimal(&bytes)
    }

    fn text(&mut self, path: &str, interface: &str, property: &str) -> Option<String> {
        self.get(path, interface, property, "s", string)
    }

    fn list(&mut self, path: &str, interface: &str, property: &str) -> Option<Vec<String>> {
        self.get(path, interface, property, "as", |iter| {
            let mut list = Vec::new();
            if iter.enter_container(ContainerType::Array, "s").ok()? {
                while let Some(text) = string(iter) {
                    list.push(text);
                }
                iter.exit_container().ok()?;
            }
            Some(list)
        })
    }

    fn time(&mut self, path: &str, interface: &str, property: &str) -> Option<DateTime<Utc>> {
        let micros = self.number_of::<u64>(path, interface, property, "t").filter(|micros| *micros > 0)?;
        DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)
    }

    fn number(&mut self, path: &str, property: &str) -> Option<i32> {
        self.number_of::<i32>(path, SERVICE, property, "i")
    }

    fn number_of<T: for<'a> FromSdBusMessage<'a>>(
        &mut self,
        path: &str,
        interface: &str,
        property: &str,
        kind: &'static str,
    ) -> Option<T> {
        self.get(path, interface, property, kind, |iter| iter.next::<T>().ok().flatten())
    }

    /// One property; `None` when the unit has none of this name, or nobody answers.
    fn get<T>(
        &mut self,
        path: &str,
        interface: &str,
        property: &str,
        kind: &'static str,
        read: impl FnOnce(&mut MessageIter<'_>) -> Option<T>,
    ) -> Option<T> {
        let patience = self.patience;
        let words = [path, interface, property].map(str::to_owned);
        self.ask(move |bus| properties::get(bus, &words, kind, patience, read))
    }

    /// Puts a question to the manager; `None` when there is nothing to tell, or nobody answers.
    fn ask<T>(&mut self, question: impl FnOnce(&mut Bus) -> Result<Option<T>, NoAnswer>) -> Option<T> {
        if self.is_dead {
            return None;
        }
        if self.bus.is_none() {
            let begun = (self.connect)();
            self.is_absent = begun.is_err();
            self.bus = begun.ok().and_then(|bus| ready(bus, self.patience + CONNECTING));
        }
        let answer = self.bus.as_mut().map_or(Err(NoAnswer), question);
        self.is_dead = answer.is_err();
        answer.ok().flatten()
    }
}

/// Nobody answers, or says something else than was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

/// The connection, once it can be asked. With a bus that accepts and never speaks the library itself would wait 90 seconds at the
/// first question, whatever limit that has.
fn ready(mut bus: Bus, within: Duration) -> Option<Bus> {
    let end = clock::started() + within;
    while !libsystemd::is_ready(&bus) {
        let left = end.checked_duration_since(clock::started())?;
        if bus.process().ok()?.is_none() {
            bus.wait(Some(left)).ok()?;
        }
    }
    Some(bus)
}

/// How a run ended, from the manager's words for it.
fn problem(result: String, code: Option<i32>, status: Option<i32>) -> Problem {
    // the numbers of waitid(2): CLD_EXITED, CLD_KILLED, CLD_DUMPED
    let word = code.and_then(|code| ["exited", "killed", "dumped"].get(usize::try_from(code).ok()?.checked_sub(1)?).copied());
    Problem {
        service_result: Some(result),
        exit_code: word.map(str::to_owned),
        exit_status: status.filter(|_| word.is_some()).map(|status| match word {
            Some("exited") => status.to_string(),
            _ => super::journal::signal(&status.to_string()),
        }),
        cause: None,
    }
}

/// A dependency of a dependency, and so on: so far is looked.
const DEEPEST: usize = 5;

fn string(iter: &mut MessageIter<'_>) -> Option<String> {
    iter.next::<&Utf8CStr>().ok().flatten().map(|text| text.to_string())
}
