//! The sweep: units that failed and whose handlers did not tell. systemd starts no handler for a start that it refuses, for what
//! fails in a shutdown, and where the handler itself is masked or cannot start; PID 1's messages name the units all the same.

use chrono::{DateTime, TimeDelta, Utc};

use super::gather::Gathering;
use crate::error::Result;
use crate::event::{Manager, Subject, UnitName};
use crate::host::log;
use crate::host::world::World;
use crate::settings::{Listed, Settings};
use crate::store::{self, Store};

/// What a sweep found.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// The units to look at, each with the time of its first message.
    pub(super) subjects: Vec<(Subject, DateTime<Utc>)>,
    /// Where the next sweep begins, if that is worth a commit.
    pub(super) until: Option<DateTime<Utc>>,
    /// The entries of `[services]` that are new: of what they stand for, older failures are nobody's news.
    pub(super) listed: Vec<Subject>,
}

/// A message may be stamped a moment before it can be read.
const SLACK: TimeDelta = TimeDelta::seconds(2);
/// So long ago, at most, a clock was set back that was right at the last sweep.
const SET_BACK: TimeDelta = TimeDelta::minutes(10);
/// Where nothing fails, so often a commit notes how far the sweep has come: an idle machine's disk is left asleep.
const SELDOM: TimeDelta = TimeDelta::hours(1);

/// Looks for them since the last sweep. The first one begins now: what is older than the record is nobody's news.
pub(super) fn sweep(own: &Manager, store: &Store, gathering: Gathering<'_>, settings: Option<&Settings>) -> Result<Swept> {
    let Gathering { world, now, .. } = gathering;
    let listed = newly_listed(store, settings)?;
    let Some(last) = store.with(store::swept)? else { return Ok(Swept { subjects: Vec::new(), until: Some(now), listed }) };
    // what lies ahead is of a clock that was set back
    let is_ahead = last > now;
    let since = if is_ahead { now - SET_BACK } else { last };
    let mut until = now - SLACK;
    let (mut is_lossy, mut was_told) = (false, false);
    let mut subjects = Vec::new();
    for manager in managers(own, settings) {
        let found = match world.troubled(&manager, since) {
            Ok(found) => found,
            Err(why) => {
                log::warn(None, &format!("failures without a handler cannot be looked for: {why}"));
                return Ok(Swept { subjects, until: None, listed });
            }
        };
        if let Some(oldest) = found.gone_before.filter(|_| !is_lossy) {
            let span = format!("{} and {}", crate::event::local_time(since), crate::event::local_time(oldest));
            log::warn(
                None,
                &format!(
                    "the journal has lost what was written between {span}: what failed then without its handler is not known"
                ),
            );
            is_lossy = true;
        }
        for (name, (first, last)) in found.units {
            let Ok(unit) = name.parse::<UnitName>() else { continue };
            let subject = Subject::unit(&manager, &unit);
            // its handler, or an earlier sweep, has looked at all of that: of a thousand at once nobody is asked a second time
            if store.with(|db| store::mark(db, &subject))?.is_some_and(|looked| last <= looked && looked <= now) {
                was_told = true;
                continue;
            }
            let polled_since = polled_since(own, store, settings, &subject, now)?;
            let is_polled = polled_since.is_some();
            let is_wanted = polled_since.is_some_and(|since| since <= first)
                || settings.is_some_and(|settings| settings.rules(subject.name()).sweep);
            match world.is_handled(&subject) {
                // the machine still boots: what is wrong with it afterwards is told then
                Some(false) if is_polled && grace(world, settings).is_some_and(|grace| grace.lasts(first, now)) => {
                    until = until.min(first - TimeDelta::microseconds(1));
                }
                _ if is_wanted => subjects.push((subject, first)),
                Some(true) => subjects.push((subject, first)),
                Some(false) => {}
                // nobody answers: the next sweep begins here again
                None => return Ok(Swept { subjects, until: None, listed }),
            }
        }
        until = until.min(found.until.unwrap_or(until)).max(found.gone_before.unwrap_or(since));
    }
    let until = until.max(since);
    let worth_it = !subjects.is_empty() || was_told || is_lossy || until - since >= SELDOM || is_ahead;
    Ok(Swept { subjects, until: worth_it.then_some(until), listed })
}

/// Stands in the record for an entry of `[services]`.
fn entry(listed: &Listed) -> Subject {
    Subject::stored(format!("services:{}", listed.name()))
}

fn newly_listed(store: &Store, settings: Option<&Settings>) -> Result<Vec<Subject>> {
    let mut new: Vec<Subject> = settings.iter().flat_map(|settings| settings.services.units.iter().map(entry)).collect();
    let mut known = Vec::new();
    for entry in &new {
        known.push(store.with(|db| store::mark(db, entry))?.is_some());
    }
    let mut known = known.into_iter();
    new.retain(|_| !known.next().unwrap_or_default());
    Ok(new)
}

/// Since when a unit is polled; `None`: it is not.
pub(super) fn polled_since(
    own: &Manager,
    store: &Store,
    settings: Option<&Settings>,
    subject: &Subject,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    let mut since = None;
    // a user's list names their own units as the system's names its own
    let name = if subject.whose() == *own { subject.unit_name() } else { subject.name() };
    for listed in settings.iter().flat_map(|settings| settings.services.covering(name)) {
        let noted = store.with(|db| store::mark(db, &entry(listed)))?.unwrap_or(now);
        since = Some(since.map_or(noted, |since: DateTime<Utc>| since.min(noted)));
    }
    Ok(since)
}

/// Whose units are swept: the manager's own, and those of users that are polled.
fn managers(own: &Manager, settings: Option<&Settings>) -> Vec<Manager> {
    let users = settings.filter(|_| *own == Manager::System).map(|settings| settings.services.users()).unwrap_or_default();
    [own.clone()].into_iter().chain(users.into_iter().map(|user| Manager::User(user.to_owned()))).collect()
}

/// The time after a boot in which nothing is said about polled units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grace {
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Grace {
    /// Whether this happened in it, and it is not over.
    fn lasts(self, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.holds(at) && now < self.end
    }

    /// Whether this happened in it.
    pub(super) fn holds(self, at: DateTime<Utc>) -> bool {
        at >= self.begin && at < self.end
    }
}

/// The grace of this boot.
pub(super) fn grace(world: &dyn World, settings: Option<&Settings>) -> Option<Grace> {
    let begin = world.booted()?;
    let length = TimeDelta::from_std(settings?.services.grace_after_boot).ok()?;
    Some(Grace { begin, end: begin + length })
}
