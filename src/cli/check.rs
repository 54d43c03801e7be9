//! `sysalert check`: looks at what never triggers, and reports it. The exit status is that of monitoring plugins.

mod metrics;
mod sensors;
mod services;

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::context::{Context, PATIENCE};
use super::{output, processes};
use crate::error::{Error, Result};
use crate::event::{Alarm, Manager, short_time, utc_time};
use crate::host::sensing::Here;
use crate::host::world::Machine;
use crate::host::{clock, log, orphans, wake};
use crate::incident::Severity;
use crate::pipeline;
use crate::policy::Rules;
use crate::settings::{self, Settings};
use crate::store::{self, Older, Store};
use crate::watchdog::Reported;

/// So long each answer of the journal or the service manager may take: while much is started at once a manager takes its time.
const BUDGET: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  sysalert check services              how the units of [services] are
  sysalert check sensors --list        every metric with its value of now, and its rules
  sysalert check processes --dry-run   what the watchdog would restart
  sysalert check --report json         services and sensors, for a program

The exit status is that of monitoring plugins: 0 OK, 1 warning, 2 critical, 3 unknown.";

/// What to check, and how to report it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// What to check; by default all but `processes`, which restarts what is in alarm
    #[arg(value_enum, value_name = "CHECK")]
    checks: Vec<What>,
    /// What to print
    #[arg(long, value_enum, default_value = "text")]
    report: Report,
    /// Show what is checked, every metric with its value and its rules, and judge nothing
    #[arg(long)]
    list: bool,
    /// Say which processes would be restarted, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    // plain comments, as in `output`: the units of [services]
    Services,
    // the machine itself
    Sensors,
    // plain comments, as in `output`: the processes of the database of [processes]
    Processes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Report {
    // for people and for monitoring systems
    Text,
    // for programs
    Json,
    // for a unit, whose output nobody reads
    None,
}

/// How something is, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Ok,
    /// It could not be checked.
    Unknown,
    Warning,
    Critical,
}

/// One line of a report.
#[derive(Debug, Clone)]
struct Row {
    check: &'static str,
    name: String,
    /// As its manager calls it.
    shown: String,
    since: Option<DateTime<Utc>>,
    state: State,
    why: String,
}

impl Check {
    /// The check of this name as its unit starts it; `None`: there is none.
    pub(super) fn of_a_unit(name: &str) -> Option<Check> {
        let what = What::from_str(name, false).ok()?;
        Some(Check { checks: vec![what], report: Report::None, list: false, dry_run: false })
    }

    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        if self.list {
            return self.list(context, &settings);
        }
        context.enter_or_make()?;
        let site = &context.site;
        let world = Machine::new(&site.manager, BUDGET);
        let mut store = Store::open(&site.state, Older::Migrate, PATIENCE)?;
        let now = clock::system();
        let sensed = if self.is_wanted(What::Sensors) {
            let machine = machine(context);
            if let Err(error) = orphans::adopt() {
                log::warn(None, &format!("what the programs of [sensor.command] leave behind cannot be ended: {error}"));
            }
            let mut look = || {
                let looked = pipeline::sensors(&mut store, &settings, &world, &machine, now);
                orphans::end();
                looked
            };
            let sensed = if self.report == Report::None { look() } else { output::waiting_for("measuring", look) }?;
            if sensed.queued {
                wake::raise_or_warn(site, None);
            }
            Some(sensed)
        } else {
            None
        };
        let rows = if self.is_wanted(What::Services) {
            match self.services(context, &settings, &mut store, &world, now) {
                // what the sensors saw is told all the same
                Err(error) if sensed.is_some() => vec![Row::unknown(&error)],
                rows => rows?,
            }
        } else {
            vec![]
        };
        let processes = if self.is_wanted(What::Processes) { self.processes(context, &settings)? } else { vec![] };
        let rows = [rows, processes].concat();

