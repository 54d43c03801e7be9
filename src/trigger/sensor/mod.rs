//! Sensors: what is measured of the machine itself. Each is a file beside this one, and a row in [`SENSORS`].
//!
//! A sensor measures and judges nothing: rules do. It has three outcomes: readings, no data and why, an error.

mod command;
mod cpu;
mod iostuck;
mod memory;
mod pressure;
pub mod rule;
mod ssh;
mod storage;
pub mod streak;
mod syslog;
pub mod triage;
mod units;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::config::{Key, Kind, Values};
pub use crate::event::Unit;
use crate::host::sensing::Sensing;

/// Every sensor there is, in the order of reports.
pub const SENSORS: &[Sensor] = &[
    cpu::SENSOR,
    memory::SENSOR,
    storage::SENSOR,
    pressure::SENSOR,
    iostuck::SENSOR,
    ssh::SENSOR,
    units::SENSOR,
    command::SENSOR,
];

/// A sensor.
#[derive(Debug)]
pub struct Sensor {
    /// `storage` in `[sensor.storage]`.
    pub name: &'static str,
    /// What it watches, in a line.
    pub about: &'static str,
    /// True for `[sensor.command.NAME]`: as many as wanted, each measured by itself, with a name of its own.
    pub named: bool,
    /// Its keys: [`COMMON`], and its own.
    pub keys: &'static [&'static [Key]],
    /// What it measures.
    pub metrics: &'static [Metric],
    /// True when it may also measure what `metrics` does not name.
    pub open: bool,
    /// What it measures several of; `None`: there is one instance, "".
    pub instance: Option<Instances>,
    /// The rules that hold where none of the same name is written, as TOML.
    pub rules: &'static str,
    /// Commands for whoever is told; `{}` stands for the instance, quoted for a shell.
    pub suggests: &'static [&'static str],
    /// Measures, once.
    pub measure: fn(&Probe<'_>) -> Measured,
}

/// Several things of which a sensor measures each.
#[derive(Debug)]
pub struct Instances {
    /// The key of a rule that names those it is for: "mount".
    pub key: &'static str,
    /// What is said of one that is not there any more.
    pub gone: &'static str,
}

/// The keys that every sensor has.
pub const COMMON: &[Key] = &[
    Key::new("enabled", Kind::Boolean, "true", "false: it is not measured, and its rules are not judged"),
    Key::new("every", Kind::ANY_TIME, "\"5m\"", "how often it is measured; a run that comes sooner passes it over"),
    Key::new(
        "rule",
        Kind::Tables(&[RULE]),
        "",
        "what its values mean: [[sensor.NAME.rule]]; takes the place of a default of the same name",
    ),
];

/// The keys of a rule.
pub const RULE: &[Key] = &[
    Key::new("name", Kind::Text, "", "its name; letters, digits, _ and -"),
    Key::new("enabled", Kind::Boolean, "true", "false: there is no such rule, also no default of this name"),
    Key::new("mount", Kind::Text, "\"*\"", "of storage: the file systems it is for, a glob; the most specific of a name wins"),
    Key::new("metric", Kind::Text, "", "what it looks at; `sysalert check --list` shows all"),
    Key::new("op", Kind::Choice(Cow::Borrowed(OPS)), "\"gt\"", "how the metric is compared with the value"),
    Key::new("value", Kind::Quantity, "", "the limit: 90, \"90%\", \"5GiB\", \"10min\""),
    Key::new("clear", Kind::Quantity, "", "it is over when the metric is back here; default: value"),
    Key::new("critical", Kind::Quantity, "", "from here on it is critical, and told again at once"),
    Key::new("consecutive", Kind::Integer { min: 1, max: 1000 }, "1", "so many runs in a row"),
    Key::new("severity", Kind::Choice(Cow::Borrowed(SEVERITIES)), "\"warning\"", "how bad it is"),
];

