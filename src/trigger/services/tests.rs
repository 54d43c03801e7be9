//! Every state that the manager can show, and what a person would say of it.

use super::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
}

/// Now: so many seconds after the beginning of all that is older.
const NOW: i64 = 1_000;

/// "active running", "inactive dead not-found": as the list has it.
fn listed(words: &str) -> Listed {
    let mut words = words.split(' ').map(str::to_owned);
    let (active, sub) = (words.next().unwrap(), words.next().unwrap());
    let load = words.next().unwrap_or_else(|| "loaded".to_owned());
    Listed { name: "a.service".to_owned(), load, active, sub, has_job: false }
}

/// So many seconds it has been as it is.
fn since(seconds: i64) -> Detail {
    Detail { since: Some(at(NOW - seconds)), kind: Some("simple".to_owned()), ..Detail::default() }
}

const USUAL: Patience = Patience::Usual(Duration::from_secs(600));

fn told(unit: &Listed, detail: &Detail, patience: Patience, ended_itself: bool) -> String {
    shown(unit, detail, At { now: at(NOW), patience, is_named: true }, ended_itself)
}

fn shown(unit: &Listed, detail: &Detail, at: At, ended_itself: bool) -> String {
    match judge(unit, detail, at, &|| ended_itself) {
        Judgement::Works => "works".to_owned(),
        Judgement::Rests(why) => format!("rests: {why}"),
        Judgement::Moves(how) => format!("moves: {how}"),
        Judgement::Failed(problem) => format!("failed: {problem}"),
        Judgement::Trouble(problem) => format!("trouble: {problem}"),
    }
}

#[test]
fn what_is_active_works_whatever_its_file() {
    for words in ["active running", "active exited", "active listening", "active running not-found", "active running masked"] {
        assert_eq!(told(&listed(words), &Detail::default(), USUAL, false), "works", "{words}");
    }
}

#[test]
fn what_cannot_be_loaded_is_trouble() {
    for (words, expected) in [
        ("inactive dead not-found", "trouble: not found: systemd knows no unit of this name"),
        ("inactive dead masked", "trouble: masked: nothing can start it"),
        ("inactive dead bad-setting", "trouble: not loaded: its unit file has a mistake"),
        ("inactive dead error", "trouble: not loaded: systemd cannot load its unit file"),
    ] {
        assert_eq!(told(&listed(words), &Detail::default(), USUAL, false), expected, "{words}");
    }
}

#[test]
fn what_is_on_its_way_hangs_only_after_its_time() {
    let kind = |kind: &str, detail: Detail| Detail { kind: Some(kind.to_owned()), ..detail };
    let limit = |seconds, detail: Detail| Detail { limit: Some(Duration::from_secs(seconds)), ..detail };
    let own = |seconds| Patience::Own(Duration::from_secs(seconds));
    for (words, detail, patience, expected) in [
        ("activating start", since(599), USUAL, "moves: it starts"),
        ("activating start", since(601), USUAL, "trouble: hangs: it has been starting for more than 10m"),
        ("activating start", limit(90, since(601)), USUAL, "trouble: hangs: it has been starting for more than 10m"),
        ("activating start", limit(3600, since(601)), USUAL, "moves: it starts"),
        ("activating start", limit(3600, since(601)), own(60), "trouble: hangs: it has been starting for more than 1m"),
        ("activating start", kind("oneshot", since(99_999)), USUAL, "moves: it runs"),
        ("activating start", kind("oneshot", since(99)), own(60), "trouble: hangs: it has been starting for more than 1m"),
        ("activating start", kind("oneshot", since(59)), own(60), "moves: it starts"),
        ("activating auto-restart", since(99_999), USUAL, "moves: systemd starts it again"),
        ("activating auto-restart-queued", since(99_999), own(1), "moves: systemd starts it again"),
        ("deactivating stop-sigterm", limit(90, since(89)), USUAL, "moves: it stops"),
        ("deactivating stop-sigterm", since(601), USUAL, "trouble: hangs: it has been stopping for more than 10m"),
        ("deactivating stop", limit(3600, since(3599)), USUAL, "moves: it stops"),
        ("reloading reload", since(601), USUAL, "trouble: hangs: it has been reloading for more than 10m"),
        ("reloading reload", since(9), USUAL, "moves: it reloads"),
        ("refreshing refresh", since(9), USUAL, "moves: it reloads"),
        // a clock that was set back
        ("activating start", since(-50), own(0), "moves: it starts"),
        ("maintenance maintenance", since(601), USUAL, "moves: systemd works on it"),
    ] {
        assert_eq!(told(&listed(words), &detail, patience, false), expected, "{words} {detail:?} {patience:?}");
    }
}

