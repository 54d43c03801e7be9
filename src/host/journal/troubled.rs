//! Which units failed or were started again by systemd, whatever became of their triggers.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use systemd::journal::Journal as Handle;

use super::messages::{KINDS, Kind};
use super::{Fields, text, time};
use crate::host::clock;

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Troubled {
    /// The units, each with the times of its first and of its last message.
    pub units: BTreeMap<String, (DateTime<Utc>, DateTime<Utc>)>,
    /// Up to when all of them were found; `None`: up to now.
    pub until: Option<DateTime<Utc>>,
    /// The journal's oldest message, if it is younger than what was asked for: what came before is gone.
    pub gone_before: Option<DateTime<Utc>>,
}

pub(super) fn read(journal: &mut Handle, fields: &Fields, since: u64, until: Instant) -> systemd::Result<Troubled> {
    let mut found = Troubled::default();
    journal.seek_head()?;
    if journal.next()? > 0 {
        let oldest = journal.timestamp_usec()?;
        found.gone_before = (oldest > since).then(|| time(oldest));
    }
    for (id, _) in KINDS.iter().filter(|(_, kind)| matches!(kind, Kind::Failed | Kind::JobFailed | Kind::Restarts)) {
        journal.match_add("MESSAGE_ID", *id)?;
    }
    fields.by_manager(journal)?;
    journal.seek_realtime_usec(since)?;
    while journal.next()? > 0 {
        let at = journal.timestamp_usec()?;
        if let Some(unit) = text(journal, fields.manager_unit)?.filter(|_| at > since) {
            let at = time(at);
            found.units.entry(unit).and_modify(|(_, last)| *last = at).or_insert((at, at));
        }
        if clock::started() >= until {
            found.until = Some(time(at));
            break;
        }
    }
    Ok(found)
}
