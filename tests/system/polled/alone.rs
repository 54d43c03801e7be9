//! What needs a guest of its own: users' units, a boot, what a check costs, and what it prints.

use serde_json::Value;

use crate::guest::{Guest, Options, Output};

/// A daemon that ends as the file of its name says.
const AS_TOLD: &str = "[Service]\nExecStart=/bin/sh -c 'test ! -e /run/%N || exit $(cat /run/%N); exec sleep infinity'\n[Install]\nWantedBy=multi-user.target\n";

/// The checks run each second instead of each half a minute.
fn quick(options: Options) -> Options {
    let content = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/1\nAccuracySec=100ms\n";
    options.quick_timer().file("/etc/systemd/system/sysalert-check@services.timer.d/quick.conf", content)
}

/// A user with a manager that runs, or with none.
struct User<'g> {
    guest: &'g Guest,
    name: &'static str,
    uid: String,
}

impl<'g> User<'g> {
    #[track_caller]
    fn new(guest: &'g Guest, name: &'static str, lingers: bool) -> Self {
        guest.run(&["useradd", "--create-home", "--shell", "/bin/bash", name]).ok();
        let uid = guest.run(&["id", "-u", name]).ok();
        if lingers {
            guest.run(&["loginctl", "enable-linger", name]).ok();
            guest.wait_until("the user's manager runs", || guest.exists(&format!("/run/user/{uid}/systemd/private")));
        }
        User { guest, name, uid }
    }

    fn run(&self, command: &[&str]) -> Output {
        let environment = format!("XDG_RUNTIME_DIR=/run/user/{}", self.uid);
        self.guest.run_as(self.name, &[&["env", &environment], command].concat())
    }

    /// Installs a unit of the user's own.
    #[track_caller]
    fn write_unit(&self, unit: &str, content: &str) {
        let folder = format!("/home/{}/.config/systemd/user", self.name);
        self.guest.write_file(&format!("{folder}/{unit}"), content);
        self.run(&["systemctl", "--user", "daemon-reload"]).ok();
    }

    /// A message as this user's processes write it to the journal, from a service of theirs if their manager runs.
    #[track_caller]
    fn forges(&self, program: &str, fields: &str) {
        self.guest.write_file("/run/forged", fields);
        let script = format!("{program} --journald=/run/forged");
        match self.guest.exists(&format!("/run/user/{}/systemd/private", self.uid)) {
            true => self.run(&["systemd-run", "--user", "--wait", "--collect", "--quiet", "sh", "-c", &script]).ok(),
            false => self.run(&["sh", "-c", &script]).ok(),
        };
    }
}