#[test]
fn what_does_nothing_is_idle_stopped_or_not_running() {
    let never = || Detail { since: None, ..since(0) };
    let oneshot = |detail: Detail| Detail { kind: Some("oneshot".to_owned()), ..detail };
    let not_running = "trouble: not running: it ended by itself, without an error";
    for (what, detail, ended_itself, expected) in [
        ("an idle oneshot", oneshot(since(5)), true, "rests: it has nothing to do"),
        ("a oneshot that never ran", oneshot(never()), false, "rests: it has nothing to do"),
        ("one that was to remain", Detail { remains: true, ..oneshot(since(5)) }, false, "rests: it was stopped"),
        ("stopped", since(5), false, "rests: it was stopped"),
        ("ended by itself", since(5), true, not_running),
        ("socket-activated", Detail { triggered: true, ..since(5) }, true, "rests: it waits for what starts it"),
        (
            "started by D-Bus alone",
            Detail { kind: Some("notify".into()), on_bus: true, file_state: "static".into(), ..since(5) },
            true,
            "rests: it waits for what starts it",
        ),
        (
            "a daemon with a bus name",
            Detail { kind: Some("dbus".into()), on_bus: true, file_state: "enabled".into(), ..since(5) },
            true,
            not_running,
        ),
        ("skipped", Detail { skipped: true, is_due: true, ..never() }, false, "rests: skipped: a Condition...= of it is not met"),
        (
            "enabled, and its target is up",
            Detail { is_due: true, ..never() },
            false,
            "trouble: not running: it is enabled, and nothing has started it since the boot",
        ),
        ("disabled", never(), false, "rests: it was stopped, or never started"),
        ("a mount that went away", Detail { kind: None, ..since(5) }, true, not_running),
    ] {
        assert_eq!(told(&listed("inactive dead"), &detail, USUAL, ended_itself), expected, "{what}");
    }
    let waits = Listed { has_job: true, ..listed("inactive dead") };
    assert_eq!(told(&waits, &Detail { is_due: true, ..never() }, USUAL, false), "moves: its start waits");
}

#[test]
fn of_what_only_a_glob_stands_for_its_end_is_news_where_something_wants_it_to_run() {
    let glob =
        |detail: Detail| shown(&listed("inactive dead"), &detail, At { now: at(NOW), patience: USUAL, is_named: false }, true);
    let rests = "rests: nothing wants it to run";
    // what another unit starts to do something for it, and an instance that somebody started
    assert_eq!(glob(since(5)), rests);
    assert_eq!(glob(Detail { file_state: "enabled".to_owned(), ..since(5) }), rests, "enabled for what is not up");
    assert_eq!(glob(Detail { is_due: true, ..since(5) }), "trouble: not running: it ended by itself, without an error");
    let never = Detail { since: None, is_due: true, ..since(0) };
    assert_eq!(glob(never), "trouble: not running: it is enabled, and nothing has started it since the boot");
}

#[test]
fn what_its_files_let_rest_needs_nothing_whatever_it_did() {
    let idle = |detail: Detail| needs_nothing(&listed("inactive dead"), &detail);
    let oneshot = Detail { kind: Some("oneshot".to_owned()), ..since(5) };
    assert!(idle(oneshot.clone()) && idle(Detail { triggered: true, ..since(5) }));
    // whether these are as they should be shows each time
    assert!(!idle(since(5)) && !idle(Detail { skipped: true, ..since(5) }) && !idle(Detail { remains: true, ..oneshot.clone() }));
    for state in ["failed failed", "inactive dead masked", "activating start"] {
        assert!(!needs_nothing(&listed(state), &oneshot), "{state}");
    }
    assert!(!needs_nothing(&Listed { has_job: true, ..listed("inactive dead") }, &oneshot));
}

#[test]
fn what_failed_is_told_as_the_manager_has_it() {
    let problem = Problem {
        service_result: Some("exit-code".to_owned()),
        exit_code: Some("exited".to_owned()),
        exit_status: Some("3".to_owned()),
        cause: None,
    };
    let detail = Detail { problem, ..since(5) };
    assert_eq!(told(&listed("failed failed"), &detail, USUAL, false), "failed: exited with status 3");
}

#[test]
fn a_mistyped_name_finds_the_installed_one_of_its_type() {
    let installed = ["nginx.service", "postgresql@.service", "nginz.timer"].map(str::to_owned);
    for (name, expected) in [
        ("ngnix.service", Some("nginx.service")),
        ("nginx.timer", Some("nginz.timer")),
        ("something.service", None),
        ("nginx.mount", None),
    ] {
        assert_eq!(meant(name, &installed).as_deref(), expected, "{name}");
    }
}
