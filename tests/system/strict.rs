//! Strict mode: a service records itself how each of its runs ended, before systemd goes on. That what is told in the end is
//! the same as without it, `situations` shows.

mod ends;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::guest::{Guest, Options};

const DROP_IN: &str = "/usr/share/doc/sysalert/overrides/NAME.service.d/20-sysalert-strict.conf";

impl Options {
    /// The documentation's drop-in, for all services but sysalert's own.
    pub fn strict(self) -> Self {
        self.prepare(&format!(
            r#"install -D -m 0644 -t "$ROOT/etc/systemd/system/service.d" "$ROOT{DROP_IN}"
            install -D -m 0644 /dev/null "$ROOT/etc/systemd/system/sysalert-.service.d/20-sysalert-strict.conf""#
        ))
    }
}

/// A guest in which nothing but the services themselves records anything: no handler, no dispatch.
#[track_caller]
fn alone(systemd: u32, name: &str, options: Options) -> Guest {
    let guest = Guest::boot_on(systemd, name, options.strict());
    guest.begin("");
    guest
        .run(&["systemctl", "mask", "--now", "sysalert-dispatch.path", "sysalert-dispatch.timer", "sysalert-dispatch.service"])
        .ok();
    guest
}

/// The events of this unit as the table has them.
fn recorded(guest: &Guest, unit: &str) -> Vec<String> {
    let word = |row: &Value, column: &str| row[column].as_str().unwrap_or("-").to_owned();
    let rows = guest.rows(&format!("SELECT * FROM events WHERE subject = 'unit:{unit}' ORDER BY id"));
    let line = |row: &Value| {
        format!(
            "{} {} {}/{}",
            word(row, "outcome"),
            word(row, "service_result"),
            word(row, "exit_code"),
            word(row, "exit_status")
        )
    };
    rows.iter().map(line).collect()
}

fn ten(systemd: u32) {
    let guest = alone(systemd, "ten", Options::new());
    guest
        .write_unit("burst.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n");
    let took = guest.sh("begun=$(date +%s%N); for run in {1..10}; do systemctl start burst || true; done; echo $((($(date +%s%N) - begun) / 1000000))");
    let runs = guest.failed_runs("burst.service");
    let rows = guest.rows("SELECT invocation_id FROM events ORDER BY id");
    let found: Vec<&str> = rows.iter().map(|row| row["invocation_id"].as_str().unwrap()).collect();
    assert_eq!((found.len(), found), (10, runs.iter().map(String::as_str).collect()), "ten of ten at once, in their order");
    eprintln!("systemd {systemd}: ten failures in {} ms, ten events", took.ok());

    // and whoever comes later adds nothing to them
    guest.run(&["systemctl", "unmask", "sysalert-dispatch.path", "sysalert-dispatch.timer", "sysalert-dispatch.service"]).ok();
    guest.run(&["systemctl", "start", "sysalert-dispatch.path", "sysalert-dispatch.timer"]).ok();
    guest.look_again();
    assert_eq!(recorded(&guest, "burst.service"), ["failed exit-code exited/3"; 10]);
    assert_eq!(guest.told("burst.service"), ["burst.service failed: exited with status 3"]);
}

#[test]
fn ten_failures_in_a_row_are_ten_events_without_a_handler_on_252() {
    ten(252);
}

#[test]
fn ten_failures_in_a_row_are_ten_events_without_a_handler_on_257() {
    ten(257);
}

/// The path unit alone wakes dispatch: no handler, no timer.
#[test]
fn a_failure_and_its_recovery_are_told_at_once() {
    let guest = Guest::boot("told", Options::new().strict());
    guest.begin("");
    guest.run(&["systemctl", "mask", "--now", "sysalert-dispatch.timer"]).ok();
    guest.write_unit(
        "job.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test -e /run/well || { echo no disk; exit 3; }'\n",
    );
    assert!(!guest.run(&["systemctl", "start", "job"]).success());
    guest.wait_until("the failure is told", || guest.told("job.service").len() == 1);
    let alert = &guest.alerts()[0];
    assert_eq!(alert.subject, "job.service failed: exited with status 3");
    assert!(alert.text.contains("no disk"), "with the run's own lines\n{}", alert.text);
    guest.sh("touch /run/well; systemctl start job").ok();
    guest.wait_until("the recovery is told", || guest.told("job.service").len() == 2);
    assert_eq!(guest.told("job.service")[1], "job.service recovered");
    assert_eq!(recorded(&guest, "job.service"), ["failed exit-code exited/3", "succeeded success exited/0"]);
}

