//! A restart: that it is asked for is kept before it is made, and what came of it is told and kept once, by whichever run hears it.

use chrono::{DateTime, SubsecRound, Utc};

use super::{News, Round};
use crate::error::Result;
use crate::event::{Alarm, ProcessName, Subject, local_time};
use crate::store::{self, ProcessAlarm};
use crate::watchdog::{Breaker, Fate, Planned, State};

impl Round<'_> {
    /// Runs that died while they waited for a restart: what came of it is kept now, so that none is made twice.
    pub(super) fn take_up(&mut self) -> Result<()> {
        let begun = self.records.iter().filter_map(|(shown, record)| Some((shown.clone(), record.begun?)));
        for (shown, asked) in begun.collect::<Vec<_>>() {
            let Ok(name) = ProcessName::parse(&shown) else { continue };
            let alarms = self.store.with(store::process_alarms)?.into_iter().filter(|alarm| alarm.name == shown);
            let one = Planned { rows: alarms.map(|alarm| alarm.id).collect(), shown, fate: Fate::Leave };
            let failed = self.world.outcome(&name, asked).err();
            self.conclude(&one, asked, failed, "it was restarted, and is healthy")?;
        }
        Ok(())
    }

    /// Restarts one, and keeps what came of it; true when it is back.
    pub(super) fn restart(&mut self, one: &Planned, name: &ProcessName) -> Result<bool> {
        self.restart_for(one, name, "it was restarted, and is healthy").map(|failed| failed.is_none())
    }

    pub(super) fn restart_for(&mut self, one: &Planned, name: &ProcessName, words: &str) -> Result<Option<String>> {
        // as the database keeps it
        let asked = (self.clock)().trunc_subsecs(6);
        let record = self.records.entry(one.shown.clone()).or_default();
        record.begun = Some(asked);
        let record = record.clone();
        // before the deed: a run that dies in it is not the last to hear of it
        self.store.write(|db| store::keep_process(db, &one.shown, &record))?;
        let failed = self.world.restart(name, asked).err();
        self.conclude(one, asked, failed.clone(), words)?;
        if failed.is_none() {
            self.settle_rows(&one.rows)?;
        }
        Ok(failed)
    }

    /// Tells and keeps what came of a restart.
    fn conclude(&mut self, one: &Planned, asked: DateTime<Utc>, failed: Option<String>, words: &str) -> Result<()> {
        let now = (self.clock)();
        self.records = self.store.with(store::process_records)?;
        if self.records.get(&one.shown).is_none_or(|record| record.begun != Some(asked)) {
            // another run was quicker
            return Ok(());
        }
        let (limits, was) = (self.limits, self.breaker(&one.shown));
        let breaker = was.after(failed.is_none(), limits, now);
        let record = self.records.entry(one.shown.clone()).or_default();
        (record.failed, record.opened, record.last, record.begun) = (breaker.failed, breaker.opened, Some(now), None);
        let what = match &failed {
            None => {
                record.restarts += 1;
                record.restarted = Some(now);
                Ok(words.to_owned())
            }
            Some(why) => {
                record.failures += 1;
                record.why = Some(why.clone());
                record.unread = None;
                Err(Alarm::RestartFailed(why.clone()))
            }
        };
        let record = record.clone();
        let subject = Subject::process(&one.shown);
        let attempt = Some(asked);
        let mut news = vec![News { subject: subject.clone(), what: what.clone(), attempt }];
        if let (State::Open(until), true) = (breaker.state(limits, now), failed.is_some()) {
            let opened = News { subject, what: Err(self.open(&one.shown, until)), attempt };
            // of a trial that fails it is enough to say that the breaker stays open
            if was.opened.is_some() { news = vec![opened] } else { news.push(opened) }
        }
        // told before it is kept: a run that dies in between takes it up again, and the attempt is told once
        self.world.news(self.store, &news)?;
        let rows: &[i64] = if failed.is_none() { &one.rows } else { &[] };
        self.store.write(|db| {
            store::keep_process(db, &one.shown, &record)?;
            for alarm in store::process_alarms(db)?.into_iter().filter(|alarm| rows.contains(&alarm.id)) {
                store::keep_process_alarm(db, &ProcessAlarm { restarted: Some(now), ..alarm })?;
            }
            Ok(())
        })?;
        let done = if failed.is_none() { "restarted, and healthy" } else { "restarted, and not healthy" };
        self.report(one, what.err(), done);
        Ok(())
    }

    pub(super) fn breaker(&self, shown: &str) -> Breaker {
        self.records.get(shown).map_or_else(Breaker::default, |record| Breaker { failed: record.failed, opened: record.opened })
    }

    pub(super) fn open(&self, shown: &str, until: DateTime<Utc>) -> Alarm {
        let record = self.records.get(shown);
        let failed = record.map_or(0, |record| record.failed);
        let why = record.and_then(|record| record.why.as_deref()).unwrap_or("unknown");
        Alarm::BreakerOpen(format!(
            "{failed} restarts in a row failed; the next trial comes after {}. The last one: {why}",
            local_time(until)
        ))
    }
}
