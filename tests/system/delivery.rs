//! An alert that cannot be delivered waits, says why, and arrives once it can, whatever happens to those who send it.

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::{Job, LOG, MAIL, about};
use crate::mail::fact;

/// A method that sends to `faulty-smtp@MODE.service`.
const FAULTY: &str = r#"
[method.mail]
plugin = "email"
host = "localhost"
port = 2525
from = "sysalert@guest.example.test"
to = ["ops@example.org"]
"#;

fn faulty(timeout: &str) -> String {
    format!("{FAULTY}timeout = \"{timeout}\"\n")
}

/// What waits, as `status -o json` has it.
#[track_caller]
fn outbox(guest: &Guest) -> Vec<Value> {
    guest.sysalert(&["status", "-o", "json"]).json()["outbox"].as_array().unwrap().clone()
}

/// Waits until the first try of everything that waits is over, and returns the reason of the only one.
#[track_caller]
fn why_it_waits(guest: &Guest) -> String {
    let mut waiting = Vec::new();
    guest.wait_until("the first try has failed", || {
        waiting = outbox(guest);
        !waiting.is_empty() && waiting.iter().all(|one| one["detail"].is_string())
    });
    assert_eq!(waiting.len(), 1, "{waiting:#?}");
    waiting[0]["detail"].as_str().unwrap().to_owned()
}

#[test]
fn with_the_mail_server_down_the_alert_waits_and_arrives_once_it_is_back() {
    let guest = Guest::boot("down", Options::new().mail_server());
    guest.configure(MAIL);
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    let event = job.events().pop().unwrap();
    let reason = why_it_waits(&guest);
    assert!(reason.contains("mail.example.test:587") && reason.contains("onnection refused"), "{reason}");
    let status = guest.sysalert(&["status"]).ok();
    let line = status.lines().find(|line| line.contains(&reason)).unwrap_or_else(|| panic!("{status}"));
    assert!(status.contains("Not yet delivered:") && line.contains("backup.service") && line.contains("failure"), "{status}");
    assert!(job.explain().contains("waiting, next try"), "{}", job.explain());
    let incident = &guest.incidents("backup.service")[0];
    assert_eq!((&incident["state"], &incident["alerts"]), (&"open".into(), &0.into()), "open, but nobody is told yet");

    // a try while it is down changes nothing but the count
    guest.hurry();
    assert_eq!(outbox(&guest)[0]["tries"], 2);

    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    guest.hurry();
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails.len(), 1);
    assert_eq!(outbox(&guest), [Value::Null; 0]);
    let text = &mails[0].text;
    assert!(fact(text, "Late").starts_with("it happened "), "{text}");
    assert!(text.contains(&format!("earlier tries to send this failed: {reason}")), "{text}");
    let happened = chrono::DateTime::from_timestamp_micros(event["at"].as_i64().unwrap()).unwrap();
    assert!(fact(text, "Failed").starts_with(&happened.format("%a %Y-%m-%d %H:%M:%S ").to_string()), "when it happened\n{text}");
    assert!(text.contains(&job.words()), "{text}");
    let status = guest.sysalert(&["status"]).ok();
    assert!(!status.contains("Not yet delivered"), "{status}");
    assert_eq!(guest.incidents("backup.service")[0]["alerts"], 1);
}

