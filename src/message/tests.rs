//! Whole messages, as people get them: each in `snapshots/`. `SYSALERT_BLESS=1 cargo test --lib message` writes them.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Local, TimeDelta, Utc};
use sysalert_abi::Kind;

use super::*;
use crate::event::{Event, Manager, Outcome, Problem, Subject, UnitName, local_time};
use crate::incident::{Incident, Severity, State};

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
    Report { kind, host: "web1", event, incident, why: None, failures, context: &NOTHING, late: None }
}

fn minutes_apart(statuses: &[&str]) -> Vec<(DateTime<Utc>, Problem)> {
    let one = |(minute, status): (usize, &&str)| (at(60 * minute as i64), problem(["exit-code", "exited", status]));
    statuses.iter().enumerate().map(one).collect()
}

/// Compares every form of a letter with its file.
fn check(name: &str, letter: &Letter) {
    let Message { subject, text, html, markdown, journal } = letter.render();
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

/// Messages show local times; the snapshots are those of a machine that keeps UTC.
fn in_utc(text: &str) -> String {
    let mut text = text.to_owned();
    for time in (0..=1200).map(at) {
        text = text.replace(&local_time(time), &time.format("%a %Y-%m-%d %H:%M:%S +00:00").to_string());
        let (local, utc) = (time.with_timezone(&Local).format("%H:%M:%S "), time.format("%H:%M:%S "));
        // of an excerpt: at the begin of its line
        for begin in ["\n    ", "\n", "<pre>"] {
            text = text.replace(&format!("{begin}{local}"), &format!("{begin}{utc}"));
        }
    }
    text
}

#[test]
fn a_failure_with_several_failures() {
    let subject = unit("backup.service");
    let event =
        Event { triggered_by: Some("backup.timer".into()), ..event(subject, Outcome::Failed, ["exit-code", "exited", "3"], 120) };
    let incident = incident(&event.subject, 3, 120, State::Open);
    let lines = [
        Raw { at: at(118), identifier: "systemd", text: b"Starting backup.service - Nightly backup..." },
        Raw { at: at(119), identifier: "backup.sh", text: b"cannot reach nas: No route to host" },
        Raw {
            at: at(120),
            identifier: "systemd",
            text: b"backup.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED",
        },
    ];
    let failures = minutes_apart(&["3", "4", "3"]);
    let why = Some("2 failures before this one were ignored, as `ignore` says");
    check("failure", &compose(&Report { why, context: &with_lines(&lines), ..report(&event, &incident, &failures) }));
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
fn a_late_one_says_so_first() {
    let event = event(unit("backup.service"), Outcome::Failed, ["timeout", "killed", "TERM"], 0);
    let incident = incident(&event.subject, 1, 0, State::Open);
    let failures = [(at(0), event.problem.clone())];
    let late = Some(Late { by: TimeDelta::minutes(390), because: Some("smtp.example.org:587: connection refused") });
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
    let late = Some(Late { by: TimeDelta::minutes(6), because: Some("550 <no> **such** `user`") });
    check(
        "hostile",
        &compose(&Report { late, context: &with_lines(&lines), host: "web1<b>", ..report(&event, &incident, &failures) }),
    );
}
