//! Many failures at once: of one unit, and of three hundred.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::alerts::Alert;
use crate::guest::{Guest, Options};

/// systemd merges the start of a handler into one that still runs: not every failure has a handler of its own.
fn ten_in_a_row(systemd: u32) {
    let guest = Guest::boot_on(systemd, "burst", Options::new().watched());
    guest.begin("");
    let unit = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n";
    for name in ["burst.service", "mixed.service"] {
        guest.write_unit(name, unit);
    }
    guest.sh("for run in {1..10}; do systemctl start burst.service || true; done").ok();
    guest.quiet();
    guest.look_again();
    let runs = guest.failed_runs("burst.service");
    assert_eq!(runs.len(), 10, "systemd let it fail ten times");
    assert_eq!(recorded(&guest, "burst.service"), runs, "each of them is recorded, once, in its order");
    assert_eq!(guest.told("burst.service"), ["burst.service failed: exited with status 3"]);
    let incident = &guest.incidents("burst.service")[0];
    assert_eq!((&incident["failures"], &incident["alerts"]), (&10.into(), &1.into()));

    // two problems by turns: each is told once
    let own = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exit $(cat /run/mixed)'\n";
    guest.write_unit("mixed.service.d/status.conf", own);
    guest.sh("for run in {1..10}; do echo $((3 + run % 2)) >/run/mixed; systemctl start mixed.service || true; done").ok();
    guest.quiet();
    guest.look_again();
    let runs = guest.failed_runs("mixed.service");
    assert_eq!((runs.len(), &recorded(&guest, "mixed.service")), (10, &runs));
    let expected = ["mixed.service failed: exited with status 4", "mixed.service failed: exited with status 3"];
    assert_eq!(guest.told("mixed.service"), expected);
}

/// The runs of this unit that are on record as failed, oldest first.
#[track_caller]
fn recorded(guest: &Guest, unit: &str) -> Vec<String> {
    let rows = guest.rows(&format!(
        "SELECT invocation_id, exit_code, exit_status FROM events WHERE subject = 'unit:{unit}' AND outcome = 'failed' ORDER BY at, id"
    ));
    rows.iter().for_each(|row| assert_eq!(row["exit_code"], "exited", "{row}"));
    rows.iter().map(|row| row["invocation_id"].as_str().unwrap_or("none").to_owned()).collect()
}

#[test]
fn ten_failures_of_one_unit_in_a_row_are_ten_events_and_one_message_on_252() {
    ten_in_a_row(252);
}

#[test]
fn ten_failures_of_one_unit_in_a_row_are_ten_events_and_one_message_on_257() {
    ten_in_a_row(257);
}

/// So many services.
const MANY: usize = 300;
/// What each of them prints before it fails.
const PRINTED: usize = 200;
/// What its message shows.
const SHOWN: usize = 50;

/// Whose line this is: the number of a service of the storm.
fn instance(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("words of instance ").or_else(|| line.split_once("storm@"))?;
    rest.split_once([' ', '.']).map(|(number, _)| number)
}

/// What these services and systemd about them said, in the journal's order.
#[track_caller]
fn runs(guest: &Guest) -> BTreeMap<String, Vec<String>> {
    let mut runs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in guest.journal(&[]).lines().filter(|line| !line.contains("sysalert-")) {
        if let Some(number) = instance(line) {
            runs.entry(number.to_owned()).or_default().push(line.to_owned());
        }
    }
    runs
}

/// The lines of a run that an alert shows, without their times.
fn excerpt(alert: &Alert) -> Vec<&str> {
    let said = |line| ["bash: ", "systemd: "].iter().find_map(|who| Some(str::split_once(line, *who)?.1));
    alert.text.lines().filter_map(said).collect()
}

fn a_storm(systemd: u32) {
    let guest = Guest::boot_on(systemd, "storm", Options::new().watched());
    guest.begin(&format!("[policy]\nrecovery = false\njournal_lines = {SHOWN}\n"));
    let print = format!("for n in {{1..{PRINTED}}}; do echo \"words of instance %i line $n\"; done; exit 1");
    guest.write_unit("storm@.service", &format!("[Service]\nExecStart=/bin/bash -c '{}'\n", print.replace('$', "$$")));
    guest.sh(&format!("systemctl start --no-block storm@{{1..{MANY}}}.service")).ok();
    let sent = "SELECT count(*) FROM deliveries WHERE status = 'sent'";
    guest.wait_at_most(Duration::from_secs(150), "all of them are told", || guest.number(sent) >= MANY as i64);
    guest.quiet();

    let alerts = guest.alerts();
    let units: BTreeSet<&str> = alerts.iter().map(|alert| alert.unit.as_str()).collect();
    assert_eq!((alerts.len(), units.len()), (MANY, MANY), "one message for each");
    assert_eq!(guest.number("SELECT count(*) FROM events"), MANY as i64, "one event for each");
    let runs = runs(&guest);
    let mut wrong = String::new();
    for alert in &alerts {
        assert_eq!(alert.subject, format!("{} failed: exited with status 1", alert.unit));
        let run = &runs[instance(&alert.unit).unwrap()];
        let printed = run.iter().filter(|line| line.starts_with("words of instance ")).count();
        assert_eq!(printed, PRINTED, "what the journal has of {}", alert.unit);
        let (found, expected) = (excerpt(alert), &run[run.len() - SHOWN..]);
        if found != expected {
            wrong += &format!("{}: {} lines\n  {found:?}\n  expected {expected:?}\n", alert.unit, found.len());
        }
    }
    assert!(wrong.is_empty(), "not the last {SHOWN} lines of the run, {} of {MANY}:\n{wrong}", wrong.lines().count() / 3);
}

#[test]
fn three_hundred_services_that_fail_at_once_are_told_each_with_the_last_lines_of_its_own_run_on_252() {
    a_storm(252);
}

#[test]
fn three_hundred_services_that_fail_at_once_are_told_each_with_the_last_lines_of_its_own_run_on_257() {
    a_storm(257);
}