#[test]
fn a_mail_server_that_refuses_or_hangs_makes_the_alert_wait_and_not_disappear() {
    let guest = Guest::boot("faulty", Options::new().mail_server());
    let (plain, starttls, login) = ("", "tls = \"starttls\"\n", "username = \"jo\"\npassword = \"hunter2\"\n");
    // what the server does, how it is spoken to, what becomes of the alert, and why
    let rows = [
        ("451", plain, "retry", "451"),
        ("550", plain, "refused", "550"),
        ("hang", plain, "retry", "did not answer in time while connecting"),
        ("hang-ehlo", plain, "retry", "did not answer in time while connecting"),
        ("hang-starttls", starttls, "retry", "did not answer in time after STARTTLS"),
        ("hang-tls", starttls, "retry", "did not answer in time after STARTTLS"),
        ("hang-auth", login, "retry", "did not answer in time at the login"),
        ("hang-mail", plain, "retry", "did not answer in time after MAIL FROM"),
        ("hang-rcpt", plain, "retry", "did not answer in time after RCPT TO"),
        ("hang-data", plain, "retry", "did not confirm the message in time"),
        ("hang-content", plain, "retry", "did not confirm the message in time"),
        ("cut-after-data", plain, "retry", "was lost before it confirmed the message"),
    ];
    for (mode, how, ends, reason) in rows {
        guest.configure(&format!("{}{how}", faulty("4s")));
        let server = format!("faulty-smtp@{mode}.service");
        guest.run(&["systemctl", "start", &server]).ok();
        let job = Job::new(&guest, &format!("met-{mode}.service"));
        job.fails(3);
        let met = why_it_waits(&guest);
        assert!(met.contains(reason) && met.contains("localhost:2525"), "{mode}: {met}");
        let status = guest.sysalert(&["status"]).ok();
        assert!(status.lines().any(|line| line.contains(&job.name) && line.contains(&met)), "{status}");
        let ids = |mails: &[crate::mail::Mail]| -> Vec<String> {
            about(mails, &job.name).iter().map(|mail| mail.header("Message-ID").unwrap().to_owned()).collect()
        };
        let before = ids(&guest.faulty_mails());

        guest.run(&["systemctl", "stop", &server]).ok();
        guest.run(&["systemctl", "start", "faulty-smtp@accept.service"]).ok();
        guest.configure(&faulty("4s"));
        guest.hurry();
        guest.settle();
        let mails = guest.faulty_mails();
        let all = ids(&mails);
        assert_eq!(all.len(), before.len() + 1, "{mode}: it arrived, once");
        assert!(all.iter().all(|id| *id == all[0]), "{mode}: the same Message-ID at each try: {all:?}");
        let last = about(&mails, &job.name).pop().unwrap();
        assert!(fact(&last.text, "Late").starts_with("it happened ") && last.text.contains(&met), "{}", last.text);
        assert_eq!(last.defects, [""; 0]);
        let tries = guest.rows(&format!(
            "SELECT d.status FROM deliveries d JOIN alerts a ON a.id = d.alert JOIN incidents i ON i.id = a.incident
             WHERE i.subject = 'unit:{}' ORDER BY d.id",
            job.name
        ));
        let tries: Vec<_> = tries.iter().map(|row| row["status"].as_str().unwrap()).collect();
        assert_eq!(tries, [ends, "sent"], "{mode}");
        guest.run(&["systemctl", "stop", "faulty-smtp@accept.service"]).ok();
    }
}

#[test]
fn dispatch_that_is_killed_in_mid_send_sends_it_later_with_the_same_message_id() {
    let guest = Guest::boot("kill", Options::new().mail_server().quick_timer());
    guest.configure(&faulty("3s"));
    guest.run(&["systemctl", "start", "faulty-smtp@hang-content.service"]).ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.wait_until("the server has the mail, and keeps silent", || guest.faulty_mails().len() == 1);
    guest.run(&["systemctl", "kill", "--signal=KILL", "--kill-whom=all", "sysalert-dispatch.service"]).ok();
    let died =
        |guest: &Guest| guest.journal(&["_PID=1", "UNIT=sysalert-dispatch.service"]).contains("Failed with result 'signal'");
    guest.wait_until("dispatch is dead", || died(&guest));
    assert_eq!(guest.number("SELECT count(*) FROM deliveries"), 0, "it died before it could file the try");
    let waiting = outbox(&guest);
    assert_eq!((waiting.len(), &waiting[0]["tries"]), (1, &1.into()), "{waiting:#?}");
    assert!(guest.sysalert(&["status"]).ok().contains("Not yet delivered:"));

    guest.run(&["systemctl", "stop", "faulty-smtp@hang-content.service"]).ok();
    guest.run(&["systemctl", "start", "faulty-smtp@accept.service"]).ok();
    // by itself: the dead one's claim runs out after the method's timeout and 5 s more, and the timer looks each second
    guest.settle();
    let mails = guest.faulty_mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    assert!(fact(&mails[1].text, "Late").starts_with("it happened "), "{}", mails[1].text);
    assert!(mails[1].text.contains(&job.words()), "{}", mails[1].text);
    let deliveries = guest.rows("SELECT attempt, status FROM deliveries");
    assert_eq!(deliveries, [serde_json::json!({ "attempt": 2, "status": "sent" })]);
}

