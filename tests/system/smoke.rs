//! The ground that the other tests stand on: the installed units, the mask, the mail server, and two
//! guests beside each other.

use crate::guest::{Guest, Options};

/// Every installed unit, templates with an instance.
fn units(guest: &Guest) -> Vec<String> {
    let names = guest.sh("cd /usr/lib/systemd/system && ls sysalert-*.* -d | grep -v '\\.d$'").ok();
    // the instances of sysalert-look@ are users
    let look = |name: &str| name.replace("sysalert-look@.", "sysalert-look@1000.");
    names.lines().map(|name| look(name).replace("@.", "@backup.service.")).collect()
}

#[test]
fn units_load_without_a_warning() {
    let guest = Guest::boot("units", Options::new());
    let units = units(&guest);
    assert!(units.len() >= 5, "{units:?}");
    let names: Vec<_> = units.iter().map(String::as_str).collect();
    let verify = guest.run(&[&["systemd-analyze", "verify", "--man=no"], &names[..]].concat());
    assert!(verify.success() && verify.stderr.is_empty(), "{verify}");
    for unit in ["sysalert-dispatch.path", "sysalert-dispatch.timer"] {
        assert_eq!(guest.property(unit, "ActiveState"), "active", "{unit} runs after the boot, as the preset says");
    }
    let modes = guest
        .sh("stat -c '%a %U:%G %n' /var/lib/sysalert /run/sysalert /var/log/sysalert /etc/sysalert /etc/sysalert/sysalert.toml")
        .ok();
    assert_eq!(
        modes,
        "2750 sysalert:sysalert /var/lib/sysalert\n\
         2750 sysalert:sysalert /run/sysalert\n\
         2750 sysalert:sysalert /var/log/sysalert\n\
         750 root:sysalert /etc/sysalert\n\
         640 root:sysalert /etc/sysalert/sysalert.toml"
    );
}

#[test]
fn the_mask_keeps_the_system_wide_override_from_sysalert_itself() {
    let guest = Guest::boot("mask", Options::new());
    guest.sh("cp -r /usr/share/doc/sysalert/overrides/service.d /etc/systemd/system/ && systemctl daemon-reload").ok();
    assert_eq!(guest.property("dbus.service", "OnFailure"), "sysalert-failure@dbus.service.service");
    for unit in ["sysalert-failure@x.service.service", "sysalert-success@x.service.service", "sysalert-dispatch.service"] {
        assert_eq!(guest.property(unit, "OnFailure"), "", "{unit}");
    }
}

#[test]
fn mails_arrive_over_starttls_with_a_password() {
    let guest = Guest::boot("mail", Options::new().mail_server());
    assert_eq!(guest.property("mail-server.service", "ActiveState"), "active");
    let send = r#"
import smtplib, ssl
with smtplib.SMTP("mail.example.test", 587, timeout=10) as server:
    server.starttls(context=ssl.create_default_context())
    server.login("sysalert", open("/etc/sysalert/smtp-password").read().strip())
    server.sendmail("a@example.org", ["ops@example.org"],
        "From: a@example.org\r\nTo: ops@example.org\r\nSubject: =?utf-8?q?na=C3=AFve?=\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n")
"#;
    guest.run_input(&["python3", "-"], send).ok();
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "naïve");
    assert_eq!(mails[0].header("message-id"), Some("<1@example.org>"));
    assert_eq!(mails[0].text.trim(), "hello");

    // stopped, it is gone; started again, it answers as soon as it is "active"
    guest.run(&["systemctl", "stop", "mail-server"]).ok();
    assert!(!guest.run_input(&["python3", "-"], send).success());
    guest.run(&["systemctl", "start", "mail-server"]).ok();
    guest.run_input(&["python3", "-"], send).ok();
    guest.wait_for_mails(2);
}

#[test]
fn two_guests_know_nothing_of_each_other() {
    let one = Guest::boot("pair", Options::new().mail_server());
    let two = Guest::boot("pair", Options::new().mail_server());
    assert_ne!(one.name(), two.name());
    one.write_file("/run/one", "");
    assert!(one.exists("/run/one") && !two.exists("/run/one"));
    for guest in [&one, &two] {
        assert_eq!(guest.property("mail-server.service", "ActiveState"), "active");
    }
    two.reboot();
    assert_eq!(two.sh("cat /etc/hostname").ok(), two.name());
}
