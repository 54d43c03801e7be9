//! What happens between two polls.

use super::{AS_TOLD, DAEMON, Row};

pub(super) const TABLE: &[Row] = &[
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
