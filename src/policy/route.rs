//! Routing: a method takes only what its own settings let it. Nothing is lost by that: what no method takes goes to the journal,
//! and what no method takes at this hour waits for one that will.

use chrono::{DateTime, Utc};

use crate::config::Hours;
use crate::incident::Severity;

/// What a method takes, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these; empty: all.
    pub severities: Vec<Severity>,
    /// Only then; `None`: at any time.
    pub hours: Option<Hours>,
}

impl Filter {
    /// Whether it lets everything pass.
    pub fn is_open(&self) -> bool {
        self.hours.is_none() && [Severity::Info, Severity::Warning, Severity::Critical].into_iter().all(|each| self.takes(each))
    }

    /// Why it does not take an alert of this severity now, in words.
    pub fn refuses(&self, severity: Severity, now: DateTime<Utc>) -> Option<&'static str> {
        if !self.takes(severity) {
            return Some("its `severities` leave this one out");
        }
        (!self.is_on(now)).then_some("it was outside of its `hours`")
    }

    fn takes(&self, severity: Severity) -> bool {
        self.severities.is_empty() || self.severities.contains(&severity)
    }

    fn is_on(&self, now: DateTime<Utc>) -> bool {
        self.hours.as_ref().is_none_or(|hours| hours.until(now).is_some())
    }
}

/// The methods, of these, that an alert of this severity goes to now; none: no method takes such a one at any time.
pub fn route<'m>(methods: &[(&'m str, &Filter)], severity: Severity, now: DateTime<Utc>) -> Vec<&'m str> {
    let names = |those: &dyn Fn(&Filter) -> bool| -> Vec<&'m str> {
        methods.iter().filter(|(_, filter)| filter.takes(severity) && those(filter)).map(|(name, _)| *name).collect()
    };
    let now_on = names(&|filter| filter.is_on(now));
    // what nobody takes now waits for whoever takes it later
    if now_on.is_empty() { names(&|_| true) } else { now_on }
}
