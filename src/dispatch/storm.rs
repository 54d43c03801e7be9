//! Storms: where more incidents come at once than anybody reads one by one, each method sends one digest of them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{hold, letter};
use crate::error::Result;
use crate::event::{DATABASE, PROCESS};
use crate::host::names;
use crate::message::{self, Letter, Member, News, Noun, Report};
use crate::policy::Reason;
use crate::settings::Settings;
use crate::store::{self, Store};
use sysalert_abi::Kind;

/// A digest waits for more until nothing came for so long, but not longer than the window.
const QUIET: TimeDelta = TimeDelta::seconds(3);

/// Binds alerts to digests where there are too many of them, and where they have waited for the end of quiet hours.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn collect(store: &mut Store, settings: &Settings, now: DateTime<Utc>) -> Result<()> {
    let window = TimeDelta::from_std(settings.storm.window).unwrap_or(TimeDelta::zero());
    if store.with(store::has_orphans)? {
        store.write(|db| store::release_orphans(db))?;
    }
    hold::hold(store, settings, now)?;
    if settings.storm.incidents == 0 {
        return Ok(());
    }
    for method in store.with(|db| store::methods_at_work(db, now))? {
        let (recent, waiting) = store.with(|db| store::load(db, &method, now - window, now))?;
        let is_storm = recent.max(waiting) > settings.storm.incidents;
        let open = store.with(|db| store::open_digest(db, &method, now))?;
        if !is_storm && open.is_none() {
            continue;
        }
        store.write(|db| {
            let (digest, begun) = match &open {
                Some(open) => (open.alert, open.begun),
                None => (store::begin_digest(db, &names::nonce(), &method, now)?, now),
            };
            // while a storm lasts one digest in each window tells what is new
            // one that was sent later than now: the clock was set back
            let last = store::last_digest(db, &method)?.filter(|last| *last <= now).map(|last| last + window);
            let last = last.filter(|due| *due > now);
            let due = last.unwrap_or((now + QUIET).min(begun + window));
            store::bind(db, digest, &method, due, now).map(drop)
        })?;
    }
    Ok(())
}

/// The message about these incidents; `waited`: for the end of quiet hours.
pub(super) fn letter(members: &[store::Member], host: &str, waited: bool) -> Letter {
    let members: Vec<Member<'_>> = members
        .iter()
        .map(|member| Member {
            name: member.recorded.event.subject.name(),
            noun: match member.recorded.event.subject.as_str() {
                text if text.starts_with(PROCESS) => Noun::Process,
                text if text.starts_with(DATABASE) => Noun::Database,
                _ => Noun::Unit,
            },
            at: member.recorded.event.at,
            problem: &member.recorded.event.problem,
            news: match member.kind {
                Kind::Recovery => News::Recovered,
                Kind::Reminder => News::StillFails,
                _ => News::Failed,
            },
            note: match member.recorded.reason {
                Some(Reason::KeepsRestarting) => Some("keeps restarting"),
                Some(Reason::KeepsRecovering) => Some("keeps failing and recovering"),
                Some(Reason::Stable { .. }) => Some("stable again"),
                Some(Reason::NoLongerRuns { .. }) => Some("does not run any more"),
                _ => None,
            },
        })
        .collect();
    message::digest(&message::Digest { host, members: &members, waited })
}

/// The same incident by incident, for channels that tell them apart: each once, by the newest alert about it.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub(super) fn incidents(
    store: &Store,
    settings: &Settings,
    members: &[store::Member],
    host: &str,
    method: &str,
) -> Result<Vec<sysalert_abi::Member>> {
    let newest: BTreeMap<i64, &store::Member> = members.iter().map(|member| (member.incident.id, member)).collect();
    newest.into_values().map(|member| incident(store, settings, member, host, method)).collect()
}

fn incident(
    store: &Store,
    settings: &Settings,
    member: &store::Member,
    host: &str,
    method: &str,
) -> Result<sysalert_abi::Member> {
    let store::Member { kind, at, reason, recorded, incident, context } = member;
    let event = &recorded.event;
    let rules = settings.rules(event.subject.name());
    let failures = store.with(|db| store::failures_of(db, incident.id, event, letter::MOST_FAILURES))?;
    let told: Vec<_> = failures.list.iter().map(|(event, _)| (event.at, event.problem.clone())).collect();
    let why = reason.as_ref().map_or_else(|| letter::why(recorded), |reason| Some(reason.why()));
    let report = Report {
        kind: *kind,
        host,
        event,
        incident,
        why: why.as_deref(),
        failures: &told,
        left_out: failures.left_out,
        again: letter::again(reason.as_ref(), *at),
        acknowledge: rules.wait_for_somebody() && incident.known().is_none(),
        flapping: letter::phase(recorded).filter(|_| *kind != Kind::Reminder).map(|phase| (phase, rules.flapping_window)),
        context,
        late: None,
        is_own: names::user() == event.subject.manager(),
    };
    let sysalert_abi::Message { subject, parts, .. } = message::compose(&report).render();
    Ok(sysalert_abi::Member {
        kind: *kind,
        service_name: event.subject.unit_name().to_owned(),
        incident: letter::facts(incident, *kind, event),
        failure: letter::listed(failures, method).pop().filter(|_| *kind != Kind::Recovery),
        subject,
        parts,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Event, Manager, Outcome, Problem, Subject, UnitName};
    use crate::incident::{Flapping, How, Incident, Severity};
    use crate::store::{Older, Recorded};

    #[test]
    fn a_channel_that_tells_incidents_apart_hears_that_one_flaps() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(60)).unwrap();
        let settings = Settings::read(&[("x.toml".into(), String::new())]).unwrap();
        let at = DateTime::UNIX_EPOCH + TimeDelta::hours(1);
        let subject = Subject::unit(&Manager::System, &UnitName::typed("web").unwrap());
        let flapping = Flapping { how: How::Restarting, since: DateTime::UNIX_EPOCH, times: 7, last: at, over: false };
        let incident = Incident::begin(1, subject.clone(), Severity::Critical, at).begins_to_flap(flapping);
        // it ended well, and was started again
        let event = Event {
            subject,
            outcome: Outcome::Succeeded,
            run: "restart:a".to_owned(),
            invocation_id: Some("a".to_owned()),
            problem: Problem::success(),
            triggered_by: None,
            start: None,
            restarts: true,
            at,
        };
        let recorded = Recorded { id: 1, event, reason: Some(Reason::KeepsRestarting), incident: Some(1), error: None };
        let member =
            store::Member { kind: Kind::Failure, at, reason: None, recorded, incident, context: message::Context::default() };
        let told = incidents(&store, &settings, &[member], "web1", "fleet").unwrap();
        assert_eq!(told[0].subject, "web.service keeps restarting on web1: 7 times in 1h");
    }
}
