//! What sensors tell leads back to what they measured, whatever that is called, also when it is not there any more.

use serde_json::Value;

use crate::guest::{Guest, Options};

const UNIT: &str = "sysalert-check@sensors.service";

/// File systems and one program, and nothing else of the machine that the test happens to run on.
fn begin(guest: &Guest, more: &str) {
    let off = ["cpu", "memory", "pressure", "iostuck", "ssh", "units"].map(|name| format!("[sensor.{name}]\nenabled = false\n"));
    let config = format!(
        "[sensors]\nreport_dir = \"/var/lib/sysalert/reports\"\n[services]\ngrace_after_boot = \"0s\"\n{more}{}",
        off.concat()
    );
    guest.begin(&config);
}

#[track_caller]
fn measure(guest: &Guest) {
    guest.run(&["systemctl", "start", UNIT]).ok();
    guest.quiet();
}

/// The names of all incidents that are not over.
fn names(guest: &Guest) -> Vec<String> {
    let rows = guest.sysalert(&["db", "list", "-o", "json"]).json();
    rows.as_array().unwrap().iter().map(|row| row["unit"].as_str().unwrap().to_owned()).collect()
}

fn full(guest: &Guest, mounts: &[&str]) {
    for mount in mounts {
        guest.run(&["mkdir", "-p", mount]).ok();
        guest.run(&["mount", "-t", "tmpfs", "-o", "size=4m", "disk", mount]).ok();
        guest.run(&["dd", "if=/dev/zero", &format!("of={mount}/x"), "bs=4096", "count=950", "status=none"]).ok();
    }
}

fn odd_names(systemd: u32) {
    let guest = Guest::boot_on(systemd, "oddnames", Options::new());
    let long = format!("/srv/{}", "l".repeat(200));
    let mounts = [
        "/srv/new\nline",
        "/srv/two words",
        "/srv/col:on:s",
        "/srv/100%d",
        "/srv/q\"uo'te",
        "/srv/back\\slash",
        "/srv/\u{202e}turned\u{1b}[31m",
        "/srv/$(touch pwned)`id`*",
        "/srv/ä",
        &long,
    ];
    full(&guest, &mounts);
    let more = "[sensor.storage]\nevery = \"0s\"\nexclude = [\"/\", \"/t*\", \"/v*\"]\n\
        [sensor.command.evil]\nevery = \"0s\"\ncommand = [\"/bin/sh\", \"-c\", \"echo it is down; exit 2\"]\n";
    begin(&guest, more);
    measure(&guest);

    let names = names(&guest);
    assert_eq!(names.len(), mounts.len() + 1, "{names:#?}");
    assert_eq!(guest.alerts().len(), names.len());
    let table = guest.sysalert(&["db", "list"]).ok();
    assert_eq!(table.lines().count(), names.len() + 1, "no name breaks a line:\n{table}");
    for alert in guest.alerts() {
        let text = format!("{}\n{}", alert.subject, alert.text);
        assert!(!text.chars().any(|c| c != '\n' && c.is_control() || c == '\u{202e}'), "{text:?}");
        // each command of the message does what it says
        for line in
            alert.text.lines().map(str::trim).filter(|line| line.starts_with("df ") || line.starts_with("sysalert explain "))
        {
            let ran = guest.run(&["bash", "-c", line]);
            assert!(ran.success(), "{line}: {ran}");
            assert!(line.starts_with("sysalert") || ran.stdout.contains("disk"), "{line} is about another file system: {ran}");
        }
    }
    let report = guest.sh("cat /var/lib/sysalert/reports/sensors-*.json").ok();
    let report: Value = serde_json::from_str(&report).unwrap();
    let anomalies = report["monitors"]["storage"]["anomalies"].as_array().unwrap();
    for mount in mounts {
        let found = anomalies.iter().find(|one| one["instance"] == mount).unwrap_or_else(|| panic!("{mount:?}: {anomalies:#?}"));
        let name = found["check"].as_str().unwrap();
        assert!(names.iter().any(|known| known == name), "{name} is in {names:?}");
        // as it is shown, as it is called, and as a message has it
        for typed in [
            name.to_owned(),
            format!("check:storage:{mount}:low_disk"),
            format!("storage:{mount}:low_disk"),
            format!("storage {mount}"),
        ] {
            let said = guest.sysalert(&["explain", &typed]).ok();
            assert_eq!(said.lines().next().unwrap().split("  ").next(), Some(name), "{typed}");
        }
        guest.sysalert(&["ack", name, "--reason", "I know"]).ok();
        guest.sysalert(&["silence", name, "--for", "1h"]).ok();
        guest.sysalert(&["unsilence", name]).ok();
        guest.sysalert(&["history", name]).ok();
    }
    for typed in ["check:command.evil::failed", "command.evil::failed", "command.evil"] {
        assert!(guest.sysalert(&["explain", typed]).ok().starts_with("check:command.evil::failed  it is down"), "{typed}");
    }
    assert!(guest.alerts().iter().any(|alert| alert.subject.starts_with("command.evil is critical: ")), "{:?}", guest.alerts());
    guest.sysalert(&["ack", "command.evil"]).ok();
    let acknowledged = guest.sysalert(&["db", "list", "-o", "json"]).json();
    assert!(acknowledged.as_array().unwrap().iter().all(|row| row["state"] == "acknowledged"), "{acknowledged:#}");
    assert!(!guest.exists("/pwned"), "a name is no command");
    let shown = guest.sysalert(&["check", "sensors"]).stdout;
    assert!(!shown.chars().any(|c| c != '\n' && c.is_control() || c == '\u{202e}'), "{shown:?}");
}

