//! The report of the sensors: as text, and as JSON in the structure of linmon's.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::State;
use crate::cli::output;
use crate::event::{Subject, escaped, shell, short_time, utc_time};
use crate::host::{log, reports};
use crate::incident::Severity;
use crate::message::visible;
use crate::pipeline::{Judged, Looking, Sensed};
use crate::settings::{Reports, Settings};
use crate::store::Nothing;
use crate::trigger::sensor::rule::Judgement;
use crate::trigger::sensor::triage::{self, Factor};

/// A text of the machine's, safe to print.
pub(super) fn plain(text: &str) -> String {
    visible(text.as_bytes())
}

impl Judged {
    /// How bad it is now: what is a failure, and was not over yet.
    fn state(&self) -> State {
        self.standing.map_or(State::Ok, State::from)
    }

    fn what(&self, sensor: &str) -> String {
        let of = if self.instance.is_empty() { sensor.to_owned() } else { format!("{sensor} {}", escaped(&self.instance)) };
        let value = self.value.map_or_else(|| "not measured".to_owned(), |value| self.rule.unit.show(value));
        format!("{of}: {} is {value} (limit {}, {})", self.rule.metric, self.rule.unit.show_limit(self.limit()), self.rule.name)
    }

    /// Whether it is a failure for what it was before: the value is back within the limit that was crossed.
    fn is_held(&self) -> bool {
        let was_critical = self.rule.critical.is_some() && self.standing == Some(Severity::Critical);
        self.standing.is_some() && self.judgement == Judgement::Held
            || was_critical && self.judgement == Judgement::Violated { critical: false }
    }

    /// The limit that it is beyond.
    fn limit(&self) -> f64 {
        let is_critical = self.judgement == Judgement::Violated { critical: true };
        self.rule.critical.filter(|_| is_critical).unwrap_or(self.rule.value)
    }

    fn factor(&self) -> Factor {
        let badness = self.value.map_or(0.0, |value| self.rule.badness(value));
        triage::factor(self.streak, badness, self.standing.unwrap_or(self.rule.severity))
    }

    fn factor_words(&self, why: &str) -> String {
        let of = if self.instance.is_empty() { String::new() } else { format!(" {}", escaped(&self.instance)) };
        format!("{}{of}: {why}", self.rule.name)
    }
}

fn anomalies(looking: &Looking) -> impl Iterator<Item = &Judged> {
    looking.results.iter().filter(|result| result.standing.is_some())
}

/// How it all is.
pub(super) fn worst(sensed: &Sensed) -> State {
    let of = |looking: &Looking| {
        let blind = matches!(looking.seen.nothing, Some(Nothing::Error(_)));
        let worst = looking.results.iter().map(Judged::state).max().unwrap_or(State::Ok);
        worst.max(if blind { State::Unknown } else { State::Ok })
    };
    sensed.sensors.iter().map(of).max().unwrap_or(State::Ok)
}

/// What is wrong, each in a few words.
pub(super) fn bad(sensed: &Sensed) -> Vec<String> {
    let of = |looking: &Looking| {
        let blind = match &looking.seen.nothing {
            Some(Nothing::Error(why)) => Some(format!("{}: {}", looking.name, plain(why))),
            _ => None,
        };
        let bad = looking.results.iter().filter(|result| result.state() != State::Ok);
        bad.map(|result| result.what(&looking.name)).chain(blind).collect::<Vec<_>>()
    };
    sensed.sensors.iter().flat_map(of).collect()
}

/// The alert block of what is wrong, the table of rules, what could not be measured, and where to look further.
pub(super) fn text(sensed: &Sensed, now: DateTime<Utc>) -> String {
    let mut text = block(sensed, now);
    let rows = sensed.sensors.iter().flat_map(|looking| looking.results.iter().map(move |result| row(looking, result)));
    let rows: Vec<Vec<String>> = rows.collect();
    if !rows.is_empty() {
        text += &output::table(&["SENSOR", "OF", "METRIC", "VALUE", "LIMIT", "RULE", "STREAK", "CHECK"], rows);
    }
    let notes: Vec<String> = sensed.sensors.iter().flat_map(notes).collect();
    if !notes.is_empty() {
        text += &format!("\n{}\n", notes.join("\n"));
    }
    if sensed.in_grace {
        text += "\nThe machine has just booted: until `grace_after_boot` is over nothing is judged.\n";
    }
    let commands = commands(sensed);
    if !commands.is_empty() {
        text += &format!("\nTo look further:\n{}", commands.iter().map(|command| format!("    {command}\n")).collect::<String>());
    }
    text
}

