//! What flaps, and what does no longer.

use super::*;
use crate::event::Alarm;

/// Its failures a minute apart, the last of them at 660; since then it is quiet.
fn that_flaps(how: How, subject: &Subject, failures: u64, state: State) -> Incident {
    let flapping = Flapping { how, since: at(0), times: 12, last: at(660), over: false };
    Incident { flapping: Some(flapping), ..incident(subject, failures, 660, state) }
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_process_that_each_restart_brings_back_for_a_while() {
    let problem = Alarm::Restarts.problem();
    let event = Event::found(&Subject::process("billing"), Outcome::Failed, String::new(), problem, at(660));
    let incident = that_flaps(How::Alternating, &event.subject, 12, State::Open);
    let failures = [(at(660), event.problem.clone())];
    let flapping = Some((Phase::Begins, HOUR));
    check("process-again-and-again", &compose(&Report { flapping, ..report(&event, &incident, &failures) }));
    let well = Problem { cause: Some("it stays well".to_owned()), ..Problem::success() };
    let event = Event { outcome: Outcome::Succeeded, problem: well, at: at(1200), ..event };
    let flapping = Some((Phase::Stable, HOUR));
    check("process-well-for-long", &compose(&Report { flapping, ..report(&event, &incident, &failures) }));
}

#[test]
fn what_keeps_restarting() {
    let failed = event(unit("web.service"), Outcome::Failed, ["exit-code", "exited", "3"], 660);
    let event = Event { start: Some(Start::Restart), restarts: true, ..failed };
    let incident = that_flaps(How::Restarting, &event.subject, 12, State::Open);
    let lines = [
        Raw { at: at(659), identifier: "web", text: b"cannot bind to 0.0.0.0:80: Address already in use" },
        Raw { at: at(660), identifier: "systemd", text: b"web.service: Failed with result 'exit-code'." },
    ];
    let context = Context { ran: Some(Duration::from_millis(350)), last_success: Some(at(A_DAY_BEFORE)), ..with_lines(&lines) };
    let failures = minutes_apart(&["3"; 12]);
    let flapping = Some((Phase::Begins, HOUR));
    check("restarting", &compose(&Report { flapping, context: &context, ..report(&event, &incident, &failures) }));
}

#[test]
fn what_is_restarted_without_a_failure() {
    let event = Event { restarts: true, ..event(unit("web.service"), Outcome::Succeeded, ["success", "exited", "0"], 660) };
    let incident = that_flaps(How::Restarting, &event.subject, 0, State::Open);
    let flapping = Some((Phase::Begins, HOUR));
    let letter = compose(&Report { kind: Kind::Failure, flapping, ..report(&event, &incident, &[]) });
    check("restarting-well", &letter);
}

#[test]
fn what_keeps_failing_and_recovering() {
    let event = event(unit("sync.service"), Outcome::Failed, ["exit-code", "exited", "3"], 660);
    let incident = that_flaps(How::Alternating, &event.subject, 1, State::Open);
    let failures = [(at(660), event.problem.clone())];
    let flapping = Some((Phase::Begins, HOUR));
    check("alternating", &compose(&Report { flapping, ..report(&event, &incident, &failures) }));
}

#[test]
fn what_is_stable_again() {
    let event = event(unit("web.service"), Outcome::Succeeded, ["success", "", ""], 1200);
    let incident = that_flaps(How::Restarting, &event.subject, 12, State::Resolved);
    let flapping = Some((Phase::Stable, HOUR));
    let failures = minutes_apart(&["3"; 12]);
    let stable = Report { flapping, ..report(&event, &incident, &failures) };
    check("stable", &compose(&stable));
    let overtaken = compose_overtaken(&stable);
    assert!(
        overtaken.lead.ends_with(" The messages about that had not been sent yet: this one tells all."),
        "{}",
        overtaken.lead
    );
}

#[test]
fn what_flapped_and_was_stopped() {
    let event = event(unit("web.service"), Outcome::Succeeded, ["success", "", ""], 1200);
    let incident = that_flaps(How::Restarting, &event.subject, 0, State::Resolved);
    let flapping = Some((Phase::NoLongerRuns, HOUR));
    check("stopped", &compose(&Report { flapping, ..report(&event, &incident, &[]) }));
}
