//! `[processes]` and `[process.NAME]`: the watchdog's database, and how each of its processes is restarted and looked at.

mod wrong;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use wildmatch::WildMatch;

use crate::config::{Document, Key, Kind, Values};
use crate::event::{ProcessName, UnitName};

pub(super) use wrong::wrong;

/// `[processes]`
pub(super) const KEYS: &[Key] = &[
    Key::new("host", Kind::Text, "\"localhost\"", "the database's server"),
    Key::new("port", Kind::Integer { min: 1, max: 65_535 }, "3306", "its port"),
    Key::new("socket", Kind::Text, "", "instead of a host: its socket on this machine"),
    Key::new("user", Kind::Text, "\"sysalert\"", "the account"),
    Key::new("password", Kind::Secret, "", "its password"),
    Key::new("database", Kind::Text, "\"v_process_monitor\"", "the database"),
    Key::new(
        "tls",
        Kind::Choice(Cow::Borrowed(TLS)),
        "",
        "encryption: \"required\" checks the server's certificate, too, and is the default but for this machine",
    ),
    Key::new("ca", Kind::Text, "", "a file of certificates that vouch for the server; default: the system's"),
    Key::new("check_interval", Kind::Duration { min: 10, max: 86_400 }, "\"5m\"", "a run that comes earlier does nothing"),
    Key::new(
        "max_restart_failures",
        Kind::Integer { min: 1, max: 1000 },
        "3",
        "so many failed restarts in a row open the breaker",
    ),
    Key::new("circuit_reset_time", Kind::Duration { min: 1, max: 604_800 }, "\"30m\"", "so long it stays open"),
    Key::new("read_only", Kind::Boolean, "false", "never write into the database"),
    Key::new("allow", Kind::List, "[]", "globs of names that may be restarted without a section of their own"),
    Key::new("host_id", Kind::Integer { min: 0, max: i64::MAX }, "", "only rows with this number in `host_column`"),
    Key::new("status_table", Kind::Text, "\"STATUS_PROCESS\"", "the table of alarms"),
    Key::new("process_table", Kind::Text, "\"PROCESE\"", "the table of names"),
    Key::new("id_column", Kind::Text, "\"process_id\"", "joins the two"),
    Key::new("name_column", Kind::Text, "\"process_name\"", "the name"),
    Key::new("alarm_column", Kind::Text, "\"alarma\"", "1: in alarm"),
    Key::new("sound_column", Kind::Text, "\"sound\"", "1: somebody knows of it, and it is left alone"),
    Key::new("notes_column", Kind::Text, "\"notes\"", "gets a note of each restart"),
    Key::new("host_column", Kind::Text, "\"host_id\"", "the host's number, with `host_id`"),
];

/// `[processes.log]`
pub(super) const LOG_KEYS: &[Key] = &[
    Key::new("path", Kind::Text, "", "a file for what the watchdog does, beside the journal"),
    Key::new("max_size", Kind::Integer { min: 1, max: 1 << 30 }, "5120", "in KiB; then a new one is begun"),
    Key::new("keep", Kind::Integer { min: 1, max: 1000 }, "5", "so many old ones are kept"),
];

/// `[processes.default]`, and with [`OWN_KEYS`] `[process.NAME]`.
pub(super) const PROCESS_KEYS: &[Key] = &[
    Key::new(
        "restart_strategy",
        Kind::Choice(Cow::Borrowed(STRATEGIES)),
        "\"auto\"",
        "\"auto\": the service if there is one, else the process",
    ),
    Key::new("restart_command", Kind::List, "", "for \"custom\": program and arguments, no shell; %s in one is the name"),
    Key::new("pre_restart_command", Kind::List, "", "runs before; if it fails nothing is restarted"),
    Key::new("restart_delay", Kind::Duration { min: 0, max: 600 }, "\"2s\"", "between two tries of one cycle"),
    Key::new("max_attempts", Kind::Integer { min: 1, max: 100 }, "2", "tries in one cycle"),
    Key::new("stop_timeout", Kind::Duration { min: 1, max: 600 }, "\"10s\"", "from SIGTERM to SIGKILL"),
    Key::new("command_timeout", Kind::Duration { min: 1, max: 600 }, "\"30s\"", "each program that is started may take so long"),
    Key::new("health_check_command", Kind::List, "", "exit status 0: healthy; %s in an argument is the name"),
    Key::new("health_check_unit", Kind::Text, "", "healthy when this unit is active"),
    Key::new("health_check_url", Kind::Text, "", "healthy when this address answers"),
    Key::new("health_check_status", Kind::Integer { min: 100, max: 599 }, "200", "with this status"),
    Key::new("health_check_text", Kind::Text, "", "and with this text in its answer"),
    Key::new("health_check_tcp", Kind::Text, "", "healthy when HOST:PORT takes a connection"),
    Key::new(
        "health_check_timeout",
        Kind::Duration { min: 1, max: 600 },
        "\"5s\"",
        "so long after a restart it may take to become healthy",
    ),
    Key::new("stable_time", Kind::Duration { min: 0, max: 600 }, "\"2s\"", "without a health check: so long it must be there"),
];

