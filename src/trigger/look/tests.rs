//! Each test is a meeting of triggers, journal and manager as it was seen on a booted systemd.

mod calm;
mod ended;
mod recoveries;

use std::cell::Cell;

use super::*;
use crate::event::{Manager, UnitName};
use crate::host::journal::{Excerpt, Kind, Message, Messages, Succeeded, Troubled};
use crate::host::manager::NoAnswer;

const HOLD: i64 = 10;
const WINDOW: TimeDelta = TimeDelta::seconds(100);

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
}

fn subject() -> Subject {
    Subject::unit(&Manager::System, &UnitName::typed("a").unwrap())
}

fn problem(result: &str, exit: Option<&str>) -> Problem {
    let code = exit.map(|_| "exited".to_owned());
    Problem { service_result: Some(result.into()), exit_code: code, exit_status: exit.map(str::to_owned), cause: None }
}

/// What a trigger told at this second; without a run it told nothing.
fn told(run: &str, second: i64) -> Event {
    let problem = if run.is_empty() { Problem::default() } else { problem("exit-code", Some("3")) };
    let invocation_id = (!run.is_empty()).then(|| run.to_owned());
    let run = if run.is_empty() { format!("boot:{second}") } else { run.to_owned() };
    Event {
        subject: subject(),
        outcome: Outcome::Failed,
        run,
        invocation_id,
        problem,
        triggered_by: None,
        start: None,
        restarts: false,
        at: at(second),
    }
}

#[derive(Default)]
struct Fake {
    messages: Vec<Message>,
    unit: Option<Unit>,
    silent: bool,
    cut_off: bool,
    busy: bool,
    asked: Cell<Option<DateTime<Utc>>>,
}

impl World for Fake {
    fn messages(&self, _: &Subject, since: DateTime<Utc>) -> Result<Messages, String> {
        self.asked.set(Some(since));
        if self.silent {
            return Err("no journal".into());
        }
        let list = self.messages.iter().filter(|message| message.at >= since).cloned().collect();
        Ok(Messages { list, whole: !self.cut_off })
    }