        let of_sensors = sensed.as_ref().map_or(State::Ok, sensors::worst);
        let worst = rows.iter().map(|row| row.state).max().unwrap_or(State::Ok).max(of_sensors);
        let text = || {
            let bad = rows.iter().filter(|row| row.state != State::Ok).map(|row| format!("{} {}", row.name, row.why));
            let bad: Vec<String> = bad.chain(sensed.iter().flat_map(sensors::bad)).collect();
            let checked = rows.len() + sensed.as_ref().map_or(0, |sensed| sensed.sensors.len());
            let tables = [text(&rows), sensed.as_ref().map(|sensed| sensors::text(sensed, now)).unwrap_or_default()];
            let tables = tables.into_iter().filter(|table| !table.is_empty()).map(|table| format!("\n{table}"));
            self.head(worst, &bad, checked, &settings) + &tables.collect::<String>()
        };
        let json = || {
            let mut report = Map::new();
            report.insert("state".into(), worst.word().into());
            report.insert("checks".into(), rows.iter().map(Row::json).collect());
            report.extend(sensed.iter().flat_map(|sensed| sensors::json(sensed, now)));
            Value::Object(report)
        };
        if let Some(sensed) = &sensed {
            sensors::keep(&settings, sensed, now, || [text(), format!("{:#}\n", json())]);
        }
        match self.report {
            Report::Text => output::print(&text())?,
            Report::Json => output::json(&json())?,
            Report::None => {}
        }
        Ok(worst.exit_status())
    }

    /// A monitoring system shows the first line.
    fn head(&self, worst: State, bad: &[String], checked: usize, settings: &Settings) -> String {
        let only_processes = self.is_wanted(What::Processes) && !self.is_wanted(What::Services);
        match bad {
            [] if checked == 0 && only_processes && settings.processes.is_some() => {
                "OK: no process is in alarm that nobody knows of\n".to_owned()
            }
            [] if checked == 0 && only_processes => "OK: no process is watched; [processes] names their database\n".to_owned(),
            [] if checked == 0 => {
                "OK: nothing is to be checked; [services] units is empty, and no timer starts what sysalert watches\n".to_owned()
            }
            [] => format!("{}: {checked} checked\n", worst.word()),
            [one] => format!("{}: {one}\n", worst.word()),
            many => format!("{}: {} are in trouble: {}\n", worst.word(), many.len(), many.join("; ")),
        }
    }

    /// The watchdog of processes acts: it must be named. `--dry-run` is about it alone: of the rest nothing is looked at without
    /// being recorded.
    fn is_wanted(&self, what: What) -> bool {
        let acts = what == What::Processes;
        match self.checks.as_slice() {
            [] => acts == self.dry_run,
            named => named.contains(&what) && (acts || !self.dry_run),
        }
    }

    fn processes(&self, context: &Context, settings: &Settings) -> Result<Vec<Row>> {
        let reported = processes::check(context, settings, self.dry_run, self.report == Report::None)?;
        Ok(reported.into_iter().flatten().map(|one| process(one, settings)).collect())
    }

    fn services(
        &self,
        context: &Context,
        settings: &Settings,
        store: &mut Store,
        world: &Machine,
        now: DateTime<Utc>,
    ) -> Result<Vec<Row>> {
        let site = &context.site;
        let looked = self.look(context, settings, store, world, now);
        let told = pipeline::sight(site, store, settings, looked.as_ref().err(), now);
        // an error of the look says more than one that came of it
        let (queued, rows) = match (looked, told) {
            (Ok((queued, rows)), told) => (told? || queued, Ok(rows)),
            (Err(error), told) => (told.unwrap_or(true), Err(error)),
        };
        if queued {
            wake::raise_or_warn(site, None);
        }
        rows
    }

    /// What there is to report, and whether somebody is to hear of it.
    fn look(
        &self,
        context: &Context,
        settings: &Settings,
        store: &mut Store,
        world: &Machine,
        now: DateTime<Utc>,
    ) -> Result<(bool, Vec<Row>)> {
        let site = &context.site;
        let (mut queued, mut rows) = (false, Vec::new());
        if !settings.services.units.is_empty() {
            // who reads a report wants to know since when
            let thorough = self.report != Report::None;
            let polled = pipeline::poll(site, store, world, now, thorough, &|| context.settings())?;
            queued = polled.settled.queued || polled.settled.waits;
            let active = store.with(|db| store::list(db, store::Which::Active))?;
            let units = polled.seen.iter().map(|unit| services::row(unit, settings, polled.in_grace));
            rows.extend(units);
            rows.extend(polled.users.iter().flat_map(|user| services::of_user(user, settings, polled.in_grace, &active)));
        }
        let looked = pipeline::schedules(site, store, settings, world, now)?;
        rows.extend(looked.schedules.iter().map(|(subject, lapse)| services::schedule(subject, lapse.as_ref(), settings)));
        Ok((queued || looked.queued, rows))
    }

    /// What is checked; sensors measure for it, and nothing is judged or recorded.
    fn list(&self, context: &Context, settings: &Settings) -> Result<u8> {
        let services: Option<Vec<String>> =
            self.is_wanted(What::Services).then(|| settings.services.units.iter().map(settings::Listed::name).collect());
        let processes: Option<Vec<String>> =
            (self.is_wanted(What::Processes) && settings.processes.is_some()).then(|| settings.process_names());
        let sensors = if self.is_wanted(What::Sensors) {
            let known = match context.read()? {
                Some(store) => store.with(store::sensors)?,
                None => Vec::new(),
            };
            let measure = || pipeline::measure(known, settings, &machine(context), clock::system());
            Some(output::waiting_for("measuring", measure))
        } else {
            None
        };
        match self.report {
            Report::Text => {
                let table = |check: &str, names: Vec<String>| {
                    output::table(&["CHECK", "WHAT"], names.into_iter().map(|name| vec![check.to_owned(), name]))
                };
                let services = services.map(|names| table("services", names));
                let processes = processes.map(|names| table("processes", names));
                let tables = services.into_iter().chain(processes).chain(sensors.as_deref().map(metrics::list));
                let tables: Vec<String> = tables.collect();
                output::print(&tables.join("\n"))?;
            }
            Report::Json => {
                let named = [("services", services), ("processes", processes)];
                let mut list: Map<String, Value> =
                    named.into_iter().filter_map(|(check, names)| Some((check.to_owned(), names?.into()))).collect();
                list.extend(sensors.as_deref().map(metrics::list_json).unwrap_or_default());
                output::json(&Value::Object(list))?;
            }
            Report::None => {}
        }
        Ok(0)
    }
}