fn row(looking: &Looking, result: &Judged) -> Vec<String> {
    let rule = &result.rule;
    let check = match (result.state(), result.judgement) {
        (_, Judgement::Missing) => "no value".to_owned(),
        _ if !result.is_judged && result.standing.is_none() => "not judged yet".to_owned(),
        (State::Ok, Judgement::Violated { .. }) if result.standing.is_none() => {
            format!("violated, {} of {}", result.streak, rule.consecutive)
        }
        (state, _) if result.is_held() => format!("{} until {}", state.word(), rule.unit.show_limit(rule.clear)),
        (state, _) => state.word().to_owned(),
    };
    vec![
        looking.name.clone(),
        escaped(&result.instance),
        rule.metric.clone(),
        result.value.map_or_else(|| "-".to_owned(), |value| rule.unit.show(value)),
        format!("{} {}", rule.op.as_str(), rule.unit.show_limit(result.limit())),
        rule.name.clone(),
        result.streak.to_string(),
        check,
    ]
}

/// What could not be measured, and what was seen beside the values.
pub(super) fn notes(looking: &Looking) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |of: &str, what: &str| {
        let of = if of.is_empty() { String::new() } else { format!(" {}", escaped(of)) };
        notes.push(format!("{}{of}: {}", looking.name, plain(what)));
    };
    match &looking.seen.nothing {
        Some(Nothing::NoData(why)) => note("", &format!("no data: {why}")),
        Some(Nothing::Error(why)) => note("", &format!("error: {why}")),
        None => {}
    }
    looking.seen.missing.iter().for_each(|(of, why)| note(of, &format!("no data: {why}")));
    looking.seen.details.iter().for_each(|(of, text)| note(of, text));
    if let Some(due) = looking.due {
        note("", &format!("as measured {}; due again {}", short_time(looking.at), short_time(due)));
    }
    notes
}

/// The block that linmon writes when something is wrong; nothing else.
fn block(sensed: &Sensed, now: DateTime<Utc>) -> String {
    let factors: Vec<Factor> = sensed.sensors.iter().flat_map(anomalies).map(Judged::factor).collect();
    if factors.is_empty() {
        return String::new();
    }
    let (score, urgency) = triage::total(&factors);
    let worst = sensed.sensors.iter().flat_map(anomalies).filter_map(|result| result.standing).max();
    let line = |looking: &Looking, result: &Judged| {
        let of = if result.instance.is_empty() { String::new() } else { format!(" {}", escaped(&result.instance)) };
        // of programs all have the same rule
        let sensor = if looking.sensor.named { format!("{} ", looking.name) } else { String::new() };
        let value = result.value.map_or_else(|| "-".to_owned(), |value| number(value, 2));
        let Judged { rule, streak, .. } = result;
        format!(
            "  [{sensor}{}{of}] {} = {value} ({} {}) - Streak: {streak}\n",
            rule.name,
            rule.metric,
            rule.op.as_str(),
            number(result.limit(), 1)
        )
    };
    let lines: String =
        sensed.sensors.iter().flat_map(|looking| anomalies(looking).map(move |result| line(looking, result))).collect();
    format!(
        "[{}] SYSALERT ALERT\nAnomaly Count: {}\nSeverity: {}\nTriage: {}, {score} of 100\n\n{lines}\n{}\n\n",
        utc_time(now),
        factors.len(),
        worst.map_or("", Severity::as_str).to_uppercase(),
        urgency.as_str(),
        "-".repeat(70)
    )
}

/// "80.0", as linmon has it, with so many digits behind the point; what is too long to be read in powers of ten.
fn number(value: f64, digits: usize) -> String {
    match value.abs() {
        1e15.. => format!("{value:e}"),
        _ if digits == 1 && value.fract() != 0.0 => value.to_string(),
        _ => format!("{value:.digits$}"),
    }
}

/// The whole report for programs.
pub(super) fn json(sensed: &Sensed, now: DateTime<Utc>) -> Map<String, Value> {
    let count = sensed.sensors.iter().flat_map(anomalies).count();
    let monitors: Map<String, Value> = sensed.sensors.iter().map(|looking| (looking.name.clone(), monitor(looking))).collect();
    let all: Vec<&Judged> = sensed.sensors.iter().flat_map(anomalies).collect();
    let report = json!({
        "timestamp": utc_time(now),
        "in_grace_after_boot": sensed.in_grace,
        "overall": { "triage_score": triage_of(&all), "anomaly_count": count },
        "monitors": monitors,
        "suggested_commands": commands(sensed),
    });
    if let Value::Object(report) = report { report } else { Map::new() }
}

