//! Each row is a situation and the reason that must come out.

mod flapping;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::rules::SameProblem;
use super::*;
use crate::event::{Manager, Subject, UnitName};
use crate::incident::{Flapping, Severity, State};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn status(number: u8) -> Problem {
    Problem {
        service_result: Some("exit-code".into()),
        exit_code: Some("exited".into()),
        exit_status: Some(number.to_string()),
        cause: None,
    }
}

fn event(outcome: Outcome, number: u8, second: i64) -> Event {
    Event {
        subject: Subject::unit(&Manager::System, &UnitName::typed("backup").unwrap()),
        outcome,
        run: format!("run-{second}"),
        invocation_id: None,
        problem: status(number),
        triggered_by: None,
        start: None,
        restarts: false,
        at: at(second),
    }
}

fn told(number: u8, second: i64) -> Told {
    Told { problem: status(number), error: None, at: at(second), restarts: false }
}

fn rules() -> Rules {
    Rules::from(&crate::config::Values { keys: &[KEYS, UNIT_KEYS], written: &[] })
}

/// Of an event before which nothing is on record.
fn situation<'a>(event: &'a Event, rules: &'a Rules) -> Situation<'a> {
    let none = Recent { times: 0, since: event.at };
    Situation {
        event,
        error: None,
        incident: None,
        told: &[],
        start: event.start,
        finals: 0,
        earlier: 0,
        passed_over: 0,
        run_failed: false,
        failed_since: false,
        recovered_by_then: false,
        restarts: none,
        incidents: none,
        silence: None,
        rules,
    }
}

/// `told`: the statuses that somebody was told, with the second of each.
fn failure(number: u8, second: i64, failures: u64, told: &[(u8, i64)], rules: &Rules) -> Verdict {
    let told: Vec<Told> = told.iter().map(|(number, second)| super::tests::told(*number, *second)).collect();
    let state = if told.is_empty() { State::Pending } else { State::Open };
    let event = event(Outcome::Failed, number, second);
    let mut incident = Incident::begin(1, event.subject.clone(), Severity::Critical, at(0));
    incident.failures = failures;
    incident.state = state;
    let incident = (failures > 0).then_some(&incident);
    let situation = Situation { event: &event, incident, told: &told, finals: failures, ..situation(&event, rules) };
    let verdict = decide(&situation);
    let over = Situation { recovered_by_then: true, ..situation };
    let silent = if rules.enabled { Reason::RecoveredByThen } else { Reason::Disabled };
    assert_eq!(decide(&over).reason, silent, "what a damaged database had lost, and is over");
    verdict
}

fn success(state: Option<State>, (run_failed, failed_since): (bool, bool), rules: &Rules) -> Verdict {
    let event = event(Outcome::Succeeded, 0, 100);
    let mut incident = Incident::begin(1, event.subject.clone(), Severity::Critical, at(0));
    incident.state = state.unwrap_or(State::Pending);
    let incident = state.map(|_| &incident);
    decide(&Situation { incident, run_failed, failed_since, ..situation(&event, rules) })
}

#[test]
fn failures() {
    let plain = rules();
    let patient = Rules { ignore: 2, ..rules() };
    let off = Rules { enabled: false, ..rules() };
    let was = || "exited with status 3".to_owned();
    let rows = [
        ("the first failure speaks", failure(3, 0, 0, &[], &plain), Reason::First),
        ("a repetition is silent", failure(3, 9, 1, &[(3, 0)], &plain), Reason::SameProblem { told: at(0) }),
        ("a repetition is silent for ever", failure(3, 99_999, 1, &[(3, 0)], &plain), Reason::SameProblem { told: at(0) }),
        ("another status speaks at once", failure(4, 1, 1, &[(3, 0)], &plain), Reason::NewProblem { was: was() }),
        ("a problem that comes back waits", failure(4, 30, 3, &[(4, 0), (3, 10)], &plain), Reason::TooSoon { until: at(310) }),
        ("and speaks after min_interval", failure(4, 310, 3, &[(4, 0), (3, 10)], &plain), Reason::Returned { was: was() }),
        ("ignore = 2: the first", failure(3, 0, 0, &[], &patient), Reason::Ignored { seen: 1, of: 2 }),
        ("ignore = 2: the second", failure(3, 1, 1, &[], &patient), Reason::Ignored { seen: 2, of: 2 }),
        ("ignore = 2: the third speaks", failure(3, 2, 2, &[], &patient), Reason::IgnoredEnough { ignored: 2 }),
        ("ignore = 2: told already", failure(4, 3, 1, &[(3, 0)], &patient), Reason::NewProblem { was: was() }),
        ("a unit that is turned off", failure(3, 0, 0, &[], &off), Reason::Disabled),
    ];
    for (what, verdict, reason) in rows {
        assert_eq!(verdict.reason, reason, "{what}");
        assert_eq!(verdict.alert.is_some(), reason.to_string().starts_with("spoke"), "{what}");
        assert!(!verdict.resolves, "{what}");
    }
}

