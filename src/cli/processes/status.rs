//! `sysalert process status`: each process of the database, as the last run of the watchdog found it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::BUDGET;
use crate::cli::context::Context;
use crate::cli::output::{self, Format, Output};
use crate::error::Result;
use crate::event::{Alarm, Outcome, ProcessName, Subject, short_time, shown_name, utc_time};
use crate::host::manager::ServiceManager;
use crate::host::processes::Wanted;
use crate::host::{clock, identity};
use crate::settings::{self, Strategy};
use crate::store::{self, ProcessAlarm, ProcessRecord, Store};
use crate::watchdog::{Breaker, Limits, State};

const STATUS_EXAMPLES: &str = "\
Examples:
  sysalert process status            each process of the database
  sysalert process status -o json    for a program";

#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    output: Output,
}

impl Status {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        let mut manager = ServiceManager::new(false, BUDGET);
        let mut state = |name: &str| {
            let process = ProcessName::parse(name).ok().and_then(|parsed| settings.process(&parsed));
            process.map(|process| runs(&process, &mut manager)).unwrap_or_default()
        };
        // before this process is the user sysalert's, who may not look at plain processes
        let mut states: BTreeMap<String, _> =
            settings.process_names().into_iter().map(|name| (name.clone(), state(&name))).collect();
        let store = context.read()?;
        let (alarms, records) = match &store {
            Some(store) => store.with(|db| Ok((store::process_alarms(db)?, store::process_records(db)?)))?,
            None => Default::default(),
        };
        let database = settings.processes.as_ref().map(|processes| Subject::database(&processes.name));
        let blind = match (&store, &database) {
            (Some(store), Some(database)) => Blind::of(store, database)?,
            _ => None,
        };
        let by_name = by_name(alarms);
        let mut names = settings.process_names();
        let own: BTreeSet<String> = names.iter().cloned().collect();
        let others: BTreeSet<&String> = by_name.keys().chain(records.keys()).filter(|name| !own.contains(*name)).collect();
        names.extend(others.into_iter().cloned());
        let now = clock::system();
        let limits = settings
            .processes
            .as_ref()
            .map(|processes| Limits { failures: processes.max_restart_failures, reset: processes.circuit_reset_time });
        let rows: Vec<Row> = names
            .into_iter()
            .map(|name| {
                let alarm = alarm(by_name.get(&name).into_iter().flatten(), blind.is_some());
                let record = records.get(&name).cloned().unwrap_or_default();
                let (active, since) = states.remove(&name).unwrap_or_else(|| state(&name));
                let breaker = Breaker { failed: record.failed, opened: record.opened };
                let breaker = limits.map_or(State::Closed, |limits| breaker.state(limits, now));
                let unknown = blind.as_ref().filter(|_| alarm == UNKNOWN);
                Row { name, alarm, unknown, active, since, breaker, record }
            })
            .collect();
        if self.output.output == Format::Json {
            output::json(&rows.iter().map(Row::json).collect())?;
        } else if rows.is_empty() {
            output::print("No process is watched: [processes] names the database, and [process.NAME] each process\n")?;
        } else {
            let heads = ["PROCESS", "ALARM", "STATE", "UP SINCE", "BREAKER", "LAST RESTART", "LAST FAILURE"];
            output::print(&output::table(&heads, rows.iter().map(Row::cells)))?;
            if let (Some(Blind { since, alarm }), Some(database)) = (&blind, &database) {
                output::print(&format!("\nSince {} {} {alarm}\n", short_time(*since), database.name()))?;
            }
        }
        Ok(0)
    }
}

/// The rows of each process, by its name for people; there may be very many.
fn by_name(alarms: Vec<ProcessAlarm>) -> BTreeMap<String, Vec<ProcessAlarm>> {
    let mut by_name: BTreeMap<String, Vec<ProcessAlarm>> = BTreeMap::new();
    for alarm in alarms {
        by_name.entry(shown_name(&alarm.name, alarm.id)).or_default().push(alarm);
    }
    by_name
}

/// How a process is and since when: as its service's state, or "running" and "gone" of a plain process; of one that this user may
/// not look at nothing.
fn runs(process: &settings::Process, manager: &mut ServiceManager) -> (Option<String>, Option<DateTime<Utc>>) {
    let unit = process.unit.as_ref().filter(|_| process.strategy != Strategy::Process);
    let active = unit.and_then(|unit| manager.is(unit.as_str())).filter(|(load, _)| load == "loaded").map(|(_, active)| active);
    if let (Some(unit), Some(active)) = (unit, active) {
        let since = if active == "active" { manager.active_since(unit.as_str()) } else { None };
        return (Some(active), since);
    }
    if process.process_command.is_empty() || matches!(process.strategy, Strategy::Service | Strategy::Custom) {
        return (None, None);
    }
    let found = Wanted::new(&process.process_command, &process.process_user).map(|wanted| wanted.running()).unwrap_or_default();
    match found.first() {
        Some(one) => (Some("running".to_owned()), one.since()),
        None => (identity::is_root().then(|| "gone".to_owned()), None),
    }
}

