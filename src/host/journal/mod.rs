//! The journal: what the manager says about a unit, and the lines of exactly one run.
//!
//! Only the files that can hold what is asked for are opened: libsystemd otherwise maps and searches every file there is, which
//! costs seconds where the journal is large and cold.

mod complaints;
mod deaths;
mod entries;
mod excerpt;
mod files;
mod messages;
mod succeeded;
mod troubled;

pub use complaints::Complaint;
pub use deaths::{Core, Deaths, Ended, OomKill};
pub use entries::{Bookmark, Entry, Reached, Writer};
pub use excerpt::{Excerpt, Line};
pub use files::{Kept, kept, readable, storage};
pub(super) use messages::signal;
pub use messages::{Kind, Message, Messages};
pub use succeeded::Succeeded;
pub use troubled::Troubled;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::unistd::User;
use systemd::journal::{Journal as Handle, JournalRef, OpenFilesOptions, OpenOptions};

use crate::event::{Manager, Subject};
use crate::host::{clock, libsystemd};

/// So much of a field is enough; the library may give more of one that is not compressed.
const LONGEST_FIELD: usize = 16 * 1024;

/// The journal, opened as far back as somebody asked so far.
pub struct Journal {
    handle: Option<(u64, Handle)>,
    budget: Duration,
    /// So long it still may wait for core dumps.
    waits: Duration,
}

/// For all core dumps that one run of dispatch tells so long is waited, and so often is looked.
const WAITS: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

impl Journal {
    /// Nothing is opened yet. Each question may take about as long as `budget`.
    pub fn new(budget: Duration) -> Journal {
        Journal { handle: None, budget, waits: WAITS }
    }

    /// What the manager says about a unit since then, oldest first.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    pub fn messages(&mut self, subject: &Subject, since: DateTime<Utc>) -> Result<Messages, String> {
        let until = self.until();
        let since = micros(since);
        let fields = Fields::of(subject)?;
        messages::read(self.open(since)?, &fields, subject, since, until).map_err(unreadable)
    }

    /// The units of which the manager says that something failed since then.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    pub fn troubled(&mut self, manager: &Manager, since: DateTime<Utc>) -> Result<Troubled, String> {
        let until = self.until();
        let since = micros(since);
        let fields = Fields::new(manager)?;
        let mut found = troubled::read(self.open(since)?, &fields, since, until).map_err(unreadable)?;
        // where an older file is left nothing is lost: nothing was written in between
        found.gone_before = found.gone_before.filter(|_| files::oldest().is_none_or(|oldest| oldest > since));
        Ok(found)
    }

    /// The units of which the manager says that a run ended well since then; as far as the time reached, from the oldest on.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    pub fn succeeded(&mut self, manager: &Manager, since: DateTime<Utc>) -> Result<Succeeded, String> {
        let until = self.until();
        let since = micros(since);
        let fields = Fields::new(manager)?;
        succeeded::read(self.open(since)?, &fields, since, until).map_err(unreadable)
    }

    /// The last lines of a run that ended then; for a user's unit, with its main process.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    pub fn lines(
        &mut self,
        subject: &Subject,
        (invocation, process): (&str, Option<u32>),
        ended: DateTime<Utc>,
        most: usize,
    ) -> Result<Excerpt, String> {
        let until = self.until();
        let fields = Fields::of(subject)?;
        // most runs are short: first the files of the last minutes, and older ones only when the run began before them
        let mut back = RECENT;
        loop {
            let since = micros(ended).saturating_sub(back);
            let excerpt =
                excerpt::read(self.open(since)?, &fields, subject, (invocation, process), most, until).map_err(unreadable)?;
            let widest = files::oldest().is_none_or(|oldest| since <= oldest);
            if !excerpt.begins_before || excerpt.lines.len() >= most || widest || clock::started() >= until {
                return Ok(excerpt);
            }
            back = back.saturating_mul(60);
        }
    }

    /// What the manager said about a unit's files since then, and cannot use of them.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    pub fn complaints(&mut self, subject: &Subject, since: DateTime<Utc>) -> Result<Vec<Complaint>, String> {
        let until = self.until();
        let since = micros(since);
        let fields = Fields::of(subject)?;
        complaints::read(self.open(since)?, &fields, subject, since, until).map_err(unreadable)
    }

    /// How a unit's processes died in this run. A core dump that must come is waited for, a moment: it is told when the core is
    /// saved, and the manager may have noticed before.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    pub fn deaths(&mut self, subject: &Subject, run: Ended, within: Duration) -> Result<Deaths, String> {
        let fields = Fields::of(subject)?;
        loop {
            let until = clock::started() + within;
            let from = micros(run.at).saturating_sub(RECENT);
            let deaths = deaths::read(self.open(from)?, &fields, subject, run, until).map_err(unreadable)?;
            let comes = run.dumped && deaths.core.is_none() && files::saves_cores();
            if !comes || self.waits.is_zero() {
                return Ok(deaths);
            }
            clock::wait(LOOK);
            self.waits = self.waits.saturating_sub(LOOK);
            // it may come into another file: that of the user whose process it was
            self.handle = None;
        }
    }

    /// Hands over what the kernel or the SSH server wrote since that bookmark, oldest first.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read, or not all of it.
    pub fn entries(&mut self, writer: Writer, from: &Bookmark, take: &mut dyn FnMut(Entry)) -> Result<Reached, String> {
        let until = self.until();
        // the library passes over what it may not read, as if nothing were there
        files::readable()?;
        entries::read(self.open(micros(from.at))?, writer, from, until, take).map_err(unreadable)
    }

    fn until(&self) -> Instant {
        clock::started() + self.budget
    }

    /// The files that hold what was logged since then.
    fn open(&mut self, since: u64) -> Result<&mut Handle, String> {
        let reaches = self.handle.as_ref().is_some_and(|(from, _)| *from <= since);
        if !reaches {
            self.handle = Some((since, open(since).map_err(unreadable)?));
        }
        let (_, handle) = self.handle.as_mut().ok_or("the journal is not open")?;
        // other matches than the last question's
        handle.match_flush().map_err(unreadable)?;
        Ok(handle)
    }
}

