//! A task that waits for ever, the kernel's words, and Debian's own plugins.

use std::process::Command;

use super::{DISKS, Sensors};
use crate::guest::{Guest, Options};

/// The parent of a child that `vfork` made waits uninterruptibly until that ends: compiled here, since no guest has a compiler.
fn waiting_program() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = "#include <unistd.h>\nint main(void) { if (vfork() == 0) { pause(); _exit(0); } return 0; }\n";
    std::fs::write(folder.path().join("waits.c"), source).unwrap();
    let built = Command::new("gcc").args(["-w", "-o", "waits", "waits.c"]).current_dir(folder.path()).status().unwrap();
    assert!(built.success());
    folder
}

fn stuck(systemd: u32) {
    let guest = Guest::boot_on(systemd, "stuck", Options::new());
    let program = waiting_program();
    guest.copy(&program.path().join("waits"), "/srv/(a b");
    let sensors = Sensors::new(&guest, "");
    assert_eq!(sensors.measure().value("iostuck", "d_state_task_count"), 0.0);
    guest.write_unit("waits.service", "[Service]\nExecStart=\"/srv/(a b\"\nKillMode=mixed\n");
    guest.run(&["systemctl", "start", "waits.service"]).ok();
    guest.wait_until("the task is seen to stay", || sensors.measure().value("iostuck", "d_state_task_count") == 1.0);
    let report = sensors.measure();
    assert!(report.details("iostuck").contains("(a b ("), "{}", report.details("iostuck"));
    assert!(report.details("iostuck").contains("waits, and has not run since"), "{}", report.details("iostuck"));
    guest.wait_until("the rule speaks", || sensors.measure().anomalies() == ["iostuck stuck_task"]);
    guest.run(&["systemctl", "kill", "--signal=KILL", "waits.service"]).ok();
    guest.wait_until("it is over", || sensors.measure().value("iostuck", "d_state_task_count") == 0.0);
}

#[test]
fn a_task_that_really_waits_on_252() {
    stuck(252);
}

#[test]
fn a_task_that_really_waits_on_257() {
    stuck(257);
}

