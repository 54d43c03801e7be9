//! Sensors as they are installed: the unit in its sandbox, and the life of a disk that fills.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::guest::{Guest, Options};

const UNIT: &str = "sysalert-check@sensors.service";

/// One disk, and nothing else of the machine that the test happens to run on.
const CONFIG: &str = r#"
[method.second]
plugin = "file"
path = "/var/log/sysalert/second.json"
[policy]
methods = ["log"]
remind = "2s"
escalate_to = ["second"]
escalate_after = "1s"
[sensor.storage]
every = "0s"
exclude = ["*"]
include = ["/srv/data"]
[sensor.cpu]
enabled = false
[sensor.memory]
enabled = false
[sensor.pressure]
enabled = false
[sensor.iostuck]
enabled = false
[sensor.ssh]
enabled = false
[sensor.units]
enabled = false
[services]
grace_after_boot = "0s"
"#;

/// The disk is so full, in percent, and the unit measures it.
#[track_caller]
fn filled(guest: &Guest, percent: u32) {
    let pages = percent * 20 * 1024 / 100 / 4;
    guest.sh(&format!("rm -f /srv/data/x && head -c {} /dev/zero >/srv/data/x", pages * 4096)).ok();
    guest.run(&["systemctl", "start", UNIT]).ok();
    assert_eq!(guest.property(UNIT, "Result"), "success", "a warning is no failed unit");
}

/// The subjects of the alerts of this kind, each once: how often somebody is reminded is up to the clock.
fn told(guest: &Guest, kind: &str) -> Vec<String> {
    let mut subjects: Vec<String> =
        guest.alerts().into_iter().filter(|alert| alert.kind == kind).map(|alert| alert.subject).collect();
    subjects.dedup();
    subjects
}

fn a_life(systemd: u32) {
    let guest = Guest::boot_on(systemd, "disk", Options::new());
    guest.sh("mkdir -p /srv/data && mount -t tmpfs -o size=20m disk /srv/data").ok();
    guest.begin(CONFIG);
    filled(&guest, 80);
    guest.look_again();
    assert!(guest.alerts().is_empty(), "{:?}", guest.alerts());

    filled(&guest, 92);
    guest.quiet();
    let first = "storage /srv/data: bytes_used_percent is 92.0 %, more than 90 %";
    assert_eq!(told(&guest, "failure"), [first]);
    let alert = &guest.alerts()[0];
    assert_eq!(alert.json["incident"]["severity"], "warning");
    assert!(alert.text.contains("df -h /srv/data") && alert.text.contains("sysalert ack check:storage:/srv/data:low_disk"));
    for percent in [87, 91, 86, 95] {
        filled(&guest, percent);
    }
    guest.look_again();
    assert_eq!((told(&guest, "failure"), told(&guest, "recovery")), (vec![first.to_owned()], vec![]), "no chatter");
    guest.wait_until("somebody is reminded, and told what it is by now", || {
        guest.run(&["systemctl", "start", "sysalert-dispatch.service"]);
        guest.alerts().iter().any(|alert| alert.kind == "reminder" && alert.text.contains("By now       95.0 %"))
    });
    guest.wait_until("others are told, since nobody acknowledges it", || {
        guest.run(&["systemctl", "start", "sysalert-dispatch.service"]);
        guest.sh("cat /var/log/sysalert/second.json").stdout.contains("Nobody has acknowledged it within 1s")
    });

    filled(&guest, 98);
    guest.quiet();
    let worse = "storage /srv/data is critical: bytes_used_percent is 98.0 %, more than 97 %";
    // its host stands in the middle of the words
    let failures: Vec<String> = told(&guest, "failure");
    assert_eq!(failures, [first, worse]);
    assert_eq!(guest.alerts().iter().rfind(|alert| alert.kind == "failure").unwrap().json["incident"]["severity"], "critical");

    guest.sysalert(&["ack", "check:storage:/srv/data:low_disk", "--reason", "I look at it"]).ok();
    guest.quiet();
    let reminders = guest.alerts().len();
    filled(&guest, 99);
    guest.look_again();
    assert_eq!(guest.alerts().len(), reminders, "who acknowledged it is left alone");
    assert!(guest.sysalert(&["status"]).ok().contains("acknowledged by"));

    filled(&guest, 50);
    guest.quiet();
    assert_eq!(told(&guest, "recovery"), ["storage /srv/data is well again: bytes_used_percent is 50.0 %"]);
    assert!(guest.sh("cat /var/log/sysalert/second.json").ok().contains("well again"), "who was told hears of the end");
    let row = guest.sysalert(&["db", "list", "--all", "-o", "json"]).json();
    assert_eq!((&row[0]["state"], &row[0]["failures"]), (&"resolved".into(), &2.into()), "{row}");
}

