//! A method that keeps failing: where its alerts go, when they are given up, and how sysalert says it of itself.

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::{Job, LOG, MAIL};

/// All alerts go by mail, and by the log where mail fails.
fn config(policy: &str, mail: &str) -> String {
    format!("[policy]\nmethods = [\"mail\"]\n{policy}\n{MAIL}{mail}\n{LOG}")
}

/// What the fallback was given, oldest first.
#[track_caller]
fn logged(guest: &Guest) -> Vec<Value> {
    let text = guest.run(&["cat", "/var/log/sysalert/alerts.json"]).stdout;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The text of such a message.
fn text(alert: &Value) -> &str {
    alert["message"].as_str().or(alert["message"]["text"].as_str()).unwrap()
}

fn state(guest: &Guest, unit: &str) -> String {
    guest.property(unit, "ActiveState")
}

#[test]
fn with_the_mail_server_down_the_fallback_has_the_alert_and_the_mail_comes_later() {
    let guest = Guest::boot("fallback", Options::new().mail_server().quick_timer());
    guest.configure(&config("", "fallback = \"log\"\nfallback_after = \"2s\""));
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.wait_until("the fallback has it", || logged(&guest).len() == 1);
    let alert = logged(&guest).remove(0);
    assert!(text(&alert).contains("\nInstead of  mail, which keeps failing: "), "{alert:#}");
    assert!(text(&alert).contains("onnection refused") && text(&alert).contains(&job.words()), "{alert:#}");
    let status = guest.sysalert(&["status"]).ok();
    assert!(status.contains("Methods that cannot send:\nMETHOD  FAILING SINCE"), "{status}");
    let methods = guest.sysalert(&["methods"]).ok();
    assert!(methods.lines().any(|line| line.starts_with("mail ") && line.contains("failing since")), "{methods}");

    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    guest.hurry();
    assert_eq!(guest.wait_for_mails(1).len(), 1);
    guest.settle();
    assert_eq!(logged(&guest).len(), 1, "each has it once");
    let status = guest.sysalert(&["status"]).ok();
    assert!(!status.contains("Methods that cannot send"), "{status}");
}

#[test]
fn what_the_server_refuses_goes_to_the_fallback_at_once() {
    let guest = Guest::boot("refused", Options::new().mail_server());
    let wrong = MAIL.replace("password.file = \"/etc/sysalert/smtp-password\"", "password = \"not-the-password\"");
    guest.configure(&config("", "fallback = \"log\"").replace(MAIL, &wrong));
    Job::new(&guest, "backup.service").fails(3);
    guest.wait_until("the fallback has it", || logged(&guest).len() == 1);
    let alert = logged(&guest).remove(0);
    assert!(text(&alert).contains("\nInstead of  mail, which refused it: ") && text(&alert).contains("535"), "{alert:#}");
}

#[test]
fn what_expires_is_given_up_recorded_and_told() {
    let guest = Guest::boot("expiry", Options::new().mail_server().quick_timer());
    guest.configure(&config("", "expire = \"3s\""));
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    Job::new(&guest, "backup.service").fails(3);
    guest.settle();
    let tries = guest.rows("SELECT status, detail FROM deliveries ORDER BY id");
    let last = tries.last().unwrap();
    assert_eq!((tries[0]["status"].as_str(), last["status"].as_str()), (Some("retry"), Some("expired")), "{tries:#?}");
    assert!(last["detail"].as_str().unwrap().starts_with("given up after 3s and 2 tries: "), "{last}");
    let said = guest.journal(&["SYSALERT_SUBJECT=unit:backup.service", "PRIORITY=3"]);
    assert!(said.contains("gave up the failure alert of backup.service by mail after 3s and 2 tries: "), "{said}");
    let explained = guest.sysalert(&["explain", "backup"]).ok();
    assert!(explained.contains("mail  expired"), "{explained}");
    assert_eq!((guest.mails().len(), logged(&guest).len()), (0, 0), "there is no fallback");
}

#[test]
fn what_exceeds_a_limit_waits_says_why_and_is_not_lost() {
    let guest = Guest::boot("limit", Options::new().mail_server().quick_timer());
    guest.configure(&config("", "most = 2\nwithin = \"10s\""));
    let jobs: Vec<_> = (1..=3).map(|number| Job::new(&guest, &format!("job-{number}.service"))).collect();
    jobs.iter().for_each(|job| job.fails(3));
    guest.wait_for_mails(2);
    let mut list = String::new();
    guest.wait_until("the third says why it waits", || {
        list = guest.sysalert(&["outbox", "list"]).ok();
        list.contains("mail sends at most 2 messages within 10s")
    });
    assert_eq!((list.lines().count(), guest.mails().len()), (2, 2), "{list}");
    guest.settle();
    assert_eq!(guest.mails().len(), 3);
}

#[test]
fn a_method_that_fails_for_long_fails_the_service_and_not_its_path_unit() {
    let guest = Guest::boot("outage", Options::new().mail_server().quick_timer());
    guest.configure(&config("method_failing_after = \"3s\"", "fallback = \"log\"\nfallback_after = \"1h\""));
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    // also where every service has a handler, sysalert starts none for itself
    guest.sh("cd /etc/systemd/system && mkdir -p service.d && cp /usr/share/doc/sysalert/overrides/service.d/10-sysalert.conf service.d/ && systemctl daemon-reload").ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    let failed =
        || guest.journal(&["_PID=1", "UNIT=sysalert-dispatch.service"]).matches("Failed with result 'exit-code'").count();
    guest.wait_until("dispatch fails, each second", || failed() >= 3);
    let said = guest.journal(&["SYSLOG_IDENTIFIER=sysalert", "_SYSTEMD_UNIT=sysalert-dispatch.service"]);
    assert!(said.contains("the method mail has sent nothing since ") && said.contains(", and 1 alert waits for it: "), "{said}");
    assert_eq!(said.matches("; log sends instead").count(), 1, "announced once\n{said}");
    let announced = logged(&guest);
    assert_eq!(announced.len(), 1, "{announced:#?}");
    assert!(text(&announced[0]).contains("The method mail of sysalert on "), "{:#}", announced[0]);

    // what is queued now is tried at once all the same: the path unit lives
    let path = "sysalert-dispatch.path";
    guest.run(&["systemctl", "stop", "sysalert-dispatch.timer"]).ok();
    assert_eq!((state(&guest, path), guest.property(path, "Result")), ("active".into(), "success".into()));
    let other = Job::new(&guest, "other.service");
    other.fails(3);
    let tried = "SELECT count(*) FROM outbox WHERE attempts > 0 AND alert IN
        (SELECT a.id FROM alerts a JOIN incidents i ON i.id = a.incident WHERE i.subject = 'unit:other.service')";
    guest.wait_until("the path unit has started dispatch", || guest.number(tried) == 1);
    guest.wait_until("and that has failed", || state(&guest, "sysalert-dispatch.service") == "failed");
    assert_eq!(state(&guest, path), "active");

    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    guest.hurry();
    guest.settle();
    guest.wait_until("dispatch is well again", || state(&guest, "sysalert-dispatch.service") == "inactive");
    assert_eq!(guest.wait_for_mails(2).len(), 2);
    assert!(guest.journal(&["SYSLOG_IDENTIFIER=sysalert"]).contains("the method mail works again; "));
    let told = logged(&guest);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(text(&told[1]).contains("works again"), "{:#}", told[1]);
    assert_eq!(guest.number("SELECT count(DISTINCT subject) FROM events"), 2, "sysalert reports itself by no handler");
}
