//! Units of users on the list of the system: their failures from the journal, how they are from a process of the user.

use super::alone::quick;
use crate::guest::{Guest, Options, Output};

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
    // what bob has forged of his own unit is his word, and his manager says otherwise
    assert_eq!(report.status, 1, "{report}");
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
    for letter in ["d", "e", "f"] {
        // of a process that is gone too soon journald does not know whose it was
        bob.forges("/usr/local/bin/systemd", &message("UNIT", "USER_", &letter.repeat(32)));
    }
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

/// A guest in which whoever asks a user's manager can do so by a bus, as with Debian's dbus-user-session.
#[track_caller]
fn with_bus(systemd: u32, name: &str) -> Guest {
    let bus = r#"cd "$ROOT"/usr/lib/systemd/user; [ -e dbus.socket ] || { cp /usr/lib/systemd/user/dbus.{socket,service} . ; mkdir -p sockets.target.wants; ln -s ../dbus.socket sockets.target.wants/; }"#;
    let guest = Guest::boot_on(systemd, name, Options::new().quick_timer().prepare(&format!("bash -c '{bus}'")));
    // the test polls by itself, to know when
    guest.run(&["systemctl", "stop", "sysalert-check@services.timer"]).ok();
    guest
}

/// Polls until these are told, in any order, and polls on: nothing else is told.
#[track_caller]
fn told_in_the_end(guest: &Guest, expected: &[&str]) {
    let subjects = || {
        let mut subjects: Vec<String> = guest.alerts().into_iter().map(|alert| alert.subject).collect();
        subjects.sort();
        subjects
    };
    let mut expected: Vec<&str> = expected.to_vec();
    expected.sort_unstable();
    guest.wait_until(&format!("these are told: {expected:#?}"), || {
        guest.poll();
        subjects().len() >= expected.len()
    });
    for _ in 0..3 {
        guest.poll();
    }
    guest.settle();
    assert_eq!(subjects(), expected);
}

