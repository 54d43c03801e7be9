//! What happened, in words: a [`Report`] becomes a [`Letter`].

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert_abi::Kind;

use super::commands::commands;
use super::flapping::{self, Phase};
use super::{Banner, Context, Letter, Tone, check, process, schedule, visible};
use crate::event::{Event, Problem, Start, local_time, times};
use crate::incident::Incident;

/// Everything that a message about one incident says.
#[derive(Debug)]
pub struct Report<'a> {
    /// `Failure`, `Reminder` or `Recovery`.
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
    /// How many are left out between the first of them and the others.
    pub left_out: u64,
    /// Set when the message is about flapping: what it tells, and the window.
    pub flapping: Option<(Phase, Duration)>,
    /// Set when somebody is told again.
    pub again: Option<Again>,
    /// True when something follows if nobody acknowledges it: the message says how to.
    pub acknowledge: bool,
    /// What was gathered about the run while it was fresh.
    pub context: &'a Context,
    /// Set when the message is late.
    pub late: Option<Late<'a>>,
    /// True when it is about a unit of the user who reads it, and not of one whose machine the reader administers.
    pub is_own: bool,
}

/// What a reminder says beside its event.
#[derive(Debug, Clone, Copy)]
pub struct Again {
    /// When it is sent.
    pub at: DateTime<Utc>,
    /// How many alerts there were before.
    pub told: u64,
    /// Set when others are told as well, since nobody acknowledged it in this time.
    pub nobody_within: Option<Duration>,
}

/// Why a message is late.
#[derive(Debug, Clone, Copy)]
pub struct Late<'a> {
    /// How long ago it happened.
    pub by: TimeDelta,
    /// Why, as far as it is known.
    pub because: Option<Because<'a>>,
}

