//! `sysalert explain UNIT`: why its last event spoke or kept silent.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::config::{origin_of, toml_of};
use super::context::{Context, by_now, never_recorded, of_check, words_of};
use super::outbox::next_try;
use super::output::{self, Format, Output};
use crate::error::Result;
use crate::event::{Breach, Outcome, counted, local_time, utc_time};
use crate::host::clock;
use crate::incident::{Acknowledgement, Incident, State};
use crate::message::visible;
use crate::policy::Rules;
use crate::store::{self, Row, Which};

const EXAMPLES: &str = "\
Examples:
  sysalert explain backup                 why you were told of backup.service, or not
  sysalert explain schedule:backup.timer  the same of its timer";

/// Why the last event spoke or kept silent.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Explain {
    /// The unit
    unit: String,
    #[command(flatten)]
    output: Output,
}

/// What time alone will make due, as the settings stand.
fn upcoming(row: &Row, rules: &Rules) -> Vec<(&'static str, String)> {
    let mut next = Vec::new();
    if row.incident.state != State::Open || !rules.enabled {
        return next;
    }
    let length = |time: Duration| humantime::format_duration(time).to_string();
    let reopened = row.incident.reopened_at();
    if let Some(every) = rules.remind {
        let last = if reopened > row.last_alert { "that was taken back" } else { "the last alert" };
        next.push(("reminder", format!("{} after {last}, until it recovers or is acknowledged (`remind`)", length(every))));
    }
    if !rules.escalate_to.is_empty() {
        let (methods, after) = (rules.escalate_to.join(", "), length(rules.escalate_after));
        let since = if reopened.is_some() { " since then" } else { "" };
        let what = format!("to {methods}, once, if nobody acknowledges it within {after}{since} (`escalate_after`)");
        next.push(("escalation", what));
    }
    next
}

/// How long an acknowledgement keeps reminders and escalation away.
fn quiet_until(incident: &Incident, known: &Acknowledgement) -> String {
    match known.taken_back {
        Some(at) => format!(": taken back {}", local_time(at)),
        None if incident.state == State::Resolved => String::new(),
        None if known.is_of_database() => ": no reminder until it recovers, or the database takes that back".to_owned(),
        None => ": no reminder until it recovers".to_owned(),
    }
}

impl Explain {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let subject = context.subject(&self.unit)?;
        let Some(store) = context.read()? else { return Err(never_recorded(&subject, &[])) };
        let Some(last) = store.with(|db| store::last_of(db, &subject))? else {
            return Err(never_recorded(&subject, &store.with(store::subjects)?));
        };
        let deliveries = store.with(|db| store::deliveries_of(db, last.id))?;
        let waiting = store.with(store::waiting)?;
        // also what earlier events of this unit still have to say
        let waiting: Vec<_> = waiting.iter().filter(|waiting| waiting.subject.as_deref() == Some(subject.as_str())).collect();
        let row = match last.incident {
            Some(id) => store.with(|db| store::list(db, Which::One(id)))?.pop(),
            None => None,
        };
        // whatever is wrong with the configuration, what was decided can be told
        let settings = context.settings().ok();
        let reads_lines = settings.as_ref().is_some_and(|settings| settings.rules(subject.name()).asks_for_error(&last.event));
        let settings = settings.map(|settings| settings.written_for(subject.name())).unwrap_or_default();
        // of what is gone nobody knows whether it is well
        let is_gone = last.event.problem.why_instance_gone().is_some();
        let decision = last.reason.as_ref().map(ToString::to_string);
        let decision = decision.map(|words| if is_gone { words.replace("it recovered", "it is gone") } else { words });
        let breach = Breach::of(&last.event.problem);
        // what was seen beside the value; of a program what it said
        let details = breach.as_ref().map(|breach| breach.details.as_slice()).unwrap_or_default();

        let by_now = store.with(|db| by_now(db, &subject, &last.event.problem))?;

