//! When flapping begins, goes on and ends.

use super::*;

fn flapping(how: How, event: &Event, over: bool, rules: &Rules) -> Verdict {
    let incident = Incident::begin(1, event.subject.clone(), Severity::Critical, at(0));
    let flapping = Flapping { how, since: at(0), times: 9, last: at(1000), over };
    let told = [Told { restarts: how == How::Restarting, ..told(3, 100) }];
    let incident = incident.begins_to_flap(flapping);
    decide(&Situation { incident: Some(&incident), told: &told, ..situation(event, rules) })
}

#[test]
fn flapping_begins() {
    let plain = rules();
    let short = Rules { flapping_window: Duration::from_secs(10), ..rules() };
    let patient = Rules { ignore: 7, ..rules() };
    let each = Rules { alert_on: AlertOn::Each, ..rules() };
    let never = Rules { flapping: 0, ..rules() };
    let off = Rules { enabled: false, ..rules() };
    // it was restarted so often since second 0, and fails or ends well in that second
    let restarted = |outcome, times, second, rules: &Rules| {
        let event = Event { restarts: true, ..event(outcome, 3, second) };
        decide(&Situation { restarts: Recent { times, since: at(0) }, ..situation(&event, rules) }).reason
    };
    let failed = |times, second, rules| restarted(Outcome::Failed, times, second, rules);
    let ended = |times, second, rules| restarted(Outcome::Succeeded, times, second, rules);
    for (what, reason, expected) in [
        ("five restarts in an hour", failed(5, 3000, &plain), Reason::KeepsRestarting),
        ("four are not enough", failed(4, 3000, &plain), Reason::Restarts),
        ("a hundred within a minute may end at the start limit", failed(100, 59, &plain), Reason::Restarts),
        ("after a minute they are news", failed(100, 60, &plain), Reason::KeepsRestarting),
        ("or after half of a window that is short", failed(5, 5, &short), Reason::KeepsRestarting),
        ("that is not over yet", failed(5, 4, &short), Reason::Restarts),
        ("ignore = 7", failed(7, 3000, &patient), Reason::Restarts),
        ("ignore = 7, the eighth", failed(8, 3000, &patient), Reason::KeepsRestarting),
        ("each failure speaks, until they are too many", failed(4, 3000, &each), Reason::First),
        ("also with alert_on = each", failed(5, 3000, &each), Reason::KeepsRestarting),
        ("runs that end well", ended(5, 3000, &plain), Reason::KeepsRestarting),
        ("a few of them", ended(4, 3000, &plain), Reason::StartedAgain),
        ("nobody wants to know", failed(500, 3000, &never), Reason::Restarts),
        ("a unit that is turned off", failed(500, 3000, &off), Reason::Disabled),
    ] {
        assert_eq!(reason, expected, "{what}");
    }
    // so many incidents were told and are over
    let again = |times, restarts, rules: &Rules| {
        let event = Event { restarts, ..event(Outcome::Failed, 3, 3000) };
        let incidents = Recent { times, since: at(0) };
        decide(&Situation { incidents, restarts: Recent { times: 9, since: at(0) }, ..situation(&event, rules) }).reason
    };
    for (what, reason, expected) in [
        ("the fourth incident", again(3, false, &plain), Reason::First),
        ("the fifth", again(4, false, &plain), Reason::KeepsRecovering),
        ("of a unit that is restarted, too", again(4, true, &plain), Reason::KeepsRecovering),
        ("what is ignored is not told", again(4, false, &patient), Reason::Ignored { seen: 1, of: 7 }),
        ("nobody wants to know", again(400, false, &never), Reason::First),
        ("a unit that is turned off", again(4, false, &off), Reason::Disabled),
    ] {
        assert_eq!(reason, expected, "{what}");
    }
    // it was told that it stays failed
    let event = Event { restarts: true, ..event(Outcome::Failed, 3, 3000) };
    let told = |restarts| {
        let told = [Told { restarts, ..told(3, 0) }];
        let restarts = Recent { times: 9, since: at(0) };
        decide(&Situation { told: &told, restarts, ..situation(&event, &plain) }).reason
    };
    assert_eq!((told(false), told(true)), (Reason::Restarts, Reason::KeepsRestarting), "of what stays failed nothing is news");
}

