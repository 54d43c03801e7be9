//! What can be in trouble, and the names that systemd allows for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::CheckName;
use super::escape::{escaped, unescaped};
use crate::error::{Error, Result};

/// A unit's full name, legal by systemd's rules (`systemd.unit(5)`, "Description").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitName(String);

/// systemd's limit: 255 bytes.
const LONGEST: usize = 255;
const TYPES: [&str; 11] =
    ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

impl UnitName {
    /// The name as a person types it: `backup` means `backup.service`, as for `systemctl`.
    ///
    /// # Errors
    /// `Usage`, when systemd knows no unit of this name.
    pub fn typed(text: &str) -> Result<UnitName> {
        match text.rsplit_once('.') {
            _ if text.is_empty() => Err(Error::usage("the unit's name is missing")),
            Some((_, kind)) if TYPES.contains(&kind) => text.parse(),
            _ => format!("{text}.service").parse(),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UnitName {
    type Err = Error;

    fn from_str(text: &str) -> Result<UnitName> {
        let wrong = |why: &str| {
            Err(Error::usage(format!("{} is not a unit's name: {why}", quoted(text)))
                .hint("a name is letters, digits and :-_.\\@ with a type at its end, such as backup.service"))
        };
        let Some((stem, kind)) = text.rsplit_once('.') else { return wrong("it has no type") };
        if !TYPES.contains(&kind) {
            return wrong("its type is none that systemd has");
        }
        if text.len() > LONGEST {
            return wrong("it is longer than 255 bytes");
        }
        if stem.is_empty() || stem.starts_with('@') {
            return wrong("nothing stands before its type or its @");
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || ":-_.\\@".contains(*c))) {
            Some(_) => wrong("it has a character that systemd does not allow"),
            None => Ok(UnitName(text.to_owned())),
        }
    }
}

/// FNV-1a: the same in each version of this program.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A foreign text for a message: control characters shown, length bounded.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("\"{}{dots}\"", short.escape_debug())
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose service manager it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manager {
    /// The machine's own.
    System,
    /// The user manager of this user.
    User(String),
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Manager::System => "system",
            Manager::User(name) => name,
        })
    }
}

/// What can be in trouble: `unit:backup.service`, `unit:alice/backup.service`; `schedule:backup.timer`, `schedule:backup.service`:
/// not a run, but that there is one when there should be; `check:services`: that whoever looks can see;
/// `check:storage:/var:low_disk`: a rule of a sensor for one instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

/// What a schedule begins with, also on the command line.
pub const SCHEDULE: &str = "schedule:";
/// What a process of the watchdog's database begins with, also on the command line.
pub const PROCESS: &str = "process:";
/// What that database itself begins with.
pub const DATABASE: &str = "database:";
/// What a check begins with, there, too.
pub const CHECK: &str = "check:";

/// An instance's name has so many characters in a subject's; a longer one is cut, and told apart by a number.
const LONGEST_INSTANCE: usize = 300;
const SHORTENED: usize = 280;

impl Subject {
    /// A rule of a sensor ("storage", "command.mailq"), for an instance, which may be called anything.
    pub fn sensor(sensor: &str, instance: &str, rule: &str) -> Subject {
        let mut safe = escaped(instance);
        if let Some((end, _)) = safe.char_indices().nth(SHORTENED).filter(|_| safe.chars().count() > LONGEST_INSTANCE) {
            safe = format!("{}...{:016x}", &safe[..end], hash(instance));
        }
        Subject(format!("{CHECK}{sensor}:{safe}:{rule}"))
    }

    /// A check as a person types it: as it is shown, or with what the instance is really called.
    pub fn typed_check(text: &str) -> Option<Subject> {
        let typed = Subject(text.to_owned());
        match CheckName::of(&typed).filter(|_| typed.is_sensor()) {
            Some(name) if unescaped(name.instance).is_none() => Some(Subject::sensor(name.watch, name.instance, name.rule)),
            _ => (typed.is_check() && !text.chars().any(char::is_control)).then_some(typed),
        }
    }

