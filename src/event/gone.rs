//! That there is nothing left to fail: a user, or their service manager, is gone.

use super::Problem;

/// What is gone with all its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// A user.
    User,
    /// A user's service manager.
    Manager,
}

impl Gone {
    fn of(problem: &Problem) -> Option<Gone> {
        [Gone::User, Gone::Manager].into_iter().find(|why| problem.service_result.as_deref() == Some(why.result()))
    }

    fn result(self) -> &'static str {
        match self {
            Gone::User => "user-gone",
            Gone::Manager => "manager-gone",
        }
    }
}

/// What a rule of a sensor was about: a file system that is not mounted any more.
const INSTANCE: &str = "instance-gone";

impl Problem {
    /// That what a rule was about is gone, for this reason.
    pub fn instance_gone(why: String) -> Problem {
        Problem { service_result: Some(INSTANCE.to_owned()), cause: Some(why), ..Problem::default() }
    }

    /// Why what a rule was about is gone, if this tells it.
    pub fn why_instance_gone(&self) -> Option<&str> {
        self.cause.as_deref().filter(|_| self.service_result.as_deref() == Some(INSTANCE))
    }

    /// That an incident is over because there is nothing left to fail.
    pub fn gone(why: Gone) -> Problem {
        Problem { service_result: Some(why.result().to_owned()), ..Problem::default() }
    }

    /// True of what tells that a unit is gone.
    pub fn is_gone(&self) -> bool {
        Gone::of(self).is_some()
    }

    /// Why a unit is gone, if this tells it: "there is no user alice any more".
    pub fn why_gone(&self, user: &str) -> Option<String> {
        Some(match Gone::of(self)? {
            Gone::User => format!("there is no user {user} any more"),
            Gone::Manager => format!("the service manager of {user} does not run any more"),
        })
    }
}
