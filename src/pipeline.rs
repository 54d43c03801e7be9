//! THE page: what becomes of an event.
//!
//! ```text
//! event -> first commit: the event alone
//!       -> gather: what the journal and the service manager say, beside the trigger
//!       -> decide
//!       -> second commit: what was gathered, incident, verdict, outbox -> wake dispatch
//! ```
//!
//! After the first commit nothing can lose the event: whoever comes next, handler or dispatch, gathers what is missing and
//! decides what is undecided.

mod due;
mod flapping;
mod gather;
mod poll;
mod processes;
mod ready;
mod repair;
mod route;
mod schedules;
mod sensors;
mod sight;
mod sweep;

pub use due::due;
pub use gather::Gathering;
pub use poll::{OfUser, Polled, poll};
pub use processes::{News, processes};
pub use repair::{examine, repair};
pub use schedules::{Looked, schedules};
pub use sensors::{Judged, Looked as Sensed, Looking, measure, sensors};
pub use sight::sight;

use std::cell::Cell;
use std::io;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::Kind;

use crate::error::{self, Error, Result};
use crate::event::{Event, Outcome, Start, Subject};
use crate::host::clock::Clock;
use crate::host::world::World;
use crate::host::{Site, log, names, wake};
use crate::incident::Incident;
use crate::policy::{self, AlertOn, Flaps, Reason, Silence, Situation};
use crate::settings::Settings;
use crate::store::{self, Alert, Database, Store, Undecided};
use gather::gather;
use ready::ready;

/// How long the first commit waits for the lock. Where so many write at once, the spool keeps the event as safely without a
/// queue, and whoever has the lock next takes over all that is there with one commit: of 200 at once most end so, instead of
/// one commit after the other. While `ended` waits, the unit's stop waits, too.
const MOMENT: Duration = Duration::from_millis(250);
/// How long to wait for the lock later, at most twice: a handler must be gone before its unit's `TimeoutStartSec=30s`.
const PATIENCE: Duration = Duration::from_secs(8);

/// Reads the settings; after the first commit only, for they may be broken.
pub type ReadSettings<'a> = &'a dyn Fn() -> Result<Settings>;

/// Takes in one event. `Ok` means that it is safely recorded, whatever else went wrong and was logged.
///
/// # Errors
/// Only when the event could be kept neither in the database nor in the spool.
pub fn take_in(site: &Site, event: &Event, world: &dyn World, clock: Clock<'_>, settings: ReadSettings<'_>) -> Result<()> {
    let subject = Some(event.subject.as_str());
    if event.outcome == Outcome::Succeeded && ends_nothing(site, event) {
        return Ok(());
    }
    // what goes wrong after the first commit delays a message and loses nothing
    let recorded = record(site, event);
    let must_wake = match recorded.map(|mut store| settle_one(site, &mut store, event, world, clock, settings)) {
        Ok(Ok(must_wake)) => must_wake,
        Ok(Err(error)) => {
            if error.is_of_damage() {
                // what the first commit wrote may be lost with the rest
                keep(site, event, &error)?;
            }
            log::error(subject, &format!("{}; this is recorded, but nobody is told yet, because:\n{error}", what(event)));
            true
        }
        Err(error) => {
            spool(site, event, &error)?;
            true
        }
    };
    if must_wake {
        wake::raise_or_warn(site, subject);
    }
    Ok(())
}

/// Takes in an event of a run that systemd has not ended yet, since it waits for this process: what follows from it cannot be
/// said before, and is dispatch's.
///
/// # Errors
/// Only when the event could be kept neither in the database nor in the spool.
pub fn note(site: &Site, event: &Event) -> Result<()> {
    if event.outcome == Outcome::Succeeded && ends_nothing(site, event) {
        return Ok(());
    }
    if let Err(error) = record(site, event) {
        spool(site, event, &error)?;
    }
    wake::raise_or_warn(site, Some(event.subject.as_str()));
    Ok(())
}

fn what(event: &Event) -> String {
    format!("{} {}: {}", event.subject.full_name(), event.outcome.as_str(), event.problem)
}

/// Keeps an event that could not be recorded, because of this error, and says so.
fn spool(site: &Site, event: &Event, error: &Error) -> Result<()> {
    keep(site, event, error)?;
    // a queue is no trouble
    let level = if error.kind == error::Kind::Busy { log::Level::Info } else { log::Level::Error };
    let text = format!("{}; this waits in the spool, and nobody is told yet, because:\n{error}", what(event));
    log::write(level, Some(event.subject.as_str()), &text);
    Ok(())
}

/// Keeps an event that the database cannot take, because of this error.
fn keep(site: &Site, event: &Event, error: &Error) -> Result<()> {
    // a full or read-only disk: until the next boot /run keeps it
    let kept = store::keep_in_spool(&site.state, event).or_else(|_| store::keep_in_spool(site.refuge(), event));
    kept.map_err(|neither| {
        let text = format!(
            "{} {} and nothing could keep that: {}; {}",
            event.subject.name(),
            event.outcome.as_str(),
            error.message,
            neither.message
        );
        let hint = "only the journal has it: once the database can be written, dispatch finds it there";
        Error::new(error.kind, text).hint(error.hint.as_ref().map_or_else(|| hint.to_owned(), |first| format!("{first}; {hint}")))
    })
}