fn machine(context: &Context) -> Here {
    let here = Here::new("/");
    if matches!(context.site.manager, Manager::User(_)) { here.with_users_manager() } else { here }
}

/// What became of a process in alarm.
fn process(one: Reported, settings: &Settings) -> Row {
    let severity = settings.rules(&one.shown);
    let state = one.wrong.as_ref().map_or(State::Ok, |wrong| State::of(&severity.of_process(&wrong.problem())));
    let why = match one.wrong {
        Some(Alarm::Restarts) => format!("is in alarm; {}", one.done),
        Some(wrong) => wrong.to_string(),
        None => one.done,
    };
    Row { check: "processes", name: one.shown, shown: String::new(), since: None, state, why }
}

/// A person reads the table.
fn text(rows: &[Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let table = rows.iter().map(|row| {
        let since = row.since.map(short_time).unwrap_or_default();
        vec![row.name.clone(), row.shown.clone(), since, row.state.word().to_owned(), row.why.clone()]
    });
    output::table(&["UNIT", "STATE", "SINCE", "CHECK", "WHY"], table)
}

impl Row {
    /// The services could not be looked at.
    fn unknown(error: &Error) -> Row {
        let why = error.message.clone();
        Row { check: "services", name: "services".to_owned(), shown: String::new(), since: None, state: State::Unknown, why }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "check": self.check,
            "name": self.name,
            "shown": self.shown,
            "since": self.since.map(utc_time),
            "state": self.state.word(),
            "why": self.why,
        })
    }
}

impl State {
    /// How bad it is if something is wrong.
    fn of(rules: &Rules) -> State {
        if rules.enabled { State::from(rules.severity) } else { State::Ok }
    }

    fn word(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Unknown => "UNKNOWN",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
        }
    }

    /// As monitoring plugins have it.
    fn exit_status(self) -> u8 {
        match self {
            State::Ok => 0,
            State::Warning => 1,
            State::Critical => 2,
            State::Unknown => UNKNOWN,
        }
    }
}

impl From<Severity> for State {
    fn from(severity: Severity) -> State {
        match severity {
            Severity::Info => State::Ok,
            Severity::Warning => State::Warning,
            Severity::Critical => State::Critical,
        }
    }
}

/// The exit status of a check that could not check.
pub(super) const UNKNOWN: u8 = 3;