/// Why a message could not be sent before.
#[derive(Debug, Clone, Copy)]
pub enum Because<'a> {
    /// What the last try to send it met.
    Failed(&'a str),
    /// What it waited for: its method's limit, quiet hours, the end of a silence.
    Held(&'a str),
}

/// So many failures are listed; of more, the first and the newest.
const LISTED: usize = 10;
/// So many links of a unit are shown, and none that is longer: unit files may hold anything.
const LINKS: usize = 6;
const LONGEST_LINK: usize = 300;

/// The message about one incident.
pub fn compose(report: &Report<'_>) -> Letter {
    if report.event.subject.is_sensor() {
        return check::compose(report);
    }
    if report.event.subject.is_schedule() {
        return schedule::compose(report);
    }
    if report.event.subject.is_watchdogs() {
        return process::compose(report);
    }
    let (event, context, host) = (report.event, report.context, report.host);
    let name = event.subject.name();
    let recovered = report.kind == Kind::Recovery;
    let is_gone = event.problem.is_gone();
    let (status, verb) = match report.kind {
        Kind::Recovery if is_gone => ("Gone", "is gone"),
        Kind::Recovery => ("Recovered", "recovered"),
        Kind::Reminder => ("Still failing", "is still failing"),
        _ => ("Failed", "failed"),
    };
    // what polling found has words of its own: "is not running"
    let polled = event.problem.polled().filter(|_| !recovered);
    let (status, verb, problem) = match (polled, report.kind) {
        (Some((does, heading, why)), Kind::Reminder) => (heading, format!("still {does}"), why.unwrap_or_default()),
        (Some((does, heading, why)), _) => (heading, does.to_owned(), why.unwrap_or_default()),
        (None, _) if event.problem.is_unknown() => (status, verb.to_owned(), String::new()),
        (None, _) => (status, verb.to_owned(), event.problem.to_string()),
    };
    let how = if problem.is_empty() { String::new() } else { format!(": {problem}") };
    let stop = if how.ends_with('?') { "" } else { "." };
    let (subject, lead, what) = if recovered {
        let was = report.failures.last().map(|(_, problem)| format!("Its last failure: {problem}")).unwrap_or_default();
        let sentence = match was.as_str() {
            "" => String::new(),
            was if was.ends_with('?') => format!(" {was}"),
            was => format!(" {was}."),
        };
        match event.problem.why_gone(event.subject.manager()) {
            Some(why) => (format!("{name} is gone on {host}: {why}"), format!("{name} on {host} is gone: {why}.{sentence}"), was),
            None => (format!("{name} recovered on {host}"), format!("{name} on {host} is well again.{sentence}"), was),
        }
    } else {
        (format!("{name} {verb} on {host}{how}"), format!("{name} on {host} {verb}{how}{stop}"), capitalized(&problem))
    };
    let (subject, lead) = match report.again {
        Some(again) => still(report, again, &how),
        None => (subject, lead),
    };
    let told = report.flapping.zip(report.incident.flapping.as_ref());
    let words = told.map(|((phase, window), flapping)| flapping::words(report, flapping, phase, window));
    let (status, subject, lead, what) = words.as_ref().map_or((status, subject, lead, what), |words| {
        (words.status, words.subject.clone(), words.lead.clone(), words.what.clone())
    });
    let is_gone = is_gone || matches!(report.flapping, Some((Phase::NoLongerRuns, _)));
    Letter {
        subject,
        banner: Banner { status: format!("{status} on {host}"), title: name.to_owned(), what },
        lead,
        facts: facts(report, words.map(|words| words.facts)),
        see: context.documentation.iter().filter_map(|link| shown_link(link)).take(LINKS).collect(),
        lists: if report.failures.len() > 1 { vec![("Its failures", listed(report))] } else { Vec::new() },
        excerpt: context.excerpt.clone(),
        secrets: context.secrets,
        note: context.note.clone().unwrap_or_default(),
        commands: commands(event, &context.findings, recovered, report.acknowledge, report.is_own),
        tone: match recovered {
            true if is_gone => Tone::Neutral,
            true => Tone::Well,
            false => Tone::Trouble,
        },
    }
}

/// The subject and the first sentences of a reminder.
fn still(report: &Report<'_>, again: Again, how: &str) -> (String, String) {
    let (name, host, incident) = (report.event.subject.name(), report.host, report.incident);
    let does = incident.flaps().map_or_else(|| "is still failing".to_owned(), |flapping| format!("still {}", flapping.does()));
    let lasts = span(again.at - incident.first_failure);
    let nobody = match again.nobody_within {
        Some(within) => format!("Nobody has acknowledged it within {}, and so you are told as well.", short(within)),
        None => "Nobody has acknowledged it.".to_owned(),
    };
    let subject = format!("{name} {does} on {host}, for {lasts}{how}");
    (subject, format!("{name} on {host} {does}{how}. It has not recovered for {lasts}. {nobody}"))
}

/// The message that proves that messages arrive.
pub fn test_letter(host: &str, method: &str, at: DateTime<Utc>) -> Letter {
    Letter {
        subject: format!("sysalert test from {host}"),
        banner: Banner {
            status: format!("Test from {host}"),
            title: format!("{method} works"),
            what: "Nothing has failed".to_owned(),
        },
        lead: format!("This is a test: the method {method} of sysalert on {host} works. Nothing has failed."),
        facts: vec![("Host", host.to_owned()), ("Method", method.to_owned()), ("Asked for", local_time(at))],
        commands: vec!["sysalert status".to_owned()],
        ..Letter::default()
    }
}

/// What a reader wants to know, in this order; what is not known has no line.
fn facts(report: &Report<'_>, of_flapping: Option<Vec<(&'static str, String)>>) -> Vec<(&'static str, String)> {
    let Report { event, incident, context, .. } = report;
    let recovered = report.kind == Kind::Recovery;
    let several = report.failures.len() > 1;
    let first = local_time(incident.first_failure);
    let mut facts = Vec::new();
    facts.extend(report.late.as_ref().map(|late| ("Late", late_by(late, report.again.is_some()))));
    facts.push(("Host", report.host.to_owned()));
    facts.push(("Unit", event.subject.name().to_owned()));
    let flaps = of_flapping.is_some();
    if let Some(of_flapping) = of_flapping {
        facts.extend(of_flapping);
    } else if recovered {
        facts.push((if event.problem.is_gone() { "Over" } else { "Recovered" }, local_time(event.at)));
        facts.push((if several { "First failure" } else { "Failed" }, first));
        facts.extend(report.failures.last().filter(|_| several).map(|(at, _)| ("Last failure", local_time(*at))));
        facts.push(("Lasted", span(event.at - incident.first_failure)));
        facts.push(("Failures", counted(report, "")));
    } else {
        facts.push((if event.problem.is_polled() { "Seen" } else { "Failed" }, local_time(event.at)));
        facts.push(("Failures", counted(report, &if several { format!(" since {first}") } else { String::new() })));
        facts.push(("Severity", incident.severity.as_str().to_owned()));
    }
    facts.extend(report.again.map(|again| ("Told before", times(again.told))));
    facts.extend(report.why.map(|why| ("Why now", why.to_owned())));
    facts.extend(context.findings.causes());
    facts.extend(context.ran.map(|ran| ("Ran", ran_for(ran, context.usual))));
    facts.extend(context.findings.used());
    facts.extend(context.last_success.map(|at| {
        let before = event.at - at;
        // a clock that was set back: better no figure than a wrong one
        let before = if before > TimeDelta::zero() { format!("; {} before", span(before)) } else { String::new() };
        ("Last success", local_time(at) + &before)
    }));
    facts.extend(context.findings.changed(event.at));
    facts.extend(started_by(event, context).filter(|_| !flaps).map(|by| ("Started by", by)));
    facts.extend((event.restarts && !flaps).then(|| ("Restart", "systemd starts it again, as its Restart= says".to_owned())));
    facts
}

