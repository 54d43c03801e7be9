//! `sysalert doctor`: each thing that would keep an alert from arriving is brought about, is found, and is gone again afterwards.

mod rows;

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::{AS_SYSALERT, MAIL};
use crate::plugins::compiled;
use rows::Do::{self, Config, Sh, Sql};
use rows::{LONG, Row, SLOW, rows};

/// Methods that work in every guest.
const CONFIG: &str = r#"
[method.log]
plugin = "file"
path = "/var/log/sysalert/alerts.json"
[method.own]
plugin = "command"
command = ["/usr/bin/true"]
secret.file = "/etc/sysalert/token"
"#;

fn done(guest: &Guest, what: &Do) {
    match what {
        Sh(script) => drop(guest.sh(&format!("LONG={LONG}; {script}")).ok()),
        Sql(statements) => {
            let work = "db = sqlite3.connect('/var/lib/sysalert/sysalert.db', timeout=10)\ndb.executescript(sys.argv[2])";
            guest.python(&format!("{AS_SYSALERT}{work}"), &[statements]).ok();
        }
        Config(more) => guest.configure(&format!("{CONFIG}{more}")),
    }
}

/// What is found, as (look, outcome, what); with the exit status. That no time service sets a guest's clock is its host's matter.
fn examined(guest: &Guest) -> (Vec<(String, String, String)>, i32) {
    let said = guest.sysalert(&["doctor", "-o", "json"]);
    let rows: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let rows = rows.as_array().unwrap().iter().filter(|row| row["outcome"] != "well");
    let rows = rows.map(|row| (text(row, "look"), text(row, "outcome"), text(row, "what")));
    (rows.filter(|(look, outcome, _)| (look.as_str(), outcome.as_str()) != ("clock", "note")).collect(), said.status)
}

#[test]
fn each_finding_is_found_and_a_healthy_guest_has_none_252() {
    each_finding_is_found_and_a_healthy_guest_has_none(252);
}

#[test]
fn each_finding_is_found_and_a_healthy_guest_has_none_257() {
    each_finding_is_found_and_a_healthy_guest_has_none(257);
}

