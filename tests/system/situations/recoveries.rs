//! Failures, repetitions and recoveries.

use super::Situation;

pub(super) const ROWS: &[Situation] = &[
    Situation {
        name: "the same failure twice",
        units: &[("twice.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'")],
        steps: &["systemctl start twice.service", "systemctl start twice.service"],
        events: &["twice.service failed exit-code exited/3", "twice.service failed exit-code exited/3"],
        messages: &["twice.service failed: exited with status 3"],
    },
    Situation {
        name: "another failure",
        units: &[("another.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit $(cat /run/another)'")],
        steps: &[
            "echo 3 >/run/another; systemctl start another.service",
            "echo 4 >/run/another; systemctl start another.service",
        ],
        events: &["another.service failed exit-code exited/3", "another.service failed exit-code exited/4"],
        messages: &["another.service failed: exited with status 3", "another.service failed: exited with status 4"],
    },
    Situation {
        name: "a oneshot that does well after a failure, with OnSuccess=",
        units: &[(
            "well-job.service",
            "[Unit]\nOnSuccess=sysalert-success@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test -e /run/well-job || exit 3'",
        )],
        steps: &["systemctl start well-job.service", "touch /run/well-job; systemctl start well-job.service"],
        events: &["well-job.service failed exit-code exited/3", "well-job.service succeeded success"],
        messages: &["well-job.service failed: exited with status 3", "well-job.service recovered"],
    },
    Situation {
        name: "a oneshot that does well after a failure, with OnSuccess=",
        units: &[(
            "quick-job.service",
            "[Unit]\nOnSuccess=sysalert-success@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test -e /run/quick-job || exit 3'",
        )],
        steps: &["systemctl start quick-job.service", "touch /run/quick-job; systemctl start quick-job.service"],
        events: &["quick-job.service failed exit-code exited/3", "quick-job.service succeeded success"],
        messages: &["quick-job.service failed: exited with status 3", "quick-job.service recovered"],
    },
    Situation {
        name: "a oneshot that does well after a failure, without OnSuccess=",
        units: &[("well.service", "Type=oneshot\nExecStart=/bin/sh -c 'test -e /run/well || exit 3'")],
        steps: &["systemctl start well.service", "touch /run/well; systemctl start well.service"],
        events: &["well.service failed exit-code exited/3", "well.service succeeded success"],
        messages: &["well.service failed: exited with status 3", "well.service recovered"],
    },
    Situation {
        name: "a oneshot that remains active, and does well after a failure",
        units: &[("remains.service", "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'test -e /run/remains || exit 3'")],
        steps: &["systemctl start remains.service", "touch /run/remains; systemctl start remains.service"],
        events: &["remains.service failed exit-code exited/3", "remains.service succeeded success"],
        messages: &["remains.service failed: exited with status 3", "remains.service recovered"],
    },
    Situation {
        name: "a daemon that is started again after a failure",
        units: &[("daemon.service", "ExecStart=/bin/sh -c 'test -e /run/daemon || exit 3; exec sleep infinity'")],
        steps: &["systemctl start --wait daemon.service", "touch /run/daemon; systemctl start daemon.service"],
        events: &["daemon.service failed exit-code exited/3", "daemon.service succeeded success"],
        messages: &["daemon.service failed: exited with status 3", "daemon.service recovered"],
    },
    Situation {
        name: "a daemon that is stopped by hand soon after it was started again: nobody knows whether it is well",
        units: &[("stopped.service", "ExecStart=/bin/sh -c 'test -e /run/stopped || exit 3; exec sleep infinity'")],
        steps: &[
            "systemctl start --wait stopped.service",
            "touch /run/stopped; systemctl start stopped.service; systemctl stop stopped.service",
        ],
        events: &["stopped.service failed exit-code exited/3"],
        messages: &["stopped.service failed: exited with status 3"],
    },
    Situation {
        name: "a job that is stopped in the middle of its run: nobody knows whether it is well",
        units: &[(
            "cut.service",
            "Type=oneshot\nExecStart=/bin/sh -c 'test -e /run/cut || exit 3; trap \"exit 0\" TERM; touch /run/cut-runs; sleep 60 & wait'",
        )],
        steps: &[
            "systemctl start --wait cut.service",
            "touch /run/cut; systemctl start --no-block cut.service; until test -e /run/cut-runs; do sleep 0.01; done; \
             systemctl stop cut.service",
        ],
        events: &["cut.service failed exit-code exited/3"],
        messages: &["cut.service failed: exited with status 3"],
    },
    Situation {
        name: "a failed unit that is reset by hand: nobody knows whether it is well",
        units: &[("reset.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'")],
        steps: &["systemctl start reset.service", "systemctl reset-failed reset.service"],
        events: &["reset.service failed exit-code exited/3"],
        messages: &["reset.service failed: exited with status 3"],
    },
    Situation {
        name: "a mount that is mounted after a failure",
        units: &[(
            "run-late.mount",
            "[Mount]\nWhat=overlay\nWhere=/run/late\nType=overlay\nOptions=lowerdir=/run/late-a:/run/late-b",
        )],
        steps: &["systemctl start run-late.mount", "mkdir /run/late-a /run/late-b; systemctl start run-late.mount"],
        events: &["run-late.mount failed exit-code exited/32 at ExecMount", "run-late.mount succeeded success"],
        messages: &["run-late.mount failed: mount exited with status 32", "run-late.mount recovered"],
    },
    Situation {
        name: "a required unit that does well at the second start, and the one that needs it",
        units: &[
            (
                "needs-later.service",
                "[Unit]\nRequires=later.service\nAfter=later.service\n[Service]\nExecStart=/bin/sleep infinity",
            ),
            ("later.service", "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'test -e /run/later || exit 3'"),
        ],
        steps: &["systemctl start needs-later.service", "touch /run/later; systemctl start needs-later.service"],
        events: &[
            "later.service failed exit-code exited/3",
            "later.service succeeded success",
            "needs-later.service failed dependency at later.service without a run",
            "needs-later.service succeeded success",
        ],
        messages: &[
            "later.service failed: exited with status 3",
            "later.service recovered",
            "needs-later.service failed: its dependency later.service failed",
            "needs-later.service recovered",
        ],
    },
];
