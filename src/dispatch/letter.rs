//! From a claimed alert to the request about it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Map;
use sysalert_abi::{Failure, Incident, Kind, Matter, Request, SCHEMA};

use super::attempt::Draft;
use super::storm;
use crate::error::Result;
use crate::event::{Event, utc_time};
use crate::host::names;
use crate::message::{self, Again, Because, DamageReport, Late, Letter, MethodReport, Phase, Report};
use crate::policy::{Reason, Rules};
use crate::settings::Settings;
use crate::store::{self, Claimed, Failures, Recorded, Store};

/// So many failures go to a plugin; of more, the first and the newest.
pub(super) const MOST_FAILURES: usize = 100;
/// A first try later than this says so.
const LATE: TimeDelta = TimeDelta::minutes(5);

/// What became of a claimed alert.
pub(super) enum Prepared {
    /// It can be tried.
    Ready(Box<Draft>),
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
            "the configuration has no [method.{0}] any more: write it again, or give this alert up with `sysalert outbox drop {1}`",
            claimed.method, claimed.id
        );
        return Ok(Prepared::Impossible(why));
    };
    let host = settings.host.clone().unwrap_or_else(names::host);
    let mut incidents = Vec::new();
    let (letter, failures, recipients) = match &claimed.about {
        Some((recorded, incident)) => {
            let failures = store.with(|db| store::failures_of(db, incident.id, &recorded.event, MOST_FAILURES))?;
            let rules = settings.rules(recorded.event.subject.name());
            (about(claimed, recorded, incident, &failures, &rules, &host, now), listed(failures, &method.name), rules.to)
        }
        None if claimed.kind == Kind::Digest => {
            let members = store.with(|db| store::members(db, claimed.alert))?;
            if members.is_empty() {
                return Ok(Prepared::Nothing);
            }
            incidents = storm::incidents(store, settings, &members, &host, &method.name)?;
            (storm::letter(&members, &host, claimed.reason.is_some()), Vec::new(), Vec::new())
        }
        None => (without_event(store, claimed, &host)?, Vec::new(), Vec::new()),
    };
    let letter = match &claimed.instead_of {
        Some((instead_of, because)) => letter.instead_of(instead_of, because),
        None => letter,
    };
    let about = claimed.about.as_ref().map(|(recorded, incident)| (&recorded.event, incident));
    let request = Request {
        schema: SCHEMA,
        nonce: names::nonce(),
        kind: claimed.kind,
        host,
        service_name: about.map_or_else(|| "sysalert".to_owned(), |(event, _)| event.subject.unit_name().to_owned()),
        failures,
        incident: about.map(|(event, incident)| facts(incident, claimed.kind, event)),
        incidents,
        matter: matter(claimed),
        open: store.with(|db| store::unended(db, &method.name, Some(claimed.alert)))?,
        message: letter.render(),
        idempotency_key: format!("{}.{}", claimed.key, claimed.method),
        deadline_ms: u64::try_from(method.timeout.as_millis()).unwrap_or(u64::MAX),
        beat: None,
        config: Map::new(),
    };
    Ok(Prepared::Ready(Box::new(Draft { method, request, recipients, letter: Some(letter) })))
}

fn about(
    claimed: &Claimed,
    recorded: &Recorded,
    incident: &crate::incident::Incident,
    failures: &Failures,
    rules: &Rules,
    host: &str,
    now: DateTime<Utc>,
) -> Letter {
    let event = &recorded.event;
    let left_out = failures.left_out;
    let failures: Vec<_> = failures.list.iter().map(|(event, _)| (event.at, event.problem.clone())).collect();
    // news of a failure that stayed one come when it has
    let news = match recorded.reason {
        Some(Reason::StayedFailed { seconds }) => event.at + TimeDelta::seconds(i64::try_from(seconds).unwrap_or(0)),
        _ if claimed.kind == Kind::Reminder => claimed.at,
        _ => event.at,
    };
    let why = claimed.reason.as_ref().map_or_else(|| why(recorded), |reason| Some(reason.why()));
    let report = Report {
        kind: claimed.kind,
        host,
        event,
        incident,
        why: why.as_deref(),
        failures: &failures,
        left_out,
        flapping: phase(recorded).filter(|_| claimed.kind != Kind::Reminder).map(|phase| (phase, rules.flapping_window)),
        again: again(claimed.reason.as_ref(), now),
        acknowledge: rules.wait_for_somebody() && incident.known().is_none(),
        context: &claimed.context,
        late: late(claimed.attempt - 1, now - news, claimed.detail.as_deref(), claimed.held.as_deref()),
        is_own: names::user() == event.subject.manager(),
    };
    // whoever is only spared a reminder heard of the failure
    let untold = || claimed.overtaken.iter().filter(|one| one.kind != Kind::Reminder);
    let (Some(first), Some(last)) = (untold().next(), untold().next_back()) else {
        return message::compose(&report);
    };
    let tries = claimed.attempt - 1 + claimed.overtaken.iter().map(|one| one.attempts).sum::<u32>();
    let detail = claimed.detail.as_deref().or_else(|| claimed.overtaken.iter().rev().find_map(|one| one.detail.as_deref()));
    let held = claimed.held.as_deref().or(first.held.as_deref());
    message::compose_overtaken(&Report { context: &last.context, late: late(tries, now - first.at, detail, held), ..report })
}

