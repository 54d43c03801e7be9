//! The rules of a sensor: its defaults, and what is written over them.

use std::path::Path;

use serde_json::Value;

use super::{BLIND, section};
use crate::config::{Origin, Setting, Table, Values, nearest};
use crate::event::{Op, Unit};
use crate::incident::Severity;
use crate::trigger::sensor::Sensor;
use crate::trigger::sensor::rule::Rule;

/// A rule while it is put together of what is written, the most specific first.
pub(super) struct Draft {
    layers: Vec<Vec<Setting>>,
    /// Where it begins; `None`: nobody has written it.
    origin: Option<Origin>,
}

/// The rules of a sensor. What is written adds to the one of the same name and instances that a file before this one has, else to
/// the one of its name for all instances, wherever that stands; but `clear` and `critical` belong to their `value`.
pub(super) fn drafts(sensor: &'static Sensor, values: &Values<'_>, tables: &[Table]) -> Vec<Draft> {
    let mut drafts: Vec<Draft> =
        defaults(sensor, values).into_iter().map(|rule| Draft { layers: vec![rule], origin: None }).collect();
    let (general, special): (Vec<&Table>, Vec<&Table>) = tables.iter().partition(|table| mount(&table.settings) == EVERY);
    for table in general.into_iter().chain(special) {
        let (name, mount) = (text(&table.settings, "name"), mount(&table.settings));
        let of = |instances: &str| drafts.iter().position(|draft| draft.text("name") == name && draft.mount() == instances);
        let (same, model) = (of(&mount), of(&mount).or_else(|| of(EVERY)));
        let mut layers = model.map_or_else(Vec::new, |place| drafts[place].layers.clone());
        if table.settings.iter().any(|setting| setting.key == "value") {
            for layer in &mut layers {
                layer.retain(|setting| setting.key != "clear" && setting.key != "critical");
            }
        }
        layers.insert(0, table.settings.clone());
        let draft = Draft { layers, origin: Some(table.origin.clone()) };
        match same {
            Some(place) => drafts[place] = draft,
            None => drafts.push(draft),
        }
    }
    drafts
}

/// The settings of the rules that hold where none of the same name is written. `"{amount}"` in them is the value of the sensor's
/// key `amount`.
///
/// They are ours: in each line a key and a value that JSON reads as TOML does. The parser of TOML would take a tenth of all the
/// instructions of a look at the sensors.
fn defaults(sensor: &'static Sensor, values: &Values<'_>) -> Vec<Vec<Setting>> {
    let origin = Origin { file: Path::new("defaults").into(), line: NOWHERE };
    let mut rules: Vec<Vec<Setting>> = Vec::new();
    for line in sensor.rules.lines() {
        match (line.split_once(" = "), rules.last_mut()) {
            (None, _) if line == "[[rule]]" => rules.push(Vec::new()),
            (Some((key, value)), Some(rule)) => {
                let named = value.strip_prefix("\"{").and_then(|rest| rest.strip_suffix("}\""));
                let value = named.map_or_else(|| serde_json::from_str(value).unwrap_or_default(), |name| values.value(name));
                rule.push(Setting { key: key.to_owned(), value, origin: origin.clone() });
            }
            _ => {}
        }
    }
    rules
}

/// The glob of a rule that is for all instances.
const EVERY: &str = "*";

fn mount(settings: &[Setting]) -> String {
    text(settings, "mount").unwrap_or_else(|| EVERY.to_owned())
}

/// The rules that a file has twice: of which one would hold nobody could tell. A later file may change what one before it has.
pub(super) fn twice(tables: &[Table]) -> impl Iterator<Item = String> {
    let key = |table: &Table| (table.origin.file.clone(), text(&table.settings, "name"), mount(&table.settings));
    tables.iter().enumerate().filter_map(move |(number, table)| {
        let first = tables[..number].iter().find(|other| key(other) == key(table))?;
        let name = text(&table.settings, "name")?;
        let of = match mount(&table.settings).as_str() {
            EVERY => String::new(),
            mount => format!(" for \"{}\"", mount.escape_debug()),
        };
        let (at, first) = (&table.origin, &first.origin);
        Some(format!("{at}: the rule `{}`{of} stands in {first}, too: write it once", name.escape_debug()))
    })
}

/// The line of what nobody has written.
const NOWHERE: usize = 0;

fn text(settings: &[Setting], key: &str) -> Option<String> {
    let setting = settings.iter().find(|setting| setting.key == key)?;
    setting.value.as_str().map(str::to_owned)
}

impl Draft {
    fn setting(&self, key: &str) -> Option<&Setting> {
        self.layers.iter().flatten().find(|setting| setting.key == key)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.layers.iter().find_map(|layer| text(layer, key))
    }

    fn mount(&self) -> String {
        self.text("mount").unwrap_or_else(|| EVERY.to_owned())
    }

