//! Files what became of a try: delivered, to be tried again, handed over to the fallback, or given up.

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::{Answer, Kind, Status};

use super::plugin::Tried;
use super::{backoff, resend, storm};
use crate::error::Result;
use crate::event::local_time;
use crate::host::{log, names};
use crate::message::visible;
use crate::settings::{Method, Settings};
use crate::store::{self, Claimed, Database, Instead, Outage, Store};

/// What a method says is kept up to this many characters.
const LONGEST_DETAIL: usize = 500;

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is delivered.
    Sent,
    /// It waits; this alert is at fault, not its method.
    Refused,
    /// It waits, and its method is left in peace for a while.
    Retry,
    /// It is given up.
    Expired,
}

/// Files what became of a try. `dice` is a number from 0 to 1.
pub(super) fn settle(
    store: &mut Store,
    settings: &Settings,
    claimed: &Claimed,
    tried: &Tried,
    now: DateTime<Utc>,
    dice: f64,
) -> Result<Fate> {
    let (status, detail, wish) = match &tried.answer {
        Answer::Sent(detail) => (Status::Sent, detail, None),
        Answer::Retry(detail, wish) => (Status::Retry, detail, *wish),
        Answer::Refused(detail) => (Status::Refused, detail, None),
    };
    let detail = shown(detail);
    let method = settings.method(&claimed.method).unwrap_or_else(|| Method::bare(&claimed.method));
    if status == Status::Sent {
        sent(store, settings, claimed, tried, &detail, now)?;
        return Ok(Fate::Sent);
    }
    let since = claimed.failing.unwrap_or(now).min(now);
    let expires = since + TimeDelta::from_std(method.expire).unwrap_or(TimeDelta::MAX);
    if expires <= now {
        give_up(store, claimed, &method, &detail, now)?;
        // a digest's alerts are one message by the fallback, too
        storm::collect(store, settings, now)?;
        return Ok(Fate::Expired);
    }
    let refused = status == Status::Refused;
    let pause = TimeDelta::from_std(backoff::pause(claimed.attempt, refused, wish, dice)).unwrap_or(TimeDelta::MAX);
    store.write(|db| {
        store::record_delivery(db, claimed, status, &detail, now)?;
        store::cannot_send(db, &claimed.method, &detail, now)?;
        if refused {
            hand_over(db, claimed, &method, &format!("refused it: {detail}"))?;
        }
        store::give_back(db, claimed, (now + pause).min(expires), &detail)
    })?;
    if refused {
        storm::collect(store, settings, now)?;
    }
    let next = match (&method.fallback, refused) {
        (Some(fallback), true) => format!("the alert goes to {fallback}, too"),
        _ => "the alert waits for the next try".to_owned(),
    };
    let text = format!("the method {} could not send (try {}): {detail}; {next}", claimed.method, claimed.attempt);
    log::warn(subject(claimed), &text);
    Ok(if refused { Fate::Refused } else { Fate::Retry })
}

/// What a method said, as it may be kept.
pub(super) fn shown(detail: &str) -> String {
    visible(detail.as_bytes()).chars().take(LONGEST_DETAIL).collect()
}

fn sent(
    store: &mut Store,
    settings: &Settings,
    claimed: &Claimed,
    tried: &Tried,
    detail: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let stand_ins = settings.stand_ins(&claimed.method);
    let ended = store.write(|db| {
        store::record_delivery(db, claimed, Status::Sent, detail, now)?;
        store::settle_overtaken(db, claimed, "told with its recovery", now)?;
        store::send_again(db, claimed, resend::pause(tried), now)?;
        if claimed.kind == Kind::Digest {
            store::digest_sent(db, claimed, now)?;
        }
        store::done(db, claimed.id)?;
        if claimed.kind == Kind::Recovery {
            // who heard of the failure instead hears of its end, too
            stand_ins.iter().try_for_each(|method| store::tell_stand_in(db, claimed.alert, method).map(drop))?;
        }
        works(db, &claimed.method, stand_ins.first(), now)
    })?;
    say_works(ended);
    Ok(())
}

/// A method took something: its outage is over, of which the fallback is told, if somebody was told of its beginning.
pub(super) fn works(db: &Database, method: &str, fallback: Option<&String>, now: DateTime<Utc>) -> store::Answer<Option<Outage>> {
    let ended = store::sends(db, method)?.filter(|outage| outage.told.is_some());
    if let (Some(outage), Some(fallback)) = (&ended, fallback) {
        store::announce(db, Kind::Recovery, &names::nonce(), outage, fallback, now)?;
    }
    Ok(ended)
}

/// Says so in the log.
pub(super) fn say_works(ended: Option<Outage>) {
    if let Some(Outage { method, since, .. }) = ended {
        log::warn(None, &format!("the method {method} works again; it could send nothing since {}", local_time(since)));
    }
}

/// The alert is too old for another try, and so is what it would have told beside its own event.
fn give_up(store: &mut Store, claimed: &Claimed, method: &Method, detail: &str, now: DateTime<Utc>) -> Result<()> {
    let after = humantime::format_duration(method.expire);
    let tries = if claimed.attempt == 1 { "1 try".to_owned() } else { format!("{} tries", claimed.attempt) };
    let handed = store.write(|db| {
        let queued = hand_over(db, claimed, method, &format!("gave it up after {after}: {detail}"))?;
        let filed = format!("given up after {after} and {tries}: {detail}");
        store::cannot_send(db, &claimed.method, detail, now)?;
        for (id, alert) in told_by(db, claimed)? {
            store::record_expired(db, alert, claimed, &filed, now)?;
            store::done(db, id)?;
        }
        Ok(queued > 0)
    })?;
    let kind = claimed.kind.as_str();
    let of = claimed.about.as_ref().map_or_else(String::new, |(about, _)| format!(" of {}", about.event.subject.full_name()));
    let instead = match &method.fallback {
        Some(fallback) if handed => format!("; it goes to {fallback} instead"),
        Some(fallback) => format!("; {fallback} has it"),
        None => String::new(),
    };
    let by = &claimed.method;
    log::error(subject(claimed), &format!("gave up the {kind} alert{of} by {by} after {after} and {tries}: {detail}{instead}"));
    Ok(())
}

fn hand_over(db: &Database, claimed: &Claimed, method: &Method, because: &str) -> store::Answer<usize> {
    let Some(fallback) = &method.fallback else { return Ok(0) };
    let alerts: Vec<i64> = told_by(db, claimed)?.into_iter().map(|(_, alert)| alert).collect();
    store::hand_over(db, Instead { by: fallback, of: &method.name, because }, Some(&alerts))
}

/// The rows and alerts that one message tells.
fn told_by(db: &Database, claimed: &Claimed) -> store::Answer<Vec<(i64, i64)>> {
    let mut told: Vec<_> = claimed.overtaken.iter().map(|one| (one.id, one.alert)).collect();
    if claimed.kind == Kind::Digest {
        told.extend(store::rows_of_digest(db, claimed.alert)?);
    }
    told.push((claimed.id, claimed.alert));
    Ok(told)
}

fn subject(claimed: &Claimed) -> Option<&str> {
    claimed.about.as_ref().map(|(recorded, _)| recorded.event.subject.as_str())
}
