//! The message about a process of the watchdog's database, or about that database.

use chrono::TimeDelta;
use sysalert_abi::Kind;

use super::commands::quoted;
use super::compose::{Report, capitalized, late_by, span};
use super::{Banner, Letter, Phase, Tone};
use crate::event::{Alarm, local_time};
use crate::incident::Severity;

/// The message about one.
pub(super) fn compose(report: &Report<'_>) -> Letter {
    let (event, incident, host) = (report.event, report.incident, report.host);
    let name = event.subject.name();
    let recovered = report.kind == Kind::Recovery;
    let still = if report.again.is_some() { "still " } else { "" };
    let was = report.failures.last().map(|(_, problem)| problem.to_string());
    let (status, subject, lead) = if recovered {
        let how = event.problem.cause.as_deref().unwrap_or("it is well again");
        let reported = was.map(|was| format!(" It was reported that it {was}.")).unwrap_or_default();
        ("Well again", format!("{name} on {host} is well again"), format!("{name} on {host} is well again: {how}.{reported}"))
    } else {
        let what = event.problem.to_string();
        let next = event.problem.alarm().as_ref().map(next).unwrap_or_default();
        (
            status(event.problem.alarm().as_ref()),
            format!("{name} on {host} {still}{what}"),
            format!("{name} on {host} {still}{what}.{next}"),
        )
    };
    let what = if recovered { String::new() } else { capitalized(&event.problem.to_string()) };
    let (status, subject, lead, what) = flapping(report).unwrap_or((status, subject, lead, what));
    Letter {
        subject,
        banner: Banner { status: format!("{status} on {host}"), title: name.to_owned(), what },
        lead,
        facts: facts(report, recovered),
        commands: commands(report),
        tone: match recovered {
            true => Tone::Well,
            false if incident.severity < Severity::Warning => Tone::Neutral,
            false => Tone::Trouble,
        },
        ..Letter::default()
    }
}

/// Of a process that each restart brings back for a while: status, subject, first sentences, and what it is.
fn flapping(report: &Report<'_>) -> Option<(&'static str, String, String, String)> {
    let flapping = report.incident.flapping.as_ref()?;
    let (name, host) = (report.event.subject.name(), report.host);
    let often = format!("{} times in {}", flapping.times, span(flapping.last - flapping.since));
    if report.again.is_some() && !flapping.over && report.event.problem.alarm() == Some(Alarm::Restarts) {
        // at this moment it may be well
        let still = format!("{name} on {host} still comes into alarm again and again: {often}");
        let lead = format!("{still}, and each time a restart brought it back: restarts do not mend it, somebody must look.");
        return Some(("In alarm again and again", still, lead, capitalized(&often)));
    }
    let (phase, window) = report.flapping?;
    let window = span(TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX));
    Some(match phase {
        Phase::Begins => (
            "In alarm again and again",
            format!("{name} on {host} is in alarm again and again: {often}"),
            format!(
                "{name} on {host} came into alarm {often}, and each time a restart brought it back: restarts do not mend it, somebody \
                 must look. It is restarted all the same; the next message comes when it has been well for {window}, or cannot be \
                 restarted."
            ),
            capitalized(&often),
        ),
        Phase::Stable | Phase::NoLongerRuns => (
            "Well again",
            format!("{name} on {host} has been well for {window}"),
            format!("{name} on {host} has been well for {window}. Before that it came into alarm {often}."),
            format!("For {window}"),
        ),
    })
}

fn status(alarm: Option<&Alarm>) -> &'static str {
    match alarm {
        Some(Alarm::Database(_) | Alarm::Unnoted(_)) => "Database",
        Some(Alarm::BreakerOpen(_)) => "Breaker open",
        Some(Alarm::RestartFailed(_)) => "Restart failed",
        _ => "Process",
    }
}

/// What a reader at night asks next.
fn next(alarm: &Alarm) -> &'static str {
    match alarm {
        Alarm::Restarts => "",
        Alarm::Reported(_) => " Nothing was done: somebody must look.",
        Alarm::Waits(_) => " It is restarted by the first run that finds the other one well.",
        Alarm::RestartFailed(_) => " The next run tries again, until its circuit breaker opens.",
        Alarm::BreakerOpen(_) => " Until then somebody must mend it: `sysalert process restart` closes the breaker if it helps.",
        Alarm::Database(_) => " Nobody knows which processes are in alarm, and none is restarted, until that is mended.",
        Alarm::Unnoted(_) => " Alarms are still acted upon, each once; they stay in the table until that is mended.",
    }
}

