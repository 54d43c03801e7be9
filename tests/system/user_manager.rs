//! The units of users' own service managers: each user has handlers, configuration and state of their own, without root.

use serde_json::Value;

use crate::guest::{Guest, Options, Output};

/// The users, each with an ID and the exit status of what fails for them.
const USERS: [(&str, u32, i32); 2] = [("alice", 2001, 3), ("bob", 2002, 4)];

/// A guest with two users whose managers run, also after a reboot. Dispatch looks each second.
#[track_caller]
pub fn guest(systemd: u32, name: &str) -> Guest {
    guest_with(systemd, name, Options::new())
}

/// The same with what else is to be there.
#[track_caller]
pub fn guest_with(systemd: u32, name: &str, options: Options) -> Guest {
    let quick = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/1\nAccuracySec=100ms\n";
    let check = "/etc/systemd/user/sysalert-check@services.timer.d/quick.conf";
    // as Debian's dbus-user-session has them, which the smallest Debian 13 lacks: whoever asks a user's manager does so by a bus
    let bus = r#"cd "$ROOT"/usr/lib/systemd/user; [ -e dbus.socket ] || { cp /usr/lib/systemd/user/dbus.{socket,service} . ; mkdir -p sockets.target.wants; ln -s ../dbus.socket sockets.target.wants/; }"#;
    let options = options
        .prepare(&format!("bash -c '{bus}'"))
        .file("/etc/systemd/user/sysalert-dispatch.timer.d/quick.conf", quick)
        .file(check, quick);
    let guest = Guest::boot_on(systemd, name, options);
    for (user, uid, status) in USERS {
        guest.sh(&format!("useradd --create-home --uid {uid} {user}; chmod 0755 /home/{user}; mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/{user}; systemctl start user@{uid}.service")).ok();
        let config = format!("/home/{user}/.config");
        let bot = format!(
            "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo words of {user}; test -e /home/{user}/well || exit {status}'\n"
        );
        let daemon =
            format!("[Service]\nExecStart=/bin/sh -c 'test -e /home/{user}/well || exit {status}; exec sleep infinity'\n");
        let method = format!("[policy]\nrecovery_hold = \"1s\"\n[method.file]\npath = \"/home/{user}/alerts.json\"\n");
        for (path, text) in
            [("systemd/user/bot.service", bot), ("systemd/user/daemon.service", daemon), ("sysalert/sysalert.toml", method)]
        {
            guest.write_file(&format!("{config}/{path}"), &text);
        }
        guest.sh(&format!("chown -R {user}: /home/{user}")).ok();
        run(&guest, user, "systemctl --user daemon-reload").ok();
    }
    guest
}

pub fn run(guest: &Guest, user: &str, script: &str) -> Output {
    guest.run_as(user, &["bash", "-euo", "pipefail", "-c", &format!("cd; {script}")])
}

/// The alerts that a user got: "UNIT SUBJECT", and the whole text of them.
fn alerts(guest: &Guest, user: &str) -> (Vec<String>, String) {
    let text = guest.run(&["cat", &format!("/home/{user}/alerts.json")]).stdout;
    let alerts = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let subjects = alerts.map(|alert| {
        let message = alert.get("message").unwrap_or(&alert);
        message["subject"].as_str().unwrap_or_default().to_owned()
    });
    (subjects.collect(), text)
}

/// What there is of a user's configuration, with owner and content.
fn configuration(guest: &Guest, user: &str) -> String {
    guest.sh(&format!("cd /home/{user}/.config; find systemd -printf '%y %m %u %l %p\\n' | sort; find systemd -type f -exec sha256sum {{}} + | sort")).ok()
}

/// `[X-Sysalert]` in a user's own unit files.
#[test]
fn a_user_may_say_it_in_the_unit_itself() {
    let guest = guest(252, "users-x");
    let drop_in = "/home/alice/.config/systemd/user/bot.service.d/50-own.conf";
    let write = format!("mkdir -p {}; printf '[X-Sysalert]\\nIgnore=1\\n' >{drop_in}", &drop_in[..drop_in.len() - 12]);
    run(&guest, "alice", &write).ok();
    for (user, ..) in USERS {
        run(&guest, user, "sysalert --user enable bot; systemctl --user start bot || true").ok();
    }
    guest.wait_until("bob is told", || alerts(&guest, "bob").0.len() == 1);
    let explained = || run(&guest, "alice", "sysalert --user explain bot || true").stdout;
    guest.wait_until("alice's is decided", || explained().contains("failure 1 of the 1 to ignore"));
    assert!(explained().contains(&format!("setting  ignore = 1 ({drop_in}:2)")), "{}", explained());
    assert!(alerts(&guest, "alice").0.is_empty());
    run(&guest, "alice", "systemctl --user start bot || true").ok();
    guest.wait_until("alice is told of the second", || alerts(&guest, "alice").0.len() == 1);
}

