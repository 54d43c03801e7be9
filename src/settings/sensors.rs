//! `[sensors]`, `[sensor.NAME]` and `[[sensor.NAME.rule]]`: what is measured of the machine, and what its values mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::config::{Document, Key, Kind, Origin, Section, Setting, Table, Values, nearest};
use crate::event::{CheckName, Op, Subject, Unit};
use crate::incident::Severity;
use crate::trigger::sensor::rule::Rule;
use crate::trigger::sensor::{SENSORS, Sensor};

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
    /// Where reports are kept.
    pub report_dir: Option<PathBuf>,
    /// How many.
    pub report_keep: usize,
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
        let written = [document.section("sensors", None)];
        let values = Values { keys: &[KEYS], written: &written };
        Sensors {
            watches: watched(document).filter_map(|(sensor, name)| watch(document, sensor, name)).collect(),
            report_dir: values.text("report_dir").map(PathBuf::from),
            report_keep: usize::try_from(values.count("report_keep")).unwrap_or(usize::MAX),
        }
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

/// A rule while it is put together of what is written, the most specific first.
struct Draft {
    layers: Vec<Vec<Setting>>,
    /// Where it begins; `None`: nobody has written it.
    origin: Option<Origin>,
}

/// The rules of a sensor. What is written adds to the one of the same name and instances that a file before this one has, else to
/// the one of its name for all instances, wherever that stands; but `clear` and `critical` belong to their `value`.
fn drafts(sensor: &'static Sensor, values: &Values<'_>, tables: &[Table]) -> Vec<Draft> {
    let mut drafts: Vec<Draft> =
        defaults(sensor, values).into_iter().map(|table| Draft { layers: vec![table.settings], origin: None }).collect();
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

/// The rules that hold where none of the same name is written. `"{amount}"` in them is the value of the sensor's key `amount`.
fn defaults(sensor: &'static Sensor, values: &Values<'_>) -> Vec<Table> {
    let (section, name) = (section(sensor), sensor.named.then_some("x"));
    let heading = name.map_or_else(|| section.clone(), |name| format!("{section}.{name}"));
    let mut text = sensor.rules.replace("[[rule]]", &format!("[[{heading}.rule]]"));
    for key in sensor.keys.iter().flat_map(|list| list.iter()) {
        text = text.replace(&format!("\"{{{}}}\"", key.name), &values.value(&key.name).to_string());
    }
    let document = Document::read(&[(Path::new("defaults").into(), text)], &super::CATALOGUE);
    let mut tables = document.map(|document| document.tables(&section, name).to_vec()).unwrap_or_default();
    for setting in tables.iter_mut().flat_map(|table| &mut table.settings) {
        setting.origin.line = NOWHERE;
    }
    tables
}

/// The glob of a rule that is for all instances.
const EVERY: &str = "*";

fn mount(settings: &[Setting]) -> String {
    text(settings, "mount").unwrap_or_else(|| EVERY.to_owned())
}

/// The rules that a file has twice: of which one would hold nobody could tell. A later file may change what one before it has.
fn twice(tables: &[Table]) -> impl Iterator<Item = String> {
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
    fn rule(&self, sensor: &'static Sensor) -> Result<Option<Rule>, String> {
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
        let op = self.text("op").and_then(|word| Op::parse(&word)).unwrap_or(Op::Gt);
        let (clear, critical) = (number("clear")?, number("critical")?);
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

/// The rule's name of a sensor that fails again and again.
pub const BLIND: &str = "error";

/// A number, with its unit if it has one.
fn quantity(value: &Value) -> Option<(f64, Option<Unit>)> {
    let one = [Setting { key: "x".to_owned(), value: value.clone(), origin: Origin { file: Path::new("").into(), line: 0 } }];
    Values { keys: &[], written: &[&one] }.quantity("x")
}

/// A value in a metric's unit; in any, where the metric's is not known.
fn read(unit: Option<Unit>, value: &Value) -> Option<f64> {
    let (number, written) = quantity(value)?;
    (written.is_none() || unit.is_none() || written == unit).then_some(number)
}

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
        if let Some(name) = name.filter(|name| name.is_empty() || !is_plain(name)) {
            complaints.push(format!("{}: a name has only letters, digits, _ and -: [{title}.{name:?}]", at()));
        }
        if let Some(name) = name.filter(|_| values.boolean("enabled") && values.list("command").is_empty()) {
            let words = "`command = [\"/path/of/the/program\", \"argument\"]`";
            complaints.push(format!("{}: [{title}.{name}] needs {words}", at()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::trigger::sensor::rule::for_instance;

    fn rules(text: &str) -> Vec<String> {
        let settings = Settings::read(&[("x.toml".into(), text.to_owned())]).unwrap();
        let sensors = settings.sensors();
        let memory = sensors.watches.iter().find(|watch| watch.sensor.name == "memory").unwrap();
        let show = |rule: &Rule| {
            let critical = rule.critical.map(|limit| format!(", critical {limit}")).unwrap_or_default();
            format!(
                "{}: {}, clear {}{critical}, x{}, {}",
                rule.name,
                rule.words(),
                rule.clear,
                rule.consecutive,
                rule.severity.as_str()
            )
        };
        memory.rules.iter().map(show).collect()
    }

    #[test]
    fn a_rule_is_turned_off_for_some_instances() {
        let text = "[[sensor.storage.rule]]\nname = \"low_disk\"\nmount = \"/srv/*\"\nenabled = false";
        let settings = Settings::read(&[("x.toml".into(), text.to_owned())]).unwrap();
        let watches = settings.sensors().watches;
        let storage = watches.iter().find(|watch| watch.sensor.name == "storage").unwrap();
        let of = |mount| for_instance(&storage.rules, mount).iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>();
        assert_eq!(of("/srv/x"), ["low_inodes", "read_only"]);
        assert_eq!(of("/var"), ["low_disk", "low_inodes", "read_only"]);
    }

    const DEFAULTS: [&str; 3] = [
        "low_memory: memory_used_percent gt 92 %, clear 88, critical 97, x2, warning",
        "swap_full: swap_used_percent gt 90 %, clear 80, x3, warning",
        "out_of_memory: oom_kills gt 0, clear 0, x1, warning",
    ];

    #[test]
    fn what_is_written_takes_the_place_of_a_default_of_its_name_and_joins_the_others() {
        assert_eq!(rules(""), DEFAULTS);
        let one = |text: &str| rules(&format!("[[sensor.memory.rule]]\n{text}"));
        // a new value has its own clear and critical
        assert_eq!(one("name = \"low_memory\"\nvalue = 80")[0], "low_memory: memory_used_percent gt 80 %, clear 80, x2, warning");
        assert_eq!(
            one("name = \"low_memory\"\nseverity = \"critical\"")[0],
            "low_memory: memory_used_percent gt 92 %, clear 88, critical 97, x2, critical"
        );
        assert_eq!(one("name = \"swap_full\"\nenabled = false"), [DEFAULTS[0], DEFAULTS[2]]);
        assert_eq!(
            one("name = \"little\"\nmetric = \"memory_available_bytes\"\nop = \"lt\"\nvalue = \"2KiB\"\nclear = 4096")[3],
            "little: memory_available_bytes lt 2.0 KiB, clear 4096, x1, warning"
        );
    }

    #[test]
    fn a_later_file_changes_a_rule_and_one_file_has_it_once() {
        let of = |text: &str| format!("[[sensor.storage.rule]]\nname = \"low_disk\"\n{text}\n");
        let read = |first: &str, later: &str| {
            let files = [("a.toml".into(), first.to_owned()), ("b.toml".into(), later.to_owned())];
            Settings::read(&files).map_err(|error| error.message)
        };
        let settings = read(&of("mount = \"/srv\"\nvalue = 80"), &of("mount = \"/srv\"\nclear = 70")).unwrap();
        let watches = settings.sensors().watches;
        let storage = watches.iter().find(|watch| watch.sensor.name == "storage").unwrap();
        let found = for_instance(&storage.rules, "/srv");
        assert_eq!((found[0].value, found[0].clear), (80.0, 70.0));
        for (first, second, expected) in [
            ("value = 80", "clear = 70", "a.toml:4: the rule `low_disk` stands in a.toml:1, too: write it once"),
            (
                "value = 80\nmount = \"/srv/*\"",
                "mount = \"/srv/*\"",
                "a.toml:5: the rule `low_disk` for \"/srv/*\" stands in a.toml:1, too: write it once",
            ),
        ] {
            let error = read(&format!("{}{}", of(first), of(second)), "").unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_more_specific_rule_wins_whichever_stands_first() {
        let of = |text: &str| format!("[[sensor.storage.rule]]\n{text}\n");
        let written = [
            of("name = \"low_disk\"\nmount = \"/mnt/**\"\nconsecutive = 3"),
            of("name = \"low_disk\"\nvalue = 80"),
            of("name = \"low_disk\"\nmount = \"/mnt/?\"\nvalue = 70"),
            of("name = \"low_disk\"\nmount = \"/mnt/*\"\nvalue = 60"),
            of("name = \"own\"\nmount = \"/mnt/x\"\nvalue = 40"),
            of("name = \"own\"\nmetric = \"inodes_used_percent\"\nvalue = 50\nconsecutive = 2"),
        ];
        let shown = |texts: &mut dyn Iterator<Item = &String>| {
            let settings = Settings::read(&[("x.toml".into(), texts.cloned().collect())]).unwrap();
            let watches = settings.sensors().watches;
            let storage = watches.into_iter().find(|watch| watch.sensor.name == "storage").unwrap();
            let show = |rule: &&Rule| format!("{} {} x{}", rule.name, rule.words(), rule.consecutive);
            ["/", "/mnt/x", "/mnt/long", "/mnt/a/b"].map(|mount| {
                let mut rules: Vec<String> = for_instance(&storage.rules, mount).iter().map(show).collect();
                rules.retain(|rule| !rule.contains("low_inodes") && !rule.contains("read_only"));
                rules.sort();
                rules.join("; ")
            })
        };
        let expected = [
            "low_disk bytes_used_percent gt 80 % x1; own inodes_used_percent gt 50 % x2",
            "low_disk bytes_used_percent gt 70 % x1; own inodes_used_percent gt 40 % x2",
            "low_disk bytes_used_percent gt 60 % x1; own inodes_used_percent gt 50 % x2",
            "low_disk bytes_used_percent gt 60 % x1; own inodes_used_percent gt 50 % x2",
        ];
        assert_eq!(shown(&mut written.iter()), expected);
        assert_eq!(shown(&mut written.iter().rev()), expected);
        assert_eq!(shown(&mut written[3..].iter().chain(&written[..3])), expected);
    }

    #[test]
    fn every_default_is_a_rule() {
        for sensor in SENSORS {
            let drafts = drafts(sensor, &Values { keys: sensor.keys, written: &[] }, &[]);
            assert_eq!(drafts.len(), sensor.rules.matches("[[rule]]").count(), "{}", sensor.name);
            for draft in drafts {
                draft.rule(sensor).unwrap_or_else(|why| panic!("{}: {why}", sensor.name));
            }
        }
    }
}