fn users_on(systemd: u32) {
    let guest = Guest::boot_on(systemd, "users", quick(Options::new()));
    let (alice, bob, carol) =
        (User::new(&guest, "alice", true), User::new(&guest, "bob", true), User::new(&guest, "carol", false));
    for user in [&alice, &bob] {
        user.write_unit("bot.service", "[Service]\nExecStart=/bin/sh -c 'echo words of $USER; sleep 0.5; test ! -e %h/fail || exit $(cat %h/fail); exec sleep infinity'\n");
        user.write_unit("private.service", "[Service]\nExecStart=/bin/false\n");
        user.run(&["systemctl", "--user", "start", "bot.service"]).ok();
    }
    guest.begin(
        "[policy]\nrecovery_hold = \"1s\"\n[services]\ngrace_after_boot = \"0s\"\nuser = \"bob\"\n\
         units = [\"alice/bot.service\", \"user:bot.service\", \"carol/*.service\", \"nobody-here/x.service\"]\n",
    );
    let sessions = guest.journal(&["-t", "systemd-logind"]).lines().count();
    guest.wait_until("the services were polled", || {
        guest.number("SELECT count(*) FROM marks WHERE subject LIKE 'services:%'") == 4
    });
    assert_eq!(guest.alerts().len(), 0);

    // each fails in its own way; what nobody lists fails, too
    for (user, status) in [(&alice, "3"), (&bob, "4")] {
        user.run(&["sh", "-c", &format!("echo {status} >~/fail")]).ok();
        user.run(&["systemctl", "--user", "start", "private.service"]);
        user.run(&["systemctl", "--user", "restart", "bot.service"]);
    }
    let subjects = |guest: &Guest| {
        let mut subjects: Vec<String> = guest.alerts().into_iter().map(|alert| alert.subject).collect();
        subjects.sort();
        subjects
    };
    let failed = ["alice/bot.service failed: exited with status 3", "bob/bot.service failed: exited with status 4"];
    guest.wait_until("both are told", || subjects(&guest).len() >= 2);
    assert_eq!(subjects(&guest), failed);
    for alert in guest.alerts() {
        let (name, other) = if alert.subject.starts_with("alice") { ("alice", "bob") } else { ("bob", "alice") };
        assert!(alert.text.contains(&format!("words of {name}")), "{}", alert.text);
        assert!(!alert.text.contains(&format!("words of {other}")), "{}", alert.text);
        for command in [format!("systemctl --user -M {name}@ status bot.service"), format!("sysalert explain {name}/bot.service")]
        {
            assert!(alert.text.contains(&command), "{command}\n{}", alert.text);
        }
    }
    for user in [&alice, &bob] {
        user.run(&["rm", "-f", &format!("/home/{}/fail", user.name)]).ok();
        user.run(&["systemctl", "--user", "restart", "bot.service"]).ok();
    }
    let recovered = [failed[0], "alice/bot.service recovered", failed[1], "bob/bot.service recovered"];
    guest.wait_until("both are well", || subjects(&guest).len() >= 4);
    assert_eq!(subjects(&guest), recovered);

    // Debian 13 as it is made for the tests has no `logger`
    if systemd == 252 {
        forging(&guest, [&alice, &bob, &carol], &subjects, &recovered);
    }

    let ended = guest.journal(&["-t", "systemd-logind"]).lines().count();
    assert_eq!(ended, sessions, "no session was opened");
    assert_eq!(
        guest.property(&format!("user@{}.service", carol.uid), "ActiveState"),
        "inactive",
        "nobody started carol's manager"
    );
    let report = guest.sysalert(&["check", "services"]);
    // what bob has forged of his own unit is his word
    assert_eq!(report.status, if systemd == 252 { 2 } else { 1 }, "{report}");
    assert!(report.stdout.contains("there is no user nobody-here"), "{report}");
}

