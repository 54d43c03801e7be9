//! The manager's messages about a unit, made into runs. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::Problem;
use crate::host::journal::{Kind, Message};
use crate::host::manager::Unit;

/// One run, as far as the messages go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Its invocation ID.
    pub invocation: String,
    /// When the manager first spoke of it.
    pub first: DateTime<Utc>,
    /// When it was begun.
    pub begun: Option<DateTime<Utc>>,
    /// When it was up, or its job was done.
    pub up: Option<DateTime<Utc>>,
    /// Its failures, oldest first: a start that comes too soon after it fails in its name, too.
    pub failures: Vec<(DateTime<Utc>, Problem)>,
    /// When it ended well.
    pub ended_well: Option<DateTime<Utc>>,
    /// True when systemd starts the unit again by itself.
    pub restarts: bool,
    /// When systemd did that, and no failure is known.
    pub restarted: Option<DateTime<Utc>>,
    /// True when somebody stopped it.
    pub stopped: bool,
    /// True when somebody stopped the unit after it had failed and before systemd started it again: of one that stays failed
    /// systemd says nothing more, and of one that runs it says first that it stops it.
    pub called_off: bool,
    /// Who killed a process of it for want of memory.
    pub oom: Option<OomKiller>,
    /// Processor time, if it was worth a message.
    pub cpu: Option<Duration>,
    /// The most memory that it held at a time, in bytes.
    pub memory: Option<u64>,
    /// The number of the restart that follows.
    next_restart: Option<u32>,
    exit: Option<(String, String, Option<String>)>,
    timeout: Option<String>,
}

/// Who kills for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OomKiller {
    /// The kernel.
    Kernel,
    /// systemd-oomd.
    Oomd,
}

/// A start that came to nothing before there was a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: DateTime<Utc>,
    /// Stands in for the invocation: the boot and the job's number.
    pub job: String,
    /// Why.
    pub problem: Problem,
}

/// What the messages tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The runs, oldest first.
    pub runs: Vec<Run>,
    /// The starts that came to nothing, oldest first.
    pub refused: Vec<Refused>,
    /// When something last came to its end: what is older needs not be read again.
    pub closed: Option<DateTime<Utc>>,
}

/// Makes runs of messages, oldest first, about this unit.
pub fn account(unit: &str, messages: &[Message]) -> Account {
    let mut account = Account::default();
    for message in messages {
        account.take(unit, message);
    }
    account
}

/// The same of messages that may begin in the midst of a run: when that run began and whether it ended well nobody knows.
pub fn account_of_part(unit: &str, messages: &[Message]) -> Account {
    let mut account = account(unit, messages);
    let first = messages.iter().find(|message| message.kind != Kind::JobFailed && message.invocation.is_some());
    // before these there is nothing about it (but that a start was begun, of one that is up)
    let is_whole = first.is_some_and(|first| matches!(first.kind, Kind::Starting | Kind::Started));
    if let Some(oldest) = account.runs.first_mut().filter(|_| !is_whole) {
        (oldest.begun, oldest.ended_well) = (None, None);
    }
    account
}

impl Account {
    /// The run of this invocation.
    pub fn run(&self, invocation: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.invocation == invocation)
    }

    /// True when systemd itself began this run, as `Restart=` says.
    pub fn is_restart(&self, invocation: &str) -> bool {
        let runs = self.runs.windows(2);
        runs.filter(|pair| pair[1].invocation == invocation).any(|pair| pair[0].restarts)
    }

    /// How often systemd had begun a run since somebody else did, when it began this one.
    pub fn restart_number(&self, invocation: &str) -> Option<u32> {
        let runs = self.runs.windows(2);
        runs.filter(|pair| pair[1].invocation == invocation && pair[0].restarts).find_map(|pair| pair[0].next_restart)
    }

    /// The unit as it is by these messages, if its last run is up.
    pub fn runs_now(&self) -> Option<Unit> {
        let last = self.runs.last().filter(|run| run.failures.is_empty() && run.ended_well.is_none() && !run.stopped)?;
        let (active_since, invocation) = (Some(last.up?), Some(last.invocation.clone()));
        Some(Unit { active: "active".to_owned(), invocation, active_since, changed: active_since, ..Unit::default() })
    }

    fn take(&mut self, unit: &str, message: &Message) {
        if matches!(message.kind, Kind::Failed | Kind::Succeeded | Kind::Skipped | Kind::JobFailed) {
            self.closed = Some(message.at);
        }
        if message.kind == Kind::JobFailed {
            self.refused.extend(refused(message));
            return;
        }
        let Some(invocation) = &message.invocation else { return };
        let place = self.runs.iter().position(|run| run.invocation == *invocation).unwrap_or_else(|| {
            self.runs.push(Run { invocation: invocation.clone(), first: message.at, ..Run::default() });
            self.runs.len() - 1
        });
        self.runs[place].take(unit, message);
        if self.runs[place].restarted == Some(message.at) {
            // nothing more can come of it
            self.closed = Some(message.at);
        }
    }
}

