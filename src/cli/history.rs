//! `sysalert history UNIT`: every recorded event of a unit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};
use sysalert_abi::Kind;

use super::context::{Context, never_recorded, of_check};
use super::output::{self, Format, Output};
use crate::error::Result;
use crate::event::{Event, Outcome, Start, short_time, utc_time};
use crate::incident::Acknowledgement;
use crate::store::{self, Delivery, Recorded, Sent};

/// A delivery that came later than this many seconds after its event says so.
const NOTABLE: u64 = 60;

const EXAMPLES: &str = "\
Examples:
  sysalert history backup                    backup.service
  sysalert history alice/bot.service         of alice's own service manager
  sysalert history check:storage:/:low_disk  a rule of a sensor";

/// Every recorded event of a unit.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct History {
    /// The unit
    unit: String,
    #[command(flatten)]
    output: Output,
}

impl History {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let subject = context.subject(&self.unit)?;
        let Some(store) = context.read()? else { return Err(never_recorded(&subject, &[])) };
        let history = store.with(|db| store::of_subject(db, &subject))?;
        if history.is_empty() {
            return Err(never_recorded(&subject, &store.with(store::subjects)?));
        }
        let known = store.with(|db| store::acknowledged(db, &subject))?;
        match self.output.output {
            Format::Json => output::json(&history.iter().map(|one| json_of(one, &known)).collect())?,
            Format::Table => {
                let mut rows: Vec<_> = history.iter().map(|one| (one.0.event.at, row(one))).collect();
                rows.extend(known.values().map(|known| (known.at, known_row(known.at, known.to_string()))));
                rows.extend(known.values().filter_map(taken_back_row));
                rows.sort_by_key(|(at, _)| *at);
                let rows = rows.into_iter().map(|(_, row)| row);
                output::print(&output::table(&["WHEN", "WHAT", "DELIVERED", "DECISION"], rows))?;
            }
        }
        Ok(0)
    }
}

fn row((recorded, sent): &(Recorded, Vec<Sent>)) -> Vec<String> {
    let event = &recorded.event;
    let (again, sent): (Vec<_>, Vec<_>) = sent.iter().partition(|sent| sent.kind == Kind::Reminder);
    let mut delivered: Vec<String> = sent.iter().map(|sent| delivered(event, &sent.delivery)).collect();
    let methods: BTreeSet<&str> = again.iter().map(|sent| sent.delivery.method.as_str()).collect();
    delivered.extend(methods.into_iter().filter_map(|method| {
        let reminders = again.iter().filter(|sent| sent.delivery.method == method && sent.delivery.was_sent()).count();
        match reminders {
            0 => None,
            1 => Some(format!("a reminder by {method}")),
            many => Some(format!("{many} reminders by {method}")),
        }
    }));
    vec![
        short_time(event.at),
        match event.outcome {
            _ if event.subject.is_sensor() => of_check(event),
            Outcome::Failed if event.subject.is_schedule() || event.subject.is_watchdogs() => event.problem.to_string(),
            Outcome::Failed => format!("failed: {}", event.problem),
            Outcome::Succeeded if event.subject.is_schedule() => "is well again".to_owned(),
            Outcome::Succeeded if event.subject.is_watchdogs() => {
                event.problem.cause.clone().unwrap_or_else(|| "is well again".to_owned())
            }
            Outcome::Succeeded => event.outcome.as_str().to_owned(),
        },
        match &recorded.reason {
            _ if !delivered.is_empty() => delivered.join(", "),
            Some(reason) if reason.alert().is_some() => "not delivered".to_owned(),
            _ => "-".to_owned(),
        },
        recorded.reason.as_ref().map_or_else(|| "not decided yet".to_owned(), ToString::to_string),
    ]
}

fn known_row(at: DateTime<Utc>, what: String) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![short_time(at), what, dash(), dash()]
}

fn taken_back_row(known: &Acknowledgement) -> Option<(DateTime<Utc>, Vec<String>)> {
    known.taken_back.map(|at| (at, known_row(at, format!("{} took its acknowledgement back", known.by))))
}

/// "mail", "mail after 2h 5m", "not by phone"
fn delivered(event: &Event, delivery: &Delivery) -> String {
    if !delivery.was_sent() {
        return format!("not by {}", delivery.method);
    }
    let seconds = u64::try_from((delivery.at - event.at).num_seconds()).unwrap_or(0);
    if seconds < NOTABLE {
        return delivery.method.clone();
    }
    let time = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    format!("{} after {}", delivery.method, time.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

fn json_of((recorded, sent): &(Recorded, Vec<Sent>), known: &BTreeMap<i64, Acknowledgement>) -> Value {
    let event = &recorded.event;
    let delivery = |Sent { kind, delivery }: &Sent| {
        json!({
            "alert": kind.as_str(),
            "method": delivery.method,
            "status": delivery.status,
            "detail": delivery.detail,
            "at": utc_time(delivery.at),
        })
    };
    json!({
        "subject": event.subject.as_str(),
        "unit": event.subject.unit_name(),
        "manager": event.subject.manager(),
        "outcome": event.outcome.as_str(),
        "at": utc_time(event.at),
        "invocation_id": event.invocation_id,
        "service_result": event.problem.service_result,
        "exit_code": event.problem.exit_code,
        "exit_status": event.problem.exit_status,
        "cause": event.problem.cause,
        "triggered_by": event.triggered_by,
        "start": event.start.map(Start::as_str),
        "restarts": event.restarts,
        "incident": recorded.incident,
        "acknowledged": recorded.incident.and_then(|id| known.get(&id)).map(super::db::acknowledged_json),
        "decision": recorded.reason.as_ref().map(ToString::to_string),
        "deliveries": sent.iter().map(delivery).collect::<Vec<_>>(),
    })
}
