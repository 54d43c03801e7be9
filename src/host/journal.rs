//! The journal: the lines of exactly one run.

use std::ops::Range;

use chrono::{DateTime, Utc};
use nix::unistd::geteuid;
use systemd::journal::{Journal, JournalRef, OpenOptions};

use crate::event::Subject;

/// One line of the journal. The text is what a process wrote: hostile until `message` has made it safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When the journal took it.
    pub at: DateTime<Utc>,
    /// Who wrote it: "backup" or "systemd".
    pub identifier: String,
    /// What it wrote.
    pub text: Vec<u8>,
}

/// So much of a field is enough; the library may give more of one that is not compressed.
const LONGEST_FIELD: usize = 16 * 1024;

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
    fn of(subject: &Subject) -> Fields {
        if subject.is_users() {
            let uid = geteuid().to_string();
            let manager = vec![("_UID", uid.clone()), ("_SYSTEMD_UNIT", format!("user@{uid}.service"))];
            Fields { unit: "_SYSTEMD_USER_UNIT", manager, manager_unit: "USER_UNIT", manager_invocation: "USER_INVOCATION_ID" }
        } else {
            let manager = vec![("_PID", "1".to_owned())];
            Fields { unit: "_SYSTEMD_UNIT", manager, manager_unit: "UNIT", manager_invocation: "INVOCATION_ID" }
        }
    }
}

/// The last lines of a run, oldest first: what bears its invocation ID, what the manager wrote about it, and the unit's
/// lines without an ID that lie between the manager's first word on this run and on the next one. (Of a process that ends
/// at once, the journal often learns the unit, but not the invocation.)
///
/// # Errors
/// A sentence, when the journal cannot be read.
pub fn run(subject: &Subject, invocation: &str, most: usize) -> Result<Vec<Line>, String> {
    read(subject, invocation, most).map_err(|error| format!("the journal cannot be read: {error}"))
}

fn read(subject: &Subject, invocation: &str, most: usize) -> systemd::Result<Vec<Line>> {
    let fields = Fields::of(subject);
    let unit = subject.unit_name();
    let mut journal = OpenOptions::default().local_only(true).open()?;
    journal.set_data_threshold(LONGEST_FIELD)?;
    let bounds = bounds(&mut journal, &fields, unit, invocation)?;

    journal.match_flush()?;
    journal.match_add("_SYSTEMD_INVOCATION_ID", invocation)?.match_or()?;
    by_manager(&mut journal, &fields)?.match_add(fields.manager_invocation, invocation)?;
    if bounds.is_some() {
        journal.match_or()?.match_add(fields.unit, unit)?;
        if subject.is_users() {
            journal.match_add("_UID", geteuid().to_string())?;
        }
    }
    match &bounds {
        // what the unit has logged since, perhaps for weeks, is not gone through
        Some(bounds) if bounds.end < u64::MAX => journal.seek_realtime_usec(bounds.end + SLACK)?,
        _ => journal.seek_tail()?,
    }
    let mut lines = Vec::new();
    while lines.len() < most && journal.previous()? > 0 {
        let at = journal.timestamp_usec()?;
        if bounds.as_ref().is_some_and(|bounds| at + SLACK < bounds.start) {
            break;
        }
        let between = bounds.as_ref().is_some_and(|bounds| bounds.contains(&at));
        let belongs = match field(&mut journal, "_SYSTEMD_INVOCATION_ID")? {
            Some(id) if id == invocation.as_bytes() => true,
            // the manager's own messages bear the ID of its own run
            _ if field(&mut journal, fields.manager_invocation)?.is_some_and(|id| id == invocation.as_bytes()) => true,
            Some(_) => false,
            None => between,
        };
        if belongs {
            lines.push(line(&mut journal, at)?);
        }
    }
    lines.reverse();
    Ok(lines)
}

/// The manager first starts the process and then says so, and the journal reads the two from different sockets: what a
/// process says may be there before "Starting ...". By a millisecond on an idle machine; on a busy one by more.
const SLACK: u64 = 50_000;

/// From when to when a line without an invocation ID belongs to this run; `None` when the manager never spoke of it.
/// Between two runs it belongs to the earlier one up to shortly before the manager speaks of the later one.
fn bounds(journal: &mut Journal, fields: &Fields, unit: &str, invocation: &str) -> systemd::Result<Option<Range<u64>>> {
    by_manager(journal, fields)?.match_add(fields.manager_invocation, invocation)?;
    journal.seek_head()?;
    if journal.next()? == 0 {
        return Ok(None);
    }
    let (first, received) = (spoken(journal)?, journal.timestamp_usec()?);
    let is_other = |journal: &mut Journal| -> systemd::Result<bool> {
        // a failed dependency has the field, but nothing in it
        Ok(field(journal, fields.manager_invocation)?.is_some_and(|id| !id.is_empty() && id != invocation.as_bytes()))
    };
    journal.match_flush()?;
    by_manager(journal, fields)?.match_add(fields.manager_unit, unit)?;
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
    Ok(Some(start..end))
}

/// When the manager wrote it, as it says itself.
fn spoken(journal: &mut JournalRef) -> systemd::Result<u64> {
    let at = field(journal, "_SOURCE_REALTIME_TIMESTAMP")?.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
    at.map_or_else(|| journal.timestamp_usec(), Ok)
}

fn by_manager<'a>(journal: &'a mut Journal, fields: &Fields) -> systemd::Result<&'a mut JournalRef> {
    for (name, value) in &fields.manager {
        journal.match_add(name, value.as_str())?;
    }
    Ok(journal)
}

fn line(journal: &mut JournalRef, at: u64) -> systemd::Result<Line> {
    let identifier = match field(journal, "SYSLOG_IDENTIFIER")? {
        Some(name) => Some(name),
        None => field(journal, "_COMM")?,
    };
    Ok(Line {
        at: i64::try_from(at).ok().and_then(DateTime::from_timestamp_micros).unwrap_or_default(),
        identifier: String::from_utf8_lossy(&identifier.unwrap_or_default()).into_owned(),
        text: field(journal, "MESSAGE")?.unwrap_or_default(),
    })
}

fn field(journal: &mut JournalRef, name: &str) -> systemd::Result<Option<Vec<u8>>> {
    Ok(journal.get_data(name)?.and_then(|data| data.value().map(<[u8]>::to_vec)))
}
