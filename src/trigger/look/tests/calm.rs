//! What restarts again and again, and when that is over.

use super::*;

fn running(since: i64, run: &str) -> Option<Unit> {
    state("active", "running", run).map(|unit| Unit { active_since: Some(at(since)), ..unit })
}

/// A unit that flaps, and last did at second 1.
fn flapping() -> Known {
    Known { flapping: Some(at(1)), is_settled: true, ..incident() }
}

#[test]
fn calm_ends_flapping_whatever_became_of_the_unit() {
    let (calm, hour) = (1 + WINDOW.num_seconds(), WINDOW.num_seconds());
    let look_at = |unit: Option<Unit>, known: Known, second| {
        changes(&look(&Fake { unit, ..Fake::default() }, &subject(), &known, dispatch(second)))
    };
    let since = |second| running(second, "b");
    let stable = format!("file succeeded calm:{} success", at(1).timestamp_micros());
    let stopped = format!("{stable} stop");
    for (what, unit, known, second, expected) in [
        ("active since then", since(2), flapping(), calm + 1, vec![stable.clone()]),
        ("active, but not for so long", since(50), flapping(), 49 + hour, vec![]),
        ("too soon", since(2), flapping(), calm, vec![]),
        ("it failed, and stays so", state("failed", "failed", "b"), flapping(), calm, vec!["stays failed".to_owned()]),
        ("it waits for its restart", state("activating", "auto-restart", "b"), flapping(), 9999, vec![]),
        ("a job that runs long", state("activating", "start", "b"), flapping(), 9999, vec![]),
        ("a job that succeeded last", state("inactive", "dead", "b"), Known { well: true, ..flapping() }, calm, vec![stable]),
        ("stopped, or gone", state("inactive", "dead", "b"), flapping(), calm, vec![stopped]),
        ("not all is decided", since(2), Known { is_settled: false, ..flapping() }, 9999, vec![]),
        ("nobody knows", None, flapping(), 9999, vec![]),
    ] {
        assert_eq!(look_at(unit, known, second), expected, "{what}");
    }
    // after a clock that was set back nobody waits until its old time comes round
    let ahead = || Known { flapping: Some(at(9999)), ..flapping() };
    assert_eq!(look_at(state("failed", "failed", "b"), ahead(), 50), ["stays failed"]);
    assert_eq!(look_at(since(20), ahead(), 50), [""; 0], "it must be well for so long all the same");
    // what is new is decided first
    let look_at = |messages: Vec<Message>, unit| {
        changes(&look(&Fake { messages, unit, ..Fake::default() }, &subject(), &flapping(), dispatch(9999)))
    };
    assert_eq!(look_at(failing(20, "b"), state("failed", "failed", "b")), ["file failed b exit-code 3"]);
    let mut restarted =
        vec![message(20, Kind::Started, "b"), message(20, Kind::Succeeded, "b"), message(21, Kind::Restarts, "b")];
    assert_eq!(look_at(restarted.clone(), state("activating", "auto-restart", "b")), ["file succeeded restart:b success again"]);
    restarted.push(message(21, Kind::Started, "c"));
    let restart = at(21).timestamp_micros();
    let expected = ["file succeeded restart:b success again".to_owned(), format!("file succeeded calm:{restart} success")];
    assert_eq!(look_at(restarted, running(22, "c")), expected);
}

#[test]
fn a_restart_is_counted_once_and_when_it_comes() {
    let messages = vec![
        message(2, Kind::Started, "b"),
        message(3, Kind::Succeeded, "b"),
        message(5, Kind::Restarts, "b"),
        message(5, Kind::Started, "c"),
    ];
    let world = |count| Fake { messages: messages[..count].to_vec(), unit: state("active", "running", "c"), ..Fake::default() };
    let waiting = Fake { unit: state("activating", "auto-restart", "b"), ..world(2) };
    let first = look(&waiting, &subject(), &Known { mark: Some(at(1)), ..Known::default() }, dispatch(4));
    assert_eq!((changes(&first), first.mark), (vec![], Some(at(3))));
    let second = look(&world(4), &subject(), &Known { mark: first.mark, ..Known::default() }, dispatch(6));
    assert_eq!((changes(&second), second.mark), (vec!["file succeeded restart:b success again".to_owned()], Some(at(5))));
    let third = look(&world(4), &subject(), &Known { mark: second.mark, ..Known::default() }, dispatch(7));
    assert_eq!(changes(&third), [""; 0], "a look that finds nothing new costs nothing");
    // of a failure that is on record it is no news
    let failed = [failing(3, "b"), vec![message(5, Kind::Restarts, "b")]].concat();
    let world = Fake { messages: failed, unit: state("active", "running", "c"), ..Fake::default() };
    let known = Known { mark: Some(at(3)), last_failure: Some(at(3)), open: true, ..Known::default() };
    assert_eq!(changes(&look(&world, &subject(), &known, dispatch(6))), [""; 0]);
    // nobody wants to know
    let none = When { window: None, ..dispatch(6) };
    let world = Fake { messages, unit: state("active", "running", "c"), ..Fake::default() };
    assert_eq!(changes(&look(&world, &subject(), &Known { mark: Some(at(1)), ..Known::default() }, none)), [""; 0]);
}

#[test]
fn a_unit_that_is_inactive_between_two_runs_has_not_given_up() {
    let between = |when| {
        let unit = state("inactive", "dead", "b").map(|unit| Unit { restarted: true, changed: Some(at(3)), ..unit });
        let look = look(&Fake { messages: failing(2, "b"), unit, ..Fake::default() }, &subject(), &known(&[]), when);
        (changes(&look), look.waits)
    };
    assert_eq!(between(handler(3)), (vec![], true));
    assert_eq!(between(dispatch(2)), (vec![], true), "systemd's next word may not be there yet");
    assert_eq!(between(dispatch(3)), (vec!["file failed b exit-code 3".to_owned()], false));
}

#[test]
fn who_stops_a_unit_before_systemd_starts_it_again_is_not_told_that_it_gave_up() {
    let unit = state("inactive", "dead", "b").map(|unit| Unit { changed: Some(at(3)), ..unit });
    let look_at = |messages: Vec<Message>, when| {
        let look = look(&Fake { messages, unit: unit.clone(), ..Fake::default() }, &subject(), &known(&[]), when);
        (changes(&look), look.waits)
    };
    let stopped = [failing(2, "b"), vec![message(3, Kind::Stopped, "b")]].concat();
    assert_eq!(look_at(stopped, handler(3)), (vec!["file failed b exit-code 3 again".to_owned()], false));
    // it failed as it was stopped
    let failed = [vec![message(1, Kind::Stopping, "b")], failing(2, "b"), vec![message(3, Kind::Stopped, "b")]].concat();
    assert_eq!(look_at(failed, dispatch(3)), (vec!["file failed b exit-code 3".to_owned()], false));
}
