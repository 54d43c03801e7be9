//! The journal and the service manager of a story: they know what happened, also where no handler was started.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert::event::{Manager, Problem, Subject};
use sysalert::host::journal::{Complaint, Deaths, Ended, Excerpt, Kind, Line, Message, Messages, Succeeded, Troubled};
use sysalert::host::manager::{Asked, Detail, Glance, Job, Listed, NoAnswer, Schedules, Setup, Shown, Timer, Timetable, Unit};
use sysalert::host::mounts::FileSystem;
use sysalert::host::pulse::Pulse;
use sysalert::host::users::{Answer, Answered, Question};
use sysalert::host::world::{Evidence, Poll, World};

/// What the machine of a story knows.
#[derive(Default, Clone)]
pub struct StoryWorld {
    messages: RefCell<Vec<(String, Message)>>,
    units: RefCell<BTreeMap<String, Unit>>,
    /// What runs printed.
    lines: RefCell<BTreeMap<String, Vec<Line>>>,
    /// When files changed; every unit is made of all of them.
    files: RefCell<BTreeMap<String, DateTime<Utc>>>,
    timers: RefCell<BTreeMap<String, Timer>>,
    jobs: RefCell<BTreeMap<String, Job>>,
    /// How the manager shows units that are polled.
    shown: RefCell<BTreeMap<String, (Listed, Detail)>>,
    installed: RefCell<Vec<String>>,
    booted: Cell<Option<DateTime<Utc>>>,
    is_silent: Cell<bool>,
    /// By how much the clock was set forward since.
    forward: Cell<TimeDelta>,
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

    /// A timer is like this from now on.
    pub fn set_timer(&self, timer: Timer) {
        self.timers.borrow_mut().insert(timer.name.clone(), timer);
    }

