//! `sysalert test`: proves that messages arrive, or says what keeps them from it.

use crate::guest::{Guest, Options};
use crate::jobs::{LOG, MAIL};

#[test]
fn a_test_alert_goes_out_by_every_method_and_each_is_told() {
    let guest = Guest::boot("test", Options::new().mail_server());
    guest.configure(&format!("{MAIL}{LOG}"));
    let output = guest.sysalert(&["test"]);
    assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{output}");
    let mut lines: Vec<_> = output.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].starts_with("log: sent: ") && lines[1].starts_with("mail: sent: mail.example.test:587 "), "{output}");
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails[0].subject, format!("sysalert test from {}", guest.name()));
    assert_eq!(mails[0].header("X-Sysalert-Kind"), Some("test"));
    assert!(mails[0].text.contains("Nothing has failed"), "{}", mails[0].text);
    assert_eq!(mails[0].defects, [""; 0]);
    assert_eq!(guest.read_file("/var/log/sysalert/alerts.json").lines().count(), 1);

    // by one alone
    let output = guest.sysalert(&["test", "log"]).ok();
    assert!(output.starts_with("log: sent: ") && output.lines().count() == 1, "{output}");
    assert_eq!(guest.mails().len(), 1);
    assert_eq!(guest.read_file("/var/log/sysalert/alerts.json").lines().count(), 2);

    // a test is no failure of anything
    assert_eq!(guest.sysalert(&["status"]).ok(), "Nothing is wrong.");
    assert_eq!(guest.sysalert(&["db", "list", "--all", "-o", "json"]).ok(), "[]");
}

#[test]
fn a_method_that_cannot_send_is_told_with_the_reason() {
    let guest = Guest::boot("cannot", Options::new().mail_server());
    guest.configure(&format!("{MAIL}{LOG}"));
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    let output = guest.sysalert(&["test"]);
    assert_eq!(output.status, 1, "{output}");
    assert!(output.stdout.lines().any(|line| line.starts_with("log: sent: ")), "{output}");
    let mail = output.stdout.lines().find(|line| line.starts_with("mail: not sent: ")).unwrap_or_else(|| panic!("{output}"));
    assert!(mail.contains("onnection refused"), "{mail}");
    assert!(output.stderr.starts_with("sysalert: a method could not send"), "{output}");
    // it arrives once the server is back
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    guest.hurry();
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails[0].subject, format!("sysalert test from {}", guest.name()));
}

#[test]
fn an_unknown_method_is_a_usage_error_with_the_nearest_name() {
    let guest = Guest::boot("unknown", Options::new());
    guest.configure(&format!("{MAIL}{LOG}"));
    let output = guest.sysalert(&["test", "mial"]);
    assert_eq!((output.status, output.stdout.as_str()), (64, ""), "{output}");
    assert_eq!(output.stderr, "sysalert: there is no method mial\nhint: did you mean mail?\n");
    let output = guest.sysalert(&["test", "pigeon"]);
    assert_eq!(output.status, 64, "{output}");
    assert!(output.stderr.contains("the configured methods: log, mail"), "{output}");
    assert_eq!(guest.number("SELECT count(*) FROM alerts"), 0);
}

#[test]
fn with_nobody_awake_to_deliver_it_says_so_and_the_alert_waits() {
    let guest = Guest::boot("asleep", Options::new().mail_server());
    guest.configure(MAIL);
    guest.rest();
    let output = guest.sysalert(&["test", "--timeout", "1s"]);
    assert_eq!(output.status, 1, "{output}");
    assert!(output.stderr.contains("mail did not report within 1 s; the test alert still waits"), "{output}");
    assert!(output.stderr.contains("hint: is dispatch awake? systemctl status sysalert-dispatch.path"), "{output}");
    assert_eq!(guest.mails().len(), 0);
    assert!(guest.sysalert(&["status"]).ok().contains("Not yet delivered:"));
    guest.run(&["systemctl", "start", "sysalert-dispatch.path"]).ok();
    guest.wait_for_mails(1);
    guest.settle();
}
