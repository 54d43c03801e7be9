//! At most so many messages within so long: what exceeds a method's limit waits.

use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

use crate::error::Result;
use crate::event::counted;
use crate::settings::Settings;
use crate::store::{self, Store};

/// A method that has sent as much as it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    /// Its name.
    pub(super) method: String,
    /// Its limit, in words.
    why: String,
    /// When it may send the next one.
    until: DateTime<Utc>,
}

/// The methods that have sent as much as they may.
pub(super) fn full(store: &Store, settings: &Settings, now: DateTime<Utc>) -> Result<Vec<Full>> {
    let mut full = Vec::new();
    for method in settings.methods.values() {
        let Some((most, within)) = method.limit else { continue };
        let since = now - TimeDelta::from_std(within).unwrap_or(TimeDelta::MAX);
        let sent = store.with(|db| store::sent_between(db, &method.name, since, now, most))?;
        let Some(oldest) = sent.last().filter(|_| sent.len() as u64 >= most) else { continue };
        full.push(Full { why: words(&method.name, most, within), method: method.name.clone(), until: *oldest + (now - since) });
    }
    Ok(full)
}

/// Notes at the alerts that wait for one of these why they do.
pub(super) fn hold(store: &mut Store, full: &[Full], now: DateTime<Utc>) -> Result<()> {
    for Full { method, why, until } in full {
        if store.with(|db| store::to_hold(db, method, why, *until, now))? {
            store.write(|db| store::hold(db, method, why, *until, now))?;
        }
    }
    Ok(())
}

fn words(method: &str, most: u64, within: Duration) -> String {
    format!("{method} sends at most {} within {}", counted(most, "message"), humantime::format_duration(within))
}