#[test]
fn whatever_a_mount_is_called_its_alert_leads_back_to_it_on_252() {
    odd_names(252);
}

#[test]
fn whatever_a_mount_is_called_its_alert_leads_back_to_it_on_257() {
    odd_names(257);
}

fn unmounted(systemd: u32) {
    let guest = Guest::boot_on(systemd, "unmounted", Options::new());
    full(&guest, &["/srv/usb", "/srv/asked"]);
    let more = "[policy]\nremind = \"2s\"\n[sensor.storage]\nevery = \"0s\"\nexclude = [\"*\"]\ninclude = [\"/srv/*\", \"/srv/asked\"]\n";
    begin(&guest, more);
    measure(&guest);
    assert_eq!(names(&guest).len(), 2, "{:?}", names(&guest));
    guest.sh("umount /srv/usb /srv/asked").ok();
    guest.run(&["systemctl", "start", UNIT]).ok();
    for mount in ["/srv/usb", "/srv/asked"] {
        let check = format!("check:storage:{mount}:low_disk");
        let said = guest.sysalert(&["explain", &check]).ok();
        let by_now = said.lines().find(|line| line.trim_start().starts_with("by now")).unwrap_or_else(|| panic!("{said}"));
        assert!(by_now.contains("no data since ") && by_now.ends_with("is not mounted any more"), "{said}");
        guest.wait_until("the reminder says so, too", || {
            guest.run(&["systemctl", "start", "sysalert-dispatch.service"]);
            guest.alerts().iter().any(|alert| {
                alert.kind == "reminder"
                    && alert.text.contains(&check)
                    && alert.text.contains("is not mounted any more. Reported last: ")
            })
        });
    }
    assert_eq!(names(&guest).len(), 2, "a folder that is left makes no disk well");
    assert!(!guest.alerts().iter().any(|alert| alert.kind == "recovery"), "{:?}", guest.alerts());
    full(&guest, &["/srv/asked"]);
    guest.sh("rm /srv/asked/x").ok();
    measure(&guest);
    let told: Vec<String> =
        guest.alerts().into_iter().filter(|alert| alert.kind == "recovery").map(|alert| alert.subject).collect();
    assert!(told.len() == 1 && told[0].starts_with("storage /srv/asked is well again"), "{told:?}");

    // the printed report and the one that is kept are one
    let printed = guest.sysalert(&["check", "sensors", "--report", "json"]).stdout;
    let kept = guest.sh("cat $(ls /var/lib/sysalert/reports/sensors-*.json | tail -1)").stdout;
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), serde_json::from_str::<Value>(&kept).unwrap());
}

#[test]
fn a_disk_that_is_unmounted_in_the_midst_of_an_alarm_on_252() {
    unmounted(252);
}

#[test]
fn a_disk_that_is_unmounted_in_the_midst_of_an_alarm_on_257() {
    unmounted(257);
}
