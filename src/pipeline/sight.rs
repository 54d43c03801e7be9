//! Whether a check can look at all. One that cannot finds nothing, and nothing is what it finds when all is well: after some
//! that could not in a row that is an incident of its own, `check:services`.

use chrono::{DateTime, Utc};

use super::decide;
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Lapse, Outcome, Problem, Subject};
use crate::host::Site;
use crate::settings::Settings;
use crate::store::{self, Store};

/// So many in a row: two minutes, in which a bus is restarted and a manager reads its units anew.
const ROW: u32 = 4;

/// Takes in whether the look at the services succeeded; true when somebody is to hear of it.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn sight(site: &Site, store: &mut Store, settings: &Settings, trouble: Option<&Error>, now: DateTime<Utc>) -> Result<bool> {
    // what is wrong with the database or the configuration others tell
    if trouble.is_some_and(|error| error.kind != Kind::Failure) {
        return Ok(false);
    }
    let subject = Subject::check(&site.manager, "services");
    let (blind, last) = store.with(|db| Ok((store::blind(db)?, store::last_of(db, &subject)?)))?;
    let is_told = last.is_some_and(|last| last.event.outcome == Outcome::Failed);
    let event = |outcome: Outcome, problem| {
        let run = format!("{}:{}", outcome.as_str(), now.timestamp_micros());
        Event::found(&subject, outcome, run, problem, now)
    };
    let (blind, event) = match trouble {
        // the usual look costs no commit
        None if blind == 0 && !is_told => return Ok(false),
        None => (0, is_told.then(|| event(Outcome::Succeeded, Problem::success()))),
        Some(_) if is_told => return Ok(false),
        Some(error) if blind + 1 >= ROW => {
            (0, Some(event(Outcome::Failed, Lapse::Blind { why: error.message.clone() }.problem())))
        }
        Some(_) => (blind + 1, None),
    };
    store.write(|db| {
        store::set_blind(db, blind)?;
        if let Some(event) = &event {
            store::file(db, event)?;
        }
        let mut undecided = store::undecided(db)?.into_iter().filter(|undecided| undecided.event.subject == subject);
        undecided.try_fold(false, |told, undecided| decide(db, settings, &undecided, now).map(|speaks| speaks || told))
    })
}
