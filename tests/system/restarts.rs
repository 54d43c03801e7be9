//! `Restart=`: what systemd repeats by itself is recorded and not told, until it gives up.

use chrono::{DateTime, Utc};

use crate::guest::{Guest, Options};

/// When systemd said this of the unit for the last time.
#[track_caller]
fn last_said(guest: &Guest, unit: &str, words: &str) -> DateTime<Utc> {
    let said = guest.said_of(unit, &[]);
    let entry = said.iter().rev().find(|entry| entry["MESSAGE"].as_str().is_some_and(|message| message.contains(words)));
    let entry = entry.unwrap_or_else(|| panic!("systemd never said of {unit}: {words}"));
    let time = entry["__REALTIME_TIMESTAMP"].as_str().unwrap().parse().unwrap();
    DateTime::from_timestamp_micros(time).unwrap()
}

fn a_hundred(systemd: u32) {
    let guest = Guest::boot_on(systemd, "hundred", Options::new().watched().quick_timer());
    guest.begin("[policy]\nrecovery_hold = \"1s\"\n");
    // OnSuccess=, too: systemd 252 triggers it falsely at each restart
    guest.write_unit(
        "again.service",
        "[Unit]\nOnSuccess=sysalert-success@%n.service\nStartLimitIntervalSec=1h\nStartLimitBurst=100\n\
         [Service]\nRestart=on-failure\nRestartSec=10ms\nExecStart=/bin/sh -c 'exit 3'\n",
    );
    guest.run(&["systemctl", "start", "again.service"]).ok();
    guest.wait_until("systemd gives up", || guest.property("again.service", "ActiveState") == "failed");
    guest.quiet();
    guest.look_again();

    let runs = guest.failed_runs("again.service");
    assert_eq!(runs.len(), 100, "the start limit");
    let rows = guest.rows("SELECT * FROM events ORDER BY at, id");
    let recorded: Vec<&str> = rows.iter().map(|row| row["invocation_id"].as_str().unwrap_or("none")).collect();
    assert_eq!(recorded, runs, "each run is recorded, once, in its order");
    for (number, row) in rows.iter().enumerate() {
        let facts = ["outcome", "service_result", "exit_code", "exit_status"].map(|column| row[column].as_str().unwrap_or("-"));
        assert_eq!(facts, ["failed", "exit-code", "exited", "3"], "run {number}");
        assert_eq!(row["restarts"] == 1, number + 1 < runs.len(), "run {number}: all but the last are followed by another");
        assert_eq!(row["spoke"] == 1, number + 1 == runs.len(), "run {number}: only the last is told");
    }
    let alerts = guest.alerts();
    let told: Vec<&str> = alerts.iter().map(|alert| alert.subject.as_str()).collect();
    assert_eq!(told, ["again.service failed: exited with status 3"]);
    assert!(alerts[0].at >= last_said(&guest, "again.service", "Start request repeated too quickly"), "told before it was final");
    assert_eq!(alerts[0].json["incident"]["failures"], 100);
    assert_eq!(guest.incidents("again.service")[0]["state"], "open");
}

#[test]
fn a_hundred_restarts_are_a_hundred_events_and_one_message_at_the_end_on_252() {
    a_hundred(252);
}

#[test]
fn a_hundred_restarts_are_a_hundred_events_and_one_message_at_the_end_on_257() {
    a_hundred(257);
}

/// Three runs, each with a status of its own.
fn each_and_final(systemd: u32) {
    let guest = Guest::boot_on(systemd, "each", Options::new().watched().quick_timer());
    guest.begin("[policy]\nrecovery_hold = \"1s\"\n[unit.\"each.service\"]\nalert_on = \"each\"\n");
    for name in ["each", "final"] {
        let unit = format!(
            "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestart=on-failure\nRestartSec=10ms\nRuntimeDirectory={name}\n\
             RuntimeDirectoryPreserve=yes\nExecStart=/bin/sh -c 'echo run >>/run/{name}/runs; exit $(wc -l </run/{name}/runs)'\n"
        );
        guest.write_unit(&format!("{name}.service"), &unit);
    }
    guest.run(&["systemctl", "start", "each.service", "final.service"]).ok();
    for unit in ["each.service", "final.service"] {
        guest.wait_until("systemd gives up", || guest.property(unit, "ActiveState") == "failed");
    }
    guest.quiet();
    guest.look_again();
    let all = [1, 2, 3].map(|status| format!("each.service failed: exited with status {status}"));
    assert_eq!(guest.told("each.service"), all);
    assert_eq!(guest.told("final.service"), ["final.service failed: exited with status 3"]);
    for unit in ["each.service", "final.service"] {
        let rows = guest.rows(&format!("SELECT exit_status, restarts FROM events WHERE subject = 'unit:{unit}' ORDER BY at, id"));
        let found: Vec<_> = rows.iter().map(|row| (row["exit_status"].as_str().unwrap_or("-"), row["restarts"] == 1)).collect();
        assert_eq!(found, [("1", true), ("2", true), ("3", false)], "{unit}");
    }
}

#[test]
fn with_alert_on_each_every_run_is_told_and_else_only_the_last_on_252() {
    each_and_final(252);
}

#[test]
fn with_alert_on_each_every_run_is_told_and_else_only_the_last_on_257() {
    each_and_final(257);
}
