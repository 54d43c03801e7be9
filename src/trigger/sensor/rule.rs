//! Rules: what a measured value means. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use wildmatch::WildMatch;

use super::Reading;
use crate::event::{Op, Unit};
use crate::incident::Severity;

/// A rule, with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// The instances it is for, a glob: "*".
    pub instances: String,
    /// What it looks at.
    pub metric: String,
    /// What that counts.
    pub unit: Unit,
    /// How it compares.
    pub op: Op,
    /// The limit.
    pub value: f64,
    /// It is over when the value is back here.
    pub clear: f64,
    /// From here on it is critical, and told again.
    pub critical: Option<f64>,
    /// So many runs in a row.
    pub consecutive: u32,
    /// How bad it is.
    pub severity: Severity,
    /// False: for these instances there is no rule of this name.
    pub enabled: bool,
}

/// What a rule says about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Beyond the limit.
    Violated {
        /// Beyond the one from which on it is critical.
        critical: bool,
    },
    /// Between the limit and where it is over.
    Held,
    /// As it should be.
    Fine,
    /// There was no value.
    Missing,
}

impl Rule {
    /// Judges the value of one instance.
    pub fn judge(&self, value: Option<f64>) -> Judgement {
        let Some(value) = value.filter(|value| value.is_finite()) else { return Judgement::Missing };
        if self.op.holds(value, self.value) {
            Judgement::Violated { critical: self.critical.is_some_and(|limit| self.op.holds(value, limit)) }
        } else if self.is_held(value) {
            Judgement::Held
        } else {
            Judgement::Fine
        }
    }

    /// Whether a value within the limit is still on its side of `clear`.
    fn is_held(&self, value: f64) -> bool {
        match self.op {
            Op::Gt | Op::Gte => value > self.clear,
            Op::Lt | Op::Lte => value < self.clear,
            Op::Eq | Op::Ne => false,
        }
    }

    /// How bad it is, beyond this limit.
    pub fn severity(&self, critical: bool) -> Severity {
        if critical { Severity::Critical } else { self.severity }
    }

    /// "bytes_used_percent gt 90 %".
    pub fn words(&self) -> String {
        format!("{} {} {}", self.metric, self.op.as_str(), self.unit.show_limit(self.value))
    }

    /// Counts in the unit of what was measured, where neither the sensor nor the rule itself says one.
    pub fn count_in(&mut self, units: &BTreeMap<String, Unit>) {
        if let Some(unit) = units.get(&self.metric).filter(|_| self.unit == Unit::Number) {
            self.unit = *unit;
        }
    }

    /// All that it judges by: a rule that says something else is another one.
    pub fn print(&self) -> String {
        let Rule { name, instances, metric, unit, op, value, clear, critical, consecutive, severity: _, enabled: _ } = self;
        format!("{name} {instances}: {metric} {} {value} {clear} {critical:?} {} x{consecutive}", op.as_str(), unit.name())
    }

    /// How far beyond the limit a value is, from 0 to 1: of the way from the limit to the worst there is. Where nothing is the
    /// worst, twice the limit is (or half of it, where less is worse).
    pub fn badness(&self, value: f64) -> f64 {
        let worst = match (self.op, self.unit) {
            (Op::Gt | Op::Gte, Unit::Percent) if self.value < 100.0 => 100.0,
            (Op::Lt | Op::Lte, Unit::Percent | Unit::Bytes) => 0.0,
            (Op::Gt | Op::Gte, _) => self.value * 2.0,
            (Op::Lt | Op::Lte, _) => self.value / 2.0,
            // it is, or is not
            (Op::Eq | Op::Ne, _) => return 1.0,
        };
        let way = worst - self.value;
        // without a way there is nothing between good and bad
        if way == 0.0 { 1.0 } else { ((value - self.value) / way).clamp(0.0, 1.0) }
    }
}

/// The rules for an instance: of those with the same name the one whose glob is the most specific.
pub fn for_instance<'r>(rules: &'r [Rule], instance: &str) -> Vec<&'r Rule> {
    let mut found: Vec<&Rule> = Vec::new();
    for rule in rules.iter().filter(|rule| WildMatch::new(&rule.instances).matches(instance)) {
        match found.iter_mut().find(|other| other.name == rule.name) {
            Some(other) if specific(&rule.instances) > specific(&other.instances) => *other = rule,
            Some(_) => {}
            None => found.push(rule),
        }
    }
    found.retain(|rule| rule.enabled);
    found
}