/// A daemon is stopped after a failure: its end is no recovery, and nobody decides that while it is still being stopped.
#[test]
fn a_stop_that_takes_long_is_waited_for() {
    let guest = Guest::boot("long", Options::new().strict().quick_timer());
    guest.begin("[policy]\nrecovery_hold = \"1h\"\n");
    guest.write_unit(
        "slow.service",
        "[Service]\nRestart=on-failure\nRestartSec=100ms\nExecStart=/bin/sh -c 'test -e /run/well && exec sleep infinity; sleep 0.2; exit 3'\n",
    );
    // another command, after the strict one
    let after = "[Service]\nExecStopPost=/bin/sh -c 'touch /run/well; sleep 3'\n";
    guest.write_unit("slow.service.d/90-after.conf", after);
    guest.run(&["systemctl", "start", "slow"]).ok();
    guest.wait_until("its end is on record", || recorded(&guest, "slow.service").len() == 1);
    assert_eq!(guest.property("slow.service", "SubState"), "stop-post", "and it is not over");
    // dispatch looks each second meanwhile
    guest.wait_until("it runs again", || guest.property("slow.service", "SubState") == "running");
    guest.look_again();
    let event = &guest.rows("SELECT * FROM events")[0];
    assert_eq!(event["restarts"], 1, "systemd started it again, which nobody could know before: {event:#}");
    assert_eq!(guest.told("slow.service"), [""; 0], "so it is silent");
    guest.run(&["systemctl", "stop", "slow"]).ok();
    guest.look_again();
    assert_eq!(guest.told("slow.service"), [""; 0]);
}

/// A unit's environment is meant for its own program, and part of it may be written by its own user.
#[test]
fn the_units_environment_neither_leads_it_elsewhere_nor_runs_as_root() {
    let guest = alone(252, "environment", Options::new());
    let library = "#include <stdio.h>\n__attribute__((constructor)) static void run(void) { fclose(fopen(\"/run/ran-as-root\", \"w\")); }\n";
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("preload");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("evil.c"), library).unwrap();
    let built =
        std::process::Command::new("cc").args(["-shared", "-fPIC", "-o", "evil.so", "evil.c"]).current_dir(&folder).status();
    assert!(built.unwrap().success());
    guest.copy(&folder.join("evil.so"), "/srv/evil.so");
    guest.write_file(
        "/srv/environment",
        "LD_PRELOAD=/srv/evil.so\nLD_AUDIT=/srv/evil.so\nSYSALERT_STATE_DIR=/srv/state\nSYSALERT_CONFIG=/srv/config\nLOG_FILE=/srv/log\n\
         LOG_LEVEL=debug\nSYSALERT_LOG=debug\nDBUS_SYSTEM_BUS_ADDRESS=unix:path=/srv/bus\nMONITOR_INVOCATION_ID=0123456789abcdef0123456789abcdef\n\
         MONITOR_SERVICE_RESULT=success\nHOME=/srv\nPATH=/srv\nTMPDIR=/srv\nSQLITE_TMPDIR=/srv\nTZ=/srv/zone\n",
    );
    guest.write_unit(
        "odd.service",
        "[Service]\nType=oneshot\nEnvironmentFile=/srv/environment\nStateDirectory=odd\nExecStart=/bin/sh -c 'exit 3'\n",
    );
    assert!(!guest.run(&["systemctl", "start", "odd"]).success());
    assert_eq!(recorded(&guest, "odd.service"), ["failed exit-code exited/3"]);
    let odd = guest.sh("ls /srv /var/lib/odd /run/ran-as-root 2>&1 || true").ok();
    assert_eq!(
        odd,
        "ls: cannot access '/run/ran-as-root': No such file or directory\n/srv:\nenvironment\nevil.so\n\n/var/lib/odd:"
    );
    let owner = guest.sh("find /var/lib/sysalert /run/sysalert ! -user sysalert").ok();
    assert_eq!(owner, "", "nothing of root's is left in the record");

    // the test can fail: without the line that takes the variables away, it runs
    guest.write_unit("odd.service.d/90-loose.conf", "[Service]\nUnsetEnvironment=\n");
    guest.run(&["systemctl", "start", "odd"]);
    assert!(guest.exists("/run/ran-as-root"));
}

