//! Units that are no plain services: systemd tells their handlers nothing but the name.

use super::{NOTHING, Situation};

pub(super) const ROWS: &[Situation] = &[
    Situation {
        name: "an instance of a template",
        units: &[("t@.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'")],
        steps: &["systemctl start t@a-b.service"],
        events: &["t@a-b.service failed exit-code exited/3"],
        messages: &["t@a-b.service failed: exited with status 3"],
    },
    Situation {
        name: "an escape in a name",
        units: &[(r"foo\x2dbar.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'")],
        events: &[r"foo\x2dbar.service failed exit-code exited/3"],
        messages: &[r"foo\x2dbar.service failed: exited with status 3"],
        ..NOTHING
    },
    Situation {
        name: "a mount that cannot be mounted",
        units: &[("run-nowhere.mount", "[Mount]\nWhat=nothing\nWhere=/run/nowhere\nType=there-is-no-such-type")],
        steps: &["systemctl start run-nowhere.mount"],
        events: &["run-nowhere.mount failed exit-code exited/32 at ExecMount"],
        messages: &["run-nowhere.mount failed: mount exited with status 32"],
    },
    Situation {
        name: "a service that needs that kind of mount",
        units: &[
            ("on-mount.service", "[Unit]\nRequiresMountsFor=/run/gone\n[Service]\nExecStart=/bin/true"),
            ("run-gone.mount", "[Mount]\nWhat=nothing\nWhere=/run/gone\nType=there-is-no-such-type"),
        ],
        events: &[
            "on-mount.service failed dependency at run-gone.mount without a run",
            "run-gone.mount failed exit-code exited/32 at ExecMount",
        ],
        messages: &[
            "on-mount.service failed: its dependency run-gone.mount failed",
            "run-gone.mount failed: mount exited with status 32",
        ],
        ..NOTHING
    },
    Situation {
        name: "a socket that cannot listen",
        units: &[("deaf.socket", "[Socket]\nListenStream=/proc/nowhere/socket"), ("deaf.service", "ExecStart=/bin/true")],
        steps: &["systemctl start deaf.socket"],
        events: &["deaf.socket failed resources"],
        messages: &["deaf.socket failed: not started, because systemd lacked a resource or a file for it"],
    },
    Situation {
        name: "a socket whose service takes no connection",
        units: &[
            ("refused.socket", "[Socket]\nListenStream=127.0.0.1:7001\nTriggerLimitIntervalSec=1min\nTriggerLimitBurst=2"),
            ("refused.service", "ExecStart=/bin/true"),
        ],
        steps: &["systemctl start refused.socket", "exec 3<>/dev/tcp/127.0.0.1/7001"],
        events: &["refused.socket failed trigger-limit-hit"],
        messages: &["refused.socket failed: triggered too often in a short time"],
    },
    Situation {
        name: "a path whose service leaves the file where it is",
        units: &[
            ("again.path", "[Path]\nPathExists=/etc/os-release"),
            (
                "again.service",
                "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n[Service]\nType=oneshot\nExecStart=/bin/true",
            ),
        ],
        steps: &["systemctl start again.path"],
        events: &["again.path failed unit-start-limit-hit", "again.service failed start-limit-hit exited/0"],
        messages: &[
            "again.path failed: the unit that it starts was started too often in a short time",
            "again.service failed: started too often in a short time",
        ],
    },
    Situation {
        name: "a scope that takes too long",
        units: &[("late.scope", "[Unit]\n# systemd-run makes it")],
        steps: &[
            "systemd-run --quiet --scope --unit=late.scope -p RuntimeMaxSec=300ms -p OnFailure=sysalert-failure@late.scope.service sleep infinity",
        ],
        events: &["late.scope failed timeout at runtime"],
        messages: &["late.scope failed: ran longer than it may (RuntimeMaxSec=)"],
    },
];
