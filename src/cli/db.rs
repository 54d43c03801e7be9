//! `sysalert db list|clear`: the incidents.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::context::Context;
use super::output::{self, Format, Output};
use crate::error::{Error, Result};
use crate::event::{Subject, short_time, utc_time};
use crate::host::clock;
use crate::incident::State;
use crate::pipeline;
use crate::store::{self, Older, Row, Store, Which};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Subcommand)]
pub(super) enum Db {
    /// Show the incidents that are not over
    List(List),
    /// End the incidents of these units without a recovery, and forget what was not yet delivered
    Clear(Clear),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    /// Only units that match
    #[arg(long, value_name = "GLOB")]
    unit: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
#[command(override_usage = "sysalert db clear [OPTIONS] <UNITS>... | --all")]
pub(super) struct Clear {
    /// The units
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    units: Vec<String>,
    /// Every unit
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Db {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        match self {
            Db::List(list) => list.run(context),
            Db::Clear(clear) => clear.run(context),
        }
    }
}

impl List {
    fn run(&self, context: &Context) -> Result<u8> {
        let store = context.read()?;
        let recorded = store.is_some();
        let mut rows = store.map_or_else(
            || Ok(Vec::new()),
            |store| store.with(|db| store::list(db, if self.all { Which::All } else { Which::Active })),
        )?;
        if let Some(glob) = self.unit.as_deref().map(WildMatch::new) {
            rows.retain(|row| glob.matches(row.incident.subject.name()));
        }
        match self.output.output {
            Format::Json => output::json(&rows.iter().map(json_of).collect())?,
            Format::Table if !recorded => output::print("Nothing was recorded yet.\n")?,
            Format::Table if rows.is_empty() => output::print("No incidents.\n")?,
            Format::Table => output::print(&table_of(&rows))?,
        }
        Ok(0)
    }
}

impl Clear {
    fn run(&self, context: &Context) -> Result<u8> {
        let named: Vec<Subject> = self.units.iter().map(|unit| context.subject(unit)).collect::<Result<_>>()?;
        let Some(readable) = context.read()? else {
            output::print("Nothing was recorded yet.\n")?;
            return Ok(0);
        };
        let subjects = if self.all { readable.with(store::clearable)? } else { named };
        drop(readable);
        if !self.yes && !agreed(&subjects)? {
            output::print("Nothing was changed.\n")?;
            return Ok(0);
        }
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        pipeline::import_spool(&context.site, &mut store)?;
        let now = clock::system();
        let cleared = store.write(|db| {
            if self.all {
                store::drop_tests(db)?;
            }
            subjects.iter().map(|subject| store::clear(db, subject, now)).collect::<store::Answer<Vec<bool>>>()
        })?;
        for (subject, cleared) in subjects.iter().zip(cleared) {
            output::print(&format!("{}: {}\n", subject.name(), if cleared { "cleared" } else { "there is nothing to forget" }))?;
        }
        Ok(0)
    }
}

fn agreed(subjects: &[Subject]) -> Result<bool> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(
            Error::usage("this forgets failures, and nobody is there to be asked").hint("add --yes if that is what you want")
        );
    }
    let names: Vec<&str> = subjects.iter().map(Subject::name).collect();
    output::confirmed(&format!("Forget the failures of {}, without a recovery alert?", names.join(", ")))
}

/// The incidents for people.
pub(super) fn table_of(rows: &[Row]) -> String {
    let row = |row: &Row| {
        vec![
            row.incident.subject.name().to_owned(),
            state_of(row),
            row.incident.failures.to_string(),
            row.alerts.to_string(),
            short_time(row.incident.first_failure),
            short_time(row.incident.last_failure),
            row.problem.to_string(),
        ]
    };
    output::table(&["UNIT", "STATE", "FAILURES", "ALERTS", "FIRST", "LAST", "HOW"], rows.iter().map(row))
}

fn state_of(row: &Row) -> String {
    match row.incident.state {
        State::Resolved if row.cleared => "cleared".to_owned(),
        state => state.as_str().to_owned(),
    }
}

/// An incident for programs.
pub(super) fn json_of(row: &Row) -> Value {
    let incident = &row.incident;
    json!({
        "subject": incident.subject.as_str(),
        "unit": incident.subject.unit_name(),
        "manager": incident.subject.manager(),
        "state": incident.state.as_str(),
        "severity": incident.severity.as_str(),
        "failures": incident.failures,
        "first_failure": utc_time(incident.first_failure),
        "last_failure": utc_time(incident.last_failure),
        "alerts": row.alerts,
        "last_alert": row.last_alert.map(utc_time),
        "service_result": row.problem.service_result,
        "exit_code": row.problem.exit_code,
        "exit_status": row.problem.exit_status,
        "invocation_id": row.invocation_id,
        "triggered_by": row.triggered_by,
        "decision": row.reason.as_ref().map(ToString::to_string),
    })
}
