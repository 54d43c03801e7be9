//! Recoveries of units that have no OnSuccess=: dispatch sees that they are well again, and says so when it is true.

use chrono::{DateTime, TimeDelta, Utc};

use crate::alerts::Alert;
use crate::guest::{Guest, Options};

/// A daemon that runs on when /run/NAME-ok is there, and dies when /run/NAME-dies is.
const DAEMON: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\n\
    ExecStart=/bin/sh -c 'test -e /run/%p-ok || exit 3; until test -e /run/%p-dies; do sleep 0.05; done; exit 4'\n";

struct Daemons<'g>(&'g Guest);

impl<'g> Daemons<'g> {
    /// Each of them has failed, and somebody was told.
    #[track_caller]
    fn that_failed(guest: &'g Guest, names: &[&str]) -> Self {
        for name in names {
            guest.write_file(&format!("/etc/systemd/system/{name}.service"), DAEMON);
        }
        guest.run(&["systemctl", "daemon-reload"]).ok();
        guest.run(&[&["systemctl", "start"], names].concat()).ok();
        for name in names {
            let unit = format!("{name}.service");
            guest.wait_until(&format!("somebody was told about {unit}"), || guest.told(&unit).len() == 1);
        }
        Self(guest)
    }

    /// Starts it, well; from when on it is active.
    #[track_caller]
    fn starts(&self, name: &str) -> DateTime<Utc> {
        self.0.write_file(&format!("/run/{name}-ok"), "");
        self.0.run(&["systemctl", "start", name]).ok();
        let since = self.0.run(&["systemctl", "show", "--value", "--timestamp=us+utc", "-p", "ActiveEnterTimestamp", name]).ok();
        let time = since.trim_end_matches(" UTC").split_once(' ').map_or("", |(_weekday, rest)| rest).replacen(' ', "T", 1);
        format!("{time}Z").parse().unwrap_or_else(|error| panic!("{error}: {since}"))
    }

    #[track_caller]
    fn recovery(&self, name: &str) -> Alert {
        let unit = format!("{name}.service");
        let mut recovery = None;
        self.0.wait_until(&format!("the recovery of {unit} is told"), || {
            recovery = self.0.alerts().into_iter().find(|alert| alert.unit == unit && alert.kind == "recovery");
            recovery.is_some()
        });
        recovery.unwrap()
    }

    #[track_caller]
    fn state(&self, name: &str) -> String {
        let incidents = self.0.incidents(&format!("{name}.service"));
        assert_eq!(incidents.len(), 1, "{incidents:#?}");
        incidents[0]["state"].as_str().unwrap().to_owned()
    }
}

fn of_daemons(systemd: u32) {
    let guest = Guest::boot_on(systemd, "recovery", Options::new().watched().quick_timer());
    guest.begin("[policy]\nrecovery_hold = \"2s\"\n[unit.\"quiet.service\"]\nrecovery = false\n");
    let daemons = Daemons::that_failed(&guest, &["well", "dies", "stopped", "quiet", "later"]);

    let since = daemons.starts("well");
    daemons.starts("quiet");
    // it dies again within the hold, with another status
    daemons.starts("dies");
    guest.write_file("/run/dies-dies", "");
    daemons.starts("stopped");
    guest.run(&["systemctl", "stop", "stopped.service"]).ok();

    let recovery = daemons.recovery("well");
    assert_eq!(recovery.subject, "well.service recovered");
    assert!(recovery.at >= since + TimeDelta::seconds(2), "active since {since}, and told already at {}", recovery.at);
    // started after the others: once it is recovered, they would be
    daemons.starts("later");
    daemons.recovery("later");
    guest.look_again();

    let first = |name: &str| format!("{name}.service failed: exited with status 3");
    assert_eq!(guest.told("well.service"), [first("well"), "well.service recovered".to_owned()]);
    assert_eq!(guest.told("dies.service"), [first("dies"), "dies.service failed: exited with status 4".to_owned()]);
    assert_eq!(guest.told("stopped.service"), [first("stopped")]);
    assert_eq!(guest.told("quiet.service"), [first("quiet")], "recovery = false");
    let states = ["well", "later", "quiet", "dies", "stopped"].map(|name| daemons.state(name));
    assert_eq!(states, ["resolved", "resolved", "resolved", "open", "open"]);

    // it is well at the third try: told once
    guest.run(&["rm", "/run/dies-dies"]).ok();
    daemons.starts("dies");
    daemons.recovery("dies");
    guest.look_again();
    assert_eq!(guest.told("dies.service").len(), 3);
    assert_eq!(daemons.state("dies"), "resolved");

    // and a new failure is a new incident
    guest.write_file("/run/well-dies", "");
    guest.wait_until("the new failure is told", || guest.told("well.service").len() == 3);
    assert_eq!(guest.incidents("well.service").len(), 2);
}

#[test]
fn a_daemon_recovers_when_it_was_active_long_enough_on_252() {
    of_daemons(252);
}

#[test]
fn a_daemon_recovers_when_it_was_active_long_enough_on_257() {
    of_daemons(257);
}

/// What was ill when the machine went down, and is well after the boot.
#[test]
fn a_daemon_that_is_well_after_a_reboot_recovers() {
    let guest = Guest::boot("reboot", Options::new().watched().quick_timer());
    guest.begin("[policy]\nrecovery_hold = \"1s\"\n");
    let unit = "[Service]\nExecStart=/bin/sh -c 'test -e /etc/well || exit 3; exec sleep infinity'\n\
        [Install]\nWantedBy=multi-user.target\n";
    guest.write_unit("daemon.service", unit);
    guest.run(&["systemctl", "enable", "--now", "daemon.service"]);
    guest.wait_until("the failure is told", || guest.told("daemon.service").len() == 1);
    guest.write_file("/etc/well", "");
    guest.reboot();
    guest.wait_until("the recovery is told", || guest.told("daemon.service").len() == 2);
    guest.look_again();
    let told = ["daemon.service failed: exited with status 3", "daemon.service recovered"];
    assert_eq!(guest.told("daemon.service"), told);
}

/// The timer looks each minute: whoever must wait for the next look waits a minute.
#[test]
fn the_look_that_sees_a_recovery_tells_it() {
    let guest = Guest::boot("look", Options::new().watched());
    guest.begin("[policy]\nrecovery_hold = \"1s\"\n");
    let daemons = Daemons::that_failed(&guest, &["well"]);
    guest.run(&["systemctl", "stop", "sysalert-dispatch.timer"]).ok();
    guest.quiet();
    let since = daemons.starts("well");
    guest.wait_until("it was active for the hold", || Utc::now() > since + TimeDelta::milliseconds(1100));
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    guest.wait_until("nothing wakes dispatch any more", || guest.sh("test ! -e /run/sysalert/pending").success());
    guest.wait_for_dispatch();
    assert_eq!(guest.told("well.service"), ["well.service failed: exited with status 3", "well.service recovered"]);
}