/// What `[process.NAME]` alone has.
pub(super) const OWN_KEYS: &[Key] = &[
    Key::new("system_name", Kind::Text, "", "the service's name, where that is another"),
    Key::new(
        "process_command",
        Kind::List,
        "",
        "for \"process\": the whole path of its program, which must stay in the foreground, and its arguments, exactly",
    ),
    Key::new("process_user", Kind::Text, "\"root\"", "as whom it is started"),
    Key::new("priority", Kind::Integer { min: 0, max: 1000 }, "100", "the lowest first"),
    Key::new("depends_on", Kind::List, "[]", "processes that must not be in alarm before this one is restarted"),
];

const TLS: &[Cow<'static, str>] = &[Cow::Borrowed("none"), Cow::Borrowed("preferred"), Cow::Borrowed("required")];
const STRATEGIES: &[Cow<'static, str>] =
    &[Cow::Borrowed("service"), Cow::Borrowed("process"), Cow::Borrowed("auto"), Cow::Borrowed("custom")];
/// A process's keys, its own first.
const PROCESS: &[&[Key]] = &[PROCESS_KEYS, OWN_KEYS];

/// The valid settings of `[processes]`.
#[derive(Debug, Clone)]
pub struct Processes {
    /// What the client of the database gets: the section, with its defaults. A secret stands as it is written.
    pub database: Map<String, Value>,
    /// The database's name.
    pub name: String,
    /// A run that comes earlier does nothing.
    pub check_interval: Duration,
    /// So many failed cycles open the breaker.
    pub max_restart_failures: u64,
    /// So long it stays open.
    pub circuit_reset_time: Duration,
    /// Never write into the database.
    pub read_only: bool,
    /// Where to log to, beside the journal.
    pub log: Option<LogFile>,
    allow: Vec<WildMatch>,
}

/// `[processes.log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file.
    pub path: PathBuf,
    /// So many bytes; then a new one is begun.
    pub max_size: u64,
    /// So many old ones are kept.
    pub keep: u64,
}

/// How one process is restarted and looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name.
    pub name: ProcessName,
    /// How it is restarted.
    pub strategy: Strategy,
    /// Its service; of a name that no unit can have: none.
    pub unit: Option<UnitName>,
    /// For [`Strategy::Custom`].
    pub restart_command: Vec<String>,
    /// Runs before.
    pub pre_restart_command: Vec<String>,
    /// Its program and arguments; empty: it is no plain process.
    pub process_command: Vec<String>,
    /// As whom it is started.
    pub process_user: String,
    /// Between two tries.
    pub restart_delay: Duration,
    /// Tries in one cycle.
    pub max_attempts: u64,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    /// Each program may take so long.
    pub command_timeout: Duration,
    /// What tells that it is healthy; all of them must.
    pub checks: Vec<HealthCheck>,
    /// So long it may take to become healthy.
    pub health_check_timeout: Duration,
    /// Without a check: so long it must be there.
    pub stable_time: Duration,
    /// The lowest first.
    pub priority: u64,
    /// What must not be in alarm.
    pub depends_on: Vec<String>,
}

/// How a process is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// By the service manager.
    Service,
    /// Ended by a signal and started again.
    Process,
    /// The service if there is one, else the process.
    Auto,
    /// By a program.
    Custom,
}

/// What tells that a process is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// This program ends with 0.
    Command(Vec<String>),
    /// This unit is active.
    Unit(UnitName),
    /// This address answers with this status, and with this text.
    Http {
        /// The address.
        url: String,
        /// The status.
        status: u64,
        /// The text.
        text: Option<String>,
    },
    /// This address takes a connection.
    Tcp(String),
}

