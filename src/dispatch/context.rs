//! What is told beside an event, gathered once and kept with its alert: a late delivery still has it.

mod findings;
mod history;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::Kind;

use crate::error::Result;
use crate::event::{Breach, Event, Lapse, Start, Subject, local_time};
use crate::host::world::{Evidence, World};
use crate::message::{self, Context, Raw};
use crate::settings::Settings;
use crate::store::{self, ByNow, Store};

/// Up to when the journal is complete, for whom.
#[derive(Debug, Clone, Copy)]
pub struct Complete {
    /// Now.
    pub now: DateTime<Utc>,
    /// The journal wrote everything that it had received by then.
    pub synced: Option<DateTime<Utc>>,
}

/// What the journal has received it writes at once, unless the machine is very busy: so long nobody waits for more.
const PATIENCE: TimeDelta = TimeDelta::seconds(5);
/// After so long there is no doubt any more.
const SURELY: TimeDelta = TimeDelta::seconds(60);

impl Complete {
    /// Up to when nobody waits for more.
    pub fn until(self) -> DateTime<Utc> {
        (self.now - PATIENCE).max(self.synced.unwrap_or(DateTime::<Utc>::MIN_UTC))
    }

    /// Whether nobody waits for more about this time. What lies ahead is of a clock that was set back.
    pub(super) fn reaches(self, at: DateTime<Utc>) -> bool {
        at <= self.until() || at > self.now + PATIENCE
    }

    fn is_sure(self, at: DateTime<Utc>) -> bool {
        self.synced.is_some_and(|synced| at <= synced) || at + SURELY <= self.now
    }
}

/// Gathers for the alerts that have nothing yet; false when some must wait for the journal.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn gather(store: &mut Store, settings: &Settings, world: &dyn Evidence, complete: Complete) -> Result<bool> {
    let bare = store.with(store::without_context)?;
    // what is no failed run shows no lines
    let (ready, late): (Vec<_>, Vec<_>) =
        bare.into_iter().partition(|(_, kind, event)| *kind == Kind::Recovery || has_no_run(event) || complete.reaches(event.at));
    let gathered: Vec<_> = ready
        .iter()
        .map(|(alert, kind, event)| {
            let most = settings.rules(event.subject.name()).journal_lines;
            let context = match kind {
                Kind::Reminder if event.subject.is_sensor() => by_now(store, event)?,
                _ if event.subject.is_check() => Context::default(),
                _ if event.subject.is_schedule() => timetable(world, event),
                Kind::Recovery => Context::default(),
                _ if event.subject.is_watchdogs() => Context::default(),
                _ => context(world, event, most, complete),
            };
            Ok((*alert, context))
        })
        .collect::<Result<_>>()?;
    if !gathered.is_empty() {
        store.write(|db| gathered.iter().try_for_each(|(alert, context)| store::set_context(db, *alert, context)))?;
    }
    Ok(late.is_empty())
}

fn has_no_run(event: &Event) -> bool {
    event.subject.is_schedule() || event.subject.is_watchdogs()
}

/// What a rule's metric is by now, or since when there is none.
fn by_now(store: &Store, event: &Event) -> Result<Context> {
    let Some(breach) = Breach::of(&event.problem) else { return Ok(Context::default()) };
    Ok(match store.with(|db| store::by_now(db, &event.subject, &breach.metric))? {
        Some(ByNow::Value(value, at)) => {
            let measured = format!("{} at {}", breach.unit.show(value), local_time(at));
            Context { measured: Some(measured), ..Context::default() }
        }
        Some(ByNow::NoData(since, why)) => Context { unmeasured: Some((since, why)), ..Context::default() },
        None => Context::default(),
    })
}

