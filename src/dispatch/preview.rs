//! The message about a unit as it would be sent now, made from what is recorded; nothing is sent or written.

use chrono::{DateTime, Utc};
use serde_json::Map;
use sysalert_abi::{Kind, Message, Request, SCHEMA};

use super::{attempt, letter, own_words};
use crate::error::Result;
use crate::event::{Outcome, Subject};
use crate::host::names;
use crate::incident::Incident;
use crate::message::{self, Context, Report};
use crate::policy::Reason;
use crate::settings::Settings;
use crate::store::{self, Newest, Store, Which};

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
            store.with(|db| store::failures_of(db, id, event, letter::MOST_FAILURES))?,
        ),
        None => (None, store::Failures::default()),
    };
    // what kept silent may have no incident: the one it would have begun
    let incident = incident.unwrap_or_else(|| {
        let begun = Incident::begin(0, subject.clone(), rules.severity, event.at);
        if kind == Kind::Recovery { begun } else { begun.failed(event.at, true) }
    });
    let left_out = failures.left_out;
    let known: Vec<_> = failures.list.iter().map(|(event, _)| (event.at, event.problem.clone())).collect();
    let reason = alert.as_ref().and_then(|alert| alert.reason.as_ref());
    let why = reason.map_or_else(|| letter::why(&recorded), |reason| Some(reason.why()));
    let gathered_later = kind != Kind::Recovery && rules.journal_lines > 0;
    let host = settings.host.clone().unwrap_or_else(names::host);
    let report = Report {
        kind,
        host: &host,
        event,
        incident: &incident,
        why: why.as_deref(),
        failures: &known,
        left_out,
        flapping: letter::phase(&recorded).filter(|_| kind != Kind::Reminder).map(|phase| (phase, rules.flapping_window)),
        acknowledge: rules.wait_for_somebody() && incident.known().is_none(),
        again: alert.as_ref().and_then(|alert| letter::again(alert.reason.as_ref(), alert.at)),
        context: &context(alert.as_ref(), gathered_later),
        // only what still waits can be late
        late: alert.as_ref().and_then(|alert| {
            letter::late(
                alert.tries?,
                now - if kind == Kind::Reminder { alert.at } else { event.at },
                alert.detail.as_deref(),
                None,
            )
        }),
        is_own: names::user() == event.subject.manager(),
    };
    let letter = message::compose(&report);
    let method = method.and_then(|name| settings.method(name));
    let message = match method.filter(|method| !method.templates.is_empty()) {
        Some(method) => {
            let request = Request {
                schema: SCHEMA,
                nonce: String::new(),
                kind,
                host: host.clone(),
                service_name: subject.unit_name().to_owned(),
                failures: letter::listed(failures, &method.name),
                incident: Some(letter::facts(&incident, kind, event)),
                incidents: Vec::new(),
                matter: None,
                open: 0,
                message: letter.render(),
                idempotency_key: String::new(),
                deadline_ms: 0,
                beat: None,
                config: Map::new(),
            };
            attempt::in_own_words(&request, &method, letter, &own_words::apart)
        }
        None => letter.render(),
    };
    Ok(Some(Preview { message, is_alert: alert.is_some(), reason: recorded.reason }))
}

