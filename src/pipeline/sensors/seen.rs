//! What a sensor saw, as it is kept and judged: in bounds, in its units, and with what is not there any more.

use std::collections::BTreeSet;

use crate::event::Unit;
use crate::settings::Watch;
use crate::store::{Nothing, Seen};
use crate::trigger::sensor::rule::Rule;
use crate::trigger::sensor::{self, Measured, Sensor};

use super::Counts;

/// A sensor that measures more than anybody can have is cut off here.
const MOST_INSTANCES: usize = 500;
const MOST_METRICS: usize = 110;
/// So much is kept of what is said beside the values, and of each sentence.
const MOST_DETAILS: usize = 20;
const LONGEST: usize = 500;

/// What was measured, as it is kept: finite, and no more than anybody can have.
pub(super) fn seen(sensor: &Sensor, measured: Measured) -> Seen {
    let mut seen = Seen::default();
    let mut left = BTreeSet::new();
    match measured.outcome {
        sensor::Outcome::NoData(why) => seen.nothing = Some(Nothing::NoData(short(why))),
        sensor::Outcome::Error(why) => seen.nothing = Some(Nothing::Error(short(why))),
        sensor::Outcome::Readings(readings) => {
            for reading in readings.into_iter().filter(|reading| reading.value.is_finite()) {
                if seen.readings.len() >= MOST_INSTANCES && !seen.readings.contains_key(&reading.instance) {
                    left.insert(reading.instance);
                    continue;
                }
                let metrics = seen.readings.entry(reading.instance).or_default();
                if metrics.len() < MOST_METRICS {
                    let known = sensor.metrics.iter().find(|known| known.name == reading.metric).map(|known| known.unit);
                    let unit = known.or(reading.unit).unwrap_or(Unit::Number);
                    seen.units.insert(reading.metric.clone().into_owned(), unit);
                    metrics.insert(reading.metric.into_owned(), reading.value);
                }
            }
        }
    }
    left.extend(measured.missing.iter().skip(MOST_INSTANCES).map(|missing| missing.instance.clone()));
    let missing = measured.missing.into_iter().take(MOST_INSTANCES);
    seen.missing = missing.map(|missing| (missing.instance, short(missing.why))).collect();
    if !left.is_empty() {
        let why =
            format!("{} more are not watched: there is room for {MOST_INSTANCES}; `exclude` those that need not be", left.len());
        seen.missing.push((String::new(), why));
    }
    let details = measured.details.into_iter().take(MOST_DETAILS);
    seen.details = details.map(|detail| (detail.instance, short(detail.text))).collect();
    seen
}

fn short(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some(_) => text.chars().take(LONGEST - 1).chain(['\u{2026}']).collect(),
        None => text,
    }
}

/// What has a streak and is not there any more: a sensor that measured says of all else why it has no value. It is said.
pub(super) fn say_gone(watch: &Watch, seen: &mut Seen, counts: &Counts) -> Vec<String> {
    // of a sensor that saw nothing, nothing is gone
    if seen.nothing.is_some() || watch.sensor.instance.is_none() {
        return Vec::new();
    }
    let is_known = |of: &str| seen.readings.contains_key(of) || seen.missing.iter().any(|(missing, _)| missing == of);
    let mut gone: Vec<String> =
        counts.keys().map(|(_, instance, _)| instance.clone()).filter(|instance| !is_known(instance)).collect();
    gone.dedup();
    seen.missing.extend(gone.iter().map(|instance| (instance.clone(), gone_words(watch).to_owned())));
    gone
}

pub(super) fn gone_words(watch: &Watch) -> &'static str {
    watch.sensor.instance.as_ref().map_or("it is not there any more", |instances| instances.gone)
}

/// Lets the rules count in the units of what was measured, and says which of them cannot.
pub(super) fn in_units(watch: &mut Watch, seen: &mut Seen) {
    watch.count_in(&seen.units);
    for rule in &watch.rules {
        if let Some(unit) = seen.units.get(&rule.metric).filter(|unit| **unit != rule.unit) {
            let words = |unit: Unit| if unit == Unit::Number { "plain numbers" } else { unit.name() };
            let (rule, metric, own, unit) = (&rule.name, &rule.metric, words(rule.unit), words(*unit));
            let why = (String::new(), format!("the rule {rule} is written in {own}, and {metric} is measured in {unit}"));
            if !seen.missing.contains(&why) {
                seen.missing.push(why);
            }
        }
    }
}

/// The value that a rule is about; none, where it is written in another unit.
pub(super) fn value_of(seen: &Seen, instance: &str, rule: &Rule) -> Option<f64> {
    let value = seen.readings.get(instance)?.get(&rule.metric).copied();
    value.filter(|_| seen.units.get(&rule.metric).is_none_or(|unit| *unit == rule.unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trigger::sensor::{Missing, Reading, SENSORS};

    #[test]
    fn what_there_is_no_room_for_is_said() {
        let storage = SENSORS.iter().find(|sensor| sensor.name == "storage").unwrap();
        let measured = |count: usize| {
            let readings = (0..count).map(|number| Reading::of(&format!("/{number}"), "read_only", 0.0));
            let missing = (0..count).map(|number| Missing { instance: format!("/x{number}"), why: "x".repeat(1000) });
            Measured { missing: missing.collect(), ..Measured::readings(readings.collect()) }
        };
        let all = seen(storage, measured(MOST_INSTANCES));
        assert!(all.readings.len() == MOST_INSTANCES && all.missing.len() == MOST_INSTANCES);
        assert!(all.missing[0].1.chars().count() == LONGEST && all.missing[0].1.ends_with("x\u{2026}"), "{:?}", all.missing[0]);
        let more = seen(storage, measured(MOST_INSTANCES + 7));
        assert_eq!(more.readings.len(), MOST_INSTANCES);
        let why = "14 more are not watched: there is room for 500; `exclude` those that need not be";
        assert_eq!(more.missing.last(), Some(&(String::new(), why.to_owned())));
    }
}
