//! The sweep: what failed and no handler told is found in the journal, once.

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL, about};

/// A guest with a method, whose first sweep is over: what is older than that is no news.
fn guest(name: &str, options: Options) -> Guest {
    let guest = Guest::boot(name, options.mail_server().quick_timer());
    guest.configure(MAIL);
    // the first sweep
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    assert_eq!(guest.number("SELECT count(*) FROM meta WHERE key = 'swept'"), 1);
    guest
}

#[test]
fn what_failed_while_the_handler_was_masked_is_told_once() {
    let guest = guest("masked", Options::new());
    let job = Job::new(&guest, "backup.service");
    let handler = "sysalert-failure@backup.service.service";
    guest.run(&["systemctl", "mask", "--runtime", handler]).ok();
    for _ in 1..=3 {
        assert!(!job.start(3).success());
    }
    // a unit that sysalert does not speak for
    guest.write_unit("other.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    guest.run(&["systemctl", "start", "other.service"]);
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails[0].subject, format!("backup.service failed on {}: exited with status 3", guest.name()));
    guest.wait_until("all three are recorded", || job.events().len() == 3);

    guest.run(&["systemctl", "unmask", "--runtime", handler]).ok();
    job.fails(3);
    guest.settle();
    assert_eq!(job.events().len(), 4);
    assert_eq!(guest.mails().len(), 1, "one mail for four failures of the same kind");
    assert_eq!(guest.number("SELECT count(DISTINCT subject) FROM events"), 1);
}

#[test]
fn what_fails_in_a_shutdown_is_told_after_the_reboot() {
    let guest = guest("shutdown", Options::new());
    let unit = "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/sh -c 'echo cannot unmount; exit 9'\n";
    guest.write_unit("badstop.service", unit);
    guest.run(&["systemctl", "start", "badstop.service"]).ok();
    guest.reboot();
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails[0].subject, format!("badstop.service failed on {}: its ExecStop= exited with status 9", guest.name()));
    assert!(mails[0].text.contains("cannot unmount"), "{}", mails[0].text);
    guest.settle();
    assert_eq!(guest.mails().len(), 1);
}

/// Units that are stopped when nearly all is gone already: their failures are the last that the journal gets.
#[test]
fn what_fails_last_in_a_shutdown_is_told_after_the_reboot() {
    let guest = guest("last", Options::new());
    let unit = "[Unit]\nDefaultDependencies=no\nConflicts=shutdown.target\nAfter=local-fs.target\nBefore=sysinit.target shutdown.target\n\
        OnFailure=sysalert-failure@%n.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n\
        ExecStop=/bin/sh -c 'sleep 0.5; exit 9'\n";
    guest.write_unit("early.service", unit);
    guest.run(&["systemctl", "start", "early.service"]).ok();
    guest.reboot();
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails[0].subject, format!("early.service failed on {}: its ExecStop= exited with status 9", guest.name()));
    guest.settle();
    assert_eq!(guest.mails().len(), 1);
}

/// Nobody had recorded it, and the journal was not closed.
#[test]
fn what_failed_just_before_the_machine_was_reset_is_told_after_it() {
    let guest = guest("reset", Options::new());
    let job = Job::new(&guest, "backup.service");
    let masked = ["sysalert-failure@backup.service.service", "sysalert-dispatch.service"];
    guest.run(&[&["systemctl", "mask", "--runtime"], &masked[..]].concat()).ok();
    // one that was started before the mask
    guest.run(&["systemctl", "stop", "sysalert-dispatch.service"]).ok();
    assert!(!job.start(3).success());
    guest.run(&["journalctl", "--sync"]).ok();
    assert_eq!(job.events().len(), 0);
    guest.reset();
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails[0].subject, format!("backup.service failed on {}: exited with status 3", guest.name()));
    assert!(mails[0].text.contains(&job.words()), "with the run's own lines\n{}", mails[0].text);
    guest.settle();
    assert_eq!((job.events().len(), guest.mails().len()), (1, 1));
}

/// systemd starts no handler for it (systemd-facts 1).
#[test]
fn a_failed_assertion_is_told() {
    let guest = guest("assert", Options::new());
    guest.write_unit(
        "asks.service",
        "[Unit]\nOnFailure=sysalert-failure@%n.service\nAssertPathExists=/nowhere\n[Service]\nExecStart=/bin/sleep 99\n",
    );
    assert!(!guest.run(&["systemctl", "start", "asks.service"]).success());
    let mails = guest.wait_for_mails(1);
    assert!(
        mails[0].subject.starts_with(&format!("asks.service failed on {}: ", guest.name()))
            && mails[0].subject.contains("Assert"),
        "{}",
        mails[0].subject
    );
    let event = &guest.rows("SELECT * FROM events")[0];
    assert_eq!((&event["service_result"], &event["invocation_id"]), (&"assert".into(), &serde_json::Value::Null));
}

#[test]
fn a_journal_that_has_lost_what_was_not_swept_is_said() {
    let guest = guest("lost", Options::new());
    let job = Job::new(&guest, "backup.service");
    guest.rest();
    guest.run(&["systemctl", "mask", "--runtime", "sysalert-failure@backup.service.service"]).ok();
    assert!(!job.start(3).success());
    guest.sh("journalctl --rotate; rm /var/log/journal/*/*@*.journal").ok();
    guest.run(&["systemctl", "start", "sysalert-dispatch.service", "sysalert-dispatch.timer"]).ok();
    guest.wait_until("it is said", || {
        guest.journal(&["-t", "sysalert"]).contains("the journal has lost what was written between")
    });
    // and survived
    assert!(!job.start(3).success());
    let mails = guest.wait_for_mails(1);
    assert_eq!(about(&mails, "backup.service").len(), 1);
    assert_eq!(guest.journal(&["-t", "sysalert"]).matches("has lost").count(), 1, "said once");
}