    /// The rule, unless it is turned off.
    ///
    /// # Errors
    /// What is wrong with it, with the line where that stands.
    pub(super) fn rule(&self, sensor: &'static Sensor) -> Result<Option<Rule>, String> {
        let written = |key: &str| self.setting(key).filter(|setting| setting.origin.line != NOWHERE);
        let at = |key: &str| written(key).map(|setting| &setting.origin).or(self.origin.as_ref()).map(ToString::to_string);
        // what a default says and no longer fits, whoever wrote the rest must say
        let but = |key: &str| match self.setting(key).filter(|setting| setting.origin.line == NOWHERE) {
            Some(setting) => {
                format!("; {} is its default: a `value` of your own takes those of `clear` and `critical` away", setting.value)
            }
            None => String::new(),
        };
        let wrong = |key: &str, why: String| Err(format!("{}: {why}", at(key).unwrap_or_default()));
        let place = || format!("[[{}.rule]]", section(sensor));
        let Some(name) = self.text("name") else { return wrong("", format!("{} needs a `name`", place())) };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) || name.len() > 64 {
            return wrong(
                "name",
                format!("a rule's name has only letters, digits, _ and -, 64 at most: \"{}\"", name.escape_debug()),
            );
        }
        if name == BLIND {
            return wrong("name", format!("a rule cannot be called `{BLIND}`: so a sensor that fails is called"));
        }
        let enabled = self.setting("enabled").is_none_or(|setting| setting.value != Value::Bool(false));
        // for some instances it takes the place of the one for all
        if !enabled && self.mount() == EVERY {
            return Ok(None);
        }
        if let (Some(_), true) = (self.setting("mount"), sensor.instance.is_none()) {
            return wrong("mount", format!("the sensor {} measures one thing only: its rules have no `mount`", sensor.name));
        }
        let Some(metric) = self.text("metric") else { return wrong("", format!("the rule `{name}` needs a `metric`")) };
        let known = sensor.metrics.iter().find(|known| known.name == metric);
        if known.is_none() && !sensor.open {
            let near = nearest(&metric, sensor.metrics.iter().map(|metric| metric.name));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return wrong("metric", format!("the sensor {} has no metric `{}`{near}", sensor.name, metric.escape_debug()));
        }
        // of what no sensor names the value itself may say what it counts
        let written = self.setting("value").and_then(|setting| quantity(&setting.value)?.1);
        let unit = known.map(|known| known.unit).or(written).unwrap_or(Unit::Number);
        let number = |key: &str| {
            let Some(setting) = self.setting(key) else { return Ok(None) };
            read(known.map(|known| known.unit).or(written), &setting.value).map(Some).ok_or_else(|| {
                let (at, unit) = (at(key).unwrap_or_default(), unit.as_str());
                format!("{at}: `{key}` of the rule `{name}` has another unit than {metric} ({unit}){}", but(key))
            })
        };
        let Some(value) = number("value")? else { return wrong("", format!("the rule `{name}` needs a `value`")) };
        let most = |key: &str, number: Option<f64>| {
            let is_share = known.is_some() && unit == Unit::Percent;
            number.filter(|number| is_share && !(0.0..=100.0).contains(number)).map(|number| {
                let number = unit.show_limit(number);
                wrong(key, format!("`{key}` of the rule `{name}` is {number}: {metric} lies between 0 and 100 %{}", but(key)))
            })
        };
        let op = self.text("op").and_then(|word| Op::parse(&word)).unwrap_or(Op::Gt);
        let (clear, critical) = (number("clear")?, number("critical")?);
        let odd = [("value", Some(value)), ("clear", clear), ("critical", critical)];
        if let Some(error) = odd.into_iter().find_map(|(key, number)| most(key, number)) {
            return error;
        }
        let (more, less) = (matches!(op, Op::Gt | Op::Gte), matches!(op, Op::Lt | Op::Lte));
        if clear.is_some_and(|clear| (more && clear > value) || (less && clear < value) || (!more && !less && clear != value)) {
            let why = format!("`clear` of the rule `{name}` lies beyond its `value`: it would never be over{}", but("clear"));
            return wrong("clear", why);
        }
        if critical.is_some_and(|critical| (more && critical < value) || (less && critical > value) || (!more && !less)) {
            return wrong("critical", format!("`critical` of the rule `{name}` must lie beyond its `value`{}", but("critical")));
        }
        let consecutive = self.setting("consecutive").and_then(|setting| setting.value.as_u64()).unwrap_or(1);
        Ok(Some(Rule {
            name,
            instances: self.mount(),
            metric,
            unit,
            op,
            value,
            clear: clear.unwrap_or(value),
            critical,
            consecutive: u32::try_from(consecutive).unwrap_or(u32::MAX),
            severity: self.text("severity").and_then(|word| Severity::parse(&word)).unwrap_or(Severity::Warning),
            enabled,
        }))
    }
}

/// A number, with its unit if it has one.
fn quantity(value: &Value) -> Option<(f64, Option<Unit>)> {
    let one = [Setting { key: "x".to_owned(), value: value.clone(), origin: Origin { file: Path::new("").into(), line: 0 } }];
    Values { keys: &[], written: &[&one] }.quantity("x")
}

/// A value in a metric's unit; in any, where the metric's is not known.
pub(super) fn read(unit: Option<Unit>, value: &Value) -> Option<f64> {
    let (number, written) = quantity(value)?;
    (written.is_none() || unit.is_none() || written == unit).then_some(number)
}

#[cfg(test)]
mod tests;
