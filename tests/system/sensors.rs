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
include = ["/srv/data", "/srv/closed/disk"]
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

    // once is enough: it is the kernel that bars the way, and Debian 13's tree has no setfacl
    if systemd == 252 {
        out_of_reach(&guest);
    }

    let timers = ["sysalert-check@sensors.timer", "sysalert-check@services.timer"];
    guest.run(&["systemctl", "enable", "--now", timers[0]]).ok();
    soon(&guest, timers[0]);
    for timer in timers {
        guest.run(&["systemctl", "restart", timer]).ok();
        soon(&guest, timer);
    }
    guest.reboot();
    for timer in timers {
        guest.wait_until("the timer is up", || guest.property(timer, "ActiveState") == "active");
        soon(&guest, timer);
    }
}

/// A disk below a folder of somebody else's: that nobody watches it is told once, and what the message advises helps.
#[track_caller]
fn out_of_reach(guest: &Guest) {
    guest
        .sh("mkdir -p /srv/closed/disk; mount -t tmpfs -o size=5m /dev/box /srv/closed/disk; chown daemon /srv/closed; chmod 700 /srv/closed")
        .ok();
    let about = |kind: &str| {
        let alerts = guest.alerts().into_iter().filter(|alert| alert.kind == kind && alert.text.contains("/srv/closed/disk"));
        alerts.collect::<Vec<_>>()
    };
    // root's run in a shell sees what the unit sees
    for run in [&["systemctl", "start", UNIT][..], &["sysalert", "check", "sensors"], &["systemctl", "start", UNIT]] {
        guest.run(run);
        guest.quiet();
        let told = about("failure");
        assert_eq!(told.len(), 1, "{run:?}: {told:?}");
        assert_eq!(told[0].subject, "storage /srv/closed/disk: out of reach");
    }
    let told = about("failure").remove(0).text;
    assert!(told.contains("/srv/closed may not be entered by the user sysalert: nobody watches"), "{told}");
    let advice = told.split('`').find(|words| words.starts_with("setfacl ")).unwrap_or_else(|| panic!("{told}"));
    guest.sh(advice).ok();
    guest.run(&["systemctl", "start", UNIT]).ok();
    guest.quiet();
    let well: Vec<String> = about("recovery").into_iter().map(|alert| alert.subject).collect();
    assert_eq!(well, ["storage /srv/closed/disk is well again: no longer out of reach"]);
    guest.sh("head -c 5000000 /dev/zero >/srv/closed/disk/x").ok();
    guest.run(&["systemctl", "start", UNIT]).ok();
    guest.quiet();
    assert!(about("failure").iter().any(|alert| alert.subject.contains("bytes_used_percent is 9")), "{:?}", about("failure"));
    let listed = guest.run(&["setpriv", "--reuid=sysalert", "--clear-groups", "ls", "/srv/closed"]);
    assert!(!listed.success(), "it may pass, and no more: {listed}");
}

