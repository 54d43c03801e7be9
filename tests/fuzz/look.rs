//! Any sequence of the manager's messages: no failure of the journal's is passed over or filed twice, and once the journal is
//! complete nothing waits.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use sysalert::event::{Event, Manager, Outcome, Problem, Subject, UnitName};
use sysalert::host::journal::{Excerpt, Kind, Message, Messages, Succeeded, Troubled};
use sysalert::host::manager::{NoAnswer, Unit};
use sysalert::host::world::World;
use sysalert::trigger::look::{self, Change, Known, Look, When};
use sysalert::trigger::runs;

#[derive(Debug)]
struct Machine {
    messages: Vec<Message>,
    whole: bool,
    unit: Option<Unit>,
}

impl World for Machine {
    fn messages(&self, _: &Subject, since: DateTime<Utc>) -> Result<Messages, String> {
        let list = self.messages.iter().filter(|message| message.at >= since).cloned().collect();
        Ok(Messages { list, whole: self.whole })
    }

    fn troubled(&self, _: &Manager, _: DateTime<Utc>) -> Result<Troubled, String> {
        Err("not asked".to_owned())
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn succeeded(&self, _: DateTime<Utc>) -> Result<Succeeded, String> {
        Err("not asked".to_owned())
    }

    fn is_handled(&self, _: &Subject) -> Option<bool> {
        None
    }

    fn lines(&self, _: &Subject, _: &str, _: DateTime<Utc>, _: usize) -> Result<Excerpt, String> {
        Err("not asked".to_owned())
    }

    fn unit(&self, _: &Subject) -> Option<Unit> {
        self.unit.clone()
    }

    fn is_failed(&self, subject: &Subject) -> bool {
        self.unit(subject).is_some_and(|unit| unit.active == "failed")
    }

    fn problem(&self, _: &Subject) -> Option<Problem> {
        None
    }

    fn culprit(&self, _: &Subject) -> Result<Option<String>, NoAnswer> {
        Ok(None)
    }

    fn about(&self, _: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        None
    }
}

pub fn fuzz(until: super::Until) -> u64 {
    let input =
        (machine(), prop::collection::vec(told(), 0..4), (0..30i64, any::<bool>(), prop::option::of(0..30i64)), any::<bool>());
    super::rounds(until, &input, |(machine, mut told, (mark, open, failed), complete)| {
        // the record has each only once
        told.sort_by(|a, b| (&a.run, a.outcome.as_str()).cmp(&(&b.run, b.outcome.as_str())));
        told.dedup_by(|a, b| a.run == b.run && a.outcome == b.outcome);
        let unconfirmed = (1..).zip(told).collect();
        let (mark, last_failure) = (Some(at(mark)), failed.map(at));
        check(&machine, &Known { unconfirmed, mark, open, last_failure, ..Known::default() }, complete);
    })
}

fn check(machine: &Machine, known: &Known, complete: bool) {
    let account = runs::account("a.service", &machine.messages);
    let named: BTreeSet<_> = machine.messages.iter().filter_map(|message| message.invocation.as_deref()).collect();
    assert!(account.runs.len() <= named.len(), "more runs than invocations");

    let now = at(1000);
    let when =
        When { now, complete: complete.then_some(now), hold: TimeDelta::seconds(10), window: Some(TimeDelta::seconds(60)) };
    let look = look::look(machine, &subject(), known, when);
    let since = known.mark.unwrap();
    assert!(look.mark.is_some_and(|mark| mark >= since), "the mark goes back: {look:?}");

    let ids: Vec<i64> = look.changes.iter().filter_map(number).collect();
    let all: BTreeSet<i64> = ids.iter().copied().collect();
    assert_eq!(ids.len(), all.len(), "changed twice: {look:?}");
    assert!(all.iter().all(|id| known.unconfirmed.iter().any(|(known, _)| known == id)), "changed what is not there: {look:?}");

    let failed = |(run, at): &(String, DateTime<Utc>)| {
        let is_it =
            |message: &Message| message.kind == Kind::Failed && message.at == *at && message.invocation.as_ref() == Some(run);
        machine.messages.iter().any(is_it)
    };
    let mut filed = failures(&look);
    // where the journal is silent a trigger's word stands, twice too: the record keeps one
    filed.retain(failed);
    let unique: BTreeSet<_> = filed.iter().collect();
    assert_eq!(filed.len(), unique.len(), "filed twice: {look:?}");
    // what must wait comes with the next look
    let left = known.unconfirmed.iter().filter(|(id, _)| !all.contains(id)).cloned().collect();
    let next = Known { unconfirmed: left, mark: look.mark, ..Known::default() };
    let next = look::look(machine, &subject(), &next, When { complete: Some(now), ..when });
    if look.waits {
        filed.extend(failures(&next));
    }
    for message in machine.messages.iter().filter(|message| message.kind == Kind::Failed && message.at > since) {
        let Some(run) = &message.invocation else { continue };
        assert!(!machine.whole || filed.contains(&(run.clone(), message.at)), "passed over: {message:?}\n{look:?}\n{next:?}");
    }
    if complete && machine.whole {
        assert!(!look.waits, "it waits for nothing: {look:?}");
        assert_eq!(all.len(), known.unconfirmed.len(), "left as told: {look:?}");
        let again = Known { mark: look.mark, ..Known::default() };
        assert_eq!(failures(&look::look(machine, &subject(), &again, when)), [], "filed again");
    }
}

fn number(change: &Change) -> Option<i64> {
    match change {
        Change::File(_) | Change::StaysFailed => None,
        Change::Correct(id, _) | Change::Drop(id) => Some(*id),
    }
}

/// The runs that failed, and when.
fn failures(look: &Look) -> Vec<(String, DateTime<Utc>)> {
    let failed = look.changes.iter().filter_map(|change| match change {
        Change::File(event) | Change::Correct(_, event) if event.outcome == Outcome::Failed => {
            Some((event.run.clone(), event.at))
        }
        _ => None,
    });
    failed.collect()
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000_000 + second, 0).unwrap()
}

