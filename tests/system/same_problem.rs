//! `same_problem = "error"` and `started_by` with real runs: what a run complained of is read from the journal.

use crate::guest::{Guest, Options};

/// Starts this unit with these words to print, each of its own priority, and waits until its failure is told or kept silent.
#[track_caller]
fn fail(guest: &Guest, unit: &str, words: &str) -> String {
    guest.write_file("/run/words", words);
    let before = guest.failed_runs(unit).len();
    assert!(!guest.run(&["systemctl", "start", unit]).success(), "{unit} was to fail");
    let runs = guest.failed_runs(unit);
    assert_eq!(runs.len(), before + 1);
    let event = format!("FROM events WHERE subject = 'unit:{unit}' AND invocation_id = '{}'", runs[before]);
    guest.wait_until("the failure is recorded", || guest.number(&format!("SELECT count(*) {event}")) == 1);
    guest.quiet();
    let row = &guest.rows(&format!("SELECT json_extract(reason, '$.reason') AS reason, error {event}"))[0];
    format!("{} {}", row["reason"].as_str().unwrap_or("-"), row["error"].as_str().unwrap_or("-"))
}

fn another_error(systemd: u32) {
    let guest = Guest::boot_on(systemd, "errors", Options::new().watched());
    guest.begin("[unit.\"job.service\"]\nsame_problem = \"error\"\n[unit.\"timed.service\"]\nstarted_by = [\"timer\"]\n");
    let unit = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'cat /run/words; exit 3'\n";
    for name in ["job", "plain", "timed"] {
        guest.write_file(&format!("/etc/systemd/system/{name}.service"), unit);
    }
    guest.run(&["systemctl", "daemon-reload"]).ok();
    for (words, decided) in [
        ("begin\n<3>712 files copied, /tmp/tmp.aB1: disk full\nbye\n", "first # files copied, /tmp/#: disk full"),
        ("<3>3 files copied, /tmp/tmp.x: disk full\n", "same-problem # files copied, /tmp/#: disk full"),
        ("<3>token=ghp_16C7e42F292c6912E7710c838347Ae178B4a is refused\n", "new-error token=[token removed] is refused"),
        ("<3>9 files copied, /tmp/tmp.Q: disk full\n", "too-soon # files copied, /tmp/#: disk full"),
        ("said without a priority\n", "new-error said without a priority"),
        ("", "same-problem "),
    ] {
        let found = fail(&guest, "job.service", words);
        if words.contains("token") {
            assert!(found.starts_with("new-error token=[") && !found.contains("ghp_16"), "{found}");
        } else {
            assert_eq!(found, decided, "{words}");
        }
    }
    let alerts = guest.alerts();
    assert_eq!(alerts.iter().filter(|alert| alert.unit == "job.service").count(), 3);
    let why = alerts[1].fact("Why now");
    assert!(why.starts_with("a different error than before: token=["), "{why}");
    assert!(why.ends_with("; before: # files copied, /tmp/#: disk full"), "{why}");

    // where nobody asks, nobody looks
    assert_eq!(fail(&guest, "plain.service", "<3>disk full\n"), "first -");
    assert_eq!(fail(&guest, "plain.service", "<3>no route\n"), "same-problem -");

    // a person starts what only a timer is asked about; then the timer does
    assert_eq!(fail(&guest, "timed.service", ""), "started-otherwise -");
    guest.write_unit("timed.timer", "[Timer]\nOnActiveSec=50ms\nAccuracySec=1ms\n");
    guest.run(&["systemctl", "start", "timed.timer"]).ok();
    guest.wait_until("the timer has started it", || guest.failed_runs("timed.service").len() == 2);
    guest.wait_until("that is told", || guest.told("timed.service").len() == 1);
    guest.quiet();
    let alert = guest.alerts().pop().unwrap();
    assert_eq!(alert.fact("Why now"), "the first failure of this incident that `started_by` asks for");
    assert_eq!(alert.fact("Started by"), "timed.timer");
}

#[test]
fn another_error_is_another_problem_252() {
    another_error(252);
}

#[test]
fn another_error_is_another_problem_257() {
    another_error(257);
}
