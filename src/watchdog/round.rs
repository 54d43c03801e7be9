//! One round of the watchdog: which processes are in alarm, what is done about them, and what is kept of it. Each step is
//! committed before the next one, so that a run that dies in between neither forgets a restart nor makes it twice.

mod attempt;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fate, Limits, Planned, Row, State, plan, waits_for};
use crate::error::Result;
use crate::event::{Alarm, ProcessName, Subject, shown_name};
use crate::host::clock::Clock;
use crate::settings::{Process, Processes, Settings};
use crate::store::{self, ProcessRecord, Store};

/// So many alarms that nobody knew of are taken at once; the next run takes more.
const MOST: usize = 500;

/// An answer, or a sentence for people that says why there is none.
pub type Answer<T> = std::result::Result<T, String>;

/// What a round needs of the world.
pub trait World {
    /// Puts a task to the client of the database.
    ///
    /// # Errors
    /// What is wrong, with what is to be done about it.
    fn ask(&mut self, request: Value) -> Answer<Value>;
    /// Restarts a process, and waits until that is over; it is asked for now, at this time.
    ///
    /// # Errors
    /// Why it is not back.
    fn restart(&mut self, name: &ProcessName, asked: DateTime<Utc>) -> Answer<()>;
    /// What came of a restart that was asked for then, by a run that did not live to hear of it; waits if it is not over.
    ///
    /// # Errors
    /// Why it is not back, or that nobody knows.
    fn outcome(&mut self, name: &ProcessName, asked: DateTime<Utc>) -> Answer<()>;
    /// Whether there is what a restart would start.
    ///
    /// # Errors
    /// What there is not.
    fn can_restart(&mut self, process: &Process) -> Answer<()>;
    /// Whether this run begins no restart any more: its unit has an end, too.
    fn is_late(&self) -> bool;
    /// Takes in what is news: a subject, and what is wrong with it, or how it became well.
    ///
    /// # Errors
    /// `Failure`, when the database does not answer.
    fn news(&mut self, store: &mut Store, news: &[News]) -> Result<()>;
}

/// What became of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The subject.
    pub subject: Subject,
    /// What is wrong with it, or how it became well.
    pub what: std::result::Result<String, Alarm>,
    /// The restart that it came of, by its time: then it is news even if it was so before, and only once.
    pub attempt: Option<DateTime<Utc>>,
}

/// A process in alarm after a round, for a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Its name, or the database's.
    pub shown: String,
    /// What is wrong with it; `None`: it is back, or somebody knows of it.
    pub wrong: Option<Alarm>,
    /// What was done, or would be.
    pub done: String,
}

/// What the client answers.
#[derive(Debug, Deserialize)]
struct Alarms {
    known: Vec<InAlarm>,
    new: Vec<InAlarm>,
    acknowledged: Vec<InAlarm>,
    left: usize,
    cut: bool,
}

#[derive(Debug, Deserialize)]
struct InAlarm {
    id: i64,
    name: String,
    sound: bool,
}