/// That nobody knows which processes are in alarm.
struct Blind {
    since: DateTime<Utc>,
    alarm: Alarm,
}

impl Blind {
    /// As the last run that asked it left it.
    fn of(store: &Store, database: &Subject) -> Result<Option<Blind>> {
        let last = store.with(|db| store::last_of(db, database))?.filter(|last| last.event.outcome == Outcome::Failed);
        Ok(last.and_then(|last| match last.event.problem.alarm()? {
            alarm @ Alarm::Database(_) => Some(Blind { since: last.event.at, alarm }),
            _ => None,
        }))
    }
}

const UNKNOWN: &str = "unknown";

/// How a process stands that has these rows. One that was in alarm is so until its database says something else.
fn alarm<'a>(mut alarms: impl Iterator<Item = &'a ProcessAlarm> + Clone, is_blind: bool) -> &'static str {
    if alarms.clone().any(|alarm| alarm.restarted.is_none() && !alarm.known_of) {
        "in alarm"
    } else if alarms.clone().any(|alarm| alarm.restarted.is_none()) {
        "acknowledged"
    } else if alarms.next().is_some() {
        "restarted"
    } else if is_blind {
        UNKNOWN
    } else {
        "ok"
    }
}

struct Row<'a> {
    name: String,
    alarm: &'static str,
    unknown: Option<&'a Blind>,
    active: Option<String>,
    since: Option<DateTime<Utc>>,
    breaker: State,
    record: ProcessRecord,
}

impl Row<'_> {
    fn breaker(&self) -> &'static str {
        match self.breaker {
            State::Closed => "closed",
            State::Open(_) => "open",
            State::HalfOpen => "half-open",
        }
    }

    fn cells(&self) -> Vec<String> {
        let dash = || "-".to_owned();
        let breaker = match self.breaker {
            State::Open(until) => format!("open until {}", short_time(until)),
            _ if self.record.failed > 0 => format!("{}, {} failed", self.breaker(), self.record.failed),
            _ => self.breaker().to_owned(),
        };
        let why = self.record.why.clone().filter(|_| self.record.failed > 0);
        vec![
            self.name.clone(),
            self.alarm.to_owned(),
            self.active.clone().unwrap_or_else(dash),
            self.since.map_or_else(dash, short_time),
            breaker,
            self.record.restarted.map_or_else(dash, short_time),
            why.map_or_else(String::new, |why| format!("{}: {why}", self.record.last.map_or_else(dash, short_time))),
        ]
    }

    fn json(&self) -> Value {
        let ProcessRecord { failed, restarts, failures, last, restarted, why, .. } = &self.record;
        json!({
            "process": self.name,
            "alarm": self.alarm,
            "unknown_since": self.unknown.map(|blind| utc_time(blind.since)),
            "unknown_why": self.unknown.map(|blind| blind.alarm.to_string()),
            "unit_state": self.active,
            "up_since": self.since.map(utc_time),
            "breaker": self.breaker(),
            "open_until": if let State::Open(until) = self.breaker { Some(utc_time(until)) } else { None },
            "failed_in_a_row": failed,
            "restarts": restarts,
            "failures": failures,
            "last_try": last.map(utc_time),
            "last_restart": restarted.map(utc_time),
            "why": why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_read_is_not_ok_and_what_somebody_knows_of_is_said() {
        let at = DateTime::UNIX_EPOCH;
        let row = |restarted: bool, known_of| ProcessAlarm {
            id: 1,
            name: "web".to_owned(),
            since: at,
            restarted: restarted.then_some(at),
            known_of,
        };
        let (open, known, restarted) = (row(false, false), row(false, true), row(true, false));
        for (rows, is_blind, expected) in [
            (vec![], false, "ok"),
            (vec![], true, "unknown"),
            (vec![&open], true, "in alarm"),
            (vec![&known, &open], false, "in alarm"),
            (vec![&known], false, "acknowledged"),
            (vec![&restarted, &known], false, "acknowledged"),
            (vec![&restarted], false, "restarted"),
        ] {
            assert_eq!(alarm(rows.iter().copied(), is_blind), expected, "{rows:?}");
        }
    }

    #[test]
    fn since_when_and_why_it_is_not_known_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), store::Older::Migrate, BUDGET).unwrap();
        let (database, at) = (Subject::database("d"), DateTime::UNIX_EPOCH + BUDGET);
        let blind = |store: &Store| Blind::of(store, &database).unwrap().map(|blind| (blind.since, blind.alarm));
        let found = |store: &mut Store, outcome, problem, run: &str| {
            let event = crate::event::Event::found(&database, outcome, run.to_owned(), problem, at);
            store.write(|db| store::insert(db, &event, true).map(drop)).unwrap();
        };
        assert_eq!(blind(&store), None);
        let away = Alarm::Database("nobody answers".to_owned());
        found(&mut store, Outcome::Failed, away.problem(), "1");
        assert_eq!(blind(&store), Some((at, away)));
        found(&mut store, Outcome::Failed, Alarm::Unnoted("read-only".to_owned()).problem(), "2");
        assert_eq!(blind(&store), None, "it tells");
    }
}
