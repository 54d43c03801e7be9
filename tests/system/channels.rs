//! One failure and its recovery through every installed plugin at once, by the documentation's own configurations: each channel has
//! both, each once, right and whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::alertmanager::{FIRST, SECOND, cluster, is_open, notifications};
use crate::guest::{Guest, Options};
use crate::readme::configuration;
use crate::services::{CHANNELS, Channel, ESCAPED, LAST, calls, secret, serve};
use crate::syslog;

const UNIT: &str = "backup.service";
/// As with the drop-in of the documentation.
const SERVICE: &str = "[Unit]
OnFailure=sysalert-failure@%n.service
OnSuccess=sysalert-success@%n.service
[Service]
Type=oneshot
ExecStart=/bin/sh /usr/local/bin/backup
";

/// A message as it arrived.
#[derive(Debug)]
struct Arrived {
    method: String,
    is_recovery: bool,
    /// All that its reader sees, and how the end of the log must stand in it.
    text: String,
    last: Vec<&'static str>,
}

impl Arrived {
    /// A recovery is told as one by its subject, or where none is shown by its first sentence.
    fn new(method: &str, text: String, last: &[&'static str]) -> Self {
        let is_recovery = ["backup.service recovered on ", " is well again."].iter().any(|words| text.contains(words));
        Self { method: method.to_owned(), is_recovery, text, last: last.to_vec() }
    }
}

/// What has arrived by each plugin. One that is installed and does not stand here fails the test.
type Look = fn(&Guest) -> Vec<Arrived>;
const PLUGINS: &[(&str, Look)] = &[
    ("alertmanager", |guest| {
        let one = |alert: &Value| Arrived {
            is_recovery: alert["status"] == "resolved",
            ..Arrived::new("fleet", texts(alert), &[LAST])
        };
        notifications(guest, UNIT).iter().map(one).collect()
    }),
    ("command", |guest| requests(guest, "phone", "/var/log/sysalert/notified")),
    ("email", |guest| {
        let mails = guest.mails();
        assert!(mails.iter().all(|mail| mail.defects.is_empty()), "{mails:#?}");
        let text = |html: Option<String>| html.unwrap_or_default();
        let one = |mail: crate::mail::Mail| format!("{}\n{}\n{}", mail.subject, mail.text, text(mail.html));
        mails.into_iter().map(|mail| Arrived::new("email", one(mail), &[LAST, ESCAPED])).collect()
    }),
    ("file", |guest| requests(guest, "log", "/var/log/sysalert/alerts.json")),
    ("journal", |guest| {
        let entries =
            guest.journal(&["-o", "json", "SYSLOG_IDENTIFIER=sysalert", "SYSALERT_KIND=failure", "SYSALERT_KIND=recovery"]);
        let entries = entries.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        // the log is the journal's own; an entry says how to see it
        let see = |entry: &Value| {
            let command = entry["MESSAGE"].as_str().unwrap().lines().find_map(|line| line.strip_prefix("see: "));
            command.map_or_else(String::new, |command| guest.sh(command).ok())
        };
        entries.map(|entry| Arrived::new("journal", format!("{}\n{}", texts(&entry), see(&entry)), &[LAST])).collect()
    }),
    ("syslog", |guest| {
        let received = guest.read_file("/var/log/received");
        let (lines, heads): (Vec<&str>, Vec<&str>) =
            received.lines().filter(|line| line.contains("|sysalert|")).partition(|line| line.contains(" line=\""));
        let key = |line: &str| line.split_once("idempotency_key=\"").unwrap().1.split('"').next().unwrap().to_owned();
        let whole = |head: &&str| {
            let rest = lines.iter().filter(|line| key(line) == key(head)).copied();
            std::iter::once(*head).chain(rest).collect::<Vec<_>>().join("\n")
        };
        heads.iter().map(|head| Arrived::new("loghost", whole(head), &[LAST])).collect()
    }),
    ("telegram", |guest| posted(guest, |channel| channel.method == "telegram")),
    ("webhook", |guest| posted(guest, |channel| !["telegram", ""].contains(&channel.method))),
];

/// All texts of a JSON value, one a line.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(values) => values.iter().map(texts).collect(),
        Value::Object(fields) => fields.values().map(texts).collect(),
        _ => String::new(),
    }
}

