//! Processes of the watchdog's database: what became of them is filed and decided, each step in a commit.

use chrono::{DateTime, TimeDelta, Utc};

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
            Ok(how) if attempt.is_some() || failed.is_some() || is_calm(store, settings, subject, now)? => {
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

/// Whether a process that came into alarm again and again has been well for so long that this is over.
fn is_calm(store: &mut Store, settings: &Settings, subject: &Subject, now: DateTime<Utc>) -> Result<bool> {
    let incident = store.with(|db| store::active(db, subject))?;
    let Some(last) = incident.as_ref().and_then(|incident| incident.flaps()).map(|flapping| flapping.last) else {
        return Ok(false);
    };
    let window = TimeDelta::from_std(settings.rules(subject.name()).flapping_window).unwrap_or(TimeDelta::MAX);
    Ok((now - last).abs() >= window)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::store::Older;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    /// A database in its folder, these settings, and a process that they watch.
    fn watched(settings: &str) -> (TempDir, Store, Settings, Subject) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(20)).unwrap();
        let settings = Settings::read(&[("x.toml".into(), settings.to_owned())]).unwrap();
        (folder, store, settings, Subject::process("web"))
    }

    #[test]
    fn what_each_restart_brings_back_for_a_while_is_told_as_flapping_once() {
        let (_folder, mut store, settings, subject) = watched("[processes]\n[process.web]\n");
        // whether somebody hears of it; `None`: it is no news
        let mut told = |minute: i64, what: std::result::Result<&str, Alarm>, attempt: bool| {
            let news = [(subject.clone(), what.map(str::to_owned), attempt.then(|| at(minute)))];
            let (queued, filed) = processes(&mut store, &settings, &news, at(minute)).unwrap();
            (!filed.is_empty()).then_some(queued)
        };
        let mut heard = Vec::new();
        for cycle in 0..7 {
            heard.push(told(cycle * 10, Err(Alarm::Restarts), false));
            heard.push(told(cycle * 10 + 1, Ok("it was restarted, and is healthy"), true));
        }
        // the fifth time within an hour, and then nothing more
        let expected = [true, true, true, true, true, true, true, true, true, false, false, false, false, false];
        assert_eq!(heard, expected.map(Some));
        // in vain, which is another thing; and well again
        assert_eq!(told(70, Err(Alarm::Restarts), false), Some(false));
        assert_eq!(told(71, Err(Alarm::RestartFailed("x".to_owned())), true), Some(true));
        assert_eq!(told(72, Ok("it was restarted, and is healthy"), true), Some(true));
        // on another day, and then it stays well
        for cycle in 0..5 {
            told(2000 + cycle * 10, Err(Alarm::Restarts), false);
            told(2001 + cycle * 10, Ok("it was restarted, and is healthy"), true);
        }
        assert_eq!(told(2099, Ok("it stays well"), false), None);
        assert_eq!(told(2100, Ok("it stays well"), false), Some(true));
        assert_eq!(told(2200, Ok("it stays well"), false), None);
    }

    #[test]
    fn what_its_database_acknowledges_is_neither_reminded_of_nor_escalated() {
        let text = "[processes]\n[method.phone]\nplugin = \"journal\"\n[method.log]\nplugin = \"journal\"\n[policy]\nmethods = [\"log\"]\n\
                    remind = \"4h\"\nescalate_to = [\"phone\"]\nescalate_after = \"15m\"\n";
        let (_folder, mut store, settings, subject) = watched(text);
        let alarm = [(subject.clone(), Err(Alarm::Reported("no".to_owned())), None)];
        assert_eq!(processes(&mut store, &settings, &alarm, at(0)).unwrap(), (true, vec![0]));
        // whoever is told by a minute of time alone; all that was queued before is sent
        let told = |store: &mut Store, minute: i64| -> Vec<String> {
            store.write(|db| db.execute("DELETE FROM outbox", []).map(drop)).unwrap();
            super::super::due(store, &settings, at(minute)).unwrap();
            store.with(store::waiting).unwrap().into_iter().map(|waiting| waiting.method).collect()
        };
        let sound = |store: &mut Store, minute: i64, known_of: bool| {
            store.write(|db| store::acknowledge_anew(db, &subject, known_of, at(minute))).unwrap();
        };
        assert_eq!(told(&mut store, 14), [""; 0]);
        sound(&mut store, 14, true);
        for minute in [15, 4 * 60, 10 * 60] {
            assert_eq!(told(&mut store, minute), [""; 0], "{minute}");
        }
        // taken back: nothing that was overdue comes at once
        sound(&mut store, 10 * 60, false);
        assert_eq!(told(&mut store, 10 * 60 + 14), [""; 0]);
        assert_eq!(told(&mut store, 10 * 60 + 15), ["phone"]);
        assert_eq!(told(&mut store, 14 * 60 + 14), [""; 0]);
        assert_eq!(told(&mut store, 14 * 60 + 15), ["log"]);
        // and acknowledged once more
        sound(&mut store, 15 * 60, true);
        assert_eq!(told(&mut store, 30 * 60), [""; 0]);
    }

    #[test]
    fn whoever_clears_a_process_that_is_well_has_its_flapping_counted_anew() {
        let (_folder, mut store, settings, subject) = watched("[processes]\n[process.web]\n");
        let cycle = |store: &mut Store, minute: i64| {
            let alarm = [(subject.clone(), Err(Alarm::Restarts), None)];
            processes(store, &settings, &alarm, at(minute)).unwrap();
            let well = [(subject.clone(), Ok("well".to_owned()), Some(at(minute)))];
            processes(store, &settings, &well, at(minute)).unwrap();
            store.with(|db| store::active(db, &subject)).unwrap().is_some_and(|incident| incident.flaps().is_some())
        };
        for minute in 0..4 {
            assert!(!cycle(&mut store, minute));
        }
        assert_eq!(store.with(store::clearable).unwrap(), std::slice::from_ref(&subject));
        let clear = |store: &mut Store| store.write(|db| store::clear(db, &subject, at(4))).unwrap();
        assert_eq!((clear(&mut store), clear(&mut store)), (true, false), "and then there is nothing more to forget");
        assert_eq!(store.with(store::clearable).unwrap(), []);
        let flaps: Vec<bool> = (5..10).map(|minute| cycle(&mut store, minute)).collect();
        assert_eq!(flaps, [false, false, false, false, true]);
    }
}
