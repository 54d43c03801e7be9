//! The method `email` without a server: this machine's own, by SMTP or else by its sendmail, from within the unit's sandbox.

use crate::guest::{Guest, Options};
use crate::jobs::Job;

const MAIL: &str = "[method.email]\nfrom = \"sysalert@guest.example.test\"\nto = [\"ops@example.org\"]\ntimeout = \"10s\"\n";

#[track_caller]
fn last_try(guest: &Guest) -> (String, String) {
    let row = guest.rows("SELECT status, detail FROM deliveries ORDER BY id DESC LIMIT 1").pop().unwrap();
    (row["status"].as_str().unwrap().to_owned(), row["detail"].as_str().unwrap().to_owned())
}

#[test]
fn without_a_server_the_mail_goes_by_what_this_machine_has() {
    let guest = Guest::boot("sendmail", Options::new().mail_server());
    guest.configure(MAIL);
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.settle();
    let (status, detail) = last_try(&guest);
    assert_eq!(status, "sent");
    assert!(detail.starts_with("localhost:25 took it for ops@example.org (250 "), "{detail}");
    assert_eq!(guest.wait_for_mails(1).len(), 1);

    // Nothing listens: exim's sendmail is setuid, which the sandbox does not honour, so that it can queue nothing.
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    let tries = || guest.number("SELECT count(*) FROM deliveries");
    job.fails(4);
    guest.wait_until("it was tried", || tries() == 2);
    let (status, detail) = last_try(&guest);
    assert_eq!(status, "retry", "{detail}");
    let begin = "localhost:25 cannot be reached: Connection refused (os error 111), and /usr/sbin/sendmail failed (exit status";
    assert!(detail.starts_with(begin) && detail.contains("needs setuid or setgid must listen at localhost:25"), "{detail}");

    // msmtp's needs no rights. It sends to the server on another port here, as it would to a relay elsewhere.
    guest.sh("ln -sf /usr/bin/msmtp /usr/sbin/sendmail").ok();
    let relay = "defaults\nhost localhost\nport 2525\ntls off\nauth off\nsyslog off\naccount default\n";
    guest.write_file("/etc/msmtprc", relay);
    guest.hurry();
    guest.wait_until("it was tried", || tries() == 3);
    let (status, detail) = last_try(&guest);
    assert!(
        status == "retry"
            && detail.contains("/usr/sbin/sendmail failed (exit status")
            && detail.contains("Connection refused sendmail: could not send"),
        "{detail}"
    );
    guest.sh("sed -i 's/^daemon_smtp_ports = .*/daemon_smtp_ports = 2525 : 587/; s/{25}/{2525}/; /^tls_on_connect_ports/d' /etc/exim4/exim4.conf").ok();
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    guest.hurry();
    guest.settle();
    let (status, detail) = last_try(&guest);
    assert!(status == "sent" && detail.starts_with("/usr/sbin/sendmail took it for ops@example.org ("), "{detail}");
    let mails = guest.wait_for_mails(2);
    let mail = &mails[1];
    assert!(mail.subject.starts_with("backup.service failed on") && mail.defects.is_empty(), "{mail:?}");
    assert_eq!(mail.header("Return-path"), Some("<sysalert@guest.example.test>"));
    assert!(mail.text.contains(&job.words()) && mail.html.is_some(), "{mail:?}");
}
