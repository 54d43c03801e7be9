//! Which successes end an incident, and when a daemon has recovered.

use super::*;

#[test]
fn what_ended_well_since_is_a_recovery_and_a_stop_is_none() {
    let run = |kinds: &[Kind]| {
        let messages: Vec<_> = kinds.iter().map(|kind| message(2, *kind, "b")).collect();
        let world = Fake { messages, unit: state("inactive", "dead", "b"), ..Fake::default() };
        changes(&look(&world, &subject(), &incident(), dispatch(3)))
    };
    assert_eq!(run(&[Kind::Starting, Kind::Succeeded, Kind::Started]), ["file succeeded b success"]);
    assert_eq!(run(&[Kind::Started, Kind::Stopping, Kind::Succeeded]), [""; 0]);
    assert_eq!(run(&[Kind::Started, Kind::Succeeded, Kind::Restarts]), ["file succeeded restart:b success again"], "no recovery");
    assert_eq!(run(&[Kind::Starting]), [""; 0]);
    // it ended well, and waits for its restart: systemd says so in the journal only when that comes
    let look_at = |unit| {
        let world = Fake { messages: vec![message(2, Kind::Succeeded, "b")], unit, ..Fake::default() };
        let look = look(&world, &subject(), &incident(), handler(3));
        (changes(&look), look.waits)
    };
    assert_eq!(look_at(state("activating", "auto-restart", "b")), (vec![], false));
    assert_eq!(look_at(state("active", "running", "c")), (vec![], true));
    // with nothing wrong a success leaves no trace
    let messages = vec![message(2, Kind::Succeeded, "b")];
    let world = Fake { messages, ..Fake::default() };
    let fine = Known { mark: Some(at(1)), ..Known::default() };
    assert_eq!(changes(&look(&world, &subject(), &fine, dispatch(3))), [""; 0]);
}

#[test]
fn what_systemd_starts_again_has_not_recovered() {
    let messages = vec![message(2, Kind::Started, "b"), message(2, Kind::Succeeded, "b")];
    let success = Event { outcome: Outcome::Succeeded, problem: problem("success", Some("0")), ..told("b", 2) };
    let look_at = |unconfirmed: &[(i64, Event)], unit, when| {
        let world = Fake { messages: messages.clone(), unit, ..Fake::default() };
        let look = look(&world, &subject(), &Known { unconfirmed: unconfirmed.to_vec(), ..incident() }, when);
        (changes(&look), look.waits, look.mark < Some(at(2)))
    };
    // it waits for its restart, and the journal tells of that only then
    let waiting = || state("activating", "auto-restart", "b");
    assert_eq!(look_at(&[], waiting(), dispatch(3)), (vec![], false, false));
    let dropped = "drop 1".to_owned();
    assert_eq!(look_at(&[(1, success.clone())], waiting(), handler(3)), (vec![dropped], false, false));
    // a newer run, and no word on who began it
    let newer = || state("active", "running", "c");
    assert_eq!(look_at(&[], newer(), handler(3)), (vec![], true, true));
    assert_eq!(look_at(&[(1, success)], newer(), handler(3)), (vec![], true, true));
    assert_eq!(look_at(&[], newer(), dispatch(3)).0, ["file succeeded b success"]);
}

#[test]
fn a_trigger_that_tells_of_no_true_success_hides_no_recovery() {
    let unit = state("active", "running", "c").map(|unit| Unit { active_since: Some(at(3)), ..unit });
    let messages = [Kind::Stopping, Kind::Succeeded].map(|kind| message(2, kind, "b")).to_vec();
    let world = Fake { messages, unit, ..Fake::default() };
    let stop = Event { outcome: Outcome::Succeeded, problem: problem("success", Some("0")), ..told("b", 2) };
    let known = Known { unconfirmed: vec![(1, stop)], ..incident() };
    let expected = ["correct 1 succeeded b success 0 stop", "file succeeded c success"];
    assert_eq!(changes(&look(&world, &subject(), &known, dispatch(3 + HOLD))), expected);
}