/// In microseconds: so far back is looked at first.
const RECENT: u64 = 10 * 60 * 1_000_000;

fn open(since: u64) -> systemd::Result<Handle> {
    let paths = files::since(since);
    let names = paths.iter().filter_map(|path| path.to_str());
    let opened = if paths.is_empty() { None } else { OpenFilesOptions::default().open_files(names).ok() };
    // a journal that lies elsewhere, a file that went away meanwhile, or one that this user may not read
    let mut handle = match opened {
        Some(handle) => handle,
        None => OpenOptions::default().local_only(true).open()?,
    };
    handle.set_data_threshold(LONGEST_FIELD)?;
    Ok(handle)
}

fn unreadable(error: systemd::Error) -> String {
    match libsystemd::trouble(&error) {
        Some(trouble) => format!("the journal cannot be read: {trouble}"),
        None => format!("the journal cannot be read: {error}"),
    }
}

/// The fields by which systemd's manager and the journal mark what belongs to a unit's run.
struct Fields {
    /// Set by the journal on what the unit's processes write.
    unit: &'static str,
    /// Matches that hold for the manager's own messages and can be forged by nobody else.
    manager: Vec<(&'static str, String)>,
    /// Set by the manager on its own messages.
    manager_unit: &'static str,
    manager_invocation: &'static str,
}

impl Fields {
    fn of(subject: &Subject) -> Result<Fields, String> {
        Fields::new(&subject.whose())
    }

    fn new(manager: &Manager) -> Result<Fields, String> {
        let Manager::User(name) = manager else {
            let manager = vec![("_PID", "1".to_owned())];
            return Ok(Fields { unit: "_SYSTEMD_UNIT", manager, manager_unit: "UNIT", manager_invocation: "INVOCATION_ID" });
        };
        let uid = uid_of(name).ok_or_else(|| format!("there is no user {}", name.escape_debug()))?;
        // these are the journal's own: whatever a user writes, it is not the machine's word and not another user's
        let manager =
            vec![("_UID", uid.to_string()), ("_SYSTEMD_UNIT", format!("user@{uid}.service")), ("_COMM", "systemd".to_owned())];
        Ok(Fields { unit: "_SYSTEMD_USER_UNIT", manager, manager_unit: "USER_UNIT", manager_invocation: "USER_INVOCATION_ID" })
    }

    /// What holds for all that belongs to the manager's units, beside the unit.
    fn of_manager(&self) -> &[(&'static str, String)] {
        // a machine's processes run as anybody
        if self.unit == "_SYSTEMD_USER_UNIT" { &self.manager[..2] } else { &[] }
    }

    fn by_manager<'a>(&self, journal: &'a mut Handle) -> systemd::Result<&'a mut JournalRef> {
        for (name, value) in &self.manager {
            journal.match_add(name, value.as_str())?;
        }
        Ok(journal)
    }
}

/// The number of this user; a user without a name is called by it.
fn uid_of(name: &str) -> Option<u32> {
    let user = User::from_name(name).ok().flatten();
    user.map(|user| user.uid.as_raw()).or_else(|| name.parse().ok())
}

fn field(journal: &mut JournalRef, name: &str) -> systemd::Result<Option<Vec<u8>>> {
    Ok(journal.get_data(name)?.and_then(|data| data.value().map(<[u8]>::to_vec)))
}

fn text(journal: &mut JournalRef, name: &str) -> systemd::Result<Option<String>> {
    Ok(field(journal, name)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn micros(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp_micros()).unwrap_or(0)
}

fn time(micros: u64) -> DateTime<Utc> {
    i64::try_from(micros).ok().and_then(DateTime::from_timestamp_micros).unwrap_or_default()
}
