//! `check --list` of the sensors: every metric with its value, its unit and its rules.

use serde_json::{Map, Value, json};

use super::sensors::{monitor, notes, plain};
use crate::cli::output;
use crate::event::escaped;
use crate::pipeline::Looking;
use crate::trigger::sensor::rule::{Rule, for_instance};
use crate::trigger::sensor::{Metric, Unit};

/// A metric as it is listed.
struct Listed<'a> {
    instance: &'a str,
    metric: &'a str,
    about: Option<&'static str>,
    unit: Unit,
    value: Option<f64>,
    rules: Vec<&'a Rule>,
}

/// Every metric of a sensor: what was measured, and then what could be.
fn listed(looking: &Looking) -> Vec<Listed<'_>> {
    let seen = &looking.seen.readings;
    let measured = seen.iter().flat_map(|(instance, metrics)| {
        metrics.iter().map(move |(metric, value)| (instance.as_str(), metric.as_str(), Some(*value)))
    });
    let is_seen = |metric: &&Metric| seen.values().any(|metrics| metrics.contains_key(metric.name));
    let unseen = looking.sensor.metrics.iter().filter(|metric| !is_seen(metric)).map(|metric| ("", metric.name, None));
    let all = measured.chain(unseen).map(|(instance, metric, value)| {
        let known = looking.sensor.metrics.iter().find(|known| known.name == metric);
        let rules = for_instance(&looking.rules, instance).into_iter().filter(|rule| rule.metric == metric).collect();
        let unit = known.map(|known| known.unit).or(looking.seen.units.get(metric).copied()).unwrap_or(Unit::Number);
        Listed { instance, metric, about: known.map(|known| known.about), unit, value, rules }
    });
    all.collect()
}

/// Every metric with its value and its rules.
pub(super) fn list(sensors: &[Looking]) -> String {
    let row = |looking: &Looking, one: &Listed<'_>| {
        let rules: Vec<String> = one.rules.iter().map(|rule| rule_words(rule)).collect();
        vec![
            looking.name.clone(),
            escaped(one.instance),
            plain(one.metric),
            one.value.map_or_else(|| "-".to_owned(), |value| one.unit.show(value)),
            one.unit.as_str().to_owned(),
            rules.join("; "),
        ]
    };
    let rows = sensors.iter().flat_map(|looking| listed(looking).iter().map(|one| row(looking, one)).collect::<Vec<_>>());
    let mut text = output::table(&["SENSOR", "OF", "METRIC", "VALUE", "UNIT", "RULES"], rows);
    let notes: Vec<String> = sensors.iter().flat_map(notes).collect();
    if !notes.is_empty() {
        text += &format!("\n{}\n", notes.join("\n"));
    }
    text
}

fn rule_words(rule: &Rule) -> String {
    // which may be another one than the metric's: the notes say so
    let unit = rule.unit;
    let critical = rule.critical.map(|critical| format!(", critical {}", unit.show_limit(critical))).unwrap_or_default();
    let times = if rule.consecutive > 1 { format!(", {} in a row", rule.consecutive) } else { String::new() };
    format!("{}: {} {}{critical}{times}", rule.name, rule.op.as_str(), unit.show_limit(rule.value))
}

/// The same for programs: `sensors` with what could not be measured, and `metrics`.
pub(super) fn list_json(sensors: &[Looking]) -> Map<String, Value> {
    let sensor = |looking: &Looking| {
        let mut whole = monitor(looking);
        let parts = ["status", "why", "missing", "details"].map(|key| (key.to_owned(), whole[key].take()));
        (looking.name.clone(), Value::Object(parts.into_iter().collect()))
    };
    let rule = |rule: &&Rule| {
        json!({
            "rule_name": rule.name,
            "operator": rule.op.as_str(),
            "threshold": rule.value,
            "clear": rule.clear,
            "critical": rule.critical,
            "consecutive_required": rule.consecutive,
            "severity": rule.severity.as_str(),
        })
    };
    let metric = |looking: &Looking, one: &Listed<'_>| {
        json!({
            "sensor": looking.name,
            "instance": one.instance,
            "metric": one.metric,
            "about": one.about,
            "unit": one.unit.as_str(),
            "value": one.value,
            "rules": one.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    };
    let metrics = sensors.iter().flat_map(|looking| listed(looking).iter().map(|one| metric(looking, one)).collect::<Vec<_>>());
    let all = [
        ("sensors".to_owned(), Value::Object(sensors.iter().map(sensor).collect())),
        ("metrics".to_owned(), Value::Array(metrics.collect())),
    ];
    all.into_iter().collect()
}
