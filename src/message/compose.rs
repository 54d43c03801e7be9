//! What happened, in words: a [`Report`] becomes a [`Letter`].

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::Kind;

use super::{Context, Letter, Tone};
use crate::event::{Event, Problem, Subject, local_time};
use crate::incident::Incident;

/// Everything that a message about one incident says.
#[derive(Debug)]
pub struct Report<'a> {
    /// `Failure` or `Recovery`.
    pub kind: Kind,
    /// The host.
    pub host: &'a str,
    /// The event that the message is about.
    pub event: &'a Event,
    /// Its incident, as it is now.
    pub incident: &'a Incident,
    /// Why somebody hears of it now, where that is not plain.
    pub why: Option<&'a str>,
    /// The incident's failures up to this event, oldest first: when, and how.
    pub failures: &'a [(DateTime<Utc>, Problem)],
    /// What was gathered about the run while it was fresh.
    pub context: &'a Context,
    /// Set when the message is late.
    pub late: Option<Late<'a>>,
}

/// Why a message is late.
#[derive(Debug, Clone, Copy)]
pub struct Late<'a> {
    /// How long ago it happened.
    pub by: TimeDelta,
    /// What the last try to send it met.
    pub because: Option<&'a str>,
}

/// So many failures are listed; of more, the first and the newest.
const LISTED: usize = 10;

/// The message about one incident.
pub fn compose(report: &Report<'_>) -> Letter {
    let subject = &report.event.subject;
    let name = subject.name();
    let recovered = report.kind == Kind::Recovery;
    let what = if report.event.problem.is_unknown() { String::new() } else { format!(": {}", report.event.problem) };
    let mut facts = Vec::new();
    if let Some(late) = &report.late {
        facts.push(("Late", late_by(late)));
    }
    facts.push(("Host", report.host.to_owned()));
    facts.push(("Unit", name.to_owned()));
    facts.push(if recovered { ("Recovered", local_time(report.event.at)) } else { ("Failed", local_time(report.event.at)) });
    facts.push(("Failures", counted(report)));
    if recovered {
        facts.push(("Lasted", span(report.event.at - report.incident.first_failure)));
    } else {
        facts.push(("Severity", report.incident.severity.as_str().to_owned()));
    }
    if let Some(why) = report.why {
        facts.push(("Why now", why.to_owned()));
    }
    if let Some(trigger) = &report.event.triggered_by {
        facts.push(("Started by", trigger.clone()));
    }
    let last_problem = report.failures.last().map(|(_, problem)| problem.to_string());
    let lead = match (recovered, last_problem) {
        (true, Some(was)) => format!("{name} on {} is well again. Its last failure: {was}.", report.host),
        (true, None) => format!("{name} on {} is well again.", report.host),
        (false, _) => format!("{name} on {} failed{what}.", report.host),
    };
    Letter {
        subject: if recovered {
            format!("{name} recovered on {}", report.host)
        } else {
            format!("{name} failed on {}{what}", report.host)
        },
        lead,
        facts,
        failures: if report.failures.len() > 1 { listed(report.failures) } else { Vec::new() },
        excerpt: report.context.excerpt.clone(),
        secrets: report.context.secrets,
        no_excerpt: report.context.note.clone().unwrap_or_default(),
        commands: commands(subject, report.event.invocation_id.as_deref(), recovered),
        tone: if recovered { Tone::Well } else { Tone::Trouble },
    }
}

/// The message that proves that messages arrive.
pub fn test_letter(host: &str, method: &str, at: DateTime<Utc>) -> Letter {
    Letter {
        subject: format!("sysalert test from {host}"),
        lead: format!("This is a test: the method {method} of sysalert on {host} works. Nothing has failed."),
        facts: vec![("Host", host.to_owned()), ("Method", method.to_owned()), ("Asked for", local_time(at))],
        commands: vec!["sysalert status".to_owned()],
        ..Letter::default()
    }
}

fn counted(report: &Report<'_>) -> String {
    // the message lists the failures up to its own; the incident may have had more while it waited
    let listed = u64::try_from(report.failures.len()).unwrap_or(u64::MAX).max(1);
    let more = if report.incident.failures > listed { format!("; {} by now", report.incident.failures) } else { String::new() };
    match listed {
        1 => format!("1{more}"),
        many => format!("{many} since {}{more}", local_time(report.incident.first_failure)),
    }
}

fn listed(failures: &[(DateTime<Utc>, Problem)]) -> Vec<String> {
    let row =
        |(number, (at, problem)): (usize, &(DateTime<Utc>, Problem))| format!("{}. {}  {problem}", number + 1, local_time(*at));
    let all = failures.iter().enumerate();
    if failures.len() <= LISTED {
        return all.map(row).collect();
    }
    let newest = failures.len() - (LISTED - 1);
    let mut rows: Vec<String> = all.clone().take(1).map(row).collect();
    rows.push(format!("   ... {} more ...", newest - 1));
    rows.extend(all.skip(newest).map(row));
    rows
}

fn late_by(late: &Late<'_>) -> String {
    let by = span(late.by);
    match late.because {
        Some(because) => format!("it happened {by} ago; earlier tries to send this failed: {because}"),
        None => format!("it happened {by} ago"),
    }
}

/// A length of time in its two largest units: "1h 5m".
fn span(length: TimeDelta) -> String {
    let seconds = u64::try_from(length.num_seconds()).unwrap_or(0);
    let text = humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn commands(subject: &Subject, invocation: Option<&str>, recovered: bool) -> Vec<String> {
    let unit = quoted(subject.unit_name());
    let user = if subject.is_users() { " --user" } else { "" };
    let mut commands = vec![format!("systemctl{user} status {unit}")];
    if let (Some(id), false) = (invocation, recovered) {
        let manager = if subject.is_users() { "USER_INVOCATION_ID" } else { "INVOCATION_ID" };
        commands.push(format!("journalctl{user} _SYSTEMD_INVOCATION_ID={id} + {manager}={id}"));
    }
    commands.push(format!("sysalert{user} explain {unit}"));
    commands
}

/// A unit's name for a shell: a backslash or a leading dash must not surprise who copies the line.
fn quoted(unit: &str) -> String {
    let plain = if unit.contains('\\') { format!("'{unit}'") } else { unit.to_owned() };
    if unit.starts_with('-') { format!("-- {plain}") } else { plain }
}