/// One round. `dry`: nothing is restarted or written anywhere.
///
/// # Errors
/// `Failure`, when sysalert's own database does not answer.
pub fn round(
    store: &mut Store,
    settings: &Settings,
    processes: &Processes,
    world: &mut dyn World,
    clock: Clock<'_>,
    dry: bool,
) -> Result<Vec<Reported>> {
    let records = store.with(store::process_records)?;
    let mut round = Round::new(store, processes, world, clock, records, dry);
    if !dry {
        round.take_up()?;
    }
    let known = round.store.with(store::process_alarms)?;
    let ids: Vec<i64> = known.iter().map(|alarm| alarm.id).collect();
    // behind those of the settings others that somebody was told of
    let mut names = settings.process_names();
    let own: BTreeSet<String> = names.iter().cloned().collect();
    names.extend(round.store.with(store::processes_in_trouble)?.into_iter().filter(|name| !own.contains(name)));
    let alarms = round.asked(&ids, &names);
    let database = Subject::database(&processes.name);
    let alarms = match alarms {
        Ok(alarms) => alarms,
        Err(why) => {
            let wrong = Alarm::Database(why);
            if !dry {
                let attempt = None;
                round.world.news(round.store, &[News { subject: database, what: Err(wrong.clone()), attempt }])?;
            }
            round.reported.push(Reported { shown: processes.name.clone(), wrong: Some(wrong), done: String::new() });
            return Ok(round.reported);
        }
    };
    let left = alarms.left;
    let is_whole = !alarms.cut && left == 0;
    let rows = round.take_in(&known, alarms)?;
    if !dry {
        round.acknowledge(&rows)?;
    }
    if is_whole && !dry {
        round.tell_well(&rows)?;
    }
    // a database that takes no notes is not well, however well it can be read
    if round.settle(&rows)? && !dry {
        let well = News { subject: database, what: Ok("it works again".to_owned()), attempt: None };
        round.world.news(round.store, &[well])?;
    }
    // what somebody acknowledged is down all the same
    let acknowledged = rows.iter().filter(|row| row.known_of && !row.restarted);
    let acknowledged = acknowledged.map(|row| shown_name(&row.name, row.id)).collect();
    round.act(plan(&rows, &|name| settings.process(name)), acknowledged)?;
    if left > 0 {
        let done = format!("{left} more rows are in alarm: the next run takes them");
        round.reported.push(Reported { shown: processes.name.clone(), wrong: None, done });
    }
    Ok(round.reported)
}

/// Restarts one process because somebody wants it, whatever its breaker says, and ends its alarms, those that no run has seen
/// and those that somebody acknowledged, too.
///
/// # Errors
/// `Failure`, when sysalert's own database does not answer.
pub fn by_hand(
    store: &mut Store,
    processes: &Processes,
    world: &mut dyn World,
    clock: Clock<'_>,
    name: &ProcessName,
    who: &str,
) -> Result<ByHand> {
    let records = store.with(store::process_records)?;
    let mut round = Round::new(store, processes, world, clock, records, false);
    let (rows, unread) = round.rows_of(name)?;
    let one = Planned { shown: name.as_str().to_owned(), rows, fate: Fate::Leave };
    // kept with the restart: the next run finds alarms that this one ended
    let now = (round.clock)();
    round.records.entry(one.shown.clone()).or_default().unread = unread.is_some().then_some(now);
    let words = format!("it was restarted by hand ({who}), and is healthy");
    let failed = round.restart_for(&one, name, &words)?;
    let unnoted = round.reported.into_iter().find_map(|reported| match reported.wrong {
        Some(Alarm::Unnoted(why)) => Some(why),
        _ => None,
    });
    Ok(ByHand { failed, not_ended: unread.or(unnoted) })
}

/// What came of a restart by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// Why it is not back, if it is not.
    pub failed: Option<String>,
    /// Why its alarms stay in the database for now.
    pub not_ended: Option<String>,
}

struct Round<'a> {
    limits: Limits,
    records: BTreeMap<String, ProcessRecord>,
    reported: Vec<Reported>,
    store: &'a mut Store,
    processes: &'a Processes,
    world: &'a mut dyn World,
    clock: Clock<'a>,
    dry: bool,
}