/// Nobody forges what is another's.
fn forging(guest: &Guest, [alice, bob, carol]: [&User<'_>; 3], subjects: &dyn Fn(&Guest) -> Vec<String>, recovered: &[&str]) {
    let message = |unit: &str, of: &str, id: &str| {
        format!(
            "MESSAGE=forged\nMESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c\nPRIORITY=4\n{of}{unit}=bot.service\n{of}INVOCATION_ID={id}\nUNIT_RESULT=exit-code\n_UID={}\n_SYSTEMD_UNIT=user@{}.service\n_COMM=systemd\n_PID=1\n",
            alice.uid, alice.uid
        )
    };
    guest.sh("cp \"$(command -v logger)\" /usr/local/bin/systemd").ok();
    for user in [bob, carol] {
        user.forges("logger", &message("UNIT", "USER_", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
        user.forges("/usr/local/bin/systemd", &message("UNIT", "", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"));
    }
    carol.forges("/usr/local/bin/systemd", &message("UNIT", "USER_", "cccccccccccccccccccccccccccccccc"));
    guest.run(&["journalctl", "--sync"]).ok();
    for _ in 0..2 {
        guest.poll();
        guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    }
    guest.settle();
    assert_eq!(subjects(guest), recovered, "what users forge is not told");
    // a user may lie about themselves
    bob.forges("/usr/local/bin/systemd", &message("UNIT", "USER_", "dddddddddddddddddddddddddddddddd"));
    guest.wait_until("bob's lie is bob's", || guest.alerts().len() == 5);
    assert_eq!(guest.alerts()[4].subject, "bob/bot.service failed: failed with result exit-code");
}

#[test]
fn units_of_users_are_told_from_the_journal_and_nobody_forges_anothers_on_252() {
    users_on(252);
}

#[test]
fn units_of_users_are_told_from_the_journal_on_257() {
    users_on(257);
}

/// What is wrong after the grace is told then, and nothing else of what the boot brought.
fn boot_on(systemd: u32) {
    let guest = Guest::boot_on(systemd, "grace", quick(Options::new()));
    guest.write_unit("down.service", AS_TOLD);
    guest.write_unit("well.service", AS_TOLD);
    guest.write_unit("late.service", "[Service]\nRestart=on-failure\nRestartSec=1\nExecStart=/bin/sh -c 'test -e /run/late || { touch /run/late; exit 3; }; exec sleep infinity'\n[Install]\nWantedBy=multi-user.target\n");
    guest.write_unit("brief.service", "[Service]\nExecStart=/bin/sh -c 'test -e /run/brief || { touch /run/brief; exit 3; }; exec sleep infinity'\n[Install]\nWantedBy=multi-user.target\n");
    guest.write_unit("helps.service", "[Unit]\nAfter=brief.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep 1; systemctl start brief'\n[Install]\nWantedBy=multi-user.target\n");
    guest.sh("systemctl enable down well late brief helps; systemctl start well").ok();
    guest.begin("[policy]\nrecovery_hold = \"1s\"\n[services]\ngrace_after_boot = \"10s\"\nunits = [\"down.service\", \"well.service\", \"late.service\", \"brief.service\"]\n");
    // a boot's files of /run are gone: what fails in it is written to the disk
    guest.write_file("/etc/tmpfiles.d/down.conf", "f /run/down - - - - 3\n");
    guest.reboot();
    let booted = || {
        guest.sh("echo $(($(date +%s%6N) - $(busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager UserspaceTimestamp | cut -d' ' -f2)))").ok().parse::<i64>().unwrap()
    };
    guest.wait_until("the boot brought what it had to", || {
        let states = ["down.service", "late.service", "brief.service"].map(|unit| guest.property(unit, "ActiveState"));
        states == ["failed", "active", "active"]
    });
    let told = guest.alerts().len();
    assert!(booted() < 10_000_000, "the guest was too slow for this test");
    assert_eq!(told, 0, "in grace");
    guest.wait_until("what is down is told", || !guest.alerts().is_empty());
    assert!(booted() >= 10_000_000, "after the grace");
    for _ in 0..3 {
        guest.poll();
        guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    }
    guest.settle();
    let subjects: Vec<String> = guest.alerts().into_iter().map(|alert| alert.subject).collect();
    assert_eq!(subjects, ["down.service failed: exited with status 3"]);
}

#[test]
fn after_a_boot_the_grace_holds_and_then_tells_on_252() {
    boot_on(252);
}

#[test]
fn after_a_boot_the_grace_holds_and_then_tells_on_257() {
    boot_on(257);
}

/// What one check sends to the bus: how many messages, and how many of them ask for a list of units.
#[track_caller]
fn messages(guest: &Guest) -> (usize, usize) {
    // as its unit does it; by hand, so that strace can watch it
    let script = "\
        setpriv --reuid=sysalert --regid=sysalert --init-groups strace -f -qq -s 400 -e trace=sendmsg -o /tmp/trace \
            sysalert check --report none -- services || test $? = 2
        cat /tmp/trace";
    let trace = guest.sh(script).ok();
    let sent: Vec<&str> = trace.lines().filter(|line| line.contains("org.freedesktop.systemd1")).collect();
    (sent.len(), sent.iter().filter(|line| line.contains("ListUnitsBy")).count())
}

#[test]
fn the_number_of_calls_does_not_grow_with_the_number_of_loaded_units() {
    let guest = Guest::boot("many", Options::new());
    guest.run(&["systemctl", "stop", "sysalert-check@services.timer", "sysalert-dispatch.timer"]).ok();
    guest.write_unit("one.service", AS_TOLD);
    guest.write_unit("two.service", AS_TOLD);
    guest.write_unit("job.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    guest.write_unit("feast@.service", "[Service]\nExecStart=/bin/true\n");
    guest.write_unit("holder.target", "[Unit]\nDescription=holds many\n");
    guest.sh("systemctl start one two holder.target").ok();
    guest.begin("[services]\nunits = [\"one.service\", \"two.service\", \"t*.service\", \"job.service\", \"nosuch.service\"]\ngrace_after_boot = \"0s\"\n");
    // the first one finds what is news
    messages(&guest);
    guest.settle();
    let few = messages(&guest);
    let names: String = (1..=5_000).map(|number| format!("Wants=feast@{number}.service\n")).collect();
    guest.write_file("/etc/systemd/system/holder.target.d/many.conf", &format!("[Unit]\n{names}"));
    guest.run(&["systemctl", "daemon-reload"]).ok();
    let loaded = guest.sh("systemctl list-units --all --no-legend --plain | wc -l").ok().parse::<usize>().unwrap();
    assert!(loaded > 5_000, "{loaded} units are loaded");
    let many = messages(&guest);
    assert_eq!(few, many, "with {loaded} units loaded");
    assert!(many.1 <= 4, "{} lists: of the services and of the schedules, by names and by globs", many.1);
    assert!(many.0 <= 40, "{} messages", many.0);
}

#[test]
fn a_check_says_how_each_unit_is_in_words_in_json_and_as_a_status() {
    let guest = Guest::boot("report", Options::new().quick_timer());
    guest.run(&["systemctl", "stop", "sysalert-check@services.timer"]).ok();
    guest.write_unit("one.service", AS_TOLD);
    guest.write_unit("mild.service", AS_TOLD);
    guest.sh("systemctl start one mild").ok();
    let check = |arguments: &[&str]| guest.sysalert(&[&["check"], arguments].concat());
    let nothing = check(&["services"]);
    assert!(
        nothing.status == 0 && nothing.stdout.starts_with("OK: nothing is to be checked; [services] units is empty"),
        "{nothing}"
    );
    guest.begin("[services]\ngrace_after_boot = \"0s\"\nunits = [\"one.service\", \"mil*.service\"]\n[unit.\"mild.service\"]\nseverity = \"warning\"\n");
    let well = check(&["services"]);
    assert_eq!(well.status, 0, "{well}");
    assert!(well.stdout.starts_with("OK: 2 checked\n\nUNIT "), "{well}");
    assert_eq!(check(&["--list"]).ok(), "CHECK     WHAT\nservices  one.service\nservices  mil*.service");

    guest.sh("echo 3 >/run/mild; systemctl restart mild; sleep 0.3").ok();
    let warned = check(&["services"]);
    assert_eq!(warned.status, 1, "{warned}");
    assert!(warned.stdout.starts_with("WARNING: mild.service exited with status 3\n"), "{warned}");
    guest.sh("echo 4 >/run/one; systemctl restart one; sleep 0.3").ok();
    let critical = check(&["services", "--report", "json"]);
    assert_eq!(critical.status, 2, "{critical}");
    let report: Value = serde_json::from_str(&critical.stdout).unwrap();
    assert_eq!(report["state"], "CRITICAL");
    assert_eq!(report["checks"][0]["why"], "exited with status 4");
    // by its timer the same, and what it finds does not make it fail
    guest.poll();
    assert_eq!(guest.property("sysalert-check@services.service", "Result"), "success");
    guest.wait_until("both are told", || guest.alerts().len() == 2);

    let blind = guest.run(&["env", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere", "sysalert", "check", "services"]);
    assert_eq!(blind.status, 3, "{blind}");
    assert!(blind.stderr.contains("the service manager does not answer"), "{blind}");
    guest.configure("[services]\nunits = [\"one\"]\n");
    assert_eq!(check(&["services"]).status, 3, "a check that cannot check");
    assert!(!guest.run(&["systemctl", "start", "sysalert-check@services.service"]).success(), "its unit fails then");
}

#[test]
fn the_timer_polls_twice_a_minute_and_by_itself() {
    let guest = Guest::boot("timer", Options::new());
    assert_eq!(guest.property("sysalert-check@services.timer", "ActiveState"), "active", "as the preset says");
    let pace = guest.run(&["systemctl", "show", "-P", "TimersCalendar", "sysalert-check@services.timer"]).ok();
    assert!(pace.contains("OnCalendar=*-*-* *:*:00/30") && pace.matches("OnCalendar=").count() == 1, "{pace}");
    guest.write_unit("one.service", AS_TOLD);
    guest.sh("systemctl start one").ok();
    guest.begin("[services]\ngrace_after_boot = \"0s\"\nunits = [\"one.service\"]\n");
    guest.sh("echo 3 >/run/one; systemctl restart one").ok();
    guest.wait_at_most(std::time::Duration::from_secs(40), "it is told", || guest.told("one.service").len() == 1);
}