/// So often a handler looks at its unit, at most: what fails without a pause is dispatch's to follow.
const LOOKS: usize = 3;

/// What a handler does after its first commit. systemd merges a trigger into one whose handler still runs, so it looks once
/// more before it goes.
fn settle_one(
    site: &Site,
    store: &mut Store,
    event: &Event,
    world: &dyn World,
    clock: Clock<'_>,
    settings: ReadSettings<'_>,
) -> Result<bool> {
    let mut must_wake = false;
    let complained = Cell::new(false);
    let settings = || {
        let settings = settings()?;
        if !complained.replace(true) {
            for complaint in settings.complaints_about(event.subject.name()) {
                log::warn(Some(event.subject.as_str()), &format!("{complaint}; it is passed over"));
            }
        }
        Ok(settings)
    };
    for _ in 0..LOOKS {
        let gathering = Gathering { world, now: clock(), complete: None };
        let settled = settle(site, store, Some(&event.subject), gathering, &settings)?;
        must_wake |= settled.queued || settled.waits;
        if !settled.changed {
            break;
        }
    }
    Ok(must_wake)
}

/// The first commit: the event alone.
fn record(site: &Site, event: &Event) -> Result<Store> {
    Store::open_and_write(&site.state, [MOMENT, PATIENCE], |db| store::insert(db, event, false))
}

/// Whether a success is no news, since nothing was wrong: it leaves no trace then. In doubt it is recorded.
fn ends_nothing(site: &Site, event: &Event) -> bool {
    let spool_is_empty = || Ok(spooled(site)?.is_empty());
    let nothing_open = || match Store::read(&site.state)? {
        Some(store) => store.with(|db| store::nothing_open(db, &event.subject)),
        None => Ok(true),
    };
    let looked: Result<bool> = nothing_open().and_then(|nothing| if nothing { spool_is_empty() } else { Ok(false) });
    looked.unwrap_or(false)
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// An alert was queued.
    pub queued: bool,
    /// Something can be said only after the journal has caught up.
    pub waits: bool,
    /// Something was written.
    pub changed: bool,
}

impl Settled {
    /// What came of both.
    fn and(self, other: Settled) -> Settled {
        Settled { queued: self.queued || other.queued, waits: self.waits || other.waits, changed: self.changed || other.changed }
    }
}

/// Imports the spool, looks at this subject (or at all that are worth it), and decides what is undecided.
///
/// # Errors
/// `Config`, when the settings are broken; `Failure`, when the database does not answer.
pub fn settle(
    site: &Site,
    store: &mut Store,
    subject: Option<&Subject>,
    gathering: Gathering<'_>,
    settings: ReadSettings<'_>,
) -> Result<Settled> {
    let now = gathering.now;
    let imported = import_spool(site, store)?;
    let settings = settings();
    let gathered = gather(site, store, subject, gathering, settings.as_ref().ok())?;
    // what was imported may be about other subjects
    let waits = gathered.waits() || imported;
    let (undecided, late) = ready(settings.as_ref().ok(), store.with(store::undecided)?);
    if !gathered.has_changes() && undecided.is_empty() {
        return Ok(Settled { waits: waits || late, ..Settled::default() });
    }
    let (queued, late) = store.write(|db| {
        let overtaken = gathered.write(db)?;
        let Ok(settings) = &settings else { return Ok((false, overtaken)) };
        let (undecided, late) = ready(Some(settings), store::undecided(db)?);
        let mut undecided = undecided.into_iter();
        let queued =
            undecided.try_fold(false, |queued, undecided| decide(db, settings, &undecided, now).map(|told| told || queued))?;
        Ok((queued, overtaken || late))
    })?;
    settings.map(|_| Settled { queued, waits: waits || late, changed: true })
}

/// What waits in the spool, and in the one that stands in for it.
fn spooled(site: &Site) -> Result<Vec<(std::path::PathBuf, Event)>> {
    let mut events = store::read_spool(&site.state)?;
    if site.refuge() != site.state {
        events.extend(store::read_spool(site.refuge())?);
    }
    Ok(events)
}

/// Takes over the events that waited in the spool because the database could not take them; true when there were any.
///
/// # Errors
/// `Failure`, when the spool cannot be read or the database does not answer.
pub fn import_spool(site: &Site, store: &mut Store) -> Result<bool> {
    let spooled = spooled(site)?;
    if spooled.is_empty() {
        return Ok(false);
    }
    store.write(|db| spooled.iter().try_for_each(|(_, event)| store::insert(db, event, false).map(drop)))?;
    for (path, _) in &spooled {
        // the event's key makes a second import harmless: of those who read the spool at once, one removes it
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn(None, &format!("cannot remove {}: {error}", path.display()));
        }
    }
    Ok(true)
}

