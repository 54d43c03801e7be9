//! A look at a unit: what the journal and the manager know, beside what its triggers told.
//!
//! A trigger comes late, once for several failures, or with the words of another run; the manager's own messages tell every
//! failure, with its run. So they decide, and a trigger's word stands only where they are silent.

mod flapping;
mod told;

use chrono::{DateTime, TimeDelta, Utc};

use super::runs::{self, Account, Run};
use crate::event::{Event, Outcome, Problem, Start, Subject};
use crate::host::journal::{Kind, Message};
use crate::host::manager::Unit;
use crate::host::world::World;

/// What is on record about a subject.
#[derive(Debug, Default)]
pub struct Known {
    /// The events that stand as their triggers told them, with their numbers.
    pub unconfirmed: Vec<(i64, Event)>,
    /// Up to when the journal was asked; `None`: never.
    pub mark: Option<DateTime<Utc>>,
    /// From when on it may have failures that are not filed: a sweep saw one, or none has come further.
    pub seen: Option<DateTime<Utc>>,
    /// Since when there is a record at all.
    pub recorded_since: Option<DateTime<Utc>>,
    /// True when an incident is not over, and its last event is none of a success.
    pub open: bool,
    /// True when what is wrong is that it does not run: one more run that ends, however well, is no end of that.
    pub down: bool,
    /// When a unit that flaps last failed or was restarted.
    pub flapping: Option<DateTime<Utc>>,
    /// True when one that flaps has succeeded since then.
    pub well: bool,
    /// True when all is decided that is on record about one that flaps.
    pub is_settled: bool,
    /// The last failure that is confirmed.
    pub last_failure: Option<DateTime<Utc>>,
}

/// When and how a look is taken.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// Now.
    pub now: DateTime<Utc>,
    /// Up to when the journal is surely complete; `None`: nobody can tell.
    pub complete: Option<DateTime<Utc>>,
    /// So long a unit must be active to count as recovered.
    pub hold: TimeDelta,
    /// So long nothing must happen to a unit that flapped; `None`: none does.
    pub window: Option<TimeDelta>,
}

/// What follows for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One more event; what is on record already stays as it is, but a failure may turn final.
    File(Event),
    /// The event of this number is really like this.
    Correct(i64, Event),
    /// The event of this number was one more trigger for a failure that is on record.
    Drop(i64),
    /// The unit flapped, and stays failed: that is news about its last failure.
    StaysFailed,
}

/// What a look brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// In the order in which they are to be made.
    pub changes: Vec<Change>,
    /// Up to when the journal was asked.
    pub mark: Option<DateTime<Utc>>,
    /// True when something can be said only after the journal has caught up.
    pub waits: bool,
}

/// At the first sight of a unit so much is looked back: its handler may have waited for a disk, or for the journal itself.
const FIRST_SIGHT: TimeDelta = TimeDelta::seconds(60);
/// A failure comes so long before its trigger's word is on record, at most, while nothing waits.
const BEFORE: TimeDelta = TimeDelta::seconds(1);
/// A run is over so long after ExecStopPost= told its end, at most, if the manager cannot be asked when.
const AFTER: TimeDelta = TimeDelta::seconds(1);
/// A manager that is too busy to say how a unit is, or which dependency failed, is asked again for so long.
const BUSY: TimeDelta = TimeDelta::seconds(60);
/// So soon the journal tells that systemd starts a unit again, unless its `RestartSec=` is longer than usual.
const RESTART: TimeDelta = TimeDelta::seconds(2);
/// What happens while a look is taken lies ahead of it by less.
const AHEAD: TimeDelta = TimeDelta::seconds(5);