    /// A unit of this manager.
    pub fn unit(manager: &Manager, unit: &UnitName) -> Subject {
        Subject(match manager {
            Manager::System => format!("unit:{unit}"),
            Manager::User(user) => format!("unit:{user}/{unit}"),
        })
    }

    /// That a timer of this manager starts its unit, or that a unit succeeds, as often as they should.
    pub fn schedule(manager: &Manager, unit: &UnitName) -> Subject {
        Subject(format!("{SCHEDULE}{}", Subject::unit(manager, unit).name()))
    }

    /// A process of the watchdog's database, by its name for people.
    pub fn process(shown: &str) -> Subject {
        Subject(format!("{PROCESS}{shown}"))
    }

    /// The watchdog's database itself.
    pub fn database(name: &str) -> Subject {
        Subject(format!("{DATABASE}{name}"))
    }

    /// That a check of this manager's units can look.
    pub fn check(manager: &Manager, name: &str) -> Subject {
        Subject(match manager {
            Manager::System => format!("{CHECK}{name}"),
            Manager::User(user) => format!("{CHECK}{user}/{name}"),
        })
    }

    /// A subject as this program stored it.
    pub fn stored(text: String) -> Subject {
        Subject(text)
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unit's name without its manager.
    pub fn unit_name(&self) -> &str {
        self.split().1
    }

    /// "system", or the user whose manager it is.
    pub fn manager(&self) -> &str {
        self.split().0.unwrap_or("system")
    }

    /// Whose manager it is.
    pub fn whose(&self) -> Manager {
        self.split().0.map_or(Manager::System, |user| Manager::User(user.to_owned()))
    }

    /// True for a unit of a user's manager.
    pub fn is_users(&self) -> bool {
        self.split().0.is_some()
    }

    /// The name as a person writes it: `backup.service`, `alice/backup.service`, `check:services`.
    pub fn name(&self) -> &str {
        if self.is_check() { &self.0 } else { self.rest() }
    }

    fn rest(&self) -> &str {
        self.0.split_once(':').map_or(self.0.as_str(), |(_, rest)| rest)
    }

    /// The same where units and schedules stand side by side, and as a command takes it: `schedule:backup.service`.
    pub fn full_name(&self) -> &str {
        if self.is_schedule() || self.is_watchdogs() { &self.0 } else { self.name() }
    }

    /// True of what is no unit, and has no runs: a schedule, and a check.
    pub fn is_schedule(&self) -> bool {
        self.0.starts_with(SCHEDULE) || self.is_check()
    }

    /// True of a check.
    pub fn is_check(&self) -> bool {
        self.0.starts_with(CHECK)
    }

    /// True of a process of the watchdog's database, and of that database: no unit, and no run.
    pub fn is_watchdogs(&self) -> bool {
        self.0.starts_with(PROCESS) || self.0.starts_with(DATABASE)
    }

    /// True of a rule of a sensor: `check:SENSOR:INSTANCE:RULE`.
    pub fn is_sensor(&self) -> bool {
        self.is_check() && self.0.matches(':').count() > 2
    }

    fn split(&self) -> (Option<&str>, &str) {
        if self.is_watchdogs() {
            return (None, self.rest());
        }
        if self.is_sensor() {
            return (None, &self.0);
        }
        match self.rest().split_once('/') {
            Some((user, unit)) => (Some(user), unit),
            None => (None, self.rest()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names_are_taken_as_they_are() {
        let longest = format!("{}.service", "x".repeat(230 - ".service".len()));
        for name in ["a.service", "foo\\x2dbar.service", "c@d-e.service", "getty@tty1.service", "-.mount", "a@.timer", &longest] {
            assert_eq!(name.parse::<UnitName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn illegal_names_are_refused() {
        let long = format!("{}.service", "x".repeat(300));
        for name in ["", "a", ".service", "@.service", "a/b.service", "a b.service", "a.conf", "a;b.service", "ä.service", &long]
        {
            assert!(name.parse::<UnitName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_typed_name_gets_its_type() {
        assert_eq!(UnitName::typed("backup").unwrap().as_str(), "backup.service");
        assert_eq!(UnitName::typed("a.b").unwrap().as_str(), "a.b.service");
        assert_eq!(UnitName::typed("data.mount").unwrap().as_str(), "data.mount");
    }

    #[test]
    fn a_subject_tells_its_manager_and_its_unit() {
        let unit = UnitName::typed("bot").unwrap();
        let system = Subject::unit(&Manager::System, &unit);
        let users = Subject::unit(&Manager::User("alice".into()), &unit);
        assert_eq!((system.as_str(), system.manager(), system.unit_name()), ("unit:bot.service", "system", "bot.service"));
        assert_eq!((users.as_str(), users.manager(), users.unit_name()), ("unit:alice/bot.service", "alice", "bot.service"));
        assert_eq!(users.name(), "alice/bot.service");
        let schedule = Subject::schedule(&Manager::User("alice".into()), &unit);
        assert_eq!((schedule.name(), schedule.manager(), schedule.is_schedule()), (users.name(), "alice", true));
        let check = Subject::check(&Manager::System, "services");
        assert_eq!((check.name(), check.full_name(), check.manager()), ("check:services", "check:services", "system"));
        let check = Subject::check(&Manager::User("alice".into()), "services");
        assert_eq!((check.name(), check.manager(), check.is_schedule()), ("check:alice/services", "alice", true));
        assert_eq!((schedule.full_name(), users.full_name()), ("schedule:alice/bot.service", "alice/bot.service"));
    }

    #[test]
    fn a_check_tells_its_parts_whatever_its_instance_is_called() {
        for (instance, shown) in
            [("", ""), ("/var", "/var"), ("/a:b/c", "/a:b/c"), ("/mnt/\u{1b}[31m\n", "/mnt/\\u{1b}[31m\\n"), ("/ä b", "/ä b")]
        {
            let subject = Subject::sensor("storage", instance, "low_disk");
            let name = CheckName { watch: "storage", sensor: "storage", instance: shown, rule: "low_disk" };
            assert_eq!(CheckName::of(&subject), Some(name), "{subject}");
            assert_eq!(name.real_instance(), instance);
            assert_eq!((subject.name(), subject.full_name()), (subject.as_str(), subject.as_str()));
            assert_eq!((subject.manager(), subject.unit_name(), subject.is_users()), ("system", subject.as_str(), false));
        }
        let command = Subject::sensor("command.mailq", "", "failed");
        let name = CheckName { watch: "command.mailq", sensor: "command", instance: "", rule: "failed" };
        assert_eq!((command.as_str(), CheckName::of(&command)), ("check:command.mailq::failed", Some(name)));
        assert!(command.is_sensor() && name.what() == "command.mailq");
        assert_eq!(CheckName::of(&Subject::stored("unit:a.service".into())), None);
    }

    #[test]
    fn long_names_stay_apart() {
        let of = |end: &str| Subject::sensor("storage", &("/".to_owned() + &"x".repeat(1000) + end), "r");
        assert!(of("a").as_str().len() < 330);
        assert_ne!(of("a"), of("b"));
        assert!(Subject::sensor("storage", &"x".repeat(300), "r").as_str().contains(&"x".repeat(300)));
    }

    #[test]
    fn a_check_is_typed_as_it_is_shown_or_as_it_is_called() {
        for (typed, expected) in [
            ("check:storage:/srv/new\\nline:full", Some("check:storage:/srv/new\\nline:full")),
            ("check:storage:/srv/new\nline:full", Some("check:storage:/srv/new\\nline:full")),
            ("check:storage:/srv/back\\slash:full", Some("check:storage:/srv/back\\\\slash:full")),
            ("check:storage:/srv/back\\\\slash:full", Some("check:storage:/srv/back\\\\slash:full")),
            ("check:storage:/srv/a:b c%d\"e'f*:full", Some("check:storage:/srv/a:b c%d\"e'f*:full")),
            ("check:command.mailq::failed", Some("check:command.mailq::failed")),
            ("check:services", Some("check:services")),
            ("check:serv\nices", None),
            ("backup.service", None),
        ] {
            let subject = Subject::typed_check(typed);
            assert_eq!(subject.as_ref().map(Subject::as_str), expected, "{typed}");
        }
    }
}
