//! The rows in alarm, as they are kept from one round to the next, and what they mean for the incidents of their processes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Alarms, InAlarm, News, Round};
use crate::error::Result;
use crate::event::{Alarm, ProcessName, Subject, shown_name};
use crate::store::{self, ProcessAlarm};
use crate::watchdog::Row;

impl Round<'_> {
    /// The rows that are in alarm now; those that are not any more are over.
    pub(super) fn take_in(&mut self, known: &[ProcessAlarm], alarms: Alarms) -> Result<Vec<Row>> {
        let now = (self.clock)();
        let seen: BTreeMap<i64, &InAlarm> = alarms.known.iter().map(|alarm| (alarm.id, alarm)).collect();
        let unread = |name: &str| self.records.get(name).and_then(|record| record.unread);
        let mut kept = Vec::new();
        let (mut over, mut renamed) = (Vec::new(), Vec::new());
        for alarm in known {
            match seen.get(&alarm.id) {
                Some(row) if row.name == alarm.name => {
                    kept.push(ProcessAlarm {
                        known_of: row.sound,
                        restarted: alarm.restarted.or(unread(&row.name)),
                        ..alarm.clone()
                    });
                }
                Some(row) => {
                    over.push(alarm);
                    renamed.push(*row);
                }
                // of a table that was not read to its end nobody knows
                None if alarms.cut => {}
                None => over.push(alarm),
            }
        }
        let acknowledged = alarms.acknowledged.iter().filter(|row| !seen.contains_key(&row.id));
        kept.extend(alarms.new.iter().chain(acknowledged).chain(renamed).map(|row| ProcessAlarm {
            id: row.id,
            name: row.name.clone(),
            since: now,
            restarted: unread(&row.name),
            known_of: row.sound,
        }));
        let row = |alarm: &ProcessAlarm| Row {
            id: alarm.id,
            name: alarm.name.clone(),
            known_of: alarm.known_of,
            restarted: alarm.restarted.is_some(),
        };
        let rows: Vec<Row> = kept.iter().map(row).collect();
        if self.dry {
            return Ok(rows);
        }
        let still: BTreeSet<String> = rows.iter().map(|row| shown_name(&row.name, row.id)).collect();
        let ended: BTreeSet<String> = over.iter().map(|alarm| shown_name(&alarm.name, alarm.id)).collect();
        let ended = ended.difference(&still).map(|shown| News {
            subject: Subject::process(shown),
            what: Ok("its row is not in alarm any more".to_owned()),
            attempt: None,
        });
        let ended: Vec<News> = ended.collect();
        // told before it is forgotten: a run that dies in between tells it once more, which is no news then
        self.world.news(self.store, &ended)?;
        let before: BTreeMap<i64, &ProcessAlarm> = known.iter().map(|alarm| (alarm.id, alarm)).collect();
        let changed: Vec<_> = kept.iter().filter(|alarm| before.get(&alarm.id) != Some(alarm)).collect();
        let mut read = Vec::new();
        if !alarms.cut && alarms.left == 0 {
            let records = self.records.iter_mut().filter(|(_, record)| record.unread.is_some());
            for (name, record) in records {
                record.unread = None;
                read.push((name.as_str(), &*record));
            }
        }
        self.store.write(|db| {
            over.iter().try_for_each(|alarm| store::forget_process_alarm(db, alarm.id))?;
            changed.iter().try_for_each(|alarm| store::keep_process_alarm(db, alarm))?;
            read.iter().try_for_each(|(name, record)| store::keep_process(db, name, record))
        })?;
        Ok(rows)
    }

    /// `sound = 1` is what `sysalert ack` is, of a process whose rows all have it.
    pub(super) fn acknowledge(&mut self, rows: &[Row]) -> Result<()> {
        let now = (self.clock)();
        let mut known: BTreeMap<String, bool> = BTreeMap::new();
        for row in rows {
            *known.entry(shown_name(&row.name, row.id)).or_insert(true) &= row.known_of;
        }
        let known: Vec<(Subject, bool)> =
            known.into_iter().map(|(shown, known_of)| (Subject::process(&shown), known_of)).collect();
        // a look first: a run without news must not cost a commit
        let news = self.store.with(|db| {
            let asked = known.into_iter().map(|(subject, known_of)| {
                Ok(store::is_acknowledged_anew(db, &subject, known_of)?.then_some((subject, known_of)))
            });
            asked.filter_map(store::Answer::transpose).collect::<store::Answer<Vec<_>>>()
        })?;
        if news.is_empty() {
            return Ok(());
        }
        self.store
            .write(|db| news.iter().try_for_each(|(subject, known_of)| store::acknowledge_anew(db, subject, *known_of, now)))
    }

    /// All rows of a process that are in alarm, each on record from now on. A database that does not tell is told itself: then
    /// they are those that are known, with the reason.
    pub(super) fn rows_of(&mut self, name: &ProcessName) -> Result<(Vec<i64>, Option<String>)> {
        let known = self.store.with(store::process_alarms)?;
        let mut rows: Vec<i64> = known.iter().filter(|alarm| alarm.name == name.as_str()).map(|alarm| alarm.id).collect();
        let ids: Vec<i64> = known.iter().map(|alarm| alarm.id).collect();
        match self.asked(&ids, &[name.as_str().to_owned()]) {
            Ok(alarms) => {
                let since = (self.clock)();
                let seen = alarms.new.into_iter().chain(alarms.acknowledged).filter(|row| row.name == name.as_str());
                let new =
                    seen.map(|row| ProcessAlarm { id: row.id, name: row.name, since, restarted: None, known_of: row.sound });
                let new: Vec<ProcessAlarm> = new.filter(|alarm| !ids.contains(&alarm.id)).collect();
                self.store.write(|db| new.iter().try_for_each(|alarm| store::keep_process_alarm(db, alarm)))?;
                rows.extend(new.iter().map(|alarm| alarm.id));
                Ok((rows, None))
            }
            Err(why) => {
                let subject = Subject::database(&self.processes.name);
                self.world.news(self.store, &[News { subject, what: Err(Alarm::Database(why.clone())), attempt: None }])?;
                Ok((rows, Some(why)))
            }
        }
    }

    /// What is not in alarm, of that which was: it may have come back so often that this is news after a while.
    pub(super) fn tell_well(&mut self, rows: &[Row]) -> Result<()> {
        let down: BTreeSet<String> = rows.iter().map(|row| shown_name(&row.name, row.id)).collect();
        let well = self.records.iter().filter(|(shown, record)| record.begun.is_none() && !down.contains(*shown));
        let what = || Ok("it stays well".to_owned());
        let news: Vec<News> =
            well.map(|(shown, _)| News { subject: Subject::process(shown), what: what(), attempt: None }).collect();
        self.world.news(self.store, &news)
    }
}