#[test]
fn each_user_hears_of_their_own_units_and_of_no_others_252() {
    each_user_hears_of_their_own_units_and_of_no_others(252);
}

#[test]
fn each_user_hears_of_their_own_units_and_of_no_others_257() {
    each_user_hears_of_their_own_units_and_of_no_others(257);
}

fn each_user_hears_of_their_own_units_and_of_no_others(systemd: u32) {
    let guest = guest(systemd, "users");
    let before = USERS.map(|(user, ..)| configuration(&guest, user));
    for (user, ..) in USERS {
        let said = run(&guest, user, "sysalert --user enable bot daemon").ok();
        assert!(said.contains("2 units will tell when they fail"), "{said}");
        run(&guest, user, "systemctl --user start bot || true").ok();
    }
    for (user, _, status) in USERS {
        guest.wait_until(&format!("{user} is told"), || !alerts(&guest, user).0.is_empty());
        let (subjects, text) = alerts(&guest, user);
        assert_eq!(subjects.len(), 1, "{subjects:?}");
        assert!(
            subjects[0].contains("bot.service") && subjects[0].contains(&format!("exited with status {status}")),
            "{subjects:?}"
        );
        assert!(text.contains(&format!("words of {user}")), "the run's last lines are there: {text}");
        let others = if user == "alice" { "words of bob" } else { "words of alice" };
        assert!(!text.contains(others), "{text}");
        let events = run(&guest, user, "sysalert --user history bot -o json").json();
        assert_eq!(events.as_array().map(Vec::len), Some(1), "{events}");
    }
    assert_eq!(guest.sysalert(&["db", "list", "--all", "-o", "json"]).ok(), "[]", "the system's record has nothing of users");

    closed_to_others(&guest);

    for (user, ..) in USERS {
        // a daemon that fails, and both recover: nobody triggers that for the daemon
        run(&guest, user, "systemctl --user start daemon").ok();
        guest.wait_until("its failure is told", || alerts(&guest, user).0.len() == 2);
        run(&guest, user, "touch well; systemctl --user start daemon bot").ok();
        guest.wait_until("both recoveries are told", || alerts(&guest, user).0.len() == 4);
        let (subjects, _) = alerts(&guest, user);
        assert!(
            ["bot.service", "daemon.service"]
                .iter()
                .all(|unit| subjects[2..].iter().any(|subject| subject.contains(unit) && subject.contains("recovered"))),
            "{subjects:?}"
        );

        // without a handler the sweep finds it in the user's own journal
        run(
            &guest,
            user,
            "rm well; systemctl --user mask --runtime --quiet sysalert-failure@.service; systemctl --user start bot || true",
        )
        .ok();
        guest.wait_until("the sweep has told it", || alerts(&guest, user).0.len() == 5);
        run(&guest, user, "systemctl --user unmask --runtime --quiet sysalert-failure@.service").ok();
    }

    guest.reboot();
    for (user, ..) in USERS {
        guest.wait_until("the user's manager is up", || {
            run(&guest, user, "systemctl --user is-active sysalert-dispatch.timer").success()
        });
        run(&guest, user, "systemctl --user start daemon").ok();
        guest.wait_until("it is told", || alerts(&guest, user).0.len() == 6);
        let said = run(&guest, user, "sysalert --user test").ok();
        assert!(said.starts_with("file: sent"), "{said}");

        // the service itself records its end, before a handler could; the check comes first, as each of its runs wants the path unit
        let stop = "systemctl --user stop sysalert-check@services.timer sysalert-check@services.service; systemctl --user stop sysalert-dispatch.path sysalert-dispatch.timer";
        run(&guest, user, &format!("sysalert --user enable --strict bot; systemctl --user mask --runtime --quiet sysalert-failure@.service; {stop}; systemctl --user start bot || true")).ok();
        let events = run(&guest, user, "sysalert --user history bot -o json").json();
        assert_eq!(events.as_array().map(Vec::len), Some(4), "{events}");
        let said = run(&guest, user, "sysalert --user disable --all").ok();
        assert!(said.ends_with("2 units disabled."), "{said}");
        assert!(!run(&guest, user, "systemctl --user is-active sysalert-dispatch.timer").success());
    }
    assert_eq!(USERS.map(|(user, ..)| configuration(&guest, user)), before);
}

