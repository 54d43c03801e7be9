//! What the machine knows about units, beyond what a trigger hands over: the journal and the service manager.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::clock;
use super::journal::{Complaint, Deaths, Ended, Excerpt, Journal, Message, Messages, Succeeded, Troubled};
use super::manager::{Asked, Glance, NoAnswer, Schedules, ServiceManager, Setup, Shown, Timetable, Unit};
use super::mounts::{self, FileSystem};
use super::names;
use super::pulse::Pulse;
use super::users::{self, Answered, Question};
use crate::event::{Manager, Problem, Subject};

/// Answers about units. A test has a world of its own.
pub trait World {
    /// What the manager says about a unit in the journal since then, oldest first.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    fn messages(&self, subject: &Subject, since: DateTime<Utc>) -> Result<Messages, String>;

    /// The units of this manager that failed since then, whatever became of their triggers.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    fn troubled(&self, manager: &Manager, since: DateTime<Utc>) -> Result<Troubled, String>;

    /// When this boot began; `None` when the manager does not answer.
    fn booted(&self) -> Option<DateTime<Utc>>;

    /// The units of this manager of which a run ended well since then; as far as the time reached, from the oldest on.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    fn succeeded(&self, since: DateTime<Utc>) -> Result<Succeeded, String>;

    /// Whether a unit's `OnFailure=` names our handler; `None` when the manager does not answer.
    fn is_handled(&self, subject: &Subject) -> Option<bool>;

    /// The last lines of a run that ended then.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    fn lines(&self, subject: &Subject, invocation: &str, ended: DateTime<Utc>, most: usize) -> Result<Excerpt, String>;

    /// How a unit is now; `None` when the manager does not answer.
    fn unit(&self, subject: &Subject) -> Option<Unit>;

    /// Whether a unit is failed, as one list of all that are has it. False: nobody knows, and it is to be asked about by itself.
    fn is_failed(&self, subject: &Subject) -> bool;

    /// How a unit's last run ended, as the manager has it.
    fn problem(&self, subject: &Subject) -> Option<Problem>;

    /// The unit because of which a unit could not be started, if one is to be found.
    ///
    /// # Errors
    /// When the manager does not answer.
    fn culprit(&self, subject: &Subject) -> Result<Option<String>, NoAnswer>;

    /// The unit's `Documentation=`, and the sockets that could have started it.
    fn about(&self, subject: &Subject) -> Option<(Vec<String>, Vec<String>)>;
}

/// What polling asks: how units are now.
pub trait Poll: World {
    /// How these units of the manager are.
    ///
    /// # Errors
    /// When the manager does not answer.
    fn shown(&self, glance: Glance<'_>) -> Result<Vec<Shown>, NoAnswer>;

    /// How units of users are: what each user's own manager says, asked by a process of that user.
    fn shown_to_users(&self, questions: Vec<Question>) -> Vec<Answered>;

    /// When the manager last read its unit files; `None` when it does not tell.
    fn loaded(&self) -> Option<DateTime<Utc>>;

    /// The names of the units that are installed.
    fn unit_files(&self) -> Vec<String>;

    /// The timers and the units that are asked for; `None` when the manager does not answer.
    fn schedules(&self, asked: &Asked<'_>) -> Option<Schedules>;

    /// The sign that the host runs.
    fn pulse(&self, now: DateTime<Utc>) -> Pulse;
}

/// What helps to see why a run failed: each question takes about as long as it may, and what takes longer is missing.
pub trait Evidence: World {
    /// What a unit is made of, and what its last run used; `None` when the manager does not answer.
    fn setup(&self, subject: &Subject, within: Duration) -> Option<Setup>;

    /// When a timer last started its unit and will again, or a unit last ran and will; `None` when the manager does not answer.
    fn timetable(&self, subject: &Subject) -> Option<Timetable>;

    /// Hands over what the manager said about a unit in that time, newest first, until `take` has enough. False when older messages
    /// of that time may be missing.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    fn history(
        &self,
        subject: &Subject,
        span: Range<DateTime<Utc>>,
        take: &mut dyn FnMut(Message) -> bool,
    ) -> Result<bool, String>;

    /// What the manager said about a unit's files since then, and cannot use of them.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    fn complaints(&self, subject: &Subject, since: DateTime<Utc>) -> Result<Vec<Complaint>, String>;

    /// How the processes of a run died.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    fn deaths(&self, subject: &Subject, run: Ended, within: Duration) -> Result<Deaths, String>;

    /// When these files last changed; without those that are hidden from here.
    fn changes(&self, paths: Vec<String>, within: Duration) -> Vec<(String, DateTime<Utc>)>;

    /// The file systems on which these paths lie, each with the first of them; without those that are hidden from here.
    fn file_systems(&self, paths: Vec<String>, within: Duration) -> Vec<(String, FileSystem)>;
}

/// This machine.
pub struct Machine {
    journal: RefCell<Journal>,
    manager: RefCell<ServiceManager>,
    /// Whose units the manager knows.
    whose: Manager,
    /// The units that are failed, once somebody has asked.
    failed: OnceCell<BTreeSet<String>>,
    /// A file system has not answered in time: nothing more is asked of any, for each question may leave a thread behind.
    hangs: Cell<bool>,
}

impl Machine {
    /// The units of this manager; each question may take about as long as `budget`.
    pub fn new(manager: &Manager, budget: Duration) -> Machine {
        let users = matches!(manager, Manager::User(_));
        let (whose, journal, manager) = (manager.clone(), Journal::new(budget), ServiceManager::new(users, budget));
        Machine { journal: journal.into(), manager: manager.into(), whose, failed: OnceCell::new(), hangs: false.into() }
    }

