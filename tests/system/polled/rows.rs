//! The table. What the faults of other watchers of services were stands first in its group.

mod between;

use super::Row;

/// Runs until it is told to end.
const DAEMON: &str = "ExecStart=/bin/sleep infinity";
/// Ends as the file of its name says, or runs on.
const AS_TOLD: &str = "ExecStart=/bin/sh -c 'test ! -e /run/%N || exit $(cat /run/%N); exec sleep infinity'";

pub(super) fn table() -> Vec<&'static Row> {
    LOOKED_AT.iter().chain(between::TABLE).collect()
}

const LOOKED_AT: &[Row] = &[
    // ---- fine at the first poll, and ever after ----
    Row { name: "a daemon that runs", units: &[("one-runs.service", DAEMON)], steps: &[("systemctl start one-runs", &[])] },
    Row {
        name: "a oneshot that waits for its timer",
        units: &[
            ("one-idle.service", "Type=oneshot\nExecStart=/bin/true"),
            ("one-idle.timer", "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target"),
        ],
        steps: &[("systemctl enable --now one-idle.timer", &[])],
    },
    Row {
        name: "a oneshot that has run",
        units: &[("one-done.service", "Type=oneshot\nExecStart=/bin/true")],
        steps: &[("systemctl start one-done", &[]), ("systemctl start one-done", &[])],
    },
    Row {
        name: "a oneshot that remains",
        units: &[("one-remains.service", "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true")],
        steps: &[("systemctl start one-remains", &[]), ("systemctl stop one-remains", &[])],
    },
    Row {
        name: "a oneshot that runs for long",
        units: &[("one-long.service", "Type=oneshot\nExecStart=/bin/sleep infinity")],
        steps: &[("systemctl start --no-block one-long", &[])],
    },
    Row {
        name: "a daemon that takes its time to start",
        units: &[("one-slow.service", "Type=notify\nTimeoutStartSec=1h\nExecStart=/bin/sleep infinity")],
        steps: &[("systemctl start --no-block one-slow", &[])],
    },
    Row {
        name: "a daemon that reloads",
        units: &[("one-reloads.service", "ExecStart=/bin/sleep infinity\nExecReload=/bin/sleep 3600\nTimeoutStartSec=1h")],
        steps: &[("systemctl start one-reloads; systemctl reload --no-block one-reloads", &[])],
    },
    Row {
        name: "a daemon that waits for its restart",
        units: &[("one-restarts.service", "Restart=always\nRestartSec=1h\nExecStart=/bin/false")],
        steps: &[("systemctl start one-restarts", &[])],
    },
    Row {
        name: "stopped on purpose",
        units: &[("one-stopped.service", DAEMON)],
        steps: &[
            ("systemctl start one-stopped; systemctl stop one-stopped", &[]),
            ("systemctl start one-stopped", &[]),
            ("systemctl stop one-stopped", &[]),
        ],
    },
    Row {
        name: "stopped with what it is a part of",
        units: &[
            (
                "one-part.service",
                "[Unit]\nPartOf=one-whole.service\nAfter=one-whole.service\n[Service]\nExecStart=/bin/sleep infinity",
            ),
            ("one-whole.service", DAEMON),
        ],
        steps: &[("systemctl start one-whole one-part", &[]), ("systemctl stop one-whole", &[])],
    },
    Row {
        name: "disabled, and never started",
        units: &[("disabled.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target")],
        steps: &[("true", &[])],
    },
    Row {
        name: "enabled for a target that is not reached",
        units: &[
            ("waits.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=one-later.target"),
            ("one-later.target", "[Unit]\nDescription=later"),
        ],
        steps: &[("systemctl enable waits", &[])],
    },
    Row {
        name: "started by its socket, and idle",
        units: &[("one-called.service", "ExecStart=/bin/true"), ("one-called.socket", "[Socket]\nListenStream=/run/one-called")],
        steps: &[("systemctl start one-called.socket", &[])],
    },
    Row {
        name: "a condition that is not met",
        units: &[("one-condition.service", "[Unit]\nConditionPathExists=/nowhere\n[Service]\nExecStart=/bin/sleep infinity")],
        steps: &[("systemctl start one-condition", &[])],
    },
    Row {
        name: "started by another unit to do something for it, matched by a glob alone",
        units: &[
            ("one-asks.service", "[Unit]\nWants=one-helps.service\n[Service]\nExecStart=/bin/sleep infinity"),
            ("one-helps.service", "ExecStart=/bin/true"),
        ],
        steps: &[("systemctl start one-asks", &[]), ("systemctl restart one-asks; systemctl start one-helps", &[])],
    },
    Row {
        name: "a notifier that another's end starts, matched by a glob alone",
        units: &[
            ("one-done-well.service", "[Unit]\nOnSuccess=one-tells@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/true"),
            ("one-tells@.service", "ExecStart=/bin/true"),
        ],
        steps: &[("systemctl start one-done-well", &[]), ("systemctl start one-done-well", &[])],
    },
    Row {
        name: "enabled first, and started within a minute",
        units: &[("soon.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target")],
        steps: &[("systemctl enable soon", &[]), ("systemctl start soon", &[])],
    },
    Row {
        name: "a command that decides against the start",
        units: &[("one-execcondition.service", "ExecCondition=/bin/false\nExecStart=/bin/sleep infinity")],
        steps: &[("systemctl start one-execcondition", &[])],
    },
    Row {
        name: "old history: failed before the first poll, and well since",
        units: &[("one-old.service", AS_TOLD)],
        steps: &[("echo 3 >/run/one-old; systemctl start one-old; sleep 0.3; rm /run/one-old; systemctl start one-old", &[])],
    },
    Row {
        name: "a unit that runs although its file is gone",
        units: &[("removed.service", DAEMON)],
        steps: &[("systemctl start removed", &[]), ("rm /etc/systemd/system/removed.service; systemctl daemon-reload", &[])],
    },
    Row {
        name: "a unit that nobody lists",
        units: &[("unlisted.service", "ExecStart=/bin/false")],
        steps: &[("true", &[]), ("systemctl start unlisted", &[])],
    },
    Row {
        name: "a target that is not up",
        units: &[("one-nobodys.target", "[Unit]\nDescription=nobody's")],
        steps: &[("true", &[])],
    },
    // ---- wrong from the first poll on ----
    Row {
        name: "a mistyped name",
        units: &[],
        steps: &[("true", &["systemd-jurnald.service does not exist: did you mean systemd-journald.service?"])],
    },
    Row {
        name: "a name that is like no other",
        units: &[],
        steps: &[("true", &["xyzzy-plugh.service does not exist: systemd knows no unit of this name"])],
    },
    Row {
        name: "masked, and unmasked",
        units: &[],
        steps: &[
            ("systemctl mask masked", &["masked.service is masked: nothing can start it"]),
            (
                "systemctl unmask masked; printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/masked.service; systemctl daemon-reload; systemctl start masked",
                &["masked.service recovered"],
            ),
        ],
    },
    Row {
        name: "a mistake in the file, and its mending",
        units: &[("mistake.service", "[Service]\nType=simple")],
        steps: &[
            ("true", &["mistake.service cannot be started: its unit file has a mistake"]),
            (
                "echo ExecStart=/bin/sleep infinity >>/etc/systemd/system/mistake.service; systemctl daemon-reload; systemctl start mistake",
                &["mistake.service recovered"],
            ),
        ],
    },
    Row {
        name: "down already at the first poll",
        units: &[("one-down.service", AS_TOLD)],
        steps: &[
            ("echo 3 >/run/one-down; systemctl start one-down; sleep 0.3", &["one-down.service failed: exited with status 3"]),
            ("rm /run/one-down; systemctl start one-down", &["one-down.service recovered"]),
        ],
    },
    Row {
        name: "enabled, its target is reached, and it was never started",
        units: &[("never.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target")],
        steps: &[
            (
                "systemctl enable never",
                &["never.service is not running: it is enabled, and nothing has started it since the boot"],
            ),
            ("systemctl start never", &["never.service recovered"]),
        ],
    },
    Row {
        name: "a start that hangs, and its end",
        units: &[(
            "one-hangs-starting.service",
            "Type=notify\nNotifyAccess=all\nTimeoutStartSec=infinity\nExecStart=/bin/sh -c 'while ! test -e /run/%N; do sleep 0.1; done; systemd-notify --ready; exec sleep infinity'",
        )],
        steps: &[
            (
                "systemctl start --no-block one-hangs-starting",
                &["one-hangs-starting.service hangs: it has been starting for more than 1s"],
            ),
            ("touch /run/one-hangs-starting", &["one-hangs-starting.service recovered"]),
        ],
    },
    Row {
        name: "a oneshot that hangs, where somebody said how long it may take",
        units: &[(
            "one-hangs-oneshot.service",
            "Type=oneshot\nExecStart=/bin/sh -c 'while ! test -e /run/%N; do sleep 0.1; done'",
        )],
        steps: &[
            (
                "systemctl start --no-block one-hangs-oneshot",
                &["one-hangs-oneshot.service hangs: it has been starting for more than 1s"],
            ),
            ("touch /run/one-hangs-oneshot", &["one-hangs-oneshot.service recovered"]),
        ],
    },
    Row {
        name: "a reload that hangs, and its end",
        units: &[(
            "one-hangs-reloading.service",
            "ExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\nExecReload=/bin/sh -c 'while ! test -e /run/%N; do sleep 0.1; done'",
        )],
        steps: &[
            (
                "systemctl start one-hangs-reloading; systemctl reload --no-block one-hangs-reloading",
                &["one-hangs-reloading.service hangs: it has been reloading for more than 1s"],
            ),
            ("touch /run/one-hangs-reloading", &["one-hangs-reloading.service recovered"]),
        ],
    },
    Row {
        name: "a stop that hangs, and its end",
        units: &[(
            "one-hangs-stopping.service",
            "ExecStart=/bin/sleep infinity\nTimeoutStopSec=infinity\nExecStop=/bin/sh -c 'while ! test -e /run/%N; do sleep 0.1; done'",
        )],
        steps: &[
            (
                "systemctl start one-hangs-stopping; systemctl stop --no-block one-hangs-stopping",
                &["one-hangs-stopping.service hangs: it has been stopping for more than 1s"],
            ),
            ("touch /run/one-hangs-stopping", &["one-hangs-stopping.service recovered"]),
        ],
    },
];
