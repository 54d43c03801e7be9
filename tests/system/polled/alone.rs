//! What needs a guest of its own: a boot, what a check costs, and what it prints.

use serde_json::Value;

use crate::guest::{Guest, Options};

/// A daemon that ends as the file of its name says.
const AS_TOLD: &str = "[Service]\nExecStart=/bin/sh -c 'test ! -e /run/%N || exit $(cat /run/%N); exec sleep infinity'\n[Install]\nWantedBy=multi-user.target\n";

/// The checks run each second instead of each half a minute.
pub(super) fn quick(options: Options) -> Options {
    let content = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/1\nAccuracySec=100ms\n";
    options.quick_timer().file("/etc/systemd/system/sysalert-check@services.timer.d/quick.conf", content)
}

/// What is wrong after the grace is told then, and nothing else of what the boot brought.
fn boot_on(systemd: u32) {
    let guest = Guest::boot_on(systemd, "grace", quick(Options::new()));
    guest.write_unit("down.service", AS_TOLD);
    guest.write_unit("well.service", AS_TOLD);
    guest.write_unit("late.service", "[Service]\nRestart=on-failure\nRestartSec=1\nExecStart=/bin/sh -c 'test -e /run/late || { touch /run/late; exit 3; }; exec sleep infinity'\n[Install]\nWantedBy=multi-user.target\n");
    guest.write_unit("brief.service", "[Service]\nExecStart=/bin/sh -c 'test -e /run/brief || { touch /run/brief; exit 3; }; exec sleep infinity'\n[Install]\nWantedBy=multi-user.target\n");
    guest.write_unit("helps.service", "[Unit]\nAfter=brief.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep 1; systemctl start brief'\n[Install]\nWantedBy=multi-user.target\n");
    guest.sh("systemctl enable down well late brief helps; systemctl start well").ok();
    guest.begin("[policy]\nrecovery_hold = \"1s\"\n[services]\ngrace_after_boot = \"10s\"\nunits = [\"down.service\", \"well.service\", \"late.service\", \"brief.service\"]\n");
    // a boot's files of /run are gone: what fails in it is written to the disk
    guest.write_file("/etc/tmpfiles.d/down.conf", "f /run/down - - - - 3\n");
    guest.reboot();
    let booted = || {
        guest.sh("echo $(($(date +%s%6N) - $(busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager UserspaceTimestamp | cut -d' ' -f2)))").ok().parse::<i64>().unwrap()
    };
    guest.wait_until("the boot brought what it had to", || {
        let states = ["down.service", "late.service", "brief.service"].map(|unit| guest.property(unit, "ActiveState"));
        states == ["failed", "active", "active"]
    });
    let told = guest.alerts().len();
    assert!(booted() < 10_000_000, "the guest was too slow for this test");
    assert_eq!(told, 0, "in grace");
    guest.wait_until("what is down is told", || !guest.alerts().is_empty());
    assert!(booted() >= 10_000_000, "after the grace");
    for _ in 0..3 {
        guest.poll();
        guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    }
    guest.settle();
    let subjects: Vec<String> = guest.alerts().into_iter().map(|alert| alert.subject).collect();
    assert_eq!(subjects, ["down.service failed: exited with status 3"]);
}

#[test]
fn after_a_boot_the_grace_holds_and_then_tells_on_252() {
    boot_on(252);
}

#[test]
fn after_a_boot_the_grace_holds_and_then_tells_on_257() {
    boot_on(257);
}

/// What one check sends to the bus: how many messages, and how many of them ask for a list of units.
#[track_caller]
fn messages(guest: &Guest) -> (usize, usize) {
    // as its unit does it; by hand, so that strace can watch it
    let script = "\
        setpriv --reuid=sysalert --regid=sysalert --init-groups strace -f -qq -s 400 -e trace=sendmsg -o /tmp/trace \
            sysalert check --report none -- services || test $? = 2
        cat /tmp/trace";
    let trace = guest.sh(script).ok();
    let sent: Vec<&str> = trace.lines().filter(|line| line.contains("org.freedesktop.systemd1")).collect();
    (sent.len(), sent.iter().filter(|line| line.contains("ListUnitsBy")).count())
}

