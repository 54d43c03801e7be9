//! `[sensors]`, `[sensor.NAME]` and `[[sensor.NAME.rule]]`: what is measured of the machine, and what its values mean.

mod rules;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::config::{Document, Key, Kind, Section, Setting, Values};
use crate::event::{CheckName, Subject, Unit};
use crate::trigger::sensor::rule::Rule;
use crate::trigger::sensor::{SENSORS, Sensor};
use rules::{drafts, twice};

/// `[sensors]`
pub(super) const KEYS: &[Key] = &[
    Key::new("report_dir", Kind::Text, "", "a folder that keeps each report, as text and as JSON"),
    Key::new(
        "report_keep",
        Kind::Integer { min: 1, max: 100_000 },
        "288",
        "how many reports it keeps; one each 5 minutes is a day",
    ),
];

/// What is measured.
#[derive(Debug)]
pub struct Sensors {
    /// In the order of reports.
    pub watches: Vec<Watch>,
}

/// Where reports are kept.
#[derive(Debug)]
pub struct Reports {
    /// The folder.
    pub folder: PathBuf,
    /// How many.
    pub most: usize,
}

impl Reports {
    /// Reads it from valid settings; `None`: they are not kept.
    pub(super) fn read(document: &Document) -> Option<Reports> {
        let written = [document.section("sensors", None)];
        let values = Values { keys: &[KEYS], written: &written };
        let most = usize::try_from(values.count("report_keep")).unwrap_or(usize::MAX);
        values.text("report_dir").map(|folder| Reports { folder: folder.into(), most })
    }
}

/// A sensor with its settings.
#[derive(Debug)]
pub struct Watch {
    /// The sensor.
    pub sensor: &'static Sensor,
    /// NAME of `[sensor.command.NAME]`; else "".
    pub name: String,
    /// How often it is measured.
    pub every: Duration,
    /// What its values mean.
    pub rules: Vec<Rule>,
    written: Vec<Setting>,
}

impl Watch {
    /// "storage", "command.mailq".
    pub fn full_name(&self) -> String {
        if self.name.is_empty() { self.sensor.name.to_owned() } else { format!("{}.{}", self.sensor.name, self.name) }
    }

    /// Its rules count in the units of what was measured, where nobody says others.
    pub fn count_in(&mut self, units: &BTreeMap<String, Unit>) {
        self.rules.iter_mut().for_each(|rule| rule.count_in(units));
    }

    /// Lends its settings.
    pub fn with_values<T>(&self, use_them: impl FnOnce(Values<'_>) -> T) -> T {
        let written = [self.written.as_slice()];
        use_them(Values { keys: self.sensor.keys, written: &written })
    }
}

/// The sections of all sensors.
pub(super) fn sections() -> impl Iterator<Item = Section> {
    SENSORS.iter().map(|sensor| Section {
        name: section(sensor).into(),
        about: sensor.about,
        named: sensor.named,
        keys: sensor.keys,
        open: false,
    })
}

fn section(sensor: &Sensor) -> String {
    format!("sensor.{}", sensor.name)
}

impl Sensors {
    /// Reads it from valid settings.
    pub(super) fn read(document: &Document) -> Sensors {
        Sensors { watches: watched(document).filter_map(|(sensor, name)| watch(document, sensor, name)).collect() }
    }
}

/// Each sensor, and the names of those that have some.
fn watched(document: &Document) -> impl Iterator<Item = (&'static Sensor, Option<String>)> {
    SENSORS.iter().flat_map(|sensor| {
        if !sensor.named {
            return vec![(sensor, None)];
        }
        let section = section(sensor);
        document.names(&section).map(|(name, _)| (sensor, Some(name.to_owned()))).collect()
    })
}

fn watch(document: &Document, sensor: &'static Sensor, name: Option<String>) -> Option<Watch> {
    let written = document.section(&section(sensor), name.as_deref()).to_vec();
    let list = [written.as_slice()];
    let values = Values { keys: sensor.keys, written: &list };
    if !values.boolean("enabled") {
        return None;
    }
    let every = values.duration("every");
    let drafts = drafts(sensor, &values, document.tables(&section(sensor), name.as_deref()));
    let rules = drafts.iter().filter_map(|draft| draft.rule(sensor).ok().flatten()).collect();
    Some(Watch { sensor, name: name.unwrap_or_default(), every, rules, written })
}

/// The rule's name of a sensor that fails again and again.
pub const BLIND: &str = "error";

/// How often a sensor's check is told again where nobody says so: a key of its own, where it has one.
pub(super) fn remind(document: &Document, check: &str) -> Option<Duration> {
    let subject = Subject::stored(check.to_owned());
    let name = CheckName::of(&subject)?;
    let sensor = SENSORS.iter().find(|sensor| sensor.name == name.sensor)?;
    let own = name.watch.split_once('.').map(|(_, own)| own).filter(|_| sensor.named);
    let written = [document.section(&section(sensor), own)];
    Values { keys: sensor.keys, written: &written }.interval("renotify_time")
}

/// What is wrong with the sections of sensors, beyond their keys.
pub(super) fn wrong(document: &Document) -> Vec<String> {
    let mut complaints = Vec::new();
    for (sensor, name) in watched(document) {
        let (title, name) = (section(sensor), name.as_deref());
        let (settings, tables) = (document.section(&title, name), document.tables(&title, name));
        let written = [settings];
        let values = Values { keys: sensor.keys, written: &written };
        let origin = || document.names(&title).find(|(own, _)| Some(*own) == name).map(|(_, origin)| origin.to_string());
        let at = || origin().unwrap_or_default();
        let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        match name {
            Some(name) if name.is_empty() || !is_plain(name) => {
                complaints.push(format!("{}: a name has only letters, digits, _ and -: [{title}.{name:?}]", at()));
            }
            Some(name) if values.boolean("enabled") && values.list("command").is_empty() => {
                let words = "`command = [\"/path/of/the/program\", \"argument\"]`";
                complaints.push(format!("{}: [{title}.{name}] needs {words}", at()));
            }
            _ => {}
        }
        complaints.extend(settings.iter().chain(tables.iter().flat_map(|table| &table.settings)).filter_map(no_path));
        if !tables.is_empty() {
            complaints.extend(drafts(sensor, &values, tables).iter().filter_map(|draft| draft.rule(sensor).err()));
            complaints.extend(twice(tables));
        }
    }
    complaints.extend(document.section("sensors", None).iter().filter_map(no_path));
    complaints
}

/// What should name a place of the machine and cannot: it would be looked for in vain, and nobody would know.
fn no_path(setting: &Setting) -> Option<String> {
    let key = setting.key.as_str();
    let all = match &setting.value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        value => value.as_str().into_iter().collect::<Vec<_>>(),
    };
    let complaint = |text: &str, why: &str| Some(format!("{}: `{key}` {why}: {text:?} is none", setting.origin));
    match key {
        "report_dir" | "log_file" => {
            let text = all.into_iter().find(|text| !text.starts_with('/'))?;
            complaint(text, "must be a whole path")
        }
        "command" => {
            let program = all.into_iter().next().filter(|program| !program.starts_with('/'))?;
            complaint(program, "must begin with the program's whole path")
        }
        "include" | "exclude" | "mount" => {
            let text = all.into_iter().find(|text| !text.starts_with(['/', '*', '?']) || text.contains(['[', ']']))?;
            complaint(text, "is a whole path, or a glob in which * and ? stand for any others, as in \"/mnt/*\"")
        }
        _ => None,
    }
}