/// What keeps it from recording: a name, what brings it about, what ends it, so many seconds a unit may wait for it at most,
/// and where the event is then.
const HINDRANCES: &[(&str, &str, &str, u64, &str)] = &[
    ("nothing", "true", "true", 2, "in the record"),
    (
        "somebody else writes for a minute",
        "flock --no-fork /var/lib/sysalert/lock sleep 60 </dev/null >/dev/null 2>&1 & echo $! >/run/locker; sleep 0.2",
        "kill $(cat /run/locker)",
        4,
        "in the spool",
    ),
    (
        "the database is damaged",
        "cd /var/lib/sysalert; mkdir /srv/kept; mv sysalert.db* /srv/kept/; echo garbage of some length >sysalert.db; chown sysalert: sysalert.db",
        "cd /var/lib/sysalert; rm sysalert.db*; mv /srv/kept/* .; rmdir /srv/kept",
        2,
        "in the spool",
    ),
    (
        "the disk is read-only",
        "mount --bind /var/lib/sysalert /var/lib/sysalert; mount -o remount,bind,ro /var/lib/sysalert",
        "umount /var/lib/sysalert",
        2,
        "in the other spool",
    ),
    (
        "the folder is gone",
        "mv /var/lib/sysalert /srv/away",
        "rm -r /var/lib/sysalert; mv /srv/away /var/lib/sysalert",
        2,
        "in the record",
    ),
    (
        "a disk that never answers",
        "cd /var/lib/sysalert; rm lock; mkfifo lock; chown sysalert: lock",
        "rm /var/lib/sysalert/lock",
        8,
        "nowhere",
    ),
];

