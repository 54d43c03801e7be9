//! Any bytes in the journal and in unit files, through every form of a message: nothing in it acts, nothing closes the markup
//! around it, and its size has an end.

use std::thread;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use sysalert::event::{Event, Manager, Outcome, Problem, Subject, UnitName};
use sysalert::incident::{Incident, Severity};
use sysalert::message::{Because, Context, Late, Letter, Raw, Report, compose, shown, visible};
use sysalert::trigger::handler;
use sysalert_abi::{Kind, Message, testing};

/// What others wrote.
#[derive(Debug, Clone)]
struct Foreign {
    lines: Vec<(String, Vec<u8>)>,
    documentation: Vec<String>,
    sockets: Vec<String>,
    /// What a method said when the last try failed.
    answer: String,
    /// systemd's variables for the handler, in order: the result, the exit code, the status, the invocation.
    told: [String; 4],
    failures: usize,
}

pub fn fuzz(until: super::Until) -> u64 {
    super::rounds(until, &foreign(), check)
}

/// The messages that the tests of the plugins send, as sysalert composes them: of the log as much as the journal hands over.
pub fn nasty() -> usize {
    let of = |(number, message): (usize, Message)| {
        let lines = message.parts.excerpt.iter().rev().take(50).rev();
        let lines = lines.map(|line| ("backup".to_owned(), line.bytes().take(16 * 1024).collect())).collect();
        let subject: String = message.subject.chars().take(500).collect();
        // no longer than a link may be, however it is shown
        let link = subject.chars().take(30).chain(['x']).collect();
        let told = ["exit-code".to_owned(), subject.clone(), subject.clone(), subject.clone()];
        Foreign {
            lines,
            documentation: vec![link],
            sockets: vec![subject.clone()],
            answer: subject,
            told,
            failures: 1 + number % 13,
        }
    };
    let all: Vec<Foreign> = testing::nasty().enumerate().map(of).collect();
    let check_all = |some: &[Foreign]| some.iter().for_each(|foreign| check_as(Kind::Failure, foreign));
    thread::scope(|scope| all.chunks(100).for_each(|some| drop(scope.spawn(move || check_all(some)))));
    all.len()
}

fn check(foreign: Foreign) {
    let (hostile, harmless) = (bare(&foreign, visible), bare(&foreign, |_| "x".to_owned()));
    assert_eq!(markup(&hostile.markdown), markup(&harmless.markdown), "other marks than a harmless letter has");
    [Kind::Failure, Kind::Recovery].into_iter().for_each(|kind| check_as(kind, &foreign));
}

fn check_as(kind: Kind, foreign: &Foreign) {
    let plain = |_: &String| "x".to_owned();
    let (rows, message) = message(foreign, kind);
    let tame = Foreign {
        lines: vec![("x".to_owned(), b"x".to_vec()); rows],
        documentation: foreign.documentation.iter().map(plain).collect(),
        sockets: foreign.sockets.iter().map(plain).collect(),
        answer: "x".to_owned(),
        ..foreign.clone()
    };
    let (_, tame) = self::message(&tame, kind);
    is_calm(&message);
    assert_eq!(tags(&message.html), tags(&tame.html), "other elements than a harmless message has");
    assert_eq!(markup(&message.markdown), markup(&tame.markdown), "other marks than a harmless message has");
    assert_eq!(message.text.lines().count(), tame.text.lines().count(), "other lines than a harmless message has");
}

/// Without the time before each line that `shown` puts there: a block holds them all the same.
fn bare(foreign: &Foreign, text: impl Fn(&[u8]) -> String) -> Message {
    let excerpt = foreign.lines.iter().map(|(_, line)| text(line)).collect();
    Letter { excerpt, ..Letter::default() }.render()
}

/// How many lines are shown, and the message.
fn message(foreign: &Foreign, kind: Kind) -> (usize, Message) {
    let at: DateTime<Utc> = DateTime::from_timestamp(1_000_000_000, 0).unwrap();
    let raw: Vec<_> = foreign.lines.iter().map(|(identifier, text)| Raw { at, identifier, text }).collect();
    let (excerpt, _) = shown(&raw);
    let rows = excerpt.len();
    // the title tells how many secrets went: words that are ours
    let Foreign { documentation, sockets, .. } = foreign.clone();
    let context = Context { excerpt, documentation, sockets, ..Context::default() };
    let unit = UnitName::typed("backup@\\x2d.service").unwrap();
    let names = ["MONITOR_SERVICE_RESULT", "MONITOR_EXIT_CODE", "MONITOR_EXIT_STATUS", "MONITOR_INVOCATION_ID"];
    let environment = |name: &str| names.iter().position(|known| *known == name).map(|place| foreign.told[place].clone());
    let outcome = if kind == Kind::Recovery { Outcome::Succeeded } else { Outcome::Failed };
    let event = handler::event(&Manager::System, &unit, outcome, &environment, || "boot".to_owned(), at);
    let event = Event { start: Some(sysalert::event::Start::Other), ..event };
    let incident = Incident::begin(1, Subject::unit(&Manager::System, &unit), Severity::Critical, at).failed(at, true);
    let failures: Vec<(DateTime<Utc>, Problem)> = (0..foreign.failures).map(|_| (at, event.problem.clone())).collect();
    let answer: String = visible(foreign.answer.as_bytes()).chars().take(500).collect();
    let late = Some(Late { by: TimeDelta::seconds(400), because: Some(Because::Failed(&answer)) });
    let report = Report {
        kind,
        host: "web1",
        event: &event,
        incident: &incident,
        why: None,
        failures: &failures,
        left_out: 0,
        flapping: None,
        again: None,
        acknowledge: false,
        context: &context,
        late,
        is_own: false,
    };
    (rows, compose(&report).render())
}

