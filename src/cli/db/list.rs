//! `sysalert db list`: the incidents.

use clap::Args;
use serde_json::{Value, json};
use wildmatch::WildMatch;

use crate::cli::context::{Context, words_of};
use crate::cli::output::{self, Format, Output};
use crate::error::Result;
use crate::event::{short_time, utc_time};
use crate::incident::{Acknowledgement, State};
use crate::store::{self, Row, Which};

const EXAMPLES: &str = "\
Examples:
  sysalert db list                     what is not over
  sysalert db list --all --unit 'db*'  and what is, of some units";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct List {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    /// Only units that match
    #[arg(long, value_name = "GLOB")]
    unit: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl List {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
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

/// The incidents for people.
pub(in crate::cli) fn table_of(rows: &[Row]) -> String {
    let row = |row: &Row| {
        vec![
            row.incident.subject.full_name().to_owned(),
            state_of(row),
            row.incident.failures.to_string(),
            row.alerts.to_string(),
            short_time(row.incident.first_failure),
            short_time(row.incident.flaps().map_or(row.incident.last_failure, |flapping| flapping.last)),
            how(row),
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

/// How it last failed, that it flaps, and who knows of it.
fn how(row: &Row) -> String {
    let incident = &row.incident;
    let flaps = incident.flapping.as_ref().map(|flapping| match incident.flaps() {
        Some(_) => format!("{}, {} times", flapping.does(), flapping.times),
        None => format!("{}, {} times", flapping.did(), flapping.times),
    });
    let failed = words_of(&incident.subject, &row.problem);
    let how = match flaps {
        Some(flaps) if incident.failures == 0 => flaps,
        Some(flaps) if incident.flaps().is_some() => format!("{flaps}: {failed}"),
        _ => failed,
    };
    incident.known().map_or(how.clone(), |acknowledged| format!("{how} ({acknowledged})"))
}

/// Who knows of an incident, for programs.
pub(in crate::cli) fn acknowledged_json(acknowledged: &Acknowledgement) -> Value {
    let Acknowledgement { by, at, why, taken_back } = acknowledged;
    json!({ "by": by, "at": utc_time(*at), "reason": why, "taken_back": taken_back.map(utc_time) })
}

/// An incident for programs.
pub(in crate::cli) fn json_of(row: &Row) -> Value {
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
        "flapping": incident.flaps().map(|flapping| {
            json!({
                "how": flapping.how,
                "since": utc_time(flapping.since),
                "last": utc_time(flapping.last),
                "times": flapping.times,
            })
        }),
        "acknowledged": incident.known().map(acknowledged_json),
        "decision": row.reason.as_ref().map(ToString::to_string),
    })
}
