use super::*;

/// A day, in seconds.
const DAY: i64 = 86_400;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000_000 + second, 0).unwrap()
}

/// An hour after the manager began to run.
fn now(absences: &[Absence]) -> Now<'_> {
    Now { now: at(0), booted: Some(at(-3600)), absences }
}

fn away(since: i64, until: i64) -> Absence {
    Absence { since: at(since), until: at(until) }
}

/// A daily timer that is well, and due in six hours.
fn well() -> Timer {
    Timer {
        name: "backup.timer".into(),
        load: "loaded".into(),
        active: "active".into(),
        sub: "waiting".into(),
        file: "enabled".into(),
        unit: "backup.service".into(),
        unit_load: "loaded".into(),
        handled: true,
        due: Some(at(6 * 3600)),
        next: Some(at(6 * 3600)),
        last: Some(at(-18 * 3600)),
        accuracy: Duration::from_secs(60),
        ..Timer::default()
    }
}

fn stopped(since: Option<i64>) -> Timer {
    Timer { active: "inactive".into(), sub: "dead".into(), due: None, next: None, inactive_since: since.map(at), ..well() }
}

/// Seen for days, active and enabled.
fn seen() -> Seen {
    Seen { since: at(-9 * DAY), active: true, enabled: true, due: None }
}