impl Run {
    /// True when it ended well by itself: nobody stopped it, and systemd does not start it again.
    pub fn succeeded(&self) -> Option<DateTime<Utc>> {
        self.ended_well.filter(|_| self.failures.is_empty() && !self.stopped && !self.restarts)
    }

    fn take(&mut self, unit: &str, message: &Message) {
        match message.kind {
            Kind::Starting | Kind::Started => {
                self.begun = self.begun.or(Some(message.at));
                self.up = self.up.or((message.kind == Kind::Started).then_some(message.at));
            }
            // the first command that fails is the cause; how systemd then ended the others is not
            Kind::Exited if self.exit.is_none() => {
                self.exit = message.exit.clone().map(|(code, status)| (code, status, command(unit, message.command.as_deref())));
            }
            Kind::Failed => {
                self.restarts = false;
                let problem = self.problem(message.result.clone());
                self.failures.push((message.at, problem));
            }
            Kind::Succeeded => self.ended_well = Some(message.at),
            Kind::Restarts => {
                self.restarts = true;
                self.next_restart = message.restarts;
                self.restarted = self.failures.is_empty().then_some(message.at);
            }
            Kind::OomKilled => self.oom = Some(OomKiller::Kernel),
            Kind::OomdKilled => self.oom = Some(OomKiller::Oomd),
            Kind::Consumed => {
                self.cpu = message.cpu;
                self.memory = message.memory;
            }
            Kind::Stopping => self.stopped = true,
            Kind::Stopped => {
                self.called_off |= !self.failures.is_empty() && !self.stopped;
                // of a start that is cut short systemd says nothing else, as of a job in the middle of its run
                self.stopped |= self.ended_well.is_some() && self.up.is_none() && !self.restarts;
            }
            Kind::Other => self.timeout = message.text.as_deref().and_then(timeout).or(self.timeout.take()),
            Kind::Exited | Kind::Skipped | Kind::JobFailed => {}
        }
    }

    fn problem(&self, result: Option<String>) -> Problem {
        let exit_tells = matches!(result.as_deref(), Some("exit-code" | "signal" | "core-dump"));
        let (code, status, command) = match &self.exit {
            Some((code, status, command)) => (Some(code.clone()), Some(status.clone()), command.clone()),
            None => (None, None, None),
        };
        let cause = if result.as_deref() == Some("timeout") { self.timeout.clone() } else { command.filter(|_| exit_tells) };
        Problem { service_result: result, exit_code: code, exit_status: status, cause }
    }
}

/// The unit's command that ended, unless it is its main process. Of a mount the manager does not say which it was.
fn command(unit: &str, said: Option<&str>) -> Option<String> {
    match said {
        Some("ExecStart") | None => None,
        Some("n/a") if unit.ends_with(".mount") => Some("ExecMount".to_owned()),
        Some("n/a") if unit.ends_with(".swap") => Some("ExecActivate".to_owned()),
        Some("n/a") => None,
        Some(other) => Some(other.to_owned()),
    }
}

/// What took too long. There is no field for it; these texts are the same from systemd 239 to 257, and never translated.
fn timeout(text: &str) -> Option<String> {
    let said = text.split_once(": ").map_or(text, |(_, said)| said);
    if said.contains("reached runtime time limit") {
        return Some("runtime".to_owned());
    }
    if let Some((operation, _)) = said.split_once(" operation timed out") {
        // systemd's are words: "start-pre"
        return Some(operation.to_owned()).filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    }
    let (what, _) = said.split_once(" timed out")?;
    let stops = ["State 'stop", "State 'final", "Stopping", "Unmounting", "Deactivat"];
    Some(if stops.iter().any(|word| what.starts_with(word)) { "stop" } else { "start" }.to_owned())
}

fn refused(message: &Message) -> Option<Refused> {
    let result = message.result.as_deref()?;
    let tells = match result {
        "dependency" | "assert" | "timeout" | "unsupported" => true,
        // of a run that failed, the run's own message tells
        "failed" => message.invocation.is_none(),
        _ => false,
    };
    let cause = (result == "timeout").then(|| "job".to_owned());
    let problem = Problem { service_result: Some(result.to_owned()), cause, ..Problem::default() };
    tells.then_some(Refused { at: message.at, job: message.job.clone()?, problem })
}

#[cfg(test)]
mod tests;
