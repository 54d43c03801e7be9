//! The ways in which a run of a service ends.

use super::{NOTHING, Situation};

pub(super) const ROWS: &[Situation] = &[
    Situation {
        name: "a oneshot that exits with a status",
        units: &[("exit.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'")],
        events: &["exit.service failed exit-code exited/3"],
        messages: &["exit.service failed: exited with status 3"],
        ..NOTHING
    },
    Situation {
        name: "a daemon that exits with a status",
        units: &[("daemon-exit.service", "ExecStart=/bin/sh -c 'exit 4'")],
        events: &["daemon-exit.service failed exit-code exited/4"],
        messages: &["daemon-exit.service failed: exited with status 4"],
        ..NOTHING
    },
    Situation {
        name: "a oneshot whose second command fails",
        units: &[("second.service", "Type=oneshot\nExecStart=/bin/true\nExecStart=/bin/sh -c 'exit 5'\nExecStart=/bin/true")],
        events: &["second.service failed exit-code exited/5"],
        messages: &["second.service failed: exited with status 5"],
        ..NOTHING
    },
    Situation {
        name: "a daemon that forks, and whose first process fails",
        units: &[("forking.service", "Type=forking\nExecStart=/bin/sh -c 'exit 6'")],
        events: &["forking.service failed exit-code exited/6"],
        messages: &["forking.service failed: exited with status 6"],
        ..NOTHING
    },
    Situation {
        name: "SIGKILL",
        units: &[("killed.service", "ExecStart=/bin/sh -c 'kill -KILL $$$$'")],
        events: &["killed.service failed signal killed/KILL"],
        messages: &["killed.service failed: killed by SIGKILL"],
        ..NOTHING
    },
    Situation {
        name: "SIGKILL by hand",
        units: &[("kill-by-hand.service", "ExecStart=/bin/sleep infinity")],
        steps: &["systemctl start kill-by-hand.service", "systemctl kill --signal=KILL kill-by-hand.service"],
        events: &["kill-by-hand.service failed signal killed/KILL"],
        messages: &["kill-by-hand.service failed: killed by SIGKILL"],
    },
    Situation {
        name: "a core dump",
        units: &[(
            "core.service",
            "Type=oneshot\nLimitCORE=infinity\nWorkingDirectory=/tmp\nExecStart=/bin/sh -c 'kill -SEGV $$$$'",
        )],
        events: &["core.service failed core-dump dumped/SEGV"],
        messages: &["core.service failed: dumped core: SIGSEGV"],
        ..NOTHING
    },
    Situation {
        name: "SIGSEGV without a core dump",
        units: &[("no-core.service", "Type=oneshot\nLimitCORE=0\nExecStart=/bin/sh -c 'kill -SEGV $$$$'")],
        events: &["no-core.service failed signal killed/SEGV"],
        messages: &["no-core.service failed: killed by SIGSEGV"],
        ..NOTHING
    },
    Situation {
        name: "SIGTERM from itself is a good end for a daemon",
        units: &[("term.service", "ExecStart=/bin/sh -c 'kill -TERM $$$$'")],
        ..NOTHING
    },
    Situation {
        name: "a start that takes too long",
        units: &[("start-timeout.service", "Type=notify\nTimeoutStartSec=300ms\nExecStart=/bin/sleep infinity")],
        events: &["start-timeout.service failed timeout killed/TERM at start"],
        messages: &["start-timeout.service failed: timed out while starting (killed by SIGTERM)"],
        ..NOTHING
    },
    Situation {
        name: "a stop that takes too long",
        units: &[(
            "stop-timeout.service",
            "Type=exec\nTimeoutStopSec=300ms\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 9; done'",
        )],
        steps: &["systemctl start stop-timeout.service", "systemctl stop stop-timeout.service"],
        events: &["stop-timeout.service failed timeout killed/KILL at stop"],
        messages: &["stop-timeout.service failed: timed out while stopping (killed by SIGKILL)"],
    },
    Situation {
        name: "a run that takes too long",
        units: &[("runtime.service", "RuntimeMaxSec=300ms\nExecStart=/bin/sleep infinity")],
        events: &["runtime.service failed timeout killed/TERM at runtime"],
        messages: &["runtime.service failed: ran longer than it may (RuntimeMaxSec=; killed by SIGTERM)"],
        ..NOTHING
    },
    Situation {
        name: "no watchdog signal",
        units: &[("watchdog.service", "WatchdogSec=300ms\nLimitCORE=0\nExecStart=/bin/sleep infinity")],
        events: &["watchdog.service failed watchdog killed/ABRT"],
        messages: &["watchdog.service failed: sent no watchdog signal in time (killed by SIGABRT)"],
        ..NOTHING
    },
    Situation {
        name: "out of memory",
        units: &[("hungry.service", "ExecStart=/bin/sleep infinity")],
        steps: &["systemctl start hungry.service", "oom hungry.service"],
        events: &["hungry.service failed oom-kill killed/KILL"],
        messages: &["hungry.service failed: out of memory (killed by SIGKILL)"],
    },
    Situation {
        name: "a daemon that ends without having said that it is ready",
        units: &[("notify.service", "Type=notify\nExecStart=/bin/true")],
        events: &["notify.service failed protocol exited/0"],
        messages: &["notify.service failed: did not report its start as its Type= demands"],
        ..NOTHING
    },
    Situation {
        name: "a program that is not there",
        units: &[("no-program.service", "ExecStart=/usr/bin/there-is-none")],
        events: &["no-program.service failed exit-code exited/203"],
        messages: &["no-program.service failed: exited with status 203 (EXEC: its program could not be started)"],
        ..NOTHING
    },
    Situation {
        name: "a working directory that is not there",
        units: &[("no-folder.service", "WorkingDirectory=/nowhere\nExecStart=/bin/true")],
        events: &["no-folder.service failed exit-code exited/200"],
        messages: &["no-folder.service failed: exited with status 200 (CHDIR: its working directory could not be entered)"],
        ..NOTHING
    },
    Situation {
        name: "a user that is not there",
        units: &[("no-user.service", "User=nobody-of-that-name\nExecStart=/bin/true")],
        events: &["no-user.service failed exit-code exited/217"],
        messages: &["no-user.service failed: exited with status 217 (USER: its user could not be taken)"],
        ..NOTHING
    },
    Situation {
        name: "an environment file that is not there: no process at all",
        units: &[("no-environment.service", "EnvironmentFile=/etc/there-is-none\nExecStart=/bin/true")],
        events: &["no-environment.service failed resources"],
        messages: &["no-environment.service failed: not started, because systemd lacked a resource or a file for it"],
        ..NOTHING
    },
    Situation {
        name: "a status that counts as success",
        units: &[("allowed.service", "Type=oneshot\nSuccessExitStatus=3\nExecStart=/bin/sh -c 'exit 3'")],
        ..NOTHING
    },
    Situation {
        name: "a success with nothing wrong before it",
        units: &[(
            "success.service",
            "[Unit]\nOnSuccess=sysalert-success@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/true",
        )],
        ..NOTHING
    },
];
