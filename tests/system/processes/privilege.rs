//! What the table says never becomes a command, the user `sysalert` can do one thing, and the password is nobody else's.

use super::{CONFIG, alarm, check, configure, forget_pace, guest, history, pid, row, service};
use crate::guest::Guest;

super::on_both!(
    a_name_never_becomes_a_command,
    the_user_sysalert_starts_restarts_and_nothing_else,
    the_password_goes_to_the_client_alone,
);

pub fn a_name_never_becomes_a_command(systemd: u32) {
    let guest = guest(
        systemd,
        "hostile",
        "[process.web]\nrestart_strategy = \"custom\"\nrestart_command = [\"/usr/local/bin/note\", \"%s\"]\n\
        health_check_command = [\"/usr/bin/test\", \"-e\", \"/noted\"]\n",
    );
    guest
        .sh("printf '#!/bin/sh\\nprintf \"%%s|\" \"$#\" \"$@\" >>/noted\\n' >/usr/local/bin/note; chmod 755 /usr/local/bin/note")
        .ok();
    let long = "x".repeat(300);
    let hostile = [
        "x; touch /pwned",
        "$(touch /pwned)",
        "`touch /pwned`",
        "../../bin/sh",
        "%s%n",
        "-.mount",
        "--help",
        "a'b\"c",
        "web\ntouch /pwned",
        "web ",
        "-web",
        "ünicode",
        "web\0",
        "a/../web",
        "web\\x20",
        &long,
    ];
    for (id, name) in (1..).zip(hostile) {
        alarm(&guest, id, name, "NULL");
    }
    alarm(&guest, 50, "web", "NULL");
    let jobs = || guest.journal(&["-t", "systemd", "-u", "sysalert-restart@*"]);
    check(&guest);
    assert!(!guest.run(&["test", "-e", "/pwned"]).success());
    assert_eq!(guest.read_file("/noted"), "1|web|");
    assert!(row(&guest, 50).starts_with("0\t"), "{}", row(&guest, 50));
    let started: Vec<String> = jobs().lines().filter(|line| line.starts_with("Starting")).map(str::to_owned).collect();
    assert_eq!(started.len(), 1, "{started:?}");
    for id in 1..=hostile.len() {
        assert!(row(&guest, u32::try_from(id).unwrap()).starts_with("1\t"));
    }
    let listed = guest.sysalert(&["db", "list", "-o", "json"]).json();
    let subjects: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|row| row["subject"].as_str()).collect();
    assert_eq!(subjects.iter().filter(|subject| subject.contains("(row ")).count(), hostile.len(), "{subjects:#?}");
    // in alarm for the second time: nothing new is told
    check(&guest);
    assert_eq!(guest.sysalert(&["db", "list", "-o", "json"]).json().as_array().unwrap().len(), hostile.len());
    // the same names by hand, and straight to the unit that is root; no argument has a zero byte in it
    for name in hostile.into_iter().filter(|name| !name.contains('\0')) {
        assert_eq!(guest.sysalert(&["process", "restart", "--", name]).status, 64, "{name}");
        assert_ne!(guest.sysalert(&["restart-process", "--", name]).status, 0, "{name}");
    }
    assert!(!guest.run(&["test", "-e", "/pwned"]).success());
}