impl Processes {
    /// Reads it from valid settings; `None` where there is no such section.
    pub(super) fn read(document: &Document) -> Option<Processes> {
        document.has("processes").then(|| {
            let written = [document.section("processes", None)];
            let values = Values { keys: &[KEYS], written: &written };
            let keys = KEYS.iter().filter(|key| !OURS.contains(&key.name.as_ref()));
            let database = keys.map(|key| (key.name.to_string(), values.value(&key.name)));
            let log = [document.section("processes.log", None)];
            let log = Values { keys: &[LOG_KEYS], written: &log };
            Processes {
                database: database.filter(|(_, value)| !value.is_null()).collect(),
                name: values.text("database").unwrap_or_default(),
                check_interval: values.duration("check_interval"),
                max_restart_failures: values.count("max_restart_failures"),
                circuit_reset_time: values.duration("circuit_reset_time"),
                read_only: values.boolean("read_only"),
                log: log.text("path").map(|path| LogFile {
                    path: path.into(),
                    max_size: log.count("max_size") * 1024,
                    keep: log.count("keep"),
                }),
                allow: values.list("allow").iter().map(|glob| WildMatch::new(glob)).collect(),
            }
        })
    }

    /// Whether a name may be restarted without a section of its own.
    pub fn allows(&self, name: &ProcessName) -> bool {
        self.allow.iter().any(|glob| glob.matches(name.as_str()))
    }
}

/// The keys of `[processes]` that its client has no use for.
const OURS: [&str; 4] = ["check_interval", "max_restart_failures", "circuit_reset_time", "allow"];

/// The names of the `[process.NAME]`s, the lowest priority first, then as they sort.
pub(super) fn names(document: &Document) -> Vec<String> {
    let mut names: Vec<(u64, &str)> =
        document.names("process").map(|(name, _)| (values(document, name, |values| values.count("priority")), name)).collect();
    names.sort_unstable();
    names.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Whether a process has a section of its own.
pub(super) fn has_section(document: &Document, name: &ProcessName) -> bool {
    document.names("process").any(|(own, _)| own == name.as_str())
}

fn values<T>(document: &Document, name: &str, read: impl FnOnce(&Values<'_>) -> T) -> T {
    let written = [document.section("process", Some(name)), document.section("processes.default", None)];
    read(&Values { keys: PROCESS, written: &written })
}

/// How this process is restarted and looked at.
pub(super) fn process(document: &Document, name: &ProcessName) -> Process {
    let filled = |list: Vec<String>| list.iter().map(|one| one.replace("%s", name.as_str())).collect::<Vec<_>>();
    values(document, name.as_str(), |values| {
        let command = |key: &str| filled(values.list(key));
        let text = |key: &str| values.text(key).map(|text| text.replace("%s", name.as_str()));
        let mut checks = Vec::new();
        checks.extend(Some(command("health_check_command")).filter(|list| !list.is_empty()).map(HealthCheck::Command));
        checks.extend(text("health_check_unit").and_then(|unit| UnitName::typed(&unit).ok()).map(HealthCheck::Unit));
        checks.extend(text("health_check_url").map(|url| HealthCheck::Http {
            url,
            status: values.count("health_check_status"),
            text: values.text("health_check_text"),
        }));
        checks.extend(text("health_check_tcp").map(HealthCheck::Tcp));
        Process {
            name: name.clone(),
            strategy: match values.text("restart_strategy").as_deref() {
                Some("service") => Strategy::Service,
                Some("process") => Strategy::Process,
                Some("custom") => Strategy::Custom,
                _ => Strategy::Auto,
            },
            unit: match values.text("system_name") {
                Some(unit) => UnitName::typed(&unit).ok(),
                // what a row is called means a service, never a mount, a target or a timer
                None => format!("{}.service", name.as_str().strip_suffix(".service").unwrap_or(name.as_str())).parse().ok(),
            },
            restart_command: command("restart_command"),
            pre_restart_command: command("pre_restart_command"),
            process_command: values.list("process_command"),
            process_user: values.text("process_user").unwrap_or_default(),
            restart_delay: values.duration("restart_delay"),
            max_attempts: values.count("max_attempts"),
            stop_timeout: values.duration("stop_timeout"),
            command_timeout: values.duration("command_timeout"),
            checks,
            health_check_timeout: values.duration("health_check_timeout"),
            stable_time: values.duration("stable_time"),
            priority: values.count("priority"),
            depends_on: values.list("depends_on"),
        }
    })
}