    /// Whether the manager is the one of this unit. Of others' the journal alone tells: nobody's session is opened.
    fn manages(&self, subject: &Subject) -> bool {
        subject.manager() == self.whose.to_string()
    }
}

impl Machine {
    fn unless_it_hangs<T>(&self, ask: impl FnOnce() -> mounts::Found<T>) -> Vec<T> {
        if self.hangs.get() {
            return Vec::new();
        }
        let found = ask();
        self.hangs.set(!found.whole);
        found.list
    }
}

impl World for Machine {
    fn messages(&self, subject: &Subject, since: DateTime<Utc>) -> Result<Messages, String> {
        self.journal.borrow_mut().messages(subject, since)
    }

    fn troubled(&self, manager: &Manager, since: DateTime<Utc>) -> Result<Troubled, String> {
        match manager {
            // who polls the units of nobody is told so when they look at a report
            Manager::User(name) if !names::is_user(name) => Ok(Troubled::default()),
            _ => self.journal.borrow_mut().troubled(manager, since),
        }
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        self.manager.borrow_mut().booted()
    }

    fn succeeded(&self, since: DateTime<Utc>) -> Result<Succeeded, String> {
        self.journal.borrow_mut().succeeded(&self.whose, since)
    }

    fn is_handled(&self, subject: &Subject) -> Option<bool> {
        if self.manages(subject) { self.manager.borrow_mut().is_handled(subject) } else { Some(false) }
    }

    fn lines(&self, subject: &Subject, invocation: &str, ended: DateTime<Utc>, most: usize) -> Result<Excerpt, String> {
        // what a service of the system writes bears its name in any case
        let is_users = subject.is_users() && self.manages(subject);
        let process = if is_users { self.manager.borrow_mut().main_process(subject.unit_name(), invocation) } else { None };
        self.journal.borrow_mut().lines(subject, (invocation, process), ended, most)
    }

    fn unit(&self, subject: &Subject) -> Option<Unit> {
        if self.manages(subject) { self.manager.borrow_mut().unit(subject) } else { None }
    }

    fn is_failed(&self, subject: &Subject) -> bool {
        let failed = || self.manager.borrow_mut().failed().into_iter().collect();
        self.manages(subject) && self.failed.get_or_init(failed).contains(subject.unit_name())
    }

    fn problem(&self, subject: &Subject) -> Option<Problem> {
        if self.manages(subject) { self.manager.borrow_mut().problem(subject) } else { None }
    }

    fn culprit(&self, subject: &Subject) -> Result<Option<String>, NoAnswer> {
        if self.manages(subject) { self.manager.borrow_mut().culprit(subject) } else { Ok(None) }
    }

    fn about(&self, subject: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        if self.manages(subject) { self.manager.borrow_mut().about(subject) } else { None }
    }
}

impl Poll for Machine {
    fn shown(&self, glance: Glance<'_>) -> Result<Vec<Shown>, NoAnswer> {
        self.manager.borrow_mut().shown(glance)
    }

    fn shown_to_users(&self, questions: Vec<Question>) -> Vec<Answered> {
        users::ask(questions, &mut |unit| self.manager.borrow_mut().is_up(unit))
    }

    fn loaded(&self) -> Option<DateTime<Utc>> {
        self.manager.borrow_mut().read_units_at()
    }

    fn unit_files(&self) -> Vec<String> {
        self.manager.borrow_mut().installed()
    }

    fn schedules(&self, asked: &Asked<'_>) -> Option<Schedules> {
        self.manager.borrow_mut().schedules(asked)
    }

    fn pulse(&self, now: DateTime<Utc>) -> Pulse {
        Pulse { booted: self.booted(), slept: clock::slept(), up: self.manager.borrow_mut().up(), at: now }
    }
}

impl Evidence for Machine {
    fn setup(&self, subject: &Subject, within: Duration) -> Option<Setup> {
        if self.manages(subject) { self.manager.borrow_mut().setup(subject, clock::started() + within) } else { None }
    }

    fn timetable(&self, subject: &Subject) -> Option<Timetable> {
        if !self.manages(subject) {
            return None;
        }
        self.manager.borrow_mut().timetable(subject.unit_name())
    }

    fn history(
        &self,
        subject: &Subject,
        span: Range<DateTime<Utc>>,
        take: &mut dyn FnMut(Message) -> bool,
    ) -> Result<bool, String> {
        self.journal.borrow_mut().history(subject, span, take)
    }

    fn complaints(&self, subject: &Subject, since: DateTime<Utc>) -> Result<Vec<Complaint>, String> {
        self.journal.borrow_mut().complaints(subject, since)
    }

    fn deaths(&self, subject: &Subject, run: Ended, within: Duration) -> Result<Deaths, String> {
        self.journal.borrow_mut().deaths(subject, run, within)
    }

    fn changes(&self, paths: Vec<String>, within: Duration) -> Vec<(String, DateTime<Utc>)> {
        self.unless_it_hangs(|| mounts::changes(paths, within))
    }

    fn file_systems(&self, paths: Vec<String>, within: Duration) -> Vec<(String, FileSystem)> {
        self.unless_it_hangs(|| mounts::file_systems(paths, within))
    }
}
