//! Errors for people: what happened, what to do about it, and the exit status that says its kind.

use std::fmt;
use std::io;
use std::path::Path;

/// Who must act, as an exit status says it (sysexits.h's numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 1: it did not work.
    Failure,
    /// 1: the database is damaged; dispatch replaces it.
    Damaged,
    /// 1: it may be damaged; dispatch examines it.
    Suspect,
    /// 1: others write; it can be done in a while.
    Busy,
    /// 64: the command was given wrongly.
    Usage,
    /// 77: this user may not do it.
    Permission,
    /// 78: the configuration is wrong.
    Config,
}

impl Kind {
    /// The process's exit status.
    pub fn exit_status(self) -> u8 {
        match self {
            Kind::Failure | Kind::Damaged | Kind::Suspect | Kind::Busy => 1,
            Kind::Usage => 64,
            Kind::Permission => 77,
            Kind::Config => 78,
        }
    }
}

/// What went wrong, in a sentence, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Its kind.
    pub kind: Kind,
    /// The sentence, with the cause in it.
    pub message: String,
    /// What to do next, where that is not plain.
    pub hint: Option<String>,
}

/// A result whose error can be shown.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), hint: None }
    }

    /// Something did not work.
    pub fn failure(message: impl Into<String>) -> Error {
        Error::new(Kind::Failure, message)
    }

    /// The command was given wrongly.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// The configuration is wrong.
    pub fn config(message: impl Into<String>) -> Error {
        Error::new(Kind::Config, message)
    }

    /// A failed touch of a file: `Permission` when it was refused, else `Failure`.
    pub fn file(doing: &str, path: &Path, cause: &io::Error) -> Error {
        let kind = if cause.kind() == io::ErrorKind::PermissionDenied { Kind::Permission } else { Kind::Failure };
        let error = Error::new(kind, format!("cannot {doing} {}: {cause}", path.display()));
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => error.hint("the disk is full: make room"),
            io::ErrorKind::ReadOnlyFilesystem => error.hint(
                "`journalctl -k` says why, if nobody meant it; what happens is taken over when the file system can be written again",
            ),
            _ => error,
        }
    }

    /// True when the database is damaged, or may be.
    pub fn is_of_damage(&self) -> bool {
        matches!(self.kind, Kind::Damaged | Kind::Suspect)
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
