//! A unit's earlier runs, as far as they tell what is usual and when one last succeeded: read from the newest message back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Complete, SURELY};
use crate::event::Event;
use crate::host::journal::Message;
use crate::host::world::Evidence;
use crate::trigger::runs::{self, Account, Run};

/// So far back is looked.
pub(super) const SPAN: TimeDelta = TimeDelta::days(8);
/// So many runs that ended well tell what is usual; how the unit ran before them nobody asks.
const RUNS: usize = 10;
/// A run has about five messages, and so the ten have their place many times over. What systemd starts again and again for days would
/// cost as much as its restarts are many.
const MESSAGES: usize = 256;
/// Of so many earlier runs one can say what is usual.
const SEVERAL: usize = 2;
/// So soon after a failure the manager has said all about the run, as what it used.
const AFTER: TimeDelta = TimeDelta::seconds(1);

/// The failed run and those before it, back to where enough is known or a bound is reached.
pub(super) fn account(world: &dyn Evidence, event: &Event, complete: Complete) -> Account {
    let mut look = Look::new(event.subject.unit_name(), event.at);
    // from the end on where that is near: after a clock that was set back no time leads there
    let is_fresh = complete.now - event.at < SURELY;
    let end = if is_fresh { DateTime::<Utc>::MAX_UTC } else { event.at + AFTER };
    let found = world.history(&event.subject, event.at - SPAN..end, &mut |message| look.take(message));
    // of a journal that cannot be read to its end, what it gave is a part
    look.account(found == Ok(true))
}

/// How long the last runs before that time lasted that ended well by themselves: their median.
pub(super) fn usual(account: &Account, before: DateTime<Utc>) -> Option<Duration> {
    let lasted = |run: &Run| (succeeded(run, before)? - run.begun?).to_std().ok();
    let mut lengths: Vec<Duration> = account.runs.iter().rev().filter_map(lasted).take(RUNS).collect();
    lengths.sort_unstable();
    (lengths.len() >= SEVERAL).then(|| lengths[lengths.len() / 2])
}

/// When the last run before that time ended well by itself; `None` where that is not known, too.
pub(super) fn last_success(account: &Account, before: DateTime<Utc>) -> Option<DateTime<Utc>> {
    account.runs.iter().filter_map(|run| succeeded(run, before)).max()
}

fn succeeded(run: &Run, before: DateTime<Utc>) -> Option<DateTime<Utc>> {
    run.succeeded().filter(|at| *at < before)
}

struct Look<'a> {
    unit: &'a str,
    before: DateTime<Utc>,
    /// Newest first.
    messages: Vec<Message>,
    /// Where those of the run begin that is being read.
    newest: usize,
    /// How many runs ended well; each is read whole before it counts.
    good: usize,
    /// True when there were too many: there may be more about the oldest run.
    cut: bool,
}

impl<'a> Look<'a> {
    fn new(unit: &'a str, before: DateTime<Utc>) -> Look<'a> {
        Look { unit, before, messages: Vec::new(), newest: 0, good: 0, cut: false }
    }

    /// Takes the next older message; false when no older one is needed.
    fn take(&mut self, message: Message) -> bool {
        let run = self.messages[self.newest..].iter().find_map(|message| message.invocation.as_ref());
        if message.invocation.is_some() && run.is_some_and(|run| message.invocation.as_ref() != Some(run)) {
            let of_run: Vec<Message> = self.messages[self.newest..].iter().rev().cloned().collect();
            let account = runs::account(self.unit, &of_run);
            self.good += account.runs.iter().filter(|run| succeeded(run, self.before).is_some()).count();
            self.newest = self.messages.len();
        }
        if self.good >= RUNS {
            return false;
        }
        self.messages.push(message);
        self.cut = self.messages.len() >= MESSAGES;
        !self.cut
    }

    /// What was taken; of a journal that has told all of it, or a part.
    fn account(mut self, is_whole: bool) -> Account {
        self.messages.reverse();
        let account = if is_whole && !self.cut { runs::account } else { runs::account_of_part };
        account(self.unit, &self.messages)
    }
}

#[cfg(test)]
mod tests;
