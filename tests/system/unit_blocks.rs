//! The blocks of unit files that the manual and the documentation show, put where they say, word for word.

use crate::documents::{ALL, METHODS, POLICY, blocks_of};
use crate::guest::{Guest, Options};

const PAGE: &str = include_str!("../../src/cli/generate/sysalert-check@.service.8");

const METHODS_OF_BLOCKS: &str = r#"
[method.mail]
plugin = "file"
path = "/srv/alerts/mail.json"
[method.phone]
plugin = "file"
path = "/srv/alerts/phone.json"
"#;

/// The page's examples, each with the unit that the words before it name last.
fn of_the_page() -> Vec<(String, String)> {
    let mut before = "";
    let mut blocks = Vec::new();
    for part in PAGE.split(".EX\n") {
        if let Some((block, rest)) = part.split_once(".EE\n") {
            let unit = before.rsplit("\\fB").find_map(|words| {
                let name = words.split("\\fR").next()?;
                (name.ends_with(".service") || name.ends_with(".timer")).then_some(name)
            });
            blocks.push((unit.unwrap().replace('\\', ""), block.replace('\\', "")));
            before = rest;
        } else {
            before = part;
        }
    }
    blocks
}

fn hold(systemd: u32) {
    let guest = Guest::boot_on(systemd, "blocks", Options::new());
    guest
        .sh("install -d -o sysalert -g sysalert /srv/alerts; install -D -m 0600 <(echo secret) /etc/credstore/sysalert-smtp")
        .ok();
    guest.configure(METHODS_OF_BLOCKS);
    // what a timer starts: the unit's own section asks for that
    guest.write_file("/etc/systemd/system/backup.timer", "[Timer]\nOnActiveSec=0\nAccuracySec=1ms\n");
    let fails = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n";
    guest.write_unit("backup.service", fails);
    guest.sysalert(&["enable", "backup.service"]).ok();

    let page = of_the_page();
    assert_eq!(page.len(), 3, "{page:?}");
    let documents: Vec<&str> = ALL.into_iter().flat_map(|text| blocks_of(text, "ini")).collect();
    let [credential] = blocks_of(METHODS, "ini")[..] else { panic!("{documents:?}") };
    let [of_a_unit] = blocks_of(POLICY, "ini")[..] else { panic!("{documents:?}") };
    assert_eq!(documents.len(), 2, "a block that no test puts into place");
    let of_dispatch = page.iter().find(|(_, block)| block.contains("LoadCredential")).unwrap();
    assert_eq!(of_dispatch, &("sysalert-dispatch.service".to_owned(), credential.to_owned()));

    for (number, (unit, block)) in page.iter().enumerate() {
        guest.write_file(&format!("/etc/systemd/system/{unit}.d/{number}.conf"), block);
    }
    guest.write_file("/etc/systemd/system/backup.service.d/50-own.conf", of_a_unit);
    guest.run(&["systemctl", "daemon-reload"]).ok();
    let units = "sysalert-dispatch.service sysalert-check@services.timer backup.service";
    let verified = guest.sh(&format!("systemd-analyze verify --man=no {units} 2>&1"));
    assert!(verified.success() && verified.stdout.is_empty(), "{verified}");
    assert_eq!(guest.sysalert(&["config", "check"]).status, 0);

    // and each does what is said of it
    let times = guest.property("sysalert-check@services.timer", "TimersCalendar");
    assert_eq!(times.matches("OnCalendar=").count(), 1, "{times}");
    let explained = |setting: &str| {
        let settings = guest.sysalert(&["explain", "backup.service", "-o", "json"]).json()["settings"].clone();
        settings.as_array().unwrap().iter().find(|one| one["key"] == setting).unwrap()["value"].clone()
    };
    for run in 1..=3 {
        guest.run(&["systemctl", "restart", "backup.timer"]).ok();
        let recorded = "SELECT count(*) FROM events WHERE subject = 'unit:backup.service' AND reason IS NOT NULL";
        guest.wait_until("the run is decided", || guest.exists("/var/lib/sysalert/sysalert.db") && guest.number(recorded) == run);
        let is_told = guest.sh("grep -l backup.service /srv/alerts/*.json").success();
        assert!(!is_told || run == 3, "run {run} is ignored");
    }
    assert_eq!(explained("ignore"), 2);
    guest.wait_until("it is told by both, where only the drop-in lets them write", || {
        guest.sh("grep -l backup.service /srv/alerts/mail.json && grep -l backup.service /srv/alerts/phone.json").success()
    });
    // with its credential, without which systemd does not start it
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
}

#[test]
fn what_is_shown_of_unit_files_holds_252() {
    hold(252);
}

#[test]
fn what_is_shown_of_unit_files_holds_257() {
    hold(257);
}