    fn troubled(&self, _: &Manager, _: DateTime<Utc>) -> Result<Troubled, String> {
        Err("not asked".into())
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn succeeded(&self, _: DateTime<Utc>) -> Result<Succeeded, String> {
        Err("not asked".into())
    }

    fn is_handled(&self, _: &Subject) -> Option<bool> {
        None
    }

    fn lines(&self, _: &Subject, _: &str, _: DateTime<Utc>, _: usize) -> Result<Excerpt, String> {
        Err("not asked".into())
    }

    fn unit(&self, _: &Subject) -> Option<Unit> {
        self.unit.clone()
    }

    fn is_failed(&self, subject: &Subject) -> bool {
        self.unit(subject).is_some_and(|unit| unit.active == "failed")
    }

    fn problem(&self, _: &Subject) -> Option<Problem> {
        Some(problem("signal", Some("9")))
    }

    fn culprit(&self, _: &Subject) -> Result<Option<String>, NoAnswer> {
        if self.busy { Err(NoAnswer) } else { Ok(Some("postgresql.service".into())) }
    }

    fn about(&self, _: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        None
    }
}

fn message(second: i64, kind: Kind, run: &str) -> Message {
    let invocation = (!run.is_empty()).then(|| run.to_owned());
    let result = (kind == Kind::Failed).then(|| "exit-code".to_owned());
    Message { at: at(second), kind, invocation, result, ..Message::default() }
}

/// A run that exits with status 3.
fn failing(second: i64, run: &str) -> Vec<Message> {
    let exit = Some(("exited".to_owned(), "3".to_owned()));
    vec![
        message(second, Kind::Started, run),
        Message { exit, command: Some("ExecStart".into()), ..message(second, Kind::Exited, run) },
        message(second, Kind::Failed, run),
    ]
}

fn state(active: &str, sub: &str, run: &str) -> Option<Unit> {
    Some(Unit { active: active.into(), sub: sub.into(), invocation: Some(run.into()), ..Unit::default() })
}

fn handler(second: i64) -> When {
    When { now: at(second), complete: None, hold: TimeDelta::seconds(HOLD), window: Some(WINDOW) }
}

fn dispatch(second: i64) -> When {
    When { complete: Some(at(second)), ..handler(second) }
}

/// The changes in short: "file b exit-code 3", "correct 1 a ... again" when systemd starts it again.
fn changes(look: &Look) -> Vec<String> {
    let shown = |event: &Event| {
        let Problem { service_result, exit_status, cause, .. } = &event.problem;
        let words =
            [Some(event.outcome.as_str()), Some(&event.run), service_result.as_deref(), exit_status.as_deref(), cause.as_deref()];
        let again = if event.restarts { " again" } else { "" };
        format!("{}{again}", words.into_iter().flatten().collect::<Vec<_>>().join(" "))
    };
    let one = |change: &Change| match change {
        Change::File(event) => format!("file {}", shown(event)),
        Change::Correct(id, event) => format!("correct {id} {}", shown(event)),
        Change::Drop(id) => format!("drop {id}"),
        Change::StaysFailed => "stays failed".to_owned(),
    };
    look.changes.iter().map(one).collect()
}

fn known(unconfirmed: &[(i64, Event)]) -> Known {
    Known { unconfirmed: unconfirmed.to_vec(), ..Known::default() }
}

/// An incident whose last failure was at second 1.
fn incident() -> Known {
    Known { mark: Some(at(1)), open: true, last_failure: Some(at(1)), ..Known::default() }
}

#[test]
fn what_systemd_merged_into_one_trigger_is_filed_too() {
    let messages = [failing(1, "a"), failing(2, "b"), failing(3, "c")].concat();
    let world = Fake { messages, unit: state("failed", "failed", "c"), ..Fake::default() };
    let look = look(&world, &subject(), &known(&[(1, told("b", 2))]), handler(4));
    assert_eq!(changes(&look), ["file failed a exit-code 3", "correct 1 failed b exit-code 3", "file failed c exit-code 3"]);
    assert_eq!((look.mark, look.waits), (Some(at(3)), false));
}

#[test]
fn a_timer_started_a_run_that_waited_and_not_the_run_after_its_own() {
    let look_at = |messages: Vec<Message>, run: &str| {
        let elapsed = Some(("a.timer".to_owned(), at(1)));
        let unit = state("failed", "failed", run).map(|unit| Unit { start: Some(Start::Other), elapsed, ..unit });
        let world = Fake { messages, unit, ..Fake::default() };
        let look = look(&world, &subject(), &Known { mark: Some(at(5)), ..known(&[(1, told(run, 9))]) }, handler(9));
        let [Change::Correct(1, event)] = look.changes.as_slice() else { panic!("{look:?}") };
        (event.start, event.triggered_by.clone())
    };
    let timers = (Some(Start::Timer), Some("a.timer".to_owned()));
    assert_eq!(look_at(failing(9, "a"), "a"), timers, "it waited for other units");
    assert_eq!(look_at([failing(1, "a"), failing(9, "b")].concat(), "b"), (Some(Start::Other), None), "by hand");
    let ended = vec![message(2, Kind::Succeeded, "a")];
    assert_eq!(look_at([ended, failing(9, "b")].concat(), "b"), (Some(Start::Other), None), "a ran when the timer elapsed");
}

#[test]
fn what_is_older_than_the_mark_never_comes_back() {
    let messages = [failing(1, "a"), failing(2, "b")].concat();
    let world = Fake { messages, unit: state("failed", "failed", "b"), ..Fake::default() };
    let known = Known { mark: Some(at(1)), ..known(&[(1, told("b", 2))]) };
    assert_eq!(changes(&look(&world, &subject(), &known, handler(3))), ["correct 1 failed b exit-code 3"]);
    // at the first sight of a unit its last minute is looked at, for the handler may have come late
    look(&world, &subject(), &super::Known { unconfirmed: vec![(1, told("b", 2))], ..Known::default() }, handler(3));
    assert_eq!(world.asked.get(), Some(at(2) - FIRST_SIGHT));
    // a mark ahead of the clock is of a clock that was set back
    let ahead = Known { mark: Some(at(9999)), ..Known::default() };
    look(&world, &subject(), &ahead, handler(100));
    assert_eq!(world.asked.get(), Some(at(100) - FIRST_SIGHT));
}

#[test]
fn where_the_record_begins_with_a_failure_the_one_just_before_it_is_no_news() {
    let messages = [failing(1, "a"), failing(2, "b")].concat();
    let world = Fake { messages, unit: state("failed", "failed", "b"), ..Fake::default() };
    let new = Known { recorded_since: Some(at(2)), ..known(&[(1, told("b", 2))]) };
    assert_eq!(changes(&look(&world, &subject(), &new, handler(3))), ["correct 1 failed b exit-code 3"]);
    let both = ["file failed a exit-code 3", "correct 1 failed b exit-code 3"];
    for (what, recorded_since) in
        [("an old record", at(-3600)), ("one that is just older than both", at(1) - TimeDelta::milliseconds(1))]
    {
        // the trigger came late enough that the record is not much older
        let known = Known { recorded_since: Some(recorded_since), ..known(&[(1, told("b", 2))]) };
        assert_eq!(changes(&look(&world, &subject(), &known, handler(3))), both, "{what}");
    }
}

#[test]
fn a_failure_is_final_only_when_systemd_does_not_start_it_again() {
    let one = known(&[(1, told("a", 1))]);
    let again = [failing(1, "a"), vec![message(2, Kind::Restarts, "a")]].concat();
    let rows = [
        (
            "it waits for its restart",
            failing(1, "a"),
            state("activating", "auto-restart", "a"),
            vec!["correct 1 failed a exit-code 3 again"],
        ),
        (
            "in 257's words",
            failing(1, "a"),
            state("activating", "auto-restart-queued", "a"),
            vec!["correct 1 failed a exit-code 3 again"],
        ),
        ("it was restarted", again, state("active", "running", "b"), vec!["correct 1 failed a exit-code 3 again"]),
        ("it stays failed", failing(1, "a"), state("failed", "failed", "a"), vec!["correct 1 failed a exit-code 3"]),
        (
            "it is unloaded",
            failing(1, "a"),
            Some(Unit { active: "inactive".into(), ..Unit::default() }),
            vec!["correct 1 failed a exit-code 3"],
        ),
    ];
    for (what, messages, unit, expected) in rows {
        let world = Fake { messages, unit, ..Fake::default() };
        assert_eq!(changes(&look(&world, &subject(), &one, handler(3))), expected, "{what}");
    }
    // a newer run, and no word on who began it: the journal must catch up first
    let world = Fake { messages: failing(1, "a"), unit: state("active", "running", "b"), ..Fake::default() };
    let early = look(&world, &subject(), &one, handler(3));
    assert_eq!((changes(&early), early.waits), (vec![], true));
    assert!(early.mark.is_some_and(|mark| mark < at(1)), "all of the run is read again: {:?}", early.mark);
    let late = look(&world, &subject(), &Known { mark: early.mark, ..one }, dispatch(3));
    assert_eq!((changes(&late), late.waits), (vec!["correct 1 failed a exit-code 3".to_owned()], false));
}

#[test]
fn a_manager_that_is_too_busy_to_say_that_it_starts_it_again_is_asked_again() {
    let one = known(&[(1, told("a", 1))]);
    let look_at = |busy, second| {
        let look = look(&Fake { messages: failing(1, "a"), busy, ..Fake::default() }, &subject(), &one, dispatch(second));
        (changes(&look), look.waits)
    };
    let decided = (vec!["correct 1 failed a exit-code 3".to_owned()], false);
    assert_eq!(look_at(true, 3), (vec![], true));
    assert_eq!(look_at(true, 61), decided, "but not for ever");
    assert_eq!(look_at(false, 3), decided, "where there is no bus nobody waits for it");
}

#[test]
fn a_new_run_is_waited_for_until_the_journal_can_tell_who_began_it() {
    let one = known(&[(1, told("a", 1))]);
    let unit = state("active", "running", "b").map(|unit| Unit { changed: Some(at(3)), ..unit });
    let world = Fake { messages: failing(1, "a"), unit, ..Fake::default() };
    let look_at = |complete, now| {
        let look = look(&world, &subject(), &one, When { complete: Some(at(complete)), ..handler(now) });
        (changes(&look), look.waits)
    };
    let sure = (vec!["correct 1 failed a exit-code 3".to_owned()], false);
    assert_eq!(look_at(2, 4), (vec![], true), "complete beyond the failure, but not beyond the start of the new run");
    assert_eq!(look_at(3, 4), sure);
    // nobody waits an hour for a time that the clock had before it was set back
    assert_eq!(look_at(-3600, -3600), sure);
}

#[test]
fn where_systemd_keeps_silent_about_starts_the_manager_knows_of_restarts() {
    // LogLevelMax=notice
    let messages = vec![message(1, Kind::Failed, "a"), message(2, Kind::Failed, "b")];
    let one = known(&[(1, told("a", 1)), (2, told("b", 2))]);
    let look_at = |active: &str, run: &str| {
        let unit = state(active, active, run).map(|unit| Unit { restarted: true, ..unit });
        changes(&look(&Fake { messages: messages.clone(), unit, ..Fake::default() }, &subject(), &one, dispatch(9)))
    };
    let again = ["correct 1 failed a exit-code 3 again", "correct 2 failed b exit-code 3 again"];
    assert_eq!(look_at("active", "c"), again);
    assert_eq!(look_at("failed", "b"), [again[0], "correct 2 failed b exit-code 3"]);
}

#[test]
fn a_restart_that_is_refused_turns_the_failure_final() {
    let mut messages = failing(1, "a");
    messages.extend([message(2, Kind::Restarts, "a"), message(3, Kind::Failed, "a")]);
    let world = Fake { messages, unit: state("failed", "failed", "a"), ..Fake::default() };
    let known = Known { mark: Some(at(1)), open: true, last_failure: Some(at(1)), ..Known::default() };
    let look = look(&world, &subject(), &known, handler(4));
    let [Change::File(event)] = look.changes.as_slice() else { panic!("{look:?}") };
    assert_eq!((event.run.as_str(), event.restarts, event.at), ("a", false, at(3)));
}

#[test]
fn a_trigger_without_words_is_explained_by_the_journal() {
    let world = Fake { messages: failing(1, "a"), unit: state("failed", "failed", "a"), ..Fake::default() };
    let look_at = |known: &Known, when| changes(&look(&world, &subject(), known, when));
    let one = known(&[(1, told("", 2))]);
    assert_eq!(look_at(&one, handler(2)), ["file failed a exit-code 3", "drop 1"]);
    // the next trigger for the same failure: nothing new in the journal, but it may not have caught up
    let second = Known { mark: Some(at(1)), last_failure: Some(at(1)), open: true, ..known(&[(2, told("", 2))]) };
    let early = look(&world, &subject(), &second, handler(2));
    assert_eq!((changes(&early), early.waits), (vec![], true));
    assert_eq!(look_at(&second, dispatch(2)), ["drop 2"]);
    // no failure on record that it could be about: it stands, as far as the manager knows it
    let third = Known { mark: Some(at(1)), ..known(&[(3, told("", 2))]) };
    assert_eq!(look_at(&third, dispatch(2)), ["correct 3 failed a signal 9"]);
}

#[test]
fn where_the_journal_is_silent_the_triggers_words_stand() {
    let one = known(&[(1, told("a", 1))]);
    let silent = Fake { silent: true, ..Fake::default() };
    assert_eq!(changes(&look(&silent, &subject(), &one, handler(1))), ["correct 1 failed a exit-code 3"]);
    let empty = Fake { unit: state("failed", "failed", "a"), ..Fake::default() };
    let early = look(&empty, &subject(), &one, handler(1));
    assert_eq!((changes(&early), early.waits), (vec![], true));
    assert_eq!(changes(&look(&empty, &subject(), &one, dispatch(1))), ["correct 1 failed a exit-code 3"]);
    // not read to its end: it may still tell
    let cut_off = Fake { cut_off: true, ..Fake::default() };
    assert!(look(&cut_off, &subject(), &one, dispatch(1)).waits);
}

#[test]
fn how_a_process_ended_that_was_told_to_end_the_trigger_knows() {
    let timeout = Message { result: Some("timeout".into()), ..message(1, Kind::Failed, "a") };
    let world = Fake { messages: vec![timeout], unit: state("failed", "failed", "a"), ..Fake::default() };
    let killed = Problem {
        service_result: Some("timeout".into()),
        exit_code: Some("killed".into()),
        exit_status: Some("TERM".into()),
        cause: None,
    };
    let one = known(&[(1, Event { problem: killed, ..told("a", 1) })]);
    assert_eq!(changes(&look(&world, &subject(), &one, handler(1))), ["correct 1 failed a timeout TERM"]);
}

#[test]
fn a_failed_dependency_has_a_culprit_and_no_run() {
    let refused = Message { result: Some("dependency".into()), job: Some("boot:7".into()), ..message(1, Kind::JobFailed, "") };
    let world = Fake { messages: vec![refused], ..Fake::default() };
    let one = known(&[(1, told("", 1))]);
    let sure = ["file failed boot:7 dependency postgresql.service", "drop 1"];
    assert_eq!(changes(&look(&world, &subject(), &one, handler(1))), sure);
    // the manager is too busy to tell: dispatch asks again, and tells it in any case
    let busy = Fake { busy: true, ..world };
    for when in [handler(1), dispatch(1), dispatch(60)] {
        let early = look(&busy, &subject(), &one, when);
        assert_eq!((changes(&early), early.waits), (vec![], true));
        assert!(early.mark.is_some_and(|mark| mark < at(1)), "{:?}", early.mark);
    }
    assert_eq!(changes(&look(&busy, &subject(), &one, dispatch(61))), ["file failed boot:7 dependency", "drop 1"]);
}
