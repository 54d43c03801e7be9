//! `Restart=` and the start limit. A failure after which systemd starts the unit again is recorded and silent.

use super::{NOTHING, Situation};

pub(super) const ROWS: &[Situation] = &[
    Situation {
        name: "Restart=on-failure up to the start limit",
        units: &[(
            "limit.service",
            "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestart=on-failure\nRestartSec=10ms\nExecStart=/bin/sh -c 'exit 3'",
        )],
        events: &[
            "limit.service failed exit-code exited/3 restarts",
            "limit.service failed exit-code exited/3 restarts",
            "limit.service failed exit-code exited/3",
        ],
        messages: &["limit.service failed: exited with status 3"],
        ..NOTHING
    },
    Situation {
        name: "the same with OnSuccess=, which systemd 252 triggers falsely at each restart",
        units: &[(
            "limit-job.service",
            "[Unit]\nOnSuccess=sysalert-success@%n.service\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestart=on-failure\nRestartSec=10ms\nExecStart=/bin/sh -c 'exit 3'",
        )],
        events: &[
            "limit-job.service failed exit-code exited/3 restarts",
            "limit-job.service failed exit-code exited/3 restarts",
            "limit-job.service failed exit-code exited/3",
        ],
        messages: &["limit-job.service failed: exited with status 3"],
        ..NOTHING
    },
    Situation {
        name: "the same with RestartMode=direct, which systemd 252 does not know",
        units: &[(
            "direct.service",
            "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestart=on-failure\nRestartMode=direct\nRestartSec=10ms\nExecStart=/bin/sh -c 'exit 3'",
        )],
        events: &[
            "direct.service failed exit-code exited/3 restarts",
            "direct.service failed exit-code exited/3 restarts",
            "direct.service failed exit-code exited/3",
        ],
        messages: &["direct.service failed: exited with status 3"],
        ..NOTHING
    },
    Situation {
        name: "Restart=on-failure, and the second run does well",
        units: &[(
            "second-run.service",
            "Restart=on-failure\nRestartSec=10ms\nRuntimeDirectory=second-run\nRuntimeDirectoryPreserve=yes\n\
             ExecStart=/bin/sh -c 'mkdir /run/second-run/was-there || exec sleep infinity; exit 3'",
        )],
        steps: &["systemctl start second-run.service"],
        // 252 triggers nothing; the sweep finds it
        events: &["second-run.service failed exit-code exited/3 restarts", "second-run.service succeeded success"],
        ..NOTHING
    },
    Situation {
        name: "a failure that Restart= is not for",
        units: &[(
            "prevented.service",
            "Restart=on-failure\nRestartPreventExitStatus=3\nRestartSec=10ms\nExecStart=/bin/sh -c 'exit 3'",
        )],
        events: &["prevented.service failed exit-code exited/3"],
        messages: &["prevented.service failed: exited with status 3"],
        ..NOTHING
    },
    Situation {
        name: "Restart=always after a good run",
        units: &[(
            "always.service",
            "Restart=always\nRestartSec=10ms\nRuntimeDirectory=always\nRuntimeDirectoryPreserve=yes\n\
             ExecStart=/bin/sh -c 'mkdir /run/always/was-there || exec sleep infinity'",
        )],
        steps: &["systemctl start always.service"],
        events: &["always.service succeeded success restarts"],
        ..NOTHING
    },
    Situation {
        name: "Restart=always after good runs up to the start limit",
        units: &[(
            "always-limit.service",
            "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nRestart=always\nRestartSec=10ms\nExecStart=/bin/true",
        )],
        events: &[
            "always-limit.service succeeded success restarts",
            "always-limit.service succeeded success restarts",
            "always-limit.service succeeded success restarts",
            "always-limit.service failed start-limit-hit exited/0",
        ],
        messages: &["always-limit.service failed: started too often in a short time"],
        ..NOTHING
    },
    Situation {
        name: "the start limit after good runs",
        units: &[
            (
                "good-runs.service",
                "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n[Service]\nType=oneshot\nExecStart=/bin/true",
            ),
            // keeps it loaded; of a unit that is not, systemd counts no starts
            ("keeps-good-runs.service", "[Unit]\nAfter=good-runs.service\n[Service]\nExecStart=/bin/sleep infinity"),
        ],
        steps: &["systemctl start keeps-good-runs.service", "for run in 1 2 3; do systemctl start good-runs.service; done"],
        events: &["good-runs.service failed start-limit-hit exited/0"],
        messages: &["good-runs.service failed: started too often in a short time"],
    },
    Situation {
        name: "the start limit after bad runs",
        units: &[(
            "bad-runs.service",
            "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'",
        )],
        steps: &["for run in 1 2 3; do systemctl start bad-runs.service; done"],
        events: &["bad-runs.service failed exit-code exited/3", "bad-runs.service failed exit-code exited/3"],
        messages: &["bad-runs.service failed: exited with status 3"],
    },
    Situation {
        name: "a restart by hand into a failure",
        units: &[(
            "by-hand.service",
            "[Unit]\nOnSuccess=sysalert-success@%n.service\n[Service]\nType=exec\nRuntimeDirectory=by-hand\nRuntimeDirectoryPreserve=yes\n\
             ExecStart=/bin/sh -c 'mkdir /run/by-hand/was-there && exec sleep infinity; exit 3'",
        )],
        steps: &["systemctl start by-hand.service", "systemctl restart by-hand.service"],
        events: &["by-hand.service failed exit-code exited/3"],
        messages: &["by-hand.service failed: exited with status 3"],
    },
];
