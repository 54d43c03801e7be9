//! Flapping: what systemd starts again and again is told once when that begins and once when it is over, and never in between.

use std::time::Duration;

use chrono::TimeDelta;

use crate::alerts::Alert;
use crate::guest::{Guest, Options};

/// Ends with the status that stands in /run/NAME, twice a second; without one it runs on. systemd starts it again, but not
/// after status 9.
const DAEMON: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=300ms\nRestartPreventExitStatus=9\n\
    ExecStart=/bin/sh -c 'sleep 0.2; test -e /run/%p || exec sleep infinity; exit $(cat /run/%p)'\n";

/// A guest in which these units end with these statuses, again and again.
fn guest(systemd: u32, units: &[(&str, u8)]) -> Guest {
    let guest = Guest::boot_on(systemd, "flapping", Options::new().watched().quick_timer());
    guest.begin("[policy]\nrecovery_hold = \"1s\"\n[unit.\"quick-*.service\"]\nflapping_window = \"6s\"\n");
    for (name, status) in units {
        guest.write_file(&format!("/run/{name}"), &status.to_string());
        guest.write_file(&format!("/etc/systemd/system/{name}.service"), DAEMON);
    }
    guest.write_file("/etc/systemd/system/slow-.service.d/slow.conf", "[Service]\nRestartSec=6s\n");
    guest.run(&["systemctl", "daemon-reload"]).ok();
    for (name, _) in units {
        guest.run(&["systemctl", "start", &format!("{name}.service")]).ok();
    }
    guest
}

#[track_caller]
fn is_told(guest: &Guest, name: &str, count: usize, limit: u64) -> Vec<Alert> {
    let unit = format!("{name}.service");
    let of_unit = || guest.alerts().into_iter().filter(|alert| alert.unit == unit).collect::<Vec<_>>();
    let what = format!("{count} messages about {unit}");
    guest.wait_at_most(Duration::from_secs(limit), &what, || of_unit().len() >= count);
    of_unit()
}

/// The kinds of the messages about a unit, and what they say of it.
#[track_caller]
fn heard(guest: &Guest, name: &str) -> Vec<String> {
    let unit = format!("{name}.service");
    let alerts = guest.alerts().into_iter().filter(|alert| alert.unit == unit);
    // how often it was by then is nobody's to say before
    let words = |subject: &str| subject.split(": ").next().unwrap_or_default().trim_start_matches(&unit).trim().to_owned();
    alerts.map(|alert| format!("{}: {}", alert.kind, words(&alert.subject))).collect()
}

const BEGINS: &str = "failure: keeps restarting";
const ENDS: &str = "recovery: has been stable for 6s";

