//! The message about a unit as it would be sent now, made from what is recorded; nothing is sent or written.

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::{Kind, Message};

use crate::error::Result;
use crate::event::{Outcome, Subject};
use crate::host::names;
use crate::incident::Incident;
use crate::message::{self, Context, Late, Report};
use crate::policy::Reason;
use crate::settings::Settings;
use crate::store::{self, Newest, Store, Which};

/// A first try later than this says so.
const LATE: TimeDelta = TimeDelta::minutes(5);

/// A message, and what it is about.
#[derive(Debug)]
pub struct Preview {
    /// The message.
    pub message: Message,
    /// Whether there is an alert: it was sent, or waits, or was given up.
    pub is_alert: bool,
    /// Why its event spoke or kept silent; `None`: not decided yet.
    pub reason: Option<Reason>,
}

/// The message of a subject's newest alert; where there is none, the one that its newest event would have had. It is as
/// this method would send it. `None`: nothing was ever recorded.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn preview(
    store: &Store,
    settings: &Settings,
    subject: &Subject,
    method: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<Preview>> {
    let alert = store.with(|db| store::newest_alert(db, subject, method))?;
    let recorded = match &alert {
        Some(alert) => store.with(|db| store::event(db, alert.event))?,
        None => store.with(|db| store::last_of(db, subject))?,
    };
    let Some(recorded) = recorded else { return Ok(None) };
    let event = &recorded.event;
    let usual = if event.outcome == Outcome::Failed { Kind::Failure } else { Kind::Recovery };
    let kind = alert.as_ref().map_or(usual, |alert| alert.kind);
    let rules = settings.rules(subject.name());
    let (incident, failures) = match recorded.incident {
        Some(id) => (
            store.with(|db| store::list(db, Which::One(id)))?.pop().map(|row| row.incident),
            store.with(|db| store::failures_of(db, id, recorded.id))?,
        ),
        None => (None, Vec::new()),
    };
    // what kept silent may have no incident: the one it would have begun
    let incident = incident.unwrap_or_else(|| {
        let begun = Incident::begin(0, subject.clone(), rules.severity, event.at);
        if kind == Kind::Recovery { begun } else { begun.failed(event.at, true) }
    });
    let failures: Vec<_> = failures.iter().map(|(event, _)| (event.at, event.problem.clone())).collect();
    // a first failure and a recovery need no explanation, and what kept silent has none for a message
    let speaks = |reason: &&Reason| reason.alert().is_some() && !matches!(reason, Reason::First | Reason::Recovered);
    let why = recorded.reason.as_ref().filter(speaks).map(Reason::why);
    let gathered_later = kind != Kind::Recovery && rules.journal_lines > 0;
    let report = Report {
        kind,
        host: &settings.host.clone().unwrap_or_else(names::host),
        event,
        incident: &incident,
        why: why.as_deref(),
        failures: &failures,
        context: &context(alert.as_ref(), gathered_later),
        late: alert.as_ref().and_then(|alert| late(alert, now - event.at)),
    };
    let message = message::compose(&report).render();
    Ok(Some(Preview { message, is_alert: alert.is_some(), reason: recorded.reason }))
}

/// What was kept with the alert; before its first try, that is yet to come.
fn context(alert: Option<&Newest>, gathered_later: bool) -> Context {
    let kept = alert.and_then(|alert| alert.context.as_deref()).and_then(|json| serde_json::from_str(json).ok());
    let note = || "The run's last lines are taken from the journal when the message is sent.".to_owned();
    kept.unwrap_or_else(|| Context { note: gathered_later.then(note), ..Context::default() })
}

/// Only what still waits can be late.
fn late(alert: &Newest, by: TimeDelta) -> Option<Late<'_>> {
    let tries = alert.tries?;
    (tries > 0 || by >= LATE).then_some(Late { by, because: alert.detail.as_deref() })
}
