//! Storms: where more incidents come at once than anybody reads one by one, each method sends one digest of them.

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Result;
use crate::host::names;
use crate::message::{self, Letter, Member};
use crate::policy::Reason;
use crate::settings::Settings;
use crate::store::{self, Store};
use sysalert_abi::Kind;

/// A digest waits for more until nothing came for so long, but not longer than the window.
const QUIET: TimeDelta = TimeDelta::seconds(3);

/// Binds alerts to digests where there are too many of them.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn collect(store: &mut Store, settings: &Settings, now: DateTime<Utc>) -> Result<()> {
    let window = TimeDelta::from_std(settings.storm.window).unwrap_or(TimeDelta::zero());
    if settings.storm.incidents == 0 {
        return Ok(());
    }
    if store.with(store::has_orphans)? {
        store.write(|db| store::release_orphans(db))?;
    }
    for method in store.with(store::methods_at_work)? {
        let (recent, waiting) = store.with(|db| store::load(db, &method, now - window, now))?;
        let is_storm = recent.max(waiting) > settings.storm.incidents;
        let open = store.with(|db| store::open_digest(db, &method, now))?;
        if !is_storm && open.is_none() {
            continue;
        }
        store.write(|db| {
            let (digest, begun) = match &open {
                Some(open) => (open.alert, open.begun),
                None => (store::begin_digest(db, &names::nonce(), &method, now)?, now),
            };
            // while a storm lasts one digest in each window tells what is new
            // one that was sent later than now: the clock was set back
            let last = store::last_digest(db, &method)?.filter(|last| *last <= now).map(|last| last + window);
            let last = last.filter(|due| *due > now);
            let due = last.unwrap_or((now + QUIET).min(begun + window));
            store::bind(db, digest, &method, due).map(drop)
        })?;
    }
    Ok(())
}

/// The message of a digest; `None`: all that it was about is settled.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub(super) fn letter(store: &Store, digest: i64, host: &str) -> Result<Option<Letter>> {
    let members = store.with(|db| store::members(db, digest))?;
    let members: Vec<Member<'_>> = members
        .iter()
        .map(|(kind, recorded)| Member {
            name: recorded.event.subject.name(),
            at: recorded.event.at,
            problem: &recorded.event.problem,
            recovered: *kind == Kind::Recovery,
            note: match recorded.reason {
                Some(Reason::KeepsRestarting) => Some("keeps restarting"),
                Some(Reason::KeepsRecovering) => Some("keeps failing and recovering"),
                Some(Reason::Stable { .. }) => Some("stable again"),
                Some(Reason::NoLongerRuns { .. }) => Some("does not run any more"),
                _ => None,
            },
        })
        .collect();
    Ok((!members.is_empty()).then(|| message::digest(&message::Digest { host, members: &members })))
}
