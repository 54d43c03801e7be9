//! Processes of the watchdog's database: what became of them is filed and decided, each step in a commit.

use chrono::{DateTime, Utc};

use super::decide;
use crate::error::Result;
use crate::event::{Alarm, Event, Outcome, Problem, Subject};
use crate::settings::Settings;
use crate::store::{self, Store};

/// A subject, with what is wrong with it or how it became well, and the time of the attempt that it came of.
pub type News = (Subject, std::result::Result<String, Alarm>, Option<DateTime<Utc>>);

/// Files what is wrong with a subject, or how it became well, if that is news, and decides it. What came of an attempt is news
/// in any case, and once: the time of the attempt tells it. Whether somebody is to hear of it, and which of the news it was.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn processes(store: &mut Store, settings: &Settings, news: &[News], now: DateTime<Utc>) -> Result<(bool, Vec<usize>)> {
    let (mut events, mut numbers) = (Vec::new(), Vec::new());
    for (number, (subject, what, attempt)) in news.iter().enumerate() {
        let last = store.with(|db| store::last_of(db, subject))?;
        let failed = last.filter(|last| last.event.outcome == Outcome::Failed).map(|last| last.event.problem);
        let (outcome, problem) = match what {
            Err(alarm) => {
                let problem = alarm.problem();
                if attempt.is_none() && failed.is_some_and(|failed| failed.is_same(&problem)) {
                    continue;
                }
                (Outcome::Failed, problem)
            }
            Ok(how) if attempt.is_some() || failed.is_some() => {
                (Outcome::Succeeded, Problem { cause: Some(how.clone()), ..Problem::success() })
            }
            Ok(_) => continue,
        };
        let run = format!(
            "{}:{}:{number}",
            problem.service_result.as_deref().unwrap_or_default(),
            attempt.unwrap_or(now).timestamp_micros()
        );
        numbers.push(number);
        events.push(Event::found(subject, outcome, run, problem, now));
    }
    if events.is_empty() {
        return Ok((false, numbers));
    }
    let queued = store.write(|db| {
        events.iter().try_for_each(|event| store::insert(db, event, true).map(drop))?;
        let mut undecided = store::undecided(db)?.into_iter().filter(|undecided| undecided.event.subject.is_watchdogs());
        undecided.try_fold(false, |told, undecided| decide(db, settings, &undecided, now).map(|speaks| speaks || told))
    })?;
    Ok((queued, numbers))
}
