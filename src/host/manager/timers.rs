//! The timers, and the units that should succeed from time to time. What is not asked for costs no call: the loaded timers come
//! with one, and so do the units that do not load; only a timer has calls of its own, and only one if nobody watches it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{HANDLER, Listed, SERVICE, ServiceManager, TIMER, UNIT, path_of};

/// What is asked.
pub struct Asked<'a> {
    /// Timers and units that are on record, by name.
    pub known: &'a [String],
    /// Names and globs of units that should succeed from time to time.
    pub jobs: &'a [String],
    /// Whether a timer is watched whatever it starts.
    pub is_listed: &'a dyn Fn(&str) -> bool,
    /// Whether a unit should succeed from time to time, and somebody wants to know when it last did.
    pub is_job: &'a dyn Fn(&str) -> bool,
}

/// What the manager answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedules {
    /// The timers that are on record, are listed, or start a unit whose `OnFailure=` names our handler.
    pub timers: Vec<Timer>,
    /// The units with our handler that do not load.
    pub broken: Vec<Broken>,
    /// The units that should succeed from time to time.
    pub jobs: Vec<Job>,
}

/// A timer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timer {
    /// Its name.
    pub name: String,
    /// `LoadState`: "loaded", "masked", "not-found", "bad-setting", "error".
    pub load: String,
    /// `ActiveState`.
    pub active: String,
    /// `SubState`: "waiting", "running" (its unit runs), "elapsed" (none of its times lies ahead).
    pub sub: String,
    /// `UnitFileState`: "enabled", "disabled", "static", ...
    pub file: String,
    /// The unit that it starts.
    pub unit: String,
    /// That one's `LoadState`.
    pub unit_load: String,
    /// True when that one's `OnFailure=` names our handler.
    pub handled: bool,
    /// True when its own does.
    pub is_handled_itself: bool,
    /// When it elapses next, by the calendar.
    pub due: Option<DateTime<Utc>>,
    /// When it elapses next, by the calendar or by the time since something else.
    pub next: Option<DateTime<Utc>>,
    /// When it last elapsed.
    pub last: Option<DateTime<Utc>>,
    /// `AccuracySec=`: it may elapse so much later.
    pub accuracy: Duration,
    /// Since when it is not active, if it ever was in this boot.
    pub inactive_since: Option<DateTime<Utc>>,
    /// True when a `Condition...=` keeps it from being started.
    pub is_barred: bool,
}

/// A unit that does not load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its name.
    pub name: String,
    /// Its `LoadState`.
    pub load: String,
}

/// A unit that should succeed from time to time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// True when systemd has no such unit.
    pub is_missing: bool,
    /// When its last run ended well, if the manager remembers it. It may have been stopped: that the manager forgets.
    pub succeeded: Option<DateTime<Utc>>,
    /// When its last run ended, however.
    pub ended: Option<DateTime<Utc>>,
    /// When that run began.
    pub begun: Option<DateTime<Utc>>,
    /// That run, or the one that goes on.
    pub run: Option<String>,
}

/// When a unit ran, and will run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timetable {
    /// When its last run ended, however.
    pub ended: Option<DateTime<Utc>>,
    /// When its last run ended well, if it was that one.
    pub succeeded: Option<DateTime<Utc>>,
    /// When a timer is to start it next.
    pub next: Option<DateTime<Utc>>,
}

impl ServiceManager {
    /// When this timer's unit, or this unit, last ran and will run.
    pub fn timetable(&mut self, unit: &str) -> Option<Timetable> {
        let is_timer = unit.ends_with(".timer");
        let timers = if is_timer { vec![unit.to_owned()] } else { self.list(&path_of(unit), UNIT, "TriggeredBy")? };
        let (mut next, mut service) = (None, unit.to_owned());
        for timer in timers.iter().filter(|name| name.ends_with(".timer")) {
            let values = self.all(&path_of(timer), TIMER)?;
            next = [next, values.next()].into_iter().flatten().min();
            if is_timer {
                service = values.texts.get("Unit").cloned().unwrap_or_default();
            }
        }
        let job = if service.ends_with(".service") { self.job(&service) } else { Job::default() };
        Some(Timetable { ended: job.ended, succeeded: job.succeeded, next })
    }

