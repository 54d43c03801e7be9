//! What the verbs share: where everything is, the settings, and the order in which root gives up its rights.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::config::nearest;
use crate::error::{Error, Result};
use crate::event::{
    Breach, CHECK, CheckName, DATABASE, Event, Finding, Manager, Outcome, PROCESS, Problem, ProcessName, SCHEDULE, Subject,
    UnitName, local_time,
};
use crate::host::env::Environment;
use crate::host::files::{self, Files};
use crate::host::unit_files::UnitFiles;
use crate::host::{Options, Site, identity};
use crate::message::visible;
use crate::settings::{self, Settings};
use crate::store::{self, ByNow, Database, Store};
use crate::trigger::sensor::SENSORS;

/// How long a verb waits for the lock.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What the verbs share.
pub(super) struct Context {
    pub(super) site: Site,
    files: OnceCell<Result<Files>>,
    settings: OnceCell<Result<Settings>>,
    units: Rc<Units>,
}

/// The files of units that have something to say; each unit is looked for once.
#[derive(Debug)]
struct Units {
    manager: Manager,
    environment: Environment,
    found: OnceCell<UnitFiles>,
    all: OnceCell<Files>,
    known: RefCell<BTreeMap<String, Files>>,
}

impl Units {
    fn found(&self) -> &UnitFiles {
        self.found.get_or_init(|| UnitFiles::find(&self.manager, self.environment))
    }
}

impl settings::UnitFiles for Units {
    fn of(&self, unit: &str) -> Files {
        let mut known = self.known.borrow_mut();
        known.entry(unit.to_owned()).or_insert_with(|| having_section(self.found().of(unit))).clone()
    }

    fn all(&self) -> Files {
        self.all.get_or_init(|| having_section(self.found().all())).clone()
    }

    fn written(&self, unit: &str) -> String {
        match &self.manager {
            Manager::System => unit.to_owned(),
            Manager::User(user) => format!("{user}/{unit}"),
        }
    }
}

fn having_section(mut files: Files) -> Files {
    files.retain(|(_, text)| text.contains(settings::UNIT_SECTION));
    files
}

impl Context {
    pub(super) fn new(options: &Options, environment: Environment) -> Result<Context> {
        let site = Site::find(options, environment)?;
        let (manager, found, all, known) = (site.manager.clone(), OnceCell::new(), OnceCell::new(), RefCell::default());
        let units = Rc::new(Units { manager, environment, found, all, known });
        Ok(Context { site, files: OnceCell::new(), settings: OnceCell::new(), units })
    }

    /// The valid settings.
    pub(super) fn settings(&self) -> Result<Settings> {
        let read = || {
            let settings = Settings::read(self.files().as_ref().map_err(Clone::clone)?)?;
            Ok(settings.with_unit_files(Rc::clone(&self.units) as Rc<dyn settings::UnitFiles>))
        };
        self.settings.get_or_init(read).clone()
    }

    /// Before anything in the state folder is touched: root becomes its owner.
    pub(super) fn enter(&self) -> Result<()> {
        identity::keep_from_others(&self.site);
        if let Some(owner) = identity::owner(&self.site)? {
            // what root may read and the owner may not: a file that --config names
            let _ = self.files();
            identity::become_owner(owner)?;
        }
        Ok(())
    }

    /// The same, and the folder is there afterwards.
    pub(super) fn enter_or_make(&self) -> Result<()> {
        identity::keep_from_others(&self.site);
        identity::make_state_folder(&self.site)?;
        self.enter()
    }

    /// The database, to read; `None` where nothing was recorded yet.
    pub(super) fn read(&self) -> Result<Option<Store>> {
        self.enter()?;
        Store::read(&self.site.state)
    }

    /// The subject of a name as a person types it: `backup`, `backup.service`, `alice/backup.service`; `schedule:backup.timer`;
    /// `check:services`, `check:storage:/var:low_disk`.
    pub(super) fn subject(&self, typed: &str) -> Result<Subject> {
        // as it is shown
        let is_watchdogs = [PROCESS, DATABASE].iter().any(|of| typed.starts_with(of));
        if is_watchdogs && !typed.chars().any(char::is_control) {
            return Ok(Subject::stored(typed.to_owned()));
        }
        if let Some(subject) = Subject::typed_check(typed).map_or_else(|| self.rule_of(typed), |check| Ok(Some(check)))? {
            return Ok(subject);
        }
        let (typed, of): (&str, fn(&Manager, &UnitName) -> Subject) = match typed.strip_prefix(SCHEDULE) {
            Some(typed) => (typed, Subject::schedule),
            None => (typed, Subject::unit),
        };
        let (manager, unit) = match typed.split_once('/') {
            Some((user, unit)) if is_user(user) => (Manager::User(user.to_owned()), unit),
            _ => (self.site.manager.clone(), typed),
        };
        Ok(of(&manager, &UnitName::typed(unit)?))
    }

