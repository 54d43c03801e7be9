//! What the kernel or the SSH server wrote since it was last read.

use std::time::Instant;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use systemd::journal::Journal as Handle;

use super::{field, micros, text, time};
use crate::host::clock;

/// Whose lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The kernel's own, and not what a program wrote into its log.
    Kernel,
    /// The SSH server's: root's. Whoever is logged in can write under any name, but not as root.
    Ssh,
}

/// Where reading stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// What came before this time is read.
    pub at: DateTime<Utc>,
    /// The last entry that is read, as the journal names it.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The process that wrote it.
    pub process: Option<u32>,
    /// What it wrote. Hostile.
    pub text: String,
}

/// What became of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Where the next one goes on.
    pub bookmark: Bookmark,
    /// There is more than could be read in time.
    pub more: bool,
}

/// Hands over what was written since the bookmark, oldest first. Entries are ordered as the journal took them: a clock that is set
/// hides none.
pub(super) fn read(
    journal: &mut Handle,
    writer: Writer,
    from: &Bookmark,
    until: Instant,
    take: &mut dyn FnMut(Entry),
) -> systemd::Result<Reached> {
    // first of all the end: what comes meanwhile is for the next reading, unless this one meets it
    journal.seek_tail()?;
    let mut bookmark = match journal.previous()? {
        0 => from.clone(),
        _ => here(journal)?,
    };
    matches(journal, writer)?;
    let cursor = from.cursor.as_deref().filter(|cursor| journal.seek_cursor(*cursor).is_ok());
    if cursor.is_none() {
        journal.seek_realtime_usec(micros(from.at))?;
    }
    let mut last = None;
    while journal.next()? > 0 {
        if cursor.is_some_and(|cursor| journal.test_cursor(cursor).is_ok_and(|is_read| is_read)) {
            continue;
        }
        if clock::started() >= until {
            return Ok(Reached { bookmark: last.unwrap_or_else(|| from.clone()), more: true });
        }
        let own = field(journal, "_SOURCE_REALTIME_TIMESTAMP")?.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        let at = own.map_or_else(|| journal.timestamp_usec(), Ok)?;
        let process = text(journal, "_PID")?.and_then(|number| number.parse().ok());
        take(Entry { at: time(at), process, text: text(journal, "MESSAGE")?.unwrap_or_default() });
        last = Some(here(journal)?);
    }
    if let Some(last) = last.filter(|last| last.at > bookmark.at) {
        bookmark = last;
    }
    Ok(Reached { bookmark, more: false })
}

fn here(journal: &mut Handle) -> systemd::Result<Bookmark> {
    Ok(Bookmark { at: time(journal.timestamp_usec()?), cursor: Some(journal.cursor()?) })
}

fn matches(journal: &mut Handle, writer: Writer) -> systemd::Result<()> {
    match writer {
        Writer::Kernel => {
            journal.match_add("_TRANSPORT", "kernel")?.match_add("SYSLOG_IDENTIFIER", "kernel")?;
        }
        // from OpenSSH 9.8 on each connection has a program of its own, and from 10.0 on the login, too
        Writer::Ssh => {
            journal.match_add("_UID", "0")?;
            for name in ["sshd", "sshd-session", "sshd-auth"] {
                journal.match_add("SYSLOG_IDENTIFIER", name)?;
            }
        }
    }
    Ok(())
}
