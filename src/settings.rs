//! The catalogue: joins the settings of each module, and holds the valid ones. Nothing in it is optional that has a default.

mod heartbeat;
mod method;
mod processes;
mod sensors;
mod services;
mod units;
mod wrong;

pub use heartbeat::Heartbeat;
pub use method::{JOURNAL, KEYS as METHOD_KEYS, Method};
pub use processes::{HealthCheck, LogFile, Process, Processes, Strategy};
pub use sensors::{BLIND, Reports, Sensors, Watch};
pub use services::{Listed, Services};
pub use units::{SECTION as UNIT_SECTION, UnitFiles};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use wildmatch::WildMatch;

use crate::config::{Document, Key, Kind, Origin, Section, Setting, Values};
use crate::error::{Error, Result};
use crate::event::{CHECK, ProcessName};
use crate::message::TEMPLATE_KEYS;
use crate::policy;

/// `[policy]` alone has these.
const HOST_KEYS: &[Key] = &[
    Key::new("host", Kind::Text, "", "replaces the kernel's host name in messages"),
    Key::new(
        "method_failing_after",
        Kind::ANY_TIME,
        "\"1h\"",
        "a method that has failed for this long is announced, and fails sysalert-dispatch.service",
    ),
];

/// `[storm]`
const STORM_KEYS: &[Key] = &[
    Key::new(
        "incidents",
        Kind::Integer { min: 0, max: 1_000_000 },
        "10",
        "more than this many within the window become one message; 0: never",
    ),
    Key::new(
        "window",
        Kind::Duration { min: 1, max: 3600 },
        "\"30s\"",
        "how close together these are; while it lasts, one digest in each",
    ),
];

/// `[retention]`. Within a day nothing is history: somebody may still be looking at it.
const RETENTION_KEYS: &[Key] = &[Key::new(
    "history",
    Kind::Duration { min: 86_400, max: 10 * YEAR },
    "\"1y\"",
    "incidents that are over, and their events, are kept this long",
)];

/// `[metrics]`
const METRICS_KEYS: &[Key] =
    &[Key::new("textfile", Kind::Text, "", "a file that dispatch keeps up to date, for node_exporter's textfile collector")];

/// "1y", in seconds.
const YEAR: u64 = 31_557_600;

/// Every section there is.
pub static CATALOGUE: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let one = Section::new;
    let mut sections = vec![
        one("policy", "what holds for every unit that no section below says otherwise of", &[policy::KEYS, HOST_KEYS]),
        Section {
            named: true,
            ..one(
                "unit",
                "what is different for one unit, or with * and ? for some; the most specific name wins, and [policy] fills the rest",
                UNIT,
            )
        },
        Section {
            named: true,
            open: true,
            ..one("method", "a way to tell, under a name of your own; its plugin has more keys", &[METHOD_KEYS, TEMPLATE_KEYS])
        },
        one("storm", "when many messages become one", &[STORM_KEYS]),
        one("retention", "how long it is remembered", &[RETENTION_KEYS]),
        one("metrics", "figures for Prometheus", &[METRICS_KEYS]),
        one("heartbeat", "a sign of life, so that somebody elsewhere notices a host that is dead", &[heartbeat::KEYS]),
        one("services", "the units that are looked at twice a minute, also when they trigger nothing", &[services::KEYS]),
        one("sensors", "the reports of what is measured of the machine", &[sensors::KEYS]),
        one("processes", "the watchdog's database, and what its tables are called", &[processes::KEYS]),
        one("processes.default", "how every process of it is restarted and looked at", &[processes::PROCESS_KEYS]),
        one("processes.log", "a file for what the watchdog does", &[processes::LOG_KEYS]),
        Section {
            named: true,
            ..one(
                "process",
                "what is different for one process; [processes.default] fills the rest",
                &[processes::PROCESS_KEYS, processes::OWN_KEYS],
            )
        },
    ];
    sections.extend(sensors::sections());
    sections
});

/// The keys that a unit's settings are made of: `[X-Sysalert]` before `[unit]` before `[policy]`.
const UNIT: &[&[Key]] = &[policy::KEYS, policy::UNIT_KEYS];

/// What the names of the watchdog's sections begin with, but for those of single processes.
const PROCESSES: &str = "processes";

/// The keys of a unit's settings that name methods.
const NAMES_METHODS: [&str; 2] = ["methods", "escalate_to"];

/// The valid settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Replaces the kernel's host name.
    pub host: Option<String>,
    /// The configured methods by name; `journal` when none is configured.
    pub methods: BTreeMap<String, Method>,
    /// A method that has failed for this long is announced.
    pub method_failing_after: Duration,
    /// When many messages become one.
    pub storm: Storm,
    /// How long the history of what is over is kept.
    pub history: Duration,
    /// The file of the metrics; `None`: nobody wants them.
    pub textfile: Option<PathBuf>,
    /// The sign of life, if one is wanted.
    pub heartbeat: Option<Heartbeat>,
    /// What is polled.
    pub services: Services,
    /// The watchdog's database, if there is one.
    pub processes: Option<Processes>,
    document: Document,
    globs: Vec<(WildMatch, String)>,
    units: Option<Rc<dyn UnitFiles>>,
}

