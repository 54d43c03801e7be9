//! Sends again, to channels that forget, what they took and what is not over: all of a method's in one request. It is no
//! delivery: no history, no limit, no backoff, and no new alert waits for it longer than for one try.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Map;
use sysalert_abi::{Answer, Kind, Request, SCHEMA};

use super::attempt::Draft;
use super::letter::Prepared;
use super::plugin::Tried;
use super::{settle, storm};
use crate::error::Result;
use crate::host::{log, names};
use crate::settings::Settings;
use crate::store::{self, Resend, Store};

/// No pause is shorter: the timer comes once a minute, and a run must end.
const SHORTEST: u64 = 30;
/// None is longer than a day.
const LONGEST: u64 = 24 * 3600;

/// When the channel wants again what it took, if it does.
pub(super) fn pause(tried: &Tried) -> Option<TimeDelta> {
    let seconds = tried.again_after?.clamp(SHORTEST, LONGEST);
    TimeDelta::from_std(Duration::from_secs(seconds)).ok()
}

/// Claims what a method, none of `busy`, is to get again, if there is something. What is over is forgotten.
pub(super) fn claim(
    store: &mut Store,
    now: DateTime<Utc>,
    busy: &[String],
    lease: impl Fn(&str) -> DateTime<Utc>,
) -> Result<Option<Resend>> {
    // a look first: an idle minute must not cost a commit
    if store.with(|db| store::has_ended_resends(db, now))? {
        store.write(|db| store::drop_ended_resends(db, now))?;
    }
    if store.with(|db| store::resend_due(db, now, busy))?.is_none() {
        return Ok(None);
    }
    store.write(|db| store::claim_resend(db, now, busy, lease))
}

/// Makes ready what is claimed: as it stands now.
pub(super) fn prepare(store: &Store, settings: &Settings, resend: &Resend) -> Result<Prepared> {
    let Some(method) = settings.method(&resend.method) else { return Ok(Prepared::Nothing) };
    let host = settings.host.clone().unwrap_or_else(names::host);
    let request = Request {
        schema: SCHEMA,
        nonce: names::nonce(),
        kind: Kind::Digest,
        service_name: "sysalert".to_owned(),
        failures: Vec::new(),
        incident: None,
        incidents: storm::incidents(store, settings, &resend.members, &host, &method.name)?,
        matter: None,
        open: store.with(|db| store::unended(db, &method.name, None))?,
        message: storm::letter(&resend.members, &host, false).render(),
        idempotency_key: format!("{}.{}", names::nonce(), method.name),
        deadline_ms: u64::try_from(method.timeout.as_millis()).unwrap_or(u64::MAX),
        host,
        beat: None,
        config: Map::new(),
    };
    Ok(Prepared::Ready(Box::new(Draft { method, request, recipients: Vec::new(), letter: None })))
}

/// Files what became of it; false when the method did not take it.
pub(super) fn settle(store: &mut Store, settings: &Settings, resend: &Resend, tried: &Tried, now: DateTime<Utc>) -> Result<bool> {
    let method = &resend.method;
    let detail = match &tried.answer {
        Answer::Sent(_) => {
            let stand_ins = settings.stand_ins(method);
            let ended = store.write(|db| {
                store::resent(db, resend, pause(tried))?;
                settle::works(db, method, stand_ins.first(), now)
            })?;
            settle::say_works(ended);
            return Ok(true);
        }
        Answer::Retry(detail, _) | Answer::Refused(detail) => settle::shown(detail),
    };
    let known = store.write(|db| {
        let known = store::is_failing(db, method)?;
        store::not_resent(db, resend)?;
        store::cannot_send(db, method, &detail, now)?;
        Ok(known)
    })?;
    let text = format!("the method {method} did not take again what is not over: {detail}; it is tried again at the same pace");
    // once, and not each minute
    if known {
        log::info(None, &text)
    } else {
        log::warn(None, &text)
    }
    Ok(false)
}