/// A name before a glob, and of globs the one with more letters, then with fewer `*`. What is alike in all that is told apart by
/// its letters, so that the order in which rules stand decides nothing.
fn specific(glob: &str) -> (bool, usize, Reverse<usize>, Reverse<&str>) {
    let (stars, marks) = (glob.matches('*').count(), glob.matches('?').count());
    (stars + marks == 0, glob.chars().count() - stars - marks, Reverse(stars), Reverse(glob))
}

/// The value of a metric of this instance.
pub fn value_of(readings: &[Reading], instance: &str, metric: &str) -> Option<f64> {
    let reading = readings.iter().find(|reading| reading.instance == instance && reading.metric == metric);
    reading.map(|reading| reading.value).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(op: Op, value: f64, clear: f64) -> Rule {
        Rule {
            name: "r".into(),
            instances: "*".into(),
            metric: "m".into(),
            unit: Unit::Percent,
            op,
            value,
            clear,
            critical: None,
            consecutive: 1,
            severity: Severity::Warning,
            enabled: true,
        }
    }

    #[test]
    fn between_value_and_clear_it_stays_as_it_is() {
        use Judgement::{Fine, Held, Missing};
        let bad = |critical| Judgement::Violated { critical };
        let high = Rule { critical: Some(97.0), ..rule(Op::Gt, 90.0, 85.0) };
        let low = Rule { critical: Some(1.0), ..rule(Op::Lt, 5.0, 10.0) };
        for (rule, value, expected) in [
            (&high, 97.1, bad(true)),
            (&high, 97.0, bad(false)),
            (&high, 90.1, bad(false)),
            (&high, 90.0, Held),
            (&high, 85.1, Held),
            (&high, 85.0, Fine),
            (&low, 0.5, bad(true)),
            (&low, 4.9, bad(false)),
            (&low, 5.0, Held),
            (&low, 10.0, Fine),
            (&rule(Op::Gt, 0.0, 0.0), 0.0, Fine),
            (&rule(Op::Ne, 0.0, 0.0), 1.0, bad(false)),
            (&rule(Op::Ne, 0.0, 0.0), 0.0, Fine),
        ] {
            assert_eq!(rule.judge(Some(value)), expected, "{value}: {}", rule.words());
        }
        assert_eq!(high.judge(None), Missing);
        assert_eq!(high.judge(Some(f64::NAN)), Missing);
    }

    #[test]
    fn how_bad_is_how_far_on_the_way_to_the_worst() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} instead of {b}");
        near(rule(Op::Gt, 90.0, 90.0).badness(99.0), 0.9);
        near(rule(Op::Gt, 90.0, 90.0).badness(90.0), 0.0);
        near(rule(Op::Lt, 10.0, 10.0).badness(2.5), 0.75);
        let count = Rule { unit: Unit::Count, ..rule(Op::Gt, 0.0, 0.0) };
        near(count.badness(1.0), 1.0);
        let load = Rule { unit: Unit::Number, ..rule(Op::Gt, 8.0, 8.0) };
        near(load.badness(10.0), 0.25);
        near(load.badness(100.0), 1.0);
        near(rule(Op::Ne, 0.0, 0.0).badness(3.0), 1.0);
    }

    #[test]
    fn the_most_specific_rule_of_a_name_is_for_an_instance() {
        let of =
            |name: &str, instances: &str| Rule { name: name.into(), instances: instances.into(), ..rule(Op::Gt, 90.0, 90.0) };
        let off = Rule { enabled: false, ..of("a", "/tmp/*") };
        let rules = [of("a", "*"), off, of("a", "/var*"), of("a", "/var"), of("b", "/srv")];
        let chosen = |instance| for_instance(&rules, instance).iter().map(|rule| rule.instances.as_str()).collect::<Vec<_>>();
        assert_eq!(chosen("/var"), ["/var"]);
        assert_eq!(chosen("/var/log"), ["/var*"]);
        assert_eq!(chosen("/srv"), ["*", "/srv"]);
        assert!(chosen("/tmp/x").is_empty(), "the most specific one says that there is none");
    }
}