const OPS: &[Cow<'static, str>] = &[
    Cow::Borrowed("gt"),
    Cow::Borrowed("gte"),
    Cow::Borrowed("lt"),
    Cow::Borrowed("lte"),
    Cow::Borrowed("eq"),
    Cow::Borrowed("ne"),
];
const SEVERITIES: &[Cow<'static, str>] = &[Cow::Borrowed("info"), Cow::Borrowed("warning"), Cow::Borrowed("critical")];

/// Something that is measured.
#[derive(Debug)]
pub struct Metric {
    /// As rules name it.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// What it is, in a line.
    pub about: &'static str,
    /// Of what counts events: what a run says that saw none. It does not make well what was.
    pub none: Option<&'static str>,
}

impl Metric {
    /// A metric.
    pub const fn new(name: &'static str, unit: Unit, about: &'static str) -> Metric {
        Metric { name, unit, about, none: None }
    }

    /// The same that counts events since the run before.
    pub const fn of_events(self, none: &'static str) -> Metric {
        Metric { none: Some(none), ..self }
    }
}

/// All that a sensor may look at.
pub struct Probe<'a> {
    /// The machine.
    pub machine: &'a dyn Sensing,
    /// NAME of `[sensor.command.NAME]`; else "".
    pub name: &'a str,
    /// Its settings.
    pub values: Values<'a>,
    /// Its last run; `None`: this is the first.
    pub before: Option<Before<'a>>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A sensor's last run.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// When it was.
    pub at: DateTime<Utc>,
    /// In which boot.
    pub boot: &'a str,
    /// What it kept for this one; `Null`: nothing.
    pub kept: &'a Value,
}

/// What a sensor found.
#[derive(Debug)]
pub struct Measured {
    /// What was measured, or why nothing was.
    pub outcome: Outcome,
    /// What could not be measured of the rest, and why.
    pub missing: Vec<Missing>,
    /// More for people: who tried to log in, which tasks hang. Whatever stands in it, it is shown safely; only so much of it is kept.
    pub details: Vec<Detail>,
    /// The instances that the configuration leaves out: nobody watches them any more.
    pub left_out: Vec<String>,
    /// What the next run needs of this one; `None`: what the last one kept. A sensor that found nothing keeps what it had.
    pub keep: Option<Value>,
}

/// How it went.
#[derive(Debug)]
pub enum Outcome {
    /// It measured.
    Readings(Vec<Reading>),
    /// There is nothing to measure here; a sentence says why.
    NoData(String),
    /// It should have worked; a sentence says what went wrong, and who must do what.
    Error(String),
}

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What was measured.
    pub metric: Cow<'static, str>,
    /// Of what: a mount; "" where there is one.
    pub instance: String,
    /// In the metric's unit. What is not finite counts as missing.
    pub value: f64,
    /// What it counts, of a metric that the sensor does not name.
    pub unit: Option<Unit>,
}

impl Reading {
    /// A value of the only instance.
    pub fn new(metric: &'static str, value: f64) -> Reading {
        Reading { metric: Cow::Borrowed(metric), instance: String::new(), value, unit: None }
    }

    /// A value of this instance.
    pub fn of(instance: &str, metric: &'static str, value: f64) -> Reading {
        Reading { metric: Cow::Borrowed(metric), instance: instance.to_owned(), value, unit: None }
    }
}

/// What could not be measured although the rest could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Of what; "" where there is one.
    pub instance: String,
    /// A sentence.
    pub why: String,
}

/// Words beside the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Of what; "" where there is one.
    pub instance: String,
    /// One line.
    pub text: String,
}

impl Measured {
    fn new(outcome: Outcome) -> Measured {
        Measured { outcome, missing: Vec::new(), details: Vec::new(), left_out: Vec::new(), keep: None }
    }

    /// It measured.
    pub fn readings(readings: Vec<Reading>) -> Measured {
        Measured::new(Outcome::Readings(readings))
    }

    /// There is nothing to measure here.
    pub fn no_data(why: impl Into<String>) -> Measured {
        Measured::new(Outcome::NoData(why.into()))
    }

    /// It should have worked.
    pub fn error(why: impl Into<String>) -> Measured {
        Measured::new(Outcome::Error(why.into()))
    }

    /// Keeps this for the next run.
    #[must_use]
    pub fn keeping(mut self, keep: Value) -> Measured {
        self.keep = Some(keep);
        self
    }

    /// Says what could not be measured of the only instance.
    #[must_use]
    pub fn without(mut self, why: impl Into<String>) -> Measured {
        self.missing.push(Missing { instance: String::new(), why: why.into() });
        self
    }
}

/// A file that could not be read: what this machine has not got, or what nobody may read, is no data.
fn unread(path: &str, error: &std::io::Error) -> Measured {
    use std::io::ErrorKind;
    let why = format!("{path} cannot be read: {error}");
    match error.kind() {
        ErrorKind::NotFound => Measured::no_data(format!("there is no {path} here")),
        ErrorKind::PermissionDenied | ErrorKind::Unsupported => Measured::no_data(why),
        _ => Measured::error(why),
    }
}

/// What the system says, without its number.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The lines of a file that are there to their end: a number that was cut short would be another one.
fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

#[cfg(test)]
mod tests;
