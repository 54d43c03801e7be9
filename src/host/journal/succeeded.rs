//! Which runs ended well.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use systemd::journal::Journal as Handle;

use super::messages::{KINDS, Kind};
use super::{Fields, text, time};
use crate::host::clock;

/// The units of which a run ended well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Succeeded {
    /// Each with the time of its last message.
    pub units: BTreeMap<String, DateTime<Utc>>,
    /// How many messages there were.
    pub messages: usize,
    /// Up to when all of them were found; `None`: up to now.
    pub until: Option<DateTime<Utc>>,
}

pub(super) fn read(journal: &mut Handle, fields: &Fields, since: u64, until: Instant) -> systemd::Result<Succeeded> {
    let mut found = Succeeded::default();
    for (id, _) in KINDS.iter().filter(|(_, kind)| *kind == Kind::Succeeded) {
        journal.match_add("MESSAGE_ID", *id)?;
    }
    fields.by_manager(journal)?;
    journal.seek_realtime_usec(since)?;
    while journal.next()? > 0 {
        let at = journal.timestamp_usec()?;
        if let Some(unit) = text(journal, fields.manager_unit)?.filter(|_| at > since) {
            // after a clock that was set back older times follow newer ones
            let last = found.units.entry(unit).or_insert_with(|| time(at));
            *last = time(at).max(*last);
            found.messages += 1;
        }
        if clock::started() >= until {
            found.until = Some(time(at));
            break;
        }
    }
    Ok(found)
}