#[test]
fn successes() {
    let plain = rules();
    let quiet = Rules { recovery: false, ..rules() };
    let off = Rules { enabled: false, ..rules() };
    let rows = [
        ("an open incident", success(Some(State::Open), (false, false), &plain), Reason::Recovered, true),
        ("an acknowledged one", success(Some(State::Acknowledged), (false, false), &plain), Reason::Recovered, true),
        ("a pending one ends silently", success(Some(State::Pending), (false, false), &plain), Reason::NeverTold, true),
        ("nobody wants recoveries", success(Some(State::Open), (false, false), &quiet), Reason::RecoveryUnwanted, true),
        ("no incident", success(None, (false, false), &plain), Reason::NothingWrong, false),
        ("a false success", success(Some(State::Open), (true, false), &plain), Reason::SameRunFailed, false),
        ("a success that a failure overtook", success(Some(State::Open), (false, true), &plain), Reason::Overtaken, false),
        ("a unit that is turned off", success(Some(State::Pending), (false, false), &off), Reason::Disabled, true),
    ];
    for (what, verdict, reason, resolves) in rows {
        assert_eq!((verdict.reason.clone(), verdict.resolves), (reason.clone(), resolves), "{what}");
        assert_eq!(verdict.alert, (reason == Reason::Recovered).then_some(Kind::Recovery), "{what}");
    }
}

#[test]
fn who_started_a_run_decides_where_somebody_asks() {
    let any = rules();
    let timers = Rules { started_by: vec![Start::Timer], ..rules() };
    let people = Rules { started_by: vec![Start::Other], ..rules() };
    let off = Rules { enabled: false, ..timers.clone() };
    let of = |start: Option<Start>, rules: &Rules| {
        let event = Event { start, ..event(Outcome::Failed, 3, 0) };
        decide(&situation(&event, rules)).reason
    };
    let otherwise = |by| Reason::StartedOtherwise { by };
    for (what, reason, expected) in [
        ("a timer's run", of(Some(Start::Timer), &timers), Reason::First),
        ("a path's run", of(Some(Start::Path), &timers), otherwise(Start::Path)),
        ("a person's run", of(Some(Start::Other), &timers), otherwise(Start::Other)),
        ("nobody knows", of(None, &timers), Reason::First),
        ("nobody knows what began it, but systemd started it again", of(Some(Start::Restart), &timers), Reason::First),
        ("nobody asks about timers", of(Some(Start::Timer), &people), otherwise(Start::Timer)),
        ("anybody may have started it", of(Some(Start::Other), &any), Reason::First),
        ("a unit that is turned off", of(Some(Start::Other), &off), Reason::Disabled),
    ] {
        assert_eq!(reason, expected, "{what}");
    }
    // systemd started it again, and somebody else first
    let again = |start, restarts| {
        let event = Event { start: Some(Start::Restart), restarts, ..event(Outcome::Failed, 3, 3000) };
        let restarts = Recent { times: 9, since: at(0) };
        decide(&Situation { start, restarts, ..situation(&event, &timers) }).reason
    };
    assert_eq!(again(Some(Start::Other), false), otherwise(Start::Other), "it gives up");
    assert_eq!(again(Some(Start::Other), true), otherwise(Start::Other), "it goes on and on");
    assert_eq!(again(Some(Start::Timer), true), Reason::KeepsRestarting, "a timer's run goes on and on");
    // and after runs that nobody asks about
    let after = |passed_over, told: &[Told]| {
        let event = Event { start: Some(Start::Timer), ..event(Outcome::Failed, 3, 90) };
        let mut incident = Incident::begin(1, event.subject.clone(), Severity::Critical, at(0));
        incident.failures = 4;
        decide(&Situation { incident: Some(&incident), passed_over, told, ..situation(&event, &timers) }).reason
    };
    assert_eq!(after(2, &[]), Reason::FirstAskedFor);
    let told = [told(3, 0)];
    assert_eq!(after(0, &told), Reason::SameProblem { told: at(0) });
}

