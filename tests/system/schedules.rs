//! Timers that start nothing and jobs that stopped succeeding: what no failed run tells.

use std::time::Duration;

use crate::guest::{Guest, Options};
use crate::jobs::AS_SYSALERT;

/// A timer that was stopped, or is yet to be started, is given a minute.
const HELD: Duration = Duration::from_secs(100);

fn check(guest: &Guest) {
    guest.run(&["systemctl", "start", "sysalert-check@services.service"]).ok();
    assert_eq!(guest.property("sysalert-check@services.service", "Result"), "success");
}

/// A job and its timer.
fn write(guest: &Guest, name: &str, service: &str, timer: &str) {
    guest.write_file(&format!("/etc/systemd/system/{name}.service"), &format!("[Service]\nType=oneshot\n{service}\n"));
    let timer = format!("[Timer]\n{timer}\n[Install]\nWantedBy=timers.target\n");
    guest.write_file(&format!("/etc/systemd/system/{name}.timer"), &timer);
}

/// Changes the record as the user sysalert.
fn change(guest: &Guest, sql: &str) {
    let change = "\
db = sqlite3.connect('/var/lib/sysalert/sysalert.db', timeout=10)
with db:
    db.execute(sys.argv[2])";
    guest.python(&format!("{AS_SYSALERT}{change}"), &[sql]).ok();
}

fn subjects(guest: &Guest, kind: &str) -> Vec<String> {
    guest.quiet();
    let mut subjects: Vec<String> =
        guest.alerts().into_iter().filter(|alert| alert.kind == kind).map(|alert| alert.subject).collect();
    subjects.sort();
    subjects
}

