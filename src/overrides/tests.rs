use super::*;
use crate::event::UnitName;
use crate::host::manager::Nature;

fn drop_in(origin: Origin, with_folder: bool, content: Content) -> DropIn {
    DropIn { origin, with_folder, content }
}

#[test]
fn a_drop_in_says_who_made_it_and_what_the_example_says() {
    let job = drop_in(Origin::Timers, true, Content::Handlers { on_success: true });
    assert_eq!(
        job.text(),
        "# Made by `sysalert enable --timers`, with this folder; `sysalert disable --timers` takes it back if nothing is changed here.\n\
         [Unit]\nOnFailure=sysalert-failure@%n.service\nOnSuccess=sysalert-success@%n.service\n"
    );
    let daemon = drop_in(Origin::SystemWide, false, Content::Handlers { on_success: false });
    let everywhere = include_str!("../../overrides/service.d/10-sysalert.conf");
    assert_eq!(daemon.text().split_once('\n').unwrap().1, directives(everywhere, |_| true));
    let strict = drop_in(Origin::Named, false, Content::Strict { program: "/usr/local/bin/sysalert".to_owned() });
    assert!(strict.text().contains("\nExecStopPost=+-/usr/local/bin/sysalert ended -- %n\nUnsetEnvironment=LD_PRELOAD "));
    assert!(!strict.text().contains("/usr/bin/sysalert"));
}

#[test]
fn what_was_written_is_known_again_and_nothing_else() {
    for origin in ORIGINS {
        for with_folder in [true, false] {
            for (name, content) in [
                (HANDLERS, Content::Handlers { on_success: true }),
                (HANDLERS, Content::Handlers { on_success: false }),
                (STRICT, Content::Strict { program: "/opt/bin/sysalert".to_owned() }),
                (STRICT, Content::Strict { program: "/usr/bin/sysalert --user".to_owned() }),
            ] {
                let written = drop_in(origin, with_folder, content);
                assert_eq!(DropIn::read(name, &written.text()), Some(written.clone()));
                for changed in
                    [written.text() + "# mine\n", written.text().replace("\n[", "\n\n["), written.text().replace("%n", "%N")]
                {
                    assert_eq!(DropIn::read(name, &changed), None, "{changed}");
                }
            }
        }
    }
    // an empty file leaves a unit out, and the examples are copied by hand
    for text in ["", EXAMPLE, EXAMPLE_STRICT] {
        assert_eq!((DropIn::read(HANDLERS, text), DropIn::read(STRICT, text)), (None, None));
    }
}

#[test]
fn what_is_there_decides_what_is_written() {
    let job = |origin, with_folder, on_success| drop_in(origin, with_folder, Content::Handlers { on_success });
    let there = |drop_in: &DropIn| Found::Text(drop_in.text());
    use Origin::{Named, Timers};
    for (what, found, wanted, expected) in [
        ("nothing", Found::Nothing, job(Named, true, true), Some(Step::Write(job(Named, true, true)))),
        ("the same", there(&job(Named, true, true)), job(Named, false, true), Some(Step::Keep)),
        (
            "it is no oneshot any more",
            there(&job(Named, true, true)),
            job(Named, false, false),
            Some(Step::Write(job(Named, true, false))),
        ),
        (
            "named, once by its timer",
            there(&job(Timers, true, true)),
            job(Named, false, true),
            Some(Step::Write(job(Named, true, true))),
        ),
        ("its timer, once named", there(&job(Named, true, true)), job(Timers, false, true), Some(Step::Keep)),
        ("an empty file", Found::Text(String::new()), job(Named, false, true), None),
        ("a link", Found::Other, job(Named, false, true), None),
    ] {
        assert_eq!(step(HANDLERS, &found, wanted), expected, "{what}");
    }
}

#[test]
fn only_what_was_written_so_is_taken_back() {
    let timers = drop_in(Origin::Timers, true, Content::Handlers { on_success: true });
    let text = |text: String| Found::Text(text);
    for (what, found, only, expected) in [
        ("nothing", Found::Nothing, None, Undo::Nothing),
        ("as it was written", text(timers.text()), None, Undo::Remove(timers.clone())),
        ("the same, by timers", text(timers.text()), Some(Origin::Timers), Undo::Remove(timers.clone())),
        ("the same, by another way", text(timers.text()), Some(Origin::SystemWide), Undo::Nothing),
        ("changed", text(timers.text() + "# mine\n"), None, Undo::Changed),
        ("changed, by timers", text(timers.text() + "# mine\n"), Some(Origin::Timers), Undo::Changed),
        ("an empty file", text(String::new()), None, Undo::Others),
        ("an empty file, by timers", text(String::new()), Some(Origin::Timers), Undo::Nothing),
        ("a link", Found::Other, None, Undo::Others),
    ] {
        assert_eq!(undo(HANDLERS, &found, only), expected, "{what}");
    }
}