#[test]
fn a_method_that_hangs_delays_no_other() {
    let guest = Guest::boot("others", Options::new().mail_server());
    guest.configure(&format!("{}{LOG}", faulty("45s")));
    guest.run(&["systemctl", "start", "faulty-smtp@hang.service"]).ok();
    let logged = |unit: &str| guest.run(&["cat", "/var/log/sysalert/alerts.json"]).stdout.contains(unit);
    let mail_hangs = || guest.number("SELECT count(*) FROM outbox WHERE method = 'mail' AND lease IS NOT NULL") == 1;

    let first = Job::new(&guest, "first.service");
    let second = Job::new(&guest, "second.service");
    first.fails(3);
    guest.wait_until("the other method has it", || logged("first.service"));
    assert!(mail_hangs(), "and the mail still hangs");
    // dispatch waits for the mail now; what comes meanwhile must not wait with it
    second.fails(3);
    guest.wait_until("the other method has the next alert, too", || logged("second.service"));
    assert!(mail_hangs(), "and the mail still hangs");
    assert_eq!(guest.number("SELECT count(*) FROM deliveries WHERE method = 'mail'"), 0, "the first one: no try has ended");
}

#[test]
fn a_recovery_that_overtakes_its_failure_tells_both() {
    let guest = Guest::boot("order", Options::new().mail_server());
    guest.configure(MAIL);
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    let words = job.words();
    let reason = why_it_waits(&guest);
    guest.wait_for_dispatch();

    // the server is back, the failure's next try is not due yet, the recovery's first one is
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    job.succeeds();
    let mails = guest.wait_for_mails(1);
    guest.settle();
    assert_eq!(guest.mails().len(), 1);
    let mail = about(&mails, "backup.service")[0];
    assert_eq!(mail.header("X-Sysalert-Kind"), Some("recovery"));
    assert_eq!(mail.subject, format!("backup.service failed and recovered on {}: exited with status 3", guest.name()));
    for part in ["\nRecovered  ", "\nFailed     ", &words, &reason] {
        assert!(mail.text.contains(part), "{part}\n{}", mail.text);
    }
    let ended = guest.rows("SELECT status FROM deliveries ORDER BY id");
    assert_eq!(ended.iter().map(|row| row["status"].as_str().unwrap()).collect::<Vec<_>>(), ["retry", "sent", "merged"]);
}

#[test]
fn a_wrong_password_and_an_untrusted_server_are_said_and_wait() {
    let guest = Guest::boot("login", Options::new().mail_server());
    guest.configure(&MAIL.replace("password.file = \"/etc/sysalert/smtp-password\"", "password = \"not-the-password\""));
    let job = Job::new(&guest, "login.service");
    job.fails(3);
    let reason = why_it_waits(&guest);
    assert!(reason.contains("535") && reason.contains("check username and password"), "{reason}");
    assert!(!guest.sysalert(&["status"]).ok().contains("not-the-password"));
    guest.sysalert(&["db", "clear", "login", "--yes"]).ok();
    assert_eq!(outbox(&guest), [Value::Null; 0], "`db clear` drops what was not delivered");

    guest.configure(&MAIL.replace("mail.example.test", "elsewhere.example.test"));
    guest.sh("echo '127.0.0.1 elsewhere.example.test' >>/etc/hosts").ok();
    let job = Job::new(&guest, "name.service");
    job.fails(3);
    let reason = why_it_waits(&guest);
    assert!(reason.contains("certificate") && reason.contains("elsewhere.example.test"), "{reason}");
    assert_eq!(guest.mails().len(), 0);

    // the right name, but an authority that nobody knows
    guest
        .sh("cd /etc/mail-server; cp -p server.crt known.crt
            openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -days 1 -subj '/CN=another authority' -out other.crt
            openssl x509 -req -in server.csr -CA other.crt -CAkey other.key -CAcreateserial -days 1 -out unknown.crt \
                -extfile <(echo subjectAltName=DNS:mail.example.test)
            cat unknown.crt >server.crt; systemctl restart mail-server.service")
        .ok();
    guest.configure(MAIL);
    guest.hurry();
    let reason = outbox(&guest)[0]["detail"].as_str().unwrap().to_owned();
    assert!(reason.contains("certificate") && reason.contains("mail.example.test") && reason.contains("nknown"), "{reason}");
    assert_eq!(guest.mails().len(), 0);

    guest.sh("cd /etc/mail-server; cat known.crt >server.crt; systemctl restart mail-server.service").ok();
    guest.hurry();
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails.len(), 1);
    assert!(mails[0].text.contains(&job.words()), "{}", mails[0].text);
}