/// Decides one event: its incident, its verdict, and the alert that follows; true when there is one.
fn decide(db: &Database, settings: &Settings, undecided: &Undecided, now: DateTime<Utc>) -> store::Answer<bool> {
    let Undecided { id, event, counted, error } = undecided;
    let mut rules = settings.rules(event.subject.name());
    if event.subject.is_schedule() {
        rules = rules.of_schedule(&event.problem);
    }
    if event.subject.is_sensor() {
        rules = rules.of_check(&event.problem);
    }
    let mut incident = store::active(db, &event.subject)?;
    if event.subject.is_watchdogs() {
        rules = rules.of_process(&event.problem);
        if let Some(incident) = incident.as_mut() {
            incident.severity = incident.severity.max(rules.severity);
        }
    }
    if let Some(incident) = incident.as_mut().filter(|incident| Some(incident.id) == *counted) {
        // it was counted when systemd was still to try again
        incident.failures = incident.failures.saturating_sub(1);
        if let Some(flapping) = &mut incident.flapping {
            flapping.times = flapping.times.saturating_sub(1);
        }
    }
    let about = |ask: &dyn Fn(i64) -> store::Answer<bool>| incident.as_ref().map_or(Ok(false), |incident| ask(incident.id));
    let told = incident.as_ref().map_or_else(|| Ok(Vec::new()), |incident| store::told(db, incident))?;
    let each = rules.alert_on == AlertOn::Each;
    // somebody who was told needs no reason for the silence before
    let passed_over = match &incident {
        Some(incident) if told.is_empty() => store::passed_over(db, incident, *id, each)?,
        _ => 0,
    };
    let finals = match &incident {
        Some(incident) if !each => store::final_failures(db, incident, *id)?,
        Some(incident) => incident.failures.saturating_sub(passed_over),
        None => 0,
    };
    let earlier = match (rules.ignore, TimeDelta::from_std(rules.ignore_within)) {
        (0, _) => 0,
        (_, Ok(window)) if !window.is_zero() && event.outcome == Outcome::Failed && told.is_empty() => {
            store::failures_of_late(db, event, incident.as_ref().map(|incident| incident.id), window, each)?
        }
        _ => 0,
    };
    let start = match event.start {
        Some(Start::Restart) if rules.asks_for_starts() => store::first_start(db, event)?,
        start => start,
    };
    let (run_failed, failed_since) = match event.outcome {
        Outcome::Failed => (false, false),
        Outcome::Succeeded => (
            store::run_failed(db, &event.subject, &event.run)?,
            about(&|incident| store::failed_since(db, incident, *id, event))?,
        ),
    };
    let recovered_by_then = store::recovered_by_then(db, event)?;
    let of_late = flapping::OfLate::ask(db, &rules, event, incident.as_ref())?;
    let silences = store::silences(db, now)?;
    let situation = Situation {
        event,
        error: error.as_deref().filter(|error| !error.is_empty()),
        incident: incident.as_ref(),
        told: &told,
        start,
        finals,
        earlier,
        passed_over,
        run_failed,
        failed_since,
        recovered_by_then,
        restarts: of_late.restarts,
        incidents: of_late.incidents,
        silence: Silence::of(&silences, &event.subject, now),
        rules: &rules,
    };
    let verdict = policy::decide(&situation);

    let begun =
        |incident: Option<Incident>| incident.map_or_else(|| store::begin(db, &event.subject, rules.severity, event.at), Ok);
    let after: Option<Incident> = match (event.outcome, incident) {
        (Outcome::Failed, incident) => {
            let mut incident = begun(incident)?.failed(event.at, verdict.alert.is_some());
            if event.subject.is_sensor() {
                // its rule says how bad it is by now
                incident.severity = incident.severity.max(rules.severity);
            }
            Some(incident)
        }
        (Outcome::Succeeded, incident) if matches!(verdict.flaps, Flaps::Begins(_)) => Some(begun(incident)?),
        (Outcome::Succeeded, incident) => incident.map(|incident| if verdict.resolves { incident.resolved() } else { incident }),
    };
    let after = after.map(|incident| of_late.follow(db, incident, event, verdict.flaps)).transpose()?;
    if let Some(incident) = &after {
        store::save(db, incident, event.at)?;
    }
    if event.outcome == Outcome::Succeeded && verdict.flaps == Flaps::GoesOn {
        return store::fold(db, *id).map(|()| false);
    }
    store::decide(db, *id, after.as_ref().map(|incident| incident.id), &verdict.reason)?;
    if let (Some(kind), Some(incident)) = (verdict.alert, &after) {
        let alert = Alert { kind, key: &names::nonce(), about: Some((incident.id, *id)), at: event.at };
        let methods = match kind {
            Kind::Recovery => route::back(db, settings, &rules, incident, now)?,
            _ => route::to(settings, &rules.methods, incident.severity, now),
        };
        store::queue(db, &alert, &methods)?;
    }
    if let (Reason::Silenced { .. }, Some(incident)) = (&verdict.reason, &after) {
        store::set_silenced(db, incident.id, Some(*id))?;
    }
    Ok(verdict.alert.is_some())
}
