//! From a claimed alert to the request that its plugin gets: composes, puts in the secrets.

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::{Failure, Incident, Kind, Message, Request, SCHEMA};

use super::plugin::Envelope;
use super::storm;
use crate::error::Result;
use crate::event::{Event, utc_time};
use crate::host::{names, secret};
use crate::message::{self, Late, Report};
use crate::policy::Reason;
use crate::settings::{Method, Settings};
use crate::store::{self, Claimed, Recorded, Store};

/// So many failures go to a plugin; of more, the first and the newest.
const MOST_FAILURES: usize = 100;
/// A first try later than this says so.
const LATE: TimeDelta = TimeDelta::minutes(5);

/// What became of a claimed alert.
pub(super) enum Prepared {
    /// The method and what it is to send.
    Ready(Method, Box<Envelope>),
    /// All that it was about is settled.
    Nothing,
    /// A sentence about why it cannot be tried.
    Impossible(String),
}

/// Makes ready what is claimed.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub(super) fn prepare(store: &Store, settings: &Settings, claimed: &Claimed, now: DateTime<Utc>) -> Result<Prepared> {
    let Some(method) = settings.method(&claimed.method) else {
        let why = format!(
            "the configuration has no [method.{0}] any more: write it again, or forget the alert with `sysalert db clear`",
            claimed.method
        );
        return Ok(Prepared::Impossible(why));
    };
    let config = match secret::resolve(method.config()) {
        Ok(config) => config,
        Err(why) => return Ok(Prepared::Impossible(why)),
    };
    let host = settings.host.clone().unwrap_or_else(names::host);
    let (message, failures, recipients) = match &claimed.about {
        Some((recorded, incident)) => {
            let failures = store.with(|db| store::failures_of(db, incident.id, recorded.id))?;
            let rules = settings.rules(recorded.event.subject.name());
            (about(claimed, recorded, incident, &failures, &host, now), listed(failures, &method.name), rules.to)
        }
        None if claimed.kind == Kind::Digest => match storm::letter(store, claimed.alert, &host)? {
            Some(letter) => (letter.render(), Vec::new(), Vec::new()),
            None => return Ok(Prepared::Nothing),
        },
        None => (message::test_letter(&host, &method.name, claimed.at).render(), Vec::new(), Vec::new()),
    };
    let request = Request {
        schema: SCHEMA,
        nonce: names::nonce(),
        kind: claimed.kind,
        host,
        service_name: claimed
            .about
            .as_ref()
            .map_or_else(|| "sysalert".to_owned(), |(recorded, _)| recorded.event.subject.unit_name().to_owned()),
        failures,
        incident: claimed.about.as_ref().map(|(_, incident)| facts(incident)),
        message,
        idempotency_key: format!("{}.{}", claimed.key, claimed.method),
        deadline_ms: u64::try_from(method.timeout.as_millis()).unwrap_or(u64::MAX),
        config,
    };
    Ok(Prepared::Ready(method, Box::new(Envelope { request, recipients })))
}

fn about(
    claimed: &Claimed,
    recorded: &Recorded,
    incident: &crate::incident::Incident,
    failures: &[(Event, Vec<String>)],
    host: &str,
    now: DateTime<Utc>,
) -> Message {
    let event = &recorded.event;
    let by = now - event.at;
    let failures: Vec<_> = failures.iter().map(|(event, _)| (event.at, event.problem.clone())).collect();
    let why = why(recorded);
    let report = Report {
        kind: claimed.kind,
        host,
        event,
        incident,
        why: why.as_deref(),
        failures: &failures,
        context: &claimed.context,
        late: late(claimed.attempt - 1, by, claimed.detail.as_deref()),
    };
    message::compose(&report).render()
}

/// Why somebody hears of this event now. A first failure and a recovery need no explanation, and what kept silent has none.
pub(super) fn why(recorded: &Recorded) -> Option<String> {
    let speaks = |reason: &&Reason| reason.alert().is_some() && !matches!(reason, Reason::First | Reason::Recovered);
    recorded.reason.as_ref().filter(speaks).map(Reason::why)
}

/// Says that a message is late, after these tries and this time.
pub(super) fn late(tries: u32, by: TimeDelta, because: Option<&str>) -> Option<Late<'_>> {
    (tries > 0 || by >= LATE).then_some(Late { by, because })
}

fn listed(failures: Vec<(Event, Vec<String>)>, method: &str) -> Vec<Failure> {
    let skipped = failures.len().saturating_sub(MOST_FAILURES);
    let keep = |number: usize| number == 0 || number > skipped;
    let kept = failures.into_iter().enumerate().filter(|(number, _)| keep(*number));
    kept.map(|(_, (event, methods))| Failure {
        service_result: event.problem.service_result,
        exit_code: event.problem.exit_code,
        exit_status: event.problem.exit_status,
        invocation_id: event.invocation_id,
        timestamp: utc_time(event.at),
        alert_method: methods.into_iter().find(|name| name == method),
        triggered_by: event.triggered_by,
    })
    .collect()
}

fn facts(incident: &crate::incident::Incident) -> Incident {
    Incident {
        id: incident.id,
        subject: incident.subject.to_string(),
        manager: incident.subject.manager().to_owned(),
        state: incident.state.as_str().to_owned(),
        severity: incident.severity.as_str().to_owned(),
        failures: incident.failures,
        first_failure: utc_time(incident.first_failure),
        last_failure: utc_time(incident.last_failure),
    }
}