fn each_finding_is_found_and_a_healthy_guest_has_none(systemd: u32) {
    // nothing of sysalert runs by itself: it would repair what is broken here
    let never = "[Timer]\nOnCalendar=\nOnCalendar=2099-01-01\n";
    let options = Options::new()
        .tree(&compiled(&format!("doctor-{systemd}"), "/usr/share", &["noise"]))
        .file("/etc/systemd/system/sysalert-dispatch.timer.d/never.conf", never)
        .file("/etc/systemd/system/sysalert-check@services.timer.d/never.conf", never)
        .file("/etc/systemd/system/backup.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
        .file("/etc/systemd/system/web-a.service", "[Service]\nExecStart=/bin/sleep infinity\n")
        .file("/etc/systemd/system/mine.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
        .file("/etc/systemd/system/daemon.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    let guest = Guest::boot_on(systemd, "doctor", options);
    guest.configure(CONFIG);
    guest.sh("install -m 0640 -g sysalert /dev/stdin /etc/sysalert/token <<<secret; systemctl start daemon.service; sysalert enable backup; sysalert test").ok();

    let healthy = || (Vec::new(), 0);
    assert_eq!(examined(&guest), healthy());
    let said = guest.sysalert(&["doctor"]).ok();
    assert!(said.ends_with("things: nothing would keep an alert from arriving."), "{said}");
    let rows = rows();
    for (number, row) in rows.iter().enumerate() {
        done(&guest, &row.make);
        let (found, status) = examined(&guest);
        let has = |row: &Row| {
            let is_it = |(look, outcome, what): &(String, String, String)| {
                (look.as_str(), outcome.as_str()) == (row.look, row.outcome) && what.contains(row.words)
            };
            found.iter().any(is_it)
        };
        assert!(has(row), "{} {}: {found:#?}", row.look, row.words);
        // those before it are gone
        let others: Vec<&str> = rows[..number].iter().filter(|row| has(row)).map(|row| row.words).collect();
        assert!(others.is_empty(), "{}: {others:#?}", row.words);
        let has_findings = found.iter().any(|(_, outcome, _)| outcome == "finding");
        assert_eq!(status, i32::from(has_findings), "{}: {found:#?}", row.words);
        done(&guest, &row.undo);
    }
    assert_eq!(examined(&guest), healthy());

    // as its reader sees it
    done(&guest, &rows[0].make);
    let said = guest.sysalert(&["doctor"]);
    assert_eq!(said.status, 1, "{said}");
    let expected = "handlers: sysalert-failure@.service is masked: no failure reaches sysalert but by the journal, minutes later\n  \
         hint: systemctl unmask --runtime sysalert-failure@.service\n";
    assert!(said.stdout.starts_with(expected) && said.stdout.ends_with(": 1 finding.\n"), "{said}");
    done(&guest, &rows[0].undo);

    // whoever may only read the record is told what was not looked at
    for (groups, expected) in [
        ("sysalert", "what only root may see was not looked at, nor the journal, which you may not read: run it as root"),
        ("sysalert,systemd-journal", "what only root may see was not looked at: run it as root"),
    ] {
        guest.sh(&format!("id -u member >/dev/null 2>&1 || useradd member; usermod -G {groups} member")).ok();
        let rows = guest.run_as("member", &["sysalert", "doctor", "-o", "json"]).json();
        let notes =
            rows.as_array().unwrap().iter().filter(|row| row["look"] == "permission").map(|row| row["what"].as_str().unwrap());
        assert_eq!(notes.collect::<Vec<_>>(), [expected], "{groups}");
    }

    done(&guest, &SLOW.make);
    let (found, _) = examined(&guest);
    assert!(found.iter().any(|(look, _, what)| look == SLOW.look && what.contains(SLOW.words)), "{found:#?}");
}

#[test]
fn a_unit_fails_and_recovers_from_end_to_end() {
    let guest = Guest::boot("end", Options::new().mail_server());
    guest.configure(MAIL);
    let channels = || examined(&guest).0.into_iter().filter(|(look, ..)| look == "channels").collect::<Vec<_>>();
    assert_eq!(channels(), []);
    let left = "systemctl list-units --all --plain --no-legend 'doctor-*' | wc -l; ls /etc/systemd/system; ls /run/systemd/transient || true";
    let before = guest.sh(left).ok();
    let said = guest.sysalert(&["doctor", "--end-to-end"]).ok();
    let steps = [
        "was started, to fail",
        "that it failed is on record",
        "decided: ",
        "mail: sent: mail.example.test:587 ",
        "was started again, to succeed",
        "that it succeeded is on record",
        "decided: ",
        "mail: sent: ",
        "Everything arrived.",
    ];
    let mut lines = said.lines();
    for step in steps {
        let line = lines.next().unwrap_or_else(|| panic!("{step}: {said}"));
        assert!(line.contains(step), "{step}: {said}");
        assert!(step.starts_with("Every") || line.trim_start().split(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
    }
    let mails = guest.wait_for_mails(2);
    assert!(mails[0].subject.contains("failed") && mails[1].subject.contains("recovered"), "{mails:#?}");
    assert!(mails[0].text.contains("sysalert doctor lets this unit fail"), "{}", mails[0].text);
    // nothing of it is left but its history
    assert_eq!(guest.sh(left).ok(), before);
    assert_eq!(guest.sysalert(&["status"]).ok(), "Nothing is wrong.");

    // a server that is down is told, and nothing waits for it afterwards
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    assert!(channels()[0].2.contains("mail cannot be reached: mail.example.test:587"), "{:?}", channels());
    let said = guest.sysalert(&["doctor", "--end-to-end"]);
    assert_eq!(said.status, 1, "{said}");
    assert!(
        said.stdout.contains("mail: not sent: ") && said.stderr.starts_with("sysalert: a method could not send\nhint: "),
        "{said}"
    );
    assert_eq!(guest.number("SELECT count(*) FROM outbox"), 0);
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();

    // what keeps it silent is named
    guest.configure(&format!("[unit.\"doctor-*\"]\nenabled = false\n{MAIL}"));
    let said = guest.sysalert(&["doctor", "--end-to-end"]);
    assert!(said.status == 1 && said.stderr.starts_with("sysalert: nobody is told: "), "{said}");
    // and so is a handler that does not run
    guest.run(&["systemctl", "mask", "--runtime", "sysalert-failure@.service"]).ok();
    assert_eq!(guest.property("sysalert-failure@doctor.service", "LoadState"), "masked");
    // nor does dispatch find it in the journal meanwhile
    guest.run(&["systemctl", "stop", "sysalert-dispatch.timer", "sysalert-dispatch.path", "sysalert-dispatch.service"]).ok();
    let said = guest.sysalert(&["doctor", "--end-to-end", "--timeout", "2s"]);
    assert!(
        said.status == 1 && said.stderr.starts_with("sysalert: that it failed was not recorded\nhint: its handler did not run"),
        "{said}"
    );
    assert_eq!(guest.sh("systemctl list-units --all --plain --no-legend 'doctor-*' | wc -l").ok(), "0");
}
