//! The override for every service of the machine: it boots, nothing turns in a circle, and a broken boot is reported.

use std::collections::BTreeSet;

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL, about};

/// Puts the documentation's override into place before the boot, as `sysalert enable --system-wide` will do.
fn with_override(options: Options) -> Options {
    options.prepare(r#"cp -r "$ROOT"/usr/share/doc/sysalert/overrides/service.d "$ROOT"/etc/systemd/system/"#)
}

/// A configuration that is there before the boot, with the owner that it should have.
fn configured(options: Options) -> Options {
    let own = r#"chgrp "$(sed -n 's/^sysalert:x:\([0-9]*\):.*/\1/p' "$ROOT"/etc/group)" "$ROOT"/etc/sysalert/sysalert.toml; chmod 0640 "$ROOT"/etc/sysalert/sysalert.toml"#;
    options.file("/etc/sysalert/sysalert.toml", MAIL).prepare(own)
}

/// A service that fails early in the boot, and that sysinit.target pulls in this way.
fn with_early_trouble(options: Options, pulled_in: &str) -> Options {
    // before the journal runs, nobody keeps what PID 1 says of a unit
    let unit = "[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\nAfter=systemd-journald.service\n\
        [Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo run >>/run/early-runs; echo early trouble; exit 3'\n";
    options
        .file("/etc/systemd/system/early.service", unit)
        .file("/etc/systemd/system/sysinit.target.d/early.conf", &format!("[Unit]\n{pulled_in}=early.service\n"))
}

/// Every start of a failure handler so far, by instance.
#[track_caller]
fn handler_starts(guest: &Guest) -> Vec<String> {
    guest.run(&["journalctl", "--sync"]).ok();
    let started = "journalctl -b --no-pager -q -o json --output-fields=UNIT _PID=1 MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5";
    let lines = guest.sh(started).ok();
    let units = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let names = units.filter_map(|unit| Some(unit["UNIT"].as_str()?.strip_prefix("sysalert-failure@")?.to_owned()));
    names.map(|name| name.trim_end_matches(".service").to_owned() + ".service").collect()
}

/// The targets that are reached.
#[track_caller]
fn targets(guest: &Guest) -> String {
    guest.sh("systemctl list-units --type=target --state=active --plain --no-legend | awk '{print $1}' | sort").ok()
}

#[test]
fn the_machine_boots_and_every_service_is_watched() {
    let guest = Guest::boot("wide", configured(with_override(Options::new().mail_server())));
    assert_eq!(guest.sh("systemctl is-system-running").ok(), "running");
    assert_eq!(guest.property("multi-user.target", "ActiveState"), "active");
    assert_eq!(handler_starts(&guest), [""; 0], "nothing failed");

    // a service that knows nothing of sysalert
    guest.write_unit("plain.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo nobody asked for me; exit 3'\n");
    guest.run(&["systemctl", "start", "plain.service"]);
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails[0].header("X-Sysalert-Subject"), Some("unit:plain.service"));
    assert!(mails[0].text.contains("nobody asked for me"), "{}", mails[0].text);

    // one with the example for one service: the drop-in of the same name takes the place of the override
    let job = Job::new(&guest, "backup.service");
    assert_eq!(guest.property("backup.service", "OnFailure"), "sysalert-failure@backup.service.service");
    job.fails(3);
    guest.wait_for_mails(2);
    job.succeeds();
    guest.settle();
    let mails = guest.wait_for_mails(3);
    assert_eq!(about(&mails, "backup.service").len(), 2);
    // its own handler runs as well
    guest.write_unit("note.service", "[Service]\nType=oneshot\nExecStart=/bin/touch /run/noted\n");
    guest.write_unit("own.service", "[Unit]\nOnFailure=note.service\n[Service]\nType=oneshot\nExecStart=/bin/false\n");
    guest.run(&["systemctl", "start", "own.service"]);
    guest.wait_until("the service's own handler has run", || guest.exists("/run/noted"));
    guest.wait_for_mails(4);
}

