//! The journal: what the manager says about a unit, and the lines of exactly one run.
//!
//! Only the files that can hold what is asked for are opened: libsystemd otherwise maps and searches every file there is, which
//! costs seconds where the journal is large and cold. For what a message tells it is a bounded number of them, however large the
//! journal is.

mod back;
mod complaints;
mod deaths;
mod entries;
mod excerpt;
mod files;
mod history;
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

use std::ops::Range;
use std::path::PathBuf;
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
    opened: Option<Opened>,
    budget: Duration,
    /// So long it still may wait for core dumps.
    waits: Duration,
}

struct Opened {
    /// All that was logged since then is in it.
    from: Option<u64>,
    paths: Vec<PathBuf>,
    handle: Handle,
}

/// For all core dumps that one run of dispatch tells so long is waited, and so often is looked.
const WAITS: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

impl Journal {
    /// Nothing is opened yet. Each question may take about as long as `budget`.
    pub fn new(budget: Duration) -> Journal {
        Journal { opened: None, budget, waits: WAITS }
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

    /// Hands over what the manager said about a unit in that time, newest first, until `take` has enough. False when older messages
    /// of that time may be missing: there was no time, or there are too many files.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    pub fn history(
        &mut self,
        subject: &Subject,
        span: Range<DateTime<Utc>>,
        take: &mut dyn FnMut(Message) -> bool,
    ) -> Result<bool, String> {
        let (until, fields) = (self.until(), Fields::of(subject)?);
        let span = (micros(span.start), micros(span.end));
        let mut end = None;
        let whole = self.back(&fields, span, &mut |journal| {
            end = history::read(journal, &fields, subject, span, until, take)?;
            Ok(end.is_none())
        })?;
        Ok(end.map_or(whole, |end| end == history::End::Enough))
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
        let ended = micros(ended);
        let files = back::back((0, ended.saturating_add(RECENT)));
        // most runs are short: first the files of the last minutes, and older ones only when the run began before them
        let mut back = RECENT;
        loop {
            let paths = files.since(ended.saturating_sub(back));
            let widest = paths.len() == files.paths().len();
            let excerpt = excerpt::read(self.open_files(paths)?, &fields, subject, (invocation, process), most, until)
                .map_err(unreadable)?;
            if !excerpt.begins_before || excerpt.lines.len() >= most || widest || clock::started() >= until {
                return Ok(Excerpt { cut: files.cut && widest, ..excerpt });
            }
            back = back.saturating_mul(60);
        }
    }

    /// What the manager said about a unit's files since then, and cannot use of them: the newest few, oldest first.
    ///
    /// # Errors
    /// A sentence, when the journal cannot be read.
    pub fn complaints(&mut self, subject: &Subject, since: DateTime<Utc>) -> Result<Vec<Complaint>, String> {
        let until = self.until();
        let since = micros(since);
        let fields = Fields::of(subject)?;
        let mut found = Vec::new();
        self.back(&fields, (since, u64::MAX), &mut |journal| {
            complaints::read(journal, &fields, subject, since, until, &mut found)
        })?;
        found.reverse();
        Ok(found)
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
            let at = micros(run.at);
            let files = back::back((at.saturating_sub(RECENT), at.saturating_add(RECENT)));
            let deaths = deaths::read(self.open_files(files.paths())?, &fields, subject, run, until).map_err(unreadable)?;
            let comes = run.dumped && deaths.core.is_none() && files::saves_cores();
            if !comes || self.waits.is_zero() {
                return Ok(deaths);
            }
            clock::wait(LOOK);
            self.waits = self.waits.saturating_sub(LOOK);
            // it may come into another file: that of the user whose process it was
            self.opened = None;
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
        let reaches = |opened: &Opened| opened.from.is_some_and(|from| from <= since);
        if !self.opened.as_ref().is_some_and(reaches) {
            let paths = files::since(since);
            self.opened = Some(Opened { from: Some(since), handle: open(&paths).map_err(unreadable)?, paths });
        }
        self.handle()
    }

    /// These files; where there are none, the journal.
    fn open_files(&mut self, paths: Vec<PathBuf>) -> Result<&mut Handle, String> {
        let has = |opened: &Opened| paths.iter().all(|path| opened.paths.contains(path));
        if !self.opened.as_ref().is_some_and(has) {
            self.opened = Some(Opened { from: None, handle: open(&paths).map_err(unreadable)?, paths });
        }
        self.handle()
    }

    fn handle(&mut self) -> Result<&mut Handle, String> {
        let opened = self.opened.as_mut().ok_or("the journal is not open")?;
        // other matches than the last question's
        opened.handle.match_flush().map_err(unreadable)?;
        Ok(&mut opened.handle)
    }

    /// Searches what may hold a manager's words of that time, one file after the other from the newest back, until `search` says
    /// that it needs no older one. False when older ones were left out.
    fn back(
        &self,
        fields: &Fields,
        span: (u64, u64),
        search: &mut dyn FnMut(&mut Handle) -> systemd::Result<bool>,
    ) -> Result<bool, String> {
        let files = back::managers_back(span, fields.user);
        let mut searched = false;
        for path in files.paths() {
            // one that went away meanwhile, or that this user may not read
            let Ok(mut journal) = open_only(&[path]) else { continue };
            searched = true;
            if !search(&mut journal).map_err(unreadable)? {
                return Ok(true);
            }
        }
        if !searched {
            search(&mut open(&[]).map_err(unreadable)?).map_err(unreadable)?;
        }
        Ok(!files.cut)
    }
}

/// In microseconds: so far back is looked at first.
const RECENT: u64 = 10 * 60 * 1_000_000;

/// These files, or all where they cannot be opened: a journal that lies elsewhere, a file that went away meanwhile, or one that this
/// user may not read.
fn open(paths: &[PathBuf]) -> systemd::Result<Handle> {
    let opened = if paths.is_empty() { None } else { open_only(paths).ok() };
    match opened {
        Some(handle) => Ok(handle),
        None => bounded(OpenOptions::default().local_only(true).open()?),
    }
}

fn open_only(paths: &[PathBuf]) -> systemd::Result<Handle> {
    bounded(OpenFilesOptions::default().open_files(paths.iter().filter_map(|path| path.to_str()))?)
}

/// With so much of each field as is enough.
fn bounded(mut handle: Handle) -> systemd::Result<Handle> {
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
    /// The user whose manager it is.
    user: Option<u32>,
}

impl Fields {
    fn of(subject: &Subject) -> Result<Fields, String> {
        Fields::new(&subject.whose())
    }

    fn new(manager: &Manager) -> Result<Fields, String> {
        let Manager::User(name) = manager else {
            let manager = vec![("_PID", "1".to_owned())];
            let (manager_unit, manager_invocation) = ("UNIT", "INVOCATION_ID");
            return Ok(Fields { unit: "_SYSTEMD_UNIT", manager, manager_unit, manager_invocation, user: None });
        };
        let uid = uid_of(name).ok_or_else(|| format!("there is no user {}", name.escape_debug()))?;
        // these are the journal's own: whatever a user writes, it is not the machine's word and not another user's
        let manager =
            vec![("_UID", uid.to_string()), ("_SYSTEMD_UNIT", format!("user@{uid}.service")), ("_COMM", "systemd".to_owned())];
        let (manager_unit, manager_invocation) = ("USER_UNIT", "USER_INVOCATION_ID");
        Ok(Fields { unit: "_SYSTEMD_USER_UNIT", manager, manager_unit, manager_invocation, user: Some(uid) })
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