impl<'a> Round<'a> {
    fn new(
        store: &'a mut Store,
        processes: &'a Processes,
        world: &'a mut dyn World,
        clock: Clock<'a>,
        records: BTreeMap<String, ProcessRecord>,
        dry: bool,
    ) -> Round<'a> {
        let limits = Limits { failures: processes.max_restart_failures, reset: processes.circuit_reset_time };
        Round { limits, records, reported: Vec::new(), store, processes, world, clock, dry }
    }

    /// What the database says.
    fn asked(&mut self, known: &[i64], first: &[String]) -> Answer<Alarms> {
        let answer = self.world.ask(json!({ "task": "alarms", "known": known, "first": first, "most": MOST }))?;
        serde_json::from_value(answer).map_err(|_| "its client answers in an unknown way".to_owned())
    }

    /// What an earlier run restarted and could not settle; false when it still cannot be.
    fn settle(&mut self, rows: &[Row]) -> Result<bool> {
        let late: Vec<i64> = rows.iter().filter(|row| row.restarted).map(|row| row.id).collect();
        if late.is_empty() { Ok(true) } else { self.settle_rows(&late) }
    }

    /// Ends the alarms of these rows in the database; false when that takes no notes.
    fn settle_rows(&mut self, rows: &[i64]) -> Result<bool> {
        if self.processes.read_only || self.dry {
            return Ok(true);
        }
        let known = self.store.with(store::process_alarms)?;
        // each with the time of its own restart, which rows of one process share
        let mut by_time: BTreeMap<DateTime<Utc>, Vec<i64>> = BTreeMap::new();
        for alarm in known.iter().filter(|alarm| rows.contains(&alarm.id)) {
            by_time.entry(alarm.restarted.unwrap_or_else(|| (self.clock)())).or_default().push(alarm.id);
        }
        for (at, ids) in by_time {
            let note = format!(" - Restarted at {}", at.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S"));
            match self.world.ask(json!({ "task": "settle", "ids": ids, "note": note })) {
                Ok(_) => self.store.write(|db| ids.iter().try_for_each(|id| store::forget_process_alarm(db, *id)))?,
                Err(why) => {
                    let what = Err(Alarm::Unnoted(why));
                    let subject = Subject::database(&self.processes.name);
                    self.reported.push(Reported {
                        shown: self.processes.name.clone(),
                        wrong: what.clone().err(),
                        done: String::new(),
                    });
                    self.world.news(self.store, &[News { subject, what, attempt: None }])?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Does what is planned, one after the other.
    fn act(&mut self, planned: Vec<Planned>, acknowledged: BTreeSet<String>) -> Result<()> {
        // what is reported first, so that a long restart delays no news
        let now = (self.clock)();
        let mut news = Vec::new();
        let is_down = |one: &&Planned| one.fate != Fate::Leave;
        let mut down = acknowledged;
        down.extend(planned.iter().filter(is_down).map(|one| one.shown.clone()));
        for one in &planned {
            let wrong = match &one.fate {
                Fate::Leave if down.contains(&one.shown) => continue,
                Fate::Leave => {
                    self.report(one, None, "left alone: it was restarted");
                    continue;
                }
                Fate::Report(why) => {
                    let wrong = Alarm::Reported(why.clone());
                    self.report(one, Some(wrong.clone()), "reported");
                    wrong
                }
                Fate::Restart(process) => match (self.breaker(&one.shown).state(self.limits, now), waits_for(process, &down)) {
                    (State::Open(until), _) => {
                        let wrong = self.open(&one.shown, until);
                        self.report(one, Some(wrong.clone()), "reported");
                        wrong
                    }
                    // perhaps it is back in a moment, perhaps not
                    (_, Some(other)) => Alarm::Waits(other.to_owned()),
                    _ => Alarm::Restarts,
                },
            };
            // once it is known that it could not be restarted, that it is tried again is no news
            let tried = self.records.get(&one.shown).is_some_and(|record| record.failed > 0);
            if !(tried && wrong == Alarm::Restarts) {
                news.push(News { subject: Subject::process(&one.shown), what: Err(wrong), attempt: None });
            }
        }
        if !self.dry {
            self.world.news(self.store, &news)?;
        }
        for one in &planned {
            let Fate::Restart(process) = &one.fate else { continue };
            if matches!(self.breaker(&one.shown).state(self.limits, (self.clock)()), State::Open(_)) {
                continue;
            }
            if let Some(other) = waits_for(process, &down) {
                let wrong = Alarm::Waits(other.to_owned());
                self.report(one, Some(wrong), "waits");
                continue;
            }
            if self.world.is_late() {
                self.report(one, Some(Alarm::Restarts), "the next run restarts it: this one has no time left");
                continue;
            }
            if self.dry {
                if let Err(why) = self.world.can_restart(process) {
                    self.report(one, Some(Alarm::Reported(why)), "would not be restarted");
                    continue;
                }
                self.report(one, Some(Alarm::Restarts), "would be restarted");
                // what depends on it would be restarted after it
                down.remove(&one.shown);
                continue;
            }
            if self.restart(one, &process.name)? {
                down.remove(&one.shown);
            }
        }
        Ok(())
    }

    fn report(&mut self, one: &Planned, wrong: Option<Alarm>, done: &str) {
        self.reported.push(Reported { shown: one.shown.clone(), wrong, done: done.to_owned() });
    }
}