#[test]
fn a_success_after_a_failure_that_nobody_told_is_waited_for() {
    let messages = [failing(1, "a"), vec![message(2, Kind::Succeeded, "b")]].concat();
    // the trigger of a third run came before the journal knew of it
    let world = Fake { messages, unit: state("failed", "failed", "c"), ..Fake::default() };
    let known = Known { recorded_since: Some(at(-3600)), ..known(&[(1, told("c", 3))]) };
    let look = look(&world, &subject(), &known, handler(3));
    assert_eq!((changes(&look), look.waits), (vec!["file failed a exit-code 3".to_owned()], true));
    assert!(look.mark.is_some_and(|mark| mark < at(2)), "the success is read again: {:?}", look.mark);
}

#[test]
fn a_success_between_two_failures_is_filed_between_them() {
    let messages = [
        vec![message(2, Kind::Succeeded, "b")],
        failing(3, "c"),
        vec![message(4, Kind::Succeeded, "d"), message(5, Kind::Succeeded, "e")],
    ]
    .concat();
    let world = Fake { messages, unit: state("inactive", "dead", "e"), ..Fake::default() };
    let look = look(&world, &subject(), &incident(), dispatch(6));
    let expected = ["file failed c exit-code 3", "file succeeded b success", "file succeeded d success"];
    assert_eq!(changes(&look), expected, "decided in the order of their times; e was no news");
}

#[test]
fn a_daemon_has_recovered_when_it_was_active_long_enough() {
    let active =
        |since: i64, run: &str| state("active", "running", run).map(|unit| Unit { active_since: Some(at(since)), ..unit });
    let look_at = |unit: Option<Unit>, second| {
        let world = Fake { unit, messages: vec![message(2, Kind::Started, "b")], ..Fake::default() };
        changes(&look(&world, &subject(), &incident(), dispatch(second)))
    };
    assert_eq!(look_at(active(2, "b"), 2 + HOLD - 1), [""; 0]);
    assert_eq!(look_at(active(2, "b"), 2 + HOLD), ["file succeeded b success"]);
    assert_eq!(look_at(active(0, "a"), 99), [""; 0], "active before it failed");
    assert_eq!(look_at(state("activating", "auto-restart", "b"), 99), [""; 0]);
    assert_eq!(look_at(state("inactive", "dead", "b"), 99), [""; 0], "stopped");
    assert_eq!(look_at(None, 99), [""; 0], "nobody knows");
}

#[test]
fn a_trigger_for_a_success_is_believed_when_the_journal_agrees() {
    let success = Event { outcome: Outcome::Succeeded, problem: problem("success", Some("0")), ..told("b", 2) };
    let look_at = |kinds: &[Kind], when| {
        let messages: Vec<_> = kinds.iter().map(|kind| message(2, *kind, "b")).collect();
        let world = Fake { messages, unit: state("inactive", "dead", "b"), ..Fake::default() };
        let known = Known { unconfirmed: vec![(1, success.clone())], ..incident() };
        let look = look(&world, &subject(), &known, when);
        (changes(&look), look.waits)
    };
    let sure = |text: &str| (vec![text.to_owned()], false);
    assert_eq!(look_at(&[Kind::Starting, Kind::Succeeded], handler(2)), sure("correct 1 succeeded b success 0"));
    assert_eq!(look_at(&[Kind::Stopping, Kind::Succeeded], handler(2)), sure("correct 1 succeeded b success 0 stop"));
    let again = ["drop 1", "file succeeded restart:b success again"].map(str::to_owned).to_vec();
    assert_eq!(look_at(&[Kind::Succeeded, Kind::Restarts], handler(2)), (again, false));
    assert_eq!(look_at(&[Kind::Starting], handler(2)), (vec![], true));
    assert_eq!(look_at(&[], dispatch(2)), sure("correct 1 succeeded b success 0"));
    let waiting = Fake {
        messages: vec![message(2, Kind::Succeeded, "b")],
        unit: state("activating", "auto-restart", "b"),
        ..Fake::default()
    };
    let known = Known { unconfirmed: vec![(1, success)], ..incident() };
    assert_eq!(changes(&look(&waiting, &subject(), &known, handler(2))), ["drop 1"]);
}
