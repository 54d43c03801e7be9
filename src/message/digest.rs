//! Many incidents at once, in one message: what they have in common first.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Local, Utc};

use super::compose::span;
use super::{Banner, Letter, Tone};
use crate::event::{Alarm, Problem, local_time, shell};

/// One of the incidents.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub noun: Noun,
    /// When it failed, or recovered.
    pub at: DateTime<Utc>,
    /// How it failed.
    pub problem: &'a Problem,
    /// What this tells.
    pub news: News,
    /// What is told instead of that it failed or recovered: "keeps restarting".
    pub note: Option<&'static str>,
}

/// What can be in trouble, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noun {
    /// A unit, and what is expected of one.
    Unit,
    /// A process of the watchdog's database.
    Process,
    /// That database.
    Database,
}

impl Noun {
    fn counted(self, count: usize) -> String {
        let (one, more) = match self {
            Noun::Unit => ("unit", "units"),
            Noun::Process => ("process", "processes"),
            Noun::Database => ("database", "databases"),
        };
        format!("{count} {}", if count == 1 { one } else { more })
    }
}

/// What is told about one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It failed.
    Failed,
    /// That it failed was told before, and it is not over.
    StillFails,
    /// It recovered.
    Recovered,
}

/// Everything that a digest says.
#[derive(Debug)]
pub struct Digest<'a> {
    /// The host.
    pub host: &'a str,
    /// What it is about.
    pub members: &'a [Member<'a>],
    /// True when they waited for the end of quiet hours; else they are too many.
    pub waited: bool,
}

/// So many lines a list has at most. Whoever reads it wants the cause; `sysalert status` has them all.
const LINES: usize = 60;
/// So many names stand in a line, and so many such lines under a cause.
const NAMES: usize = 12;
const ROWS: usize = 3;

/// The message about many incidents.
pub fn digest(digest: &Digest<'_>) -> Letter {
    let host = digest.host;
    let mut recovered: Vec<_> = digest.members.iter().filter(|member| member.news == News::Recovered).collect();
    recovered.sort_by_key(|member| member.at);
    // what has recovered meanwhile is told as that
    let is_well = |name: &str| recovered.iter().any(|member| member.name == name);
    let mut failed: Vec<_> =
        digest.members.iter().filter(|member| member.news == News::Failed && !is_well(member.name)).collect();
    failed.sort_by_key(|member| member.at);
    let is_told = |name: &str| failed.iter().any(|member| member.name == name);
    let is_still = |member: &&Member<'_>| member.news == News::StillFails && !is_well(member.name) && !is_told(member.name);
    let mut still: Vec<_> = digest.members.iter().filter(is_still).collect();
    still.sort_by_key(|member| member.at);
    let of_still = causes(&still);
    let causes = causes(&failed);
    let by_one = causes.first().map(|(cause, waiting)| (cause.clone(), waiting.len()));

    let fails = if still.len() == 1 { "still fails" } else { "still fail" };
    let counts = [(&failed, "failed"), (&still, fails), (&recovered, "recovered")];
    let count = |(members, verb): (&Vec<&Member<'_>>, &str)| format!("{} {verb}", counted(members));
    let mut counts: Vec<String> = counts.into_iter().filter(|(members, _)| !members.is_empty()).map(count).collect();
    let is_open = |member: &&&Member<'_>| matches!(member.problem.alarm(), Some(Alarm::BreakerOpen(_)));
    let open: BTreeSet<&str> = failed.iter().chain(&still).filter(is_open).map(|member| member.name).collect();
    counts.extend(
        (!open.is_empty())
            .then(|| format!("{} circuit {} open", open.len(), if open.len() == 1 { "breaker is" } else { "breakers are" })),
    );
    let what = counts.join(", ");
    let because = by_one.as_ref().map(|(cause, waiting)| format!("{waiting} of them because {cause} failed"));
    let times: Vec<_> = digest.members.iter().map(|member| member.at).collect();
    let (first, last) = (times.iter().min().copied().unwrap_or_default(), times.iter().max().copied().unwrap_or_default());
    // the facts above have the day
    let is_one_day = first.with_timezone(&Local).date_naive() == last.with_timezone(&Local).date_naive();
    let when = |at: DateTime<Utc>| {
        if is_one_day { at.with_timezone(&Local).format("%H:%M:%S").to_string() } else { local_time(at) }
    };
    let (meanwhile, why_one) = if digest.waited {
        (" in quiet hours", "they waited for the end of quiet hours (`quiet`), or for those of their method (`hours`)")
    } else {
        ("", "more at once than [storm] allows single messages for")
    };
    let mut lists = Vec::new();
    lists.extend((!failed.is_empty()).then(|| ("What failed", capped(by_cause(&failed, &causes, &when)))));
    let line = |member: &&Member<'_>| {
        let note = member.note.map_or_else(String::new, |note| format!(": {note}"));
        format!("{}  {}{note}", when(member.at), member.name)
    };
    lists.extend((!still.is_empty()).then(|| ("What still fails", capped(by_cause(&still, &of_still, &when)))));
    lists.extend((!recovered.is_empty()).then(|| ("What recovered", capped(recovered.iter().map(line).collect()))));
    let mut commands: Vec<String> = by_one.iter().map(|(cause, _)| format!("systemctl status -- {}", shell(cause))).collect();
    let of_processes = digest.members.iter().any(|member| member.noun != Noun::Unit);
    commands.extend(digest.members.iter().any(|member| member.noun == Noun::Unit).then(|| "systemctl --failed".to_owned()));
    commands.extend(of_processes.then(|| "sysalert process status".to_owned()));
    commands.push("sysalert status".to_owned());
    Letter {
        subject: match &because {
            Some(because) => format!("{what} on {host}{meanwhile}, {because}"),
            None => format!("{what} on {host}{meanwhile}"),
        },
        banner: Banner {
            status: if digest.waited { format!("In quiet hours on {host}") } else { format!("Many at once on {host}") },
            title: what.clone(),
            what: capitalized(because.as_deref().unwrap_or_default()),
        },
        lead: match &because {
            Some(because) => format!("{what} on {host}{meanwhile}, {because}."),
            None => format!("{what} on {host}{meanwhile}."),
        },
        facts: vec![
            ("Host", host.to_owned()),
            ("First", local_time(first)),
            ("Last", format!("{}; {} later", local_time(last), span(last - first))),
            ("Why one", why_one.to_owned()),
        ],
        lists,
        commands,
        tone: if failed.is_empty() && still.is_empty() { Tone::Well } else { Tone::Trouble },
        ..Letter::default()
    }
}

