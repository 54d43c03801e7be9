//! A database that was damaged and replaced: whoever hears of failures hears of it, once.

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::host::names;
use crate::host::wake::DISPATCH;
use crate::settings::Settings;
use crate::store::{self, Store};

/// Queues the alert about a replacement, if there is one that nobody was told.
pub(super) fn announce(store: &mut Store, settings: &Settings, now: DateTime<Utc>) -> Result<()> {
    if store.with(|db| store::is_refilled(db, now))? {
        store.write(|db| store::end_refill(db))?;
    }
    let Some(damage) = store.with(store::damage)?.filter(|damage| damage.told.is_none()) else { return Ok(()) };
    // as for a failure of the unit that found it
    let methods = settings.rules(DISPATCH).methods;
    store.write(|db| store::announce_damage(db, &damage, &names::nonce(), &methods, now))
}
