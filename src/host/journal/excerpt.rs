//! The lines of exactly one run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use chrono::{DateTime, Utc};
use systemd::journal::{Journal as Handle, JournalRef};

use super::messages::{self, Kind};
use super::{Fields, field, text, time};
use crate::event::Subject;
use crate::host::clock;

/// One line of the journal. The text is what a process wrote: hostile until `message` has made it safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When the journal took it.
    pub at: DateTime<Utc>,
    /// Who wrote it: "backup" or "systemd".
    pub identifier: String,
    /// How grave it is, as in `syslog(3)`.
    pub priority: Option<u8>,
    /// What it wrote. Of a line that the journal has in pieces this is the last one, with "[...]" before it.
    pub text: Vec<u8>,
    is_end: bool,
}

impl Line {
    /// A whole line.
    pub fn new(at: DateTime<Utc>, identifier: String, priority: Option<u8>, text: Vec<u8>) -> Line {
        Line { at, identifier, priority, text, is_end: false }
    }

    /// True when the manager wrote it.
    pub fn is_managers(&self) -> bool {
        self.identifier == MANAGER
    }

    /// Begins it at a whole word: of half a secret nobody can tell that it is one.
    fn mark(&mut self) {
        let word = self.text.iter().position(|byte| *byte == b' ').unwrap_or(0);
        self.text.splice(..word, *b"[...]");
    }
}

/// As the manager names itself. A program that takes the name has its own lines passed over.
const MANAGER: &str = "systemd";

/// The last lines of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Oldest first.
    pub lines: Vec<Line>,
    /// True when the run's beginning is not in the files that were searched: lines may be missing.
    pub begins_before: bool,
    /// True when older files were not searched for it: there are too many.
    pub cut: bool,
    /// True when the time was over before all was found.
    pub cut_short: bool,
}

/// The last lines of a run: what bears its invocation ID, what the manager wrote about it, and the unit's lines without an ID
/// that lie between the manager's first word on this run and on the next one. (Of a process that ends at once, the journal
/// often learns the unit, but not the invocation; of a user's not even the unit, so that its process ID stands in.)
pub(super) fn read(
    journal: &mut Handle,
    fields: &Fields,
    subject: &Subject,
    (invocation, process): (&str, Option<u32>),
    most: usize,
    until: Instant,
) -> systemd::Result<Excerpt> {
    let unit = subject.unit_name();
    let bounds = bounds(journal, fields, unit, invocation)?;

    journal.match_flush()?;
    journal.match_add("_SYSTEMD_INVOCATION_ID", invocation)?;
    // a user's manager may call a run what it likes: of another's it gets no line
    for (name, value) in fields.of_manager() {
        journal.match_add(name, value.as_str())?;
    }
    journal.match_or()?;
    fields.by_manager(journal)?.match_add(fields.manager_invocation, invocation)?;
    if bounds.is_some() {
        journal.match_or()?.match_add(fields.unit, unit)?;
        for (name, value) in fields.of_manager() {
            journal.match_add(name, value.as_str())?;
        }
        if let Some(process) = process {
            let owner = fields.of_manager().iter().filter(|(name, _)| *name == "_UID");
            journal.match_or()?.match_add("_PID", process.to_string())?;
            for (name, value) in owner {
                journal.match_add(name, value.as_str())?;
            }
        }
    }
    match &bounds {
        // what the unit has logged since, perhaps for weeks, is not gone through
        Some(bounds) if bounds.range.end < u64::MAX => journal.seek_realtime_usec(bounds.range.end + SLACK)?,
        _ => journal.seek_tail()?,
    }
    let begins = bounds.as_ref().is_some_and(|bounds| bounds.begins);
    let bounds = bounds.map(|bounds| bounds.range);
    // of each stream the oldest line so far
    let mut streams: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut excerpt = Excerpt { begins_before: !begins, ..Excerpt::default() };
    while excerpt.lines.len() < most && journal.previous()? > 0 {
        let at = journal.timestamp_usec()?;
        if bounds.as_ref().is_some_and(|bounds| at + SLACK < bounds.start) {
            break;
        }
        if clock::started() >= until {
            excerpt.cut_short = true;
            break;
        }
        let between = bounds.as_ref().is_some_and(|bounds| bounds.contains(&at));
        let belongs = match field(journal, "_SYSTEMD_INVOCATION_ID")? {
            Some(id) if id == invocation.as_bytes() => true,
            // the manager's own messages bear the ID of its own run
            _ if field(journal, fields.manager_invocation)?.is_some_and(|id| id == invocation.as_bytes()) => true,
            Some(_) => false,
            None => between,
        };
        if !belongs {
            continue;
        }
        let stream = field(journal, "_STREAM_ID")?.unwrap_or_default();
        if is_continued(journal)?
            && let Some(rest) = streams.get(&stream).and_then(|number| excerpt.lines.get_mut(*number))
        {
            // it would push out what else the run said
            rest.is_end = true;
            continue;
        }
        streams.insert(stream, excerpt.lines.len());
        excerpt.lines.push(line(journal, at)?);
    }
    excerpt.lines.reverse();
    excerpt.lines.iter_mut().filter(|line| line.is_end).for_each(Line::mark);
    Ok(excerpt)
}

