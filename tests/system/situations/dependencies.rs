//! Units that need each other.

use super::{NOTHING, Situation};

pub(super) const ROWS: &[Situation] = &[
    Situation {
        name: "a required unit fails",
        units: &[
            ("needs.service", "[Unit]\nRequires=needed.service\nAfter=needed.service\n[Service]\nExecStart=/bin/sleep infinity"),
            ("needed.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'"),
        ],
        events: &["needed.service failed exit-code exited/3", "needs.service failed dependency at needed.service without a run"],
        messages: &["needed.service failed: exited with status 3", "needs.service failed: its dependency needed.service failed"],
        ..NOTHING
    },
    Situation {
        name: "a unit that is required by a required one fails",
        units: &[
            ("top.service", "[Unit]\nRequires=middle.service\nAfter=middle.service\n[Service]\nExecStart=/bin/sleep infinity"),
            ("middle.service", "[Unit]\nRequires=bottom.service\nAfter=bottom.service\n[Service]\nExecStart=/bin/sleep infinity"),
            ("bottom.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'"),
        ],
        events: &[
            "bottom.service failed exit-code exited/3",
            "middle.service failed dependency at bottom.service without a run",
            "top.service failed dependency at bottom.service without a run",
        ],
        messages: &[
            "bottom.service failed: exited with status 3",
            "middle.service failed: its dependency bottom.service failed",
            "top.service failed: its dependency bottom.service failed",
        ],
        ..NOTHING
    },
    Situation {
        name: "a required unit is not there: systemd starts nothing",
        units: &[(
            "needs-nobody.service",
            "[Unit]\nRequires=nobody-at-all.service\nAfter=nobody-at-all.service\n[Service]\nExecStart=/bin/true",
        )],
        ..NOTHING
    },
    Situation {
        name: "a wanted unit fails",
        units: &[
            ("wants.service", "[Unit]\nWants=wanted.service\nAfter=wanted.service\n[Service]\nExecStart=/bin/sleep infinity"),
            ("wanted.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'"),
        ],
        steps: &["systemctl start wants.service"],
        events: &["wanted.service failed exit-code exited/3"],
        messages: &["wanted.service failed: exited with status 3"],
    },
    Situation {
        name: "a unit fails while another that is bound to it runs",
        units: &[
            ("bound.service", "[Unit]\nBindsTo=bond.service\nAfter=bond.service\n[Service]\nExecStart=/bin/sleep infinity"),
            ("bond.service", "ExecStart=/bin/sleep infinity"),
        ],
        steps: &["systemctl start bound.service", "systemctl kill --signal=KILL bond.service"],
        events: &["bond.service failed signal killed/KILL"],
        messages: &["bond.service failed: killed by SIGKILL"],
    },
    Situation {
        name: "a target whose required unit fails",
        units: &[
            ("reached.target", "[Unit]\nRequires=unreached.service\nAfter=unreached.service"),
            ("unreached.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'"),
        ],
        steps: &["systemctl start reached.target"],
        events: &[
            "reached.target failed dependency at unreached.service without a run",
            "unreached.service failed exit-code exited/3",
        ],
        messages: &[
            "reached.target failed: its dependency unreached.service failed",
            "unreached.service failed: exited with status 3",
        ],
    },
    Situation {
        name: "two units that fail one after the other",
        units: &[
            ("one.service", "Type=oneshot\nExecStart=/bin/sh -c 'exit 3'"),
            ("two.service", "[Unit]\nAfter=one.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 4'"),
        ],
        steps: &["systemctl start one.service two.service"],
        events: &["one.service failed exit-code exited/3", "two.service failed exit-code exited/4"],
        messages: &["one.service failed: exited with status 3", "two.service failed: exited with status 4"],
    },
];