#[test]
fn a_handler_that_fails_starts_no_handler() {
    let guest = Guest::boot("loop", configured(with_override(Options::new().mail_server())));
    // the handler of one unit is broken, and so, for a while, is dispatch
    guest.write_unit(
        "sysalert-failure@.service.d/90-broken.conf",
        "[Service]\nExecStart=\nExecStart=/bin/sh -c 'test %i != unlucky.service && exec /usr/bin/sysalert failure -- %i'\n",
    );
    guest.write_unit("unlucky.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    guest.write_unit("lucky.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    guest.run(&["systemctl", "start", "unlucky.service"]);
    guest.wait_until("its handler has failed", || {
        guest.journal(&["_PID=1", "UNIT=sysalert-failure@unlucky.service.service"]).contains("Failed with result")
    });
    guest.run(&["systemctl", "start", "lucky.service"]);
    guest.wait_for_mails(1);
    assert_eq!(handler_starts(&guest), ["unlucky.service", "lucky.service"]);

    guest.write_unit("sysalert-dispatch.service.d/90-broken.conf", "[Service]\nExecStart=\nExecStart=/bin/false\n");
    let failed = || guest.journal(&["_PID=1", "UNIT=sysalert-dispatch.service"]).matches("Failed with result").count();
    guest.write_unit("third.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    guest.run(&["systemctl", "start", "third.service"]);
    guest.wait_until("dispatch has failed several times", || {
        // each time it is woken; the first time by the handler
        guest.run_as("sysalert", &["touch", "/run/sysalert/pending"]).ok();
        failed() >= 3
    });
    let mut started = handler_starts(&guest);
    started.dedup();
    assert_eq!(started, ["unlucky.service", "lucky.service", "third.service"], "no handler for sysalert itself");
    let units: Vec<_> =
        guest.rows("SELECT DISTINCT subject FROM events ORDER BY id").iter().map(|row| row["subject"].to_string()).collect();
    assert_eq!(units, [r#""unit:lucky.service""#, r#""unit:third.service""#]);

    guest.sh("rm -r /etc/systemd/system/sysalert-dispatch.service.d && systemctl daemon-reload && systemctl reset-failed 'sysalert-*' && systemctl start sysalert-dispatch.service").ok();
    let mails = guest.wait_for_mails(2);
    assert_eq!(mails[1].header("X-Sysalert-Subject"), Some("unit:third.service"));
}

/// With a unit that sysinit.target requires no system reaches multi-user.target. With sysalert it gets exactly as far as
/// without, and tells why. (Handlers with the default dependencies would keep PID 1 busy for ever: systemd-facts 0.)
#[test]
fn a_broken_unit_that_sysinit_requires_stops_the_boot_no_further_than_without_sysalert_and_is_reported() {
    let without = Guest::boot("bare", with_early_trouble(Options::new().mail_server(), "Requires"));
    let with = Guest::boot("early", with_early_trouble(configured(with_override(Options::new().mail_server())), "Requires"));
    assert_eq!(without.property("early.service", "ActiveState"), "failed");
    assert_eq!(with.property("early.service", "ActiveState"), "failed");
    assert_eq!(targets(&with), targets(&without));
    assert!(targets(&with).contains("paths.target") && !targets(&with).contains("sysinit.target"), "{}", targets(&with));
    assert_eq!(with.read_file("/run/early-runs"), "run\n", "it is not started again by a handler");

    with.wait_until("the failure is recorded", || {
        with.number("SELECT count(*) FROM events WHERE subject = 'unit:early.service'") == 1
    });
    with.settle();
    with.wait_until("no job is left", || with.sh("systemctl list-jobs --no-legend").ok().is_empty());
    let starts = handler_starts(&with);
    let instances: BTreeSet<&String> = starts.iter().collect();
    assert_eq!(instances.len(), starts.len(), "one run for each unit: {starts:?}");
    assert!(starts.len() <= 15, "{starts:?}");
    assert!(!starts.iter().any(|unit| unit.starts_with("sysalert")), "{starts:?}");
    assert_eq!(with.number("SELECT count(*) FROM events"), i64::try_from(starts.len()).unwrap(), "each run recorded one event");

    let mails = with.mails();
    let early = about(&mails, "early.service");
    assert_eq!(early.len(), 1);
    assert!(early[0].subject.contains("exited with status 3") && early[0].text.contains("early trouble"), "{}", early[0].text);
    // dbus.service is among them, so that nobody can be asked which dependency it was
    let dependents = mails.iter().filter(|mail| mail.subject.contains("because a dependency failed")).count();
    let subjects = || mails.iter().map(|mail| &mail.subject).collect::<Vec<_>>();
    assert_eq!(dependents, mails.len() - 1, "the others are those that waited for it: {:#?}", subjects());
}

#[test]
fn a_broken_unit_that_sysinit_wants_is_reported_and_the_machine_boots() {
    let guest = Guest::boot("wanted", with_early_trouble(configured(with_override(Options::new().mail_server())), "Wants"));
    assert_eq!(guest.property("multi-user.target", "ActiveState"), "active");
    assert_eq!(guest.sh("systemctl is-system-running || true").ok(), "degraded");
    assert_eq!(guest.read_file("/run/early-runs"), "run\n", "no handler pulled sysinit.target in again");
    let mails = guest.wait_for_mails(1);
    guest.settle();
    assert_eq!(handler_starts(&guest), ["early.service"]);
    assert_eq!(mails[0].header("X-Sysalert-Subject"), Some("unit:early.service"));
    assert!(mails[0].text.contains("early trouble"), "{}", mails[0].text);
    assert_eq!(guest.mails().len(), 1);
}
