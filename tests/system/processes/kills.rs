//! Killed at each call that asks for a restart, or keeps something of it: no restart is made twice, and none is forgotten.

use super::{alarm, check, guest, row, sql};
use crate::guest::Guest;

/// A commit is made durable, the bus and the database are reached, the bus is asked, a restart's own file takes its place.
const OF_THE_CHECK: [&str; 3] = ["fsync", "connect", "sendmsg"];
const OF_THE_RESTART: [&str; 3] = ["fsync", "rename", "sendmsg"];

/// A guest whose process counts its starts, in alarm from the beginning.
fn counted(name: &str) -> Guest {
    // in alarm so often it would flap
    let guest = guest(252, name, "[process.web]\n[policy]\nflapping = 0\n");
    guest.write_unit(
        "web.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStartPre=/bin/sh -c 'echo x >>/starts'\nExecStart=/bin/sleep infinity\n",
    );
    guest.run(&["systemctl", "start", "web.service"]).ok();
    // nothing else of sysalert may run in between
    guest.rest();
    alarm(&guest, 1, "web", "NULL");
    guest
}

fn starts(guest: &Guest) -> usize {
    guest.read_file("/starts").lines().count()
}

/// Whether one of the traced processes came to its N-th call of this kind.
fn is_reached(guest: &Guest, number: usize) -> bool {
    let trace = guest.sh("cat /srv/trace/* 2>/dev/null; rm -f /srv/trace/*").ok();
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for process in trace.lines().filter(|line| line.contains('(')).filter_map(|line| line.split(' ').next()) {
        *counts.entry(process).or_default() += 1;
    }
    counts.values().any(|count| *count >= number)
}

/// Puts the process into alarm, lets `run` be killed at each point, and looks at what the next runs make of it.
fn at_each_point(guest: &Guest, calls: &[&str], run: impl Fn(&str, usize)) {
    guest.sh("mkdir -p /srv/trace; chmod 1777 /srv/trace").ok();
    for call in calls {
        let mut points = 0;
        for number in 1.. {
            sql(guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1, notes = NULL");
            let before = starts(guest);
            run(call, number);
            let is_hit = is_reached(guest, number);
            check(guest);
            check(guest);
            let point = format!("killed at {call} {number}");
            assert!(row(guest, 1).starts_with("0\t0\t - Restarted at "), "{point}: {}", row(guest, 1));
            assert_eq!(starts(guest) - before, 1, "{point}: {}", super::history(guest, "process:web"));
            assert_eq!(guest.sysalert(&["db", "list", "-o", "json"]).json(), serde_json::json!([]), "{point}");
            if !is_hit {
                break;
            }
            points += 1;
        }
        eprintln!("{call}: {points} points");
        assert!(points > 0, "nothing was hit at {call}");
    }
}

#[test]
fn a_check_that_is_killed_restarts_once() {
    let guest = counted("kills");
    at_each_point(&guest, &OF_THE_CHECK, |call, number| {
        let (only, at) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
        let before = ["strace", "-f", "-o", "/srv/trace/check", "-e", &only, "-e", &at];
        guest.run_as("sysalert", &[&before[..], &["sysalert", "check", "processes"]].concat());
    });
}

#[test]
fn a_restart_that_is_killed_is_looked_at_before_it_is_made_again() {
    let guest = counted("killed-root");
    let drop_in = "/run/systemd/system/sysalert-restart@.service.d/strace.conf";
    at_each_point(&guest, &OF_THE_RESTART, |call, number| {
        let traced = format!(
            "[Service]\nExecStart=\nExecStart=/usr/bin/strace -f -o /srv/trace/restart -e trace={call} -e inject={call}:signal=KILL:when={number} \
             /usr/bin/sysalert restart-process -- %i\n"
        );
        guest.write_file(drop_in, &traced);
        guest.run(&["systemctl", "daemon-reload"]).ok();
        check(&guest);
        guest.run(&["rm", drop_in]).ok();
        guest.run(&["systemctl", "daemon-reload"]).ok();
    });
    what_another_run_began_is_no_restart_of_a_later_one(&guest);
    a_custom_command_that_is_cut_short_is_followed_again(&guest);
}

fn what_another_run_began_is_no_restart_of_a_later_one(guest: &Guest) {
    for stale in [r#"{"begun":{"ran":"","run":"0123456789abcdef0123456789abcdef"}}"#, r#"{"begun":{"ran":""}}"#] {
        guest.write_file("/var/lib/sysalert-restart/web", stale);
        sql(guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1, notes = NULL");
        let before = starts(guest);
        check(guest);
        assert_eq!((starts(guest) - before, row(guest, 1).starts_with("0\t")), (1, true), "{stale}");
        guest.write_file("/var/lib/sysalert-restart/web", stale);
        guest.sysalert(&["process", "restart", "web"]).ok();
        assert_eq!(starts(guest) - before, 2, "by hand, {stale}");
    }
}

fn a_custom_command_that_is_cut_short_is_followed_again(guest: &Guest) {
    let script = "#!/bin/sh\necho x >>/starts\n[ -e /quick ] || exec sleep 1000\n";
    guest.write_file("/usr/local/bin/starts", script);
    guest.run(&["chmod", "755", "/usr/local/bin/starts"]).ok();
    let section = "[process.web]\nrestart_strategy = \"custom\"\nrestart_command = [\"/usr/local/bin/starts\"]\n\
        health_check_command = [\"/bin/true\"]\n";
    super::configure(guest, &format!("{}{section}", super::CONFIG));
    sql(guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1, notes = NULL");
    let before = starts(guest);
    super::forget_pace(guest);
    guest.run(&["systemctl", "start", "--no-block", "sysalert-check@processes.service"]).ok();
    guest.wait_until("it is followed", || starts(guest) > before);
    guest.run(&["systemctl", "kill", "--kill-whom=main", "-s", "KILL", "sysalert-restart@web.service"]).ok();
    guest.wait_until("the round is over", || guest.property("sysalert-check@processes.service", "ActiveState") == "inactive");
    let told = super::history(guest, "process:web");
    assert!(told.contains("the restart was cut short: nobody knows how far its `restart_command` was"), "{told}");
    guest.sh("touch /quick; systemctl stop 'sysalert-custom-*'").ok();
    check(guest);
    assert_eq!((starts(guest) - before, row(guest, 1).starts_with("0\t")), (2, true));
}
