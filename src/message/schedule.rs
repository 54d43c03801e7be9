//! The message about a schedule: no run failed, so there are no lines, but there is when it last ran and will run next.

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::Kind;

use super::commands::quoted;
use super::compose::{Report, capitalized, late_by, span};
use super::{Banner, Letter, Tone};
use crate::event::{Lapse, Subject, local_time, shell, times};
use crate::incident::Severity;

/// The message about one.
pub(super) fn compose(report: &Report<'_>) -> Letter {
    let (event, incident, host) = (report.event, report.incident, report.host);
    let name = event.subject.name();
    let recovered = report.kind == Kind::Recovery;
    let was = report.failures.last().and_then(|(_, problem)| problem.lapse());
    let lapse = event.problem.lapse().filter(|_| !recovered);
    let what = lapse.as_ref().map_or_else(|| event.problem.to_string(), ToString::to_string);
    let still = if report.again.is_some() { "still " } else { "" };
    let (status, subject, lead, tone) = if recovered {
        let reported = was.as_ref().map(|was| format!(" It was reported that it {was}.")).unwrap_or_default();
        let well = was.as_ref().map_or("is well again", well);
        ("Well again", format!("{name} on {host} {well}"), format!("{name} on {host} {well}.{reported}"), Tone::Well)
    } else {
        let why = lapse.as_ref().map(|lapse| explained(lapse, &event.subject)).unwrap_or_default();
        ("Schedule", format!("{name} on {host} {still}{what}"), format!("{name} on {host} {still}{what}.{why}"), Tone::Trouble)
    };
    Letter {
        subject,
        banner: Banner {
            status: format!("{status} on {host}"),
            title: name.to_owned(),
            what: if recovered { String::new() } else { capitalized(&what) },
        },
        lead,
        facts: facts(report, recovered),
        lists: match report.context.excerpt.as_slice() {
            [] => Vec::new(),
            lines => vec![("What systemd says about its file", lines.to_vec())],
        },
        commands: commands(report, lapse.as_ref()),
        tone: if !recovered && incident.severity < Severity::Warning { Tone::Neutral } else { tone },
        ..Letter::default()
    }
}

/// What is true again.
fn well(was: &Lapse) -> &'static str {
    match was {
        Lapse::Overdue { .. } => "has succeeded again",
        Lapse::NotRun { .. } => "has run again",
        Lapse::Inactive(_) | Lapse::Elapsed => "has a next run again",
        Lapse::Disabled => "is enabled again",
        Lapse::NotLoaded(_) => "loads again",
        Lapse::NotFound { .. } => "is no longer missing",
        Lapse::Blind { .. } => "can look again",
        Lapse::Nothing { .. } => "can start its unit again",
    }
}

/// What a reader at night asks next.
fn explained(lapse: &Lapse, subject: &Subject) -> String {
    match lapse {
        Lapse::Overdue { .. } => " Time in which the host was off or asleep is not counted.".to_owned(),
        Lapse::NotRun { .. } => " The host was up at that time.".to_owned(),
        Lapse::NotFound { .. } => " `expect_success` is set for it, and no success of it is known.".to_owned(),
        Lapse::Blind { .. } => {
            " Until it can, nobody notices a service that hangs or ended by itself, or a job that no longer runs.".to_owned()
        }
        Lapse::Elapsed => " It is active, but will never start anything.".to_owned(),
        lapse if lapse.is_by_hand() => format!(
            " If that was meant, nothing is to be done: it is said once, and `sysalert db clear {}` forgets it.",
            quoted(subject.full_name())
        ),
        _ => String::new(),
    }
}

fn facts(report: &Report<'_>, recovered: bool) -> Vec<(&'static str, String)> {
    let Report { event, incident, context, .. } = report;
    let first = incident.first_failure;
    let mut facts = Vec::new();
    facts.extend(report.late.as_ref().map(|late| ("Late", late_by(late, report.again.is_some()))));
    facts.push(("Host", report.host.to_owned()));
    facts.push((if event.subject.is_check() { "Check" } else { "Unit" }, event.subject.name().to_owned()));
    if recovered {
        facts.push(("Seen", local_time(event.at)));
        facts.push(("Noticed", local_time(first)));
        facts.push(("Lasted", span(event.at - first)));
    } else {
        facts.push(("Noticed", local_time(event.at)));
        if incident.failures > 1 {
            facts.push(("Failures", format!("{} since {}", incident.failures, local_time(first))));
        }
        facts.push(("Severity", incident.severity.as_str().to_owned()));
    }
    facts.extend(report.again.map(|again| ("Told before", times(again.told))));
    facts.extend(report.why.map(|why| ("Why now", why.to_owned())));
    facts.extend(context.last_run.map(|at| ("Last run", local_time(at))));
    let on_record = match event.problem.lapse() {
        Some(Lapse::Overdue { last, .. }) => last,
        _ => None,
    };
    facts.extend(context.last_success.max(on_record).map(|at| ("Last success", before(at, event.at))));
    facts.extend(context.next_run.map(|at| ("Next run", local_time(at))));
    facts
}

/// A time, and how long before that other one it was. After a clock was set back: better no figure than a wrong one.
fn before(at: DateTime<Utc>, then: DateTime<Utc>) -> String {
    let length = then - at;
    local_time(at) + &if length > TimeDelta::zero() { format!("; {} before", span(length)) } else { String::new() }
}

/// Where to look further.
fn commands(report: &Report<'_>, lapse: Option<&Lapse>) -> Vec<String> {
    let subject = &report.event.subject;
    let name = subject.unit_name();
    let unit = quoted(name);
    // whoever administers the machine looks at another's manager, and finds it all in the machine's record
    let (user, own) = match subject.is_users() {
        true if report.is_own => (" --user".to_owned(), " --user"),
        true => (format!(" --user -M {}", shell(&format!("{}@", subject.manager()))), ""),
        false => (String::new(), ""),
    };
    if subject.is_check() {
        return vec![
            format!("systemctl{user} status dbus.service {}", shell(&format!("sysalert-check@{name}.service"))),
            format!("sysalert{own} check {}", shell(name)),
            format!("sysalert{own} explain {}", quoted(subject.full_name())),
        ];
    }
    let mut commands = vec![format!("systemctl{user} status {unit}")];
    match lapse {
        Some(Lapse::Overdue { .. }) => {
            commands.push(format!("systemctl{user} list-timers --all"));
            // of another's units journalctl knows no --unit
            let of = if subject.is_users() && !report.is_own { "_SYSTEMD_USER_UNIT=" } else { "--unit=" };
            commands.push(format!("journalctl{own} -n 50 {of}{}", shell(name)));
        }
        Some(Lapse::Nothing { unit, .. }) => commands.push(format!("systemctl{user} status {}", quoted(unit))),
        Some(Lapse::NotLoaded(load)) if load != "masked" && load != "not-found" => {
            commands.push(format!("systemctl{user} cat {unit}"));
            commands.push(format!("systemd-analyze{own} verify {unit}"));
        }
        Some(Lapse::Elapsed) => {
            commands.push(format!("systemctl{user} cat {unit}"));
            commands.push("systemd-analyze calendar TIME".to_owned());
        }
        Some(Lapse::NotFound { .. }) => commands.push(format!("sysalert{own} config show")),
        Some(_) => commands.push(format!("systemctl{user} list-timers --all {unit}")),
        None => {}
    }
    commands.push(format!("sysalert{own} explain {}", quoted(subject.full_name())));
    commands.extend(report.again.map(|_| format!("sysalert{own} ack {}", quoted(subject.full_name()))));
    commands
}
