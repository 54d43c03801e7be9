//! The only place that reads the environment.
#![allow(clippy::disallowed_methods)]

use std::path::PathBuf;

/// The variable's value; `None` when it is unset, empty or no text.
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variable as a path of ours: never passed over, since the command would touch the system's own folder instead.
pub fn path(name: &str) -> Option<PathBuf> {
    var(name).map(PathBuf::from)
}

/// The variable as an absolute path; a relative one counts as unset, as the XDG specification wants it.
pub fn folder(name: &str) -> Option<PathBuf> {
    var(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
