//! Whole messages, as people get them: each in `snapshots/`. `SYSALERT_BLESS=1 cargo test --lib message` writes them.

mod findings;
mod flapping;

use std::fs;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Local, TimeDelta, Utc};
use sysalert_abi::Kind;

use super::*;
use crate::event::{Event, Manager, Outcome, Problem, Start, Subject, UnitName, local_time};
use crate::incident::{Flapping, How, Incident, Severity, State};

fn at(second: i64) -> DateTime<Utc> {
    "2026-01-05T10:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(second)
}

fn problem(words: [&str; 3]) -> Problem {
    let [service_result, exit_code, exit_status] = words.map(|word| Some(word.to_owned()));
    Problem { service_result, exit_code, exit_status, cause: None }
}

fn event(subject: Subject, outcome: Outcome, words: [&str; 3], second: i64) -> Event {
    Event {
        subject,
        outcome,
        run: "0123456789abcdef0123456789abcdef".into(),
        invocation_id: Some("0123456789abcdef0123456789abcdef".into()),
        problem: problem(words),
        triggered_by: None,
        start: None,
        restarts: false,
        at: at(second),
    }
}

fn incident(subject: &Subject, failures: u64, last: i64, state: State) -> Incident {
    let begun = Incident::begin(1, subject.clone(), Severity::Critical, at(0));
    Incident { failures, last_failure: at(last), state, ..begun }
}

fn unit(name: &str) -> Subject {
    Subject::unit(&Manager::System, &UnitName::typed(name).unwrap())
}

static NOTHING: std::sync::LazyLock<Context> = std::sync::LazyLock::new(Context::default);

/// What is told of a run with these lines.
fn with_lines(lines: &[Raw<'_>]) -> Context {
    let (excerpt, secrets) = shown(lines);
    Context { excerpt, secrets, ..Context::default() }
}

/// A report of this event and of failures with these statuses, a minute apart.
fn report<'a>(event: &'a Event, incident: &'a Incident, failures: &'a [(DateTime<Utc>, Problem)]) -> Report<'a> {
    let kind = if event.outcome == Outcome::Failed { Kind::Failure } else { Kind::Recovery };
    Report {
        kind,
        host: "web1",
        event,
        incident,
        why: None,
        failures,
        left_out: 0,
        flapping: None,
        again: None,
        acknowledge: false,
        context: &NOTHING,
        late: None,
        is_own: true,
    }
}

fn minutes_apart(statuses: &[&str]) -> Vec<(DateTime<Utc>, Problem)> {
    let one = |(minute, status): (usize, &&str)| (at(60 * minute as i64), problem(["exit-code", "exited", status]));
    statuses.iter().enumerate().map(one).collect()
}

