//! However a run ends.

use super::*;

/// How a run ends, and what is on record when systemd calls it over: the unit's name, what is in its file, a command, and
/// "OUTCOME RESULT CODE/STATUS", each with the run's own invocation.
type End = (&'static str, &'static str, &'static str, &'static [&'static str]);

const ENDS: &[End] = &[
    ("exit", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'", "", &["failed exit-code exited/3"]),
    ("daemon", "ExecStart=/bin/sh -c 'exit 4'", "", &["failed exit-code exited/4"]),
    ("signal", "ExecStart=/bin/sh -c 'kill -KILL $$$$'", "", &["failed signal killed/KILL"]),
    (
        "core",
        "LimitCORE=infinity\nWorkingDirectory=/tmp\nExecStart=/bin/sh -c 'kill -SEGV $$$$'",
        "",
        &["failed core-dump dumped/SEGV"],
    ),
    ("pre", "Type=oneshot\nExecStartPre=/bin/sh -c 'exit 7'\nExecStart=/bin/true", "", &["failed exit-code -/-"]),
    ("start-timeout", "Type=oneshot\nTimeoutStartSec=300ms\nExecStart=/bin/sleep 99", "", &["failed timeout killed/TERM"]),
    ("runtime", "RuntimeMaxSec=300ms\nExecStart=/bin/sleep 99", "", &["failed timeout killed/TERM"]),
    ("watchdog", "WatchdogSec=300ms\nExecStart=/bin/sleep 99", "", &["failed watchdog killed/ABRT"]),
    ("protocol", "Type=notify\nExecStart=/bin/true", "", &["failed protocol exited/0"]),
    ("no-program", "ExecStart=/nowhere", "", &["failed exit-code exited/203"]),
    ("no-credential", "LoadCredential=x:/nowhere\nExecStart=/bin/true", "", &["failed exit-code exited/243"]),
    // every run of a unit that systemd starts again
    (
        "restarts",
        "Restart=on-failure\nRestartSec=10ms\nExecStart=/bin/sh -c 'exit 3'\n[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3",
        "",
        &["failed exit-code exited/3", "failed exit-code exited/3", "failed exit-code exited/3"],
    ),
    // the unit's own settings neither hinder nor mislead it
    (
        "sandbox",
        "User=nobody\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\nPrivateUsers=yes\nPrivateNetwork=no\n\
         ReadOnlyPaths=/\nInaccessiblePaths=/var/lib/sysalert\nNoNewPrivileges=yes\nCapabilityBoundingSet=\n\
         SystemCallFilter=@system-service\nMemoryDenyWriteExecute=yes\nUMask=0777\nWorkingDirectory=/tmp\n\
         ExecStart=/bin/sh -c 'exit 5'",
        "",
        &["failed exit-code exited/5"],
    ),
    (
        "limits",
        "Type=oneshot\nLimitFSIZE=0\nLimitNOFILE=8\nLimitAS=100M\nLimitNPROC=1\nTasksMax=1\nMemoryMax=4M\nExecStart=/bin/sh -c 'exit 4'",
        "",
        &["failed exit-code exited/4"],
    ),
    (
        "slice",
        "Slice=strict.slice\nExecStart=/bin/sh -c 'trap \"exit 6\" TERM; while :; do sleep 0.1; done'",
        "systemctl start slice; sleep 0.2; systemctl stop strict.slice",
        &["failed exit-code exited/6"],
    ),
    (
        "bad-stop",
        "ExecStart=/bin/sleep 99\nExecStop=/bin/sh -c 'exit 10'",
        "systemctl start bad-stop; systemctl stop bad-stop",
        &["failed exit-code killed/TERM"],
    ),
    // no failure: nothing was wrong before, so nothing is recorded
    ("well", "Type=oneshot\nExecStart=/bin/true", "", &[]),
    ("stopped", "ExecStart=/bin/sleep 99", "systemctl start stopped; systemctl stop stopped", &[]),
    (
        "restarted",
        "ExecStart=/bin/sleep 99",
        "systemctl start restarted; systemctl restart restarted; systemctl stop restarted",
        &[],
    ),
    ("condition", "Type=oneshot\nExecCondition=/bin/sh -c 'exit 1'\nExecStart=/bin/false", "", &[]),
    // what was wrong is well again
    (
        "again",
        "Type=oneshot\nExecStart=/bin/sh -c 'test -e /run/again || exit 3'",
        "systemctl start again; touch /run/again; systemctl start again",
        &["failed exit-code exited/3", "succeeded success exited/0"],
    ),
    // what systemd cannot even prepare it cannot prepare for this command either: the handler and the sweep have it
    ("no-user", "User=nosuchuser\nExecStart=/bin/true", "", &[]),
    ("no-folder", "WorkingDirectory=/nowhere\nExecStart=/bin/true", "", &[]),
    ("no-settings", "EnvironmentFile=/nowhere\nExecStart=/bin/true", "", &[]),
    ("other-root", "RootDirectory=/srv\nExecStart=/bin/true", "", &[]),
];

fn ends(systemd: u32) {
    let guest = alone(systemd, "strict", Options::new());
    let mut files = String::new();
    for (name, content, _, _) in ENDS {
        writeln!(files, "cat >/etc/systemd/system/{name}.service <<'END OF UNIT'\n[Service]\n{content}\nEND OF UNIT").unwrap();
    }
    guest.run_input(&["bash", "-eu"], &files).ok();
    guest.run(&["systemctl", "daemon-reload"]).ok();
    let mut commands = String::new();
    for (name, _, command, _) in ENDS {
        let command = if command.is_empty() { format!("systemctl start --wait {name}") } else { (*command).to_owned() };
        writeln!(commands, "( {command} ) &").unwrap();
    }
    // most of these commands fail, as they should
    guest.run_input(&["timeout", "60", "bash"], &format!("{commands}wait")).ok();
    // --wait is over at the first automatic restart
    guest.wait_until("systemd has given up", || guest.property("restarts.service", "ActiveState") == "failed");

    let mut wrong = String::new();
    for (name, _, _, expected) in ENDS {
        let unit = format!("{name}.service");
        let found = recorded(&guest, &unit);
        if found != **expected {
            write!(wrong, "{unit}\n  expected {expected:?}\n  found    {found:?}\n{}", guest.journal(&[&format!("UNIT={unit}")]))
                .unwrap();
        }
        // the runs are those that systemd says failed
        let failed: Vec<String> = guest
            .rows(&format!("SELECT invocation_id FROM events WHERE subject = 'unit:{unit}' AND outcome = 'failed' ORDER BY id"))
            .iter()
            .map(|row| row["invocation_id"].as_str().unwrap_or("none").to_owned())
            .collect();
        if !failed.is_empty() && failed != guest.failed_runs(&unit) {
            writeln!(wrong, "{unit}: {failed:?} are on record, {:?} failed", guest.failed_runs(&unit)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "systemd {systemd}\n{wrong}");
    assert_eq!(guest.number("SELECT count(*) FROM events WHERE confirmed"), 0, "nobody else has looked");
}

#[test]
fn however_a_run_ends_it_is_on_record_when_systemd_calls_it_over_on_252() {
    ends(252);
}

#[test]
fn however_a_run_ends_it_is_on_record_when_systemd_calls_it_over_on_257() {
    ends(257);
}
