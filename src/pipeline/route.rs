//! To which methods an alert goes.

use chrono::{DateTime, Utc};

use crate::incident::{Incident, Severity};
use crate::policy::{self, Filter, Rules};
use crate::settings::{JOURNAL, Settings};
use crate::store::{self, Database};

/// Those of these methods that take an alert of this severity now; the journal, when none of them ever does.
pub(super) fn to(settings: &Settings, methods: &[String], severity: Severity, now: DateTime<Utc>) -> Vec<String> {
    let open = Filter::default();
    let filter = |name: &String| settings.methods.get(name).map_or(&open, |method| &method.filter);
    let filters: Vec<(&str, &Filter)> = methods.iter().map(|name| (name.as_str(), filter(name))).collect();
    let routed = policy::route(&filters, severity, now);
    if routed.is_empty() { vec![JOURNAL.to_owned()] } else { routed.into_iter().map(str::to_owned).collect() }
}

/// Those that a recovery goes to: whoever takes everything, and whoever was told of the incident.
pub(super) fn back(
    db: &Database,
    settings: &Settings,
    rules: &Rules,
    incident: &Incident,
    now: DateTime<Utc>,
) -> store::Answer<Vec<String>> {
    let is_open = |name: &&String| settings.methods.get(*name).is_none_or(|method| method.filter.is_open());
    let mut methods: Vec<String> = rules.methods.iter().filter(is_open).cloned().collect();
    if methods.len() < rules.methods.len() || !rules.escalate_to.is_empty() {
        let told = store::told_by(db, incident.id)?;
        let others = rules.methods.iter().chain(&rules.escalate_to).map(String::as_str).chain([JOURNAL]);
        let others: Vec<&str> = others.filter(|name| told.iter().any(|told| told == name)).collect();
        methods.extend(others.into_iter().map(str::to_owned));
        methods.sort();
        methods.dedup();
    }
    Ok(if methods.is_empty() { to(settings, &rules.methods, incident.severity, now) } else { methods })
}
