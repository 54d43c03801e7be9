//! Who started a run: a timer, a path, or something that systemd does not tell.

use std::time::{Duration, Instant};

use crate::guest::{Guest, Options};

/// What the event of the unit's last failure has: what kind of start, and which unit.
#[track_caller]
fn started(guest: &Guest, unit: &str) -> (String, Option<String>) {
    let run = guest.failed_runs(unit).pop().unwrap_or_else(|| panic!("{unit} never failed"));
    let event = format!("FROM events WHERE subject = 'unit:{unit}' AND invocation_id = '{run}'");
    guest.wait_until(&format!("run {run} is recorded"), || guest.number(&format!("SELECT count(*) {event}")) == 1);
    guest.quiet();
    let row = &guest.rows(&format!("SELECT start, triggered_by {event}"))[0];
    (row["start"].as_str().unwrap_or("-").to_owned(), row["triggered_by"].as_str().map(str::to_owned))
}

/// The "Started by" of the newest message about this unit.
#[track_caller]
fn told(guest: &Guest, unit: &str) -> String {
    let alerts = guest.alerts();
    let last = alerts.iter().rfind(|alert| alert.unit == unit).unwrap_or_else(|| panic!("nobody was told about {unit}"));
    last.fact("Started by").to_owned()
}

/// Waits for this many runs of a unit that something else starts.
#[track_caller]
fn wait_for_runs(guest: &Guest, unit: &str, count: usize) {
    guest.wait_until(&format!("{unit} has failed {count} times"), || guest.failed_runs(unit).len() >= count);
}

fn each_way(systemd: u32) {
    let guest = Guest::boot_on(systemd, "started", Options::new().watched());
    guest.begin("");
    // each run has a status of its own, so that each is told
    for name in ["timed", "flagged", "called", "by-hand", "needed"] {
        let unit = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\n\
             ExecStart=/bin/sh -c 'rm -f /run/flag-%p; echo run >>/run/runs-%p; exit $(wc -l </run/runs-%p)'\n";
        guest.write_file(&format!("/etc/systemd/system/{name}.service"), unit);
    }
    let others = [
        ("timed.timer", "[Timer]\nOnActiveSec=50ms\nAccuracySec=1ms\nRemainAfterElapse=yes\n"),
        ("flagged.path", "[Path]\nPathExists=/run/flag-flagged\n"),
        ("called.socket", "[Socket]\nListenStream=127.0.0.1:7002\nTriggerLimitBurst=1\n"),
        ("needs.service", "[Unit]\nWants=needed.service\n[Service]\nType=oneshot\nExecStart=/bin/true\n"),
    ];
    for (name, content) in others {
        guest.write_file(&format!("/etc/systemd/system/{name}"), content);
    }
    guest.run(&["systemctl", "daemon-reload"]).ok();
    let nobody_known = ("other".to_owned(), None);

    guest.run(&["systemctl", "start", "timed.timer"]).ok();
    wait_for_runs(&guest, "timed.service", 1);
    assert_eq!(started(&guest, "timed.service"), ("timer".to_owned(), Some("timed.timer".to_owned())));
    assert_eq!(told(&guest, "timed.service"), "timed.timer");

    guest.run(&["systemctl", "start", "flagged.path"]).ok();
    guest.run(&["touch", "/run/flag-flagged"]).ok();
    wait_for_runs(&guest, "flagged.service", 1);
    assert_eq!(started(&guest, "flagged.service"), ("path".to_owned(), Some("flagged.path".to_owned())));
    assert_eq!(told(&guest, "flagged.service"), "flagged.path");

    guest.run(&["systemctl", "start", "called.socket"]).ok();
    guest.run(&["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7002"]).ok();
    wait_for_runs(&guest, "called.service", 1);
    assert_eq!(started(&guest, "called.service"), nobody_known);
    assert!(told(&guest, "called.service").contains("called.socket"), "{}", told(&guest, "called.service"));

    guest.run(&["systemctl", "start", "by-hand.service"]);
    assert_eq!(started(&guest, "by-hand.service"), nobody_known);
    assert!(told(&guest, "by-hand.service").contains("a person"), "{}", told(&guest, "by-hand.service"));

    guest.run(&["systemctl", "start", "needs.service"]).ok();
    wait_for_runs(&guest, "needed.service", 1);
    assert_eq!(started(&guest, "needed.service"), nobody_known);

    // after a failure the unit stays loaded, and systemd still shows what started the run before
    for unit in ["timed.service", "flagged.service"] {
        let before = guest.failed_runs(unit).len();
        guest.run(&["systemctl", "start", unit]);
        wait_for_runs(&guest, unit, before + 1);
        assert_eq!(started(&guest, unit), nobody_known, "{unit} by hand");
        assert!(told(&guest, unit).contains("a person"), "{}", told(&guest, unit));
    }
}

