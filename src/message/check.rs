//! The message about a rule of a sensor: what is how much, since when, and when it is over.

use sysalert_abi::Kind;

use super::compose::{Report, capitalized, late_by, span};
use super::{Banner, Letter, Tone, safe, visible};
use crate::event::{Blind, Breach, CheckName, Finding, Unit, local_time, shell, times};
use crate::incident::Severity;

/// The message about one.
pub(super) fn compose(report: &Report<'_>) -> Letter {
    let name =
        CheckName::of(&report.event.subject).unwrap_or(CheckName { watch: "check", sensor: "check", instance: "", rule: "" });
    let (of, host) = (format!("{} on {}", name.what(), report.host), report.host);
    let was = report.failures.last().and_then(|(_, problem)| problem.finding());
    let words = match (report.event.problem.finding(), report.kind) {
        (_, Kind::Recovery) => recovered(report, &name, &of, was),
        (Some(Finding::Breach(breach)), _) => breached(report, &of, &breach),
        (Some(Finding::Blind(blind)), _) => blinded(report, &name, &blind),
        (None, _) => Words::unknown(report, &of),
    };
    let severity = report.incident.severity;
    Letter {
        subject: words.subject,
        banner: Banner { status: format!("{} on {host}", words.status), title: name.what(), what: capitalized(&words.what) },
        lead: words.lead,
        facts: facts(report, words.facts),
        lists: if words.details.is_empty() { Vec::new() } else { vec![("What was seen", words.details)] },
        commands: commands(report, &name, words.commands),
        tone: match report.kind {
            Kind::Recovery if report.event.problem.why_instance_gone().is_some() => Tone::Neutral,
            Kind::Recovery => Tone::Well,
            _ if severity < Severity::Warning => Tone::Neutral,
            _ => Tone::Trouble,
        },
        ..Letter::default()
    }
}

