//! `sysalert enable` and `sysalert disable`: what is written holds, is told, and is taken back without a trace.

use crate::guest::{Guest, Options};

/// Every unit file, link and folder of the machine, with owner, mode and content.
#[track_caller]
fn unit_files(guest: &Guest) -> String {
    guest
        .sh(r"cd / && find etc/systemd usr/lib/systemd -printf '%y %m %u:%g %l %p\n' | sort && find etc/systemd usr/lib/systemd -type f -exec stat -c '%Y %n' {} + | sort && find etc/systemd usr/lib/systemd -type f -exec sha256sum {} + | sort")
        .ok()
}

/// What `enable` or `disable` printed, a line each, its columns apart by one space.
fn rows(said: &str) -> Vec<String> {
    said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[track_caller]
fn handlers(guest: &Guest, unit: &str) -> (String, String) {
    let one = |property: &str| guest.property(unit, property);
    (one("OnFailure"), one("OnSuccess"))
}

fn handlers_of(unit: &str, on_success: bool) -> (String, String) {
    let success = if on_success { format!("sysalert-success@{unit}.service") } else { String::new() };
    (format!("sysalert-failure@{unit}.service"), success)
}

const JOB: &str = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test -e /run/well'\n";
const DAEMON: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

#[test]
fn what_timers_start_is_enabled_survives_a_reboot_and_leaves_no_trace_252() {
    what_timers_start_is_enabled_survives_a_reboot_and_leaves_no_trace(252);
}

#[test]
fn what_timers_start_is_enabled_survives_a_reboot_and_leaves_no_trace_257() {
    what_timers_start_is_enabled_survives_a_reboot_and_leaves_no_trace(257);
}

fn what_timers_start_is_enabled_survives_a_reboot_and_leaves_no_trace(systemd: u32) {
    let options = Options::new()
        // enabled by the administrator; a timer with a unit of another name; an instance; and one that is off
        .file("/etc/systemd/system/backup.service", JOB)
        .file("/etc/systemd/system/nightly.timer", "[Timer]\nOnCalendar=daily\nUnit=backup.service\n[Install]\nWantedBy=timers.target\n")
        .file("/etc/systemd/system/dump@.service", JOB)
        .file("/etc/systemd/system/dump@.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
        .file("/etc/systemd/system/never.service", JOB)
        .file("/etc/systemd/system/never.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
        .prepare(r#"systemctl --root="$ROOT" --quiet enable nightly.timer dump@db.timer systemd-tmpfiles-clean.timer 2>/dev/null || true"#);
    let guest = Guest::boot_on(systemd, "timers", options);
    let before = unit_files(&guest);

    let planned = guest.sysalert(&["enable", "--timers", "--dry-run"]).ok();
    assert!(planned.contains("would be enabled") && planned.ends_with("Nothing was changed."), "{planned}");
    assert_eq!(unit_files(&guest), before, "a dry run changes nothing");

    let said = guest.sysalert(&["enable", "--timers"]).ok();
    assert_eq!(
        rows(&said),
        [
            "UNIT DONE NOTE",
            "backup.service enabled started by nightly.timer",
            "dump@db.service enabled started by dump@db.timer",
            "systemd-tmpfiles-clean.service enabled started by systemd-tmpfiles-clean.timer",
            "3 units will tell when they fail; `sysalert test` shows whether that reaches you.",
        ],
        "{said}"
    );
    assert_eq!(handlers(&guest, "backup.service"), handlers_of("backup.service", true));
    assert_eq!(handlers(&guest, "dump@db.service"), handlers_of("dump@db.service", true));
    assert_eq!(handlers(&guest, "never.service"), (String::new(), String::new()));
    assert_eq!(
        guest.sh("stat -c '%a %U:%G' /etc/systemd/system/backup.service.d /etc/systemd/system/backup.service.d/*").ok(),
        "755 root:root\n644 root:root"
    );
    let enabled = unit_files(&guest);
    let again = guest.sysalert(&["enable", "--timers"]).ok();
    assert!(again.contains("enabled already") && !again.contains("enabled  started"), "{again}");
    assert_eq!(unit_files(&guest), enabled, "once more changes nothing");

    guest.reboot();
    assert_eq!(handlers(&guest, "backup.service"), handlers_of("backup.service", true));
    guest.run(&["systemctl", "start", "backup.service"]);
    guest
        .wait_until("its failure is told", || guest.journal(&["SYSALERT_UNIT=backup.service"]).contains("backup.service failed"));
    guest.sh("touch /run/well; systemctl start backup.service").ok();
    guest.wait_until("its recovery is told", || guest.journal(&["SYSALERT_UNIT=backup.service"]).contains("recovered"));

    // what was named by itself is not the timers' to take back
    guest.sysalert(&["enable", "dump@db"]).ok();
    let said = guest.sysalert(&["disable", "--timers"]).ok();
    assert_eq!(rows(&said)[1..], ["backup.service disabled", "systemd-tmpfiles-clean.service disabled", "2 units disabled."]);
    assert_eq!(handlers(&guest, "backup.service"), (String::new(), String::new()));
    assert_eq!(handlers(&guest, "dump@db.service"), handlers_of("dump@db.service", true));
    guest.sysalert(&["disable", "dump@db"]).ok();
    assert_eq!(unit_files(&guest), before);
    guest.reboot();
    assert_eq!(unit_files(&guest), before);
    assert_eq!(guest.sysalert(&["disable", "--all"]).ok(), "There is nothing to disable.");
}

#[test]
fn single_units_have_what_fits_them() {
    // one of the mounts is of a generator's making
    let fstab = "tmpfs /generated tmpfs noauto,nonsense 0 0\n";
    let guest = Guest::boot("single", Options::new().file("/etc/fstab", fstab));
    guest.write_unit("job.service", JOB);
    guest.write_unit("daemon.service", &format!("[Unit]\nOnFailure=mine.service\n{DAEMON}"));
    guest.write_unit("mine.service", "[Service]\nType=oneshot\nExecStart=/bin/touch /run/mine\n");
    guest.write_unit("broken.mount", "[Mount]\nWhat=/nowhere\nWhere=/broken\n");
    let before = unit_files(&guest);

    let said = guest.sysalert(&["enable", "--strict", "job", "daemon"]).ok();
    assert_eq!(
        rows(&said)[1..3],
        [
            "daemon.service enabled a daemon: its recovery is told within a minute; mine.service still runs, too",
            "job.service enabled"
        ]
    );
    assert_eq!(handlers(&guest, "job.service"), handlers_of("job.service", true));
    // systemd keeps no order in this list
    let both = guest.property("daemon.service", "OnFailure");
    let mut both: Vec<&str> = both.split(' ').collect();
    both.sort_unstable();
    assert_eq!(both, ["mine.service", "sysalert-failure@daemon.service.service"]);
    assert_eq!(guest.property("daemon.service", "OnSuccess"), "");
    assert!(guest.property("job.service", "ExecStopPostEx").contains("/usr/bin/sysalert ended -- job.service"));
    // strict mode is real: with the handlers out of the way its failure is on record
    guest.run(&["systemctl", "mask", "--runtime", "sysalert-failure@.service"]).ok();
    guest.run(&["systemctl", "start", "job.service"]);
    assert_eq!(guest.sysalert(&["history", "job", "-o", "json"]).json().as_array().map(Vec::len), Some(1));
    guest.run(&["systemctl", "unmask", "--runtime", "sysalert-failure@.service"]).ok();

    guest.sysalert(&["disable", "--strict", "job"]).ok();
    assert_eq!(guest.property("job.service", "ExecStopPostEx"), "");
    assert_eq!(handlers(&guest, "job.service"), handlers_of("job.service", true));

    for unit in ["broken.mount", "generated.mount"] {
        guest.sysalert(&["enable", unit]).ok();
        guest.run(&["systemctl", "start", unit]);
        guest.wait_until("the mount's failure is told", || {
            guest.journal(&[&format!("SYSALERT_UNIT={unit}")]).contains(&format!("{unit} failed"))
        });
    }
    assert!(!guest.read_file("/etc/systemd/system/broken.mount.d/10-sysalert.conf").contains("OnSuccess"));

    let said = guest.sysalert(&["disable", "--all"]).ok();
    assert!(said.ends_with("4 units disabled."), "{said}");
    assert_eq!(unit_files(&guest), before);
}

#[test]
fn what_would_harm_is_refused_as_a_whole() {
    let guest = Guest::boot("refused", Options::new());
    guest.write_unit("good.service", JOB);
    guest.write_unit("isolating.service", &format!("[Unit]\nOnFailure=rescue.target\nOnFailureJobMode=isolate\n{DAEMON}"));
    guest.write_unit("jail.service", &format!("{DAEMON}RootDirectory=/srv\n"));
    guest.write_unit("hook.service", &format!("{DAEMON}Environment=LD_PRELOAD=/lib/x.so\n"));
    guest.write_unit("first.service", &format!("{DAEMON}[Install]\nAlias=second.service\n"));
    guest.write_unit("bad.service", "[Service]\nType=nonsense\n");
    guest.write_unit("backup@.service", JOB);
    let long = format!("{}.service", "x".repeat(223));
    guest.write_unit(&long, JOB);
    guest
        .sh("systemctl enable --quiet first.service && systemctl mask --quiet hidden.service && systemctl start first.service")
        .ok();
    guest.sh("systemd-run --quiet --unit=passing sleep infinity").ok();
    let before = unit_files(&guest);
    for (unit, words) in [
        ("nosuch", "nosuch.service is not known to systemd"),
        ("godo", "godo.service is not known to systemd; did you mean good.service?"),
        ("sysalert-dispatch", "is sysalert's own"),
        ("sysalert-failure@good.service", "is sysalert's own"),
        ("backup@", "backup@.service is a template: name an instance, or all that are loaded by 'backup@*.service'"),
        (&long, "has a name of 231 characters"),
        ("hidden", "hidden.service is masked"),
        ("second", "second.service is another name of first.service: use that one"),
        ("bad", "bad.service cannot be loaded: `systemctl status bad.service` says why"),
        ("passing", "passing.service was made by a program for this one run"),
        ("isolating", "has OnFailureJobMode=isolate: its handler would stop everything else"),
        ("emergency", "emergency.service is for when nothing else runs"),
        ("logrotate.timer", "name the service, such as logrotate.service"),
        ("system.slice", "is a slice, which does not fail"),
        ("nothing-*", "nothing-* matches no unit that systemd knows"),
    ] {
        let refused = guest.sysalert(&["enable", "good", unit]);
        assert!(refused.status == 1 && refused.stdout.is_empty() && refused.stderr.contains(words), "{refused}");
        assert!(refused.stderr.ends_with("hint: nothing was changed\n"), "{refused}");
    }
    for (unit, words) in [("jail", "RootDirectory="), ("hook", "needs LD_PRELOAD"), ("broken.mount", "is not known")] {
        let refused = guest.sysalert(&["enable", "--strict", unit]);
        assert!(refused.status == 1 && refused.stderr.contains(words), "{refused}");
    }
    for words in
        [&["enable"] as &[&str], &["enable", "--timers", "good"], &["enable", "a b"], &["enable", "--strict", "--system-wide"]]
    {
        assert_eq!(guest.sysalert(words).status, 64, "{words:?}");
    }
    guest.sh("useradd stranger").ok();
    let stranger = guest.run_as("stranger", &["sysalert", "enable", "good"]);
    assert!(stranger.status == 77 && stranger.stderr.contains("sysalert --user"), "{stranger}");
    assert_eq!(unit_files(&guest), before);

    // what a glob finds beside what it can have is told, and left alone
    guest.run(&["systemctl", "start", "backup@home.service"]);
    let said = guest.sysalert(&["enable", "?ac*@*", "isol*"]).ok();
    assert_eq!(
        rows(&said)[1..4],
        [
            "backup@.service left alone it is a template: name an instance, or all that are loaded by 'backup@*.service'",
            "backup@home.service enabled",
            "isolating.service left alone it has OnFailureJobMode=isolate: its handler would stop everything else",
        ],
        "{said}"
    );
    guest.sysalert(&["disable", "backup@*"]).ok();
    assert_eq!(unit_files(&guest), before);
}

#[test]
fn what_somebody_else_wrote_stays_as_it_is() {
    let guest = Guest::boot("others", Options::new());
    for unit in ["changed", "out", "linked", "beside"] {
        guest.write_unit(&format!("{unit}.service"), JOB);
    }
    let folder = "/etc/systemd/system";
    // left out by an empty file; a link to elsewhere; a folder with something in it
    guest.sh(&format!("mkdir {folder}/out.service.d {folder}/beside.service.d /srv/elsewhere && touch {folder}/out.service.d/10-sysalert.conf && ln -s /srv/elsewhere {folder}/linked.service.d")).ok();
    let before = unit_files(&guest);
    for (unit, why) in [
        ("out", "out.service has a drop-in that somebody else made: /etc/systemd/system/out.service.d/10-sysalert.conf"),
        ("linked", "linked.service cannot have drop-ins: /etc/systemd/system/linked.service.d is a link"),
    ] {
        let refused = guest.sysalert(&["enable", unit]);
        assert!(refused.status == 1 && refused.stderr.contains(why), "{refused}");
    }
    assert_eq!(guest.sh("ls -A /srv/elsewhere").ok(), "");
    guest.sysalert(&["enable", "beside", "changed"]).ok();
    guest.sh(&format!("echo '# mine' >>{folder}/changed.service.d/10-sysalert.conf")).ok();
    let left = guest.sysalert(&["disable", "--all"]);
    assert_eq!(left.status, 1, "not all could be taken back: {left}");
    assert_eq!(
        rows(&left.stdout)[1..],
        [
            "beside.service disabled",
            "changed.service left alone it was changed since: look at /etc/systemd/system/changed.service.d/10-sysalert.conf, and remove it then",
            "out.service left alone somebody else made /etc/systemd/system/out.service.d/10-sysalert.conf",
            "1 unit disabled.",
        ]
    );
    guest.sh(&format!("rm -r {folder}/changed.service.d")).ok();
    assert_eq!(unit_files(&guest), before, "the folder that was there before is there still");
}

#[test]
fn what_cannot_be_written_is_said_and_nothing_else() {
    let guest = Guest::boot("read-only", Options::new());
    for unit in ["alpha", "blocked", "last"] {
        guest.write_unit(&format!("{unit}.service"), JOB);
    }
    let read_only = |path: &str| {
        guest.sh(&format!("mkdir -p {path} && mount --bind {path} {path} && mount -o remount,bind,ro {path}")).ok();
    };
    read_only("/etc/systemd/system/blocked.service.d");
    let said = guest.sysalert(&["enable", "--strict", "alpha", "blocked", "last"]);
    assert_eq!(said.status, 1, "{said}");
    assert_eq!(rows(&said.stdout)[1..], ["alpha.service enabled", "blocked.service not enabled", "last.service not enabled"]);
    assert!(said.stderr.contains("/etc/systemd/system/blocked.service.d/10-sysalert.conf"), "{said}");
    assert!(said.stderr.contains("Read-only file system") && !said.stderr.contains("names no handler"), "{said}");
    assert_eq!(handlers(&guest, "alpha.service"), handlers_of("alpha.service", true));
    assert_eq!(handlers(&guest, "last.service"), (String::new(), String::new()));

    read_only("/etc/systemd/system");
    let planned = guest.sysalert(&["enable", "alpha", "last", "--dry-run"]);
    assert_eq!(planned.status, 0, "{planned}");
    assert_eq!(
        rows(&planned.stdout)[1..],
        [
            "alpha.service enabled already",
            "last.service would be enabled",
            "Nothing was changed. Now that would fail: /etc/systemd/system is read-only."
        ]
    );
    let refused = guest.sysalert(&["enable", "last"]);
    assert!(refused.status == 1 && refused.stderr.contains("Read-only file system"), "{refused}");
    assert_eq!(rows(&refused.stdout)[1..], ["last.service not enabled"]);
    assert_eq!(guest.sysalert(&["enable", "alpha", "--dry-run"]).ok().lines().last(), Some("Nothing was changed."));
    guest.sh("useradd stranger").ok();
    let planned = guest.run_as("stranger", &["sysalert", "enable", "last", "--dry-run"]);
    assert!(planned.status == 0 && planned.stdout.contains("would be enabled"), "{planned}");
}

/// Strict mode lets these wait for sysalert, which needs them: it must not wait for them.
fn strict_mode_of_what_sysalert_itself_needs(systemd: u32) {
    let guest = Guest::boot_on(systemd, "needed", Options::new());
    guest.sysalert(&["enable", "--strict", "systemd-journald.service", "dbus.service"]).ok();
    for unit in ["systemd-journald.service", "dbus.service"] {
        let strict = guest.property(unit, "ExecStopPostEx");
        assert!(strict.contains("sysalert ended"), "{unit}: {strict}");
        let begun = std::time::Instant::now();
        guest.run(&["systemctl", "kill", "--signal=KILL", unit]).ok();
        // the sockets start them again as soon as somebody needs them
        guest.sh("logger here; busctl --no-pager list >/dev/null || true");
        guest.wait_until("it runs again", || guest.property(unit, "ActiveState") == "active");
        let lasted = begun.elapsed();
        assert!(lasted.as_secs() < 20, "{unit} was away for {lasted:?}");
        guest.wait_until("its failure is on record", || {
            let history = guest.sysalert(&["history", unit, "-o", "json"]);
            history.success() && history.json().as_array().is_some_and(|events| !events.is_empty())
        });
        guest.run(&["systemctl", "restart", unit]).ok();
    }
    guest.sysalert(&["disable", "--all"]).ok();
}

#[test]
fn strict_mode_of_what_sysalert_itself_needs_on_252() {
    strict_mode_of_what_sysalert_itself_needs(252);
}

#[test]
fn strict_mode_of_what_sysalert_itself_needs_on_257() {
    strict_mode_of_what_sysalert_itself_needs(257);
}

#[test]
fn every_service_is_enabled_unless_that_would_harm() {
    let guest = Guest::boot("everything", Options::new());
    guest.write_unit("plain.service", JOB);
    let before = unit_files(&guest);
    // a handler of the administrator's own, for every service: his would start ours, ours his, without end
    guest.write_file("/etc/systemd/system/service.d/50-mail.conf", "[Unit]\nOnFailure=mail@%n.service\n");
    guest.write_unit("mail@.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n");
    guest.write_unit("isolating.service", &format!("[Unit]\nOnFailureJobMode=isolate\n{DAEMON}"));
    let refused = guest.sysalert(&["enable", "--system-wide"]);
    assert!(refused.status == 1 && refused.stderr.contains("would start each other without end. Put an empty file"), "{refused}");
    assert!(
        refused.stderr.contains("isolating.service has OnFailureJobMode=isolate")
            && refused.stderr.contains("isolating.service.d/10-sysalert.conf"),
        "{refused}"
    );
    guest.sh("rm -r /etc/systemd/system/service.d /etc/systemd/system/mail@.service; mkdir /etc/systemd/system/isolating.service.d; touch /etc/systemd/system/isolating.service.d/10-sysalert.conf; systemctl daemon-reload").ok();
    guest.sysalert(&["enable", "--system-wide"]).ok();
    assert_eq!(handlers(&guest, "isolating.service"), (String::new(), String::new()), "what was advised does it");
    guest.sysalert(&["disable", "--system-wide"]).ok();
    guest.sh("rm -r /etc/systemd/system/isolating.service /etc/systemd/system/isolating.service.d; systemctl daemon-reload").ok();
    assert_eq!(unit_files(&guest), before);

    let said = guest.sysalert(&["enable", "--system-wide"]).ok();
    assert_eq!(rows(&said)[1], "every service enabled a recovery is told within a minute");
    assert_eq!(handlers(&guest, "plain.service"), handlers_of("plain.service", false));
    assert_eq!(handlers(&guest, "sysalert-dispatch.service"), (String::new(), String::new()));
    let said = guest.sysalert(&["disable", "plain"]).ok();
    assert!(
        said.contains("not enabled") && said.contains("/etc/systemd/system/plain.service.d/10-sysalert.conf leaves this one out"),
        "{said}"
    );
    guest.reboot();
    guest.run(&["systemctl", "start", "plain.service"]);
    guest.wait_until("its failure is told", || guest.journal(&["SYSALERT_UNIT=plain.service"]).contains("plain.service failed"));
    guest.sysalert(&["disable", "--system-wide"]).ok();
    assert_eq!(unit_files(&guest), before);
}

/// As in a Dockerfile, or below an image's root.
#[test]
fn without_systemd_names_are_enabled_and_the_next_boot_has_them() {
    let guest = Guest::boot("image", Options::new());
    guest.write_unit("job.service", JOB);
    let before = unit_files(&guest);
    // nobody to ask: no bus, no private socket
    let alone =
        |words: &str| guest.run(&["unshare", "-m", "bash", "-c", &format!("mount -t tmpfs none /run && sysalert {words}")]);
    let refused = alone("enable job");
    assert!(
        refused.status == 1 && refused.stderr.contains("systemd does not answer") && refused.stderr.contains("--offline"),
        "{refused}"
    );
    assert_eq!(alone("enable --offline --timers").status, 64);
    let refused = alone("enable --offline sysalert-dispatch");
    assert!(refused.stderr.contains("is sysalert's own"), "{refused}");
    assert_eq!(unit_files(&guest), before);
    let done = alone("enable --offline job");
    assert!(done.success() && done.stderr.is_empty(), "{done}");
    guest.reboot();
    assert_eq!(handlers(&guest, "job.service"), handlers_of("job.service", false));
    let done = alone("disable --offline --all");
    assert!(done.success() && done.stderr.is_empty(), "{done}");
    assert_eq!(unit_files(&guest), before);
}
