//! What the manager itself says about a unit: the word that decides, where a trigger came late or told something else.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use systemd::journal::{Journal as Handle, JournalRef};

use super::{Fields, field, text, time};
use crate::event::Subject;
use crate::host::clock;

/// What a message is about, by its `MESSAGE_ID` (`journalctl --catalog`; `systemd/sd-messages.h`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// A start was begun.
    Starting,
    /// It is up, or its job is done.
    Started,
    /// A process of it ended badly.
    Exited,
    /// The run failed.
    Failed,
    /// A job of the unit failed; without an invocation nothing was started.
    JobFailed,
    /// The run ended well.
    Succeeded,
    /// The run ended at its `ExecCondition=`.
    Skipped,
    /// systemd starts it again, as `Restart=` says.
    Restarts,
    /// A stop was begun.
    Stopping,
    /// A stop is done, and was no part of a restart.
    Stopped,
    /// The kernel killed a process of it, for want of memory.
    OomKilled,
    /// systemd-oomd killed it, for want of memory.
    OomdKilled,
    /// It has ended, and this is what it used.
    Consumed,
    /// Something else.
    #[default]
    Other,
}

pub(super) const KINDS: [(&str, Kind); 13] = [
    ("7d4958e842da4a758f6c1cdc7b36dcc5", Kind::Starting),
    ("39f53479d3a045ac8e11786248231fbf", Kind::Started),
    ("98e322203f7a4ed290d09fe03c09fe15", Kind::Exited),
    ("d9b373ed55a64feb8242e02dbe79a49c", Kind::Failed),
    ("be02cf6855d2428ba40df7e9d022f03d", Kind::JobFailed),
    ("7ad2d189f7e94e70a38c781354912448", Kind::Succeeded),
    ("0e4284a0caca4bfc81c0bb6786972673", Kind::Skipped),
    ("5eb03494b6584870a536b337290809b3", Kind::Restarts),
    ("de5b426a63be47a7b6ac3eaac82e2f6f", Kind::Stopping),
    ("9d1aaa27d60140bd96365438aad20286", Kind::Stopped),
    ("fe6faa94e7774663a0da52717891d8ef", Kind::OomKilled),
    ("d989611b15e44c9dbf31e3c81256e4ed", Kind::OomdKilled),
    ("ae8f7b866b0347b9af31fe1c80b127c0", Kind::Consumed),
];

/// One message of the manager's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// When the journal took it.
    pub at: DateTime<Utc>,
    /// What it is about.
    pub kind: Kind,
    /// The run.
    pub invocation: Option<String>,
    /// Of `Failed`: the unit's result. Of `JobFailed`: the job's.
    pub result: Option<String>,
    /// Of `Exited`: "exited", "killed" or "dumped", and the status or the signal's name without SIG.
    pub exit: Option<(String, String)>,
    /// Of `Exited`: which of the unit's commands it was.
    pub command: Option<String>,
    /// Of `JobFailed`: names the job for ever: its boot and its number.
    pub job: Option<String>,
    /// Of `Restarts`: how often systemd has started it again since somebody else did, this time included.
    pub restarts: Option<u32>,
    /// Of `Consumed`: processor time.
    pub cpu: Option<Duration>,
    /// Of `Consumed`: the most memory that it held at a time, in bytes (systemd 254).
    pub memory: Option<u64>,
    /// Of `Other`: what it says.
    pub text: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// Oldest first.
    pub list: Vec<Message>,
    /// False when the time was over before the end: later ones are missing.
    pub whole: bool,
}

pub(super) fn read(
    journal: &mut Handle,
    fields: &Fields,
    subject: &Subject,
    since: u64,
    until: Instant,
) -> systemd::Result<Messages> {
    fields.by_manager(journal)?.match_add(fields.manager_unit, subject.unit_name())?;
    journal.seek_realtime_usec(since)?;
    let mut list = Vec::new();
    while journal.next()? > 0 {
        let at = journal.timestamp_usec()?;
        // a file's first entry may be older than what was looked for
        if at >= since {
            list.push(message(journal, fields, at)?);
        }
        if clock::started() >= until {
            return Ok(Messages { list, whole: false });
        }
    }
    Ok(Messages { list, whole: true })
}