        if self.output.output == Format::Json {
            let deliveries: Vec<_> = deliveries
                .iter()
                .map(|one| json!({ "method": one.method, "status": one.status, "detail": one.detail, "at": utc_time(one.at) }))
                .collect();
            output::json(&json!({
                "subject": subject.as_str(),
                "outcome": last.event.outcome.as_str(),
                "at": utc_time(last.event.at),
                "what": words_of(&subject, &last.event.problem),
                "details": details,
                "by_now": by_now,
                "invocation_id": last.event.invocation_id,
                "error": last.error,
                "decision": decision,
                "reason": last.reason,
                "settings": settings
                    .iter()
                    .map(|(key, value, origin)| json!({ "key": key, "value": value, "origin": origin_of(origin) }))
                    .collect::<Vec<_>>(),
                "incident": row.as_ref().map(super::db::json_of),
                "deliveries": deliveries,
                "waiting": waiting.iter().map(|waiting| &waiting.method).collect::<Vec<_>>(),
            }))?;
            return Ok(0);
        }
        let how = if last.event.outcome == Outcome::Failed { format!(": {}", last.event.problem) } else { String::new() };
        let mut text = match last.event.problem.lapse() {
            Some(lapse) => format!("{}  {lapse}\n", subject.full_name()),
            None if subject.is_sensor() => format!("{}  {}\n", subject.full_name(), of_check(&last.event)),
            None if subject.is_watchdogs() && last.event.outcome == Outcome::Failed => {
                format!("{}  {}\n", subject.full_name(), last.event.problem)
            }
            None if subject.is_schedule() || subject.is_watchdogs() => format!("{}  is well again\n", subject.full_name()),
            None => format!("{}  {}{how}\n", subject.full_name(), last.event.outcome.as_str()),
        };
        let mut say = |label: &str, value: &str| text += &format!("{label:>10}  {value}\n");
        say("when", &local_time(last.event.at));
        if let Some(id) = &last.event.invocation_id {
            say("run", id);
        }
        if let Some(error) = &last.error {
            say("error", error);
        }
        let said = breach.as_ref().filter(|breach| breach.said(&subject).is_some());
        if let Some(breach) = said {
            say("value", &breach.words());
        }
        // its first words stand above
        for detail in details.iter().skip(usize::from(said.is_some())) {
            say("seen", &visible(detail.as_bytes()));
        }
        if let Some(by_now) = &by_now {
            say("by now", by_now);
        }
        let none_yet = match reads_lines {
            true => "none yet: sysalert-dispatch.service reads the run's last lines first, as `same_problem` says",
            false => "none yet: `sysalert config check` tells whether the configuration is the reason",
        };
        say("decision", decision.as_deref().unwrap_or(none_yet));
        for (key, value, origin) in &settings {
            say("setting", &format!("{key} = {} ({origin})", toml_of(value)));
        }
        if let Some(row) = &row {
            let incident = &row.incident;
            let (failures, alerts) = (counted(incident.failures, "failure"), counted(row.alerts, "alert"));
            let state = if row.cleared { "cleared" } else { incident.state.as_str() };
            let severity = incident.severity.as_str();
            say(
                "incident",
                &format!("{state}, {severity}; {failures} since {}; {alerts} sent", local_time(incident.first_failure)),
            );
            if let Some(acknowledged) = &incident.acknowledged {
                say("known", &format!("{acknowledged}, {}{}", local_time(acknowledged.at), quiet_until(incident, acknowledged)));
            }
            if let Some(flapping) = incident.flaps() {
                let since = local_time(flapping.since);
                say("flapping", &format!("{}, {} times since {since}", flapping.does(), flapping.times));
            }
        }
        // with broken settings nothing is due
        if let (Some(row), Some(settings)) = (&row, context.settings().ok()) {
            let rules = settings.rules(subject.name());
            for (label, what) in upcoming(row, &rules) {
                say(label, &what);
            }
            let is_told =
                last.event.outcome == Outcome::Failed && last.reason.as_ref().is_some_and(|reason| reason.alert().is_some());
            for method in settings.methods.values().filter(|method| is_told && rules.methods.contains(&method.name)) {
                if let Some(why) = method.filter.refuses(row.incident.severity, last.event.at) {
                    say(&method.name, &format!("not asked to tell it: {why}"));
                }
            }
        }
        for one in &deliveries {
            say(&one.method, &format!("{} {}: {}", one.status, local_time(one.at), one.detail));
        }
        for waiting in waiting {
            let next = next_try(waiting, clock::system());
            let why = waiting.held.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            say(&waiting.method, &format!("{} alert waiting, next try: {next}{why}", waiting.kind.as_str()));
        }
        output::print(&text)?;
        Ok(0)
    }
}
