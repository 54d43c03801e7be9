//! `sysalert check`: looks at what never triggers, and reports it. The exit status is that of monitoring plugins.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::context::{Context, PATIENCE};
use super::{output, processes};
use crate::error::Result;
use crate::event::{Lapse, Manager, Subject, short_time, utc_time};
use crate::host::users::Answer;
use crate::host::world::Machine;
use crate::host::{clock, wake};
use crate::incident::Severity;
use crate::pipeline::{self, OfUser};
use crate::policy::Rules;
use crate::settings::Settings;
use crate::store::{self, Older, Store};
use crate::trigger::services::{Judgement, Seen};
use crate::watchdog::Reported;

/// So long each answer of the journal or the service manager may take: while much is started at once a manager takes its time.
const BUDGET: Duration = Duration::from_secs(10);

/// What to check, and how to report it.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// What to check; by default everything
    #[arg(value_enum, value_name = "CHECK")]
    checks: Vec<What>,
    /// What to print
    #[arg(long, value_enum, default_value = "text")]
    report: Report,
    /// Show what is checked, and check nothing
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
    Warning,
    Critical,
}

/// One line of a report.
#[derive(Debug)]
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
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        if self.list {
            return list(&settings);
        }
        // `--dry-run` is about processes: of the rest nothing is looked at without being recorded
        let wants = |what| (self.checks.is_empty() || self.checks.contains(&what)) && (!self.dry_run || what == What::Processes);
        let mut rows = if wants(What::Services) { self.rows(context, &settings)? } else { Vec::new() };
        if wants(What::Processes) {
            let reported = processes::check(context, &settings, self.dry_run, self.report == Report::None)?;
            rows.extend(reported.into_iter().flatten().map(|one| process(one, &settings)));
        }
        let worst = rows.iter().map(|row| row.state).max().unwrap_or(State::Ok);
        match self.report {
            Report::Text => output::print(&text(&rows, worst))?,
            Report::Json => {
                output::json(&json!({ "state": worst.word(), "checks": rows.iter().map(Row::json).collect::<Vec<_>>() }))?
            }
            Report::None => {}
        }
        Ok(worst.exit_status())
    }

    fn rows(&self, context: &Context, settings: &Settings) -> Result<Vec<Row>> {
        context.enter_or_make()?;
        let site = &context.site;
        let world = Machine::new(&site.manager, BUDGET);
        let mut store = Store::open(&site.state, Older::Migrate, PATIENCE)?;
        let now = clock::system();
        let looked = self.look(context, settings, &mut store, &world, now);
        let told = pipeline::sight(site, &mut store, settings, looked.as_ref().err(), now);
        // an error of the look says more than one that came of it
        let (queued, rows) = match (looked, told) {
            (Ok((queued, rows)), told) => (told? || queued, Ok(rows)),
            (Err(error), told) => (told.unwrap_or(true), Err(error)),
        };
        if queued {
            wake::raise(site)?;
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
            rows.extend(polled.seen.iter().map(|unit| row(unit, settings, polled.in_grace)));
            rows.extend(polled.users.iter().flat_map(|user| of_user(user, settings, polled.in_grace, &active)));
        }
        let looked = pipeline::schedules(site, store, settings, world, now)?;
        rows.extend(looked.schedules.iter().map(|(subject, lapse)| schedule(subject, lapse.as_ref(), settings)));
        Ok((queued || looked.queued, rows))
    }
}

/// The units of a user; where their manager tells nothing, the journal alone does.
fn of_user(of: &OfUser, settings: &Settings, in_grace: bool, active: &[store::Row]) -> Vec<Row> {
    let why = match &of.seen {
        Ok(seen) => return seen.iter().map(|unit| row(unit, settings, in_grace)).collect(),
        Err(Answer::NoUser) => format!("there is no user {}", of.user),
        Err(Answer::Nothing(why)) => format!("only its failures are known, from the journal: {why}"),
        Err(_) => format!("only its failures are known, from the journal: no service manager of {} runs", of.user),
    };
    let no_user = of.seen == Err(Answer::NoUser);
    let manager = Manager::User(of.user.clone());
    let mut rows = Vec::new();
    for unit in settings.services.units.iter().filter(|unit| unit.manager == manager) {
        let row = |name: String, since, state, why| Row { check: "services", name, shown: String::new(), since, state, why };
        let is_meant = |subject: &Subject| unit.covers(&subject.whose(), subject.unit_name()) && !subject.is_schedule();
        let failed = active.iter().filter(|one| is_meant(&one.incident.subject)).map(|one| {
            let name = one.incident.subject.name().to_owned();
            let state = State::of(&settings.rules(&name));
            row(name, Some(one.incident.last_failure), state, one.problem.to_string())
        });
        let failed: Vec<Row> = failed.collect();
        if failed.is_empty() || no_user {
            rows.push(row(unit.name(), None, if no_user { State::Warning } else { State::Ok }, why.clone()));
        } else {
            rows.extend(failed);
        }
    }
    rows
}

