//! What keeps dispatch from its work goes away, and delivery resumes by itself.

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL};

/// The password comes as a credential of the service.
fn with_credential(name: &str) -> Guest {
    let guest = Guest::boot(name, Options::new().mail_server().quick_timer());
    guest.configure(&MAIL.replace("password.file = \"/etc/sysalert/smtp-password\"", "password.credential = \"smtp\""));
    // systemd gives up on a wake-up sooner than by default, so that nobody must wait for that
    guest.write_file(
        "/etc/systemd/system/sysalert-dispatch.service.d/test.conf",
        "[Unit]\nStartLimitIntervalSec=5s\nStartLimitBurst=12\n[Service]\nLoadCredential=smtp:/etc/credstore/smtp\n",
    );
    guest.sh("install -D -m 0600 /etc/sysalert/smtp-password /etc/credstore/smtp; rm /etc/sysalert/smtp-password").ok();
    guest.run(&["systemctl", "daemon-reload"]).ok();
    guest
}

#[test]
fn a_credential_that_goes_missing_and_returns() {
    let guest = with_credential("credential");
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.wait_for_mails(1);
    guest.settle();

    guest.run(&["mv", "/etc/credstore/smtp", "/etc/credstore/gone"]).ok();
    let other = Job::new(&guest, "other.service");
    other.fails(3);
    let failed = |unit: &str| guest.property(unit, "ActiveState") == "failed";
    guest.wait_until("systemd has given up on the path unit", || failed("sysalert-dispatch.path"));
    assert_eq!(other.events().len(), 1, "it is recorded all the same");
    assert_eq!(guest.mails().len(), 1);
    let failures = guest.sh("systemctl --failed --no-legend --plain").ok();
    assert!(failures.contains("sysalert-dispatch.service"), "whoever looks at the machine sees it\n{failures}");

    // the timer alone goes on
    guest.run(&["mv", "/etc/credstore/gone", "/etc/credstore/smtp"]).ok();
    let mails = guest.wait_for_mails(2);
    assert!(mails[1].subject.contains("other.service failed"), "{}", mails[1].subject);
    guest.settle();
    assert_eq!(guest.mails().len(), 2, "each once");
}

#[test]
fn a_path_unit_that_failed_is_revived_by_the_next_handler() {
    let guest = with_credential("path");
    // a check wakes dispatch, too
    guest.sh("systemctl stop sysalert-check@services.timer sysalert-check@services.service").ok();
    guest.run(&["mv", "/etc/credstore/smtp", "/etc/credstore/gone"]).ok();
    Job::new(&guest, "backup.service").fails(3);
    let path = || guest.property("sysalert-dispatch.path", "ActiveState");
    guest.wait_until("systemd has given up on the path unit", || path() == "failed");
    // nobody else is to do its work
    guest.run(&["systemctl", "stop", "sysalert-dispatch.timer"]).ok();
    guest.run(&["mv", "/etc/credstore/gone", "/etc/credstore/smtp"]).ok();
    guest.wait_until("systemd forgets the starts in vain", || {
        guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).success()
    });
    guest.wait_for_mails(1);
    assert_eq!(path(), "failed");

    Job::new(&guest, "other.service").fails(3);
    let mails = guest.wait_for_mails(2);
    assert!(mails[1].subject.contains("other.service failed"), "{}", mails[1].subject);
    assert_eq!(path(), "active");
}
