//! Methods that keep failing: their alerts go to the fallback, and somebody is told, once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::Kind;

use super::storm;
use crate::error::Result;
use crate::event::local_time;
use crate::host::{log, names};
use crate::settings::Settings;
use crate::store::{self, Instead, Outage, Store};

/// What is done about outages once nothing more is due; true when something was queued.
pub(super) fn see_to(store: &mut Store, settings: &Settings, now: DateTime<Utc>) -> Result<bool> {
    let mut queued = false;
    let outages = store.with(store::outages)?;
    for outage in &outages {
        let method = settings.method(&outage.method);
        let fallback = method.as_ref().and_then(|method| Some((method.fallback.as_deref()?, method.fallback_after)));
        if let Some((by, after)) = fallback
            && lasts(outage, after, now)
            && store.with(|db| store::to_hand_over(db, &outage.method))?
        {
            let because = format!("keeps failing: {}", outage.detail);
            let instead = Instead { by, of: &outage.method, because: &because };
            queued |= store.write(|db| store::hand_over(db, instead, None))? > 0;
        }
        if outage.told.is_none() && outage.waiting > 0 && lasts(outage, settings.method_failing_after, now) {
            store.write(|db| {
                store::set_told(db, &outage.method, now)?;
                let Some((by, _)) = fallback else { return Ok(()) };
                queued = true;
                store::announce(db, Kind::Failure, &names::nonce(), outage, by, now)
            })?;
            let how = fallback.map_or_else(|| "it has no fallback".to_owned(), |(by, _)| format!("{by} sends instead"));
            log::error(None, &format!("{}; {how}", sentence(outage)));
        }
    }
    if outages.iter().any(|outage| outage.told.is_none() && outage.waiting == 0) {
        store.write(|db| store::drop_stale(db))?;
    }
    if queued {
        // the fallback is flooded no more than the method itself
        storm::collect(store, settings, now)?;
    }
    Ok(queued)
}

/// The outages that have lasted for `method_failing_after` while something waits for their end, each in a sentence.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn failing(store: &Store, settings: &Settings, now: DateTime<Utc>) -> Result<Vec<String>> {
    let long = |outage: &&Outage| outage.waiting > 0 && lasts(outage, settings.method_failing_after, now);
    Ok(store.with(store::outages)?.iter().filter(long).map(sentence).collect())
}

fn lasts(outage: &Outage, at_least: Duration, now: DateTime<Utc>) -> bool {
    now - outage.since >= TimeDelta::from_std(at_least).unwrap_or(TimeDelta::MAX)
}

fn sentence(outage: &Outage) -> String {
    let wait = if outage.waiting == 1 { "1 alert waits".to_owned() } else { format!("{} alerts wait", outage.waiting) };
    let Outage { method, since, detail, .. } = outage;
    format!("the method {method} has sent nothing since {}, and {wait} for it: {detail}", local_time(*since))
}