/// What there is to say of a schedule: when it last ran and will run; of what does not load, why.
fn timetable(world: &dyn Evidence, event: &Event) -> Context {
    let broken = match event.problem.lapse() {
        Some(Lapse::NotLoaded(_)) => Some(event.subject.clone()),
        Some(Lapse::Nothing { unit, .. }) => unit.parse().ok().map(|unit| Subject::unit(&event.subject.whose(), &unit)),
        _ => None,
    };
    let complaints = broken.and_then(|unit| world.complaints(&unit, event.at - history::SPAN).ok()).unwrap_or_default();
    let raw: Vec<Raw<'_>> = complaints.iter().map(|(at, text)| Raw { at: *at, identifier: "systemd", text }).collect();
    let (excerpt, secrets) = message::shown(&raw);
    let times = world.timetable(&event.subject).unwrap_or_default();
    let (last_run, last_success, next_run) = (times.ended, times.succeeded, times.next);
    Context { excerpt, secrets, last_run, last_success, next_run, ..Context::default() }
}

fn context(world: &dyn Evidence, event: &Event, most: usize, complete: Complete) -> Context {
    let mut context = if most == 0 { Context::default() } else { excerpt(world, event, most, complete) };
    if let Some((documentation, sockets)) = world.about(&event.subject) {
        context.documentation = documentation;
        context.sockets = if event.start == Some(Start::Other) { sockets } else { Vec::new() };
    }
    let account = history::account(world, event, complete);
    let run = event.invocation_id.as_deref().and_then(|invocation| account.run(invocation));
    context.ran = run.and_then(|run| (event.at - run.begun?).to_std().ok());
    context.usual = history::usual(&account, event.at);
    context.last_success = history::last_success(&account, event.at);
    let known = findings::Known {
        event,
        run,
        restart: event.invocation_id.as_deref().and_then(|invocation| account.restart_number(invocation)),
        last_success: context.last_success,
        excerpt: &context.excerpt,
    };
    context.findings = findings::findings(world, &known);
    context
}

/// The run's last lines, or why there are none.
fn excerpt(world: &dyn World, event: &Event, most: usize, complete: Complete) -> Context {
    let note = |note: &str| Context { note: Some(note.to_owned()), ..Context::default() };
    let Some(invocation) = &event.invocation_id else {
        return note("There are no journal lines: nothing of this unit was started.");
    };
    let found = match world.lines(&event.subject, invocation, event.at, most) {
        Ok(found) => found,
        Err(why) => return note(&format!("There are no journal lines: {why}.")),
    };
    let missing = if found.cut_short {
        Some("the journal could not be searched to the end in time")
    } else if found.begins_before && found.lines.len() < most && found.cut {
        Some("the journal was not searched as far back as this run may have begun")
    } else if found.begins_before && found.lines.len() < most {
        Some("the journal has no beginning of this run")
    } else if !complete.is_sure(event.at) {
        Some("the journal may not have caught up when it was read")
    } else {
        None
    };
    if found.lines.is_empty() {
        return match missing {
            Some(why) => note(&format!("No journal lines of this run were found: {why}.")),
            None => note("The journal has no lines of this run."),
        };
    }
    let raw: Vec<Raw<'_>> =
        found.lines.iter().map(|line| Raw { at: line.at, identifier: &line.identifier, text: &line.text }).collect();
    let (excerpt, secrets) = message::shown(&raw);
    Context { excerpt, secrets, note: missing.map(|why| format!("Lines may be missing: {why}.")), ..Context::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_time_that_the_clock_had_before_it_was_set_back() {
        let at = |second| DateTime::from_timestamp(1_000_000 + second, 0).unwrap();
        let complete = |synced: Option<i64>| Complete { now: at(100), synced: synced.map(at) };
        for (what, complete, second, reaches) in [
            ("nobody told up to when: a moment ago is waited for", complete(None), 98, false),
            ("a while ago is not", complete(None), 90, true),
            ("complete up to then", complete(Some(98)), 98, true),
            ("what came since", complete(Some(98)), 99, false),
            ("what came while this looked", complete(Some(98)), 101, false),
            ("an hour ahead", complete(Some(98)), 3700, true),
        ] {
            assert_eq!(complete.reaches(at(second)), reaches, "{what}");
        }
    }
}