fn subject() -> Subject {
    Subject::unit(&Manager::System, &UnitName::typed("a").unwrap())
}

fn machine() -> impl Strategy<Value = Machine> {
    let messages = prop::collection::vec(message(), 0..20).prop_map(|mut messages| {
        messages.sort_by_key(|message| message.at);
        // each at a time of its own, as the journal's clock has them
        for (number, message) in (0..).zip(&mut messages) {
            message.at += TimeDelta::microseconds(number);
        }
        messages
    });
    (messages, any::<bool>(), prop::option::of(unit())).prop_map(|(messages, whole, unit)| Machine { messages, whole, unit })
}

fn run() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

fn message() -> impl Strategy<Value = Message> {
    use Kind::{Exited, Failed, JobFailed, Other, Restarts, Skipped, Started, Starting, Stopping, Succeeded};
    let kind = select(vec![Starting, Started, Exited, Failed, Failed, JobFailed, Succeeded, Skipped, Restarts, Stopping, Other]);
    let words =
        ["exit-code", "timeout", "dependency", "failed", "", "\0", "start operation timed out", ": \u{1f4a9} timed out", "n/a"];
    let word = move || prop::option::of(select(words.to_vec()).prop_map(str::to_owned));
    (kind, 0..30i64, prop::option::weighted(0.9, run()), word(), word(), word()).prop_map(
        |(kind, second, invocation, result, command, text)| {
            let exit = command.clone().zip(text.clone());
            Message {
                at: at(second),
                kind,
                invocation,
                result,
                exit,
                command: command.clone(),
                job: command,
                text,
                ..Message::default()
            }
        },
    )
}

fn unit() -> impl Strategy<Value = Unit> {
    let states =
        vec![("active", "running"), ("failed", "failed"), ("inactive", "dead"), ("activating", "auto-restart"), ("", "")];
    (select(states), prop::option::of(run()), prop::option::of(0..30i64)).prop_map(|((active, sub), invocation, since)| Unit {
        active: active.to_owned(),
        sub: sub.to_owned(),
        invocation,
        active_since: since.map(at),
        ..Unit::default()
    })
}

/// What a trigger told.
fn told() -> impl Strategy<Value = Event> {
    (prop::option::of(run()), any::<bool>(), 0..40i64).prop_map(|(run, failed, second)| Event {
        subject: subject(),
        outcome: if failed { Outcome::Failed } else { Outcome::Succeeded },
        run: run.clone().unwrap_or_else(|| format!("boot:{second}")),
        // systemd tells both, or neither
        problem: Problem { service_result: run.as_ref().map(|_| "exit-code".to_owned()), ..Problem::default() },
        invocation_id: run,
        triggered_by: None,
        start: None,
        restarts: false,
        at: at(second),
    })
}