/// A failed unit stays loaded, and systemd goes on to show what started its first failed run, whatever starts the next ones: a
/// job that fails every night would be its timer's once, and nobody's ever after.
fn again_and_again(systemd: u32) {
    let guest = Guest::boot_on(systemd, "nightly", Options::new().watched());
    guest.begin("");
    let unit = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\n\
        ExecStart=/bin/sh -c 'rm -f /run/flag-%p; exit 3'\n";
    let timer = "[Timer]\nOnActiveSec=50ms\nAccuracySec=1ms\n";
    let files = [
        ("timed.service", unit),
        ("timed.timer", timer),
        ("flagged.service", unit),
        ("flagged.path", "[Path]\nPathExists=/run/flag-flagged\n"),
        ("both.service", unit),
        ("both.timer", timer),
        ("both.path", "[Path]\nPathExists=/run/flag-both\n"),
    ];
    for (name, content) in files {
        guest.write_file(&format!("/etc/systemd/system/{name}"), content);
    }
    guest.run(&["systemctl", "daemon-reload"]).ok();
    guest.run(&["systemctl", "start", "flagged.path", "both.path"]).ok();
    let known = |kind: &str, unit: &str| (kind.to_owned(), Some(unit.to_owned()));
    for night in 1..=3 {
        // so close to the night before nobody could tell them apart
        let evening = Instant::now() + Duration::from_millis(1100);
        guest.wait_until("the next night has come", || night == 1 || Instant::now() > evening);
        guest.run(&["systemctl", "restart", "timed.timer"]).ok();
        wait_for_runs(&guest, "timed.service", night);
        assert_eq!(started(&guest, "timed.service"), known("timer", "timed.timer"), "night {night}");
        guest.run(&["touch", "/run/flag-flagged"]).ok();
        wait_for_runs(&guest, "flagged.service", night);
        assert_eq!(started(&guest, "flagged.service"), known("path", "flagged.path"), "night {night}");
    }
    // the one, then the other
    guest.run(&["systemctl", "restart", "both.timer"]).ok();
    wait_for_runs(&guest, "both.service", 1);
    assert_eq!(started(&guest, "both.service"), known("timer", "both.timer"));
    guest.run(&["touch", "/run/flag-both"]).ok();
    wait_for_runs(&guest, "both.service", 2);
    assert_eq!(started(&guest, "both.service"), known("path", "both.path"));
    guest.run(&["systemctl", "restart", "both.timer"]).ok();
    wait_for_runs(&guest, "both.service", 3);
    assert_eq!(started(&guest, "both.service"), known("timer", "both.timer"));
}

#[test]
fn it_is_right_each_night_for_a_job_that_goes_on_to_fail_on_252() {
    again_and_again(252);
}

#[test]
fn it_is_right_each_night_for_a_job_that_goes_on_to_fail_on_257() {
    again_and_again(257);
}

#[test]
fn it_is_right_for_timers_paths_sockets_and_people_on_252() {
    each_way(252);
}

#[test]
fn it_is_right_for_timers_paths_sockets_and_people_on_257() {
    each_way(257);
}