/// The messages of requests, each a line of JSON.
fn requests(guest: &Guest, method: &str, file: &str) -> Vec<Arrived> {
    let read = guest.read_file(file);
    let one = |line: &str| texts(&serde_json::from_str::<Value>(line).unwrap()["message"]);
    read.lines().map(|line| Arrived::new(method, one(line), &[LAST])).collect()
}

fn posted(guest: &Guest, is_meant: impl Fn(&Channel) -> bool) -> Vec<Arrived> {
    let of = |call: &Value| CHANNELS.iter().find(|channel| call["host"] == channel.host).unwrap();
    let calls = calls(guest);
    // with the last recovery PagerDuty is told that an alert about very many is over, too, should there be one
    let storm = |call: &Value| call["body"]["dedup_key"].as_str().is_some_and(|key| key.ends_with("/storm"));
    let told = calls.iter().filter(|call| !storm(call));
    let mine = told.map(|call| (of(call), call)).filter(|(channel, _)| is_meant(channel));
    mine.map(|(channel, call)| Arrived::new(channel.method, texts(&call["body"]), channel.last)).collect()
}

/// Runs the service to its end. It waits for the journal, which knows the run of no process that is gone before it looks.
fn run(guest: &Guest, status: i32) {
    guest.write_file("/usr/local/bin/backup", &format!("echo 'the begin'; echo '{LAST}'; journalctl --sync; exit {status}\n"));
    assert_eq!(guest.run(&["systemctl", "start", UNIT]).success(), status == 0);
}

/// Each method has these messages and no other: `false` for a failure.
#[track_caller]
fn check(guest: &Guest, methods: &[(String, String)], expected: &[bool]) {
    let mut found: BTreeMap<String, Vec<Arrived>> = BTreeMap::new();
    let plugins: BTreeSet<&str> = methods.iter().map(|(_, plugin)| plugin.as_str()).collect();
    for (_, look) in PLUGINS.iter().filter(|(plugin, _)| plugins.contains(plugin)) {
        for arrived in look(guest) {
            found.entry(arrived.method.clone()).or_default().push(arrived);
        }
    }
    let known: Vec<&String> = methods.iter().map(|(method, _)| method).collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), known);
    for (method, arrived) in found {
        let kinds: Vec<bool> = arrived.iter().map(|one| one.is_recovery).collect();
        assert_eq!(kinds, expected, "{method}: {arrived:#?}");
        for one in &arrived {
            assert!(one.text.contains(UNIT) && one.text.contains(guest.name()), "{method}: {}", one.text);
            if one.is_recovery {
                continue;
            }
            assert!(one.text.contains("exited with status 3"), "{method}: {}", one.text);
            assert!(one.last.iter().all(|last| one.text.contains(last)), "{method}: {:?} {}", one.last, one.text);
            // where it must be escaped, it is so everywhere
            assert!(one.last.contains(&LAST) || !one.text.contains("<b>&"), "{method}: {}", one.text);
        }
    }
}