fn timers(systemd: u32) {
    let guest = Guest::boot_on(systemd, "timers", Options::new().watched());
    guest.begin("");
    // all that Debian has
    guest
        .sh("for unit in /usr/lib/systemd/system/*.timer; do
                name=$(basename $unit)
                [[ $name == *@* || $name == sysalert-* ]] || systemctl --quiet enable --now $name 2>/dev/null || true
            done")
        .ok();
    let (job, daily) = ("ExecStart=/bin/true", "OnCalendar=daily");
    for name in ["fine", "gone", "kept", "bare"] {
        write(&guest, name, job, daily);
    }
    write(&guest, "never", job, daily);
    write(&guest, "typo", job, "OnCalendar=dayly");
    write(&guest, "past", job, "OnCalendar=2020-01-01");
    write(&guest, "boot", job, "OnBootSec=0");
    write(&guest, "broken", "ExecStartt=/bin/true", daily);
    write(&guest, "busy", "Type=exec\nExecStart=/bin/sleep infinity", "OnActiveSec=0\nOnUnitActiveSec=1s\nAccuracySec=100ms");
    guest.run(&["systemctl", "daemon-reload"]).ok();
    guest.run(&["systemctl", "enable", "never.timer", "typo.timer", "broken.timer"]).ok();
    guest.run(&["systemctl", "enable", "fine.timer", "gone.timer", "kept.timer", "bare.timer"]).ok();
    guest.run(&["systemctl", "start", "--no-block", "fine.timer", "gone.timer", "kept.timer", "bare.timer", "past.timer"]).ok();
    guest.run(&["systemctl", "start", "--no-block", "boot.timer", "busy.timer"]).ok();
    guest.wait_until("the busy job runs", || guest.property("busy.timer", "SubState") == "running");
    check(&guest);
    let at_once = [
        "broken.timer cannot start broken.service, which does not load: systemd cannot use a setting in its file",
        "past.timer has no next run: none of its times lies ahead",
        "typo.timer does not load: systemd cannot use a setting in its file",
    ];
    assert_eq!(subjects(&guest, "failure"), at_once, "what is well, and what may be started yet, is not told");

    let alerts = guest.alerts();
    let text = |unit: &str| alerts.iter().find(|alert| alert.unit == unit).unwrap().text.clone();
    assert!(
        text("typo.timer").contains("typo.timer:2: Failed to parse calendar specification, ignoring: dayly"),
        "{}",
        text("typo.timer")
    );
    assert!(text("broken.timer").contains("Unknown key"), "{}", text("broken.timer"));

    // by mistake, or by somebody who mends something
    guest.run(&["systemctl", "disable", "--now", "gone.timer"]).ok();
    guest.run(&["systemctl", "disable", "kept.timer"]).ok();
    guest.sh("rm /etc/systemd/system/bare.service; ln -s /dev/null /etc/systemd/system/bare.service").ok();
    guest.run(&["systemctl", "daemon-reload"]).ok();
    guest.wait_at_most(HELD, "the minute is over", || {
        check(&guest);
        subjects(&guest, "failure").len() >= 7
    });
    let mut all: Vec<&str> = at_once.to_vec();
    all.extend([
        "bare.timer cannot start bare.service, which is masked",
        "gone.timer has no next run: it was disabled",
        "kept.timer was disabled: it runs until the next boot, and no longer",
        "never.timer has no next run: it is enabled, but was not started",
    ]);
    all.sort_unstable();
    assert_eq!(subjects(&guest, "failure"), all);
    for (unit, severity) in [("gone.timer", "warning"), ("kept.timer", "warning"), ("never.timer", "critical")] {
        assert_eq!(guest.incidents(unit)[0]["severity"], severity, "{unit}");
    }
    let alerts = guest.alerts();
    let gone = alerts.iter().find(|alert| alert.unit == "gone.timer").unwrap();
    assert!(gone.text.contains("`sysalert db clear schedule:gone.timer` forgets it"), "{}", gone.text);

    // once: also after a boot, in which the disabled one is not even loaded
    guest.reboot();
    guest.run(&["systemctl", "start", "never.timer"]).ok();
    guest.run(&["systemctl", "enable", "--now", "gone.timer"]).ok();
    guest.sh("sed -i s/dayly/daily/ /etc/systemd/system/typo.timer").ok();
    guest.run(&["systemctl", "daemon-reload"]).ok();
    guest.run(&["systemctl", "start", "typo.timer"]).ok();
    check(&guest);
    let well =
        ["gone.timer has a next run again", "never.timer has a next run again", "typo.timer loads again"].map(str::to_owned);
    assert_eq!(subjects(&guest, "recovery"), well);
    assert_eq!(subjects(&guest, "failure"), all, "each is told once");
    let listed = guest.sysalert(&["db", "list", "--unit", "kept.*"]).ok();
    assert!(listed.contains("schedule:kept.timer"), "{listed}");
    guest.sysalert(&["db", "clear", "--yes", "schedule:kept.timer"]).ok();
    assert_eq!(guest.sysalert(&["db", "list", "--unit", "kept.*"]).ok(), "No incidents.");
    assert!(guest.sysalert(&["explain", "schedule:gone.timer"]).ok().contains("is well again"));
}

#[test]
fn timers_that_start_nothing_on_252() {
    timers(252);
}

#[test]
fn timers_that_start_nothing_on_257() {
    timers(257);
}

const EXPECTED: &str = r#"
[unit."new.service"]
expect_success = "26h"
[unit."daily-*.service"]
expect_success = "26h"
[unit."off.service"]
expect_success = "26h"
"#;

fn successes(systemd: u32) {
    let guest = Guest::boot_on(systemd, "successes", Options::new());
    guest.begin(EXPECTED);
    for name in ["new", "daily-a", "daily-b", "off"] {
        write(&guest, name, "ExecStart=/bin/true", "OnCalendar=daily");
    }
    guest.run(&["systemctl", "daemon-reload"]).ok();
    guest.run(&["systemctl", "enable", "--now", "daily-a.timer", "daily-b.timer"]).ok();
    check(&guest);
    assert_eq!(subjects(&guest, "failure"), [""; 0], "nobody knows what was before");
    // of the time before this boot nothing is known; here it was up
    change(&guest, "DELETE FROM absences");
    let earlier =
        |units: &str| format!("UPDATE schedules SET since = since - 3 * 86400000000 WHERE subject LIKE 'schedule:{units}'");
    change(&guest, &earlier("new.service"));
    check(&guest);
    let mut told = vec!["new.service has not succeeded for 26h (no success is known)".to_owned()];
    assert_eq!(subjects(&guest, "failure"), told);

    // without OnSuccess=: the manager has forgotten the first by then, and the journal knows it
    for unit in ["new.service", "daily-a.service"] {
        guest.run(&["systemctl", "start", unit]).ok();
    }
    change(&guest, &earlier("daily-%"));
    check(&guest);
    assert_eq!(subjects(&guest, "recovery"), ["new.service has succeeded again"]);
    let failures = subjects(&guest, "failure");
    assert_eq!(failures.len(), 2, "{failures:?}");
    told.insert(0, "daily-b.service has not succeeded for 26h (no success is known)".to_owned());
    assert_eq!(failures, told, "the other one has run");

    // it last succeeded three days ago, and since an hour after that the host was off
    change(
        &guest,
        "UPDATE schedules SET success = 1000000 * (strftime('%s', 'now') - 3 * 86400) WHERE subject = 'schedule:off.service'",
    );
    change(
        &guest,
        "UPDATE meta SET value = json_set(value, '$.at', strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-71 hours')) WHERE key = 'pulse'",
    );
    guest.reboot();
    check(&guest);
    let absence = "SELECT count(*) FROM absences WHERE since > 0 AND until - since > 70 * 3600000000";
    assert_eq!(guest.number(absence), 1, "it was off for three days");
    assert!(guest.told("off.service").is_empty(), "{:?}", guest.told("off.service"));
    // the same in a host that was up
    change(&guest, "DELETE FROM absences");
    check(&guest);
    guest.quiet();
    let late = guest.told("off.service");
    assert!(late.len() == 1 && late[0].starts_with("off.service has not succeeded for 26h (last success"), "{late:?}");
}

#[test]
fn successes_that_did_not_come_on_252() {
    successes(252);
}

#[test]
fn successes_that_did_not_come_on_257() {
    successes(257);
}

/// What ends well and did not do its work, and what did it before sysalert looked.
fn aborted(systemd: u32) {
    let guest = Guest::boot_on(systemd, "aborted", Options::new());
    for name in ["stopped", "stopped-daemon", "killed", "whole"] {
        let ends_cleanly =
            format!(r#"ExecStart=/bin/bash -c "trap 'exit 0' TERM; sleep infinity & touch /run/{name}.runs; wait""#);
        let service = match name {
            "stopped" => ends_cleanly,
            "stopped-daemon" => format!("Type=exec\n{ends_cleanly}"),
            "killed" => "Type=exec\nExecStart=/bin/sleep infinity\nExecStartPost=/bin/touch /run/killed.runs".to_owned(),
            _ => "ExecStart=/bin/true".to_owned(),
        };
        // its timer keeps the manager from forgetting it
        write(&guest, name, &service, "OnCalendar=2099-01-01");
        guest.run(&["systemctl", "enable", "--now", &format!("{name}.timer")]).ok();
    }
    write(&guest, "earlier", "ExecStart=/bin/true", "OnCalendar=daily");
    guest.run(&["systemctl", "start", "whole.service", "earlier.service"]).ok();
    for name in ["stopped", "stopped-daemon", "killed"] {
        let unit = format!("{name}.service");
        guest.run(&["systemctl", "start", "--no-block", &unit]).ok();
        guest.wait_until("it runs", || guest.exists(&format!("/run/{name}.runs")));
        let end: &[&str] = if name == "killed" { &["systemctl", "kill", &unit] } else { &["systemctl", "stop", &unit] };
        guest.run(end).ok();
        guest.wait_until("it has ended", || guest.property(&unit, "ActiveState") == "inactive");
        assert_eq!(guest.property(&unit, "Result"), "success", "{unit}");
    }
    guest.run(&["journalctl", "--sync"]).ok();
    guest.begin("[unit.\"*.service\"]\nexpect_success = \"26h\"\n[unit.\"earlier.service\"]\nexpect_success = \"26h\"\n");
    check(&guest);
    let succeeded = |unit: &str| {
        guest.number(&format!("SELECT count(*) FROM schedules WHERE subject = 'schedule:{unit}.service' AND success > 0")) == 1
    };
    let noted = ["stopped", "stopped-daemon", "killed", "whole", "earlier"].map(succeeded);
    assert_eq!(noted, [false, false, false, true, true]);
}

#[test]
fn a_run_that_was_cut_short_is_no_success_on_252() {
    aborted(252);
}

#[test]
fn a_run_that_was_cut_short_is_no_success_on_257() {
    aborted(257);
}

fn blind(systemd: u32) {
    let guest = Guest::boot_on(systemd, "blind", Options::new());
    guest.begin("");
    guest.run(&["systemctl", "stop", "sysalert-check@services.timer"]).ok();
    let look = || guest.run(&["systemctl", "start", "sysalert-check@services.service"]);
    look().ok();
    guest.run(&["systemctl", "mask", "--runtime", "--now", "dbus.socket", "dbus.service"]).ok();
    for _ in 0..3 {
        look();
    }
    assert_eq!(subjects(&guest, "failure"), [""; 0], "a bus may be restarted");
    look();
    assert_eq!(subjects(&guest, "failure"), ["check:services cannot look: the service manager does not answer"]);
    look();
    look();
    assert_eq!(subjects(&guest, "failure").len(), 1, "once");
    guest.run(&["systemctl", "unmask", "--runtime", "dbus.socket", "dbus.service"]).ok();
    guest.run(&["systemctl", "start", "dbus.socket", "dbus.service"]).ok();
    look().ok();
    assert_eq!(subjects(&guest, "recovery"), ["check:services can look again"]);
    assert!(guest.sysalert(&["explain", "check:services"]).ok().contains("is well again"));
}

#[test]
fn a_check_that_cannot_look_is_told_on_252() {
    blind(252);
}

#[test]
fn a_check_that_cannot_look_is_told_on_257() {
    blind(257);
}
