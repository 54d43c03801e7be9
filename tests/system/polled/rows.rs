//! The table. What the faults of other watchers of services were stands first in its group.

use super::Row;

/// Runs until it is told to end.
const DAEMON: &str = "ExecStart=/bin/sleep infinity";
/// Ends as the file of its name says, or runs on.
const AS_TOLD: &str = "ExecStart=/bin/sh -c 'test ! -e /run/%N || exit $(cat /run/%N); exec sleep infinity'";

pub(super) const TABLE: &[Row] = &[
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
    // ---- what happens between two polls ----
    Row {
        name: "down, still down, recovered",
        units: &[("one-fails.service", AS_TOLD)],
        steps: &[
            ("systemctl start one-fails", &[]),
            ("echo 4 >/run/one-fails; systemctl restart one-fails", &["one-fails.service failed: exited with status 4"]),
            ("true", &[]),
            ("rm /run/one-fails; systemctl start one-fails", &["one-fails.service recovered"]),
        ],
    },
    Row {
        name: "another problem while it is down",
        units: &[("one-worse.service", AS_TOLD)],
        steps: &[
            ("systemctl start one-worse", &[]),
            ("echo 4 >/run/one-worse; systemctl restart one-worse", &["one-worse.service failed: exited with status 4"]),
            ("echo 5 >/run/one-worse; systemctl start one-worse", &["one-worse.service failed: exited with status 5"]),
        ],
    },
    Row {
        name: "the same problem again, and then a stop by hand",
        units: &[("one-again.service", AS_TOLD)],
        steps: &[
            ("systemctl start one-again", &[]),
            ("echo 4 >/run/one-again; systemctl restart one-again", &["one-again.service failed: exited with status 4"]),
            ("systemctl start one-again", &[]),
            ("systemctl reset-failed one-again", &[]),
        ],
    },
    Row {
        name: "failed and up again before anybody polled",
        units: &[("one-brief.service", AS_TOLD)],
        steps: &[
            ("systemctl start one-brief", &[]),
            (
                "echo 3 >/run/one-brief; systemctl restart one-brief; sleep 0.3; rm /run/one-brief; systemctl start one-brief",
                &["one-brief.service failed: exited with status 3", "one-brief.service recovered"],
            ),
        ],
    },
    Row {
        name: "its trigger tells it as well",
        units: &[(
            "one-handled.service",
            "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\nExecStart=/bin/sh -c 'test ! -e /run/%N || exit $(cat /run/%N); exec sleep infinity'",
        )],
        steps: &[
            ("systemctl start one-handled", &[]),
            ("echo 3 >/run/one-handled; systemctl restart one-handled", &["one-handled.service failed: exited with status 3"]),
            ("rm /run/one-handled; systemctl start one-handled", &["one-handled.service recovered"]),
        ],
    },
    Row {
        name: "killed",
        units: &[("one-killed.service", DAEMON)],
        steps: &[
            ("systemctl start one-killed", &[]),
            ("systemctl kill --signal=KILL one-killed", &["one-killed.service failed: killed by SIGKILL"]),
        ],
    },
    Row {
        name: "ended by itself, and well",
        units: &[("one-ends.service", AS_TOLD)],
        steps: &[
            ("systemctl start one-ends", &[]),
            (
                "echo 0 >/run/one-ends; systemctl restart one-ends",
                &["one-ends.service is not running: it ended by itself, without an error"],
            ),
            ("rm /run/one-ends; systemctl start one-ends", &["one-ends.service recovered"]),
            ("systemctl stop one-ends", &[]),
        ],
    },
    Row {
        name: "enabled, matched by a glob alone, and ended by itself",
        units: &[(
            "one-enabled.service",
            "[Service]\nExecStart=/bin/sh -c 'test ! -e /run/%N || exit $(cat /run/%N); exec sleep infinity'\n[Install]\nWantedBy=multi-user.target",
        )],
        steps: &[
            ("systemctl enable --now one-enabled", &[]),
            (
                "echo 0 >/run/one-enabled; systemctl restart one-enabled",
                &["one-enabled.service is not running: it ended by itself, without an error"],
            ),
        ],
    },
    Row {
        name: "ended by somebody's SIGTERM, which systemd calls a success",
        units: &[("one-term.service", DAEMON)],
        steps: &[
            ("systemctl start one-term", &[]),
            ("systemctl kill --signal=TERM one-term", &["one-term.service is not running: it ended by itself, without an error"]),
        ],
    },
    Row {
        name: "a start that takes too long",
        units: &[("one-times-out.service", "Type=notify\nTimeoutStartSec=300ms\nExecStart=/bin/sleep infinity")],
        steps: &[("true", &[]), ("systemctl start one-times-out", &["one-times-out.service failed: timed out while starting"])],
    },
    Row {
        name: "restarted until systemd gives up",
        units: &[(
            "one-gives-up.service",
            "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=60\n[Service]\nRestart=on-failure\nRestartSec=50ms\nExecStart=/bin/sh -c 'exit 3'",
        )],
        steps: &[
            ("true", &[]),
            ("systemctl start one-gives-up; sleep 1", &["one-gives-up.service failed: exited with status 3"]),
        ],
    },
    Row {
        name: "a job that fails and then succeeds",
        units: &[("one-job.service", "Type=oneshot\nExecStart=/bin/sh -c 'test ! -e /run/%N'")],
        steps: &[
            ("systemctl start one-job", &[]),
            ("touch /run/one-job; systemctl start one-job", &["one-job.service failed: exited with status 1"]),
            ("rm /run/one-job; systemctl start one-job", &["one-job.service recovered"]),
        ],
    },
    Row {
        name: "what it depends on failed",
        units: &[
            (
                "one-needs.service",
                "[Unit]\nRequires=broken-base.service\nAfter=broken-base.service\n[Service]\nExecStart=/bin/sleep infinity",
            ),
            ("broken-base.service", "Type=oneshot\nExecStart=/bin/false"),
        ],
        steps: &[
            ("true", &[]),
            ("systemctl start one-needs", &["one-needs.service failed: its dependency broken-base.service failed"]),
        ],
    },
    Row {
        name: "an assertion that does not hold",
        units: &[("one-asserts.service", "[Unit]\nAssertPathExists=/nowhere\n[Service]\nExecStart=/bin/sleep infinity")],
        steps: &[
            ("true", &[]),
            ("systemctl start one-asserts", &["one-asserts.service failed: an Assert...= condition was not met"]),
        ],
    },
    Row {
        name: "listed by another of its names",
        units: &[(
            "real-name.service",
            "[Service]\nExecStart=/bin/sh -c 'test ! -e /run/%N || exit $(cat /run/%N); exec sleep infinity'\n[Install]\nAlias=other-name.service",
        )],
        steps: &[
            ("systemctl enable real-name; systemctl start real-name", &[]),
            ("echo 3 >/run/real-name; systemctl restart real-name", &["real-name.service failed: exited with status 3"]),
        ],
    },
    Row {
        name: "uninstalled",
        units: &[("gone.service", DAEMON)],
        steps: &[
            ("systemctl start gone", &[]),
            (
                "systemctl stop gone; rm /etc/systemd/system/gone.service; systemctl daemon-reload",
                &["gone.service does not exist: systemd knows no unit of this name"],
            ),
        ],
    },
    Row {
        name: "both named and matched by a glob",
        units: &[("listed.service", AS_TOLD)],
        steps: &[
            ("systemctl start listed", &[]),
            ("echo 3 >/run/listed; systemctl restart listed", &["listed.service failed: exited with status 3"]),
        ],
    },
    Row {
        name: "a mount that fails",
        units: &[("mnt-one.mount", "[Mount]\nWhat=/dev/nowhere-at-all\nWhere=/mnt/one\nType=tmpfs\nOptions=size=nonsense")],
        steps: &[("true", &[]), ("systemctl start mnt-one.mount", &["mnt-one.mount failed: mount exited with status 32"])],
    },
];