/// How a schedule is.
fn schedule(subject: &Subject, lapse: Option<&Lapse>, settings: &Settings) -> Row {
    let rules = settings.rules(subject.name());
    let state = lapse.map_or(State::Ok, |lapse| State::of(&rules.of_schedule(&lapse.problem())));
    let why = lapse.map(ToString::to_string).unwrap_or_default();
    Row { check: "services", name: subject.full_name().to_owned(), shown: String::new(), since: None, state, why }
}

/// What became of a process in alarm.
fn process(one: Reported, settings: &Settings) -> Row {
    let severity = settings.rules(&one.shown);
    let state = one.wrong.as_ref().map_or(State::Ok, |wrong| State::of(&severity.of_process(&wrong.problem())));
    let why = [one.wrong.map(|wrong| wrong.to_string()), Some(one.done)].into_iter().flatten().filter(|text| !text.is_empty());
    let why = why.collect::<Vec<_>>().join("; ");
    Row { check: "processes", name: one.shown, shown: String::new(), since: None, state, why }
}

fn row(unit: &Seen, settings: &Settings, in_grace: bool) -> Row {
    let name = unit.subject.name().to_owned();
    let rules = settings.rules(&name);
    let bad = || State::of(&rules);
    let (state, why) = match &unit.judgement {
        Judgement::Works => (State::Ok, String::new()),
        Judgement::Rests(why) | Judgement::Moves(why) => (State::Ok, (*why).to_owned()),
        Judgement::Failed(problem) | Judgement::Trouble(problem) if in_grace => {
            (State::Ok, format!("{problem}; `grace_after_boot` lasts"))
        }
        Judgement::Failed(problem) | Judgement::Trouble(problem) => (bad(), problem.to_string()),
    };
    Row { check: "services", name, shown: unit.state.clone(), since: unit.since, state, why }
}

/// What is checked.
fn list(settings: &Settings) -> Result<u8> {
    let rows = settings.services.units.iter().map(|unit| vec!["services".to_owned(), unit.name()]);
    let names = settings.process_names();
    let processes = settings.processes.iter().flat_map(|_| names.iter().map(|name| vec!["processes".to_owned(), name.clone()]));
    output::print(&output::table(&["CHECK", "WHAT"], rows.chain(processes)))?;
    Ok(0)
}

/// A monitoring system shows the first line, a person reads the table.
fn text(rows: &[Row], worst: State) -> String {
    if rows.is_empty() {
        return "OK: nothing is to be checked; [services] units is empty, and no timer starts what sysalert watches\n".to_owned();
    }
    let bad: Vec<&Row> = rows.iter().filter(|row| row.state != State::Ok).collect();
    let head = match bad.as_slice() {
        [] => format!("{}: {} checked", worst.word(), rows.len()),
        [one] => format!("{}: {} {}", worst.word(), one.name, one.why),
        many => format!("{}: {} of {} are in trouble", worst.word(), many.len(), rows.len()),
    };
    let table = rows.iter().map(|row| {
        let since = row.since.map(short_time).unwrap_or_default();
        vec![row.name.clone(), row.shown.clone(), since, row.state.word().to_owned(), row.why.clone()]
    });
    format!("{head}\n\n{}", output::table(&["UNIT", "STATE", "SINCE", "CHECK", "WHY"], table))
}

impl Row {
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
        match rules.severity {
            _ if !rules.enabled => State::Ok,
            Severity::Info => State::Ok,
            Severity::Warning => State::Warning,
            Severity::Critical => State::Critical,
        }
    }

    fn word(self) -> &'static str {
        match self {
            State::Ok => "OK",
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
        }
    }
}

/// The exit status of a check that could not check.
pub(super) const UNKNOWN: u8 = 3;