#[test]
fn failures_of_earlier_incidents_count_where_somebody_asks_for_that() {
    let patient = Rules { ignore: 2, ignore_within: Duration::from_secs(86_400), ..rules() };
    let of = |earlier, finals, told: &[Told], rules: &Rules| {
        let event = event(Outcome::Failed, 3, 90);
        let mut incident = Incident::begin(1, event.subject.clone(), Severity::Critical, at(0));
        incident.failures = finals;
        let incident = (finals > 0).then_some(&incident);
        decide(&Situation { incident, earlier, finals, told, ..situation(&event, rules) }).reason
    };
    let ignored = |seen| Reason::IgnoredWithin { seen, of: 2, seconds: 86_400 };
    let too_often = |failures| Reason::TooOften { failures, seconds: 86_400 };
    let told = [told(3, 0)];
    for (what, reason, expected) in [
        ("the first", of(0, 0, &[], &patient), ignored(1)),
        ("the second, after a recovery", of(1, 0, &[], &patient), ignored(2)),
        ("the second of one incident", of(0, 1, &[], &patient), ignored(2)),
        ("the third, after two recoveries", of(2, 0, &[], &patient), too_often(3)),
        ("the third, after one recovery", of(1, 1, &[], &patient), too_often(3)),
        ("the third of one incident", of(0, 2, &[], &patient), Reason::IgnoredEnough { ignored: 2 }),
        ("each one more", of(3, 0, &[], &patient), too_often(4)),
        ("told already", of(9, 1, &told, &patient), Reason::SameProblem { told: at(0) }),
        ("nothing is ignored", of(9, 0, &[], &rules()), Reason::First),
    ] {
        assert_eq!(reason, expected, "{what}");
    }
}

#[test]
fn another_error_is_another_problem_where_somebody_asks_for_that() {
    let by_error = Rules { same_problem: SameProblem::Error, ..rules() };
    let with = |number, second, error: &str| Told { error: Some(error.to_owned()), ..told(number, second) };
    let of = |number, second, error: Option<&str>, told: &[Told], rules: &Rules| {
        let event = event(Outcome::Failed, number, second);
        let incident = Incident::begin(1, event.subject.clone(), Severity::Critical, at(0));
        decide(&Situation { incident: Some(&incident), told, error, ..situation(&event, rules) }).reason
    };
    let full = [with(3, 0, "disk full")];
    let both = [with(3, 0, "disk full"), with(3, 10, "no route")];
    let mixed = [with(3, 0, "disk full"), with(4, 10, "no route")];
    let new = |error: &str, was: &str| Reason::NewError { error: error.to_owned(), was: was.to_owned() };
    let same = |second| Reason::SameProblem { told: at(second) };
    for (what, reason, expected) in [
        ("the same error", of(3, 60, Some("disk full"), &full, &by_error), same(0)),
        ("another one", of(3, 60, Some("no route"), &full, &by_error), new("no route", "disk full")),
        ("nobody asks", of(3, 60, Some("no route"), &full, &rules()), same(0)),
        ("this one is not known", of(3, 60, None, &full, &by_error), same(0)),
        ("that one was not known", of(3, 60, Some("no route"), &[told(3, 0)], &by_error), same(0)),
        ("it is back, too soon", of(3, 60, Some("disk full"), &both, &by_error), Reason::TooSoon { until: at(310) }),
        ("it is back", of(3, 900, Some("disk full"), &both, &by_error), Reason::Returned { was: "no route".into() }),
        ("a third one", of(3, 60, Some("denied"), &both, &by_error), new("denied", "no route")),
        ("another status", of(5, 60, Some("denied"), &both, &by_error), Reason::NewProblem { was: status(3).to_string() }),
        ("compared with the same status", of(3, 60, Some("denied"), &mixed, &by_error), new("denied", "disk full")),
        (
            "another status is back",
            of(3, 900, Some("disk full"), &mixed, &by_error),
            Reason::Returned { was: status(4).to_string() },
        ),
    ] {
        assert_eq!(reason, expected, "{what}");
    }
}