/// "2 units and 1 process"; each once, however often it is told of.
fn counted(members: &[&Member<'_>]) -> String {
    let mut names: BTreeMap<Noun, BTreeSet<&str>> = BTreeMap::new();
    for member in members {
        names.entry(member.noun).or_default().insert(member.name);
    }
    names.into_iter().map(|(noun, names)| noun.counted(names.len())).collect::<Vec<_>>().join(" and ")
}

/// What failed only because something else did, by that; the cause of most comes first.
fn causes<'a>(failed: &[&'a Member<'a>]) -> Vec<(String, Vec<&'a str>)> {
    let mut causes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for member in failed {
        if let Some(cause) = member.problem.culprit() {
            causes.entry(cause.to_string()).or_default().push(member.name);
        }
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, waiting)| std::cmp::Reverse(waiting.len()));
    causes
}

/// The causes with what stands under them, then the rest by time.
fn by_cause(failed: &[&Member<'_>], causes: &[(String, Vec<&str>)], when: &dyn Fn(DateTime<Utc>) -> String) -> Vec<String> {
    let line = |member: &Member<'_>| {
        let what = match member.note {
            Some(note) if member.problem.is_success() => note.to_owned(),
            Some(note) => format!("{note}; {}", member.problem),
            None => member.problem.to_string(),
        };
        format!("{}  {}: {what}", when(member.at), member.name)
    };
    let mut lines = Vec::new();
    for (cause, waiting) in causes {
        let own = failed.iter().find(|member| member.name == cause);
        lines.push(own.map_or_else(|| format!("{cause}, of which nothing else is told here"), |member| line(member)));
        for names in waiting.chunks(NAMES).take(ROWS) {
            lines.push(format!("    not started because of it: {}", names.join(", ")));
        }
        let more = waiting.len().saturating_sub(NAMES * ROWS);
        lines.extend((more > 0).then(|| format!("    and {more} more, {} in all", waiting.len())));
    }
    let is_cause = |name: &str| causes.iter().any(|(cause, _)| cause == name);
    let rest = failed.iter().filter(|member| !is_cause(member.name) && member.problem.culprit().is_none());
    lines.extend(rest.map(|member| line(member)));
    lines
}

