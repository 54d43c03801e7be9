//! systemd before 251 tells the handlers nothing but the unit's name.

use crate::guest::{Guest, Options};

/// Takes the variables away, and proves that they are gone.
const OLDER: &str = "[Service]\n\
    UnsetEnvironment=MONITOR_SERVICE_RESULT MONITOR_EXIT_CODE MONITOR_EXIT_STATUS MONITOR_INVOCATION_ID MONITOR_UNIT\n\
    ExecStartPre=/bin/sh -c 'env >>/run/sysalert/seen'\n";

fn nothing_but_the_name(systemd: u32) {
    let guest = Guest::boot_on(systemd, "unmonitored", Options::new().watched());
    guest.begin("");
    guest.write_file("/etc/systemd/system/sysalert-failure@.service.d/older.conf", OLDER);
    let oneshot = |command: &str| format!("[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\n{command}\n");
    let rows = [
        ("exit", "ExecStart=/bin/sh -c 'exit 3'", ["exit-code", "exited", "3", "-"], "exited with status 3"),
        ("killed", "ExecStart=/bin/sh -c 'kill -KILL $$$$'", ["signal", "killed", "KILL", "-"], "killed by SIGKILL"),
        (
            "pre",
            "ExecStartPre=/bin/sh -c 'exit 7'\nExecStart=/bin/true",
            ["exit-code", "exited", "7", "ExecStartPre"],
            "its ExecStartPre= exited with status 7",
        ),
        (
            "slow",
            "TimeoutStartSec=200ms\nExecStart=/bin/sleep infinity",
            ["timeout", "killed", "TERM", "start"],
            "timed out while starting (killed by SIGTERM)",
        ),
    ];
    for (name, command, ..) in rows {
        guest.write_file(&format!("/etc/systemd/system/{name}.service"), &oneshot(command));
    }
    guest.run(&["systemctl", "daemon-reload"]).ok();
    for (name, _, facts, words) in rows {
        let unit = format!("{name}.service");
        assert!(!guest.run(&["systemctl", "start", &unit]).success(), "{unit} was to fail");
        guest.wait_until(&format!("{unit} is recorded"), || {
            guest.number(&format!("SELECT count(*) FROM events WHERE subject = 'unit:{unit}'")) > 0
        });
        guest.quiet();
        let events = guest.rows(&format!("SELECT * FROM events WHERE subject = 'unit:{unit}'"));
        assert_eq!(events.len(), 1, "{events:#?}");
        assert_eq!(events[0]["invocation_id"], guest.property(&unit, "InvocationID").as_str(), "{unit}");
        let found =
            ["service_result", "exit_code", "exit_status", "cause"].map(|column| events[0][column].as_str().unwrap_or("-"));
        assert_eq!(found, facts, "{unit}");
        assert_eq!(guest.told(&unit), [format!("{unit} failed: {words}")]);
    }
    let seen = guest.read_file("/run/sysalert/seen");
    assert!(seen.contains("INVOCATION_ID=") && !seen.contains("MONITOR_"), "{seen}");

    // a second run, that ends in the same way, is another event
    guest.run(&["systemctl", "start", "exit.service"]);
    guest.wait_until("the second run is recorded", || {
        guest.number("SELECT count(DISTINCT invocation_id) FROM events WHERE subject = 'unit:exit.service'") == 2
    });
    guest.quiet();
    assert_eq!(guest.told("exit.service").len(), 1);
}

#[test]
fn the_journal_tells_what_the_handler_is_not_told_on_252() {
    nothing_but_the_name(252);
}

#[test]
fn the_journal_tells_what_the_handler_is_not_told_on_257() {
    nothing_but_the_name(257);
}
