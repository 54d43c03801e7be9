//! What a look tells of a unit that flaps: restarts of which no failure tells, and that nothing happens any more.

use chrono::{DateTime, Utc};

use super::{Change, Looking};
use crate::event::{Event, Outcome, Problem};

impl Looking<'_> {
    /// What systemd started again although it had ended well: no failure, and yet no daemon does that for long.
    pub(super) fn restarted(&mut self) {
        let Some((_, mark)) = self.when.window.zip(self.look.mark) else { return };
        let account = self.account;
        for run in &account.runs {
            // what waits comes with the next look; at the first one a run may have ended before all that is read
            let ended = run.ended_well.is_some() || self.known.mark.is_none();
            let Some(at) = run.restarted.filter(|at| ended && *at > self.since && *at <= mark) else { continue };
            // not the run itself: that it was active for long may be on record as its success
            let event = self.event(Outcome::Succeeded, &format!("restart:{}", run.invocation), Problem::success(), at);
            let invocation_id = Some(run.invocation.clone());
            self.look.changes.push(Change::File(Event { invocation_id, restarts: true, ..event }));
        }
    }

    /// Nothing happened for so long to a unit that flapped that this is over, one way or the other.
    pub(super) fn calm(&mut self) {
        let (Some(last), Some(window)) = (self.known.flapping, self.when.window) else { return };
        let (mut well, mut last, mut is_news) = (self.known.well, last, false);
        for change in &self.look.changes {
            if let Change::File(event) | Change::Correct(_, event) = change {
                let is_trouble = event.outcome == Outcome::Failed || event.restarts;
                well = if event.at >= last { !is_trouble && event.problem.cause.is_none() } else { well };
                last = if is_trouble { last.max(event.at) } else { last };
                is_news |= is_trouble;
            }
        }
        // what lies so far ahead is of a clock that was set back
        let is_over = |since: DateTime<Utc>| (self.when.now - since).abs() >= window;
        let asks = self.known.is_settled && !self.look.waits && is_over(last);
        let Some(unit) = self.unit.as_ref().filter(|_| asks) else { return };
        let problem = match (unit.active.as_str(), unit.active_since) {
            ("active" | "reloading", Some(since)) if is_over(since) => Problem::success(),
            ("inactive", _) if well => Problem::success(),
            // stopped, or gone, or never started again
            ("inactive", _) => Problem { cause: Some("stop".to_owned()), ..Problem::success() },
            // what is new may be told by itself
            ("failed", _) if is_news => return,
            ("failed", _) => return self.look.changes.push(Change::StaysFailed),
            _ => return,
        };
        let event = self.event(Outcome::Succeeded, &format!("calm:{}", last.timestamp_micros()), problem, self.when.now);
        self.look.changes.push(Change::File(Event { invocation_id: unit.invocation.clone(), ..event }));
    }
}
