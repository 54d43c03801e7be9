//! What is measured, as a file for node_exporter's textfile collector, from where a Prometheus fetches it.

mod successes;
mod text;

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Error, Result};
use crate::event::{Manager, Subject};
use crate::host::world::World;
use crate::host::{files, log};
use crate::settings::Settings;
use crate::store::{self, Store};

/// Where only the time of the run is new, the file is written this often: an idle machine's disk is left asleep.
const PACE: TimeDelta = TimeDelta::minutes(5);

/// What is measured, and when.
#[derive(Clone, Copy)]
pub struct Measuring<'a> {
    /// Where the file is, and which methods there are.
    pub settings: &'a Settings,
    /// Whose units these are.
    pub manager: &'a Manager,
    /// Whom to ask when they last succeeded.
    pub world: &'a dyn World,
    /// This program's.
    pub version: &'a str,
    /// Now.
    pub now: DateTime<Utc>,
}

/// When units last ended well, in addition to what is on record.
type Successes = Vec<(Subject, DateTime<Utc>)>;

/// Brings the file up to date, if one is configured. What goes wrong is said once, and stops nobody.
pub fn update(store: &mut Store, measuring: Measuring<'_>) {
    let Some(path) = &measuring.settings.textfile else { return };
    let (fresh, unread) = match successes::look(store, measuring) {
        Ok(fresh) => (fresh, None),
        Err(error) => (Successes::new(), Some(error)),
    };
    let trouble = write(path, store, measuring, fresh).err().or(unread).map(|error| error.to_string());
    let is_new = note(store, trouble.as_deref());
    // where it cannot be noted it is said each time
    if let Some(trouble) = trouble.filter(|_| is_new.unwrap_or(true)) {
        log::warn(None, &format!("{trouble}\nalerts go out all the same; this is said once"));
    }
}

fn write(path: &Path, store: &Store, Measuring { settings, version, now, .. }: Measuring<'_>, fresh: Successes) -> Result<()> {
    let mut totals = store.with(|db| store::totals(db, now))?;
    successes::add(&mut totals.units, fresh);
    let methods: Vec<&str> = settings.methods.keys().map(String::as_str).collect();
    let text = text::text(&totals, &methods, version, now);
    let failed = |error| Error::file("write the metrics to", path, &error);
    let old =
        files::to_replace(path).map_err(|error| failed(error).hint("`textfile` must name a file, or one that is not there"))?;
    if text::is_fresh(&old, &text, now, PACE) {
        return Ok(());
    }
    let hint = "the user sysalert must be able to write the folder; another one than /run/sysalert-metrics needs \
        ReadWritePaths= in a drop-in for sysalert-dispatch.service";
    files::replace_public(path, &text).map_err(|error| failed(error).hint(hint))
}

/// Notes what is to be said; true when it was not said yet.
fn note(store: &mut Store, trouble: Option<&str>) -> Result<bool> {
    let is_new = store.with(store::metrics_trouble)?.as_deref() != trouble;
    if is_new {
        store.write(|db| store::set_metrics_trouble(db, trouble))?;
    }
    Ok(is_new)
}

#[cfg(test)]
mod tests;