/// Looks at a unit.
pub fn look(world: &dyn World, subject: &Subject, known: &Known, when: When) -> Look {
    let told = known.unconfirmed.iter().map(|(_, event)| event.at).min();
    let first = told.into_iter().chain(known.seen).min().unwrap_or(when.now);
    // a mark that lies ahead is of a clock that was set back since
    let since = known.mark.filter(|mark| *mark <= when.now).unwrap_or_else(|| {
        // what failed before there was a record is no news; the failure that begins it is
        let begun = known.recorded_since.map_or(first - FIRST_SIGHT, |since| since.min(first - BEFORE));
        begun.max(first - FIRST_SIGHT)
    });
    let messages = match world.messages(subject, since) {
        Ok(messages) => messages,
        // nothing to wait for: the triggers' words stand
        Err(_) => return as_told(known),
    };
    let says_nothing = |message: &Message| message.at <= since || matches!(message.kind, Kind::Consumed | Kind::Other);
    let is_quiet = messages.whole && messages.list.iter().all(says_nothing);
    let nothing_waits = known.mark == Some(since) && known.unconfirmed.is_empty() && known.flapping.is_none();
    // of a thousand that failed at once and stay so one list tells dispatch, not three questions about each; a handler, which cannot
    // tell whether the journal is complete, has but one to ask about
    if when.complete.is_some() && is_quiet && nothing_waits && world.is_failed(subject) {
        return Look { mark: known.mark, ..Look::default() };
    }
    let (account, reached_end) = (runs::account(subject.unit_name(), &messages.list), messages.whole);
    let since = match (told, known.recorded_since) {
        (Some(told), Some(recorded)) if known.mark.is_none() && recorded > told - BEFORE => {
            // the record begins with this very failure, or just before it: what is older than both is no news, however close
            let runs = known.unconfirmed.iter().filter_map(|(_, event)| account.run(event.invocation_id.as_deref()?));
            let begun = runs.map(|run| run.first - TimeDelta::microseconds(1)).min();
            begun.map_or(since, |begun| begun.min(recorded).max(since))
        }
        _ => since,
    };
    let mut looking = Looking {
        world,
        subject,
        known,
        when,
        since,
        // of another user's unit the journal alone tells
        unit: world.unit(subject).or_else(|| account.runs_now().filter(|_| subject.is_users())),
        account: &account,
        reached_end,
        look: Look { mark: Some(account.closed.unwrap_or(since).max(since)), ..Look::default() },
    };
    looking.failures();
    looking.triggers();
    looking.recovery();
    looking.restarted();
    looking.calm();
    looking.look
}

/// Where nobody can be asked, the triggers' words stand.
pub fn as_told(known: &Known) -> Look {
    let changes = known.unconfirmed.iter().map(|(id, event)| Change::Correct(*id, event.clone())).collect();
    Look { changes, mark: known.mark, waits: false }
}

struct Looking<'a> {
    world: &'a dyn World,
    subject: &'a Subject,
    known: &'a Known,
    when: When,
    since: DateTime<Utc>,
    unit: Option<Unit>,
    account: &'a Account,
    reached_end: bool,
    look: Look,
}