#[test]
fn one_failure_arrives_by_every_plugin_and_its_recovery_resolves_it() {
    let guest = Guest::boot_on(252, "channels", Options::new().mail_server());
    serve(&guest);
    let notify = "#!/bin/sh\ncat >>/var/log/sysalert/notified; echo >>/var/log/sysalert/notified\n";
    guest.run_input(&["install", "-m", "0755", "/dev/stdin", "/usr/local/bin/notify"], notify).ok();
    secret(&guest, "phone-token", "hunter2");
    let sections = [
        configuration("[method.email]").replace("smtp.example.org", "mail.example.test"),
        configuration("[method.journal]").to_owned(),
        configuration("plugin = \"command\"").to_owned(),
        format!("{}lines = true\n", syslog::server(&guest)),
        configuration("[method.slack]").to_owned(),
        configuration("[method.telegram]").to_owned(),
        configuration("[heartbeat]").replace("\"5m\"", "\"1m\""),
        cluster(&guest),
    ];
    guest.configure(&sections.join("\n"));
    guest.sysalert(&["config", "check"]).ok();

    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut methods: Vec<(String, String)> = guest
        .sysalert(&["methods", "-o", "json"])
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(&row["method"]), text(&row["plugin"])))
        .collect();
    methods.sort();
    let used: BTreeSet<&str> = methods.iter().map(|(_, plugin)| plugin.as_str()).collect();
    let installed = guest.sh("cd /usr/lib/sysalert/plugins; ls *.so").ok();
    let mut installed: BTreeSet<&str> = installed.lines().map(|file| file.trim_end_matches(".so")).collect();
    assert!(installed.remove("processes"), "the watchdog's library lies there, too, and is no method");
    let tested: BTreeSet<&str> = PLUGINS.iter().map(|(plugin, _)| *plugin).collect();
    assert_eq!((&used, &tested), (&installed, &installed), "each plugin has a method, and a row here");

    guest.write_unit(UNIT, SERVICE);
    run(&guest, 3);
    guest.wait_until("it is recorded", || guest.number("SELECT count(*) FROM alerts WHERE kind = 'failure'") == 1);
    guest.settle();
    for member in [FIRST, SECOND] {
        guest.wait_until("each member has it", || is_open(&guest, member, UNIT));
    }
    guest.wait_until("that is notified", || notifications(&guest, UNIT).len() == 1);
    let has_all = |severity: &str| {
        let received = guest.read_file("/var/log/received");
        received.lines().any(|line| line.starts_with(&format!("tls|1|daemon|{severity}|")) && line.contains("sysalert explain"))
    };
    guest.wait_until("rsyslog has written all of it", || has_all("err"));
    guest.wait_for_mails(1);
    check(&guest, &methods, &[false]);

    FIRST.stop(&guest);
    run(&guest, 0);
    guest.wait_until("it is recorded", || guest.number("SELECT count(*) FROM alerts WHERE kind = 'recovery'") == 1);
    guest.settle();
    guest.wait_until("the member that is left has it no more", || !is_open(&guest, SECOND, UNIT));
    guest.wait_until("that is notified", || notifications(&guest, UNIT).len() == 2);
    guest.wait_until("rsyslog has written all of it", || has_all("notice"));
    guest.wait_for_mails(2);
    check(&guest, &methods, &[false, true]);

    // the record has each of these deliveries, and no try more
    let history = guest.sysalert(&["history", UNIT, "-o", "json"]).json();
    let events = history.as_array().unwrap();
    assert_eq!(events.len(), 2, "{history:#}");
    for (event, kind) in events.iter().zip(["failure", "recovery"]) {
        let deliveries = event["deliveries"].as_array().unwrap();
        assert!(deliveries.iter().all(|one| one["alert"] == kind && one["status"] == "sent"), "{deliveries:#?}");
        let mut by: Vec<String> = deliveries.iter().map(|one| text(&one["method"])).collect();
        by.sort();
        assert_eq!(by, methods.iter().map(|(method, _)| method.clone()).collect::<Vec<_>>());
    }
    // where a channel knows that it is over, it is told so
    let calls = calls(&guest);
    let of = |host: &str| calls.iter().filter(|call| call["host"] == host).collect::<Vec<_>>();
    let pages: Vec<_> =
        of("events.pagerduty.com").iter().map(|call| (&call["body"]["event_action"], &call["body"]["dedup_key"])).collect();
    assert_eq!((pages[0].0, pages[1].0, pages[0].1), (&json!("trigger"), &json!("resolve"), pages[1].1));
    let paths = |host: &str| of(host).iter().map(|call| text(&call["path"])).collect::<Vec<_>>();
    assert_eq!(paths("hc-ping.com"), ["/key-of-healthchecks/fail", "/key-of-healthchecks"]);
    // a sign of life is a run's begin and its good end; the newest one may not have ended
    let beats = paths("heartbeat.example.org");
    assert!(beats.len() >= 2, "{beats:?}");
    for beat in beats.chunks_exact(2) {
        assert_eq!(beat, ["/key-of-heartbeat/start", "/key-of-heartbeat"], "{beats:?}");
    }
    // and the secrets went to the channels alone
    for command in [&["status"][..], &["methods"], &["config", "show"], &["history", UNIT], &["explain", UNIT]] {
        let shown = guest.sysalert(command).ok();
        assert!(!shown.contains("key-of-"), "{command:?}\n{shown}");
    }
    assert!(!guest.journal(&[]).contains("key-of-"));
}