/// Neither can read what the other has, whatever they try.
#[track_caller]
fn closed_to_others(guest: &Guest) {
    for (user, other) in [("alice", "bob"), ("bob", "alice")] {
        let state = format!("/home/{user}/.local/state/sysalert");
        let modes = guest.sh(&format!("find {state} -printf '%m %u %y\\n' | sort -u")).ok();
        assert_eq!(modes, format!("600 {user} f\n700 {user} d"), "{state}");
        for command in [
            format!("cat {state}/sysalert.db"),
            format!("ls {state}"),
            format!("ls /run/user/{}", USERS.iter().find(|(name, ..)| *name == user).unwrap().1),
        ] {
            assert!(!run(guest, other, &command).success(), "{other}: {command}");
        }
        let refused = run(guest, other, &format!("sysalert --user --state-dir {state} status"));
        assert!(refused.status == 77 && refused.stdout.is_empty(), "{refused}");
        let nothing = run(guest, other, &format!("sysalert explain {user}/bot.service"));
        assert!(!nothing.success(), "{nothing}");
        let own = run(guest, other, &format!("sysalert --user history {user}/bot.service"));
        assert!(!own.success() && own.stderr.contains("nothing was ever recorded"), "{own}");
        assert!(!run(guest, other, &format!("touch /home/{user}/.config/systemd/user/x")).success());
    }
}

#[test]
fn what_never_triggers_is_looked_at_for_each_user_252() {
    what_never_triggers_is_looked_at_for_each_user(252);
}

#[test]
fn what_never_triggers_is_looked_at_for_each_user_257() {
    what_never_triggers_is_looked_at_for_each_user(257);
}

/// A user's own `[services]`, schedules and `expect_success`: by a timer of the user's manager, which `enable` switches on.
fn what_never_triggers_is_looked_at_for_each_user(systemd: u32) {
    let guest = guest(systemd, "users-poll");
    for (user, ..) in USERS {
        let home = format!("/home/{user}/.config");
        guest.write_file(
            &format!("{home}/systemd/user/ends.service"),
            "[Service]\nExecStart=/bin/sh -c 'while ! test -e %h/end; do sleep 0.1; done'\n",
        );
        guest.write_file(
            &format!("{home}/systemd/user/hangs.service"),
            "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=/bin/sleep infinity\n",
        );
        guest.write_file(&format!("{home}/systemd/user/late.service"), "[Service]\nType=oneshot\nExecStart=/bin/true\n");
        guest.write_file(
            &format!("{home}/systemd/user/late.timer"),
            "[Timer]\nOnCalendar=2020-01-01\n[Install]\nWantedBy=timers.target\n",
        );
        let more = "[services]\ngrace_after_boot = \"0s\"\nremind = \"never\"\nunits = [\"ends.service\", \"hang*.service\"]\n[unit.\"USER/hangs.service\"]\nstuck_after = \"1s\"\n";
        guest.run_input(&["tee", "-a", &format!("{home}/sysalert/sysalert.toml")], &more.replace("USER", user)).ok();
        run(&guest, user, "systemctl --user daemon-reload; systemctl --user enable --now late.timer; systemctl --user start ends; systemctl --user start --no-block hangs").ok();
        assert!(!run(&guest, user, "systemctl --user is-active sysalert-check@services.timer").success());
        run(&guest, user, "sysalert --user enable --timers").ok();
        assert!(run(&guest, user, "systemctl --user is-enabled sysalert-check@services.timer").success());
        assert!(run(&guest, user, "systemctl --user is-active sysalert-check@services.timer").success());
        let told = |what: &str| alerts(&guest, user).0.iter().filter(|subject| subject.contains(what)).count();
        guest.wait_until("the hang is told", || told("hangs.service hangs") == 1);
        guest.wait_until("a timer whose times are over is told", || told("late.timer") == 1);
        run(&guest, user, "touch end").ok();
        guest.wait_until("the end is told", || told("ends.service is not running") == 1);
        let result = run(&guest, user, "systemctl --user show --value -p Result sysalert-check@services.service").ok();
        assert_eq!(result, "success", "what it finds does not make it fail");
        run(&guest, user, "sysalert --user disable --all").ok();
        assert!(!run(&guest, user, "systemctl --user is-active sysalert-check@services.timer").success());
        assert!(!run(&guest, user, "systemctl --user is-enabled sysalert-check@services.timer").success());
    }
    assert_eq!(guest.sysalert(&["db", "list", "--all", "-o", "json"]).ok(), "[]", "the system's record has nothing of users");
}