impl Looking<'_> {
    /// Every failure since the mark, whoever was triggered.
    fn failures(&mut self) {
        let (account, since) = (self.account, self.since);
        for run in &account.runs {
            for (number, (at, problem)) in run.failures.iter().enumerate().filter(|(_, (at, _))| *at > since) {
                // a later failure of the same run: systemd did not start it again after all
                let restarts = if number + 1 < run.failures.len() { Some(true) } else { self.restarts(run, *at) };
                let Some(restarts) = restarts else {
                    self.wait_for(run);
                    continue;
                };
                let event = self.event(Outcome::Failed, &run.invocation, problem.clone(), *at);
                self.file(Event { restarts, invocation_id: Some(run.invocation.clone()), ..event });
            }
        }
        for refused in account.refused.iter().filter(|refused| refused.at > since) {
            let mut problem = refused.problem.clone();
            if problem.service_result.as_deref() == Some("dependency") {
                problem.cause = match self.world.culprit(self.subject) {
                    Ok(cause) => cause,
                    // the manager is busy, as it is when much fails at once; that the other failed is told meanwhile
                    Err(_) if (self.when.now - refused.at).abs() < BUSY => {
                        self.wait_from(refused.at);
                        continue;
                    }
                    Err(_) => None,
                };
            }
            let event = self.event(Outcome::Failed, &refused.job, problem, refused.at);
            self.file(event);
        }
    }

    /// Whether systemd starts the unit again after this failure, or would have; `None`: that cannot be said yet.
    fn restarts(&self, run: &Run, at: DateTime<Utc>) -> Option<bool> {
        let is_last = self.account.runs.last().is_some_and(|last| last.invocation == run.invocation);
        let mut later = self.account.runs.iter().skip_while(|other| other.invocation != run.invocation).skip(1);
        let is_silent = run.begun.is_none() && later.all(|run| run.begun.is_none());
        match &self.unit {
            _ if run.restarts || run.called_off => Some(true),
            // with LogLevelMax= of the unit systemd keeps silent about starts, also about those of its own
            Some(unit) if is_silent && unit.restarted && unit.invocation.as_ref() != Some(&run.invocation) => Some(true),
            // systemd says that it starts it again before it does
            _ if !is_last => Some(false),
            // between two runs systemd shows a unit as inactive for a moment, and the journal may not say yet that it goes on
            Some(unit) if unit.invocation.as_ref() == Some(&run.invocation) && unit.restarted && unit.active == "inactive" => {
                self.is_complete(unit.changed.map_or(at, |changed| changed.max(at))).then_some(false)
            }
            Some(unit) if unit.invocation.as_ref() == Some(&run.invocation) => Some(unit.restarts()),
            Some(unit) if unit.invocation.is_none() => Some(false),
            // the manager is busy, as it is when much fails at once
            None if (self.when.now - at).abs() < BUSY && self.world.culprit(self.subject).is_err() => None,
            // nobody tells whether it waits for its restart
            None if self.subject.is_users() => self.is_complete(at + RESTART).then_some(false),
            // a new run: whether systemd or somebody else began it, the journal tells when it has caught up with that
            unit => {
                let begun = unit.as_ref().and_then(|unit| unit.changed);
                self.is_complete(begun.map_or(at, |begun| begun.max(at))).then_some(false)
            }
        }
    }

    fn is_complete(&self, at: DateTime<Utc>) -> bool {
        self.reached_end && self.when.complete.is_some_and(|complete| at <= complete || self.is_ahead(at))
    }

    /// What lies ahead is of a clock that was set back: nobody waits until it comes round again.
    fn is_ahead(&self, at: DateTime<Utc>) -> bool {
        at > self.when.now + AHEAD
    }

    /// The last failure on record, unless it seems to come yet.
    fn last_failure(&self) -> Option<DateTime<Utc>> {
        self.known.last_failure.filter(|last| !self.is_ahead(*last))
    }

    /// The next look begins before this run: its failure is told by more than one message.
    fn wait_for(&mut self, run: &Run) {
        self.wait_from(run.first);
    }

    fn wait_from(&mut self, first: DateTime<Utc>) {
        self.look.waits = true;
        self.keep_from(first);
    }

    fn keep_from(&mut self, first: DateTime<Utc>) {
        let before = (first - TimeDelta::microseconds(1)).max(self.since);
        self.look.mark = self.look.mark.map(|mark| mark.min(before));
    }

    fn event(&self, outcome: Outcome, run: &str, problem: Problem, at: DateTime<Utc>) -> Event {
        let is_restart = self.account.is_restart(run);
        // the manager tells only of the last run what started it
        let unit = self.unit.as_ref().filter(|unit| !is_restart && unit.invocation.as_deref() == Some(run));
        let (start, triggered_by) = unit.map_or((None, None), |unit| self.started(unit, run));
        Event {
            subject: self.subject.clone(),
            outcome,
            run: run.to_owned(),
            invocation_id: None,
            problem,
            triggered_by,
            start: if is_restart { Some(Start::Restart) } else { start },
            restarts: false,
            at,
        }
    }

    /// What started this run, the unit's last.
    fn started(&self, unit: &Unit, run: &str) -> (Option<Start>, Option<String>) {
        let Some((timer, elapsed)) = &unit.elapsed else { return (unit.start, unit.triggered_by.clone()) };
        match self.world.messages(self.subject, *elapsed) {
            Ok(found) if found.whole => {
                let account = runs::account(self.subject.unit_name(), &found.list);
                // it waited for other units; but another run since was the timer's, or went on and needed no start
                let is_its = account.runs.first().is_some_and(|first| first.invocation == run);
                if is_its { (Some(Start::Timer), Some(timer.clone())) } else { (unit.start, None) }
            }
            _ => (None, None),
        }
    }

    /// Files a failure; the trigger that told it is corrected instead.
    fn file(&mut self, event: Event) {
        let told = self.known.unconfirmed.iter().find(|(id, told)| {
            told.outcome == Outcome::Failed
                && told.run == event.run
                && !self.look.changes.iter().any(|change| matches!(change, Change::Correct(done, _) if done == id))
        });
        let change = match told {
            Some((id, told)) => Change::Correct(*id, told::merged(event, told)),
            None => Change::File(event),
        };
        self.look.changes.push(change);
    }

    /// What ended well, or runs again, after a failure that is not over.
    fn recovery(&mut self) {
        // of successes only the journal's: a trigger may call one what failed, was stopped, or is started again
        let failures = self.look.changes.iter().filter_map(|change| match change {
            Change::File(event) | Change::Correct(_, event) => Some((event.at, event.outcome, event.run.clone())),
            Change::Drop(_) | Change::StaysFailed => None,
        });
        let mut story: Vec<_> = failures.filter(|(_, outcome, _)| *outcome == Outcome::Failed).collect();
        let account = self.account;
        for run in account.runs.iter().filter(|_| !self.known.down) {
            let is_new = |at: &DateTime<Utc>| *at > self.since && self.last_failure().is_none_or(|last| *at > last);
            let Some(at) = run.succeeded().filter(is_new) else { continue };
            match self.restarts(run, at) {
                Some(false) => story.push((at, Outcome::Succeeded, run.invocation.clone())),
                // whether it is well, the next run shows
                Some(true) => {}
                // nothing but a recovery: where nothing failed before nobody waits for it
                None if self.known.open || story.iter().any(|(failed, ..)| *failed < at) => self.wait_for(run),
                None => {}
            }
        }
        story.sort_by_key(|(at, ..)| *at);
        let mut open = self.known.open;
        for (at, outcome, run) in &story {
            let news = *outcome == Outcome::Succeeded && open;
            if let Some(run) = self.account.run(run).filter(|_| news) {
                match self.restarts(run, *at) {
                    Some(false) => {}
                    Some(true) => continue,
                    None => {
                        self.wait_for(run);
                        continue;
                    }
                }
            }
            open = *outcome == Outcome::Failed;
            let is_known = |(_, told): &(i64, Event)| told.outcome == Outcome::Succeeded && told.run == *run;
            if news && !self.known.unconfirmed.iter().any(is_known) {
                let event = self.event(Outcome::Succeeded, run, Problem::success(), *at);
                self.look.changes.push(Change::File(Event { invocation_id: Some(run.clone()), ..event }));
            }
        }
        let failures = story.iter().filter(|(at, outcome, _)| *outcome == Outcome::Failed && !self.is_ahead(*at));
        let last_failure = failures.map(|(at, ..)| *at).max();
        let last_failure = last_failure.max(self.last_failure());
        // of one that flaps that says too little
        let asks = open && !self.look.waits && self.known.flapping.is_none();
        let Some(unit) = self.unit.as_ref().filter(|_| asks) else { return };
        let Some(since) = unit.active_since.filter(|_| matches!(unit.active.as_str(), "active" | "reloading")) else { return };
        let is_new = last_failure.is_none_or(|last| since > last);
        let is_held = since + self.when.hold <= self.when.now || self.is_ahead(since);
        if is_new && is_held {
            // a unit that has no runs, as a target, is told apart by when it became active
            let run = unit.invocation.clone().unwrap_or_else(|| format!("active:{}", since.timestamp_micros()));
            let event = self.event(Outcome::Succeeded, &run, Problem::success(), self.when.now);
            self.look.changes.push(Change::File(Event { invocation_id: unit.invocation.clone(), ..event }));
        }
    }
}

#[cfg(test)]
mod tests;
