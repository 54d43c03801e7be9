//! The journal and the service manager of a story: they know what happened, also where no handler was started.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert::event::{Problem, Subject};
use sysalert::host::journal::{Deaths, Ended, Excerpt, Kind, Line, Message, Messages, Succeeded, Troubled};
use sysalert::host::manager::{NoAnswer, Setup, Unit};
use sysalert::host::mounts::FileSystem;
use sysalert::host::world::{Evidence, World};

/// What the machine of a story knows.
#[derive(Default, Clone)]
pub struct StoryWorld {
    messages: RefCell<Vec<(String, Message)>>,
    units: RefCell<BTreeMap<String, Unit>>,
    /// What runs printed.
    lines: RefCell<BTreeMap<String, Vec<Line>>>,
    /// When files changed; every unit is made of all of them.
    files: RefCell<BTreeMap<String, DateTime<Utc>>>,
}

impl StoryWorld {
    /// The manager says something about a unit.
    pub fn say(&self, unit: &str, message: Message) {
        self.messages.borrow_mut().push((unit.to_owned(), message));
    }

    /// A run prints these lines, and the manager says that it failed.
    pub fn print(&self, run: &str, at: DateTime<Utc>, lines: &[String]) {
        let line = |text: &String| match text.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            Some((priority, text)) => Line::new(at, "job".into(), priority.parse().ok(), text.into()),
            None => Line::new(at, "job".into(), None, text.as_str().into()),
        };
        let said = Line::new(at, "systemd".into(), Some(3), "Failed to start it.".into());
        self.lines.borrow_mut().insert(run.to_owned(), lines.iter().map(line).chain([said]).collect());
    }

    /// A unit is like this from now on.
    pub fn set(&self, unit: &str, state: Unit) {
        self.units.borrow_mut().insert(unit.to_owned(), state);
    }

    /// If the unit waits for its restart, that comes now.
    pub fn restarted(&self, unit: &str, at: DateTime<Utc>) {
        let waiting = self.units.borrow().get(unit).filter(|unit| unit.restarts()).and_then(|unit| unit.invocation.clone());
        if let Some(run) = waiting {
            let before = self.messages.borrow().iter().filter(|(of, said)| of == unit && said.kind == Kind::Restarts).count();
            let restarts = u32::try_from(before + 1).ok();
            self.say(unit, Message { restarts, ..message(Kind::Restarts, &run, at) });
        }
    }

    /// A file changes.
    pub fn change(&self, path: &str, at: DateTime<Utc>) {
        self.files.borrow_mut().insert(path.to_owned(), at);
    }

    /// True when this run failed.
    pub fn has_failed(&self, run: &str) -> bool {
        let is_it = |message: &Message| message.kind == Kind::Failed && message.invocation.as_deref() == Some(run);
        self.messages.borrow().iter().any(|(_, message)| is_it(message))
    }
}

/// A message of this kind about this run.
pub fn message(kind: Kind, run: &str, at: DateTime<Utc>) -> Message {
    let invocation = Some(run.to_owned());
    Message { at, kind, invocation, ..Message::default() }
}

impl World for StoryWorld {
    fn messages(&self, subject: &Subject, since: DateTime<Utc>) -> Result<Messages, String> {
        let all = self.messages.borrow();
        let list = all.iter().filter(|(unit, message)| unit == subject.name() && message.at >= since);
        Ok(Messages { list: list.map(|(_, message)| message.clone()).collect(), whole: true })
    }

    fn troubled(&self, since: DateTime<Utc>) -> Result<Troubled, String> {
        let mut units = BTreeMap::new();
        let failed =
            |message: &Message| matches!(message.kind, Kind::Failed | Kind::JobFailed | Kind::Restarts) && message.at > since;
        for (unit, message) in self.messages.borrow().iter().filter(|(unit, message)| !unit.contains('/') && failed(message)) {
            units.entry(unit.clone()).or_insert(message.at);
        }
        Ok(Troubled { units, ..Troubled::default() })
    }

    fn succeeded(&self, _: DateTime<Utc>) -> Result<Succeeded, String> {
        Err("the stories are about something else".to_owned())
    }

    /// In a story all units are, but for those with this name.
    fn is_handled(&self, subject: &Subject) -> Option<bool> {
        Some(!subject.name().starts_with("other"))
    }

    fn lines(&self, _: &Subject, invocation: &str, _: DateTime<Utc>, _: usize) -> Result<Excerpt, String> {
        let lines = self.lines.borrow().get(invocation).cloned().ok_or("the story does not tell")?;
        Ok(Excerpt { lines, ..Excerpt::default() })
    }

    fn unit(&self, subject: &Subject) -> Option<Unit> {
        self.units.borrow().get(subject.name()).cloned()
    }

    fn problem(&self, _: &Subject) -> Option<Problem> {
        None
    }

    fn culprit(&self, _: &Subject) -> Result<Option<String>, NoAnswer> {
        Ok(Some("db.service".to_owned()))
    }

    fn about(&self, _: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        None
    }
}

impl Evidence for StoryWorld {
    fn setup(&self, _: &Subject, _: Duration) -> Option<Setup> {
        Some(Setup { files: self.files.borrow().keys().cloned().collect(), ..Setup::default() })
    }

    fn deaths(&self, _: &Subject, _: Ended, _: Duration) -> Result<Deaths, String> {
        Ok(Deaths::default())
    }

    fn changes(&self, paths: Vec<String>, _: Duration) -> Vec<(String, DateTime<Utc>)> {
        let files = self.files.borrow();
        paths.into_iter().filter_map(|path| files.get(&path).copied().map(|at| (path, at))).collect()
    }

    /// No story has lines that speak of one.
    fn file_systems(&self, _: Vec<String>, _: Duration) -> Vec<(String, FileSystem)> {
        Vec::new()
    }
}

/// So long before it ended a run was begun, when the story does not say.
pub const LASTED: TimeDelta = TimeDelta::milliseconds(100);