/// Compares every form of a letter with its file.
fn check(name: &str, letter: &Letter) {
    let Message { subject, text, html, markdown, journal, .. } = letter.render();
    let style = html.find("<style>").zip(html.find("</style>")).unwrap();
    let html = format!("{}{}", &html[..style.0 + "<style>".len()], &html[style.1..]);
    let forms =
        [("subject", subject + "\n"), ("text", text), ("markdown", markdown), ("html", html), ("journal", journal + "\n")];
    let actual = in_utc(&forms.map(|(form, text)| format!("======== {form}\n{text}")).concat());

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/message/snapshots").join(format!("{name}.txt"));
    if crate::host::env::var("SYSALERT_BLESS").is_some() {
        fs::write(&path, &actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let differs = expected.lines().zip(actual.lines()).find(|(expected, actual)| expected != actual);
    assert!(expected == actual, "{}\nthe first line that differs: {differs:?}\n{actual}", path.display());
}

/// The last success before the failures.
const A_DAY_BEFORE: i64 = -93_480;

/// Messages show local times; the snapshots are those of a machine that keeps UTC.
fn in_utc(text: &str) -> String {
    let mut text = text.to_owned();
    for time in (0..=1200).chain([A_DAY_BEFORE]).map(at) {
        text = text.replace(&local_time(time), &time.format("%a %Y-%m-%d %H:%M:%S +00:00").to_string());
        let (local, utc) = (time.with_timezone(&Local).format("%H:%M:%S "), time.format("%H:%M:%S "));
        // of an excerpt: at the begin of its line
        for begin in ["\n    ", "\n", "pre-wrap\">"] {
            text = text.replace(&format!("{begin}{local}"), &format!("{begin}{utc}"));
        }
    }
    text
}

#[test]
fn a_failure_with_all_that_is_known() {
    let subject = unit("backup.service");
    let event =
        Event { triggered_by: Some("backup.timer".into()), ..event(subject, Outcome::Failed, ["exit-code", "exited", "3"], 120) };
    let incident = incident(&event.subject, 3, 120, State::Open);
    let lines = [
        Raw { at: at(118), identifier: "systemd", text: b"Starting backup.service - Nightly backup..." },
        Raw { at: at(119), identifier: "backup.sh", text: b"cannot reach nas: No route to host, password=hunter2" },
        Raw {
            at: at(120),
            identifier: "systemd",
            text: b"backup.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED",
        },
    ];
    let context = Context {
        note: Some("Some lines may be missing: the journal was read 6m after the failure.".into()),
        ran: Some(Duration::from_millis(2_400)),
        usual: Some(Duration::from_secs(190)),
        last_success: Some(at(A_DAY_BEFORE)),
        documentation: vec!["man:backup(8)".into(), "https://wiki.example.org/backup?page=restore&lang=en".into()],
        ..with_lines(&lines)
    };
    let failures = minutes_apart(&["3", "4", "3"]);
    let why = Some("2 failures before this one were ignored, as `ignore` says");
    check("failure", &compose(&Report { why, context: &context, ..report(&event, &incident, &failures) }));
}

#[test]
fn a_failure_after_many_shows_the_first_and_the_newest() {
    let event = event(unit("backup.service"), Outcome::Failed, ["signal", "killed", "SEGV"], 840);
    let incident = incident(&event.subject, 15, 840, State::Open);
    let mut failures = minutes_apart(&["3"; 15]);
    failures[14].1 = event.problem.clone();
    let context = &Context { note: Some("The journal has no lines of this run.".into()), ..Context::default() };
    check("many", &compose(&Report { context, ..report(&event, &incident, &failures) }));
}

#[test]
fn a_recovery() {
    let event = event(unit("backup.service"), Outcome::Succeeded, ["success", "exited", "0"], 1200);
    let incident = incident(&event.subject, 2, 60, State::Resolved);
    check("recovery", &compose(&report(&event, &incident, &minutes_apart(&["3", "4"]))));
}

#[test]
fn a_recovery_of_a_single_failure() {
    let event = event(unit("backup.service"), Outcome::Succeeded, ["success", "exited", "0"], 1200);
    let incident = incident(&event.subject, 1, 0, State::Resolved);
    let letter = compose(&report(&event, &incident, &minutes_apart(&["3"])));
    let labels: Vec<_> = letter.facts.iter().map(|(label, _)| *label).collect();
    assert_eq!(labels, ["Host", "Unit", "Recovered", "Failed", "Lasted", "Failures"]);
}

#[test]
fn a_reminder() {
    let event = event(unit("backup.service"), Outcome::Failed, ["exit-code", "exited", "3"], 0);
    let incident = incident(&event.subject, 1, 0, State::Open);
    let failures = minutes_apart(&["3"]);
    let letter = compose(&Report { kind: Kind::Reminder, ..report(&event, &incident, &failures) });
    assert_eq!(letter.subject, "backup.service is still failing on web1: exited with status 3");
    assert_eq!(letter.lead, "backup.service on web1 is still failing: exited with status 3.");
}

#[test]
fn a_dependency_that_failed_is_pointed_at() {
    let mut event = event(unit("web.service"), Outcome::Failed, ["dependency", "", ""], 0);
    event.invocation_id = None;
    event.problem =
        Problem { service_result: Some("dependency".into()), cause: Some("postgresql.service".into()), ..Problem::default() };
    let incident = incident(&event.subject, 1, 0, State::Open);
    let failures = [(at(0), event.problem.clone())];
    let context =
        &Context { note: Some("There are no journal lines: nothing of this unit was started.".into()), ..Context::default() };
    check("dependency", &compose(&Report { context, ..report(&event, &incident, &failures) }));
}

/// A run of a user's manager that systemd repeats, and that nobody knows who started.
#[test]
fn a_users_unit_that_is_started_again() {
    let subject = Subject::unit(&Manager::User("alice".into()), &UnitName::typed("bot.service").unwrap());
    let mut event =
        Event { start: Some(Start::Other), restarts: true, ..event(subject, Outcome::Failed, ["timeout", "killed", "TERM"], 0) };
    event.problem.cause = Some("start".into());
    let incident = incident(&event.subject, 1, 0, State::Open);
    let failures = [(at(0), event.problem.clone())];
    let context = &Context { sockets: vec!["bot.socket".into()], ran: Some(Duration::from_secs(90)), ..Context::default() };
    check("user", &compose(&Report { context, ..report(&event, &incident, &failures) }));
}

#[test]
fn what_started_a_run_is_told_as_far_as_it_is_known() {
    let said = |start, triggered_by: Option<&str>, sockets: &[&str]| {
        let event = Event {
            start,
            triggered_by: triggered_by.map(Into::into),
            ..event(unit("a.service"), Outcome::Failed, ["exit-code", "exited", "1"], 0)
        };
        let incident = incident(&event.subject, 1, 0, State::Open);
        let context = Context { sockets: sockets.iter().map(|name| (*name).to_owned()).collect(), ..Context::default() };
        let failures = minutes_apart(&["1"]);
        let letter = compose(&Report { context: &context, ..report(&event, &incident, &failures) });
        letter.facts.into_iter().find(|(label, _)| *label == "Started by").map(|(_, value)| value)
    };
    for (start, by, sockets, words) in [
        (None, None, &[][..], None),
        (None, None, &["a.socket"], None),
        (None, Some("a.timer"), &[], Some("a.timer")),
        (Some(Start::Path), Some("a.path"), &[], Some("a.path")),
        (Some(Start::Timer), None, &[], Some("a timer")),
        (Some(Start::Path), None, &[], Some("a path unit")),
        (Some(Start::Other), None, &[], Some("no timer and no path: a person or another unit")),
        (Some(Start::Other), None, &["a.socket"], Some("no timer and no path: a.socket, a person or another unit")),
    ] {
        assert_eq!(said(start, by, sockets).as_deref(), words, "{start:?} {by:?} {sockets:?}");
    }
}

/// What helps differs; `status` is always there, `explain` is last, and four lines are the most.
#[test]
fn what_to_run_next_depends_on_what_happened() {
    let further = |invocation: Option<&str>, result: &str, status: &str, cause: &str| {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut event = event(unit("a.service"), Outcome::Failed, [result, "exited", status], 0);
        event.invocation_id = invocation.map(Into::into);
        event.problem.cause = some(cause);
        let incident = incident(&event.subject, 1, 0, State::Open);
        let commands = compose(&report(&event, &incident, &[])).commands;
        assert!(commands.len() <= 4 && commands.contains(&"systemctl status a.service".to_owned()), "{commands:?}");
        assert_eq!(commands.last().map(String::as_str), Some("sysalert explain a.service"));
        let usual = [
            "systemctl status a.service",
            "journalctl _SYSTEMD_INVOCATION_ID=0a + INVOCATION_ID=0a",
            "sysalert explain a.service",
        ];
        commands.into_iter().filter(|command| !usual.contains(&command.as_str())).collect::<Vec<_>>()
    };
    for (invocation, result, status, cause, expected) in [
        (Some("0a"), "exit-code", "3", "", vec![]),
        (Some("0a"), "exit-code", "203", "", vec!["systemctl cat a.service"]),
        (Some("0a"), "exit-code", "23", "", vec![]),
        (Some("0a"), "timeout", "", "start", vec!["systemctl cat a.service"]),
        (None, "timeout", "", "job", vec!["systemctl list-jobs"]),
        (None, "assert", "", "", vec!["systemctl cat a.service"]),
        (None, "dependency", "", "db.service", vec!["systemctl status db.service"]),
        (None, "dependency", "", "", vec!["systemctl list-dependencies a.service"]),
        (None, "start-limit-hit", "", "", vec!["journalctl -n 50 --unit=a.service"]),
    ] {
        assert_eq!(further(invocation, result, status, cause), expected, "{result} {status} {cause}");
    }
}

#[test]
fn of_very_many_failures_the_left_out_ones_are_counted() {
    let event = event(unit("web.service"), Outcome::Failed, ["exit-code", "exited", "3"], 840);
    let incident = incident(&event.subject, 10_015, 840, State::Open);
    let failures = minutes_apart(&["3"; 15]);
    let letter = compose(&Report { left_out: 10_000, ..report(&event, &incident, &failures) });
    let numbers: Vec<_> = letter.lists[0].1.iter().filter_map(|row| row.split("  ").next()?.split(' ').next()).collect();
    assert_eq!((numbers[0], numbers[2], numbers.last()), ("1.", "10007.", Some(&"10015.")), "{:#?}", letter.lists);
    assert!(letter.lists[0].1[1].contains("10005 more"), "{:?}", letter.lists[0].1[1]);
    assert!(
        letter.facts.iter().any(|(label, value)| *label == "Failures" && value.starts_with("10015 since")),
        "{:?}",
        letter.facts
    );
}

#[test]
fn a_late_one_says_so_first() {
    let event = event(unit("backup.service"), Outcome::Failed, ["timeout", "killed", "TERM"], 0);
    let incident = incident(&event.subject, 1, 0, State::Open);
    let failures = [(at(0), event.problem.clone())];
    let late =
        Some(Late { by: TimeDelta::minutes(390), because: Some(Because::Failed("smtp.example.org:587: connection refused")) });
    check("late", &compose(&Report { late, ..report(&event, &incident, &failures) }));
}

#[test]
fn a_test() {
    check("test", &test_letter("web1", "mail", at(0)));
}

/// Whatever a process writes into the journal: nothing of it acts in a terminal, a mail reader or a chat.
#[test]
fn hostile_texts_are_shown_and_do_nothing() {
    let event = event(
        unit("-x\\x2d*_[a]@b.service".replace(['*', '[', ']'], "").as_str()),
        Outcome::Failed,
        ["exit-code", "exited", "1"],
        0,
    );
    let incident = incident(&event.subject, 1, 0, State::Open);
    let failures = [(at(0), event.problem.clone())];
    let texts: [&[u8]; 7] = [
        b"<script>alert(1)</script> & <img src=x onerror=alert(1)>",
        b"```\n**bold** [link](http://evil.example) ``` ````",
        b"\x1b]0;title\x07\x1b[2J\x1b[31mred",
        b"Subject: injected\r\nBcc: all@example.org",
        b"not UTF-8: \xff\xfe, a NUL: \0",
        "turned \u{202e}gnp.exe\u{202c}, hidden \u{200b}space".as_bytes(),
        b"a tab\tand a backslash \\n",
    ];
    let lines = texts.map(|text| Raw { at: at(0), identifier: "<b>`evil`\n", text });
    let late = Some(Late { by: TimeDelta::minutes(6), because: Some(Because::Failed("550 <no> **such** `user`")) });
    let links = [
        "https://example.org/\"onmouseover=alert(1)",
        "https://example.org/<script>",
        "javascript:alert(1)",
        "https://example.org/\u{202e}moc",
        "http://example.org/plain?a=1&b=2",
        "https:///etc/passwd",
        "never shown: these are more than six",
    ];
    let context = Context { documentation: links.map(str::to_owned).into(), ..with_lines(&lines) };
    let letter = compose(&Report { late, context: &context, host: "web1<b>", ..report(&event, &incident, &failures) });
    assert_eq!(letter.render().html.matches("<a ").count(), 1, "only what is plain can be followed");
    check("hostile", &letter);
}

/// A channel with a form of its own loses nothing.
#[test]
fn the_parts_are_all_that_the_text_says() {
    let event = event(unit("backup.service"), Outcome::Failed, ["exit-code", "exited", "4"], 120);
    let incident = incident(&event.subject, 3, 120, State::Open);
    let failures = minutes_apart(&["3", "3", "4"]);
    let context = Context { note: Some("Its beginning may be missing.".to_owned()), ..Context::default() };
    let message = compose(&Report { context: &context, ..report(&event, &incident, &failures) }).render();
    let parts = &message.parts;
    let facts = parts.facts.iter().flat_map(|fact| [&fact.label, &fact.value]);
    let lists = parts.lists.iter().flat_map(|list| std::iter::once(&list.title).chain(&list.lines));
    let all = [&parts.lead, &parts.note].into_iter().chain(facts).chain(lists).chain(&parts.commands);
    let mut rest = message.text.clone();
    for part in all {
        let (before, after) = rest.split_once(part.as_str()).unwrap_or_else(|| panic!("{part:?} is not in {rest:?}"));
        rest = format!("{before}{after}");
    }
    let rest: String = rest.split(|c: char| c.is_whitespace() || c == ':').collect();
    assert_eq!(rest, "Tolookfurther", "nothing else is in the text");
}
