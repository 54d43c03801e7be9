//! `[X-Sysalert]` in unit files and drop-ins, read where systemd itself looks for them.

use serde_json::Value;

use crate::guest::{Guest, Options};

/// A oneshot that fails with status 3.
const FAILS: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n";

/// Lets a unit fail once more, and waits until that is decided and told.
#[track_caller]
fn fail(guest: &Guest, unit: &str) {
    let before = guest.failed_runs(unit).len();
    assert!(!guest.run(&["systemctl", "start", "--", unit]).success(), "{unit} was to fail");
    let runs = guest.failed_runs(unit);
    assert_eq!(runs.len(), before + 1);
    let recorded = format!("SELECT count(*) FROM events WHERE subject = 'unit:{unit}' AND invocation_id = '{}'", runs[before]);
    guest.wait_until(&format!("{unit}'s failure is recorded"), || guest.number(&recorded) == 1);
    guest.quiet();
}

/// `setting  ignore = 1 (...)` of `sysalert explain`, by key: value and file.
#[track_caller]
fn settings(guest: &Guest, unit: &str) -> Vec<Value> {
    guest.sysalert(&["explain", unit, "-o", "json"]).json()["settings"].as_array().unwrap().clone()
}

fn the_unit_itself_wins(systemd: u32) {
    let guest = Guest::boot_on(systemd, "x-section", Options::new().watched());
    guest.begin("[policy]\nseverity = \"info\"\n[unit.\"*.service\"]\nignore = 5\n");
    let own = format!("{FAILS}[X-Sysalert]\nIgnore=1\n");
    for unit in ["patient.service", "loud.service"] {
        guest.write_file(&format!("/usr/lib/systemd/system/{unit}"), &own);
    }
    let drop_in = "/etc/systemd/system/loud.service.d/50-admin.conf";
    guest.write_file(drop_in, "[X-Sysalert]\nIgnore=0\nSeverity=warning\nColour=red\nMethods=mial\n");
    guest.run(&["systemctl", "daemon-reload"]).ok();

    let verified = guest.sh("systemd-analyze verify --man=no patient.service loud.service 2>&1");
    assert!(verified.success() && verified.stdout.is_empty(), "{verified}");
    let warned = guest.said_of("loud.service", &["PRIORITY=4"]);
    assert!(warned.is_empty(), "systemd has nothing to say about the section: {warned:#?}");

    fail(&guest, "patient.service");
    assert_eq!(guest.told("patient.service"), [""; 0], "the unit ignores one");
    fail(&guest, "patient.service");
    assert_eq!(guest.told("patient.service"), ["patient.service failed: exited with status 3"]);
    fail(&guest, "loud.service");
    assert_eq!(guest.told("loud.service"), ["loud.service failed: exited with status 3"], "the drop-in ignores none");
    assert_eq!(guest.alerts().last().unwrap().fact("Severity"), "warning");

    // what does not fit is told where it stands, and harms nothing
    let complaints = [format!("{drop_in}:4: unknown key Colour="), format!("{drop_in}:5: unknown method `mial`")];
    let said = guest.journal(&["SYSLOG_IDENTIFIER=sysalert", "SYSALERT_SUBJECT=unit:loud.service", "PRIORITY=4"]);
    let check = guest.sysalert(&["config", "check"]);
    assert_eq!(check.status, 78, "{check}");
    for complaint in &complaints {
        assert!(said.contains(&format!("{complaint}; it is passed over")), "{complaint}\n{said}");
        assert!(check.stderr.contains(complaint), "{complaint}\n{check}");
    }
    let shown = guest.sysalert(&["config", "show"]).ok();
    assert!(shown.contains(&format!("# {drop_in}:2")) && shown.contains("# /usr/lib/systemd/system/loud.service:"), "{shown}");
    let explained = guest.sysalert(&["explain", "loud.service"]).ok();
    for line in [
        format!("setting  severity = \"warning\" ({drop_in}:3)"),
        format!("setting  ignore = 0 ({drop_in}:2)"),
        "incident  open, warning; 1 failure since".to_owned(),
    ] {
        assert!(explained.contains(&line), "{line}\n{explained}");
    }

    guest.write_file(drop_in, "[X-Sysalert]\nIgnore=0\n");
    guest.sysalert(&["config", "check"]).ok();
}