    /// The timers and units that are asked for; `None` when nobody answers.
    pub fn schedules(&mut self, asked: &Asked<'_>) -> Option<Schedules> {
        let globs = ["*.timer", "sysalert-failure@*.service"].map(str::to_owned).into_iter();
        // a backslash is a part of names, and here one would take the next character's meaning
        let globs: Vec<String> = globs.chain(asked.jobs.iter().map(|glob| glob.replace('\\', "\\\\"))).collect();
        let mut listed = self.listed(&[], &globs).ok()?;
        // what is not loaded now: disabled timers, and jobs that ended
        let names: BTreeSet<&String> = asked.known.iter().chain(asked.jobs.iter().filter(|name| !is_glob(name))).collect();
        let unloaded: Vec<String> =
            names.into_iter().filter(|name| !listed.iter().any(|unit| unit.name == **name)).cloned().collect();
        listed.extend(self.named(&unloaded)?);
        let handled: BTreeSet<&str> = listed.iter().filter_map(|unit| handled_by(&unit.name)).collect();
        let mut timers = Vec::new();
        for unit in listed.iter().filter(|unit| unit.name.ends_with(".timer")) {
            let late = unloaded.contains(&unit.name);
            timers.extend(self.timer(unit, late, &handled, asked)?);
        }
        let units: Vec<String> = timers.iter().map(|timer: &Timer| timer.unit.clone()).collect();
        let states = self.named(&units)?;
        for (timer, state) in timers.iter_mut().zip(states) {
            timer.unit_load = state.load;
        }
        let states = vec!["bad-setting".to_owned(), "error".to_owned()];
        let broken = self.in_states(states).ok()?.into_iter();
        let broken = broken.filter(|unit| handled.contains(unit.name.as_str()) && !unit.name.ends_with(".timer"));
        let broken = broken.map(|Listed { name, load, .. }| Broken { name, load }).collect();
        // what a watched timer starts may say for itself that it should succeed
        let listed = listed.iter().map(|unit| (&unit.name, &unit.load));
        let names = listed.chain(timers.iter().map(|timer| (&timer.unit, &timer.unit_load)));
        let names: BTreeMap<&String, &String> =
            names.filter(|(name, _)| name.ends_with(".service") && !name.starts_with(HANDLER)).collect();
        let names = names.into_iter().filter(|(name, _)| (asked.is_job)(name));
        let jobs = names.map(|(name, load)| Job { is_missing: load == "not-found", ..self.job(name) }).collect();
        (!self.is_dead).then_some(Schedules { timers, broken, jobs })
    }

    /// A timer, if it is watched.
    fn timer(&mut self, unit: &Listed, late: bool, handled: &BTreeSet<&str>, asked: &Asked<'_>) -> Option<Option<Timer>> {
        let path = path_of(&unit.name);
        let values = self.all(&path, TIMER)?;
        let starts = match values.texts.get("Unit").filter(|name| !name.is_empty()) {
            Some(name) => name.clone(),
            None => unit.name.replace(".timer", ".service"),
        };
        // of what was not loaded the handler was not loaded either
        let starts_handled = handled.contains(starts.as_str()) || (late && self.has_handler(&starts));
        if !starts_handled && !asked.known.contains(&unit.name) && !(asked.is_listed)(&unit.name) {
            return Some(None);
        }
        let mut timer = Timer {
            name: unit.name.clone(),
            load: unit.load.clone(),
            active: unit.active.clone(),
            sub: unit.sub.clone(),
            file: self.text(&path, UNIT, "UnitFileState").unwrap_or_default(),
            unit: starts,
            handled: starts_handled,
            is_handled_itself: handled.contains(unit.name.as_str()),
            due: values.time("NextElapseUSecRealtime"),
            next: values.next(),
            last: values.time("LastTriggerUSec"),
            accuracy: Duration::from_micros(values.number("AccuracyUSec").unwrap_or(0)),
            ..Timer::default()
        };
        if timer.active != "active" {
            timer.inactive_since = self.time(&path, UNIT, "InactiveEnterTimestamp");
            let tried = self.time(&path, UNIT, "ConditionTimestamp").is_some();
            timer.is_barred = tried && !self.truth(&path, UNIT, "ConditionResult");
        }
        (!self.is_dead).then_some(Some(timer))
    }

    fn has_handler(&mut self, unit: &str) -> bool {
        let handlers = self.list(&path_of(unit), UNIT, "OnFailure").unwrap_or_default();
        handlers.iter().any(|unit| unit.starts_with(HANDLER))
    }

    /// When a service last ended, and whether that was well. Of a run that goes on the manager has begun to forget the one before.
    fn job(&mut self, name: &str) -> Job {
        let path = path_of(name);
        let ended = self.time(&path, SERVICE, "ExecMainExitTimestamp");
        let mut job = Job { name: name.to_owned(), ended, ..Job::default() };
        if ended.is_none() {
            return job;
        }
        job.begun = self.time(&path, SERVICE, "ExecMainStartTimestamp");
        job.run = self.invocation(&path);
        // CLD_EXITED: what was told to end did not do its work
        let exited = self.number(&path, "ExecMainCode") == Some(1);
        let well = exited && self.text(&path, SERVICE, "Result").as_deref() == Some("success");
        let over = well && matches!(self.text(&path, UNIT, "ActiveState").as_deref(), Some("inactive" | "active"));
        job.succeeded = ended.filter(|_| over);
        job
    }

    /// These units, in this order, loaded if need be.
    fn named(&mut self, names: &[String]) -> Option<Vec<Listed>> {
        if names.is_empty() {
            return Some(Vec::new());
        }
        let listed = self.listed(names, &[]).ok()?;
        let by_name: BTreeMap<&str, &Listed> = listed.iter().map(|unit| (unit.name.as_str(), unit)).collect();
        // an alias is listed by the unit's own name
        let of =
            |name: &String| Listed { name: name.clone(), ..by_name.get(name.as_str()).copied().cloned().unwrap_or_default() };
        Some(names.iter().map(of).collect())
    }
}

/// The unit whose handler this is.
fn handled_by(name: &str) -> Option<&str> {
    name.strip_prefix(HANDLER)?.strip_suffix(".service")
}

fn is_glob(name: &str) -> bool {
    name.contains(['*', '?'])
}
