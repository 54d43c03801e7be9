//! The sweep: units that failed and whose handlers did not tell. systemd starts no handler for a start that it refuses, for what
//! fails in a shutdown, and where the handler itself is masked or cannot start; PID 1's messages name the units all the same.

use chrono::{DateTime, TimeDelta, Utc};

use super::gather::Gathering;
use crate::error::Result;
use crate::event::{Manager, Subject, UnitName};
use crate::host::log;
use crate::settings::Settings;
use crate::store::{self, Store};

/// What a sweep found.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// The units to look at, each with the time of its first message.
    pub(super) subjects: Vec<(Subject, DateTime<Utc>)>,
    /// Where the next sweep begins, if that is worth a commit.
    pub(super) until: Option<DateTime<Utc>>,
}

/// A message may be stamped a moment before it can be read.
const SLACK: TimeDelta = TimeDelta::seconds(2);
/// So long ago, at most, a clock was set back that was right at the last sweep.
const SET_BACK: TimeDelta = TimeDelta::minutes(10);
/// Where nothing fails, so often a commit notes how far the sweep has come: an idle machine's disk is left asleep.
const SELDOM: TimeDelta = TimeDelta::hours(1);

/// Looks for them since the last sweep. The first one begins now: what is older than the record is nobody's news.
pub(super) fn sweep(manager: &Manager, store: &Store, gathering: Gathering<'_>, settings: Option<&Settings>) -> Result<Swept> {
    let Gathering { world, now, .. } = gathering;
    let Some(last) = store.with(store::swept)? else { return Ok(Swept { subjects: Vec::new(), until: Some(now) }) };
    // what lies ahead is of a clock that was set back
    let is_ahead = last > now;
    let since = if is_ahead { now - SET_BACK } else { last };
    let found = match world.troubled(manager, since) {
        Ok(found) => found,
        Err(why) => {
            log::warn(None, &format!("failures without a handler cannot be looked for: {why}"));
            return Ok(Swept::default());
        }
    };
    if let Some(oldest) = found.gone_before {
        let span = format!("{} and {}", crate::event::local_time(since), crate::event::local_time(oldest));
        log::warn(
            None,
            &format!("the journal has lost what was written between {span}: what failed then without its handler is not known"),
        );
    }
    let mut subjects = Vec::new();
    for (name, first) in found.units {
        let Ok(unit) = name.parse::<UnitName>() else { continue };
        let subject = Subject::unit(manager, &unit);
        let is_wanted = settings.is_some_and(|settings| settings.rules(subject.name()).sweep);
        match if is_wanted { Some(true) } else { world.is_handled(&subject) } {
            Some(true) => subjects.push((subject, first)),
            Some(false) => {}
            // nobody answers: the next sweep begins here again
            None => return Ok(Swept { subjects, until: None }),
        }
    }
    let until = found.until.unwrap_or(now - SLACK).max(since).max(found.gone_before.unwrap_or(since));
    let worth_it = !subjects.is_empty() || found.gone_before.is_some() || until - since >= SELDOM || is_ahead;
    Ok(Swept { subjects, until: worth_it.then_some(until) })
}
