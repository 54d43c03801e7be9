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

/// The newest ones, oldest first, each text once: the manager repeats them whenever it reads the files.
pub(super) fn read(
    journal: &mut Handle,
    fields: &Fields,
    subject: &Subject,
    since: u64,
    until: Instant,
) -> systemd::Result<Vec<Complaint>> {
    journal.match_add("MESSAGE_ID", INVALID)?;
    journal.match_add(fields.manager_unit, subject.unit_name())?;
    fields.by_manager(journal)?;
    journal.seek_tail()?;
    let mut found: Vec<Complaint> = Vec::new();
    while found.len() < MOST && journal.previous()? > 0 && clock::started() < until {
        let at = journal.timestamp_usec()?;
        if at < since {
            break;
        }
        let text = field(journal, "MESSAGE")?.unwrap_or_default();
        if found.iter().all(|(_, known)| *known != text) {
            found.push((time(at), text));
        }
    }
    found.reverse();
    Ok(found)
}
