//! THE page: what becomes of an event.
//!
//! ```text
//! event -> first commit: the event alone -> decide -> second commit: incident, verdict, outbox -> wake dispatch
//! ```
//!
//! After the first commit nothing can lose the event: whoever comes next, handler or dispatch, decides what is undecided.

use std::time::Duration;

use rusqlite::Transaction;

use crate::error::Result;
use crate::event::{Event, Outcome};
use crate::host::{Site, log, names, wake};
use crate::incident::Incident;
use crate::policy::{self, Situation};
use crate::settings::Settings;
use crate::store::{self, Alert, Older, Store};

/// A handler must be gone before its unit's `TimeoutStartSec=30s`, with time left for the spool.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the settings; after the first commit only, for they may be broken.
pub type ReadSettings<'a> = &'a dyn Fn() -> Result<Settings>;

/// Takes in one event. `Ok` means that it is safely recorded, whatever else went wrong and was logged.
///
/// # Errors
/// Only when the event could be kept neither in the database nor in the spool.
pub fn take_in(site: &Site, event: &Event, settings: ReadSettings<'_>) -> Result<()> {
    let subject = Some(event.subject.as_str());
    match record(site, event) {
        Ok(None) => return Ok(()),
        Ok(Some(mut store)) => {
            // what goes wrong from here on delays a message and loses nothing
            if let Err(error) = settle(site, &mut store, settings) {
                log::error(
                    subject,
                    &format!(
                        "{} {}: {}; this is recorded, but nobody is told yet\n{error}",
                        event.subject.name(),
                        event.outcome.as_str(),
                        event.problem
                    ),
                );
            }
        }
        Err(error) => {
            log::error(subject, &format!("{error}\nthe event goes to the spool, from where the next run takes it"));
            store::keep_in_spool(&site.state, event)?;
        }
    }
    if let Err(error) = wake::raise(site) {
        log::warn(subject, &format!("{error}; the timer of sysalert-dispatch.service delivers within a minute"));
    }
    Ok(())
}

/// The first commit. `None` when there is nothing to do: the event is on record, or it is a success and nothing was wrong.
fn record(site: &Site, event: &Event) -> Result<Option<Store>> {
    if event.outcome == Outcome::Succeeded && !concerns(site, event)? {
        return Ok(None);
    }
    let mut store = Store::open(&site.state, Older::Refuse, PATIENCE)?;
    let is_new = store.write(|db| store::insert(db, event))?;
    Ok(is_new.then_some(store))
}

/// Whether a success may end something: an incident, or an event that nobody decided yet.
fn concerns(site: &Site, event: &Event) -> Result<bool> {
    let Some(store) = Store::read(&site.state)? else { return Ok(!store::read_spool(&site.state)?.is_empty()) };
    store.with(|db| Ok(store::active(db, &event.subject)?.is_some() || !store::undecided(db)?.is_empty()))
}

/// Imports the spool and decides what is undecided.
///
/// # Errors
/// `Config`, when the settings are broken; `Failure`, when the database does not answer.
pub fn settle(site: &Site, store: &mut Store, settings: ReadSettings<'_>) -> Result<()> {
    import_spool(site, store)?;
    if store.with(store::undecided)?.is_empty() {
        return Ok(());
    }
    let settings = settings()?;
    store.write(|db| store::undecided(db)?.into_iter().try_for_each(|(id, event)| decide(db, &settings, id, &event)))
}

/// Takes over the events that waited in the spool because the database could not take them.
///
/// # Errors
/// `Failure`, when the spool cannot be read or the database does not answer.
pub fn import_spool(site: &Site, store: &mut Store) -> Result<()> {
    let spooled = store::read_spool(&site.state)?;
    if spooled.is_empty() {
        return Ok(());
    }
    store.write(|db| spooled.iter().try_for_each(|(_, event)| store::insert(db, event).map(drop)))?;
    for (path, _) in &spooled {
        // the event's key makes a second import harmless
        if let Err(error) = std::fs::remove_file(path) {
            log::warn(None, &format!("cannot remove {}: {error}", path.display()));
        }
    }
    Ok(())
}

/// Decides one event: its incident, its verdict, and the alert that follows.
fn decide(db: &Transaction<'_>, settings: &Settings, id: i64, event: &Event) -> rusqlite::Result<()> {
    let rules = settings.rules(event.subject.name());
    let incident = store::active(db, &event.subject)?;
    let told = incident.as_ref().map_or_else(|| Ok(Vec::new()), |incident| store::told(db, incident.id))?;
    let run_failed = event.outcome == Outcome::Succeeded && store::run_failed(db, &event.subject, &event.run)?;
    let verdict = policy::decide(&Situation { event, incident: incident.as_ref(), told: &told, run_failed, rules: &rules });

    let after: Option<Incident> = match (event.outcome, incident) {
        (Outcome::Failed, incident) => {
            let incident = incident.map_or_else(|| store::begin(db, &event.subject, rules.severity, event.at), Ok)?;
            Some(incident.failed(event.at, verdict.alert.is_some()))
        }
        (Outcome::Succeeded, incident) => incident.map(|incident| if verdict.resolves { incident.resolved() } else { incident }),
    };
    if let Some(incident) = &after {
        store::save(db, incident, event.at)?;
    }
    store::decide(db, id, after.as_ref().map(|incident| incident.id), &verdict.reason)?;
    if let (Some(kind), Some(incident)) = (verdict.alert, &after) {
        let alert = Alert { kind, key: &names::nonce(), about: Some((incident.id, id)), at: event.at };
        store::queue(db, &alert, &rules.methods)?;
    }
    Ok(())
}