fn words(judgement: Judgement) -> String {
    match judgement {
        Judgement::Well => "well".into(),
        Judgement::Unsure => "unsure".into(),
        Judgement::Lapsed(lapse) => {
            let problem = lapse.problem();
            [problem.service_result, problem.cause].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn how_timers_are() {
    let load = |load: &str| Timer { load: load.into(), ..stopped(None) };
    let starts = |load: &str| Timer { unit_load: load.into(), ..well() };
    let never = |file: &str| Timer { file: file.into(), last: None, ..stopped(None) };
    let new = || None;
    let old = || Some(seen());
    let never_active = || Some(Seen { active: false, enabled: false, ..seen() });
    let fresh = || Some(Seen { since: at(-30), ..seen() });
    for (what, timer_is, seen, listed, expected) in [
        ("a healthy one at first sight", well(), new(), false, "well"),
        ("its unit runs", Timer { sub: "running".into(), due: None, next: None, ..well() }, old(), false, "well"),
        // what is enabled and does not run
        ("enabled, never started, at first sight", never("enabled"), new(), false, "unsure"),
        ("enabled, never started", never("enabled"), never_active(), false, "no-next-run not-started"),
        ("enabled, and seen only now", never("enabled"), fresh(), false, "unsure"),
        ("stopped long ago", stopped(Some(-120)), old(), false, "no-next-run stopped"),
        ("being restarted", stopped(Some(-20)), old(), false, "unsure"),
        ("a condition keeps it from being started", Timer { is_barred: true, ..never("enabled") }, old(), false, "well"),
        ("static and inactive", never("static"), new(), false, "well"),
        ("of a moment", Timer { file: "transient".into(), ..stopped(Some(-120)) }, old(), false, "well"),
        // by somebody's hand
        ("disabled by mistake", Timer { file: "disabled".into(), ..stopped(Some(-120)) }, old(), false, "no-next-run disabled"),
        ("disabled, not stopped", Timer { file: "disabled".into(), ..well() }, old(), false, "disabled"),
        ("active, never enabled", Timer { file: "disabled".into(), ..well() }, new(), false, "well"),
        ("disabled ever since", never("disabled"), new(), false, "well"),
        ("disabled ever since, and listed", never("disabled"), never_active(), true, "no-next-run not-enabled"),
        ("masked", load("masked"), old(), false, "not-loaded masked"),
        ("masked ever since", Timer { file: "masked".into(), ..load("masked") }, new(), false, "well"),
        // what does not load
        ("a time that does not parse", load("bad-setting"), new(), false, "not-loaded bad-setting"),
        ("removed, its unit stays", load("not-found"), old(), false, "not-loaded not-found"),
        ("removed with its unit", Timer { unit_load: "not-found".into(), ..load("not-found") }, old(), false, "well"),
        (
            "listed, and never there",
            Timer { unit_load: "not-found".into(), file: String::new(), ..load("not-found") },
            new(),
            true,
            "not-loaded not-found",
        ),
        ("its unit is masked", starts("masked"), old(), false, "nothing-to-start backup.service masked"),
        ("its unit does not load", starts("bad-setting"), new(), false, "nothing-to-start backup.service bad-setting"),
        ("its unit's state is not known", starts(""), old(), false, "well"),
        // what has no next time
        (
            "all of its times are over",
            Timer { sub: "elapsed".into(), due: None, next: None, last: None, ..well() },
            new(),
            false,
            "no-next-run elapsed",
        ),
        ("once in each boot", Timer { sub: "elapsed".into(), due: None, next: None, ..well() }, new(), false, "well"),
        (
            "it could not start its unit",
            Timer { active: "failed".into(), sub: "failed".into(), ..stopped(Some(-5)) },
            old(),
            false,
            "no-next-run failed",
        ),
        (
            "the same, and a handler of its own tells it",
            Timer { active: "failed".into(), is_handled_itself: true, ..stopped(Some(-5)) },
            old(),
            false,
            "well",
        ),
        // what was due
        ("due a minute ago", Timer { due: Some(at(-60)), next: Some(at(-60)), ..well() }, old(), false, "well"),
        (
            "due an hour ago",
            Timer { due: Some(at(-3600)), next: Some(at(-3600)), ..well() },
            old(),
            false,
            "not-run 2001-09-09T00:46:40.000000Z",
        ),
        (
            "due an hour ago, and it may be a day late",
            Timer { due: Some(at(-3600)), next: Some(at(-3600)), accuracy: Duration::from_secs(86_400), ..well() },
            old(),
            false,
            "well",
        ),
    ] {
        let (judgement, _) = timer(&timer_is, seen.as_ref(), None, listed, now(&[]));
        assert_eq!(words(judgement), expected, "{what}");
    }
}

#[test]
fn in_a_new_boot_timers_are_waited_for() {
    let at_boot = Now { booted: Some(at(-10)), ..now(&[]) };
    let (judgement, _) = timer(&stopped(None), Some(&seen()), None, false, at_boot);
    assert_eq!(words(judgement), "unsure");
}

#[test]
fn what_was_due_and_did_not_run() {
    let due = at(-3600);
    let noted = || Some(Seen { due: Some(due), ..seen() });
    let ran = Timer { last: Some(at(-3599)), ..well() };
    let runs = Timer { sub: "running".into(), due: None, next: None, ..well() };
    let not_run = "not-run 2001-09-09T00:46:40.000000Z";
    for (what, timer_is, seen, missed, absences, expected) in [
        ("it ran", ran.clone(), noted(), None, vec![], "well"),
        ("it was restarted at that moment", well(), noted(), None, vec![], not_run),
        ("its unit has run since before", runs, noted(), None, vec![], "well"),
        ("the host was off", well(), noted(), None, vec![away(-7200, -1800)], "well"),
        ("the host was off before", well(), noted(), None, vec![away(-9000, -7200)], not_run),
        ("told, and not yet due again", well(), None, Some(at(-3000)), vec![], "unsure"),
        ("told, and it has run since", ran, None, Some(at(-3700)), vec![], "well"),
    ] {
        let (judgement, after) = timer(&timer_is, seen.as_ref(), missed, false, now(&absences));
        assert_eq!(words(judgement), expected, "{what}");
        assert_eq!(after.due, timer_is.due, "{what}: the next time is noted");
    }
}

#[test]
fn only_what_is_far_ahead_is_noted_and_only_when_it_is_new() {
    let with = |due: i64| Timer { due: Some(at(due)), ..well() };
    let noted = |due: Option<i64>, next: i64| {
        let before = Seen { due: due.map(at), ..seen() };
        timer(&with(next), Some(&before), None, false, now(&[])).1.due.map(|due| (due - at(0)).num_seconds())
    };
    assert_eq!(noted(None, 7200), Some(7200));
    assert_eq!(noted(None, 60), None, "each minute a commit would be too much");
    assert_eq!(noted(Some(60), 60), Some(60), "what was noted in time is kept");
    assert_eq!(noted(Some(60), 7200), Some(7200), "somebody has changed its times");
    assert_eq!(noted(Some(-30), 7200), Some(-30), "it may run yet");
    let (_, after) = timer(&stopped(Some(-120)), Some(&Seen { due: Some(at(60)), ..seen() }), None, false, now(&[]));
    assert_eq!(after.due, None, "what is stopped is not due");
}

#[test]
fn a_success_is_expected_of_the_time_in_which_the_host_runs() {
    let expected = Duration::from_secs(26 * 3600);
    let weekend = || vec![away(-60 * 3600, -3600)];
    for (what, last, since, absences, lapsed) in [
        ("yesterday", Some(-25 * 3600), 0, vec![], false),
        ("the day before", Some(-27 * 3600), 0, vec![], true),
        ("to the second", Some(-26 * 3600), 0, vec![], true),
        ("off over the weekend", Some(-70 * 3600), 0, weekend(), false),
        ("off over the weekend, and long before", Some(-90 * 3600), 0, weekend(), true),
        ("off before the last success", Some(-27 * 3600), 0, vec![away(-90 * 3600, -28 * 3600)], true),
        ("off and on again, partly before it", Some(-30 * 3600), 0, vec![away(-40 * 3600, -25 * 3600)], false),
        ("never, and seen only now", None, 0, vec![], false),
        ("never since it is known", None, -27 * 3600, vec![], true),
        ("it ran a moment ago, the clock is behind", Some(5), 0, vec![], false),
    ] {
        let judgement = job(expected, last.map(at), at(since), now(&absences));
        assert_eq!(judgement != Judgement::Well, lapsed, "{what}: {judgement:?}");
    }
}

#[test]
fn what_lasts_counts_once_and_what_comes_again_once_more() {
    let hours = |hours: i64| {
        let lapse = Lapse::Overdue { expected: Duration::from_secs(3600), last: Some(at(-hours * 3600)) };
        occurrence(&lapse, at(0), now(&[])).unwrap().rsplit_once(':').unwrap().1.to_owned()
    };
    assert_eq!([1, 24, 25, 49].map(hours), ["0", "0", "1", "2"], "once a day, however soon it was expected");
    let due = |second| occurrence(&Lapse::NotRun { due: at(second) }, at(0), now(&[]));
    assert_ne!(due(1), due(2));
    assert_eq!(occurrence(&Lapse::Disabled, at(0), now(&[])), None);
}

#[test]
fn when_the_host_was_off_or_asleep() {
    let pulse_at = |boot: &str, second: i64, slept: u64| Pulse {
        booted: Some(at(if boot == "a" { -9 * DAY } else { -30 })),
        slept: Duration::from_secs(slept),
        up: Duration::ZERO,
        at: at(second),
    };
    let now = pulse_at("b", 0, 100);
    for (what, noted, expected) in [
        ("at first", None, (true, Some(Absence { since: DateTime::UNIX_EPOCH, until: at(-30) }))),
        ("a moment later", Some(pulse_at("b", -30, 100)), (false, None)),
        ("an hour later", Some(pulse_at("b", -3600, 100)), (true, None)),
        ("it slept for a minute", Some(pulse_at("b", -600, 40)), (true, Some(away(-60, 0)))),
        ("it slept for a second", Some(pulse_at("b", -600, 99)), (false, None)),
        ("it was off for a day", Some(pulse_at("a", -DAY, 0)), (true, Some(away(-DAY, -30)))),
        ("it was booted just now", Some(pulse_at("a", -20, 0)), (true, None)),
        ("the clock was set back by a day", Some(pulse_at("b", DAY, 100)), (true, None)),
    ] {
        assert_eq!(pulse(noted.as_ref(), &now), expected, "{what}");
    }
}

#[test]
fn a_clock_without_a_battery_jumps_over_the_time_in_which_the_host_was_off() {
    const MONTHS: i64 = 60 * DAY;
    // switched off at second 0; the clock of the next boot goes on from there, until the network tells the time
    let pulse_of = |booted: i64, up: u64, second: i64| Pulse {
        booted: Some(at(booted)),
        slept: Duration::ZERO,
        up: Duration::from_secs(up),
        at: at(second),
    };
    let before = pulse_of(-9 * DAY, 9 * 86_400, 0);
    let early = pulse_of(5, 15, 20);
    for (what, noted, now, expected) in [
        ("the first look comes before the network's time", &before, early.clone(), (true, Some(away(0, 5)))),
        ("... and the next one after it", &early, pulse_of(5, 45, MONTHS), (true, Some(away(50, MONTHS)))),
        ("the first look comes after it", &before, pulse_of(5, 45, MONTHS), (true, Some(away(0, MONTHS - 45)))),
        ("the clock goes on", &early, pulse_of(5, 45, 50), (false, None)),
        ("the clock is put right by half a minute", &early, pulse_of(5, 45, 80), (false, None)),
        ("the clock is set back by a year", &early, pulse_of(5, 45, -365 * DAY), (true, None)),
        ("a boot while the clock was ahead", &pulse_of(5, 45, MONTHS), pulse_of(30, 10, 40), (true, None)),
    ] {
        assert_eq!(pulse(Some(noted), &now), expected, "{what}");
    }
    let record = Pulse { up: Duration::ZERO, ..early.clone() };
    assert_eq!(pulse(Some(&record), &pulse_of(5, 45, MONTHS)), (true, None), "older records do not tell");

    // a backup of the evening before it was switched off, and one that was due while it was off
    let (_, absence) = pulse(Some(&before), &pulse_of(5, 45, MONTHS));
    let absences = [absence.unwrap()];
    let now = Now { now: at(MONTHS), booted: pulse_of(5, 45, MONTHS).begun(), absences: &absences };
    assert_eq!(job(Duration::from_secs(26 * 3600), Some(at(-3600)), at(-9 * DAY), now), Judgement::Well);
    let due = Timer { due: Some(at(MONTHS + 3600)), next: Some(at(MONTHS + 3600)), last: Some(at(-3600)), ..well() };
    let noted = Seen { due: Some(at(3600)), ..seen() };
    assert_eq!(timer(&due, Some(&noted), None, false, now).0, Judgement::Well);
    // what is enabled has a minute to be started in, by the clock that is right
    assert_eq!(timer(&stopped(None), Some(&seen()), None, false, now).0, Judgement::Unsure);
}
