//! What ExecStopPost= told, before systemd itself called the run over.

use super::*;

/// The run "a" exited with status 3 at this second, and systemd has not called it a failure yet.
fn exited(second: i64) -> Vec<Message> {
    failing(second, "a").into_iter().filter(|message| message.kind != Kind::Failed).collect()
}

fn success(run: &str, second: i64) -> Event {
    Event { outcome: Outcome::Succeeded, problem: problem("success", Some("0")), ..told(run, second) }
}

#[test]
fn while_the_unit_is_being_stopped_nothing_is_said() {
    let unit = state("deactivating", "stop-post", "a");
    for told in [told("a", 1), success("a", 1)] {
        let world = Fake { messages: exited(1), unit: unit.clone(), ..Fake::default() };
        let look = look(&world, &subject(), &known(&[(1, told)]), dispatch(30));
        assert_eq!((changes(&look), look.waits), (vec![], false), "nor waited for: that may take long");
        assert!(look.mark < Some(at(1)), "and the next look begins before it");
    }
    // another run is being stopped: that one is over
    let world = Fake { messages: exited(1), unit: state("deactivating", "stop-post", "b"), ..Fake::default() };
    assert_eq!(
        changes(&look(&world, &subject(), &known(&[(1, told("a", 1))]), dispatch(30))),
        ["correct 1 failed a exit-code 3"]
    );
}

#[test]
fn what_systemd_said_after_it_is_waited_for() {
    let changed = |second| state("active", "running", "b").map(|unit| Unit { changed: Some(at(second)), ..unit });
    let half = at(1) + TimeDelta::milliseconds(500);
    for told in [told("a", 1), success("a", 1)] {
        let look_at = |unit, complete| {
            let world = Fake { messages: exited(1), unit, ..Fake::default() };
            let look = look(&world, &subject(), &known(&[(1, told.clone())]), When { complete: Some(complete), ..dispatch(30) });
            (look.changes.len(), look.waits)
        };
        // the journal is complete up to the event, and systemd went on since
        assert_eq!(look_at(changed(2), half), (0, true));
        assert_eq!(look_at(changed(2), at(2)), (1, false));
        // a unit that goes on and on holds nothing up
        assert_eq!(look_at(changed(20), at(2)), (1, false));
        // and what the manager said before it needs no wait
        assert_eq!(look_at(changed(0), at(1)), (1, false));
    }
}