/// A unit that flaps since second 0, and last did at 1000, before the event.
#[test]
fn a_silence_holds_failures_and_no_recovery() {
    let plain = rules();
    let patient = Rules { ignore: 1, ..rules() };
    let silence = Silence { glob: "*".into(), since: at(0), until: at(7200), by: "alice".into(), why: Some("a new disk".into()) };
    let silenced = || Reason::Silenced { until: at(7200), by: "alice".into(), why: Some("a new disk".into()) };
    let failed = |restarts| Event { restarts, ..event(Outcome::Failed, 3, 3000) };
    let open = Incident { state: State::Open, ..Incident::begin(1, failed(false).subject, Severity::Critical, at(0)) };
    let flapping = Flapping { how: How::Restarting, since: at(0), times: 9, last: at(2000), over: false };
    let flaps = open.clone().begins_to_flap(flapping);
    let (told_4, often) =
        ([Told { problem: status(4), at: at(0), error: None, restarts: false }], Recent { times: 9, since: at(0) });
    let under = |event: &Event, incident: Option<&Incident>, told: &[Told], rules: &Rules| {
        let silence = Some(&silence);
        let situation = Situation { incident, told, restarts: often, silence, ..situation(event, rules) };
        let Verdict { alert, reason, flaps, .. } = decide(&situation);
        assert_eq!(alert, reason.alert());
        (reason, flaps)
    };
    for (what, found, expected) in [
        ("a first failure", under(&failed(false), None, &[], &plain), (silenced(), Flaps::AsBefore)),
        ("a new problem", under(&failed(false), Some(&open), &told_4, &plain), (silenced(), Flaps::AsBefore)),
        (
            "what is ignored is that",
            under(&failed(false), None, &[], &patient),
            (Reason::Ignored { seen: 1, of: 1 }, Flaps::Ends),
        ),
        ("it begins to flap", under(&failed(true), None, &[], &plain), (silenced(), Flaps::AsBefore)),
        ("it flaps, and systemd gives up", under(&failed(false), Some(&flaps), &told_4, &plain), (silenced(), Flaps::GoesOn)),
        (
            "the recovery of what was told",
            under(&event(Outcome::Succeeded, 0, 3000), Some(&open), &told_4, &plain),
            (Reason::Recovered, Flaps::AsBefore),
        ),
    ] {
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn every_reason_says_whether_it_spoke() {
    let told = at(0);
    for reason in [
        Reason::First,
        Reason::FirstAskedFor,
        Reason::IgnoredEnough { ignored: 2 },
        Reason::NewProblem { was: String::new() },
        Reason::NewError { error: String::new(), was: String::new() },
        Reason::Returned { was: String::new() },
        Reason::Recovered,
        Reason::Ignored { seen: 1, of: 2 },
        Reason::IgnoredWithin { seen: 1, of: 2, seconds: 86_400 },
        Reason::TooOften { failures: 3, seconds: 86_400 },
        Reason::StartedOtherwise { by: Start::Other },
        Reason::SameProblem { told },
        Reason::TooSoon { until: told },
        Reason::RecoveryUnwanted,
        Reason::NeverTold,
        Reason::NothingWrong,
        Reason::SameRunFailed,
        Reason::Overtaken,
        Reason::Disabled,
        Reason::Cleared,
        Reason::KeepsRestarting,
        Reason::KeepsRecovering,
        Reason::StayedFailed { seconds: 3600 },
        Reason::Stable { seconds: 3600 },
        Reason::NoLongerRuns { seconds: 3600 },
        Reason::StartedAgain,
        Reason::Flapping,
        Reason::Unsteady,
        Reason::Waited,
        Reason::Reminder { every: 4 * 3600, told: 2 },
        Reason::TakenBack { every: 4 * 3600, told: 2 },
        Reason::Unacknowledged { after: 900, told: 1 },
        Reason::Silenced { until: told, by: "alice".into(), why: None },
    ] {
        let word = if reason.alert().is_some() { "spoke: " } else { "silent: " };
        assert!(reason.to_string().starts_with(word), "{reason:?}");
        assert_eq!(serde_json::from_str::<Reason>(&serde_json::to_string(&reason).unwrap()).unwrap(), reason);
    }
}
