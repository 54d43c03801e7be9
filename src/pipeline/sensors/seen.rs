//! What a sensor saw, as it is kept and judged: in bounds, in its units, and with what is not there any more.

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
const LONGEST: usize = 300;

/// What was measured, as it is kept: finite, and no more than anybody can have.
pub(super) fn seen(sensor: &Sensor, measured: Measured) -> Seen {
    let short = |text: String| text.chars().take(LONGEST).collect::<String>();
    let mut seen = Seen::default();
    match measured.outcome {
        sensor::Outcome::NoData(why) => seen.nothing = Some(Nothing::NoData(short(why))),
        sensor::Outcome::Error(why) => seen.nothing = Some(Nothing::Error(short(why))),
        sensor::Outcome::Readings(readings) => {
            for reading in readings.into_iter().filter(|reading| reading.value.is_finite()) {
                if seen.readings.len() >= MOST_INSTANCES && !seen.readings.contains_key(&reading.instance) {
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
    let missing = measured.missing.into_iter().take(MOST_INSTANCES);
    seen.missing = missing.map(|missing| (missing.instance, short(missing.why))).collect();
    let details = measured.details.into_iter().take(MOST_DETAILS);
    seen.details = details.map(|detail| (detail.instance, short(detail.text))).collect();
    seen
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
