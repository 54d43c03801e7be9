//! What the machine knows about units, beyond what a trigger hands over: the journal and the service manager.

use std::cell::RefCell;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::journal::{Excerpt, Journal, Messages, Succeeded, Troubled};
use super::manager::{NoAnswer, ServiceManager, Unit};
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
    fn troubled(&self, since: DateTime<Utc>) -> Result<Troubled, String>;

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

/// This machine.
pub struct Machine {
    journal: RefCell<Journal>,
    manager: RefCell<ServiceManager>,
    users: bool,
}

impl Machine {
    /// The units of this manager; each question may take about as long as `budget`.
    pub fn new(manager: &Manager, budget: Duration) -> Machine {
        let users = matches!(manager, Manager::User(_));
        Machine { journal: Journal::new(budget).into(), manager: ServiceManager::new(users, budget).into(), users }
    }
}

impl World for Machine {
    fn messages(&self, subject: &Subject, since: DateTime<Utc>) -> Result<Messages, String> {
        self.journal.borrow_mut().messages(subject, since)
    }

    fn troubled(&self, since: DateTime<Utc>) -> Result<Troubled, String> {
        self.journal.borrow_mut().troubled(self.users, since)
    }

    fn succeeded(&self, since: DateTime<Utc>) -> Result<Succeeded, String> {
        self.journal.borrow_mut().succeeded(self.users, since)
    }

    fn is_handled(&self, subject: &Subject) -> Option<bool> {
        self.manager.borrow_mut().is_handled(subject)
    }

    fn lines(&self, subject: &Subject, invocation: &str, ended: DateTime<Utc>, most: usize) -> Result<Excerpt, String> {
        self.journal.borrow_mut().lines(subject, invocation, ended, most)
    }

    fn unit(&self, subject: &Subject) -> Option<Unit> {
        self.manager.borrow_mut().unit(subject)
    }

    fn problem(&self, subject: &Subject) -> Option<Problem> {
        self.manager.borrow_mut().problem(subject)
    }

    fn culprit(&self, subject: &Subject) -> Result<Option<String>, NoAnswer> {
        self.manager.borrow_mut().culprit(subject)
    }

    fn about(&self, subject: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        self.manager.borrow_mut().about(subject)
    }
}
