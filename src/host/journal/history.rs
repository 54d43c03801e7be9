//! What the manager said about a unit's earlier runs, from the newest message back: only so far as it tells somebody something.

use std::time::Instant;

use systemd::journal::Journal as Handle;

use super::Fields;
use super::messages::{self, Message};
use crate::event::Subject;
use crate::host::clock;

/// Why a search came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Whoever asked has enough.
    Enough,
    /// The time was over.
    Late,
}

/// Hands over the messages of that time (microseconds since 1970) that are in this file, newest first, until `take` has enough.
/// `None`: older files may have more.
pub(super) fn read(
    journal: &mut Handle,
    fields: &Fields,
    subject: &Subject,
    (since, end): (u64, u64),
    until: Instant,
    take: &mut dyn FnMut(Message) -> bool,
) -> systemd::Result<Option<End>> {
    fields.by_manager(journal)?.match_add(fields.manager_unit, subject.unit_name())?;
    journal.seek_realtime_usec(end)?;
    while journal.previous()? > 0 {
        let at = journal.timestamp_usec()?;
        if at < since {
            break;
        }
        if !take(messages::message(journal, fields, at)?) {
            return Ok(Some(End::Enough));
        }
        if clock::started() >= until {
            return Ok(Some(End::Late));
        }
    }
    Ok(None)
}
