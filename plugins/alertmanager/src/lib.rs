//! sysalert's alert method `alertmanager`: each incident is one alert of a Prometheus Alertmanager (API v2, POST
//! /api/v2/alerts), from its first failure to its recovery. `settings.json` has the keys, `example.toml` shows a section.
//!
//! - Every address gets every alert: the members of a cluster share their notification log and not their alerts, and see to
//!   it themselves that each is notified once. It counts as sent when one of them took it. One that was down has it when it
//!   returns, since what is open is sent again at the pace `resend`; so is a recovery that one of them missed, as it would go on
//!   to tell the others of a failure, until it has it or has ended the alert by itself.
//! - Alertmanager ends what it does not hear of again. Until then it takes ten `resend`s: `endsAt` lies so far ahead.
//! - A digest is one alert for each of its incidents, all in one call: grouping is Alertmanager's business.
//! - The labels stay the same while the incident lasts: see `alert`.

mod alert;
mod settings;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ffi::CStr;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sysalert_abi::{Answer, Deadline, Plugin, Request, export_plugin, zero_ended};
use sysalert_http::{Call, Client};

use settings::Settings;

/// An address that is dead leaves time for the others: no call lasts longer.
const ONE_CALL: Duration = Duration::from_secs(10);

thread_local! {
    /// Whether an address did not take the last request, which others took.
    static MISSED: Cell<bool> = const { Cell::new(false) };
}

/// The method, as sysalert loads it.
struct Alertmanager;

impl Plugin for Alertmanager {
    const NAME: &'static CStr = c"alertmanager";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        deliver(request, now()).unwrap_or_else(|answer| answer)
    }

    fn check(request: &Request) -> Result<(), Answer> {
        let settings = Settings::read(request)?;
        Client::new(Deadline::after(request.deadline_ms), settings.ca.as_deref()).map(drop)
    }

    fn reach(request: &Request) -> Result<String, Answer> {
        let settings = Settings::read(request)?;
        let mut reached = Vec::new();
        // each has a share of the time: all are wanted
        let share = request.deadline_ms / u64::try_from(settings.urls.len()).unwrap_or(1).max(1);
        for url in &settings.urls {
            reached.push(Client::new(Deadline::after(share), settings.ca.as_deref())?.reach(url)?);
        }
        Ok(reached.join("; "))
    }

    fn again_after(request: &Request) -> Option<u64> {
        let is_wanted = alert::is_open(request) || (alert::is_of_incidents(request) && MISSED.get());
        let settings = Settings::read(request).ok().filter(|_| is_wanted)?;
        Some(settings.resend.as_secs())
    }
}

export_plugin!(Alertmanager, sysalert_plugin_v1_alertmanager);

fn deliver(request: &Request, now: SystemTime) -> Result<Answer, Answer> {
    let deadline = Deadline::after(request.deadline_ms);
    let settings = Settings::read(request)?;
    let body = Value::from(alert::alerts(request, &settings, now));
    let client = Client::new(deadline, settings.ca.as_deref())?;
    let mut answers = Vec::new();
    for (number, url) in settings.urls.iter().enumerate() {
        let left = client.left().unwrap_or_default() / u32::try_from(settings.urls.len() - number).unwrap_or(1);
        let mut call = Call::post(url.clone()).json(&body).within(left.min(ONE_CALL));
        if let Some(token) = &settings.token {
            call = call.secret(token).header("Authorization", &format!("Bearer {token}"))?;
        }
        answers.push(client.send(&call).map_or_else(|answer| answer, |reply| reply.answer()));
    }
    MISSED.set(answers.iter().any(|answer| !matches!(answer, Answer::Sent(_))));
    Ok(together(answers))
}

/// What the addresses said, as one answer.
fn together(answers: Vec<Answer>) -> Answer {
    let (mut took, mut not) = (Vec::new(), Vec::new());
    let (mut may_pass, mut wish) = (false, None);
    for answer in answers {
        match answer {
            Answer::Sent(text) => took.push(text),
            Answer::Retry(text, after) => {
                may_pass = true;
                wish = wish.max(after);
                not.push(text);
            }
            Answer::Refused(text) => not.push(text),
        }
    }
    let all = |first: Vec<String>, then: Vec<String>| first.into_iter().chain(then).collect::<Vec<_>>().join("; ");
    match (took.is_empty(), may_pass) {
        (false, _) => Answer::Sent(all(took, not)),
        (true, true) => Answer::Retry(all(not, took), wish),
        (true, false) => Answer::Refused(all(not, took)),
    }
}

/// The clock, for when an alert ends.
#[allow(clippy::disallowed_methods, reason = "a plugin is a process of its own, without sysalert's host module")]
fn now() -> SystemTime {
    SystemTime::now()
}