/// Whether the journal has cut a long line here: the rest of it is the stream's next entry.
fn is_continued(journal: &mut Handle) -> systemd::Result<bool> {
    Ok(field(journal, "_LINE_BREAK")?.is_some_and(|how| how == b"line-max"))
}

/// The manager first starts the process and then says so, and the journal reads the two from different sockets: what a
/// process says may be there before "Starting ...". By a millisecond on an idle machine; on a busy one by more.
const SLACK: u64 = 50_000;

/// Where a run begins and ends.
struct Bounds {
    range: Range<u64>,
    /// True when the manager's first word on it was found.
    begins: bool,
}

/// From when to when a line without an invocation ID belongs to this run; `None` when the manager never spoke of it.
/// Between two runs it belongs to the earlier one up to shortly before the manager speaks of the later one.
fn bounds(journal: &mut Handle, fields: &Fields, unit: &str, invocation: &str) -> systemd::Result<Option<Bounds>> {
    fields.by_manager(journal)?.match_add(fields.manager_invocation, invocation)?;
    journal.seek_head()?;
    if journal.next()? == 0 {
        return Ok(None);
    }
    let (first, received) = (spoken(journal)?, journal.timestamp_usec()?);
    let id = text(journal, "MESSAGE_ID")?;
    let begins = matches!(messages::kind(id.as_deref()), Kind::Starting | Kind::Started);
    let is_other = |journal: &mut Handle| -> systemd::Result<bool> {
        // a failed dependency has the field, but nothing in it
        Ok(field(journal, fields.manager_invocation)?.is_some_and(|id| !id.is_empty() && id != invocation.as_bytes()))
    };
    journal.match_flush()?;
    fields.by_manager(journal)?.match_add(fields.manager_unit, unit)?;
    let mut start = first.saturating_sub(SLACK);
    journal.seek_realtime_usec(received)?;
    while journal.previous()? > 0 {
        if is_other(journal)? {
            start = start.max(spoken(journal)?);
            break;
        }
    }
    let (mut last, mut end) = (first, u64::MAX);
    journal.seek_realtime_usec(received)?;
    while journal.next()? > 0 {
        let at = spoken(journal)?;
        if is_other(journal)? {
            end = last.max(at.saturating_sub(SLACK));
            break;
        }
        last = at;
    }
    Ok(Some(Bounds { range: start..end, begins }))
}

/// When the manager wrote it, as it says itself.
fn spoken(journal: &mut JournalRef) -> systemd::Result<u64> {
    let at = field(journal, "_SOURCE_REALTIME_TIMESTAMP")?.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
    at.map_or_else(|| journal.timestamp_usec(), Ok)
}

fn line(journal: &mut JournalRef, at: u64) -> systemd::Result<Line> {
    let identifier = match field(journal, "SYSLOG_IDENTIFIER")? {
        Some(name) => Some(name),
        None => field(journal, "_COMM")?,
    };
    let identifier = String::from_utf8_lossy(&identifier.unwrap_or_default()).into_owned();
    let priority = text(journal, "PRIORITY")?.and_then(|number| number.parse().ok());
    Ok(Line::new(time(at), identifier, priority, field(journal, "MESSAGE")?.unwrap_or_default()))
}