fn flapping(systemd: u32) {
    let quick = ["quick-fails", "quick-ends", "quick-given-up", "quick-stopped"];
    let guest = guest(
        systemd,
        &[
            ("quick-fails", 3),
            ("quick-ends", 0),
            ("quick-given-up", 3),
            ("quick-stopped", 3),
            ("slow-fails", 3),
            ("slow-ends", 0),
        ],
    );
    for name in quick {
        let begins = is_told(&guest, name, 1, 30).remove(0);
        assert_eq!(heard(&guest, name), [BEGINS], "{name}");
        let ends = name == "quick-ends";
        assert_eq!(begins.text.contains("Its last run: exited with status 3."), !ends, "{}", begins.text);
        assert_eq!(begins.text.contains("Its runs end without an error"), ends, "{}", begins.text);
        assert!(
            begins.text.contains("The next message comes when it has been stable for 6s, or stays failed."),
            "{}",
            begins.text
        );
        assert!(begins.fact("Restarts").contains(" times in "), "{}", begins.text);
    }
    let status = guest.sysalert(&["status"]).ok();
    for name in quick {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{status}"));
        assert!(line.contains(" open ") && line.contains("keeps restarting, "), "{line}");
    }

    // one is repaired, and so is the one that never failed; one ends for good, and one is stopped
    guest.run(&["rm", "/run/quick-fails", "/run/quick-ends"]).ok();
    guest.write_file("/run/quick-given-up", "9");
    // not in the pause before a restart: that ends it with its failure
    guest.run(&["rm", "/run/quick-stopped"]).ok();
    let runs_on = "test \"$(cat /proc/$(systemctl show -P MainPID quick-stopped.service)/comm)\" = sleep";
    guest.wait_until("quick-stopped.service runs on", || guest.sh(runs_on).success());
    guest.run(&["systemctl", "stop", "quick-stopped.service"]).ok();
    is_told(&guest, "quick-given-up", 2, 20);
    let failed = "failure: failed";
    assert_eq!(heard(&guest, "quick-given-up"), [BEGINS, failed]);
    guest.run(&["rm", "/run/quick-given-up"]).ok();
    guest.run(&["systemctl", "start", "quick-given-up.service"]).ok();
    is_told(&guest, "quick-given-up", 3, 20);
    for name in ["quick-fails", "quick-ends", "quick-stopped"] {
        is_told(&guest, name, 2, 30);
    }

    // by the defaults it takes a minute
    for name in ["slow-fails", "slow-ends"] {
        let begins = is_told(&guest, name, 1, 120).remove(0);
        assert_eq!(heard(&guest, name), [BEGINS], "{name}");
        let said = guest.said_of(&format!("{name}.service"), &["MESSAGE_ID=5eb03494b6584870a536b337290809b3"]);
        let first = said[0]["__REALTIME_TIMESTAMP"].as_str().unwrap().parse().unwrap();
        let first = chrono::DateTime::from_timestamp_micros(first).unwrap();
        assert!(begins.at - first >= TimeDelta::seconds(53), "told after {}", begins.at - first);
        guest.run(&["systemctl", "stop", &format!("{name}.service")]).ok();
    }

    guest.quiet();
    guest.look_again();
    let stable = [BEGINS, ENDS];
    let expected: [(&str, &[&str]); 6] = [
        ("quick-fails", &stable),
        ("quick-ends", &stable),
        ("quick-given-up", &[BEGINS, failed, "recovery: recovered"]),
        ("quick-stopped", &[BEGINS, "recovery: has not run for 6s"]),
        ("slow-fails", &[BEGINS]),
        ("slow-ends", &[BEGINS]),
    ];
    for (name, all) in expected {
        assert_eq!(heard(&guest, name), all, "{name}");
        // whatever was told: each run that failed is on record, once
        let sql = format!(
            "SELECT invocation_id FROM events WHERE subject = 'unit:{name}.service' AND outcome = 'failed' ORDER BY at, id"
        );
        let recorded: Vec<_> =
            guest.rows(&sql).iter().map(|row| row["invocation_id"].as_str().unwrap_or("none").to_owned()).collect();
        assert_eq!(recorded, guest.failed_runs(&format!("{name}.service")), "{name}");
    }
    for name in quick {
        assert_eq!(guest.incidents(&format!("{name}.service"))[0]["state"], "resolved", "{name}");
    }
    // restarts after a good end are counted, each once, and not kept
    let incident = &guest.rows("SELECT flapping FROM incidents WHERE subject = 'unit:quick-ends.service'")[0];
    let flapping: serde_json::Value = serde_json::from_str(incident["flapping"].as_str().unwrap()).unwrap();
    let restarts = guest.said_of("quick-ends.service", &["MESSAGE_ID=5eb03494b6584870a536b337290809b3"]).len();
    assert_eq!(flapping["times"], restarts, "{flapping}");
    let silent =
        "SELECT count(*) FROM events WHERE subject = 'unit:quick-ends.service' AND json_extract(reason, '$.reason') = 'flapping'";
    assert_eq!(guest.number(silent), 0, "rows of what was counted, of {restarts} restarts");
}

#[test]
fn what_systemd_keeps_restarting_is_told_when_that_begins_and_when_it_is_over_on_252() {
    flapping(252);
}

#[test]
fn what_systemd_keeps_restarting_is_told_when_that_begins_and_when_it_is_over_on_257() {
    flapping(257);
}
