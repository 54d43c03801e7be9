//! Messages for the tests of plugins: an ordinary one, and five hundred nasty ones.

use serde_json::{Value, json};

use crate::{Fact, Incident, Kind, List, Member, Message, Parts, Request};

/// How many messages [`nasty`] gives.
pub const NASTY: usize = 500;

/// A failure of backup.service on web1, to be sent with this section.
pub fn request(config: Value) -> Request {
    let time = "2026-11-21T02:12:26.000Z";
    let log = "03:12:26 backup: 712 of 1311 files copied\n03:12:26 backup: rsync: write failed: No space left on device (28)\n";
    let block: String = log.lines().map(|line| format!("    {line}\n")).collect();
    let request = json!({
        "schema": 1, "nonce": "n", "kind": "failure", "host": "web1", "service_name": "backup.service",
        "failures": [{
            "service_result": "exit-code", "exit_code": "exited", "exit_status": "11", "timestamp": time,
            "invocation_id": "27958a5008624b39838d249d6fa93b04", "alert_method": null, "triggered_by": "backup.timer"
        }],
        "incident": {
            "id": 7, "subject": "unit:backup.service", "manager": "system", "state": "open", "severity": "critical",
            "failures": 1, "first_failure": time, "last_failure": time
        },
        "message": {
            "subject": "backup.service failed on web1: exited with status 11",
            "text": format!("backup.service on web1 failed: exited with status 11.\n\nHost      web1\nUnit      backup.service\n\nThe run's last lines:\n{block}\nTo look further:\n    systemctl status backup.service\n"),
            "html": "<p>backup.service failed</p>", "markdown": "**backup.service failed**", "journal": log
        },
        "idempotency_key": "27958a5008624b39838d249d6fa93b04.chat", "deadline_ms": 20_000, "config": config
    });
    serde_json::from_value(request).unwrap_or_else(|error| unreachable!("a request: {error}"))
}

/// The incidents of a digest, each like this one but for its unit: `unit-1.service` and so on, of these kinds and severities.
pub fn members(like: &Incident, kinds: &[(Kind, &str)]) -> Vec<Member> {
    let member = |(number, (kind, severity)): (i64, &(Kind, &str))| {
        let unit = format!("unit-{number}.service");
        let subject = format!("{unit} {} on web1", if *kind == Kind::Recovery { "recovered" } else { "failed" });
        Member {
            kind: *kind,
            incident: Incident { id: number, subject: format!("unit:{unit}"), severity: (*severity).to_owned(), ..like.clone() },
            failure: None,
            parts: Parts { lead: format!("{subject}."), ..Parts::default() },
            subject,
            service_name: unit,
        }
    };
    (1..).zip(kinds).map(member).collect()
}

/// What acts in one channel or another: markup, mentions, ends of fences, of quotes, of lines, of fields.
const MARKUP: &[&str] = &[
    "```",
    "``",
    "`",
    "~~~",
    "**",
    "__",
    "*b*",
    "_i_",
    "~s~",
    "||spoiler||",
    "\\",
    "\\\\\"",
    "\"",
    "'",
    "{{",
    "}}",
    "{% raw %}",
    "{{DATE(2026-11-21T02:12:26Z,SHORT)}}",
    "${HOME}",
    "$(reboot)",
    "%s%n",
    "@everyone",
    "@here",
    "@channel",
    "@all",
    "@HERE",
    "@Channel",
    "@room",
    "<!channel>",
    "<!here|here>",
    "<@U012AB3CD>",
    "<@&123456789>",
    "<#C1>",
    "<users/all>",
    "<https://evil.example|backup>",
    "[backup](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<b>",
    "</pre>",
    "</code>",
    "</body>",
    "<at>all</at>",
    "<script>alert(1)</script>",
    "<!--",
    "]]>",
    "&amp;",
    "&lt;",
    "&",
    ":rotating_light:",
    "# h",
    "> quote",
    "- item",
    "1. one",
    "| a | b |",
    "\r\n.\r\n",
    "\r\nSubject: x\r\n\r\n",
    "\0",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{200d}",
    "\u{feff}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{f8f0}0\u{f8f1}",
    "a=b&c=d",
    "+%00",
    "e\u{301}\u{301}\u{301}",
    "👩‍👩‍👧‍👦",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "𝕏",
    "\n\n\n",
    "    ",
    "\t",
];