#[test]
fn the_life_of_a_disk_on_252() {
    a_life(252);
}

#[test]
fn the_life_of_a_disk_on_257() {
    a_life(257);
}

/// What a report says that does not change from one moment to the next.
fn lasting(report: &Value) -> BTreeMap<String, Value> {
    let monitors = report["monitors"].as_object().unwrap();
    let mut lasting = BTreeMap::new();
    for (name, monitor) in monitors {
        lasting.insert(format!("{name} status"), monitor["status"].clone());
        lasting.insert(format!("{name} why"), monitor["why"].clone());
    }
    for (mount, metrics) in monitors["storage"]["metrics"].as_object().unwrap() {
        for metric in ["bytes_total", "inodes_total", "read_only", "turned_read_only"] {
            lasting.insert(format!("{mount} {metric}"), metrics[metric].clone());
        }
    }
    lasting.insert("missing".to_owned(), monitors["storage"]["missing"].clone());
    // that all tasks are seen
    lasting.insert("stuck".to_owned(), monitors["iostuck"]["metrics"]["d_state_task_count"].clone());
    lasting
}

fn sandboxed(systemd: u32) {
    let guest = Guest::boot_on(systemd, "sandboxed", Options::new());
    guest
        .sh("for place in /srv/box /home/box /tmp/box /var/tmp/box /root/box; do
                mkdir -p $place && mount -t tmpfs -o size=5m box $place
            done
            mount -o remount,ro /srv/box")
        .ok();
    guest.begin("[sensors]\nreport_dir = \"/var/lib/sysalert/reports\"\n[services]\ngrace_after_boot = \"0s\"\n");
    let started = guest.run(&["systemctl", "start", UNIT]);
    assert!(started.success(), "{started}{}", guest.journal(&["-u", UNIT]));
    let inside: Value = serde_json::from_str(&guest.sh("cat /var/lib/sysalert/reports/sensors-*.json").ok()).unwrap();
    guest.sh("mkdir /srv/own && chown sysalert: /srv/own").ok();
    let shell = guest.run(&[
        "setpriv",
        "--reuid=sysalert",
        "--regid=sysalert",
        "--init-groups",
        "sysalert",
        "--state-dir",
        "/srv/own",
        "check",
        "sensors",
        "--report",
        "json",
    ]);
    let outside: Value = serde_json::from_str(&shell.stdout).unwrap_or_else(|error| panic!("{error}: {shell}"));
    let (inside, outside) = (lasting(&inside), lasting(&outside));
    let differences: Vec<_> = inside.iter().filter(|(key, value)| outside.get(*key) != Some(value)).collect();
    assert!(differences.is_empty() && inside.len() == outside.len(), "{differences:?}\n{inside:#?}\n{outside:#?}");
    for place in ["/srv/box", "/home/box", "/tmp/box", "/var/tmp/box"] {
        assert!(inside.contains_key(&format!("{place} bytes_total")), "{place}: {inside:#?}");
    }
    let exposure = guest.sh(&format!("systemd-analyze security --no-pager {UNIT} | tail -1")).ok();
    let figure = exposure.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    assert!(figure.is_some_and(|figure| figure <= 2.2), "{exposure}");
}

#[test]
fn in_its_sandbox_the_unit_measures_the_same_on_252() {
    sandboxed(252);
}

#[test]
fn in_its_sandbox_the_unit_measures_the_same_on_257() {
    sandboxed(257);
}