/// The letter of what is sysalert's own, or of a test.
fn without_event(store: &Store, claimed: &Claimed, host: &str) -> Result<Letter> {
    if let Some(damage) = &claimed.damage {
        return Ok(message::compose_damage(&DamageReport {
            host,
            at: damage.at,
            what: &damage.what,
            file: &store.beside(&damage.file).to_string_lossy(),
            whole: damage.whole,
            incidents: damage.incidents,
            waiting: damage.waiting,
            since: damage.since,
            taken_over: store.with(|db| store::taken_over(db, damage))?,
        }));
    }
    let Some(outage) = &claimed.outage else { return Ok(message::test_letter(host, &claimed.method, claimed.at)) };
    Ok(message::compose_method(&MethodReport {
        host,
        method: &outage.method,
        by: &claimed.method,
        since: outage.since,
        detail: &outage.detail,
        waiting: outage.waiting,
        at: claimed.at,
        works: claimed.kind == Kind::Recovery,
    }))
}

/// What of sysalert itself it is about.
fn matter(claimed: &Claimed) -> Option<Matter> {
    let outage = claimed.outage.as_ref().map(|outage| Matter::Method { name: outage.method.clone() });
    outage.or(claimed.damage.as_ref().map(|_| Matter::Database))
}

/// What this event tells about flapping.
pub(super) fn phase(recorded: &Recorded) -> Option<Phase> {
    match recorded.reason.as_ref()? {
        Reason::KeepsRestarting | Reason::KeepsRecovering => Some(Phase::Begins),
        Reason::Stable { .. } => Some(Phase::Stable),
        Reason::NoLongerRuns { .. } => Some(Phase::NoLongerRuns),
        _ => None,
    }
}

/// What a reminder says that is sent then, for this reason.
pub(super) fn again(reason: Option<&Reason>, at: DateTime<Utc>) -> Option<Again> {
    match reason? {
        Reason::Reminder { told, .. } | Reason::TakenBack { told, .. } => Some(Again { at, told: *told, nobody_within: None }),
        Reason::Unacknowledged { after, told } => {
            Some(Again { at, told: *told, nobody_within: Some(Duration::from_secs(*after)) })
        }
        _ => None,
    }
}

/// Why somebody hears of this event now. A first failure and a recovery need no explanation, and what kept silent has none.
pub(super) fn why(recorded: &Recorded) -> Option<String> {
    let speaks = |reason: &&Reason| reason.alert().is_some() && !matches!(reason, Reason::First | Reason::Recovered);
    recorded.reason.as_ref().filter(speaks).filter(|_| phase(recorded).is_none()).map(Reason::why)
}

/// Says that a message is late, after these tries and this time, and why: what the last try met, or the limit that held it.
pub(super) fn late<'a>(tries: u32, by: TimeDelta, met: Option<&'a str>, held: Option<&'a str>) -> Option<Late<'a>> {
    let because = if tries > 0 { met.map(Because::Failed) } else { None };
    (tries > 0 || by >= LATE).then_some(Late { by, because: because.or(held.map(Because::Held)) })
}

pub(super) fn listed(failures: Failures, method: &str) -> Vec<Failure> {
    let listed = failures.list.into_iter().map(|(event, methods)| Failure {
        service_result: event.problem.service_result,
        exit_code: event.problem.exit_code,
        exit_status: event.problem.exit_status,
        invocation_id: event.invocation_id,
        timestamp: utc_time(event.at),
        alert_method: methods.into_iter().find(|name| name == method),
        triggered_by: event.triggered_by,
    });
    listed.collect()
}

/// The incident; `event` is what the message of this kind is about.
pub(super) fn facts(incident: &crate::incident::Incident, kind: Kind, event: &Event) -> Incident {
    Incident {
        id: incident.id,
        subject: incident.subject.to_string(),
        manager: incident.subject.manager().to_owned(),
        state: incident.state.as_str().to_owned(),
        severity: incident.severity.as_str().to_owned(),
        failures: incident.failures,
        first_failure: utc_time(incident.first_failure),
        last_failure: utc_time(incident.last_failure),
        ended: (kind == Kind::Recovery).then(|| utc_time(event.at)),
    }
}