/// Nothing that acts, and no more than a mail may have.
fn is_calm(message: &Message) {
    assert!(!message.subject.chars().any(super::acts), "the subject acts: {:?}", message.subject);
    for (text, most) in [
        (&message.text, 80_000),
        (&message.html, 700_000),
        (&message.markdown, 80_000),
        (&message.journal, 60_000),
        (&message.subject, 500),
    ] {
        assert!(!text.chars().any(|c| c != '\n' && super::acts(c)), "it acts: {text:?}");
        assert!(text.chars().count() <= most, "{} characters, more than {most}", text.chars().count());
    }
}

/// The elements, without the links, of which each leads to a place in the web; what stands between them has no markup.
fn tags(html: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    for (number, piece) in html.split('<').enumerate().filter(|(_, piece)| !piece.is_empty()) {
        assert!(number > 0, "text before the first element");
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("an element without an end: {piece:?}"));
        let is_style = tag.starts_with("style");
        assert!(is_style || !text.contains(['>', '"', '\'']), "not escaped: {text:?}");
        for entity in text.split('&').skip(1) {
            assert!(
                ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|known| entity.starts_with(known)),
                "not escaped: {entity:?}"
            );
        }
        match tag.strip_prefix("a href=\"").and_then(|link| link.strip_suffix('"')) {
            Some(link) => {
                assert!(link.starts_with("https://") || link.starts_with("http://"), "a link to elsewhere: {link:?}");
                assert!(!link.contains(['"', '\'', ' ', '\\']), "more than a link: {link:?}");
            }
            None if tag == "/a" => {}
            None => tags.push(tag),
        }
    }
    tags
}

/// The marks that are not escaped, and the fences: each is closed by the line that is meant to.
fn markup(markdown: &str) -> Vec<String> {
    let mut marks = Vec::new();
    let mut fence: Option<usize> = None;
    for line in markdown.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(open) if ticks >= open && line.len() == ticks => {
                marks.push("close".to_owned());
                fence = None;
            }
            // a line of the block, whatever it holds
            Some(_) => marks.push("line".to_owned()),
            None if ticks >= 3 => {
                marks.push("open".to_owned());
                fence = Some(ticks);
            }
            None => {
                let mut escaped = false;
                let is_mark = |c: char| {
                    let is_mark = !escaped && "`*_[]<>#|~!".contains(c);
                    escaped = c == '\\' && !escaped;
                    is_mark
                };
                marks.push(
                    line.chars()
                        .filter({
                            let mut is_mark = is_mark;
                            move |c| is_mark(*c)
                        })
                        .collect(),
                );
            }
        }
    }
    assert_eq!(fence, None, "a fence that is not closed");
    marks
}

fn foreign() -> impl Strategy<Value = Foreign> {
    let line = (prop_oneof![Just("backup".to_owned()), super::hostile()], prop_oneof![30 => super::bytes(), 1 => long()]);
    let told = || {
        let words = ["exit-code", "signal", "timeout", "success", "dumped", "exited", "killed", "3", "KILL", "", "a\nb", "<b>"];
        prop_oneof![3 => select(words.map(str::to_owned).to_vec()), 1 => super::hostile()]
    };
    let texts = || prop::collection::vec(super::hostile(), 0..4);
    let told = [told().boxed(), told().boxed(), told().boxed(), super::hostile().boxed()];
    let parts = (prop::collection::vec(line, 0..12), texts(), texts(), super::hostile(), told, 1..14usize);
    parts.prop_map(|(lines, documentation, sockets, answer, told, failures)| {
        // one that is shown and one that is not differ in number, not in kind
        let documentation = documentation.into_iter().map(|link| link.chars().take(90).chain(['x']).collect()).collect();
        Foreign { lines, documentation, sockets, answer, told, failures }
    })
}

/// As long as the journal hands them over.
fn long() -> impl Strategy<Value = Vec<u8>> {
    super::bytes().prop_map(|bytes| bytes.repeat(16 * 1024 / (bytes.len() + 1) + 1))
}