    /// The manager knows this unit, and remembers its last run or none.
    pub fn set_job(&self, job: Job) {
        self.jobs.borrow_mut().insert(job.name.clone(), job);
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

    /// Whoever polls the unit sees this.
    pub fn show(&self, unit: Listed, detail: Detail) {
        self.shown.borrow_mut().insert(unit.name.clone(), (unit, detail));
    }

    /// These services are installed.
    pub fn install(&self, names: &[String]) {
        self.installed.borrow_mut().extend_from_slice(names);
    }

    /// The machine boots.
    pub fn boot(&self, at: DateTime<Utc>) {
        self.booted.set(Some(at));
        self.forward.set(TimeDelta::zero());
        // the manager knows nothing of what was before
        let forgets = |job: &mut Job| *job = Job { name: job.name.clone(), ..Job::default() };
        self.jobs.borrow_mut().values_mut().for_each(forgets);
    }

    /// It answers nobody, or all.
    pub fn set_silent(&self, is_silent: bool) {
        self.is_silent.set(is_silent);
    }

    /// The clock is set forward.
    pub fn set_forward(&self, by: TimeDelta) {
        self.forward.set(self.forward.get() + by);
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

    fn troubled(&self, manager: &Manager, since: DateTime<Utc>) -> Result<Troubled, String> {
        let mut units = BTreeMap::new();
        let failed =
            |message: &Message| matches!(message.kind, Kind::Failed | Kind::JobFailed | Kind::Restarts) && message.at > since;
        for (name, message) in self.messages.borrow().iter().filter(|(_, message)| failed(message)) {
            let (whose, unit) = name.split_once('/').unwrap_or(("system", name));
            if whose == manager.to_string() {
                units.entry(unit.to_owned()).and_modify(|(_, last)| *last = message.at).or_insert((message.at, message.at));
            }
        }
        Ok(Troubled { units, ..Troubled::default() })
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        self.booted.get()
    }

    fn succeeded(&self, _: DateTime<Utc>) -> Result<Succeeded, String> {
        Err("the stories are about something else".to_owned())
    }

    /// In a story all units of the system are, but for those with this name.
    fn is_handled(&self, subject: &Subject) -> Option<bool> {
        Some(!subject.is_users() && !subject.name().starts_with("other"))
    }

    fn lines(&self, _: &Subject, invocation: &str, _: DateTime<Utc>, _: usize) -> Result<Excerpt, String> {
        let lines = self.lines.borrow().get(invocation).cloned().ok_or("the story does not tell")?;
        Ok(Excerpt { lines, ..Excerpt::default() })
    }

    fn unit(&self, subject: &Subject) -> Option<Unit> {
        self.units.borrow().get(subject.name()).cloned()
    }

    fn is_failed(&self, subject: &Subject) -> bool {
        self.unit(subject).is_some_and(|unit| unit.active == "failed")
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

impl StoryWorld {
    /// Units by their names, as the manager shows them whose units the story calls so.
    fn units_shown(&self, prefix: &str, names: &[String]) -> Vec<Shown> {
        let shown = self.shown.borrow();
        let not_found = |name: &String| {
            let [load, active, sub] = ["not-found", "inactive", "dead"].map(str::to_owned);
            Listed { name: name.clone(), load, active, sub, has_job: false }
        };
        let one = |name: &String| match shown.get(&format!("{prefix}{name}")) {
            Some((unit, detail)) => (Listed { name: name.clone(), ..unit.clone() }, Some(detail.clone())),
            None => (not_found(name), Some(Detail::default())),
        };
        names.iter().map(one).collect()
    }
}

impl Poll for StoryWorld {
    fn shown(&self, glance: Glance<'_>) -> Result<Vec<Shown>, NoAnswer> {
        assert!(glance.globs.is_empty(), "the stories name their units");
        Ok(self.units_shown("", glance.names))
    }

    /// A manager runs as long as the story shows a unit of it.
    fn shown_to_users(&self, questions: Vec<Question>) -> Vec<Answered> {
        let answer = |Question { user, names, .. }: Question| {
            let runs = self.shown.borrow().keys().any(|name| name.starts_with(&format!("{user}/")));
            let answer = match user.as_str() {
                "nobody" => Answer::NoUser,
                _ if runs => Answer::Shown { begun: self.booted.get(), units: self.units_shown(&format!("{user}/"), &names) },
                _ => Answer::NoManager,
            };
            Answered { user, answer }
        };
        questions.into_iter().map(answer).collect()
    }

    fn loaded(&self) -> Option<DateTime<Utc>> {
        self.booted.get()
    }

    fn unit_files(&self) -> Vec<String> {
        self.installed.borrow().clone()
    }

    fn schedules(&self, asked: &Asked<'_>) -> Option<Schedules> {
        if self.is_silent.get() {
            return None;
        }
        let is_watched = |timer: &&Timer| timer.handled || asked.known.contains(&timer.name) || (asked.is_listed)(&timer.name);
        let timers = self.timers.borrow().values().filter(is_watched).cloned().collect();
        let jobs = self.jobs.borrow().values().filter(|job| (asked.is_job)(&job.name)).cloned().collect();
        Some(Schedules { timers, jobs, broken: Vec::new() })
    }

    fn pulse(&self, now: DateTime<Utc>) -> Pulse {
        let booted = self.booted.get().unwrap_or(DateTime::UNIX_EPOCH);
        let up = (now - booted - self.forward.get()).to_std().unwrap_or_default();
        Pulse { booted: Some(booted), slept: Duration::ZERO, up, at: now }
    }
}

impl Evidence for StoryWorld {
    fn history(
        &self,
        subject: &Subject,
        span: Range<DateTime<Utc>>,
        take: &mut dyn FnMut(Message) -> bool,
    ) -> Result<bool, String> {
        let all = self.messages.borrow();
        let found = all.iter().rev().filter(|(unit, message)| unit == subject.name() && span.contains(&message.at));
        let _ = found.map(|(_, message)| message.clone()).all(take);
        Ok(true)
    }

    fn complaints(&self, _: &Subject, _: DateTime<Utc>) -> Result<Vec<Complaint>, String> {
        Ok(Vec::new())
    }

    fn timetable(&self, subject: &Subject) -> Option<Timetable> {
        let timers = self.timers.borrow();
        let timer = timers.values().find(|timer| timer.name == subject.unit_name() || timer.unit == subject.unit_name());
        let unit = timer.map_or(subject.unit_name(), |timer| timer.unit.as_str());
        let job = self.jobs.borrow().get(unit).cloned().unwrap_or_default();
        Some(Timetable { ended: job.ended, succeeded: job.succeeded, next: timer.and_then(|timer| timer.next) })
    }

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
