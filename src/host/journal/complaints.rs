//! What the manager says about a unit's files: settings that it cannot use.

use std::time::Instant;

use chrono::{DateTime, Utc};
use systemd::journal::Journal as Handle;

use super::{Fields, field, time};
use crate::event::Subject;
use crate::host::clock;

/// `SD_MESSAGE_INVALID_CONFIGURATION` (`systemd/sd-messages.h`).
const INVALID: &str = "c772d24e9a884cbeb9ea12625c306c01";

/// So many are enough.
const MOST: usize = 4;

/// What it said, and when.
pub type Complaint = (DateTime<Utc>, Vec<u8>);

/// Adds the newest ones of these files to those of newer files, newest first, each text once: the manager repeats them whenever it
/// reads the unit's files. False when there are enough, or the time is over.
pub(super) fn read(
    journal: &mut Handle,
    fields: &Fields,
    subject: &Subject,
    since: u64,
    until: Instant,
    found: &mut Vec<Complaint>,
) -> systemd::Result<bool> {
    journal.match_add("MESSAGE_ID", INVALID)?;
    journal.match_add(fields.manager_unit, subject.unit_name())?;
    fields.by_manager(journal)?;
    journal.seek_tail()?;
    while journal.previous()? > 0 {
        let at = journal.timestamp_usec()?;
        if at < since {
            break;
        }
        let text = field(journal, "MESSAGE")?.unwrap_or_default();
        if found.iter().all(|(_, known)| *known != text) {
            found.push((time(at), text));
        }
        if found.len() >= MOST || clock::started() >= until {
            return Ok(false);
        }
    }
    Ok(true)
}