    /// The check whose name lacks its "check:", or of which a message or a table names only what it is about: "command.mailq",
    /// "storage /var".
    fn rule_of(&self, typed: &str) -> Result<Option<Subject>> {
        let watch = typed.split([':', ' ']).next().unwrap_or_default();
        let is_sensor = SENSORS.iter().any(|sensor| watch.split('.').next() == Some(sensor.name));
        // `ssh` is a unit
        if !is_sensor || !typed.contains([':', ' ', '.']) {
            return Ok(None);
        }
        let whole = Subject::typed_check(&format!("{CHECK}{typed}")).filter(Subject::is_sensor);
        if let Some(check) = whole.filter(|_| typed[watch.len()..].starts_with(':')) {
            return Ok(Some(check));
        }
        let Some(store) = self.read()? else { return Ok(None) };
        let is_meant = |subject: &Subject| CheckName::of(subject).is_some_and(|name| name.is_about(typed));
        let mut found: Vec<Subject> = store.with(store::subjects)?.into_iter().filter(is_meant).collect();
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => {
                let names: Vec<&str> = found.iter().map(Subject::name).collect();
                let text = format!("{} has several rules on record", visible(typed.as_bytes()));
                Err(Error::usage(text).hint(format!("name one of them: {}", names.join(", "))))
            }
        }
    }

    fn files(&self) -> &Result<Files> {
        self.files.get_or_init(|| files::configuration(&self.site.config))
    }
}

/// What an event of a check says: "bytes_used_percent is 95.0 %, more than 90 %"; a program of somebody else's in its own words.
pub(super) fn of_check(event: &Event) -> String {
    match event.outcome {
        Outcome::Failed => words_of(&event.subject, &event.problem),
        Outcome::Succeeded if event.problem.why_instance_gone().is_some() => event.problem.to_string(),
        Outcome::Succeeded => match Breach::of(&event.problem) {
            Some(Breach { none: Some(none), .. }) => none,
            Some(breach) => {
                let said = breach.said(&event.subject).map(|words| visible(words.as_bytes()));
                format!("is well again: {}", said.unwrap_or_else(|| breach.well()))
            }
            None => "is well again".to_owned(),
        },
    }
}

/// What is known by now of the value that a rule found.
pub(in crate::cli) fn by_now(db: &Database, subject: &Subject, problem: &Problem) -> store::Answer<Option<String>> {
    let Some(Finding::Breach(breach)) = problem.finding() else { return Ok(None) };
    Ok(store::by_now(db, subject, &breach.metric)?.map(|by_now| match by_now {
        ByNow::Value(value, at) => format!("{} at {}", breach.unit.show(value), local_time(at)),
        ByNow::NoData(since, why) => format!("no data since {}: {}", local_time(since), visible(why.as_bytes())),
    }))
}

/// How something failed, in a line.
pub(in crate::cli) fn words_of(subject: &Subject, problem: &Problem) -> String {
    match problem.finding() {
        Some(Finding::Breach(breach)) => breach.said(subject).map_or_else(|| breach.words(), |words| visible(words.as_bytes())),
        _ => problem.to_string(),
    }
}

fn is_user(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The error for a unit that was never recorded, with the nearest one that was.
pub(super) fn never_recorded(subject: &Subject, known: &[Subject]) -> Error {
    let error = Error::failure(format!("nothing was ever recorded for {}", subject.full_name()));
    let near = nearest(stem(subject), known.iter().map(stem));
    match near.and_then(|near| known.iter().find(|one| stem(one) == near)) {
        Some(near) => error.hint(format!("did you mean {}?", near.full_name())),
        None => error.hint("`sysalert db list --all` shows what was recorded"),
    }
}

/// The error for a method that is not configured, with the nearest one that is.
pub(super) fn no_method(name: &str, settings: &Settings) -> Error {
    let error = Error::usage(format!("there is no method {}", name.escape_debug()));
    match nearest(name, settings.methods.keys().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => {
            let methods: Vec<&str> = settings.methods.keys().map(String::as_str).collect();
            error.hint(format!("the configured methods: {}", methods.join(", ")))
        }
    }
}

/// The error for a process that may not be restarted, with the nearest one that may.
pub(super) fn no_process(name: &ProcessName, settings: &Settings) -> Error {
    let error = Error::usage(format!("{name} may not be restarted: it has no section, and is not in `allow` of [processes]"));
    let known = settings.process_names();
    match nearest(name.as_str(), known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("write [processes] and [process.{:?}] into the configuration", name.as_str())),
    }
}

/// The name without its type, since ".service" would make all names alike.
fn stem(subject: &Subject) -> &str {
    subject.name().rsplit_once('.').map_or(subject.name(), |(stem, _)| stem)
}