/// A service as systemd tells of it, but for the name.
fn service(service_type: &str) -> Nature {
    Nature {
        load_state: "loaded".to_owned(),
        service_type: Some(service_type.to_owned()),
        on_failure_mode: "replace".to_owned(),
        ..Nature::default()
    }
}

fn unit(service_type: &str, change: impl FnOnce(&mut Nature)) -> Nature {
    let mut nature = service(service_type);
    change(&mut nature);
    nature
}

#[test]
fn who_may_have_a_drop_in() {
    let long = format!("{}.service", "x".repeat(230 - ".service".len()));
    let longer = format!("x{long}");
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let other = Nature { load_state: "loaded".to_owned(), on_failure_mode: "replace".to_owned(), ..Nature::default() };
    // the unit, strictly or not, and: "job", "other", or what the refusal must say
    let table: Vec<(&str, Nature, bool, &str)> = vec![
        ("backup.service", service("oneshot"), false, "job"),
        ("backup.service", service("oneshot"), true, "job"),
        ("cron.service", service("simple"), false, "other"),
        ("cron.service", service("notify"), true, "other"),
        ("backup@home.service", service("oneshot"), false, "job"),
        (&long, service("simple"), false, "other"),
        ("data.mount", other.clone(), false, "other"),
        ("db.socket", other.clone(), false, "other"),
        ("multi-user.target", other.clone(), false, "other"),
        ("own.service", unit("simple", |it| it.on_failure = texts(&["mine.service"])), false, "other"),
        // systemd would have no handler for it, and say nothing
        (&longer, service("simple"), false, "name of 231 characters"),
        // its failure would start itself
        ("sysalert-dispatch.service", service("oneshot"), false, "sysalert's own"),
        ("sysalert-failure@backup.service.service", service("oneshot"), false, "sysalert's own"),
        (
            "backup@.service",
            service("oneshot"),
            false,
            "is a template: name an instance, or all that are loaded by 'backup@*.service'",
        ),
        ("emergency.service", service("idle"), false, "nothing else runs"),
        ("reboot.target", other.clone(), false, "nothing else runs"),
        // these never fail
        ("backup.timer", other.clone(), false, "name the service, such as backup.service"),
        ("system.slice", other.clone(), false, "a slice, which does not fail"),
        ("sys-a.device", other.clone(), false, "a device, which does not fail"),
        ("session-3.scope", other.clone(), false, "a scope"),
        ("nosuch.service", unit("simple", |it| it.load_state = "not-found".to_owned()), false, "is not known to systemd"),
        ("old.service", unit("simple", |it| it.load_state = "masked".to_owned()), false, "is masked"),
        (
            "bad.service",
            unit("simple", |it| it.load_state = "bad-setting".to_owned()),
            false,
            "`systemctl status bad.service` says why",
        ),
        ("run-u7.service", unit("simple", |it| it.is_transient = true), false, "this one run"),
        ("sshd.service", unit("notify", |it| it.id = "ssh.service".to_owned()), false, "another name of ssh.service"),
        // the handler's start would end the others, or what is being started
        ("iso.service", unit("simple", |it| it.on_failure_mode = "isolate".to_owned()), false, "stop everything else"),
        ("flush.service", unit("simple", |it| it.on_failure_mode = "flush".to_owned()), false, "cancel whatever"),
        ("data.mount", other, true, "is no service"),
        ("jail.service", unit("simple", |it| it.has_own_root = true), true, "enable it without --strict"),
        ("jail.service", unit("simple", |it| it.has_own_root = true), false, "other"),
        ("hook.service", unit("simple", |it| it.environment = texts(&["A=1", "LD_PRELOAD=/x.so"])), true, "needs LD_PRELOAD"),
        ("hook.service", unit("simple", |it| it.environment = texts(&["MY_LD_PRELOAD=1"])), true, "other"),
    ];
    for (name, mut nature, strict, expected) in table {
        if nature.id.is_empty() {
            nature.id = name.to_owned();
        }
        let answer = by_unit(&name.parse::<UnitName>().unwrap(), &nature, strict);
        match expected {
            "job" | "other" => {
                let grant = answer.unwrap_or_else(|why| panic!("{name} {why}"));
                assert_eq!(grant.on_success, expected == "job", "{name}");
            }
            words => {
                let why = answer.expect_err(name);
                assert!(why.contains(words), "{name} {why}");
            }
        }
    }
}

#[test]
fn a_handler_of_its_own_is_told_to_stay() {
    let nature = unit("simple", |it| {
        it.id = "own.service".to_owned();
        it.on_failure = vec!["sysalert-failure@own.service.service".to_owned(), "mine.service".to_owned()];
    });
    let grant = by_unit(&"own.service".parse().unwrap(), &nature, false).unwrap();
    assert_eq!(grant.note, "a daemon: its recovery is told within a minute; mine.service still runs, too");
}

#[test]
fn for_all_services_only_what_would_harm_counts() {
    assert!(everywhere(&service("simple")).is_ok() && everywhere(&Nature::default()).is_ok());
    assert!(everywhere(&unit("simple", |it| it.on_failure_mode = "isolate".to_owned())).is_err());
}
