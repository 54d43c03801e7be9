//! Flapping: what its rules ask of the record, and what an incident becomes by their verdict.

use chrono::TimeDelta;

use crate::event::{Event, Outcome};
use crate::incident::{Flapping, How, Incident};
use crate::policy::{Flaps, Recent, Rules};
use crate::store::{self, Database};

/// What happened of late; where no rule asks for it, nothing.
pub(super) struct OfLate {
    /// The restarts.
    pub(super) restarts: Recent,
    /// The incidents that were told and are over.
    pub(super) incidents: Recent,
    window: TimeDelta,
}

impl OfLate {
    pub(super) fn ask(db: &Database, rules: &Rules, event: &Event, incident: Option<&Incident>) -> store::Answer<OfLate> {
        let flaps = incident.is_some_and(|incident| incident.flaps().is_some());
        let none = Recent { times: 0, since: event.at };
        let window = TimeDelta::from_std(rules.flapping_window).unwrap_or(TimeDelta::MAX);
        if rules.flapping == 0 || flaps || (event.outcome == Outcome::Succeeded && !event.restarts) {
            return Ok(OfLate { restarts: none, incidents: none, window });
        }
        let most = rules.flapping.max(rules.ignore.saturating_add(1));
        let restarts = if event.restarts { store::restarts_of_late(db, event, window, most)? } else { none };
        Ok(OfLate { restarts, incidents: store::incidents_of_late(db, event, window)?, window })
    }

    /// The incident after this verdict.
    pub(super) fn follow(&self, db: &Database, incident: Incident, event: &Event, flaps: Flaps) -> store::Answer<Incident> {
        let OfLate { restarts, incidents, window } = self;
        Ok(match flaps {
            Flaps::Begins(how) => {
                let (since, times) = match how {
                    How::Restarting => (restarts.since, store::restarts_since(db, event, restarts.since)?),
                    How::Alternating => (incidents.since, incidents.times + 1),
                };
                incident.begins_to_flap(Flapping { how, since, times, last: event.at, over: false })
            }
            Flaps::GoesOn => incident.flaps_again(event.at, *window),
            Flaps::Ends => incident.stays_failed(event.at),
            Flaps::AsBefore => incident,
        })
    }
}