#[test]
fn all_users_at_once_252() {
    all_users_at_once(252);
}

#[test]
fn all_users_at_once_257() {
    all_users_at_once(257);
}

/// Root enables it for everybody: managers that run already have it at once, and sysalert's own units start no handlers.
fn all_users_at_once(systemd: u32) {
    let guest = guest(systemd, "global");
    let listing = || guest.sh("cd /etc/systemd; find . -printf '%y %m %u %l %p\\n' | sort").ok();
    let before = listing();
    let refused = run(&guest, "alice", "sysalert enable --global --system-wide");
    assert_eq!(refused.status, 77, "{refused}");
    assert_eq!(guest.sysalert(&["--user", "enable", "--global", "--system-wide"]).status, 64);
    assert_eq!(guest.sysalert(&["enable", "--global", "--timers"]).status, 64);

    for (user, ..) in USERS {
        // it is loaded, as it was
        run(&guest, user, "touch well; systemctl --user start daemon").ok();
        guest.wait_until("it runs", || guest.run(&["pgrep", "-u", user, "-x", "sleep"]).success());
        run(&guest, user, "rm well").ok();
    }
    let said = guest.sysalert(&["enable", "--global", "--system-wide"]);
    assert!(said.success() && said.stderr.is_empty() && said.stdout.contains("Every service will tell when it fails"), "{said}");
    for (user, ..) in USERS {
        guest.wait_until("the manager has read it", || {
            run(&guest, user, "systemctl --user show --value -p OnFailure daemon")
                .stdout
                .contains("sysalert-failure@daemon.service.service")
        });
        assert_eq!(run(&guest, user, "systemctl --user show --value -p OnFailure sysalert-dispatch").ok(), "");
        assert_eq!(run(&guest, user, "systemctl --user show --value -p OnFailure sysalert-failure@bot.service").ok(), "");
        run(&guest, user, "systemctl --user start bot || true").ok();
        guest.wait_until(&format!("{user} is told"), || alerts(&guest, user).0.len() == 1);
    }
    guest.reboot();
    for (user, ..) in USERS {
        guest.wait_until("the user's manager delivers", || {
            run(&guest, user, "systemctl --user is-active sysalert-dispatch.timer").success()
        });
    }
    guest.sysalert(&["disable", "--global", "--all"]).ok();
    assert_eq!(listing(), before);
}

/// Of a user's process that is gone before the journal looks, it knows neither the unit nor the run: one line in four, here.
#[test]
fn what_a_process_said_that_is_gone_at_once_is_in_the_message() {
    const UNITS: usize = 30;
    let guest = guest(252, "quick");
    let method = "[storm]\nincidents = 0\n[method.file]\npath = \"/home/alice/alerts.json\"\n";
    guest.write_file("/home/alice/.config/sysalert/sysalert.toml", method);
    for number in 1..=UNITS {
        let unit = format!("[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo words of {number}.; exit 3'\n");
        guest.write_file(&format!("/home/alice/.config/systemd/user/quick{number}.service"), &unit);
    }
    run(&guest, "alice", "systemctl --user daemon-reload; sysalert --user enable 'quick*'").ok();
    run(&guest, "alice", &format!("for n in $(seq {UNITS}); do systemctl --user start quick$n || true; done")).ok();
    guest.wait_until("all are told", || alerts(&guest, "alice").0.len() == UNITS);
    let (_, text) = alerts(&guest, "alice");
    let missing: Vec<usize> = (1..=UNITS).filter(|number| !text.contains(&format!("words of {number}."))).collect();
    assert!(missing.is_empty(), "the messages about {missing:?} lack what they said");
}