#[test]
fn the_number_of_calls_does_not_grow_with_the_number_of_loaded_units() {
    let guest = Guest::boot("many", Options::new());
    guest.run(&["systemctl", "stop", "sysalert-check@services.timer", "sysalert-dispatch.timer"]).ok();
    guest.write_unit("one.service", AS_TOLD);
    guest.write_unit("two.service", AS_TOLD);
    guest.write_unit("job.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    guest.write_unit("feast@.service", "[Service]\nExecStart=/bin/true\n");
    guest.write_unit("rest@.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    guest.write_unit("holder.target", "[Unit]\nDescription=holds many\n");
    guest.sh("systemctl start one two holder.target").ok();
    guest.begin("[services]\nunits = [\"one.service\", \"two.service\", \"t*.service\", \"job.service\", \"nosuch.service\", \"rest@*.service\", \"sysalert-*.service\"]\ngrace_after_boot = \"0s\"\n");
    // the first one finds what is news
    messages(&guest);
    guest.settle();
    let few = messages(&guest);
    let instances =
        |template: &str, many| (1..=many).map(|number| format!("Wants={template}@{number}.service\n")).collect::<String>();
    let names = instances("feast", 5_000) + &instances("rest", RESTING);
    guest.write_file("/etc/systemd/system/holder.target.d/many.conf", &format!("[Unit]\n{names}"));
    guest.run(&["systemctl", "daemon-reload"]).ok();
    let loaded = guest.sh("systemctl list-units --all --no-legend --plain | wc -l").ok().parse::<usize>().unwrap();
    assert!(loaded > 5_000, "{loaded} units are loaded");
    let first = messages(&guest);
    // and of what was known to rest before the files were read anew
    assert!(first.0 <= few.0 + RESTING + 10, "{} messages for {RESTING} units that are new and rest, after {}", first.0, few.0);
    let many = messages(&guest);
    assert_eq!(few, many, "with {loaded} units loaded, of which {RESTING} are polled and rest");
    assert!(many.1 <= 4, "{} lists: of the services and of the schedules, by names and by globs", many.1);
    assert!(many.0 <= MOST, "{} messages", many.0);
    // what they are is noticed when their file changes
    guest.sh("sed -i s/oneshot/simple/ /etc/systemd/system/rest@.service; systemctl daemon-reload").ok();
    assert!(messages(&guest).0 >= few.0 + RESTING, "they are asked about anew");
    // also of a manager that has read no file anew since the boot
    guest.reboot();
    messages(&guest);
    assert!(!guest.read_file("/run/sysalert/polled.json").contains("null"));
}

/// Polled units that have nothing to do.
const RESTING: usize = 200;
/// The messages of one check.
const MOST: usize = 20;

#[test]
fn a_check_says_how_each_unit_is_in_words_in_json_and_as_a_status() {
    let guest = Guest::boot("report", Options::new().quick_timer());
    guest.run(&["systemctl", "stop", "sysalert-check@services.timer"]).ok();
    guest.write_unit("one.service", AS_TOLD);
    guest.write_unit("mild.service", AS_TOLD);
    guest.sh("systemctl start one mild").ok();
    let check = |arguments: &[&str]| guest.sysalert(&[&["check"], arguments].concat());
    let nothing = check(&["services"]);
    assert!(
        nothing.status == 0 && nothing.stdout.starts_with("OK: nothing is to be checked; [services] units is empty"),
        "{nothing}"
    );
    guest.begin("[services]\ngrace_after_boot = \"0s\"\nunits = [\"one.service\", \"mil*.service\"]\n[unit.\"mild.service\"]\nseverity = \"warning\"\n");
    let well = check(&["services"]);
    assert_eq!(well.status, 0, "{well}");
    assert!(well.stdout.starts_with("OK: 2 checked\n\nUNIT "), "{well}");
    assert_eq!(check(&["services", "--list"]).ok(), "CHECK     WHAT\nservices  one.service\nservices  mil*.service");

    guest.sh("echo 3 >/run/mild; systemctl restart mild; sleep 0.3").ok();
    let warned = check(&["services"]);
    assert_eq!(warned.status, 1, "{warned}");
    assert!(warned.stdout.starts_with("WARNING: mild.service exited with status 3\n"), "{warned}");
    guest.sh("echo 4 >/run/one; systemctl restart one; sleep 0.3").ok();
    let critical = check(&["services", "--report", "json"]);
    assert_eq!(critical.status, 2, "{critical}");
    let report: Value = serde_json::from_str(&critical.stdout).unwrap();
    assert_eq!(report["state"], "CRITICAL");
    assert_eq!(report["checks"][0]["why"], "exited with status 4");
    // by its timer the same, and what it finds does not make it fail
    guest.poll();
    assert_eq!(guest.property("sysalert-check@services.service", "Result"), "success");
    guest.wait_until("both are told", || guest.alerts().len() == 2);

    let blind = guest.run(&["env", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere", "sysalert", "check", "services"]);
    assert_eq!(blind.status, 3, "{blind}");
    assert!(blind.stderr.contains("the service manager does not answer"), "{blind}");
    guest.configure("[services]\nunits = [\"one\"]\n");
    assert_eq!(check(&["services"]).status, 3, "a check that cannot check");
    assert!(!guest.run(&["systemctl", "start", "sysalert-check@services.service"]).success(), "its unit fails then");
}

#[test]
fn the_timer_polls_twice_a_minute_and_by_itself() {
    let guest = Guest::boot("timer", Options::new());
    assert_eq!(guest.property("sysalert-check@services.timer", "ActiveState"), "active", "as the preset says");
    let soon = guest.run(&["systemctl", "show", "-P", "TimersMonotonic", "sysalert-check@services.timer"]).ok();
    assert!(soon.contains("OnActiveUSec=5s"), "soon after it is started, too: {soon}");
    let pace = guest.run(&["systemctl", "show", "-P", "TimersCalendar", "sysalert-check@services.timer"]).ok();
    assert!(pace.contains("OnCalendar=*-*-* *:*:00/30") && pace.matches("OnCalendar=").count() == 1, "{pace}");
    guest.write_unit("one.service", AS_TOLD);
    guest.sh("systemctl start one").ok();
    guest.begin("[services]\ngrace_after_boot = \"0s\"\nunits = [\"one.service\"]\n");
    guest.sh("echo 3 >/run/one; systemctl restart one").ok();
    guest.wait_at_most(std::time::Duration::from_secs(40), "it is told", || guest.told("one.service").len() == 1);
}
