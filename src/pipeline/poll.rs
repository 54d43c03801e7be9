//! Polling: how units are found to be now becomes what their triggers would have told, and what no trigger tells.
//!
//! A unit that failed is an event like its trigger's, with the same key: the look at the journal settles both. What no trigger
//! tells is filed once, when it begins, and once more when it is over.

use chrono::{DateTime, TimeDelta, Utc};

use super::sweep::grace;
use super::{Gathering, ReadSettings, Settled, settle};
use crate::error::{Error, Result};
use crate::event::{Event, Manager, Outcome, Problem, Subject};
use crate::host::Site;
use crate::host::world::Poll;
use crate::settings::{Listed, Settings};
use crate::store::{self, Store};
use crate::trigger::services::{self, Judgement, Patience, Round, Seen, Wanted};

/// So long a daemon must be active while nothing else is said.
const HOLD: TimeDelta = TimeDelta::seconds(10);

/// What polling found.
#[derive(Debug)]
pub struct Polled {
    /// The units, as they are now.
    pub seen: Vec<Seen>,
    /// True while the machine boots: nothing is said of them.
    pub in_grace: bool,
    /// What came of it.
    pub settled: Settled,
}

/// Looks at the units of `[services]`, and takes in how they are. `thorough`: somebody reads since when.
///
/// # Errors
/// `Config`, when the settings are broken; `Failure`, when the database or the service manager does not answer.
pub fn poll(
    site: &Site,
    store: &mut Store,
    world: &dyn Poll,
    now: DateTime<Utc>,
    thorough: bool,
    settings: ReadSettings<'_>,
) -> Result<Polled> {
    let known = settings()?;
    let gathering = Gathering { world, now, complete: None };
    let looked = look(site, store, world, now, thorough, &known)?;
    let in_grace = looked.is_some() && grace(world, Some(&known)).is_some_and(|grace| grace.holds(now));
    let judged = looked.as_deref().filter(|_| !in_grace).unwrap_or_default();
    let settled = take_in(site, store, judged, gathering, &known, settings)?;
    let seen = looked.ok_or_else(|| {
        Error::failure("the service manager does not answer").hint("`systemctl status` tells whether it is there")
    })?;
    Ok(Polled { seen, in_grace, settled })
}

/// How the units are; `None` when the manager does not answer.
fn look(
    site: &Site,
    store: &Store,
    world: &dyn Poll,
    now: DateTime<Utc>,
    thorough: bool,
    settings: &Settings,
) -> Result<Option<Vec<Seen>>> {
    let mut wanted = Wanted::default();
    // timers are looked at as schedules
    let is_polled = |unit: &&Listed| unit.manager == Manager::System && !unit.pattern.ends_with(".timer");
    for unit in settings.services.units.iter().filter(is_polled) {
        let list = if unit.is_glob() { &mut wanted.globs } else { &mut wanted.names };
        list.push(unit.pattern.clone());
    }
    let troubled = store.with(store::to_look_at)?;
    let polled = |subject: &&Subject| subject.whose() == site.manager && settings.services.covers(subject.unit_name());
    wanted.again = troubled.iter().filter(polled).map(|subject| subject.unit_name().to_owned()).collect();
    wanted.again.retain(|unit| !wanted.names.contains(unit));
    let last = |subject: &Subject| store.with(|db| store::last_of(db, subject)).ok().flatten();
    let mistyped = |subject: &Subject| thorough || last(subject).is_none_or(|last| !last.event.problem.is_not_found());
    let asked = |subject: &Subject| thorough || troubled.contains(subject);
    let usual = Patience::Usual(settings.services.stuck_after);
    let patience = |subject: &Subject| settings.rules(subject.name()).stuck_after.map_or(usual, Patience::Own);
    let round = Round { wanted: &wanted, now, asked: &asked, mistyped: &mistyped, patience: &patience };
    Ok(services::look(world, &site.manager, round).ok())
}