#[test]
fn flapping_goes_on_and_ends() {
    use How::{Alternating, Restarting};
    let plain = rules();
    let never = Rules { flapping: 0, ..rules() };
    let off = Rules { enabled: false, ..rules() };
    let quiet = Rules { recovery: false, ..rules() };
    let failed = |restarts, second| Event { restarts, ..event(Outcome::Failed, 3, second) };
    let ended = |restarts, second| Event { restarts, problem: Problem::default(), ..event(Outcome::Succeeded, 0, second) };
    let stopped = |second| {
        let problem = Problem { cause: Some("stop".into()), ..Problem::default() };
        Event { problem, ..event(Outcome::Succeeded, 0, second) }
    };
    let hour = 3600;
    let same = || Reason::SameProblem { told: at(100) };
    for (what, verdict, reason, flaps, resolves) in [
        ("a restart", flapping(Restarting, &failed(true, 2000), false, &plain), Reason::Flapping, Flaps::GoesOn, false),
        ("a good end", flapping(Restarting, &ended(true, 2000), false, &plain), Reason::Flapping, Flaps::GoesOn, false),
        (
            "systemd gives up",
            flapping(Restarting, &failed(false, 2000), false, &plain),
            Reason::StaysFailed { restarts: 9 },
            Flaps::Ends,
            false,
        ),
        ("the next failure", flapping(Restarting, &failed(false, 2000), true, &plain), same(), Flaps::Ends, false),
        ("a job fails", flapping(Alternating, &failed(false, 2000), false, &plain), Reason::Flapping, Flaps::GoesOn, false),
        ("and recovers", flapping(Alternating, &ended(false, 2000), false, &plain), Reason::Unsteady, Flaps::AsBefore, false),
        (
            "its last failure, an hour after which it is decided anew",
            flapping(Alternating, &failed(false, 1000), true, &plain),
            Reason::StayedFailed { seconds: hour },
            Flaps::Ends,
            false,
        ),
        ("another after that", flapping(Alternating, &failed(false, 9000), true, &plain), same(), Flaps::Ends, false),
        (
            "a success too soon",
            flapping(Restarting, &ended(false, 4599), false, &plain),
            Reason::Unsteady,
            Flaps::AsBefore,
            false,
        ),
        (
            "a success after an hour of calm",
            flapping(Restarting, &ended(false, 4600), false, &plain),
            Reason::Stable { seconds: hour },
            Flaps::AsBefore,
            true,
        ),
        ("a stop too soon", flapping(Restarting, &stopped(4599), false, &plain), Reason::Stopped, Flaps::AsBefore, false),
        (
            "stopped an hour ago",
            flapping(Restarting, &stopped(4600), false, &plain),
            Reason::NoLongerRuns { seconds: hour },
            Flaps::AsBefore,
            true,
        ),
        ("it was repaired", flapping(Restarting, &ended(false, 2000), true, &plain), Reason::Recovered, Flaps::AsBefore, true),
        (
            "nobody wants recoveries",
            flapping(Restarting, &ended(false, 4600), false, &quiet),
            Reason::RecoveryUnwanted,
            Flaps::AsBefore,
            true,
        ),
        ("turned off: a failure", flapping(Restarting, &failed(true, 2000), false, &off), Reason::Disabled, Flaps::Ends, false),
        (
            "turned off: a success",
            flapping(Restarting, &ended(false, 2000), false, &off),
            Reason::Disabled,
            Flaps::AsBefore,
            true,
        ),
        (
            "flapping = 0: a failure",
            flapping(Restarting, &failed(true, 2000), false, &never),
            Reason::Restarts,
            Flaps::Ends,
            false,
        ),
        (
            "flapping = 0: a success",
            flapping(Restarting, &ended(false, 2000), false, &never),
            Reason::Recovered,
            Flaps::AsBefore,
            true,
        ),
    ] {
        assert_eq!((verdict.reason, verdict.flaps, verdict.resolves), (reason, flaps, resolves), "{what}");
    }
}