/// What was gathered for the alert; before it is, that is yet to come.
fn context(alert: Option<&Newest>, gathered_later: bool) -> Context {
    let note = || "The run's last lines are taken from the journal when the message is sent.".to_owned();
    let yet_to_come = || Context { note: gathered_later.then(note), ..Context::default() };
    alert.and_then(|alert| alert.context.clone()).unwrap_or_else(yet_to_come)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Event, Manager, Problem, UnitName};
    use crate::incident::Severity;
    use crate::store::{Alert, Older};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    fn event(outcome: Outcome) -> Event {
        Event {
            subject: Subject::unit(&Manager::System, &UnitName::typed("a").unwrap()),
            outcome,
            run: "1".to_owned(),
            invocation_id: Some("1".to_owned()),
            problem: Problem::default(),
            triggered_by: None,
            start: None,
            restarts: false,
            at: at(0),
        }
    }

    /// A folder with this event in its database, and with an alert about it.
    fn recorded(outcome: Outcome, kind: Option<Kind>, reason: &Reason) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(60)).unwrap();
        let event = event(outcome);
        let written = store.write(|db| {
            store::insert(db, &event, true)?;
            let id = store::last_of(db, &event.subject)?.unwrap().id;
            let incident = match kind {
                Some(_) => Some(store::begin(db, &event.subject, Severity::Warning, at(0))?.id),
                None => None,
            };
            store::decide(db, id, incident, reason)?;
            if let (Some(kind), Some(incident)) = (kind, incident) {
                let alert = Alert { kind, key: "key", about: Some((incident, id)), at: at(0) };
                store::queue(db, &alert, &["mail".to_owned(), "phone".to_owned()])?;
            }
            Ok(())
        });
        written.unwrap();
        (folder, store)
    }

    /// The message at this second, with the host's name and without commands.
    fn text(store: &Store, method: Option<&str>, second: i64) -> String {
        let config = "[policy]\nhost = \"web1\"\n[method.mail]\n[method.phone]".to_owned();
        let settings = Settings::read(&[("x.toml".into(), config)]).unwrap();
        let subject = event(Outcome::Failed).subject;
        preview(store, &settings, &subject, method, at(second)).unwrap().unwrap().message.text
    }

    const LATER: &str = "are taken from the journal when the message is sent";

    #[test]
    fn the_run_is_shown_as_it_was_kept() {
        let (_folder, mut store) = recorded(Outcome::Failed, Some(Kind::Failure), &Reason::First);
        assert!(text(&store, None, 0).contains(LATER));
        let kept = Context { excerpt: vec!["no space left".to_owned()], ..Context::default() };
        store.write(|db| store::set_context(db, 1, &kept)).unwrap();
        let shown = text(&store, None, 0);
        assert!(shown.contains("no space left") && !shown.contains(LATER), "{shown}");
    }

    #[test]
    fn a_recovery_promises_no_lines() {
        let (_folder, store) = recorded(Outcome::Succeeded, Some(Kind::Recovery), &Reason::Recovered);
        let shown = text(&store, None, 0);
        assert!(shown.contains("is well again") && !shown.contains(LATER), "{shown}");
    }

    #[test]
    fn what_waits_is_late_for_the_method_that_has_not_sent_it() {
        let (_folder, mut store) = recorded(Outcome::Failed, Some(Kind::Failure), &Reason::First);
        store.write(|db| store::set_context(db, 1, &Context::default())).unwrap();
        let claimed = store.write(|db| store::claim(db, at(1), &[], |_| at(9))).unwrap().unwrap();
        assert_eq!(claimed.method, "mail");
        store.write(|db| store::give_back(db, &claimed, at(30), "busy")).unwrap();
        let because = "it happened 2s ago; earlier tries to send this failed: busy";
        assert!(text(&store, Some("mail"), 2).contains(because));
        assert!(text(&store, None, 2).contains(because), "the one that had the most tries");
        assert!(!text(&store, Some("phone"), 2).contains("it happened"), "its first try, soon enough");
        assert!(text(&store, Some("phone"), 3600).contains("it happened 1h ago"), "its first try, late");
        store.write(|db| store::done(db, claimed.id)).unwrap();
        assert!(!text(&store, Some("mail"), 3600).contains("it happened"), "sent");
    }

    #[test]
    fn what_kept_silent_and_began_no_incident_has_a_message() {
        let (_folder, store) = recorded(Outcome::Failed, None, &Reason::Cleared);
        let shown = text(&store, None, 3600);
        for line in ["a.service on web1 failed.", "Failures  1\n", "Severity  critical"] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        assert!(!shown.contains("Why now") && !shown.contains("it happened"), "{shown}");
    }
}
