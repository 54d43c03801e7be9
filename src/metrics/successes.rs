//! When units last ended well. A success of a unit with nothing wrong is not recorded, so the journal is asked. What it says is
//! kept from hour to hour, for journals rotate and some do not outlive a boot; in between it is asked anew.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Measuring, Successes};
use crate::error::{Error, Result};
use crate::event::{Subject, UnitName};
use crate::store::{self, Store, UnitTotals};

/// The first look: a job that runs once a week is known from the beginning.
const BACK: TimeDelta = TimeDelta::days(8);
/// So often what was found is kept, ...
const SELDOM: TimeDelta = TimeDelta::hours(1);
/// ... or when it was so much that the next look should not read it again.
const MANY: usize = 500;
/// A message may be stamped a moment before it can be read.
const SLACK: TimeDelta = TimeDelta::seconds(2);

/// What the record does not have yet: of units that it knows, whose `OnFailure=` names sysalert, or that have `sweep = true`.
///
/// # Errors
/// `Failure`, when the journal, the service manager or the database does not answer.
pub(super) fn look(store: &mut Store, measuring: Measuring<'_>) -> Result<Successes> {
    let Measuring { settings, manager, world, now, .. } = measuring;
    let unknown = |why: &str| Error::failure(format!("when units last succeeded is not measured: {why}"));
    let mark = store.with(store::succeeded)?;
    // in the future: the clock was set back
    let since = mark.map_or(now - BACK, |mark| if mark > now { now - SELDOM } else { mark });
    let found = world.succeeded(since).map_err(|why| unknown(&why))?;
    let known: Vec<Subject> = store.with(|db| store::totals(db, now))?.units.into_iter().map(|unit| unit.subject).collect();
    let mut fresh = Successes::new();
    for (name, at) in found.units {
        let Ok(unit) = name.parse::<UnitName>() else { continue };
        let subject = Subject::unit(manager, &unit);
        let is_wanted = known.binary_search(&subject).is_ok() || settings.rules(subject.name()).sweep;
        if is_wanted || world.is_handled(&subject).ok_or_else(|| unknown("the service manager does not answer"))? {
            fresh.push((subject, at));
        }
    }
    let until = found.until.unwrap_or(now - SLACK).max(since);
    if mark.is_none() || found.messages >= MANY || until - since >= SELDOM {
        store.write(|db| store::set_succeeded(db, &fresh, until))?;
    }
    Ok(fresh)
}

/// Adds it to what the record has.
pub(super) fn add(units: &mut Vec<UnitTotals>, fresh: Successes) {
    let mut fresh: BTreeMap<Subject, DateTime<Utc>> = fresh.into_iter().collect();
    for unit in &mut *units {
        unit.last_success = unit.last_success.max(fresh.remove(&unit.subject));
    }
    units.extend(fresh.into_iter().map(|(subject, at)| UnitTotals {
        subject,
        failed: false,
        failures: 0,
        last_failure: None,
        last_success: Some(at),
    }));
    units.sort_by(|one, other| one.subject.cmp(&other.subject));
}