/// Seconds after it was started the timer starts its check, whatever the time of day.
#[track_caller]
fn soon(guest: &Guest, timer: &str) {
    let path = format!("/org/freedesktop/systemd1/unit/{}", timer.replace('-', "_2d").replace('@', "_40").replace('.', "_2e"));
    // microseconds since the boot
    let moment = |interface: &str, property: &str| {
        let interface = format!("org.freedesktop.systemd1.{interface}");
        let told = guest.run(&["busctl", "get-property", "org.freedesktop.systemd1", &path, &interface, property]).ok();
        told.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let began = moment("Unit", "ActiveEnterTimestampMonotonic");
    let times = guest.run(&["systemctl", "show", "-P", "TimersMonotonic", timer]).ok();
    assert!(times.contains("OnActiveUSec=5s"), "{timer}: {times}");
    guest.wait_until("the timer has fired", || moment("Timer", "LastTriggerUSecMonotonic") > began);
    let service = timer.replace(".timer", ".service");
    guest.wait_until("its check has run", || {
        let main = guest.property(&service, "ExecMainExitTimestampMonotonic").parse::<u64>().unwrap();
        main > began && guest.property(&service, "Result") == "success"
    });
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
    // what nobody writes to meanwhile; and who failed to log in
    for place in BOXES {
        lasting.insert(place.to_owned(), monitors["storage"]["metrics"][place].clone());
    }
    lasting.insert("failed logins".to_owned(), monitors["ssh"]["metrics"].clone());
    lasting.insert("who".to_owned(), monitors["ssh"]["details"].clone());
    lasting.insert("failed units".to_owned(), monitors["units"]["metrics"]["failed_units"].clone());
    lasting
}

/// File systems of the test's own, some where a sandbox would hide them.
const BOXES: [&str; 4] = ["/srv/box", "/home/box", "/tmp/box", "/var/tmp/box"];

/// What changes from one moment to the next, and the most that it can: the names of all that was measured are the same.
#[track_caller]
fn alike(inside: &Value, outside: &Value) {
    for (sensor, most) in [("memory", 10.0), ("pressure", 60.0), ("cpu", 60.0), ("units", 100.0)] {
        let figures = |report: &Value| {
            let metrics = report["monitors"][sensor]["metrics"].as_object().unwrap().clone();
            metrics.into_iter().map(|(name, value)| (name, value.as_f64().unwrap())).collect::<BTreeMap<_, _>>()
        };
        let (inside, outside) = (figures(inside), figures(outside));
        assert!(inside.len() >= 3 && inside.keys().eq(outside.keys()), "{sensor}: {inside:?} {outside:?}");
        for (name, inside) in inside {
            let scale = if name.ends_with("_bytes") { inside / 100.0 } else { 1.0 };
            assert!((inside - outside[&name]).abs() <= most * scale, "{name}: {inside} and {}", outside[&name]);
        }
    }
    let root = |report: &Value| report["monitors"]["storage"]["metrics"]["/"]["bytes_used"].as_f64().unwrap();
    assert!((root(inside) - root(outside)).abs() < 64e6, "{} {}", root(inside), root(outside));
}

fn sandboxed(systemd: u32) {
    let guest = Guest::boot_on(systemd, "sandboxed", Options::new());
    guest
        .sh("for place in /srv/box /home/box /tmp/box /var/tmp/box /root/box; do
                mkdir -p $place && mount -t tmpfs -o size=5m box $place
            done
            head -c 3000000 /dev/zero | tee /srv/box/x /home/box/x /tmp/box/x >/var/tmp/box/x
            mount -o remount,ro /srv/box
            for n in {1..7}; do logger -t sshd \"Failed password for root from 203.0.113.7 port $n ssh2\"; done
            journalctl --sync")
        .ok();
    guest.begin(
        "[sensors]\nreport_dir = \"/var/lib/sysalert/reports\"\n[services]\ngrace_after_boot = \"0s\"\n\
         [sensor.cpu]\nevery = \"0s\"\n[sensor.storage]\nevery = \"0s\"\n",
    );
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
    alike(&inside, &outside);
    assert_eq!(inside["monitors"]["ssh"]["metrics"]["failed_logins"], 7.0);
    let (inside, outside) = (lasting(&inside), lasting(&outside));
    let differences: Vec<_> = inside.iter().filter(|(key, value)| outside.get(*key) != Some(value)).collect();
    assert!(differences.is_empty() && inside.len() == outside.len(), "{differences:?}\n{inside:#?}\n{outside:#?}");
    for place in BOXES {
        assert!(inside.contains_key(&format!("{place} bytes_total")), "{place}: {inside:#?}");
    }
    let exposure = guest.sh(&format!("systemd-analyze security --no-pager {UNIT} | tail -1")).ok();
    let figure = exposure.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    assert!(figure.is_some_and(|figure| figure <= 2.2), "{exposure}");
    in_turn(&guest);
    by_anybody(&guest);
}

/// The unit and a shell run in turn, with one record: what belongs to a boot is known to both.
#[track_caller]
fn in_turn(guest: &Guest) {
    guest.sh("mount -o remount,ro /tmp/box; mount -o remount,bind,ro /var/tmp/box").ok();
    let rows = || {
        let rows = guest.sysalert(&["db", "list", "--all", "--unit", "check:storage:*:read_only", "-o", "json"]).json();
        let rows = rows.as_array().unwrap().iter();
        let mut rows: Vec<String> = rows.map(|row| format!("{} {}", row["unit"], row["state"]).replace('"', "")).collect();
        rows.sort();
        rows
    };
    let both = ["check:storage:/tmp/box:read_only open", "check:storage:/var/tmp/box:read_only open"];
    for in_shell in [true, false, true] {
        if in_shell {
            let report = guest.sysalert(&["check", "sensors", "--report", "json"]);
            let report: Value = serde_json::from_str(&report.stdout).unwrap_or_else(|error| panic!("{error}: {report}"));
            let shares = &report["monitors"]["cpu"]["metrics"]["cpu_percent"];
            assert!(shares.is_number(), "since the unit's run: {:#}", report["monitors"]["cpu"]);
        } else {
            guest.run(&["systemctl", "start", UNIT]).ok();
        }
        assert_eq!(rows(), both, "in a shell: {in_shell}");
    }
}

/// An ordinary user has `--user`; whoever forgets it is told.
#[track_caller]
fn by_anybody(guest: &Guest) {
    guest.sh("useradd --create-home stranger").ok();
    for more in [&[][..], &["--state-dir", "/home/stranger/state"]] {
        let refused = guest.run_as("stranger", &[&["sysalert"], more, &["check", "sensors"]].concat());
        assert_eq!((refused.status, refused.stdout.as_str()), (3, ""), "a check that cannot check: {refused}");
        assert!(refused.stderr.contains("with --user a configuration and a record of your own are used"), "{refused}");
    }
    let report = guest.run_as("stranger", &["sysalert", "--user", "check", "sensors", "--report", "json"]);
    assert!(report.status <= 1, "{report}");
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let monitors = report["monitors"].as_object().unwrap();
    for sensor in ["cpu", "memory", "storage", "pressure"] {
        assert_eq!(monitors[sensor]["status"], "ok", "{:#}", monitors[sensor]);
    }
    // what only others may read says so
    assert_eq!(monitors["ssh"]["status"], "no data");
    let why = monitors["ssh"]["why"].as_str().unwrap();
    assert!(why.contains("systemd-journal") && why.ends_with("and adm, may read logs"), "{why}");
    assert!(guest.exists("/home/stranger/.local/state/sysalert/sysalert.db"));
}

#[test]
fn in_its_sandbox_the_unit_measures_the_same_on_252() {
    sandboxed(252);
}

#[test]
fn in_its_sandbox_the_unit_measures_the_same_on_257() {
    sandboxed(257);
}
