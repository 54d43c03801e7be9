//! What triggers told: confirmed, corrected or dropped by what the journal and the manager know.

use chrono::{DateTime, Utc};

use super::{AFTER, Change, FIRST_SIGHT, Looking};
use crate::event::{Event, Outcome, Problem};
use crate::host::manager::Unit;
use crate::trigger::runs::Run;

impl Looking<'_> {
    /// What the triggers told, and no message did.
    pub(super) fn triggers(&mut self) {
        // it may be about the failure that is waited for
        let waits = self.look.waits;
        for (id, told) in &self.known.unconfirmed {
            if self.look.changes.iter().any(|change| matches!(change, Change::Correct(done, _) if done == id)) {
                continue;
            }
            if self.still_ends(told) {
                // its handler looks once more, or dispatch within a minute
                let first = told.invocation_id.as_deref().and_then(|run| self.account.run(run)).map_or(told.at, |run| run.first);
                self.keep_from(first);
                continue;
            }
            let change = match told.outcome {
                Outcome::Failed if waits => None,
                Outcome::Failed => self.told_failure(*id, told),
                Outcome::Succeeded => self.told_success(*id, told),
            };
            match change {
                Some(change) => self.look.changes.push(change),
                None => self.look.waits = true,
            }
        }
    }

    /// Whether the run is not over that a trigger told. ExecStopPost= tells it before: what comes after it may take long.
    fn still_ends(&self, told: &Event) -> bool {
        let is_ending = |unit: &Unit| unit.active == "deactivating" && unit.invocation == told.invocation_id;
        told.invocation_id.is_some() && self.unit.as_ref().is_some_and(is_ending)
    }

    /// When the manager had said all about the run that a trigger told.
    fn all_said(&self, told: &Event) -> DateTime<Utc> {
        let changed = self.unit.as_ref().and_then(|unit| unit.changed).unwrap_or(told.at);
        // later changes are of later runs
        changed.clamp(told.at, told.at + AFTER)
    }

    fn told_failure(&self, id: i64, told: &Event) -> Option<Change> {
        let filed = self.look.changes.iter().any(|change| match change {
            Change::File(event) | Change::Correct(_, event) => event.outcome == Outcome::Failed,
            Change::Drop(_) | Change::StaysFailed => false,
        });
        let was_filed = |run: &Run| run.failures.iter().any(|(at, _)| *at <= self.since);
        let explained = match &told.invocation_id {
            Some(invocation) => self.account.run(invocation).is_some_and(was_filed),
            // it told that something failed, and not which run
            None => filed || self.known.last_failure.is_some_and(|at| at <= told.at && told.at - at <= FIRST_SIGHT),
        };
        let is_complete = self.is_complete(self.all_said(told));
        if explained && (filed || told.invocation_id.is_some() || is_complete) {
            return Some(Change::Drop(id));
        }
        if !is_complete {
            return None;
        }
        let mut event = told.clone();
        if event.problem.is_unknown()
            && let Some(unit) = self.unit.as_ref().filter(|unit| unit.active == "failed")
        {
            // a systemd that hands nothing to handlers, and no journal
            event.problem = self.world.problem(self.subject).unwrap_or_default();
            event.invocation_id.clone_from(&unit.invocation);
            event.run = unit.invocation.clone().unwrap_or(event.run);
        }
        let of_run = self.unit.as_ref().filter(|unit| unit.invocation.is_some() && unit.invocation == event.invocation_id);
        event.restarts = of_run.is_some_and(Unit::restarts);
        let started = of_run.map(|unit| self.started(unit, &event.run));
        (event.start, event.triggered_by) = started.unwrap_or((None, None));
        Some(Change::Correct(id, event))
    }

    fn told_success(&mut self, id: i64, told: &Event) -> Option<Change> {
        let account = self.account;
        let run = told.invocation_id.as_deref().and_then(|invocation| account.run(invocation));
        let ended = run.filter(|run| run.ended_well.is_some() || !run.failures.is_empty());
        match ended {
            Some(run) => {
                let problem = Problem { cause: run.stopped.then(|| "stop".to_owned()), ..told.problem.clone() };
                let Some(restarts) = self.restarts(run, run.ended_well.unwrap_or(told.at)) else {
                    self.wait_for(run);
                    return None;
                };
                if restarts && run.failures.is_empty() {
                    // no success for good; when it is started again, the journal says so
                    return Some(Change::Drop(id));
                }
                // of a run that failed the failure tells whether it is started again
                Some(Change::Correct(id, Event { problem, ..told.clone() }))
            }
            None => self.is_complete(self.all_said(told)).then(|| Change::Correct(id, told.clone())),
        }
    }
}

/// The journal's word, and from the trigger what the journal does not tell: how a process ended that was told to end.
pub(super) fn merged(event: Event, told: &Event) -> Event {
    let is_its = event.problem.service_result == told.problem.service_result && event.problem.exit_code.is_none();
    let Problem { exit_code, exit_status, .. } = if is_its { &told.problem } else { &event.problem };
    let problem = Problem { exit_code: exit_code.clone(), exit_status: exit_status.clone(), ..event.problem.clone() };
    Event { problem, ..event }
}
