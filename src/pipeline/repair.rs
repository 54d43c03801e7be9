//! A database that is damaged is set aside, and a new one takes its place; what was lost, the sweep asks the journal for.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::spooled;
use crate::error::{Error, Kind, Result};
use crate::host::{Site, log, pace};
use crate::store::{self, Damage, Store};

/// How long to wait for the lock.
const PATIENCE: Duration = Duration::from_secs(60);
/// A database of this size is examined in about ten milliseconds: so each run of the timer does. A larger one, each hour.
const SMALL: u64 = 8 << 20;
const EACH_RUN: Duration = Duration::from_secs(45);
const SELDOM: Duration = Duration::from_secs(3600);

/// Whether the database is whole, from time to time: damage where nobody looks is found before somebody needs what is there.
///
/// # Errors
/// `Damaged`, when it is not; `Failure`, when it does not answer.
pub fn examine(site: &Site, store: &Store, now: DateTime<Utc>) -> Result<()> {
    let every = if store.size() <= SMALL { EACH_RUN } else { SELDOM };
    if pace::is_due(site, every, now) {
        store.examine()?;
        pace::done(site, now);
    }
    Ok(())
}

/// Replaces a database that is damaged, if it really is, and says so. `met`: the one that gave this error.
///
/// # Errors
/// `Failure`, when it cannot be replaced.
pub fn repair(site: &Site, met: store::Identity, error: &Error, now: DateTime<Utc>) -> Result<()> {
    let what = error.message.rsplit(": ").next().unwrap_or_default();
    let seen = (error.kind == Kind::Damaged).then_some((met, what));
    // what waits in the spool is news, however long the database was broken
    let began = spooled(site)?.iter().map(|(_, event)| event.at).min().map_or(now, |first| first.min(now));
    match store::replace(&site.state, seen, now, began, PATIENCE)? {
        Some(damage) => log::error(None, &sentence(&site.state, &damage)),
        None => log::warn(None, "the database was examined, and nothing is wrong with it; it is used as before"),
    }
    Ok(())
}

fn sentence(state: &Path, damage: &Damage) -> String {
    let lost = match damage.since {
        None => "nothing of it is lost".to_owned(),
        Some(since) => format!(
            "what could be read of it is in the new one, and failures since {} are asked of the journal; alerts that waited in \
             the damaged one may be lost",
            crate::event::local_time(since)
        ),
    };
    let Damage { what, file, .. } = damage;
    format!(
        "the database of sysalert was damaged ({what}); it was set aside as {}, and a new one has taken its place: {lost}. Look at \
         the disk, and remove that file when you need it no more",
        state.join(file).display()
    )
}