/// What started the run, as far as systemd tells.
fn started_by(event: &Event, context: &Context) -> Option<String> {
    if let Some(number) = context.findings.restart {
        return Some(format!("systemd, as its Restart= says (restart {number})"));
    }
    if let Some(unit) = &event.triggered_by {
        return Some(unit.clone());
    }
    let names: String = context.sockets.iter().map(|socket| format!("{}, ", visible(socket.as_bytes()))).collect();
    event.start.map(|start| match start {
        Start::Timer => "a timer".to_owned(),
        Start::Path => "a path unit".to_owned(),
        Start::Restart => "systemd, as its Restart= says".to_owned(),
        Start::Other => format!("no timer and no path: {names}a person or another unit"),
    })
}

fn ran_for(ran: Duration, usual: Option<Duration>) -> String {
    match usual {
        Some(usual) => format!("{}; usually {}", short(ran), short(usual)),
        None => short(ran),
    }
}

/// A link as a unit's `Documentation=` has it; none if it is too long to be one.
fn shown_link(link: &str) -> Option<String> {
    let link = visible(link.trim().as_bytes());
    (!link.is_empty() && link.len() <= LONGEST_LINK).then_some(link)
}

pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn counted(report: &Report<'_>, since: &str) -> String {
    // the message lists the failures up to its own; the incident may have had more while it waited
    let listed = u64::try_from(report.failures.len()).unwrap_or(u64::MAX).max(1) + report.left_out;
    match report.incident.failures {
        more if more > listed => format!("{listed}{since}; {more} by now"),
        _ => format!("{listed}{since}"),
    }
}

fn listed(report: &Report<'_>) -> Vec<String> {
    let Report { failures, left_out, .. } = report;
    let left_out = usize::try_from(*left_out).unwrap_or(usize::MAX);
    let row = |(number, (at, problem)): (usize, &(DateTime<Utc>, Problem))| {
        let number = if number == 0 { 1 } else { number + 1 + left_out };
        format!("{number}. {}  {problem}", local_time(*at))
    };
    let all = failures.iter().enumerate();
    if failures.len() <= LISTED {
        return all.map(row).collect();
    }
    let newest = failures.len() - (LISTED - 1);
    let mut rows: Vec<String> = all.clone().take(1).map(row).collect();
    rows.push(format!("   ... {} more ...", newest - 1 + left_out));
    rows.extend(all.skip(newest).map(row));
    rows
}

pub(super) fn late_by(late: &Late<'_>, again: bool) -> String {
    let since = format!("{} {} ago", if again { "it was due" } else { "it happened" }, span(late.by));
    match late.because {
        Some(Because::Failed(met)) => format!("{since}; earlier tries to send this failed: {met}"),
        Some(Because::Held(why)) => format!("{since} and waited: {why}"),
        None => since,
    }
}

/// A length of time in its two largest units: "1h 5m".
pub(super) fn span(length: TimeDelta) -> String {
    short(Duration::from_secs(u64::try_from(length.num_seconds()).unwrap_or(0)))
}

/// A length of time, as exactly as it matters: "350ms", "2.4s", "3m 10s", "1d 2h".
pub(super) fn short(length: Duration) -> String {
    match length.as_millis() {
        0 => "0s".to_owned(),
        millis @ 1..1000 => format!("{millis}ms"),
        millis @ 1000..10_000 if millis % 1000 >= 50 => format!("{:.1}s", length.as_secs_f64()),
        _ => {
            let text = humantime::format_duration(Duration::from_secs(length.as_secs())).to_string();
            text.split(' ').take(2).collect::<Vec<_>>().join(" ").replace("days", "d").replace("day", "d")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_exact_as_it_matters() {
        for (millis, text) in [
            (0, "0s"),
            (350, "350ms"),
            (2_000, "2s"),
            (2_400, "2.4s"),
            (9_999, "10.0s"),
            (12_700, "12s"),
            (190_400, "3m 10s"),
            (93_784_000, "1d 2h"),
            (180_000_000, "2d 2h"),
        ] {
            assert_eq!(short(Duration::from_millis(millis)), text);
        }
    }
}