/// When many messages become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// More than this many incidents; 0: never.
    pub incidents: u64,
    /// Within this time.
    pub window: Duration,
}

impl Settings {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// `Config`, with every complaint there is, each with file and line.
    pub fn read(files: &[(PathBuf, String)]) -> Result<Settings> {
        let document = Document::read(files, &CATALOGUE).map_err(|complaints| Error::config(complaints.join("\n")))?;
        let policy = [document.section("policy", None)];
        let policy = Values { keys: &[HOST_KEYS], written: &policy };
        let (host, method_failing_after) = (policy.text("host"), policy.duration("method_failing_after"));
        let retention = [document.section("retention", None)];
        let history = Values { keys: &[RETENTION_KEYS], written: &retention }.duration("history");
        let storm = [document.section("storm", None)];
        let storm = Values { keys: &[STORM_KEYS], written: &storm };
        let storm = Storm { incidents: storm.count("incidents"), window: storm.duration("window") };
        let metrics = [document.section("metrics", None)];
        let textfile = Values { keys: &[METRICS_KEYS], written: &metrics }.text("textfile").map(PathBuf::from);
        let methods = method::methods(&document);
        let heartbeat = heartbeat::heartbeat(&document, &methods);
        let globs = globs(&document);
        let services = Services::read(&document);
        let processes = Processes::read(&document);
        let settings = Settings {
            host,
            methods,
            method_failing_after,
            storm,
            history,
            textfile,
            heartbeat,
            services,
            processes,
            globs,
            document,
            units: None,
        };
        settings.check()?;
        Ok(settings)
    }

    /// The same with what the files of units say.
    #[must_use]
    pub fn with_unit_files(self, units: Rc<dyn UnitFiles>) -> Settings {
        Settings { units: Some(units), ..self }
    }

    /// The settings for a unit, by its name as a person writes it: what its own files say, then the most specific glob's, then
    /// `[policy]`'s.
    pub fn rules(&self, unit: &str) -> policy::Rules {
        let own = self.of_files(unit).0;
        let written = self.written(unit, &own);
        let mut rules = policy::Rules::from(&Values { keys: UNIT, written: &written });
        if rules.methods.is_empty() {
            rules.methods = self.methods.keys().cloned().collect();
        }
        if unit.starts_with(CHECK) && !written.iter().any(|list| list.iter().any(|setting| setting.key == "remind")) {
            rules.remind = sensors::remind(&self.document, unit).or(rules.remind);
        }
        // [policy], the last, is for everything; what is written for this unit alone wins
        let mut own = written.iter().rev().skip(1).flat_map(|list| list.iter());
        if self.services.covers(unit) && !own.any(|setting| setting.key == "remind") {
            rules.remind = self.services.remind;
        }
        rules
    }

    /// What is measured of the machine, and what its values mean.
    pub fn sensors(&self) -> Sensors {
        Sensors::read(&self.document)
    }

    /// Where the reports of the sensors are kept, if they are.
    pub fn reports(&self) -> Option<Reports> {
        Reports::read(&self.document)
    }

    /// The names, and of units the globs, that have a section of this kind of their own: "unit", "process".
    pub fn named(&self, section: &str) -> Vec<String> {
        self.document.names(section).map(|(name, _)| name.to_owned()).collect()
    }

    /// The names and globs of units that should succeed from time to time, as they are written.
    pub fn expecting(&self) -> Vec<String> {
        let expects = |name: &&str| self.document.section("unit", Some(name)).iter().any(|one| one.key == "expect_success");
        let mut names: Vec<String> =
            self.document.names("unit").map(|(name, _)| name).filter(expects).map(str::to_owned).collect();
        names.extend(self.whose_files_say("expect_success"));
        names
    }

    /// How a process is restarted and looked at; `None`: it may not be restarted.
    pub fn process(&self, name: &ProcessName) -> Option<Process> {
        let may = processes::has_section(&self.document, name) || self.processes.as_ref()?.allows(name);
        may.then(|| processes::process(&self.document, name))
    }

    /// The names of the processes that have a section, the most urgent first.
    pub fn process_names(&self) -> Vec<String> {
        processes::names(&self.document)
    }

    /// What is written for a unit, the most specific first.
    fn written<'a>(&'a self, unit: &str, own: &'a [Setting]) -> Vec<&'a [Setting]> {
        // a check is no unit: only what names checks is for it
        let is_check = unit.starts_with(CHECK);
        let mut globs = self.globs.iter().filter(|(_, name)| name.starts_with(CHECK) == is_check);
        let glob = globs.find(|(glob, _)| glob.matches(unit));
        let glob = glob.map(|(_, name)| self.document.section("unit", Some(name)));
        [Some(own), glob, Some(self.document.section("policy", None))].into_iter().flatten().collect()
    }