pub fn the_user_sysalert_starts_restarts_and_nothing_else(systemd: u32) {
    let guest = guest(systemd, "polkit", "[process.web]\n");
    for name in ["web", "other"] {
        service(&guest, name);
    }
    guest.write_unit("rest.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    let before = (pid(&guest, "web.service"), pid(&guest, "other.service"));
    let manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];
    let call = |method: &str, arguments: &[&str]| {
        let head = [&["busctl", "--allow-interactive-authorization=no", "call"], &manager[..], &[method]].concat();
        guest.run_as("sysalert", &[&head[..], arguments].concat())
    };
    let restart = "sysalert-restart@web.service";
    for (method, arguments) in [
        ("StartUnit", &["ss", "rest.service", "fail"][..]),
        ("StartUnit", &["ss", "sysalert-restart@../x.service", "fail"]),
        ("StopUnit", &["ss", "other.service", "fail"]),
        ("RestartUnit", &["ss", "web.service", "fail"]),
        ("StopUnit", &["ss", restart, "fail"]),
        ("RestartUnit", &["ss", restart, "fail"]),
        ("KillUnit", &["ssi", restart, "all", "9"]),
        ("StartUnit", &["ss", "sysalert-restart@web.timer", "fail"]),
        ("StartUnit", &["ss", "poweroff.target", "replace-irreversibly"]),
        ("Reload", &[]),
        ("PowerOff", &[]),
        ("ResetFailed", &[]),
        ("TryRestartUnit", &["ss", restart, "fail"]),
        ("ReloadUnit", &["ss", restart, "fail"]),
        ("ReloadOrRestartUnit", &["ss", restart, "fail"]),
        ("EnqueueUnitJob", &["sss", restart, "restart", "fail"]),
        ("FreezeUnit", &["s", restart]),
        ("SetEnvironment", &["as", "1", "LD_PRELOAD=/pwned.so"]),
        ("MaskUnitFiles", &["asbb", "1", "other.service", "true", "true"]),
        ("StartUnit", &["ss", restart, "isolate"]),
        ("SetUnitProperties", &["sba(sv)", restart, "true", "1", "Description", "s", "x"]),
        // a unit of its own making, under the one name that it may start
        (
            "StartTransientUnit",
            &[
                "ssa(sv)a(sa(sv))",
                "sysalert-restart@x.service",
                "fail",
                "1",
                "ExecStart",
                "a(sasb)",
                "1",
                "/bin/touch",
                "2",
                "/bin/touch",
                "/pwned",
                "false",
                "0",
            ],
        ),
    ] {
        let answer = call(method, arguments);
        assert!(!answer.success(), "{method} {arguments:?}: {answer}");
        assert!(!answer.stderr.contains("Unknown"), "{answer}");
    }
    assert!(!guest.run(&["test", "-e", "/pwned"]).success());
    assert_eq!((pid(&guest, "web.service"), pid(&guest, "other.service")), before);
    call("StartUnit", &["ss", restart, "fail"]).ok();
    guest.wait_until("web is restarted", || pid(&guest, "web.service") != before.0);
    // a start while it still runs would be the same one
    guest.wait_until("that is over", || guest.property(restart, "ActiveState") == "inactive");
    // a configuration that others may change is followed by nobody
    guest.sh("chmod o+w /etc/sysalert/sysalert.toml").ok();
    let refused = guest.run(&["systemctl", "start", restart]);
    assert!(!refused.success());
    // not by the unit: of a process that is gone at once journald may not know it any more
    let says = |words: &str| guest.wait_until(words, || guest.journal(&["-o", "cat"]).contains(words));
    says("chmod go-w /etc/sysalert/sysalert.toml");
    guest.sh("chmod o-w /etc/sysalert/sysalert.toml; chown sysalert /etc/sysalert/sysalert.toml").ok();
    assert!(!guest.run(&["systemctl", "start", restart]).success());
    says("chown root /etc/sysalert/sysalert.toml");
    guest.sh("chown root /etc/sysalert/sysalert.toml").ok();
    guest.run(&["systemctl", "start", "sysalert-restart@nobody.service"]);
    says("nobody could not be restarted: it has no section [process.\"nobody\"] and is not in `allow` of [processes]");
    // a start that may not be taken back does not hold up the end of the system
    configure(
        &guest,
        &format!(
            "{CONFIG}[process.web]\npre_restart_command = [\"/bin/sleep\", \"500\"]\ncommand_timeout = \"3m\"\nmax_attempts = 1\n"
        ),
    );
    call("StartUnit", &["ss", restart, "replace-irreversibly"]).ok();
    guest.wait_until("that runs", || guest.property(restart, "ActiveState") == "activating");
    guest.reboot();
}

/// The files of processes that have the password in them.
fn leaks(guest: &Guest) -> String {
    // the pattern is not itself what it looks for
    guest
        .sh("{ grep -asl 's3cre[t]' /proc/[0-9]*/cmdline /proc/[0-9]*/environ /var/lib/sysalert*/* /run/sysalert*/* || true; }")
        .ok()
}

pub fn the_password_goes_to_the_client_alone(systemd: u32) {
    let guest = guest(systemd, "secret", "");
    let config = CONFIG.replace("password.file = \"/etc/sysalert/db-password\"", "password.credential = \"db\"");
    let process = "[process.web]\npre_restart_command = [\"/usr/local/bin/env-to-file\", \"%s\"]\n";
    configure(&guest, &format!("{config}{process}"));
    guest.write_file("/usr/local/bin/env-to-file", "#!/bin/sh\n{ env; tr '\\0' ' ' </proc/$PPID/environ; echo \"$@\"; } >/env\n");
    guest.sh("chmod 755 /usr/local/bin/env-to-file; rm /etc/sysalert/db-password").ok();
    service(&guest, "web");
    alarm(&guest, 1, "web", "NULL");
    let check_unit = "sysalert-check@processes.service";
    // without the credential it is said what is missing
    check(&guest);
    let told = history(&guest, "database:v_process_monitor");
    assert!(told.contains(check_unit) && told.contains("LoadCredential=db"), "{told}");
    guest.sh("install -d -m 0700 /etc/credstore; (umask 077; printf s3cret >/etc/credstore/db)").ok();
    guest.write_file(&format!("/etc/systemd/system/{check_unit}.d/db.conf"), "[Service]\nLoadCredential=db:/etc/credstore/db\n");
    guest.run(&["systemctl", "daemon-reload"]).ok();
    // a server that hangs shows the client at its work
    guest.run(&["systemctl", "kill", "-s", "STOP", "db.service"]).ok();
    guest.run(&["systemctl", "start", "--no-block", check_unit]).ok();
    forget_pace(&guest);
    guest.run(&["systemctl", "start", "--no-block", check_unit]).ok();
    guest.wait_until("the client runs", || guest.sh("grep -asl 'processes[.]so' /proc/[0-9]*/cmdline").success());
    assert_eq!(leaks(&guest), "");
    guest.run(&["systemctl", "kill", "-s", "CONT", "db.service"]).ok();
    guest.wait_until("that is over", || guest.property(check_unit, "ActiveState") == "inactive");
    check(&guest);
    assert!(row(&guest, 1).starts_with("0\t"), "{}", history(&guest, "process:web"));
    let env = guest.read_file("/env");
    assert!(env.contains("PATH=") && env.ends_with("web\n") && !env.contains("s3cret"), "{env}");
    assert_eq!(leaks(&guest), "");
    assert!(!guest.journal(&["-o", "export"]).contains("s3cret"));
}
