//! Between the two commits: what the journal and the service manager know about a subject, made ready for the record.

use chrono::{DateTime, TimeDelta, Utc};

use super::sweep::{Grace, Swept, grace, polled_since, sweep};
use crate::error::Result;
use crate::event::{Manager, Outcome, Subject};
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
    swept: Option<DateTime<Utc>>,
    listed: Vec<Subject>,
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
        self.is_first
            || self.swept.is_some()
            || !self.listed.is_empty()
            || self.looks.iter().any(|looked| !looked.look.changes.is_empty())
    }

    /// True when something can be said only after the journal has caught up.
    pub(super) fn waits(&self) -> bool {
        self.looks.iter().any(|looked| looked.look.waits)
    }

    /// Writes it; true when somebody else has looked at a subject meanwhile, or cleared it: it is to be looked at once more.
    pub(super) fn write(&self, db: &Database) -> store::Answer<bool> {
        store::begin_record(db, self.now)?;
        if let Some(until) = self.swept {
            store::set_swept(db, until)?;
        }
        self.listed.iter().try_for_each(|entry| store::set_mark(db, entry, self.now))?;
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
                    Change::StaysFailed => store::stays_failed(db, subject)?,
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

/// Looks at this subject; at all that are worth it, if none is named.
pub(super) fn gather(
    site: &Site,
    store: &Store,
    subject: Option<&Subject>,
    gathering: Gathering<'_>,
    settings: Option<&Settings>,
) -> Result<Gathered> {
    let mut swept = Swept::default();
    let subjects = match subject {
        Some(subject) => vec![subject.clone()],
        None => {
            swept = sweep(&site.manager, store, gathering, settings)?;
            let mut subjects = store.with(store::to_look_at)?;
            subjects.extend(swept.subjects.iter().map(|(subject, _)| subject.clone()));
            subjects.sort();
            subjects.dedup();
            subjects
        }
    };
    let recorded_since = store.with(store::recorded_since)?;
    let unswept = store.with(store::swept)?;
    let mut looks = Vec::new();
    let mut is_first = recorded_since.is_none();
    for subject in subjects {
        let polled_since = polled_since(&site.manager, store, settings, &subject, gathering.now)?;
        let rules = settings.map(|settings| settings.rules(subject.name()));
        let window = rules.as_ref().filter(|rules| rules.flapping > 0).map(|rules| TimeDelta::from_std(rules.flapping_window));
        let window = window.map(|window| window.unwrap_or(TimeDelta::MAX));
        let known = store.with(|db| {
            let incident = store::active(db, &subject)?;
            let flapping = incident.as_ref().and_then(|incident| Some(incident.flaps()?.last)).filter(|_| window.is_some());
            let well = flapping.map_or(Ok(false), |last| store::is_well(db, &subject, last))?;
            let last = if incident.is_some() { store::last_of(db, &subject)? } else { None };
            let last = last.filter(|last| last.event.outcome == Outcome::Failed);
            // with broken settings nothing was decided
            let is_settled = flapping.is_some() && store::undecided(db)?.iter().all(|other| other.event.subject != subject);
            Ok(Known {
                unconfirmed: store::unconfirmed(db, &subject)?,
                mark: store::mark(db, &subject)?,
                seen: swept.subjects.iter().find(|(swept, _)| *swept == subject).map(|(_, at)| *at).or(unswept),
                // of one that is polled there is no record before
                recorded_since: recorded_since.or(Some(gathering.now)).max(polled_since),
                open: incident.is_some() && !well,
                down: last.is_some_and(|last| last.event.problem.is_not_running()),
                flapping,
                well,
                is_settled,
                last_failure: store::last_failure(db, &subject)?,
            })
        })?;
        let hold = rules.and_then(|rules| TimeDelta::from_std(rules.recovery_hold).ok()).unwrap_or(HOLD);
        let when = When { now: gathering.now, complete: gathering.complete, hold, window };
        // of users' units the system's instance reads in the journal; a user's knows nothing of others'
        let is_ours = site.manager == Manager::System || subject.manager() == site.manager.to_string();
        let mut look = if is_ours { look::look(gathering.world, &subject, &known, when) } else { look::as_told(&known) };
        if polled_since.is_some() && !known.open {
            forget_the_boot(&mut look, grace(gathering.world, settings));
        }
        is_first |= known.mark.is_none() && look.mark.is_some();
        looks.push(Looked { subject, from: known.mark, look });
    }
    // what can be said only later must be found again
    let waiting = looks.iter().filter(|looked| looked.look.waits).map(|looked| &looked.subject);
    let firsts = waiting.filter_map(|subject| swept.subjects.iter().find(|(swept, _)| swept == subject));
    let held = firsts.map(|(_, first)| *first - TimeDelta::microseconds(1)).min();
    let until = swept.until.map(|until| held.map_or(until, |held| held.min(until)));
    Ok(Gathered { looks, is_first, swept: until, listed: swept.listed, now: gathering.now })
}

/// What a polled unit went through while the machine booted, and is well again now, is nobody's news.
fn forget_the_boot(look: &mut Look, grace: Option<Grace>) {
    let Some(grace) = grace else { return };
    let filed = |change: &Change| match change {
        Change::File(event) => Some((event.outcome, event.at)),
        Change::Correct(..) | Change::Drop(_) | Change::StaysFailed => None,
    };
    let is_of_boot = |change: &Change| match filed(change) {
        Some((Outcome::Failed, at)) => grace.holds(at),
        Some((Outcome::Succeeded, _)) => true,
        None => false,
    };
    let is_well = look.changes.last().and_then(filed).is_some_and(|(outcome, _)| outcome == Outcome::Succeeded);
    if is_well && look.changes.iter().all(is_of_boot) {
        look.changes.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::{Event, Problem, UnitName};
    use crate::store::Older;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    fn failure(run: &str, second: i64, restarts: bool) -> Event {
        Event {
            subject: Subject::unit(&Manager::System, &UnitName::typed("a").unwrap()),
            outcome: Outcome::Failed,
            run: run.into(),
            invocation_id: Some(run.into()),
            problem: Problem { service_result: Some("exit-code".into()), ..Problem::default() },
            triggered_by: None,
            start: None,
            restarts,
            at: at(second),
        }
    }

    /// What a look that began at this mark brought.
    fn gathered(from: Option<i64>, changes: Vec<Change>, mark: i64) -> Gathered {
        let look = Look { changes, mark: Some(at(mark)), waits: false };
        let looked = Looked { subject: failure("", 0, false).subject, from: from.map(at), look };
        Gathered { looks: vec![looked], is_first: false, swept: None, listed: Vec::new(), now: at(100) }
    }

    fn runs(store: &Store) -> Vec<(String, bool)> {
        let undecided = store.with(store::undecided).unwrap();
        undecided.into_iter().map(|undecided| (undecided.event.run, undecided.event.restarts)).collect()
    }

    /// Two look at the same unit at the same time, or somebody clears it meanwhile.
    #[test]
    fn whoever_writes_second_changes_nothing_that_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(60)).unwrap();
        store.write(|db| store::insert(db, &failure("a", 1, false), false)).unwrap();
        let first = gathered(None, vec![Change::Correct(1, failure("a", 1, false)), Change::File(failure("b", 2, false))], 2);
        let second = gathered(None, vec![Change::Correct(1, failure("a", 1, true)), Change::File(failure("c", 2, false))], 1);
        assert!(!store.write(|db| first.write(db)).unwrap());
        assert!(store.write(|db| second.write(db)).unwrap(), "it is to look again");
        assert_eq!(runs(&store), [("a".to_owned(), false), ("b".to_owned(), false)]);
        let subject = failure("", 0, false).subject;
        let mark = |store: &Store| store.with(|db| store::mark(db, &subject)).unwrap();
        assert_eq!(mark(&store), Some(at(2)));

        let late = gathered(Some(2), vec![Change::File(failure("d", 49, false))], 49);
        store.write(|db| store::clear(db, &subject, at(50)).map(drop)).unwrap();
        assert!(store.write(|db| late.write(db)).unwrap());
        assert_eq!((runs(&store), mark(&store)), (Vec::new(), Some(at(50))), "what was cleared does not come back");
    }

    #[test]
    fn a_failure_that_turns_final_is_decided_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(60)).unwrap();
        store.write(|db| gathered(None, vec![Change::File(failure("a", 1, true))], 1).write(db)).unwrap();
        let id = store.with(store::undecided).unwrap()[0].id;
        store.write(|db| store::decide(db, id, None, &crate::policy::Reason::Restarts)).unwrap();
        assert_eq!(runs(&store), []);
        store.write(|db| gathered(Some(1), vec![Change::File(failure("a", 3, false))], 3).write(db)).unwrap();
        assert_eq!(runs(&store), [("a".to_owned(), false)]);
        store.write(|db| store::decide(db, id, None, &crate::policy::Reason::Cleared)).unwrap();
        store.write(|db| gathered(Some(3), vec![Change::File(failure("a", 5, false))], 5).write(db)).unwrap();
        assert_eq!(runs(&store), [], "once");
    }
}
