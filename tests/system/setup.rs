//! `sysalert setup`: a stranger answers its questions, and a failure arrives.

use crate::guest::{Guest, Options};
use crate::jobs::{LOG, MAIL};
use crate::mail::fact;
use crate::user_manager;

const FILE: &str = "/etc/sysalert/conf.d/method-email.toml";
const DROP_IN: &str = "/etc/systemd/system/sysalert-dispatch.service.d/50-method-email.conf";
const SECRET: &str = "/etc/credstore/sysalert-email.password";

/// A job that fails, and its timer, which has not come yet.
fn guest(name: &str) -> Guest {
    let options = Options::new()
        .mail_server()
        .file(
            "/etc/systemd/system/backup.service",
            "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no space left; exit 3'\n",
        )
        .file(
            "/etc/systemd/system/backup.timer",
            "[Timer]\nOnCalendar=2099-01-01\nAccuracySec=100ms\n[Install]\nWantedBy=timers.target\n",
        )
        .prepare(r#"systemctl --root="$ROOT" --quiet enable backup.timer"#);
    Guest::boot(name, options)
}

fn password(guest: &Guest) -> String {
    guest.run(&["cat", "/etc/sysalert/smtp-password"]).ok()
}

#[test]
fn answered_at_a_terminal_and_a_failure_arrives() {
    let guest = guest("dialogue");
    let password = password(&guest);
    let shipped = guest.read_file("/etc/sysalert/sysalert.toml");
    let answers = [
        ("plugin [email]: ", ""),
        ("name [email]: ", ""),
        ("host [localhost]: ", "mail.example.test"),
        ("port [none]: ", "many"),
        ("port [none]: ", "70000"),
        ("port [none]: ", ""),
        ("tls (none, starttls, implicit) [none]: ", "starttls"),
        ("username [none]: ", "sysalert"),
        ("password (it is not shown) [none]: ", &password),
        ("from [none]: ", "sysalert@guest.example.test"),
        ("to (separated by commas): ", ""),
        ("to (separated by commas): ", "."),
        ("to (separated by commas): ", "ops@example.org"),
        ("Send a test alert? [Y/n] ", ""),
        ("tell its failures? [Y/n] ", ""),
    ];
    let said = guest.dialogue(&["sysalert", "setup"], &answers);
    assert_eq!(said.status, 0, "{said}");
    assert!(!said.stdout.contains(&password), "the secret was shown: {said}");
    for words in [
        "it must be a whole number.",
        "it must be from 1 to 65535.",
        "It is needed.",
        "Wrote /etc/sysalert/conf.d/method-email.toml.",
        "email: sent: mail.example.test:587 ",
    ] {
        assert!(said.stdout.contains(words), "{words}: {said}");
    }
    assert!(guest.wait_for_mails(1)[0].subject.starts_with("sysalert test from "));

    // the secret is where nobody but root sees it, the file where dispatch does
    let modes = guest.sh(&format!("stat -c '%a %U:%G' {FILE} {SECRET} {DROP_IN}")).ok();
    assert_eq!(modes, "640 root:sysalert\n600 root:root\n644 root:root");
    assert_eq!(guest.read_file(SECRET).trim(), password);
    let written = guest.read_file(FILE);
    assert!(!written.contains(&password) && written.contains("password.credential = \"email.password\"\n"), "{written}");
    assert!(
        written.contains("\n# The recipients' addresses.\nto = [\"ops@example.org\"]\n") && written.contains("\n#port =\n"),
        "{written}"
    );
    assert_eq!(guest.read_file("/etc/sysalert/sysalert.toml"), shipped);
    let doctor = guest.sysalert(&["doctor"]);
    assert_eq!(doctor.status, 0, "{doctor}");

    // the timer's service fails
    guest.write_unit("backup.timer.d/now.conf", "[Timer]\nOnActiveSec=1s\n");
    guest.run(&["systemctl", "restart", "backup.timer"]).ok();
    let mails = guest.wait_for_mails(2);
    assert!(mails[1].subject.starts_with("backup.service failed on "), "{mails:#?}");
    assert!(
        mails[1].text.contains(": no space left\n") && fact(&mails[1].text, "Started by") == "backup.timer",
        "{}",
        mails[1].text
    );

    // again: what is not asked for stays as it is, and what was there is not shown either
    let answers = [
        ("plugin [email]: ", ""),
        ("name [email]: ", ""),
        ("host [mail.example.test]: ", ""),
        ("port [none]: ", "587"),
        ("tls (none, starttls, implicit) [starttls]: ", "."),
        ("Send a test alert? [Y/n] ", "n"),
        ("tell its failures? [Y/n] ", "n"),
    ];
    let said = guest.dialogue(&["sysalert", "setup"], &answers);
    assert_eq!(said.status, 0, "{said}");
    assert_eq!(guest.read_file(FILE), written.replace("\n#port =\n", "\nport = 587\n"));
    assert_eq!(guest.read_file(SECRET).trim(), password);
}

#[test]
fn by_options_and_nothing_of_somebody_elses_is_replaced() {
    let guest = guest("options");
    let password = password(&guest);
    let set = [
        "--set",
        "host=mail.example.test",
        "--set",
        "tls=starttls",
        "--set",
        "username=sysalert",
        "--set",
        "from=sysalert@guest.example.test",
    ];
    let words = [
        &["sysalert", "setup", "--plugin", "email", "--set", "to=ops@example.org", "--secret", "password=-", "--timers"],
        &set[..],
    ]
    .concat();
    let said = guest.run_input(&words, &format!("{password}\n")).ok();
    assert!(said.contains("email: sent: ") && said.contains("backup.service"), "{said}");
    guest.wait_for_mails(1);
    let written = guest.read_file(FILE);

    // one thing is changed, and all else stays
    let said = guest.sysalert(&["setup", "--plugin", "email", "--set", "to=ops@example.org,dba@example.org"]).ok();
    assert!(said.contains("email: sent: "), "{said}");
    assert_eq!(guest.read_file(FILE), written.replace("[\"ops@example.org\"]", "[\"ops@example.org\", \"dba@example.org\"]"));

    // what somebody changed is not replaced without a word, and a comment is a change
    guest.sh(&format!("echo '# mine' >>{FILE}")).ok();
    let by_hand = guest.read_file(FILE);
    let refused = guest.sysalert(&["setup", "--plugin", "email", "--set", "port=587"]);
    assert!(refused.status == 1 && refused.stderr.contains("was changed by hand"), "{refused}");
    assert_eq!(guest.read_file(FILE), by_hand);
    guest.sysalert(&["setup", "--plugin", "email", "--set", "port=587", "--yes", "--no-test"]).ok();
    assert!(guest.read_file(FILE).contains("\nport = 587\n"));

    // what is wrong is not put in place
    let before = guest.sh("cat /etc/sysalert/conf.d/*; ls -A /etc/sysalert/conf.d").ok();
    for (words, status, complaint) in [
        (&["--plugin", "email", "--set", "prot=25"] as &[&str], 64, "has no key prot\nhint: did you mean port?"),
        (&["--plugin", "emial"], 64, "there is no plugin emial\nhint: did you mean email?"),
        (&["--plugin", "email", "--set", "password=hunter2"], 64, "everybody on this machine sees arguments"),
        (&["--plugin", "email", "--set", "port=70000"], 64, "it must be from 1 to 65535"),
        (&["--plugin", "telegram", "--set", "chat=5"], 78, "needs the key `token`"),
        (&["--plugin", "file", "--name", "A/b"], 64, "is no name for a method"),
        (&[], 64, "nobody is there to be asked"),
    ] {
        let refused = guest.sysalert(&[&["setup", "--no-test"], words].concat());
        assert!(refused.status == status && refused.stderr.contains(complaint), "{words:?}: {refused}");
        assert!(!refused.stderr.contains("hunter2"), "{refused}");
    }
    assert_eq!(guest.sh("cat /etc/sysalert/conf.d/*; ls -A /etc/sysalert/conf.d").ok(), before);

    // a method of somebody's own file is theirs
    guest.configure(MAIL);
    let refused = guest.sysalert(&["setup", "--plugin", "email", "--name", "mail", "--set", "to=x@example.org"]);
    assert!(
        refused.status == 78 && refused.stderr.contains("[method.mail] stands in /etc/sysalert/sysalert.toml:2"),
        "{refused}"
    );

    // a lost secret keeps nothing else from being sent
    guest.configure(LOG);
    guest.run(&["rm", SECRET]).ok();
    guest.sysalert(&["test", "log"]).ok();
    let doctor = guest.sysalert(&["doctor"]);
    assert!(
        doctor.stdout.contains(&format!("the credential email.password is to come from {SECRET}, which is not there")),
        "{doctor}"
    );
}

#[test]
fn a_channel_is_asked_for_by_its_name_and_taken_away_again() {
    let guest = Guest::boot("channel", Options::new());
    guest.configure(&format!("{LOG}[policy]\nmethods = [\"log\"]\n"));
    let (file, secret) = ("/etc/sysalert/conf.d/method-ntfy.toml", "/etc/credstore/sysalert-ntfy.url");
    let answers = [
        ("plugin [email]: ", "ntfy"),
        ("name [ntfy]: ", ""),
        ("url (it is not shown): ", "."),
        ("url (it is not shown): ", "https://127.0.0.1:1/topic"),
        ("token (it is not shown) [none]: ", ""),
        ("ca [none]: ", ""),
        ("unencrypted [false]: ", ""),
        ("Send a test alert? [Y/n] ", "n"),
        ("tell its failures? [Y/n] ", "n"),
    ];
    let said = guest.dialogue(&["sysalert", "setup"], &answers);
    assert_eq!(said.status, 0, "{said}");
    assert!(said.stdout.contains("leaves it out: add \"ntfy\" there"), "{said}");
    let written = guest.read_file(file);
    assert!(written.contains("preset = \"ntfy\"\n") && written.contains("url.credential = \"ntfy.url\"\n"), "{written}");
    assert!(!written.contains("hmac"), "{written}");

    // an interrupt acts at once, and nothing was changed
    let answers = [("plugin [email]: ", "ntfy"), ("name [ntfy]: ", ""), ("url [as it is]: ", "\u{3}")];
    let said = guest.dialogue(&["sysalert", "setup"], &answers);
    assert_ne!(said.status, 0, "{said}");
    assert_eq!(guest.read_file(file), written);

    // what waits goes out once the method is right: it is tried again; and it is not taken away while somebody names it
    let said = guest.sysalert(&["setup", "--remove", "log"]);
    assert!(said.status == 78 && said.stderr.contains("is not setup's"), "{said}");
    guest.configure("[policy]\nmethods = [\"ntfy\"]\n");
    let said = guest.sysalert(&["setup", "--remove", "ntfy"]);
    assert!(said.status == 78 && said.stderr.contains("names the method ntfy"), "{said}");
    guest.configure("");
    guest.sysalert(&["setup", "--remove", "ntfy"]).ok();
    let left = guest.sh(&format!("ls {file} {secret} /etc/systemd/system/sysalert-dispatch.service.d 2>/dev/null || true")).ok();
    assert_eq!(left, "");
    assert_eq!(guest.sysalert(&["setup", "--remove", "ntfy"]).status, 64);
}

#[test]
fn a_user_has_both_without_root() {
    let guest = user_manager::guest(252, "users-setup");
    let alice = |script: &str| user_manager::run(&guest, "alice", script);
    let said = alice("rm .config/sysalert/sysalert.toml; printf 'hunter2\n' | sysalert --user setup --plugin command --set command=/usr/bin/true --secret secret=- --timers").ok();
    assert!(said.contains("command: sent: "), "{said}");
    let file = alice(
        "stat -c %a .config/sysalert/command.secret .config/sysalert/conf.d/method-command.toml; cat .config/sysalert/conf.d/*",
    )
    .ok();
    assert!(
        file.starts_with("600\n600\n") && file.contains("\nsecret.file = \"/home/alice/.config/sysalert/command.secret\"\n"),
        "{file}"
    );
    assert!(!file.contains("hunter2"));
    let doctor = alice("sysalert --user doctor");
    assert!(doctor.status == 1 && doctor.stdout.starts_with("units: no unit tells of its failures"), "{doctor}");
    alice("sysalert --user enable bot").ok();
    let doctor = alice("sysalert --user doctor").ok();
    assert!(doctor.ends_with("nothing would keep an alert from arriving."), "{doctor}");
    let said = alice("sysalert --user doctor --end-to-end").ok();
    assert!(
        said.contains("command: sent: ") && said.contains("Everything arrived. The history keeps it: `sysalert --user history"),
        "{said}"
    );

    // what would keep it from arriving
    alice("systemctl --user --quiet mask --runtime sysalert-failure@.service; systemctl --user stop sysalert-dispatch.timer")
        .ok();
    guest.run(&["rm", "/var/lib/systemd/linger/alice"]).ok();
    let doctor = alice("sysalert --user doctor");
    for words in [
        "sysalert-failure@.service is masked",
        "systemctl --user unmask",
        "sysalert-dispatch.timer is inactive",
        "`loginctl enable-linger alice` changes that (a note)",
    ] {
        assert!(doctor.stdout.contains(words), "{words}: {doctor}");
    }
    // nobody else's business
    let doctor = user_manager::run(&guest, "bob", "sysalert doctor");
    assert_eq!(doctor.status, 77, "{doctor}");
}