/// A journal in which the kernel says this; no guest has a kernel of its own.
fn kernel_says(guest: &Guest, name: &str, lines: &[&str]) {
    let now: u64 = guest.sh("date +%s%6N").ok().parse().unwrap();
    let up: u64 = guest.sh("awk '{ printf \"%.0f\", $1 * 1000000 }' /proc/uptime").ok().parse().unwrap();
    let boot = guest.sh("tr -d - </proc/sys/kernel/random/boot_id").ok();
    let machine = guest.read_file("/etc/machine-id");
    let entry = |(number, line): (u64, &&str)| {
        format!(
            "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={boot}\n_TRANSPORT=kernel\n\
             SYSLOG_IDENTIFIER=kernel\nPRIORITY=3\nMESSAGE={line}\n\n",
            now + number,
            up + number
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let export: String = (0..).zip(lines).map(entry).collect();
    std::fs::write(folder.path().join("export"), export).unwrap();
    let file = folder.path().join(name);
    let made = Command::new("/lib/systemd/systemd-journal-remote")
        .arg("-o")
        .arg(&file)
        .arg(folder.path().join("export"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let place = format!("/var/log/journal/{}", machine.trim());
    guest.sh(&format!("mkdir -p {place}")).ok();
    guest.copy(&file, &format!("{place}/{name}"));
}

fn kernel(systemd: u32) {
    let guest = Guest::boot_on(systemd, "kernel", Options::new());
    let sensors = Sensors::new(&guest, "");
    kernel_says(
        &guest,
        "kernel-1.journal",
        &[
            "INFO: task jbd2/sda1-8:345 blocked for more than 120 seconds.",
            "      Not tainted 6.1.0-13-amd64 #1 Debian 6.1.55-1",
            "INFO: task dd:4711 blocked in I/O wait for more than 122 seconds.",
            "INFO: task dd:4711 blocked in I/O wait for more than 245 seconds.",
        ],
    );
    // what a program writes is not the kernel's
    guest.sh("logger -t kernel 'INFO: task forged:1 blocked for more than 120 seconds.'; journalctl --sync").ok();
    let report = sensors.measure();
    assert_eq!(report.value("iostuck", "hung_task_count"), 2.0, "{:#}", report.sensor("iostuck"));
    assert_eq!(report.anomalies(), ["iostuck hung_task"]);
    assert!(
        report.details("iostuck").contains("dd (4711) was blocked for more than 245 seconds at "),
        "{}",
        report.details("iostuck")
    );
    assert_eq!(sensors.measure().value("iostuck", "hung_task_count"), 0.0, "each line counts once");
    kernel_says(&guest, "kernel-2.journal", &["INFO: task cp:12 blocked for more than 120 seconds."]);
    assert_eq!(sensors.measure().value("iostuck", "hung_task_count"), 1.0);
}

#[test]
fn tasks_that_the_kernel_calls_hung_on_252() {
    kernel(252);
}

#[test]
fn tasks_that_the_kernel_calls_hung_on_257() {
    kernel(257);
}

fn plugins(systemd: u32) {
    let guest = Guest::boot_on(systemd, "plugins7", Options::new());
    guest.sh(DISKS).ok();
    let command = |name: &str, command: &str| {
        let words: Vec<String> = command.split(' ').map(|word| format!("\"{word}\"")).collect();
        let program = words.join(", ").replacen('"', "\"/usr/lib/nagios/plugins/", 1);
        format!("[sensor.command.{name}]\nevery = \"0s\"\ntimeout = \"1s\"\ncommand = [{program}]\n")
    };
    let config = [
        command("load", "check_load -w 1000,1000,1000 -c 2000,2000,2000"),
        command("disk", "check_disk -w 100% -c 0% -p /srv/bytes"),
        command("procs", "check_procs -c 0:0"),
        command("dummy", "check_dummy 3 nobody knows"),
        "[sensor.command.slow]\nevery = \"0s\"\ntimeout = \"1s\"\ncommand = [\"/bin/sleep\", \"300\"]\n".to_owned(),
        "[sensor.command.none]\nevery = \"0s\"\ncommand = [\"/nowhere/check\"]\n".to_owned(),
        "[[sensor.command.load.rule]]\nname = \"busy\"\nmetric = \"load1\"\nop = \"gte\"\nvalue = 0\n".to_owned(),
    ];
    let report = Sensors::new(&guest, &config.concat()).measure();
    for (name, status) in [("load", 0.0), ("disk", 1.0), ("procs", 2.0), ("dummy", 3.0), ("slow", 3.0)] {
        let sensor = format!("command.{name}");
        assert_eq!(report.value(&sensor, "status"), status, "{:#}", report.sensor(&sensor));
    }
    for metric in ["load1", "load5", "load15"] {
        let (load, of_proc) = (report.value("command.load", metric), report.value("cpu", metric));
        assert!((load - of_proc).abs() < 0.5, "{metric}: {load}, and /proc says {of_proc}");
    }
    assert!(report.details("command.load").contains("load average: "), "{}", report.details("command.load"));
    assert!(
        report.details("command.slow").contains("it took longer than 1s, and was killed"),
        "{}",
        report.details("command.slow")
    );
    assert!(
        report.sensor("command.none").to_string().contains("/nowhere/check cannot be started"),
        "{:#}",
        report.sensor("command.none")
    );
    let mut spoken = report.anomalies();
    spoken.retain(|rule| rule.starts_with("command"));
    assert_eq!(
        spoken,
        ["command.disk failed", "command.dummy failed", "command.load busy", "command.procs failed", "command.slow failed"]
    );
    assert_eq!(report.status, 2);
    assert!(!guest.sh("ps -eo args | grep -x '/bin/sleep 300'").success(), "it is killed");
    in_the_unit(&guest);
}

/// What such programs need and leave behind, as the unit runs them.
#[track_caller]
fn in_the_unit(guest: &Guest) {
    let shell = |name: &str, script: &str| {
        format!("[sensor.command.{name}]\nevery = \"0s\"\ntimeout = \"2s\"\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]\n")
    };
    let config = [
        "[sensors]\nreport_dir = \"/var/lib/sysalert/reports\"\n[services]\ngrace_after_boot = \"0s\"\n".to_owned(),
        shell("temporary", "rm $(mktemp) $(mktemp -p /var/tmp) && echo there is room"),
        shell("ping", "ping -q -c 1 127.0.0.1 2>&1"),
        shell("leaves", "setsid sleep 4711 & setsid sh -c 'setsid sleep 4712 & exec sleep 4713' & exit 0"),
        shell("hangs", "setsid sleep 4714 & sleep 4715"),
    ];
    guest.begin(&config.concat());
    // as 50-default.conf has it
    guest.sh("echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range").ok();
    let started = guest.run(&["systemctl", "start", "sysalert-check@sensors.service"]);
    assert!(started.success(), "{started}{}", guest.journal(&["-u", "sysalert-check@sensors.service"]));
    let report = guest.sh("cat /var/lib/sysalert/reports/sensors-*.json").ok();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let of = |name: &str| report["monitors"][format!("command.{name}")].to_string();
    assert!(of("temporary").contains("there is room"), "{}", of("temporary"));
    assert!(of("ping").contains("1 received"), "{}", of("ping"));
    assert!(of("hangs").contains("it took longer than 2s, and was killed"), "{}", of("hangs"));
    let left = guest.sh("pgrep -af 'sleep 471[1-5]'");
    assert!(!left.success(), "left behind: {}", left.stdout);
}

#[test]
fn debians_own_plugins_on_252() {
    plugins(252);
}

#[test]
fn debians_own_plugins_on_257() {
    plugins(257);
}