/// Takes in how these units are.
fn take_in(
    site: &Site,
    store: &mut Store,
    seen: &[Seen],
    gathering: Gathering<'_>,
    known: &Settings,
    settings: ReadSettings<'_>,
) -> Result<Settled> {
    let now = gathering.now;
    let mut news = Vec::new();
    for event in seen.iter().filter_map(|unit| failure(unit, now)) {
        if !store.with(|db| store::run_failed(db, &event.subject, &event.run))? {
            news.push(event);
        }
    }
    if !news.is_empty() {
        // as its trigger would: the journal tells more of it
        store.write(|db| news.iter().try_for_each(|event| store::insert(db, event, false).map(drop)))?;
    }
    let settled = settle(site, store, None, gathering, settings)?;
    let mut untold = Vec::new();
    for unit in seen {
        untold.extend(news_of(store, known, unit, now)?);
    }
    if untold.is_empty() {
        return Ok(settled);
    }
    store.write(|db| untold.iter().try_for_each(|event| store::insert(db, event, true).map(drop)))?;
    let more = settle(site, store, None, gathering, settings)?;
    Ok(Settled { queued: settled.queued || more.queued, waits: settled.waits || more.waits, changed: true })
}

/// What the trigger of this unit's failure would have told.
fn failure(unit: &Seen, now: DateTime<Utc>) -> Option<Event> {
    let Judgement::Failed(problem) = &unit.judgement else { return None };
    let run = unit.run.clone()?;
    // perhaps long ago
    let at = unit.since.map_or(now, |since| since.min(now));
    Some(Event { invocation_id: Some(run.clone()), ..event(&unit.subject, Outcome::Failed, run, problem.clone(), at) })
}

/// What no trigger tells of this unit, if it is news.
fn news_of(store: &Store, settings: &Settings, unit: &Seen, now: DateTime<Utc>) -> Result<Option<Event>> {
    let (last, incident) = store.with(|db| {
        let last = store::last_of(db, &unit.subject)?;
        let incident = store::active(db, &unit.subject)?;
        Ok((last, incident))
    })?;
    let of_poll = last.filter(|last| last.event.outcome == Outcome::Failed && last.event.problem.is_polled());
    let was = of_poll.as_ref().and_then(|last| last.event.problem.service_result.as_deref());
    Ok(match &unit.judgement {
        Judgement::Trouble(problem) => {
            let is_known = was == problem.service_result.as_deref();
            // what is not running because something failed is told as that
            let is_told = problem.is_not_running() && incident.is_some();
            // a run that hangs may end well yet: its success is another's
            let run = match &unit.run {
                Some(run) if problem.is_not_running() => run.clone(),
                _ => format!("{}:{}", problem.service_result.as_deref().unwrap_or_default(), now.timestamp_micros()),
            };
            let event = event(&unit.subject, Outcome::Failed, run, problem.clone(), now);
            (!is_known && !is_told).then(|| Event { invocation_id: unit.run.clone(), ..event })
        }
        Judgement::Works | Judgement::Rests(_) if incident.is_some() => {
            let hold = settings.rules(unit.subject.name()).recovery_hold;
            let hold = TimeDelta::from_std(hold).unwrap_or(HOLD);
            let works = unit.judgement == Judgement::Works && unit.since.is_some_and(|since| now - since >= hold);
            let is_over = match was {
                Some("inactive" | "activating" | "reloading" | "refreshing") => works,
                // it exists, or has stopped: more was not wrong with it
                Some(_) => works || unit.judgement != Judgement::Works,
                // what failed is well again when its runs say so
                None => false,
            };
            let success = Problem { service_result: Some("success".to_owned()), ..Problem::default() };
            let run = format!("well:{}", now.timestamp_micros());
            is_over
                .then(|| Event { invocation_id: unit.run.clone(), ..event(&unit.subject, Outcome::Succeeded, run, success, now) })
        }
        _ => None,
    })
}

fn event(subject: &Subject, outcome: Outcome, run: String, problem: Problem, at: DateTime<Utc>) -> Event {
    Event {
        subject: subject.clone(),
        outcome,
        run,
        invocation_id: None,
        problem,
        triggered_by: None,
        start: None,
        restarts: false,
        at,
    }
}
