//! The commands around the main process, and what keeps it from being started.

use super::{NOTHING, Situation};

pub(super) const ROWS: &[Situation] = &[
    Situation {
        name: "ExecStartPre= fails",
        units: &[("pre.service", "Type=oneshot\nExecStartPre=/bin/sh -c 'exit 7'\nExecStart=/bin/true")],
        events: &["pre.service failed exit-code exited/7 at ExecStartPre"],
        messages: &["pre.service failed: its ExecStartPre= exited with status 7"],
        ..NOTHING
    },
    Situation {
        name: "ExecStartPost= fails, and systemd ends the daemon",
        units: &[("post.service", "ExecStart=/bin/sleep infinity\nExecStartPost=/bin/sh -c 'exit 8'")],
        events: &["post.service failed exit-code exited/8 at ExecStartPost"],
        messages: &["post.service failed: its ExecStartPost= exited with status 8"],
        ..NOTHING
    },
    Situation {
        name: "ExecStopPost= fails after a good run",
        units: &[("stop-post.service", "Type=oneshot\nExecStart=/bin/true\nExecStopPost=/bin/sh -c 'exit 9'")],
        events: &["stop-post.service failed exit-code exited/9 at ExecStopPost"],
        messages: &["stop-post.service failed: its ExecStopPost= exited with status 9"],
        ..NOTHING
    },
    Situation {
        name: "ExecStopPost= fails after a bad run",
        units: &[("both.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'\nExecStopPost=/bin/sh -c 'exit 9'")],
        events: &["both.service failed exit-code exited/3"],
        messages: &["both.service failed: exited with status 3"],
        ..NOTHING
    },
    Situation {
        name: "ExecStop= fails",
        units: &[("stop.service", "ExecStart=/bin/sleep infinity\nExecStop=/bin/sh -c 'exit 10'")],
        steps: &["systemctl start stop.service", "systemctl stop stop.service"],
        events: &["stop.service failed exit-code exited/10 at ExecStop"],
        messages: &["stop.service failed: its ExecStop= exited with status 10"],
    },
    Situation {
        name: "ExecReload= fails: the daemon runs on",
        units: &[("reload.service", "ExecStart=/bin/sleep infinity\nExecReload=/bin/sh -c 'exit 11'")],
        steps: &["systemctl start reload.service", "systemctl reload reload.service"],
        ..NOTHING
    },
    Situation {
        name: "a failing command with a hyphen before it",
        units: &[("hyphen.service", "Type=oneshot\nExecStartPre=-/bin/sh -c 'exit 7'\nExecStart=/bin/true")],
        ..NOTHING
    },
    Situation {
        name: "ExecStartPre= takes too long",
        units: &[("pre-timeout.service", "TimeoutStartSec=300ms\nExecStartPre=/bin/sleep infinity\nExecStart=/bin/true")],
        events: &["pre-timeout.service failed timeout killed/TERM at start-pre"],
        messages: &["pre-timeout.service failed: its ExecStartPre= timed out (killed by SIGTERM)"],
        ..NOTHING
    },
    Situation {
        name: "ExecCondition= says no",
        units: &[("condition-no.service", "Type=oneshot\nExecCondition=/bin/sh -c 'exit 1'\nExecStart=/bin/false")],
        ..NOTHING
    },
    Situation {
        name: "ExecCondition= says no, and a success would be told",
        units: &[(
            "condition-job.service",
            "[Unit]\nOnSuccess=sysalert-success@%n.service\n[Service]\nType=oneshot\nExecCondition=/bin/sh -c 'exit 254'\nExecStart=/bin/false",
        )],
        ..NOTHING
    },
    Situation {
        name: "ExecCondition= itself fails",
        units: &[("condition-fails.service", "Type=oneshot\nExecCondition=/bin/sh -c 'exit 255'\nExecStart=/bin/true")],
        events: &["condition-fails.service failed exit-code exited/255 at ExecCondition"],
        messages: &["condition-fails.service failed: its ExecCondition= exited with status 255"],
        ..NOTHING
    },
    Situation {
        name: "an unmet condition",
        units: &[("unmet.service", "[Unit]\nConditionPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/bin/false")],
        ..NOTHING
    },
    Situation {
        name: "a failed assertion: systemd triggers nothing, the sweep finds it",
        units: &[("assert.service", "[Unit]\nAssertPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/bin/false")],
        events: &["assert.service failed assert without a run"],
        messages: &["assert.service failed: an Assert...= condition was not met"],
        ..NOTHING
    },
];