fn capped(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(LINES);
    if more > 0 {
        lines.truncate(LINES);
        lines.push(format!("... and {more} lines more: `sysalert status` has them all"));
    }
    lines
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    fn problem(result: &str, cause: Option<&str>) -> Problem {
        Problem { service_result: Some(result.into()), cause: cause.map(str::to_owned), ..Problem::default() }
    }

    #[test]
    fn the_cause_of_most_comes_first_and_what_is_well_again_is_no_failure() {
        let (db, net) = (problem("dependency", Some("db.service")), problem("dependency", Some("net.service")));
        let (oom, timeout) = (problem("oom-kill", None), problem("timeout", None));
        let row = |name, second, problem, recovered| {
            let news = if recovered { News::Recovered } else { News::Failed };
            Member { name, noun: Noun::Unit, at: at(second), problem, news, note: None }
        };
        let members = [
            row("early.service", 0, &oom, false),
            row("a.service", 2, &net, false),
            row("db.service", 1, &timeout, false),
            row("web.service", 3, &db, false),
            row("api.service", 4, &db, false),
            row("brief.service", 2, &timeout, false),
            row("brief.service", 9, &timeout, true),
        ];
        let letter = digest(&Digest { host: "web1", members: &members, waited: false });
        assert_eq!(letter.subject, "5 units failed, 1 unit recovered on web1, 2 of them because db.service failed");
        let lines: Vec<_> = letter.lists[0].1.iter().map(|line| line.rsplit("  ").next().unwrap_or_default()).collect();
        let expected = [
            "db.service: timed out",
            "not started because of it: web.service, api.service",
            "net.service, of which nothing else is told here",
            "not started because of it: a.service",
            "early.service: out of memory",
        ];
        assert_eq!(lines, expected);
        assert!(letter.lists[1].1[0].ends_with("brief.service"));
        assert_eq!(letter.commands[0], "systemctl status -- db.service");
    }

    #[test]
    fn processes_are_no_units_and_an_open_breaker_is_counted() {
        let alarms = [Alarm::Restarts, Alarm::RestartFailed("x".to_owned()), Alarm::BreakerOpen("x".to_owned())];
        let problems = alarms.map(|alarm| alarm.problem());
        let row = |name, noun, second, problem, news| Member { name, noun, at: at(second), problem, news, note: None };
        let bad = problem("oom-kill", None);
        let mut members = vec![
            row("web", Noun::Process, 0, &problems[1], News::Failed),
            row("web", Noun::Process, 1, &problems[2], News::Failed),
            row("db", Noun::Process, 2, &problems[0], News::Failed),
            row("app", Noun::Process, 2, &problems[0], News::Recovered),
        ];
        let letter = digest(&Digest { host: "web1", members: &members, waited: false });
        assert_eq!(letter.subject, "2 processes failed, 1 process recovered, 1 circuit breaker is open on web1");
        assert_eq!(letter.commands, ["sysalert process status", "sysalert status"]);
        members.push(row("a.service", Noun::Unit, 3, &bad, News::Failed));
        let letter = digest(&Digest { host: "web1", members: &members, waited: false });
        assert_eq!(letter.subject, "1 unit and 2 processes failed, 1 process recovered, 1 circuit breaker is open on web1");
    }

    #[test]
    fn a_thousand_units_are_not_a_thousand_lines() {
        let names: Vec<String> = (0..1000).map(|number| format!("unit-{number}.service")).collect();
        let bad = problem("oom-kill", None);
        let members: Vec<_> = names
            .iter()
            .map(|name| Member { name, noun: Noun::Unit, at: at(0), problem: &bad, news: News::Failed, note: None })
            .collect();
        let letter = digest(&Digest { host: "web1", members: &members, waited: false });
        assert_eq!(letter.lists[0].1.len(), LINES + 1);
        assert!(letter.lists[0].1[LINES].contains("940 lines more"), "{:?}", letter.lists[0].1[LINES]);
        // nor a thousand names
        let waits = problem("dependency", Some("db.service"));
        let members: Vec<_> = names
            .iter()
            .map(|name| Member { name, noun: Noun::Unit, at: at(0), problem: &waits, news: News::Failed, note: None })
            .collect();
        let letter = digest(&Digest { host: "web1", members: &members, waited: false });
        assert_eq!(letter.subject, "1000 units failed on web1, 1000 of them because db.service failed");
        let lines = &letter.lists[0].1;
        assert_eq!((lines.len(), lines[ROWS + 1].as_str()), (ROWS + 2, "    and 964 more, 1000 in all"));
    }
}