fn triage_of(anomalies: &[&Judged]) -> Value {
    let factors: Vec<Factor> = anomalies.iter().map(|result| result.factor()).collect();
    let (score, urgency) = triage::total(&factors);
    let words = anomalies.iter().zip(&factors).map(|(result, factor)| result.factor_words(&factor.why));
    json!({ "severity": urgency.as_str(), "score": score, "factors": words.collect::<Vec<_>>() })
}

pub(super) fn monitor(looking: &Looking) -> Value {
    let (status, why) = match &looking.seen.nothing {
        None => ("ok", None),
        Some(Nothing::NoData(why)) => ("no data", Some(why)),
        Some(Nothing::Error(why)) => ("error", Some(why)),
    };
    let anomalies: Vec<&Judged> = anomalies(looking).collect();
    let pair = |(of, text): &(String, String), key: &str| json!({ "instance": of, key: text });
    // one thing has its metrics at once, several have them by their names
    let metrics = match looking.seen.readings.get("") {
        Some(metrics) if looking.seen.readings.len() == 1 => json!(metrics),
        _ => json!(looking.seen.readings),
    };
    json!({
        "status": status,
        "why": why,
        "measured_at": utc_time(looking.at),
        "due_at": looking.due.map(utc_time),
        "triage_score": triage_of(&anomalies),
        "metrics": metrics,
        "units": looking.seen.units.iter().map(|(metric, unit)| (metric.clone(), unit.as_str().into())).collect::<Map<_, _>>(),
        "missing": looking.seen.missing.iter().map(|one| pair(one, "why")).collect::<Vec<_>>(),
        "details": looking.seen.details.iter().map(|one| pair(one, "text")).collect::<Vec<_>>(),
        "results": looking.results.iter().map(|result| result_json(looking, result)).collect::<Vec<_>>(),
        "anomalies": anomalies.iter().map(|result| anomaly_json(looking, result)).collect::<Vec<_>>(),
        "suggested_commands": suggested(looking),
    })
}

fn result_json(looking: &Looking, result: &Judged) -> Value {
    let mut json = anomaly_json(looking, result);
    json["judged"] = Value::Bool(result.is_judged);
    json["violated"] = Value::Bool(result.is_judged && matches!(result.judgement, Judgement::Violated { .. }));
    json["anomaly"] = Value::Bool(result.standing.is_some());
    json
}

fn anomaly_json(looking: &Looking, result: &Judged) -> Value {
    let rule = &result.rule;
    json!({
        "check": subject(looking, result).name(),
        "rule_name": rule.name,
        "instance": result.instance,
        "metric": rule.metric,
        "unit": rule.unit.as_str(),
        "value": result.value,
        "threshold": result.limit(),
        "clear": rule.clear,
        "critical": rule.critical,
        "operator": rule.op.as_str(),
        "streak": result.streak,
        "consecutive_required": rule.consecutive,
        "severity": result.standing.unwrap_or(rule.severity).as_str(),
    })
}

/// The commands of a sensor, for what of it is wrong; where nothing is, those that are about no instance.
fn suggested(looking: &Looking) -> Vec<String> {
    let mut instances: Vec<&str> = anomalies(looking).map(|result| result.instance.as_str()).collect();
    instances.dedup();
    let mut commands = Vec::new();
    for command in looking.sensor.suggests {
        if command.contains("{}") {
            commands.extend(instances.iter().map(|instance| command.replace("{}", &shell(instance))));
        } else {
            commands.push((*command).to_owned());
        }
    }
    commands.extend(anomalies(looking).map(|result| format!("sysalert explain {}", shell(subject(looking, result).name()))));
    commands
}

/// By what name every other command knows a rule.
fn subject(looking: &Looking, result: &Judged) -> Subject {
    Subject::sensor(&looking.name, &result.instance, &result.rule.name)
}

/// The commands for all that is wrong.
fn commands(sensed: &Sensed) -> Vec<String> {
    let troubled = sensed.sensors.iter().filter(|looking| anomalies(looking).next().is_some());
    troubled.flat_map(suggested).collect()
}

/// Keeps the report, as text and as JSON, if it is to be kept and something was measured.
pub(super) fn keep(settings: &Settings, sensed: &Sensed, now: DateTime<Utc>, forms: impl FnOnce() -> [String; 2]) {
    if !sensed.sensors.iter().any(|looking| looking.due.is_none()) {
        return;
    }
    let Some(Reports { folder, most }) = settings.reports() else { return };
    let [text, json] = forms();
    if let Err(error) = reports::keep(&folder, now, &[("txt", &text), ("json", &json)], most) {
        let text =
            format!("the report cannot be kept in {}: {error}; it may be written below the state folder", folder.display());
        log::warn(None, &text);
    }
}

#[cfg(test)]
mod tests;