    /// The method of this name; `journal` is always there.
    pub fn method(&self, name: &str) -> Option<Method> {
        self.methods.get(name).cloned().or_else(|| (name == method::JOURNAL).then(|| Method::bare(name)))
    }

    /// Where `[policy]` names the methods that send, if neither it nor anything else names this one: no unit is told of by it.
    pub fn leaves_out(&self, method: &str) -> Option<Origin> {
        let policy = self.document.section("policy", None).iter().find(|one| one.key == "methods")?;
        if policy.value.as_array().is_none_or(Vec::is_empty) {
            return None;
        }
        self.names_method(method).is_none().then(|| policy.origin.clone())
    }

    /// Where a method is named: by what is told by it, by a method whose fallback it is, by the sign of life.
    pub fn names_method(&self, method: &str) -> Option<Origin> {
        let names = |value: &Value| match value {
            Value::Array(list) => list.iter().any(|one| one == method),
            value => value == method,
        };
        self.effective().into_iter().find_map(|(section, key, value, origin)| {
            let is_name = match section.as_str() {
                "heartbeat" => key == "method",
                section if section.starts_with("method.") => key == "fallback",
                _ => NAMES_METHODS.contains(&key.as_str()),
            };
            origin.filter(|_| is_name && names(&value))
        })
    }

    /// The programs that methods and sensors run, each with the heading of its section and where it stands.
    pub fn programs(&self) -> Vec<(String, Origin, Vec<String>)> {
        let words = |value: Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let watched: Vec<String> = self.sensors().watches.iter().map(|watch| format!("sensor.{}", watch.full_name())).collect();
        let programs = self.effective().into_iter().filter_map(|(section, key, value, origin)| {
            let is_methods = section.strip_prefix("method.").is_some_and(|name| {
                self.methods.values().any(|method| bare_or_quoted(&method.name) == name && method.plugin == "command")
            });
            let runs = key == "command" && (is_methods || watched.contains(&section));
            Some((section, origin?, words(value))).filter(|(_, _, command)| runs && !command.is_empty())
        });
        programs.collect()
    }

    /// The methods that stand in for this one, the nearest first.
    pub fn stand_ins(&self, name: &str) -> Vec<String> {
        // the fallbacks are known to come to an end
        let next = |name: &String| self.method(name).and_then(|method| method.fallback);
        std::iter::successors(next(&name.to_owned()), next).collect()
    }

    /// Every effective setting with where it stands; `None` where it is the default.
    pub fn effective(&self) -> Vec<(String, String, Value, Option<Origin>)> {
        let mut rows = Vec::new();
        // without a database nothing of the watchdog holds
        let holds = |section: &&Section| !section.name.starts_with(PROCESSES) || self.document.has(&section.name);
        for section in CATALOGUE.iter().filter(holds) {
            let names: Vec<Option<&str>> =
                if section.named { self.document.names(&section.name).map(|(name, _)| Some(name)).collect() } else { vec![None] };
            for own in names {
                let title =
                    own.map_or_else(|| section.name.to_string(), |own| format!("{}.{}", section.name, bare_or_quoted(own)));
                let written = self.document.section(&section.name, own);
                // a unit's section says only what it changes; the rest is [policy]'s, and a process's [processes.default]'s
                let defaults = section
                    .keys
                    .iter()
                    .flat_map(|list| list.iter())
                    .filter(|key| !matches!(section.name.as_ref(), "unit" | "process") && !key.default.is_empty());
                let defaults = defaults.filter(|key| !written.iter().any(|setting| setting.key == key.name));
                rows.extend(written.iter().map(|s| (title.clone(), s.key.clone(), s.value.clone(), Some(s.origin.clone()))));
                rows.extend(defaults.map(|key| (title.clone(), key.name.to_string(), key.default_value(), None)));
                for table in self.document.tables(&section.name, own) {
                    let title = format!("[{title}.rule]");
                    let settings = table.settings.iter();
                    rows.extend(settings.map(|s| (title.clone(), s.key.clone(), s.value.clone(), Some(s.origin.clone()))));
                }
            }
        }
        let in_files = self.in_files().into_iter();
        rows.extend(in_files.map(|s| (UNIT_SECTION.to_owned(), s.key, s.value, Some(s.origin))));
        for method in self.methods.values().filter(|method| method.origin.is_none()) {
            rows.push((format!("method.{}", method.name), "plugin".to_owned(), Value::from(method.plugin.as_str()), None));
        }
        rows
    }
}

/// The globs of the `[unit."GLOB"]`s, the most specific first: more literal characters, then fewer wildcards, then by name.
fn globs(document: &Document) -> Vec<(WildMatch, String)> {
    let wild = |name: &str| name.chars().filter(|c| matches!(c, '*' | '?')).count();
    let mut names: Vec<String> = document.names("unit").map(|(name, _)| name.to_owned()).collect();
    names.sort_by_key(|name| (wild(name) > 0, std::cmp::Reverse(name.len() - wild(name)), wild(name)));
    names.into_iter().map(|name| (WildMatch::new(&name), name)).collect()
}

fn bare_or_quoted(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests;
