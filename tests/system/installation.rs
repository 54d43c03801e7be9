//! `make install` and `make uninstall` on a running system, as an administrator uses them.

use std::path::Path;

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL};

const REPOSITORY: &str = "/mnt/repository";

/// A guest that sees the repository, with the staged files in place of a build.
fn guest(name: &str) -> Guest {
    let guest = Guest::boot(name, Options::new().mail_server().bind_ro(Path::new(env!("CARGO_MANIFEST_DIR")), REPOSITORY));
    guest
        .sh("mkdir -p /srv/target/release && cp /usr/bin/sysalert /srv/target/release/ \
             && cp /usr/lib/sysalert/bundle.so /srv/target/release/libbundle.so")
        .ok();
    guest
}

#[track_caller]
fn make(guest: &Guest, words: &str) -> String {
    guest.sh(&format!("make -C {REPOSITORY} NO_BUILD=1 CARGO_TARGET_DIR=/srv/target {words} 2>&1")).ok()
}

fn state_of(guest: &Guest, unit: &str) -> (String, String) {
    (guest.property(unit, "UnitFileState"), guest.property(unit, "ActiveState"))
}

fn both(one: &str, other: &str) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

#[test]
fn what_was_installed_is_taken_back_and_what_is_the_administrators_stays() {
    let guest = guest("uninstall");
    guest.configure(MAIL);
    guest.write_file("/usr/lib/sysalert/plugins/ours.so", "a plugin of the administrator's own");
    make(&guest, "uninstall");
    let left = guest.sh("find /usr/bin /usr/lib /usr/include /usr/share /etc/systemd -path '*sysalert*' | sort").ok();
    assert_eq!(left, "/usr/lib/sysalert\n/usr/lib/sysalert/plugins\n/usr/lib/sysalert/plugins/ours.so");
    assert!(guest.read_file("/etc/sysalert/sysalert.toml").contains("[method.mail]"), "the configuration stays");

    // and it comes back as new, with what was recorded
    make(&guest, "install");
    let page = guest.read_file("/usr/share/man/man5/sysalert.toml.5");
    for key in ["hmac_secret", "enterprise", "generator_url", "topic"] {
        assert!(page.contains(&format!("\\fB{key}\\fR")), "the plugins that are installed tell the manual their keys: {key}");
    }
    guest
        .sh("test -s /usr/share/man/man8/sysalert-failure@.service.8 -a -s /usr/share/bash-completion/completions/sysalert")
        .ok();
    for unit in ["sysalert-dispatch.path", "sysalert-dispatch.timer"] {
        assert_eq!(state_of(&guest, unit), both("enabled", "active"), "{unit}");
    }
    assert!(guest.read_file("/etc/sysalert/sysalert.toml").contains("[method.mail]"), "the configuration stays");
    Job::new(&guest, "backup.service").fails(3);
    guest.wait_for_mails(1);

    // as root: what is on record, and what is loaded without a file of its own
    assert_eq!(guest.sysalert(&["complete", "--", "explain", "ba"]).ok(), "backup.service");
    assert!(guest.sysalert(&["complete", "--", "enable", "init.sc"]).ok().contains("init.scope"));
}

#[test]
fn a_second_installation_leaves_alone_what_the_administrator_has_turned_off() {
    let guest = guest("again");
    guest.run(&["systemctl", "disable", "--now", "sysalert-dispatch.timer"]).ok();
    make(&guest, "install");
    assert_eq!(state_of(&guest, "sysalert-dispatch.timer"), both("disabled", "inactive"));
    assert_eq!(state_of(&guest, "sysalert-dispatch.path"), both("enabled", "active"));
    guest.run(&["systemctl", "mask", "sysalert-dispatch.timer"]).ok();
    let said = make(&guest, "install");
    assert!(said.contains("sysalert-dispatch.timer is masked and stays so"), "{said}");
    assert!(!said.contains("not known"), "each plugin tells the manual its keys: {said}");
}

#[test]
fn below_usr_local_it_works_the_same() {
    let guest = guest("local");
    make(&guest, "uninstall");
    guest.sh("userdel sysalert; rm -rf /var/lib/sysalert /etc/sysalert/sysalert.toml").ok();
    make(&guest, "install PREFIX=/usr/local");
    let start = guest.property("sysalert-failure@a.service.service", "ExecStart");
    assert!(start.contains("/usr/local/bin/sysalert failure"), "{start}");
    guest.write_unit("backup.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    guest.sysalert(&["enable", "--strict", "backup.service"]).ok();
    let end = guest.property("backup.service", "ExecStopPostEx");
    assert!(end.contains("/usr/local/bin/sysalert ended"), "{end}");
    guest.run(&["systemctl", "start", "backup.service"]);
    guest.wait_until("the journal tells the failure", || {
        guest.journal(&["SYSALERT_UNIT=backup.service"]).contains("backup.service failed")
    });
}