/// What is said of it.
#[derive(Default)]
struct Words {
    status: &'static str,
    subject: String,
    what: String,
    lead: String,
    facts: Vec<(&'static str, String)>,
    details: Vec<String>,
    commands: Vec<String>,
}

impl Words {
    /// What no record tells any more.
    fn unknown(report: &Report<'_>, of: &str) -> Words {
        let what = report.event.problem.to_string();
        Words { status: "Check", subject: format!("{of}: {what}"), lead: format!("{of}: {what}."), what, ..Words::default() }
    }
}

fn breached(report: &Report<'_>, of: &str, breach: &Breach) -> Words {
    let said = breach.said(&report.event.subject);
    let what = said.map_or_else(|| breach.words(), safe);
    let clear = breach.unit.show_limit(breach.clear);
    let lasts = report.again.map(|again| span(again.at - report.incident.first_failure));
    let (status, how) = match (breach.critical, &lasts) {
        (_, Some(lasts)) => ("Still so", format!(", for {lasts}")),
        (true, None) => ("Critical", " is critical".to_owned()),
        (false, None) => (heading(report.incident.severity), String::new()),
    };
    // of a program that said it in words, its status tells no more, and what is so has no limit
    let is_figure = said.is_none() && breach.unit != Unit::Flag;
    let figure = |name, figure: String| is_figure.then_some((name, figure));
    let mut facts: Vec<_> = figure("Value", breach.unit.show(breach.value)).into_iter().collect();
    facts.extend(report.context.measured.clone().map(|measured| ("By now", measured)));
    let unmeasured = report.context.unmeasured.as_ref().map(|(since, why)| (local_time(*since), safe(why)));
    facts.extend(unmeasured.as_ref().map(|(since, why)| ("By now", format!("no data since {since}: {why}"))));
    facts.extend(figure("Limit", breach.unit.show_limit(breach.limit)));
    facts.extend(figure("Over at", clear));
    let lead = match report.again {
        Some(again) => {
            let nobody = match again.nobody_within {
                Some(within) => {
                    format!("Nobody has acknowledged it within {}, and so you are told as well.", super::compose::short(within))
                }
                None => "Nobody has acknowledged it.".to_owned(),
            };
            match &unmeasured {
                // whether it is still so nobody knows
                Some((since, why)) => format!("{of}: no data since {since}: {why}. Reported last: {what}. {nobody}"),
                None => format!("{of}: {what}. It has been so for {}. {nobody}", lasts.unwrap_or_default()),
            }
        }
        None => format!("{of}{how}: {what}."),
    };
    let (status, subject) = match &unmeasured {
        Some((since, _)) => ("No data any more", format!("{of}: no data since {since}; reported last: {what}")),
        None => (status, format!("{of}{how}: {what}")),
    };
    Words {
        status,
        subject,
        what,
        lead,
        facts,
        details: breach.details.iter().map(|line| safe(line)).collect(),
        commands: breach.commands.clone(),
    }
}

fn blinded(report: &Report<'_>, name: &CheckName<'_>, blind: &Blind) -> Words {
    let why = visible(blind.why.as_bytes());
    let what = format!("measures nothing: {why}");
    let sensor = format!("the sensor {} on {}", name.what(), report.host);
    let still = if report.again.is_some() { "still " } else { "" };
    let lead = format!(
        "The sensor {} on {} {still}{what}. It failed {} times in a row; until it works again its rules notice nothing.",
        name.what(),
        report.host,
        blind.times
    );
    Words { status: "Not measured", subject: format!("{sensor} {still}{what}"), what, lead, ..Words::default() }
}

fn recovered(report: &Report<'_>, name: &CheckName<'_>, of: &str, was: Option<Finding>) -> Words {
    let lasted = span(report.event.at - report.incident.first_failure);
    if let Some(why) = report.event.problem.why_instance_gone() {
        let why = safe(why);
        let was = was.map_or_else(String::new, |was| format!(" Reported last: {was}."));
        let lead = format!("{of} is gone: {why}. With that its incident ends; whether it is well nobody knows.{was}");
        let what = why.split("; ").next().unwrap_or_default().to_owned();
        let facts = vec![("Lasted", lasted)];
        return Words { status: "Gone", subject: format!("{of} is gone: {what}"), what, lead, facts, ..Words::default() };
    }
    let (subject, lead, what, facts) = match (Breach::of(&report.event.problem), was) {
        (Some(now), was) => {
            let subject = &report.event.subject;
            let was = match was {
                Some(Finding::Breach(was)) => format!(" Reported last: {}.", was.said(subject).map_or_else(|| was.words(), safe)),
                _ => String::new(),
            };
            if let Some(none) = now.none {
                let (subject, lead) = (format!("{of}: {none}"), format!("{of}: {none}.{was}"));
                return Words {
                    status: "Quiet again",
                    subject,
                    what: none,
                    lead,
                    facts: vec![("Lasted", lasted)],
                    ..Words::default()
                };
            }
            let said = now.said(subject);
            let is = said.map_or_else(|| now.well(), safe);
            let figures = [("Value", now.unit.show(now.value)), ("Over at", now.unit.show_limit(now.clear))];
            let facts = figures.into_iter().filter(|_| said.is_none() && now.unit != Unit::Flag).collect();
            (format!("{of} is well again: {is}"), format!("{of} is well again: {is}.{was}"), is, facts)
        }
        (None, Some(Finding::Blind(blind))) => {
            let why = visible(blind.why.as_bytes());
            let subject = format!("the sensor {} on {} measures again", name.what(), report.host);
            let lead = format!("The sensor {} on {} measures again. It failed: {why}.", name.what(), report.host);
            (subject, lead, "Measures again".to_owned(), Vec::new())
        }
        (None, _) => (format!("{of} is well again"), format!("{of} is well again."), String::new(), Vec::new()),
    };
    let facts = facts.into_iter().chain([("Lasted", lasted)]).collect();
    Words { status: "Well again", subject, what, lead, facts, ..Words::default() }
}

/// A warning is no failure.
fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Note",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
    }
}

fn facts(report: &Report<'_>, own: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    let Report { event, incident, .. } = report;
    let mut facts = Vec::new();
    facts.extend(report.late.as_ref().map(|late| ("Late", late_by(late, report.again.is_some()))));
    facts.push(("Host", report.host.to_owned()));
    facts.push(("Check", event.subject.name().to_owned()));
    facts.push(("Measured", local_time(event.at)));
    facts.extend(own);
    if report.kind == Kind::Recovery || incident.first_failure < event.at {
        facts.push(("Since", local_time(incident.first_failure)));
    }
    if report.kind != Kind::Recovery {
        facts.push(("Severity", incident.severity.as_str().to_owned()));
    }
    facts.extend(report.again.map(|again| ("Told before", times(again.told))));
    facts.extend(report.why.map(|why| ("Why now", why.to_owned())));
    facts
}

/// Where to look further.
fn commands(report: &Report<'_>, name: &CheckName<'_>, own: Vec<String>) -> Vec<String> {
    let check = shell(report.event.subject.name());
    let instance = shell(&name.real_instance());
    let mut commands: Vec<String> = own.iter().map(|command| command.replace("{}", &instance)).collect();
    commands.push("sysalert check sensors".to_owned());
    commands.push(format!("sysalert explain {check}"));
    if report.acknowledge && report.kind != Kind::Recovery {
        commands.push(format!("sysalert ack {check}"));
    }
    commands
}