#[test]
fn the_unit_itself_wins_252() {
    the_unit_itself_wins(252);
}

#[test]
fn the_unit_itself_wins_257() {
    the_unit_itself_wins(257);
}

/// Each drop-in adds its own path to a list: the list tells which of them count, in their order.
fn places(systemd: u32) {
    let guest = Guest::boot_on(systemd, "x-places", Options::new().watched());
    guest.begin("");
    let units = ["a-b.service", "a-b@x-y.service", "a-b@z.service", "c.service", "a-b-c.service", "a-b-c@x.service"];
    for file in ["usr/lib/systemd/system/a-b.service", "etc/systemd/system/a-b@.service", "run/systemd/system/c.service"] {
        guest.write_file(&format!("/{file}"), FAILS);
    }
    for file in ["a-b@z.service", "a-b-c.service", "a-b-c@.service"] {
        guest.write_file(&format!("/usr/lib/systemd/system/{file}"), FAILS);
    }
    let names = [
        "service",
        "a-.service",
        "a-@.service",
        "a-b.service",
        "a-b@.service",
        "a-b@x-.service",
        "a-b@x-y.service",
        "a-b-.service",
        "a-b-@.service",
        "a-b-c.service",
        "a-b-c@.service",
        "a-b-c@x.service",
        "a-b-c@z.service",
    ];
    let mut drop_ins = Vec::new();
    for folder in ["/usr/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system", "/etc/systemd/system.control"] {
        for name in names {
            let of_folder = format!("20-{}.conf", folder.replace('/', "-"));
            let files = ["10-same.conf".to_owned(), format!("15-{name}.conf"), of_folder];
            drop_ins.extend(files.map(|file| format!("{folder}/{name}.d/{file}")));
        }
    }
    // of each two names, a drop-in with the same name in a folder that is more important and in one that is less
    for (number, one) in names.iter().enumerate() {
        for other in &names[..number] {
            for (folder, name) in [("/etc", one), ("/usr/lib", other)] {
                drop_ins.push(format!("{folder}/systemd/system/{name}.d/30-{one}+{other}.conf"));
            }
            for (folder, name) in [("/usr/lib", one), ("/etc", other)] {
                drop_ins.push(format!("{folder}/systemd/system/{name}.d/31-{one}+{other}.conf"));
            }
        }
    }
    let script = "while read -r path; do mkdir -p \"${path%/*}\"; printf '[X-Sysalert]\\nTo=%s\\n' \"$path\" >\"$path\"; done";
    guest.run_input(&["bash", "-c", script], &(drop_ins.join("\n") + "\n")).ok();
    // a mask hides what has its name in a less important place
    let masked = "/etc/systemd/system.control/a-b.service.d/15-a-b.service.conf";
    guest.run(&["ln", "-sf", "/dev/null", masked]).ok();
    guest.run(&["systemctl", "daemon-reload"]).ok();
    for unit in units {
        fail(&guest, unit);
        let paths = guest.property(unit, "DropInPaths");
        let is_ours = |path: &&str| !path.ends_with("10-sysalert.conf") && *path != masked;
        let expected: Vec<&str> = paths.split_whitespace().filter(is_ours).collect();
        assert!(expected.len() >= 6, "{unit}: {expected:?}");
        let ours = settings(&guest, unit).into_iter().find(|setting| setting["key"] == "to").unwrap();
        let ours: Vec<&str> = ours["value"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
        let differs = || expected.iter().zip(&ours).find(|(expected, ours)| expected != ours);
        assert!(ours == expected, "{unit}: systemd's and ours begin to differ here: {:?}", differs());
    }
}

#[test]
fn drop_ins_count_as_systemd_counts_them_252() {
    places(252);
}

#[test]
fn drop_ins_count_as_systemd_counts_them_257() {
    places(257);
}
