//! Messages about sysalert itself: to the journal with priority and fields where standard error is the journal, else to
//! standard error, and to `LOG_FILE` if that is set.
#![allow(clippy::print_stderr)]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

use nix::sys::stat::fstat;

use super::clock;
use super::env::{self, Environment};

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody must act.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What was done and is always shown.
    Notice,
    /// What was done.
    Info,
    /// Why.
    Debug,
}

impl Level {
    /// The level of `SYSALERT_LOG`'s word.
    fn parse(word: &str) -> Option<Level> {
        Some(match word.to_ascii_lowercase().as_str() {
            "error" => Level::Error,
            "warn" | "warning" => Level::Warn,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => return None,
        })
    }

    /// syslog's number and word.
    fn priority(self) -> (u8, &'static str) {
        match self {
            Level::Error => (3, "error"),
            Level::Warn => (4, "warning"),
            Level::Notice => (5, "notice"),
            Level::Info => (6, "info"),
            Level::Debug => (7, "debug"),
        }
    }
}

/// What is shown, and the file that it goes to, too.
static SETTINGS: OnceLock<(Level, Option<String>)> = OnceLock::new();

/// Sets what is shown: `--verbose`, else SYSALERT_LOG, else LOG_LEVEL, else warnings and errors.
pub fn init(verbose: bool, environment: Environment) {
    let word = || environment.var("SYSALERT_LOG").or_else(|| environment.var("LOG_LEVEL"));
    let level = if verbose { Level::Debug } else { word().and_then(|word| Level::parse(&word)).unwrap_or(Level::Warn) };
    // a second call changes nothing
    let _ = SETTINGS.set((level, environment.var("LOG_FILE")));
}

/// Writes a message, with the subject that it is about.
pub fn write(level: Level, subject: Option<&str>, text: &str) {
    let (threshold, file) = SETTINGS.get().unwrap_or(&(Level::Warn, None));
    if level > *threshold && level != Level::Notice {
        return;
    }
    let (number, word) = level.priority();
    if stderr_is_journal() {
        let message = format!("MESSAGE={text}");
        let priority = format!("PRIORITY={number}");
        let subject = subject.map(|subject| format!("SYSALERT_SUBJECT={subject}"));
        let mut fields = vec![message.as_str(), &priority, "SYSLOG_IDENTIFIER=sysalert"];
        fields.extend(subject.as_deref());
        if systemd::journal::send(&fields).is_err() {
            eprintln!("<{number}>{text}");
        }
    } else {
        eprintln!("sysalert: {word}: {text}");
    }
    if let Some(path) = file {
        let line = format!("{} {word}: {text}\n", clock::system().format("%Y-%m-%dT%H:%M:%SZ"));
        // there is nowhere left to say that the log cannot be written
        let _ = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// Whether standard error really is the stream that systemd connected to the journal: `$JOURNAL_STREAM` alone is inherited
/// by shells, too (`systemd.exec(5)`).
fn stderr_is_journal() -> bool {
    let Some(stream) = env::var("JOURNAL_STREAM") else { return false };
    fstat(std::io::stderr()).is_ok_and(|about| format!("{}:{}", about.st_dev, about.st_ino) == stream)
}

/// An error about this subject.
pub fn error(subject: Option<&str>, text: &str) {
    write(Level::Error, subject, text);
}

/// What ends the program: for a person without the word "error", which the exit status says.
pub fn fatal(text: &str) {
    if stderr_is_journal() {
        write(Level::Error, None, text);
    } else {
        eprintln!("sysalert: {text}");
    }
}

/// A warning about this subject.
pub fn warn(subject: Option<&str>, text: &str) {
    write(Level::Warn, subject, text);
}

/// What was done about this subject, and is kept whatever the level.
pub fn notice(subject: Option<&str>, text: &str) {
    write(Level::Notice, subject, text);
}

/// What was done about this subject.
pub fn info(subject: Option<&str>, text: &str) {
    write(Level::Info, subject, text);
}