/// Five hundred messages that each test of a plugin sends: between them they hold every character of Unicode, the markup of
/// every channel, a line of a megabyte, no text, and nothing at all. They are the same each time.
pub fn nasty() -> impl Iterator<Item = Message> {
    (0..NASTY).map(|number| match number {
        0 => Message::default(),
        1 => message("", &vec![String::new(); 40]),
        2 => message("\n\0\u{202e}\u{200b}", &[" ".into(), "\0".into()]),
        3 => message("a line of a megabyte", &[format!("begin {} end", "x".repeat(1 << 20))]),
        4 => message("a line of a megabyte", &["one".into(), format!("begin {} end", "😀`<&\"".repeat(1 << 17)), "last".into()]),
        5 => message(&"subject ".repeat(10_000), &(0..10_000).map(|line| format!("line {line}")).collect::<Vec<_>>()),
        6 => message("everything that acts", &MARKUP.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()),
        7 => message(&MARKUP.concat(), &[MARKUP.concat().repeat(40)]),
        // what grows each time that it is quoted
        8 => message("\"\\\"", &vec!["\"\\".repeat(300); 60]),
        _ => mixed(number),
    })
}

/// A part of Unicode, and markup by chance.
fn mixed(number: usize) -> Message {
    const REST: usize = NASTY - 9;
    let all = 0x11_0000_usize;
    let part = all.div_ceil(REST);
    let first = (number - 9) * part;
    let unicode: Vec<char> =
        (first..(first + part).min(all)).filter_map(|code| char::from_u32(u32::try_from(code).ok()?)).collect();
    let mut dice = Dice(number as u64);
    let mut lines: Vec<String> = unicode.chunks(1 + dice.below(200)).map(|some| some.iter().collect()).collect();
    for _ in 0..dice.below(60) {
        let place = dice.below(lines.len() + 1);
        let words: Vec<&str> = (0..dice.below(9)).map(|_| MARKUP[dice.below(MARKUP.len())]).collect();
        lines.insert(place, words.join(["", " ", "x"][dice.below(3)]).repeat(1 + dice.below(3)));
    }
    let subject: String = unicode.iter().take(dice.below(100)).collect();
    message(&(subject + MARKUP[dice.below(MARKUP.len())]), &lines)
}

/// A message with this log, laid out as messages are, but for HTML and Markdown, in which nothing is escaped: a plugin has to
/// pass them on as they are. That sysalert escapes is shown by `tests/fuzz`, with these very messages.
fn message(subject: &str, log: &[String]) -> Message {
    let log: Vec<String> = log.iter().flat_map(|line| line.split('\n')).map(|line| format!("03:12:26 a: {line}")).collect();
    let block: String = log.iter().map(|line| format!("    {line}\n")).collect();
    Message {
        subject: subject.to_owned(),
        text: format!("{subject}.\n\nHost  web1\n\nThe run's last lines:\n{block}\nTo look further:\n    systemctl status a\n"),
        html: format!("<!DOCTYPE html>\n<h1>{subject}</h1>\n<pre>{block}</pre>\n"),
        markdown: format!("**{subject}**\n\n```\n{block}```\n"),
        journal: log.join("\n"),
        parts: Parts {
            lead: format!("{subject}."),
            facts: vec![
                Fact { label: "Host".into(), value: "web1".into() },
                Fact { label: subject.into(), value: subject.into() },
            ],
            see: vec![subject.to_owned()],
            excerpt_title: "The run's last lines (2 secrets were removed)".into(),
            note: subject.to_owned(),
            lists: vec![List { title: subject.to_owned(), lines: log.iter().take(20).cloned().collect() }],
            commands: vec!["systemctl status a".into(), subject.to_owned()],
            excerpt: log,
        },
        own: Vec::new(),
    }
}

/// The [`nasty`] messages as requests with this section, of every kind.
pub fn nasty_requests(config: &Value) -> impl Iterator<Item = Request> {
    let config = config.clone();
    nasty().enumerate().map(move |(number, message)| {
        let kinds = [Kind::Failure, Kind::Recovery, Kind::Reminder, Kind::Digest, Kind::Test];
        let kind = kinds[number % kinds.len()];
        let ordinary = request(config.clone());
        let incident = ordinary.incident.clone().filter(|_| !matches!(kind, Kind::Digest | Kind::Test));
        // the machine may be busy with other tests
        let deadline_ms = 120_000;
        Request { kind, incident, message, deadline_ms, idempotency_key: format!("{number}.chat"), ..ordinary }
    })
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_character_is_there() {
        let seen: HashSet<char> = nasty().flat_map(|message| message.text.chars().collect::<Vec<_>>()).collect();
        let missing = (0..=0x10_ffff).filter_map(char::from_u32).find(|c| !seen.contains(c));
        assert_eq!(missing, None);
        assert_eq!((nasty().count(), nasty().collect::<Vec<_>>() == nasty().collect::<Vec<_>>()), (NASTY, true));
    }
}
