//! Between the two commits: what the journal and the service manager know about a subject, made ready for the record.

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Result;
use crate::event::Subject;
use crate::host::Site;
use crate::host::world::World;
use crate::settings::Settings;
use crate::store::{self, Database, Store};
use crate::trigger::look::{self, Change, Known, Look, When};

/// When somebody gathers, and with whose help.
#[derive(Clone, Copy)]
pub struct Gathering<'a> {
    /// Whom to ask.
    pub world: &'a dyn World,
    /// Now.
    pub now: DateTime<Utc>,
    /// Up to when the journal is surely complete.
    pub complete: Option<DateTime<Utc>>,
}

/// What was gathered, and not written yet.
pub(super) struct Gathered {
    looks: Vec<Looked>,
    /// True when a subject was never looked at before, or nothing was.
    is_first: bool,
    now: DateTime<Utc>,
}

struct Looked {
    subject: Subject,
    /// The mark from which the look was taken.
    from: Option<DateTime<Utc>>,
    look: Look,
}

impl Gathered {
    /// True when there is something to write.
    pub(super) fn has_changes(&self) -> bool {
        self.is_first || self.looks.iter().any(|looked| !looked.look.changes.is_empty())
    }

    /// True when something can be said only after the journal has caught up.
    pub(super) fn waits(&self) -> bool {
        self.looks.iter().any(|looked| looked.look.waits)
    }

    /// Writes it; true when somebody else has looked at a subject meanwhile, or cleared it: it is to be looked at once more.
    pub(super) fn write(&self, db: &Database) -> store::Answer<bool> {
        store::begin_record(db, self.now)?;
        let mut overtaken = false;
        for Looked { subject, from, look } in &self.looks {
            // what was cleared meanwhile would come back
            if store::mark(db, subject)? != *from {
                overtaken = true;
                continue;
            }
            for change in &look.changes {
                match change {
                    Change::File(event) => store::file(db, event)?,
                    Change::Correct(id, event) => store::correct(db, *id, event)?,
                    Change::Drop(id) => store::drop_unconfirmed(db, *id)?,
                }
            }
            if let Some(mark) = look.mark {
                store::set_mark(db, subject, mark)?;
            }
        }
        Ok(overtaken)
    }
}

/// So long a daemon must be active while the settings are broken.
const HOLD: TimeDelta = TimeDelta::seconds(10);

/// Looks at these subjects; at all that are worth it, if none is named.
pub(super) fn gather(
    site: &Site,
    store: &Store,
    subject: Option<&Subject>,
    gathering: Gathering<'_>,
    settings: Option<&Settings>,
) -> Result<Gathered> {
    let subjects = match subject {
        Some(subject) => vec![subject.clone()],
        None => store.with(store::to_look_at)?,
    };
    let recorded_since = store.with(store::recorded_since)?;
    let mut looks = Vec::new();
    let mut is_first = recorded_since.is_none();
    for subject in subjects {
        let known = store.with(|db| {
            Ok(Known {
                unconfirmed: store::unconfirmed(db, &subject)?,
                mark: store::mark(db, &subject)?,
                recorded_since: recorded_since.or(Some(gathering.now)),
                open: store::active(db, &subject)?.is_some(),
                last_failure: store::last_failure(db, &subject)?,
            })
        })?;
        let hold = settings.and_then(|settings| TimeDelta::from_std(settings.rules(subject.name()).recovery_hold).ok());
        let when = When { now: gathering.now, complete: gathering.complete, hold: hold.unwrap_or(HOLD) };
        // of another manager's units this one knows nothing
        let is_ours = subject.manager() == site.manager.to_string();
        let look = if is_ours { look::look(gathering.world, &subject, &known, when) } else { look::as_told(&known) };
        is_first |= known.mark.is_none() && look.mark.is_some();
        looks.push(Looked { subject, from: known.mark, look });
    }
    Ok(Gathered { looks, is_first, now: gathering.now })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Event, Manager, Outcome, Problem, UnitName};
    use crate::store::Older;

    #[test]
    fn what_is_cleared_during_a_look_does_not_come_back() {
        let at = |second: i64| DateTime::from_timestamp(1_000_000 + second, 0).unwrap();
        let subject = Subject::unit(&Manager::System, &UnitName::typed("a").unwrap());
        let event = Event {
            subject: subject.clone(),
            outcome: Outcome::Failed,
            run: "1".to_owned(),
            invocation_id: Some("1".to_owned()),
            problem: Problem::default(),
            triggered_by: None,
            start: None,
            restarts: false,
            at: at(1),
        };
        let look = Look { changes: vec![Change::File(event)], mark: Some(at(1)), waits: false };
        let gathered =
            Gathered { looks: vec![Looked { subject: subject.clone(), from: None, look }], is_first: false, now: at(1) };
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Older::Refuse, Duration::from_secs(60)).unwrap();
        store.write(|db| store::clear(db, &subject, at(2))).unwrap();
        assert!(store.write(|db| gathered.write(db)).unwrap());
        assert!(store.with(store::undecided).unwrap().is_empty());
        assert_eq!(store.with(|db| store::mark(db, &subject)).unwrap(), Some(at(2)));
    }
}