#[test]
fn what_keeps_it_from_recording_never_fails_the_unit_and_delays_it_for_seconds_at_most() {
    let guest = alone(252, "hindered", Options::new());
    // its failures are such that its successes are worth recording, too
    guest.write_unit(
        "unit.service",
        "[Service]\nTimeoutStopSec=20s\nExecStartPre=/bin/sh -c 'test ! -e /run/bad'\nExecStart=/bin/sleep infinity\n",
    );
    guest.sh("touch /run/bad; ! systemctl start unit; rm /run/bad").ok();
    let places = [
        ("in the record", "sysalert history unit.service"),
        ("in the spool", "find /var/lib/sysalert/spool -name '*.json'"),
        ("in the other spool", "find /run/sysalert/spool -name '*.json'"),
    ];
    // nothing where it cannot be read
    let count = |look: &str| guest.sh(&format!("{{ {look} 2>/dev/null || true; }} | wc -l")).ok().parse::<usize>().unwrap();
    for (what, begin, end, most, place) in HINDRANCES {
        guest.run(&["systemctl", "start", "unit"]).ok();
        let before = places.map(|(_, look)| if *what == "the folder is gone" { 0 } else { count(look) });
        guest.sh(begin).ok();
        let begun = Instant::now();
        // a stop, and a failure
        guest.run(&["systemctl", "stop", "unit"]).ok();
        assert_eq!(guest.property("unit.service", "Result"), "success", "{what}");
        guest.sh("touch /run/bad; ! systemctl start unit; rm /run/bad").ok();
        assert_eq!(guest.property("unit.service", "Result"), "exit-code", "{what}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(2 * most), "{what}: it took {took:?}");
        let found: Vec<_> =
            places.iter().zip(before).filter(|((_, at), before)| count(at) > *before).map(|((name, _), _)| *name).collect();
        let expected: Vec<_> = [*place].into_iter().filter(|place| *place != "nowhere").collect();
        eprintln!("{what}: two ends in {took:.1?}, {place}");
        assert_eq!(found, expected, "{what}");
        guest.sh(&format!("{end}; rm -rf /var/lib/sysalert/spool /run/sysalert/spool")).ok();
    }
}

/// systemd starts no handler in a shutdown. The record has it before the machine is off.
#[test]
fn what_fails_in_a_shutdown_is_on_record_before_the_machine_is_off() {
    let guest = Guest::boot("shutdown", Options::new().strict().watched());
    guest.begin("");
    let unit =
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/sh -c 'echo cannot unmount; exit 9'\n";
    guest.write_unit("late.service", unit);
    // an early unit: it is stopped when the others are gone
    guest.write_unit(
        "early.service",
        &format!("[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nAfter=local-fs.target\nBefore=sysinit.target shutdown.target\n{unit}"),
    );
    guest.run(&["systemctl", "start", "late", "early"]).ok();
    let runs =
        ["late", "early"].map(|unit| (format!("{unit}.service"), guest.property(&format!("{unit}.service"), "InvocationID")));
    // nobody looks after the boot: what is on record then was recorded before
    let dispatch = ["sysalert-dispatch.path", "sysalert-dispatch.timer", "sysalert-dispatch.service"];
    guest.run(&[&["systemctl", "mask", "--now"], &dispatch[..]].concat()).ok();
    guest.reboot();
    for (unit, run) in &runs {
        let rows =
            guest.rows(&format!("SELECT service_result, invocation_id, confirmed FROM events WHERE subject = 'unit:{unit}'"));
        let expected = serde_json::json!({ "service_result": "exit-code", "invocation_id": run, "confirmed": 0 });
        assert_eq!(rows, [expected], "{unit}");
    }
    guest.run(&[&["systemctl", "unmask"], &dispatch[..]].concat()).ok();
    guest.run(&["systemctl", "start", "sysalert-dispatch.path", "sysalert-dispatch.timer"]).ok();
    guest.look_again();
    for (unit, _) in &runs {
        assert_eq!(guest.told(unit), [format!("{unit} failed: its ExecStop= exited with status 9")]);
        assert_eq!(recorded(&guest, unit).len(), 1);
    }
    assert!(guest.alerts()[0].text.contains("cannot unmount"), "{}", guest.alerts()[0].text);
}

/// The price, as the drop-in tells it: what the stop of a unit takes with it and without. A tenth of a second is many times it.
#[test]
fn the_price_is_a_few_milliseconds_at_each_end() {
    const TIMES: usize = 31;
    let guest = alone(252, "price", Options::new());
    for (name, more) in [("with", ""), ("without", "ExecStopPost=\n")] {
        guest.write_unit(&format!("{name}.service"), "[Service]\nExecStart=/bin/sleep infinity\n");
        guest.write_unit(
            &format!("{name}-failing.service"),
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/false\n",
        );
        for unit in [format!("{name}.service"), format!("{name}-failing.service")] {
            guest.write_unit(&format!("{unit}.d/90-price.conf"), &format!("[Service]\n{more}"));
        }
    }
    let median = |each: &str, before: &str| -> f64 {
        let script = format!(
            "for n in {{1..{TIMES}}}; do {before}; begun=$(date +%s%N); {each} || true; echo $(($(date +%s%N) - begun)); done 2>/dev/null"
        );
        let times = guest.sh(&script).ok();
        let mut times: Vec<f64> = times.lines().map(|line| line.parse::<f64>().unwrap() / 1e6).collect();
        times.sort_by(f64::total_cmp);
        times[TIMES / 2]
    };
    for (what, verb, before, suffix) in
        [("a stop", "stop", "systemctl start", ""), ("a failing run", "start", "true", "-failing")]
    {
        let [with, without] = ["with", "without"]
            .map(|name| median(&format!("systemctl {verb} {name}{suffix}"), &format!("{before} {name}{suffix}")));
        eprintln!("{what}: {with:.1} ms with it, {without:.1} ms without it (medians of {TIMES})");
        assert!(with < without + 100.0, "{what}: {with} ms with it, {without} ms without it");
    }
    assert_eq!(guest.number("SELECT count(*) FROM events"), TIMES as i64);
    let said = guest.journal(&["UNIT=with.service", "-p", "notice"]);
    assert_eq!(said, "", "no line more in the journal");
}