fn facts(report: &Report<'_>, recovered: bool) -> Vec<(&'static str, String)> {
    let Report { event, incident, .. } = report;
    let first = incident.first_failure;
    let mut facts = Vec::new();
    facts.extend(report.late.as_ref().map(|late| ("Late", late_by(late, report.again.is_some()))));
    facts.push(("Host", report.host.to_owned()));
    facts.push(("Subject", event.subject.to_string()));
    facts.push(("Seen", local_time(event.at)));
    facts.push(("Since", local_time(first)));
    if recovered {
        facts.push(("Lasted", span(event.at - first)));
    } else {
        facts.push(("Severity", incident.severity.as_str().to_owned()));
    }
    facts.extend(report.why.map(|why| ("Why now", why.to_owned())));
    facts
}

/// Where to look further.
fn commands(report: &Report<'_>) -> Vec<String> {
    let subject = &report.event.subject;
    let full = quoted(subject.full_name());
    let mut commands = vec!["sysalert process status".to_owned(), format!("sysalert history {full}")];
    commands.push("journalctl -n 50 -u 'sysalert-restart@*' -u sysalert-check@processes.service".to_owned());
    commands.extend(report.again.map(|_| format!("sysalert ack {full}")));
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::incident::{Flapping, How, Incident};
    use crate::message::{Again, Context};

    /// A reminder.
    fn again<'a>(event: &'a Event, incident: &'a Incident, context: &'a Context) -> Report<'a> {
        Report {
            kind: Kind::Reminder,
            host: "web1",
            event,
            incident,
            why: None,
            failures: &[],
            left_out: 0,
            flapping: None,
            again: Some(Again { at: event.at, told: 1, nobody_within: None }),
            acknowledge: true,
            context,
            late: None,
            is_own: true,
        }
    }

    fn found(name: &str, alarm: &Alarm) -> Event {
        let subject = crate::event::Subject::process(name);
        Event::found(&subject, crate::event::Outcome::Failed, "1".to_owned(), alarm.problem(), chrono::DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_reminder_of_what_restarts_bring_back_does_not_call_it_in_alarm_now() {
        let event = found("web", &Alarm::Restarts);
        let flapping =
            Flapping { how: How::Alternating, since: event.at, times: 6, last: event.at + TimeDelta::minutes(40), over: false };
        let incident = Incident::begin(1, event.subject.clone(), Severity::Critical, event.at).begins_to_flap(flapping);
        let context = Context::default();
        let letter = compose(&again(&event, &incident, &context));
        assert_eq!(letter.subject, "web on web1 still comes into alarm again and again: 6 times in 40m");
        assert!(!letter.lead.contains("is in alarm") && !letter.lead.contains("is tried"), "{}", letter.lead);
        // one that could not be brought back is down
        let event = found("web", &Alarm::RestartFailed("it is gone".to_owned()));
        let letter = compose(&again(&event, &incident, &context));
        assert_eq!(letter.subject, "web on web1 still could not be restarted: it is gone");
    }

    #[test]
    fn no_shell_makes_a_command_of_a_name_in_an_alert() {
        let folder = tempfile::tempdir().unwrap();
        let touch = format!("touch {}/pwned", folder.path().display());
        // what stands where the program is asked for says what it was given
        let program = folder.path().join("sysalert");
        std::fs::write(&program, "#!/bin/sh\nprintf '%s\\n' \"$#\" \"$2\"\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", folder.path().display(), crate::host::env::var("PATH").unwrap());
        let names = ["$(T)", "`T`", "'; T; '", "\"; T; \"", "\\'; T; \\'", "\\", "a\nT\n", "a b", "; T", "| T", "x'", "a\\'$(T)"];
        for name in names.map(|name| crate::event::shown_name(&name.replace('T', &touch), 5)) {
            let event = found(&name, &Alarm::Reported("no".to_owned()));
            let incident = Incident::begin(1, event.subject.clone(), Severity::Critical, event.at);
            let context = crate::message::Context::default();
            let report = again(&event, &incident, &context);
            let lines: Vec<String> =
                commands(&report).into_iter().filter(|line| line.contains("history") || line.contains(" ack ")).collect();
            assert_eq!(lines.len(), 2);
            for (line, shell) in lines.iter().flat_map(|line| ["sh", "bash", "zsh", "fish"].map(|shell| (line, shell))) {
                let run =
                    std::process::Command::new(shell).env("PATH", &path).env("HOME", folder.path()).args(["-c", line]).output();
                let said = match run {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound && shell != "sh" => continue,
                    said => said.unwrap(),
                };
                assert!(!folder.path().join("pwned").exists(), "{shell}: {line}");
                assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("2\nprocess:{name}\n"), "{shell}: {line}");
            }
        }
    }

    #[test]
    fn who_only_waits_does_not_call_for_somebody() {
        let why = || "db".to_owned();
        for (alarm, calls) in [(Alarm::Waits(why()), false), (Alarm::Restarts, false), (Alarm::Reported(why()), true)] {
            assert_eq!(next(&alarm).contains("somebody must look"), calls, "{alarm}");
        }
    }
}
