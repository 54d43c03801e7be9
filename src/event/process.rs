//! Processes of the watchdog's database: their names, which anybody who may write there chooses, and what is wrong with them.

use std::fmt;

use super::Problem;

/// A process's name that may become an argument and a part of a unit's name: letters, digits, `_ - . @ +` and inner blanks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessName(String);

/// As the column of the documented table has it.
const LONGEST: usize = 100;
/// What is left of a unit's 255 bytes beside the rest of the names that it becomes part of.
const LONGEST_INSTANCE: usize = 200;
const RESTART: &str = "sysalert-restart@";

impl ProcessName {
    /// The name, if it is one.
    ///
    /// # Errors
    /// What is wrong with it, as the end of "its name ...".
    pub fn parse(text: &str) -> Result<ProcessName, &'static str> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if text.is_empty() {
            return Err("is empty");
        }
        if text.len() > LONGEST || instance(text).len() > LONGEST_INSTANCE {
            return Err("is too long");
        }
        if !text.starts_with(is_word) || text.ends_with(' ') {
            return Err("begins or ends with a character that is not allowed there");
        }
        if !text.chars().all(|c| is_word(c) || "-.@+ ".contains(c)) {
            return Err("has a character other than letters, digits, blanks and _-.@+");
        }
        Ok(ProcessName(text.to_owned()))
    }

    /// The name that stands for this instance of `sysalert-restart@.service`; `None` where none does.
    pub fn of_instance(text: &str) -> Option<ProcessName> {
        let name = ProcessName::parse(&text.replace("\\x20", " ").replace("\\x2b", "+")).ok()?;
        // one name has one instance, and no other text stands for it
        (instance(&name.0) == text).then_some(name)
    }

    /// The unit that restarts it.
    pub fn unit(&self) -> String {
        format!("{RESTART}{}.service", instance(&self.0))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The two characters that a unit's name cannot have, as systemd-escape(1) has them.
fn instance(name: &str) -> String {
    name.replace(' ', "\\x20").replace('+', "\\x2b")
}

/// A row's name for people: itself if it is legal, else bounded, on one line, and told apart by the row.
pub fn shown_name(raw: &str, row: i64) -> String {
    if ProcessName::parse(raw).is_ok() {
        return raw.to_owned();
    }
    let short: String = raw.chars().take(60).collect();
    let dots = if short.len() < raw.len() { "..." } else { "" };
    format!("\"{}{dots}\" (row {row})", short.escape_debug())
}

/// What is wrong with a process, or with the database that tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alarm {
    /// It is in alarm, and a restart is tried.
    Restarts,
    /// It is in alarm, and is not restarted, for this reason.
    Reported(String),
    /// It is in alarm, and is restarted once this other process is not.
    Waits(String),
    /// The restart did not bring it back, for this reason.
    RestartFailed(String),
    /// So many restarts in a row failed: none is tried for a while.
    BreakerOpen(String),
    /// The database does not tell, for this reason.
    Database(String),
    /// The database takes no note of what was restarted, for this reason.
    Unnoted(String),
}

const ALARM: &str = "alarm";
const REPORTED: &str = "alarm-reported";
const WAITS: &str = "alarm-waits";
const RESTART_FAILED: &str = "restart-failed";
const BREAKER_OPEN: &str = "breaker-open";
const DATABASE: &str = "database-unusable";
const UNNOTED: &str = "database-unwritable";

