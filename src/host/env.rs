//! The only place that reads the environment.
#![allow(clippy::disallowed_methods)]

use std::ffi::OsString;
use std::path::PathBuf;

/// The variable's value; `None` when it is unset, empty or no text.
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The command line, this program's name first.
pub fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The variable as an absolute path; a relative one counts as unset, as the XDG specification wants it.
pub fn folder(name: &str) -> Option<PathBuf> {
    var(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Whose word the environment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// That of whoever runs the command: it may say where everything is.
    Ours,
    /// That of a unit: what it sets is meant for its own program. Its `STATE_DIRECTORY=` and `LOG_FILE=` are not ours.
    AUnits,
}

impl Environment {
    /// The variable, if it is meant for us.
    pub fn var(self, name: &str) -> Option<String> {
        if self == Environment::Ours { var(name) } else { None }
    }

    /// The variable as a path of ours: never passed over, since the command would touch the system's own folder instead.
    pub fn path(self, name: &str) -> Option<PathBuf> {
        self.var(name).map(PathBuf::from)
    }

    /// The variable as an absolute path.
    pub fn folder(self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute())
    }
}
