//! From a request to the alerts that Alertmanager wants: one for each incident. Pure: the time is an argument.
//!
//! An alert is what its labels are (<https://prometheus.io/docs/alerting/latest/clients/>): they name the unit and hold
//! nothing that changes while the incident lasts, such as an exit status. What changes stands in the annotations.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sysalert_abi::{Failure, Incident, Kind, Matter, Parts, Request, characters, fit, shorten};

use crate::settings::Settings;

/// After so many `resend`s without a word an alert ends by itself. Few enough that an alert of a host that is gone does not
/// stay for ever; enough that a reboot does not end it, which would be told as a recovery, and as a new failure afterwards.
const SILENCES: u32 = 10;
/// A test is over by itself after this time.
const TEST: Duration = Duration::from_secs(5 * 60);
/// What is told about sysalert itself comes once, and has an end of its own; this is for the case that it gets lost.
const OWN: Duration = Duration::from_secs(24 * 3600);
/// The description is cut to so many characters, the end of the log kept: Alertmanager hands it on to channels that show less.
const LONGEST: usize = 4000;

/// What there is to say about one incident.
struct About<'a> {
    kind: Kind,
    unit: &'a str,
    incident: &'a Incident,
    failure: Option<&'a Failure>,
    parts: &'a Parts,
}

/// The alerts of a request.
pub(crate) fn alerts(request: &Request, settings: &Settings, now: SystemTime) -> Vec<Value> {
    let alert = |about: &About<'_>| of_incident(about, request, settings, now);
    match &request.incident {
        Some(incident) => vec![alert(&About {
            kind: request.kind,
            unit: &request.service_name,
            incident,
            failure: request.failures.last(),
            parts: &request.message.parts,
        })],
        None if !request.incidents.is_empty() => {
            let each = request.incidents.iter().map(|member| About {
                kind: member.kind,
                unit: &member.service_name,
                incident: &member.incident,
                failure: member.failure.as_ref(),
                parts: &member.parts,
            });
            each.map(|about| alert(&about)).collect()
        }
        None => vec![of_sysalert(request, settings, now)],
    }
}

/// Whether Alertmanager must hear of this again while it lasts.
pub(crate) fn is_open(request: &Request) -> bool {
    let kinds = request.incident.iter().map(|_| request.kind).chain(request.incidents.iter().map(|member| member.kind));
    kinds.into_iter().any(|kind| kind != Kind::Recovery)
}

/// Whether this is about incidents, and not about sysalert itself.
pub(crate) fn is_of_incidents(request: &Request) -> bool {
    request.incident.is_some() || !request.incidents.is_empty()
}

fn of_incident(about: &About<'_>, request: &Request, settings: &Settings, now: SystemTime) -> Value {
    let About { kind, unit, incident, parts, .. } = about;
    let labels = [
        ("alertname", "SystemdUnitFailed"),
        ("instance", &request.host),
        ("unit", unit),
        ("manager", &incident.manager),
        ("severity", &incident.severity),
    ];
    let begins = time(&incident.first_failure).unwrap_or(now);
    let ends = match kind {
        // an alert that ends before it begins is refused
        Kind::Recovery => incident.ended.as_deref().and_then(time).unwrap_or(now).max(begins),
        _ => now + settings.resend * SILENCES,
    };
    let mut annotations = vec![
        ("summary", summary(parts, request)),
        ("description", description(parts)),
        ("failures", incident.failures.to_string()),
        ("commands", parts.commands.join("\n")),
        ("runbook_url", parts.see.iter().find(|link| link.starts_with("http")).cloned().unwrap_or_default()),
    ];
    if let Some(failure) = about.failure {
        annotations.push(("result", failure.words().unwrap_or_default()));
        annotations.push(("invocation", failure.invocation_id.clone().unwrap_or_default()));
    }
    alert(&labels, annotations, (begins, ends), settings)
}

/// A test, or what is told about sysalert itself.
fn of_sysalert(request: &Request, settings: &Settings, now: SystemTime) -> Value {
    let ends = if request.kind == Kind::Recovery { now } else { now + OWN };
    // critical, as the methods that page see it; the same in units/prometheus-rules.yml
    let (name, method, severity, ends) = match &request.matter {
        Some(Matter::Method { name }) => ("SysalertMethodFails", Some(name), "critical", ends),
        Some(Matter::Database) => ("SysalertDatabaseDamaged", None, "critical", ends),
        None if request.kind == Kind::Test => ("SysalertTest", None, "info", now + TEST),
        None => ("SysalertInTrouble", None, "critical", ends),
    };
    let mut labels = vec![("alertname", name), ("instance", &*request.host), ("severity", severity)];
    // two methods that fail are two alerts, and the one that works again ends its own
    labels.extend(method.map(|method| ("method", method.as_str())));
    let parts = &request.message.parts;
    let annotations = vec![("summary", summary(parts, request)), ("commands", parts.commands.join("\n"))];
    alert(&labels, annotations, (now, ends), settings)
}

fn alert(
    own: &[(&str, &str)],
    annotations: Vec<(&str, String)>,
    (begins, ends): (SystemTime, SystemTime),
    settings: &Settings,
) -> Value {
    let own = own.iter().map(|(name, value)| (*name, *value));
    let more = settings.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels: BTreeMap<&str, &str> = own.chain(more).collect();
    let annotations: BTreeMap<&str, String> = annotations.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    let mut alert = json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": humantime::format_rfc3339_micros(begins).to_string(),
        "endsAt": humantime::format_rfc3339_micros(ends).to_string(),
    });
    if let Some(url) = &settings.generator_url {
        alert["generatorURL"] = json!(url);
    }
    alert
}

/// What happened, in a sentence: not the subject, which a template may make of what changes.
fn summary(parts: &Parts, request: &Request) -> String {
    shorten(if parts.lead.is_empty() { &request.message.subject } else { &parts.lead }, LONGEST / 8, characters)
}

/// The run's last lines, and what is wrong with them; then the failures.
fn description(parts: &Parts) -> String {
    let mut blocks = Vec::new();
    if !parts.excerpt.is_empty() {
        blocks.push(format!("{}:\n{}", parts.excerpt_title, parts.excerpt.join("\n")));
    }
    blocks.extend((!parts.note.is_empty()).then(|| parts.note.clone()));
    blocks.extend(parts.lists.iter().map(|list| format!("{}:\n{}", list.title, list.lines.join("\n"))));
    fit(&blocks.join("\n\n"), &parts.excerpt.join("\n"), LONGEST, characters)
}

fn time(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}