impl Alarm {
    /// The words by which a record knows it.
    pub const RESULTS: [&'static str; 7] = [ALARM, REPORTED, WAITS, RESTART_FAILED, BREAKER_OPEN, DATABASE, UNNOTED];

    /// As a record has it.
    pub fn problem(&self) -> Problem {
        let (result, cause) = match self {
            Alarm::Restarts => (ALARM, None),
            Alarm::Reported(why) => (REPORTED, Some(why)),
            Alarm::Waits(other) => (WAITS, Some(other)),
            Alarm::RestartFailed(why) => (RESTART_FAILED, Some(why)),
            Alarm::BreakerOpen(why) => (BREAKER_OPEN, Some(why)),
            Alarm::Database(why) => (DATABASE, Some(why)),
            Alarm::Unnoted(why) => (UNNOTED, Some(why)),
        };
        Problem { service_result: Some(result.to_owned()), cause: cause.cloned(), ..Problem::default() }
    }

    /// What a record tells.
    pub fn of(problem: &Problem) -> Option<Alarm> {
        let why = problem.cause.clone().unwrap_or_default();
        Some(match problem.service_result.as_deref()? {
            ALARM => Alarm::Restarts,
            REPORTED => Alarm::Reported(why),
            WAITS => Alarm::Waits(why),
            RESTART_FAILED => Alarm::RestartFailed(why),
            BREAKER_OPEN => Alarm::BreakerOpen(why),
            DATABASE => Alarm::Database(why),
            UNNOTED => Alarm::Unnoted(why),
            _ => return None,
        })
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alarm::Restarts => f.write_str("is in alarm; a restart is tried"),
            Alarm::Reported(why) => write!(f, "is in alarm, and is not restarted: {why}"),
            Alarm::Waits(other) => write!(f, "is in alarm; its restart waits for {other}, which is in alarm, too"),
            Alarm::RestartFailed(why) => write!(f, "could not be restarted: {why}"),
            Alarm::BreakerOpen(why) => write!(f, "is not restarted any more: {why}"),
            Alarm::Database(why) => write!(f, "does not tell which processes are in alarm: {why}"),
            Alarm::Unnoted(why) => write!(f, "takes no note of what was restarted: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_argument_and_nothing_else() {
        let legal = ["billing", "cron", "App 2", "g++", "a@b.c", "_x", &"x".repeat(100)].map(str::to_owned);
        for name in legal {
            let parsed = ProcessName::parse(&name).unwrap_or_else(|why| panic!("{name}: {why}"));
            let unit = parsed.unit();
            assert!(unit.parse::<super::super::UnitName>().is_ok(), "{unit}");
            let instance = unit.strip_prefix(RESTART).and_then(|rest| rest.strip_suffix(".service")).unwrap();
            assert_eq!(ProcessName::of_instance(instance), Some(parsed));
        }
        let long = "x".repeat(300);
        let wide = format!("x{}x", " ".repeat(98));
        for name in [
            "",
            " ",
            "x; touch /pwned",
            "$(reboot)",
            "`reboot`",
            "../../bin/sh",
            "%s%n",
            "-.mount",
            "--force",
            ".hidden",
            "a\nb",
            "a\tb",
            "a'b",
            "a\"b",
            "a/b",
            "a:b",
            "ä",
            "a\0b",
            "a ",
            &long,
            &wide,
        ] {
            assert!(ProcessName::parse(name).is_err(), "{name:?}");
            assert_eq!(ProcessName::of_instance(name), None, "{name:?}");
            let shown = shown_name(name, 7);
            assert!(shown.ends_with("(row 7)") && shown.len() < 400 && !shown.contains(char::is_control), "{shown}");
        }
        // not the instance that its own name has
        assert_eq!(ProcessName::of_instance("a b"), None);
    }

    #[test]
    fn a_record_gives_back_what_was_recorded() {
        let why = || "why".to_owned();
        for alarm in [
            Alarm::Restarts,
            Alarm::Reported(why()),
            Alarm::Waits(why()),
            Alarm::RestartFailed(why()),
            Alarm::BreakerOpen(why()),
            Alarm::Database(why()),
            Alarm::Unnoted(why()),
        ] {
            let problem = alarm.problem();
            assert_eq!(Alarm::of(&problem), Some(alarm.clone()));
            assert_eq!(problem.to_string(), alarm.to_string());
            assert!(Alarm::RESULTS.contains(&problem.service_result.as_deref().unwrap()));
        }
    }
}