/// A failure whose handler is held up while the next run already succeeds.
fn fails_and_succeeds_at_once(guest: &Guest, hold_up: impl FnOnce()) {
    guest.configure(MAIL);
    let job = Job::new(guest, "backup.service");
    guest.sysalert(&["dispatch"]).ok();
    hold_up();
    job.start(3);
    job.start(0);
    guest.wait_until("it is over", || guest.incidents("backup.service").iter().any(|incident| incident["state"] == "resolved"));
    guest.settle();
    let mails = guest.mails();
    let subjects: Vec<_> = mails.iter().map(|mail| mail.subject.split(" on ").next().unwrap()).collect();
    // whether dispatch came in between or not
    let both = [&["backup.service failed", "backup.service recovered"][..], &["backup.service failed and recovered"]];
    assert!(both.contains(&&subjects[..]), "{subjects:?}");
}

#[test]
fn a_success_never_overtakes_the_failure_before_it() {
    let guest = Guest::boot("overtake", Options::new().mail_server());
    fails_and_succeeds_at_once(&guest, || {
        // both handlers would have to wait here, in whatever order they come
        guest.run(&["systemd-run", "--quiet", "flock", "/var/lib/sysalert/lock", "sleep", "2"]).ok();
        guest.wait_until("somebody holds the lock", || !guest.run(&["flock", "-n", "/var/lib/sysalert/lock", "true"]).success());
    });
}

#[test]
fn a_handler_that_comes_late_takes_no_other_run_for_the_one_that_failed() {
    let guest = Guest::boot("late", Options::new().mail_server());
    fails_and_succeeds_at_once(&guest, || {
        // systemd tells a handler of the unit as it is when the handler's process starts
        guest.write_unit("sysalert-failure@.service.d/late.conf", "[Service]\nExecStartPre=/bin/sleep 1\n");
    });
    // the words that the handler got were those of the run after it; the journal has its own
    let ended = |outcome: &str, column: &str| {
        guest.rows(&format!("SELECT {column} AS it FROM events WHERE outcome = '{outcome}'"))[0]["it"].clone()
    };
    assert_eq!((ended("failed", "service_result"), ended("failed", "exit_status")), ("exit-code".into(), "3".into()));
    assert_ne!(ended("failed", "invocation_id"), ended("succeeded", "invocation_id"));
}

#[test]
fn a_flag_that_cannot_be_removed_stops_no_delivery() {
    let guest = Guest::boot("flag", Options::new().mail_server());
    guest.configure(MAIL);
    guest.rest();
    guest.run(&["systemctl", "start", "sysalert-dispatch.timer"]).ok();
    guest.sh("rm -f /run/sysalert/pending; mkdir /run/sysalert/pending").ok();
    Job::new(&guest, "backup.service").fails(3);
    guest.wait_for_mails(1);
    assert!(guest.journal(&["-t", "sysalert"]).contains("alerts are delivered all the same"));
}
