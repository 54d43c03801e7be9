//! What a rule of a sensor found: a value beyond its limit, or a sensor that measures nothing any more.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::escape::unescaped;
use super::quantity::Unit;
use super::{Problem, Subject};

/// How a value is compared with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// More than.
    Gt,
    /// As much, or more.
    Gte,
    /// Less than.
    Lt,
    /// As much, or less.
    Lte,
    /// Exactly as much.
    Eq,
    /// Anything else.
    Ne,
}

impl Op {
    /// The words of the configuration.
    pub const WORDS: [&str; 6] = ["gt", "gte", "lt", "lte", "eq", "ne"];
    const ALL: [Op; 6] = [Op::Gt, Op::Gte, Op::Lt, Op::Lte, Op::Eq, Op::Ne];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Op::WORDS[self as usize]
    }

    /// The one of this word.
    pub fn parse(word: &str) -> Option<Op> {
        Op::ALL.into_iter().find(|op| op.as_str() == word)
    }

    /// Whether it holds.
    #[allow(clippy::float_cmp)] // what is asked for is whether they are the same
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Op::Gt => value > limit,
            Op::Gte => value >= limit,
            Op::Lt => value < limit,
            Op::Lte => value <= limit,
            Op::Eq => value == limit,
            Op::Ne => value != limit,
        }
    }

    /// "more than", of a value that is beyond the limit.
    fn beyond(self) -> &'static str {
        match self {
            Op::Gt => "more than",
            Op::Gte => "not below",
            Op::Lt => "less than",
            Op::Lte => "not above",
            Op::Eq => "exactly",
            Op::Ne => "not",
        }
    }
}

/// A value beyond its limit, or one that is back within it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// What was measured.
    pub metric: String,
    /// What it counts.
    pub unit: Unit,
    /// How it is compared.
    pub op: Op,
    /// What it was.
    pub value: f64,
    /// The limit that it crossed: the rule's, or the one from which on it is critical.
    pub limit: f64,
    /// It is over when the value is back here.
    pub clear: f64,
    /// True beyond the limit from which on it is critical.
    #[serde(default)]
    pub critical: bool,
    /// How bad it is: "info", "warning", "critical".
    pub severity: String,
    /// Of a count of events that is none again: what that says, since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<String>,
    /// More for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// Commands to look further.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

/// A sensor that failed again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// What it said, a sentence.
    pub why: String,
    /// How often in a row.
    pub times: u32,
}

/// What is wrong with a subject that is a check.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// A value is beyond its limit.
    Breach(Breach),
    /// Nothing was measured.
    Blind(Blind),
}

/// The sensor whose checks are somebody else's programs.
const COMMAND: &str = "command";
const LIMIT: &str = "limit";
const CRITICAL: &str = "critical-limit";
const BLIND: &str = "not-measured";

/// The words by which a record knows them.
pub(super) const RESULTS: [&str; 3] = [LIMIT, CRITICAL, BLIND];

impl Breach {
    /// As a record has it.
    pub fn problem(&self) -> Problem {
        let result = if self.critical { CRITICAL } else { LIMIT };
        Problem { service_result: Some(result.to_owned()), cause: serde_json::to_string(self).ok(), ..Problem::default() }
    }

    /// The same once it is over.
    pub fn recovery(&self) -> Problem {
        Problem { service_result: Some("success".to_owned()), ..self.problem() }
    }

    /// What a record tells, of a failure or of a recovery.
    pub fn of(problem: &Problem) -> Option<Breach> {
        serde_json::from_str(problem.cause.as_deref()?).ok()
    }

    /// "bytes_used_percent is 80.0 %".
    pub fn now(&self) -> String {
        format!("{} is {}", self.metric, self.unit.show(self.value))
    }

    /// The same of what is over: "bytes_used_percent is 80.0 %"; of what was so, "no longer turned read only".
    pub fn well(&self) -> String {
        match self.unit {
            Unit::Flag if self.value == 0.0 => format!("no longer {}", self.metric.replace('_', " ")),
            _ => self.now(),
        }
    }

    /// "bytes_used_percent is 95.0 %, more than 90 %"; of what is so or is not, that: "turned read only".
    pub fn words(&self) -> String {
        match self.unit {
            Unit::Flag if self.value == 1.0 => self.metric.replace('_', " "),
            Unit::Flag => self.now(),
            _ => format!("{}, {}", self.now(), self.beyond()),
        }
    }

    /// What the program said first of how it is, of a check of somebody else's: those words say more than its exit status, and nothing
    /// of a rule about its figures. Hostile.
    pub fn said(&self, subject: &Subject) -> Option<&str> {
        let words = self.details.first().filter(|_| matches!(self.metric.as_str(), "status" | "status_severity"))?;
        CheckName::of(subject).is_some_and(|name| name.sensor == COMMAND).then_some(words)
    }

    /// "more than 90 %".
    fn beyond(&self) -> String {
        format!("{} {}", self.op.beyond(), self.unit.show_limit(self.limit))
    }
}

impl Blind {
    /// As a record has it.
    pub fn problem(&self) -> Problem {
        Problem { service_result: Some(BLIND.to_owned()), cause: serde_json::to_string(self).ok(), ..Problem::default() }
    }
}

