//! Each row is a situation and the reason that must come out.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::event::{Manager, Subject, UnitName};
use crate::incident::{Severity, State};

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

fn rules() -> Rules {
    Rules::from(&crate::config::Values { keys: &[KEYS, UNIT_KEYS], written: &[] })
}

/// `told`: the statuses that somebody was told, with the second of each.
fn failure(number: u8, second: i64, failures: u64, told: &[(u8, i64)], rules: &Rules) -> Verdict {
    let told: Vec<Told> = told.iter().map(|(number, second)| Told { problem: status(*number), at: at(*second) }).collect();
    let state = if told.is_empty() { State::Pending } else { State::Open };
    let event = event(Outcome::Failed, number, second);
    let mut incident = Incident::begin(1, event.subject.clone(), Severity::Critical, at(0));
    incident.failures = failures;
    incident.state = state;
    let incident = (failures > 0).then_some(&incident);
    let [run_failed, failed_since, recovered_by_then] = [false; 3];
    let situation =
        Situation { event: &event, incident, told: &told, finals: failures, run_failed, failed_since, recovered_by_then, rules };
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
    let recovered_by_then = false;
    decide(&Situation { event: &event, incident, told: &[], finals: 0, run_failed, failed_since, recovered_by_then, rules })
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
fn every_reason_says_whether_it_spoke() {
    let told = at(0);
    for reason in [
        Reason::First,
        Reason::IgnoredEnough { ignored: 2 },
        Reason::NewProblem { was: String::new() },
        Reason::Returned { was: String::new() },
        Reason::Recovered,
        Reason::Ignored { seen: 1, of: 2 },
        Reason::SameProblem { told },
        Reason::TooSoon { until: told },
        Reason::RecoveryUnwanted,
        Reason::NeverTold,
        Reason::NothingWrong,
        Reason::SameRunFailed,
        Reason::Overtaken,
        Reason::Disabled,
        Reason::Cleared,
    ] {
        let word = if reason.alert().is_some() { "spoke: " } else { "silent: " };
        assert!(reason.to_string().starts_with(word), "{reason:?}");
        assert_eq!(serde_json::from_str::<Reason>(&serde_json::to_string(&reason).unwrap()).unwrap(), reason);
    }
}
