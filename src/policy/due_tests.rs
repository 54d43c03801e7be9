//! What time alone makes due, row by row.
#![allow(clippy::unwrap_used, clippy::duration_suboptimal_units)]

use std::time::Duration;

use super::*;
use crate::config::Hours;
use crate::event::{Manager, Subject, UnitName};
use crate::incident::{Acknowledgement, Severity, State};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

fn at(second: i64) -> DateTime<Utc> {
    // a Monday, noon in UTC
    DateTime::from_timestamp(1_704_110_400 + second, 0).unwrap()
}

fn rules() -> Rules {
    Rules::from(&crate::config::Values { keys: &[KEYS, UNIT_KEYS], written: &[] })
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Told at second 0, and the last time then; what is due at `now`?
fn due_at(state: State, last: i64, now: i64, rules: &Rules) -> Option<Reason> {
    standing(state, last, now, rules, false, None)
}

fn standing(state: State, last: i64, now: i64, rules: &Rules, escalated: bool, silence: Option<&Silence>) -> Option<Reason> {
    let subject = Subject::unit(&Manager::System, &UnitName::typed("backup").unwrap());
    let mut incident = Incident::begin(1, subject, Severity::Warning, at(0));
    incident.state = state;
    let told = (state != State::Pending).then(|| at(0));
    let last_alert = told.map(|_| at(last));
    due(&Standing { incident: &incident, told, last_alert, alerts: 2, escalated, silence, rules, now: at(now) })
}

#[test]
fn reminders() {
    let never = rules();
    let patient = Rules { remind: Some(minutes(240)), ..rules() };
    let off = Rules { enabled: false, ..patient.clone() };
    let at_night = Rules { quiet: Hours::parse("00:00-23:59"), ..patient.clone() };
    let reminder = || Some(Reason::Reminder { every: 14_400, told: 2 });
    for (what, found, expected) in [
        ("nobody wants any", due_at(State::Open, 0, 999 * HOUR, &never), None),
        ("too soon", due_at(State::Open, 0, 4 * HOUR - 1, &patient), None),
        ("its time has come", due_at(State::Open, 0, 4 * HOUR, &patient), reminder()),
        ("the host was off for a year", due_at(State::Open, 0, 9_000 * HOUR, &patient), reminder()),
        ("counted from the last alert", due_at(State::Open, HOUR, 4 * HOUR, &patient), None),
        ("the clock was set back a little", due_at(State::Open, HOUR, 0, &patient), None),
        ("the clock was set back far", due_at(State::Open, 99 * HOUR, 0, &patient), reminder()),
        ("somebody knows", due_at(State::Acknowledged, 0, 4 * HOUR, &patient), None),
        ("nobody was told yet", due_at(State::Pending, 0, 4 * HOUR, &patient), None),
        ("it is over", due_at(State::Resolved, 0, 4 * HOUR, &patient), None),
        ("a unit that is turned off", due_at(State::Open, 0, 4 * HOUR, &off), None),
        ("quiet hours", due_at(State::Open, 0, 4 * HOUR, &at_night), None),
    ] {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn who_takes_an_acknowledgement_back_has_the_time_begin_anew() {
    let rules = Rules { remind: Some(minutes(240)), escalate_to: vec!["phone".into()], escalate_after: minutes(15), ..rules() };
    let subject = Subject::process("web");
    let begun = Incident::begin(1, subject, Severity::Warning, at(0)).failed(at(0), true);
    let incident = begun.acknowledged(Acknowledgement::of_database(at(MINUTE))).reopened(at(6 * HOUR));
    let due_at = |last_alert: Option<i64>, escalated, now| {
        let (told, last_alert) = (last_alert.map(|_| at(0)), last_alert.map(at));
        due(&Standing { incident: &incident, told, last_alert, alerts: 2, escalated, silence: None, rules: &rules, now: at(now) })
    };
    let taken_back = || Some(Reason::TakenBack { every: 14_400, told: 2 });
    for (what, found, expected) in [
        ("nothing at once", due_at(Some(0), false, 6 * HOUR), None),
        ("nobody else yet", due_at(Some(0), false, 6 * HOUR + 14 * MINUTE), None),
        ("then others", due_at(Some(0), false, 6 * HOUR + 15 * MINUTE), Some(Reason::Unacknowledged { after: 900, told: 2 })),
        ("no reminder yet", due_at(Some(0), true, 10 * HOUR - 1), None),
        ("a reminder", due_at(Some(0), true, 10 * HOUR), taken_back()),
        ("of what a silence had kept back, too", due_at(None, true, 10 * HOUR), taken_back()),
        ("an alert since then", due_at(Some(7 * HOUR), true, 10 * HOUR), None),
        ("is what counts", due_at(Some(7 * HOUR), true, 11 * HOUR), Some(Reason::Reminder { every: 14_400, told: 2 })),
    ] {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn escalations() {
    let nobody = rules();
    let boss = Rules { escalate_to: vec!["phone".into()], escalate_after: minutes(15), ..rules() };
    let both = Rules { remind: Some(minutes(10)), ..boss.clone() };
    let silence = Silence { glob: "*".into(), since: at(0), until: at(HOUR), by: "alice".into(), why: None };
    let of = |state, now, rules: &Rules, escalated| standing(state, 0, now, rules, escalated, None);
    let others = || Some(Reason::Unacknowledged { after: 900, told: 2 });
    for (what, found, expected) in [
        ("there is nobody else", of(State::Open, HOUR, &nobody, false), None),
        ("too soon", of(State::Open, 15 * MINUTE - 1, &boss, false), None),
        ("nobody acknowledged it", of(State::Open, 15 * MINUTE, &boss, false), others()),
        ("once", of(State::Open, HOUR, &boss, true), None),
        ("somebody knows", of(State::Acknowledged, HOUR, &boss, false), None),
        ("it goes before a reminder", of(State::Open, HOUR, &both, false), others()),
        ("which comes then", of(State::Open, HOUR, &both, true), Some(Reason::Reminder { every: 600, told: 2 })),
        ("silenced", standing(State::Open, 0, 20 * MINUTE, &both, false, Some(&silence)), None),
    ] {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn silences() {
    let subject = |name: &str| Subject::unit(&Manager::System, &UnitName::typed(name).unwrap());
    let silence =
        |glob: &str, until| Silence { glob: glob.into(), since: at(0), until: at(until), by: "alice".into(), why: None };
    let both = [silence("backup-*", HOUR), silence("backup-db.service", 2 * HOUR)];
    let until = |name: &str, now| Silence::of(&both, &subject(name), at(now)).map(|silence| silence.until);
    for (what, found, expected) in [
        ("the one that lasts longer", until("backup-db", 1), Some(at(2 * HOUR))),
        ("a pattern", until("backup-www", HOUR - 1), Some(at(HOUR))),
        ("its end", until("backup-www", HOUR), None),
        ("another unit", until("www", 1), None),
        ("the clock was set back", until("backup-db", -2 * HOUR), Some(at(2 * HOUR))),
        ("the clock was set back by more than it lasts", until("backup-www", -HOUR - 1), None),
        ("... of both", until("backup-db", -2 * HOUR - 1), None),
    ] {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn what_is_held() {
    let quiet = Rules { quiet: Hours::parse("00:00-23:59"), ..rules() };
    let by_day = Filter { hours: Hours::parse("Thu 00:00-00:01"), ..Filter::default() };
    let always = Filter::default();
    let silence = Silence { glob: "*".into(), since: at(0), until: at(HOUR), by: "alice".into(), why: None };
    let hold = |kind, severity, behind, silence, rules: &Rules, filter: &Filter| {
        hold(&Untold { kind, severity, behind, silence, rules, filter, method: "phone" }, at(0))
            .map(|hold| hold.why.split(' ').next().unwrap_or_default().to_owned())
    };
    let held = |kind, severity, behind, rules: &Rules, filter: &Filter| hold(kind, severity, behind, None, rules, filter);
    let silenced = |kind, behind, rules: &Rules| hold(kind, Severity::Critical, behind, Some(&silence), rules, &always);
    let (failure, recovery) = (Kind::Failure, Kind::Recovery);
    let (warning, critical) = (Severity::Warning, Severity::Critical);
    for (what, found, expected) in [
        ("no quiet hours", held(failure, warning, false, &rules(), &always), None),
        ("quiet hours", held(failure, warning, false, &quiet, &always), Some("quiet")),
        ("what is critical", held(failure, critical, false, &quiet, &always), None),
        ("a recovery in quiet hours", held(recovery, warning, false, &quiet, &always), Some("quiet")),
        ("outside of a method's hours", held(failure, critical, false, &rules(), &by_day), Some("phone")),
        ("a recovery then", held(recovery, critical, false, &rules(), &by_day), None),
        ("a recovery behind a failure that waits", held(recovery, critical, true, &rules(), &by_day), Some("phone")),
        ("what somebody silenced", silenced(failure, false, &rules()), Some("silenced")),
        ("a reminder of it", silenced(Kind::Reminder, false, &quiet), Some("silenced")),
        ("its recovery, for which somebody waits", silenced(recovery, false, &rules()), None),
        ("its recovery, of which nobody was told", silenced(recovery, true, &rules()), Some("silenced")),
    ] {
        assert_eq!(found.as_deref(), expected, "{what}");
    }
}

#[test]
fn routes() {
    let always = Filter::default();
    let critical = Filter { severities: vec![Severity::Critical], hours: None };
    let never_now = Filter { hours: Hours::parse("Thu 00:00-00:01"), ..Filter::default() };
    let to = |methods: &[(&'static str, &Filter)], severity| route(methods, severity, at(0));
    for (what, found, expected) in [
        ("all", to(&[("mail", &always), ("phone", &critical)], Severity::Critical), vec!["mail", "phone"]),
        ("by severity", to(&[("mail", &always), ("phone", &critical)], Severity::Info), vec!["mail"]),
        ("no method ever takes it", to(&[("phone", &critical)], Severity::Info), vec![]),
        ("by hour", to(&[("mail", &always), ("day", &never_now)], Severity::Info), vec!["mail"]),
        (
            "what nobody takes now waits for who will",
            to(&[("phone", &critical), ("day", &never_now)], Severity::Info),
            vec!["day"],
        ),
    ] {
        assert_eq!(found, expected, "{what}");
    }
}