/// What a message with this `MESSAGE_ID` is about.
pub(super) fn kind(id: Option<&str>) -> Kind {
    KINDS.iter().find(|(known, _)| id == Some(*known)).map_or(Kind::Other, |(_, kind)| *kind)
}

pub(super) fn message(journal: &mut JournalRef, fields: &Fields, at: u64) -> systemd::Result<Message> {
    let kind = match kind(text(journal, "MESSAGE_ID")?.as_deref()) {
        Kind::Stopped if text(journal, "JOB_TYPE")?.as_deref() != Some("stop") => Kind::Other,
        kind => kind,
    };
    let mut message = Message {
        at: time(at),
        kind,
        // of what was never started the field is there, and empty
        invocation: text(journal, fields.manager_invocation)?.filter(|id| is_invocation(id)),
        ..Message::default()
    };
    match kind {
        Kind::Restarts => message.restarts = number(journal, "N_RESTARTS")?.and_then(|number| number.try_into().ok()),
        Kind::Consumed => {
            message.cpu = number(journal, "CPU_USAGE_NSEC")?.map(Duration::from_nanos);
            message.memory = number(journal, "MEMORY_PEAK")?;
        }
        Kind::Failed => message.result = word(journal, "UNIT_RESULT")?,
        Kind::Exited => {
            message.exit = word(journal, "EXIT_CODE")?.zip(word(journal, "EXIT_STATUS")?).map(|(code, status)| {
                let status = if code == "exited" { status } else { signal(&status) };
                (code, status)
            });
            message.command = word(journal, "COMMAND")?;
        }
        Kind::JobFailed => {
            message.result = word(journal, "JOB_RESULT")?;
            let boot = text(journal, "_BOOT_ID")?.unwrap_or_default();
            message.job = word(journal, "JOB_ID")?.map(|job| format!("{boot}:{job}"));
        }
        Kind::Other => message.text = field(journal, "MESSAGE")?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        _ => {}
    }
    Ok(message)
}

/// One of systemd's words, which are short and plain: a user may have written anything in the name of their manager.
fn word(journal: &mut JournalRef, name: &str) -> systemd::Result<Option<String>> {
    Ok(text(journal, name)?.filter(|text| is_word(text)))
}

fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/".contains(&byte))
}

fn is_invocation(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A figure of the manager's; the largest that there is stands for none.
fn number(journal: &mut JournalRef, name: &str) -> systemd::Result<Option<u64>> {
    Ok(text(journal, name)?.and_then(|text| text.parse().ok()).filter(|number| *number < u64::MAX))
}

/// The journal numbers signals, `MONITOR_EXIT_STATUS` names them.
pub(in crate::host) fn signal(number: &str) -> String {
    let Ok(value) = number.parse::<i32>() else { return number.to_owned() };
    match Signal::try_from(value) {
        Ok(signal) => signal.as_str().trim_start_matches("SIG").to_owned(),
        // as systemd calls the realtime signals (signal-util.c)
        Err(_) if (34..=64).contains(&value) => format!("RTMIN+{}", value - 34),
        Err(_) => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_systemd_pass_and_others_do_not() {
        for text in ["exit-code", "n/a", "ExecStartPre", "RTMIN+3", "203"] {
            assert!(is_word(text), "{text}");
        }
        for text in ["exit code", "a\nb", "<b>", "\u{1b}[1m", &"x".repeat(65)] {
            assert!(!is_word(text), "{text:?}");
        }
        assert!(is_invocation("0123456789abcdef0123456789abcdef"));
        assert!(!is_invocation("") && !is_invocation("../../etc/passwd"));
    }

    #[test]
    fn signals_have_the_names_that_systemd_gives_them() {
        for (number, name) in
            [("15", "TERM"), ("9", "KILL"), ("11", "SEGV"), ("6", "ABRT"), ("34", "RTMIN+0"), ("37", "RTMIN+3"), ("x", "x")]
        {
            assert_eq!(signal(number), name);
        }
    }
}