impl Finding {
    /// What a record of a failure tells.
    pub fn of(problem: &Problem) -> Option<Finding> {
        match problem.service_result.as_deref()? {
            LIMIT | CRITICAL => Breach::of(problem).map(Finding::Breach),
            BLIND => serde_json::from_str(problem.cause.as_deref()?).ok().map(Finding::Blind),
            _ => None,
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> &str {
        match self {
            Finding::Breach(breach) => &breach.severity,
            Finding::Blind(_) => "warning",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Breach(breach) => f.write_str(&breach.words()),
            Finding::Blind(blind) => write!(f, "not measured {} times in a row: {}", blind.times, blind.why),
        }
    }
}

/// A check's name in parts: `storage`, `/var`, `low_disk` of `check:storage:/var:low_disk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckName<'a> {
    /// As it stands in the configuration: "storage", "command.mailq".
    pub watch: &'a str,
    /// The sensor: "storage", "command".
    pub sensor: &'a str,
    /// Of what, escaped; "" where there is one.
    pub instance: &'a str,
    /// The rule.
    pub rule: &'a str,
}

impl<'a> CheckName<'a> {
    /// The parts of a subject that is a check.
    pub fn of(subject: &'a Subject) -> Option<CheckName<'a>> {
        let (watch, rest) = subject.as_str().strip_prefix(super::CHECK)?.split_once(':')?;
        // an instance may have any character
        let (instance, rule) = rest.rsplit_once(':')?;
        Some(CheckName { watch, sensor: watch.split('.').next().unwrap_or(watch), instance, rule })
    }

    /// What the instance is really called.
    pub fn real_instance(&self) -> String {
        unescaped(self.instance).unwrap_or_else(|| self.instance.to_owned())
    }

    /// Whether a person who writes this means what it is about: the instance as it is shown, or as it is called.
    pub fn is_about(&self, typed: &str) -> bool {
        let instance = typed.strip_prefix(self.watch).map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
        instance.is_some_and(|instance| instance == self.instance || instance == self.real_instance())
    }

    /// "storage /var", "cpu", "command.mailq".
    pub fn what(&self) -> String {
        if self.instance.is_empty() { self.watch.to_owned() } else { format!("{} {}", self.watch, self.instance) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breach(critical: bool) -> Breach {
        Breach {
            metric: "bytes_used_percent".into(),
            unit: Unit::Percent,
            op: Op::Gt,
            value: 95.04,
            limit: 90.0,
            clear: 85.0,
            critical,
            severity: "warning".into(),
            none: None,
            details: vec!["a <b>".into()],
            commands: vec!["df -h".into()],
        }
    }

    #[test]
    fn a_record_gives_back_what_was_recorded() {
        for critical in [false, true] {
            let finding = Finding::Breach(breach(critical));
            let problem = breach(critical).problem();
            assert_eq!(Finding::of(&problem), Some(finding.clone()));
            assert_eq!(problem.to_string(), "bytes_used_percent is 95.0 %, more than 90 %");
            assert!(RESULTS.contains(&problem.service_result.as_deref().unwrap()));
            assert_eq!(Breach::of(&breach(critical).recovery()), Some(breach(critical)));
            assert!(breach(critical).recovery().is_success());
        }
        let blind = Blind { why: "/proc/stat is empty".into(), times: 3 };
        assert_eq!(blind.problem().to_string(), "not measured 3 times in a row: /proc/stat is empty");
        assert_eq!(Finding::of(&blind.problem()), Some(Finding::Blind(blind)));
        for cause in [None, Some("{}".to_owned()), Some("<b>".to_owned())] {
            let problem = Problem { service_result: Some(LIMIT.into()), cause, ..Problem::default() };
            assert_eq!(Finding::of(&problem), None);
        }
    }

    #[test]
    fn worse_is_another_problem_and_more_is_not() {
        let more = Breach { value: 96.0, ..breach(false) };
        assert!(breach(false).problem().is_same(&more.problem()));
        assert!(!breach(false).problem().is_same(&breach(true).problem()));
    }

    #[test]
    fn values_are_compared_as_rules_say() {
        for (op, holds) in [
            (Op::Gt, [false, false, true]),
            (Op::Gte, [false, true, true]),
            (Op::Lt, [true, false, false]),
            (Op::Lte, [true, true, false]),
            (Op::Eq, [false, true, false]),
            (Op::Ne, [true, false, true]),
        ] {
            assert_eq!([1.0, 2.0, 3.0].map(|value| op.holds(value, 2.0)), holds, "{op:?}");
            assert_eq!(Op::parse(op.as_str()), Some(op));
        }
    }

    #[test]
    fn what_is_so_or_is_not_is_said_without_figures() {
        let flag = |value| Breach { metric: "turned_read_only".into(), unit: Unit::Flag, op: Op::Eq, value, ..breach(false) };
        assert_eq!(flag(1.0).words(), "turned read only");
        assert_eq!(flag(0.0).words(), "turned_read_only is no");
        assert_eq!(flag(0.0).well(), "no longer turned read only");
        assert_eq!(breach(false).words(), "bytes_used_percent is 95.0 %, more than 90 %");
    }
}
