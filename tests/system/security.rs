//! The sandboxes of the units: how much `systemd-analyze security` finds open, that each opening has its reason in the unit, and
//! that what the sensors are let see is what they need.

use serde_json::Value;

use crate::guest::{Guest, Options, stage};

const SENSORS: &str = "sysalert-check@sensors.service";

/// The units that run all the time or at each event, and the most of 10 that may be open.
const MOST: [(&str, f64); 7] = [
    ("sysalert-dispatch.service", 1.5),
    ("sysalert-check@services.service", 1.5),
    ("sysalert-check@processes.service", 1.5),
    (SENSORS, 2.2),
    ("sysalert-failure@backup.service.service", 3.0),
    ("sysalert-success@backup.service.service", 3.0),
    ("sysalert-look@1000.service", 3.0),
];

/// The text of this unit as it is installed: its file, and the drop-ins that come with it.
fn text_of(unit: &str) -> String {
    let folder = stage().join("usr/lib/systemd/system");
    let file = match unit.split_once('@') {
        Some((template, _)) => format!("{template}@.service"),
        None => unit.to_owned(),
    };
    let drop_ins = folder.join(format!("{unit}.d"));
    let mut paths = vec![folder.join(file)];
    paths.extend(std::fs::read_dir(drop_ins).into_iter().flatten().map(|entry| entry.unwrap().path()));
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn exposures(systemd: u32) {
    let guest = Guest::boot_on(systemd, "exposure", Options::new());
    for (unit, most) in MOST {
        let said = guest.sh(&format!("systemd-analyze security --no-pager {unit} | tail -n 1")).ok();
        let figure = said.split_whitespace().find_map(|word| word.parse::<f64>().ok());
        assert!(figure.is_some_and(|figure| figure <= most), "{unit} may have {most}: {said}");
        // what is open is set, or named in a comment
        let text = text_of(unit);
        let settings = guest.run(&["systemd-analyze", "security", "--no-pager", "--json=short", unit]).json();
        let open = settings.as_array().unwrap().iter().filter(|setting| setting["set"] == false);
        let names = open.map(|setting| setting["name"].as_str().unwrap().split_inclusive('=').next().unwrap());
        let silent: Vec<&str> = names.filter(|name| !text.contains(name)).collect();
        // those of users say that they are as the handlers
        assert!(silent.is_empty() || text.contains("As in the handlers:"), "{unit} gives no reason for leaving out {silent:?}");
    }
}

#[test]
fn what_is_open_has_its_reason_252() {
    exposures(252);
}

#[test]
fn what_is_open_has_its_reason_257() {
    exposures(257);
}

/// Puts these lines into the unit of the sensors.
#[track_caller]
fn strict(guest: &Guest, lines: &str) {
    guest.write_file(&format!("/etc/systemd/system/{SENSORS}.d/99-strict.conf"), &format!("[Service]\n{lines}\n"));
    guest.run(&["systemctl", "daemon-reload"]).ok();
}

/// The report of a run of the sensors with these lines in their unit.
#[track_caller]
fn measured(guest: &Guest, lines: &str) -> Value {
    strict(guest, lines);
    guest.sh("rm -f /var/lib/sysalert/reports/*").ok();
    let started = guest.run(&["systemctl", "start", SENSORS]);
    assert!(started.success(), "{lines}: {started}{}", guest.journal(&["-u", SENSORS]));
    report(guest)
}

/// The last one.
#[track_caller]
fn report(guest: &Guest) -> Value {
    guest.run(&["sh", "-c", "cat /var/lib/sysalert/reports/sensors-*.json"]).json()
}

/// Each thing that is left out of the sandbox of the sensors, put back: they, or the programs that they start, see less.
fn blinded(systemd: u32) {
    let guest = Guest::boot_on(systemd, "blinded", Options::new());
    guest.sh("for place in /home/box /tmp/box; do mkdir -p $place && mount -t tmpfs -o size=5m box $place; done").ok();
    guest.sh("echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range; mkdir /srv/own && chown sysalert: /srv/own").ok();
    let program = |name: &str, script: &str| {
        format!(
            "[sensor.command.{name}]\nevery = \"0s\"\ntimeout = \"20s\"\ncommand = [\"/bin/sh\", \"-c\", \"{script} 2>&1\"]\n"
        )
    };
    let config = [
        "[sensors]\nreport_dir = \"/var/lib/sysalert/reports\"\n[services]\ngrace_after_boot = \"0s\"\n".to_owned(),
        "[sensor.storage]\nevery = \"0s\"\n".to_owned(),
        program("temporary", "rm $(mktemp) $(mktemp -p /var/tmp) && echo all is well"),
        program("ping", "ping -q -c 1 127.0.0.1 >/dev/null && echo all is well"),
        program("processes", "ls /proc/1/comm && echo all is well"),
        program("boot", "cat /proc/sys/kernel/random/boot_id && echo all is well"),
        program("links", "python3 -c 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)' && echo all is well"),
    ];
    guest.begin(&config.concat());
    let mounts =
        |report: &Value| report["monitors"]["storage"]["metrics"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let is_well = |report: &Value, name: &str| {
        let monitor = &report["monitors"][format!("command.{name}")];
        assert!(monitor.is_object(), "{name}: {report:#}");
        monitor.to_string().contains("all is well")
    };
    // no guest has a Python but this machine's own
    let programs = ["temporary", "ping", "processes", "boot", "links"];
    let programs: Vec<&str> = programs.into_iter().filter(|name| *name != "links" || guest.exists("/usr/bin/python3")).collect();

    let open = measured(&guest, "");
    for place in ["/home/box", "/tmp/box"] {
        assert!(mounts(&open).iter().any(|mount| mount == place), "{place}: {:?}", mounts(&open));
    }
    for name in &programs {
        assert!(is_well(&open, name), "{name}: {:#}", open["monitors"][format!("command.{name}")]);
    }

    let hidden = [("ProtectHome=yes", "/home/box"), ("ReadWritePaths=\nTemporaryFileSystem=/tmp:mode=1777", "/tmp/box")];
    for (setting, place) in hidden {
        let report = measured(&guest, setting);
        assert!(!mounts(&report).iter().any(|mount| mount == place), "with {setting} {place} is measured all the same");
    }
    let stopped = [
        ("ReadWritePaths=", "temporary"),
        ("PrivateNetwork=yes\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX AF_NETLINK", "ping"),
        ("SystemCallFilter=~capset setuid", "ping"),
        ("ProtectProc=invisible", "processes"),
        ("RestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "links"),
    ];
    for (setting, name) in stopped.into_iter().filter(|(_, name)| programs.contains(name)) {
        assert!(!is_well(&measured(&guest, setting), name), "with {setting} {name} is well all the same");
    }
    // without all but the processes of /proc the check itself may be unable to record anything
    strict(&guest, "ProcSubset=pid");
    guest.sh("rm -f /var/lib/sysalert/reports/*").ok();
    let started = guest.run(&["systemctl", "start", SENSORS]);
    assert!(!started.success() || !is_well(&report(&guest), "boot"), "with ProcSubset=pid all is well all the same");
}

#[test]
fn with_less_the_sensors_are_blind_252() {
    blinded(252);
}

#[test]
fn with_less_the_sensors_are_blind_257() {
    blinded(257);
}