fn live_on(systemd: u32) {
    let guest = with_bus(systemd, "live");
    let (alice, bob, carol) =
        (User::new(&guest, "alice", true), User::new(&guest, "bob", true), User::new(&guest, "carol", false));
    alice.write_unit("hangs.service", "[Service]\nType=notify\nNotifyAccess=all\nTimeoutStartSec=infinity\nExecStart=/bin/sh -c 'while ! test -e %h/ready; do sleep 0.1; done; systemd-notify --ready; exec sleep infinity'\n");
    alice.write_unit(
        "fails.service",
        "[Service]\nExecStart=/bin/sh -c 'test ! -e %h/fail || exit $(cat %h/fail); exec sleep infinity'\n",
    );
    alice.write_unit("ends.service", "[Service]\nExecStart=/bin/sh -c 'while ! test -e %h/end; do sleep 0.1; done'\n");
    alice.write_unit("rests.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    bob.write_unit("bot.service", "[Service]\nExecStart=/bin/sh -c 'exit 5'\n");
    alice.run(&["sh", "-c", "echo 3 >~/fail; systemctl --user start ends fails; systemctl --user start --no-block hangs; systemctl --user start rests"]).ok();
    // it failed before anybody looked
    guest.wait_until("it has failed", || !alice.run(&["systemctl", "--user", "is-active", "fails"]).success());
    let sessions = || {
        let said = guest.journal(&["-t", "systemd-logind"]).lines().count();
        (said, guest.run(&["ls", "/run/user"]).ok(), guest.run(&["loginctl", "list-sessions", "--no-legend"]).ok())
    };
    let before = sessions();
    guest.begin(
        "[policy]\nrecovery_hold = \"1s\"\n[services]\ngrace_after_boot = \"0s\"\nremind = \"never\"\n\
         units = [\"alice/hangs.service\", \"alice/fails.service\", \"alice/ends.service\", \"alice/r*.service\", \"alice/nosuch.service\", \"bob/bot.service\", \"carol/*.service\"]\n\
         [unit.\"alice/hangs.service\"]\nstuck_after = \"1s\"\n",
    );
    let [failed, hangs] =
        ["alice/fails.service failed: exited with status 3", "alice/hangs.service hangs: it has been starting for more than 1s"];
    let missing = "alice/nosuch.service does not exist: systemd knows no unit of this name";
    told_in_the_end(&guest, &[failed, hangs, missing]);

    alice.run(&["sh", "-c", "touch ~/end ~/ready; rm ~/fail; systemctl --user start fails"]).ok();
    let ended = "alice/ends.service is not running: it ended by itself, without an error";
    let mut told = vec![failed, hangs, missing, "alice/fails.service recovered", "alice/hangs.service recovered", ended];
    told_in_the_end(&guest, &told);
    let report = guest.sysalert(&["check", "services"]);
    assert!(report.stdout.contains("alice/hangs.service   active (running)"), "{report}");
    let of_carol = "only its failures are known, from the journal: no service manager of carol runs";
    assert!(report.stdout.contains(of_carol), "{report}");
    assert_eq!(sessions(), before, "no session was opened, and nobody's manager was started");
    assert_eq!(guest.property(&format!("user@{}.service", carol.uid), "ActiveState"), "inactive");

    // only sysalert may ask
    let socket = format!("/run/sysalert-look/{}", alice.uid);
    assert_eq!(guest.run(&["stat", "-c", "%A %U", &socket]).ok(), "srw------- sysalert");
    // where nobody answers the journal tells what fails
    guest.run(&["systemctl", "stop", &format!("sysalert-look@{}.socket", alice.uid)]).ok();
    alice.run(&["sh", "-c", "echo 4 >~/fail; systemctl --user restart fails"]).ok();
    bob.run(&["systemctl", "--user", "start", "bot"]).ok();
    told.extend(["alice/fails.service failed: exited with status 4", "bob/bot.service failed: exited with status 5"]);
    told_in_the_end(&guest, &told);
    let report = guest.sysalert(&["check", "services"]);
    assert!(report.stdout.contains(&format!("sysalert-look@{}.socket is to be started", alice.uid)), "{report}");
    guest.run(&["systemctl", "start", &format!("sysalert-look@{}.socket", alice.uid)]).ok();

    // what is gone is over: a manager with what was seen only while it ran, a user with everything
    alice.run(&["sh", "-c", "rm ~/ready; systemctl --user stop hangs; systemctl --user start --no-block hangs"]).ok();
    told.push(hangs);
    told_in_the_end(&guest, &told);
    guest
        .sh(&format!(
            "loginctl disable-linger alice bob; systemctl stop user@{} user@{}; userdel --remove bob",
            alice.uid, bob.uid
        ))
        .ok();
    assert!(!guest.exists(&socket), "it goes with the manager");
    let gone = "the service manager of alice does not run any more";
    let gone = ["hangs", "ends", "nosuch"].map(|unit| format!("alice/{unit}.service is gone: {gone}"));
    told.extend(gone.iter().map(String::as_str));
    told.push("bob/bot.service is gone: there is no user bob any more");
    told_in_the_end(&guest, &told);
}

#[test]
fn live_state_comes_from_a_process_of_the_user_on_252() {
    live_on(252);
}

#[test]
fn live_state_comes_from_a_process_of_the_user_on_257() {
    live_on(257);
}

/// A user who has the process that answers in their hands: what they make it say is bounded, and about nobody else.
#[test]
fn a_user_who_answers_with_lies_speaks_for_nobody_else() {
    let guest = with_bus(252, "liar");
    let alice = User::new(&guest, "alice", true);
    guest.write_unit("down.service", "[Service]\nExecStart=/bin/sh -c 'exit 3'\n");
    guest.begin("[services]\ngrace_after_boot = \"0s\"\nremind = \"never\"\nunits = [\"down.service\", \"bob/x.service\", \"alice/x.service\"]\n");
    let liar = |says: &str| {
        let script = format!("import socket\ns = socket.socket(fileno=0)\nline, _ = s.accept()\nline.recv(9999)\n{says}\n");
        guest.write_file("/usr/local/lib/liar.py", &script);
        guest.write_file(
            "/run/systemd/system/sysalert-look@.service.d/liar.conf",
            "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I /usr/local/lib/liar.py\nMemoryDenyWriteExecute=no\n",
        );
        guest.run(&["systemctl", "daemon-reload"]).ok();
        guest.sysalert(&["check", "services"])
    };
    let unit = |name: &str| {
        format!(
            r#"line.sendall(b'{{"Ok": [null, [[{{"name": "{name}", "load": "loaded", "active": "failed", "sub": "failed", "has_job": false}}, {{"kind": null, "on_bus": false, "remains": false, "file_state": "", "triggered": false, "is_due": false, "skipped": false, "invocation": "0123456789abcdef0123456789abcdef", "since": "2026-01-01T00:00:00Z", "left": null, "limit": null, "problem": {{"service_result": "exit-code", "exit_code": "exited", "exit_status": "7"}}}}]]]}}')"#
        )
    };
    for says in [unit("bob/x.service"), unit("../../x.service"), "line.sendall(b'{' * 99)".to_owned()] {
        let report = liar(&says);
        assert!(report.stdout.contains("from the journal: the answer makes no sense"), "{says}\n{report}");
    }
    for endless in ["\nwhile True: line.sendall(b'[' * 65536)", "\nimport time; time.sleep(60)"] {
        let report = liar(endless);
        assert!(
            report.stdout.contains("from the journal: the answer does not end")
                || report.stdout.contains("no answer came in time"),
            "{report}"
        );
    }
    // what was not asked for is passed over, though it is theirs
    for name in ["down.service", "y.service"] {
        assert!(!liar(&unit(name)).stdout.contains("status 7"), "{name}");
    }
    assert_eq!(guest.number("SELECT count(*) FROM events"), 0);
    // the system's own units are looked at before, and a user may lie about themselves
    guest.run(&["systemctl", "start", "down"]).ok();
    liar(&unit("x.service"));
    let expected = ["alice/x.service failed: exited with status 7", "down.service failed: exited with status 3"];
    guest.wait_until("both are told", || guest.alerts().len() == 2);
    let mut subjects: Vec<String> = guest.alerts().into_iter().map(|alert| alert.subject).collect();
    subjects.sort();
    assert_eq!(subjects, expected);
    assert!(alice.run(&["true"]).success());
}
