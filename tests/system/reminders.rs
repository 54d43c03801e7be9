//! What time makes due: reminders until somebody acknowledges, escalation, the end of a silence and of quiet hours.

use std::time::Duration;

use chrono::{NaiveTime, TimeDelta};

use crate::alerts::Alert;
use crate::guest::{Guest, Options};
use crate::jobs::Job;

const PHONE: &str = "[method.phone]\nplugin = \"file\"\npath = \"/var/log/sysalert/phone.json\"\n";

/// One run of dispatch, as its timer starts it.
#[track_caller]
fn dispatch(guest: &Guest) {
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
}

/// Lets dispatch run until so many alerts about this unit were written.
#[track_caller]
fn wait_for(guest: &Guest, unit: &str, count: usize) -> Vec<Alert> {
    let of_unit = || guest.alerts().into_iter().filter(|alert| alert.unit == unit).collect::<Vec<_>>();
    guest.wait_until(&format!("{count} alerts about {unit}"), || {
        dispatch(guest);
        of_unit().len() >= count
    });
    of_unit()
}

fn kinds(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.kind.as_str()).collect()
}

fn reminders(systemd: u32) {
    let guest = Guest::boot_on(systemd, "reminders", Options::new());
    guest.begin("[policy]\nremind = \"1s\"\n");
    let nothing = guest.sysalert(&["ack", "backup"]);
    assert!(!nothing.success() && nothing.stderr.contains("nothing was ever recorded for backup.service"), "{nothing}");

    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    let told = wait_for(&guest, &job.name, 3);
    assert_eq!(kinds(&told[..3]), ["failure", "reminder", "reminder"]);
    let reminder = &told[1];
    assert!(reminder.subject.starts_with("backup.service is still failing, for "), "{}", reminder.subject);
    assert!(reminder.text.contains(&job.words()), "it shows the run's lines\n{}", reminder.text);
    assert!(reminder.text.contains("\n    sysalert ack backup.service\n"), "and how to end it\n{}", reminder.text);
    assert_eq!((reminder.fact("Told before"), told[2].fact("Told before")), ("once", "2 times"));

    guest.quiet();
    let said = guest.sh("SUDO_USER=alice sysalert ack backup --reason 'the disk is on its way'").ok();
    assert!(said.starts_with("backup.service is acknowledged by alice: the disk is on its way.\n"), "{said}");
    let reminders = || guest.alerts().iter().filter(|alert| alert.kind == "reminder").count();
    let before = reminders();
    guest.run(&["sleep", "1.2"]).ok();
    guest.look_again();
    assert_eq!(reminders(), before, "somebody knows");
    for verb in [&["status"][..], &["db", "list"], &["history", "backup"], &["explain", "backup"]] {
        let shown = guest.sysalert(verb).ok();
        assert!(shown.contains("acknowledged by alice: the disk is on its way"), "{verb:?}\n{shown}");
    }
    job.fails(3);
    assert_eq!(job.reason(), "same-problem");
    job.fails(4);
    assert_eq!(job.reason(), "new-problem");
    // what is not told when it recovers is told with that, in one message
    guest.quiet();
    job.succeeds();
    guest.quiet();
    let told = guest.alerts();
    assert_eq!(kinds(&told[1 + before..]), ["failure", "recovery"], "what is new is told");

    // it was of that incident alone
    job.fails(3);
    let told = wait_for(&guest, &job.name, 5 + before);
    assert_eq!(kinds(&told[3 + before..5 + before]), ["failure", "reminder"]);
}

#[test]
fn what_fails_is_told_again_until_somebody_acknowledges_it() {
    reminders(252);
}

#[test]
fn what_fails_is_told_again_until_somebody_acknowledges_it_on_systemd_257() {
    reminders(257);
}

#[test]
fn when_nobody_acknowledges_others_are_told_and_hear_of_the_recovery() {
    let guest = Guest::boot("escalation", Options::new());
    guest.begin(&format!("{PHONE}[policy]\nmethods = [\"log\"]\nescalate_to = [\"phone\"]\nescalate_after = \"1s\"\n"));
    let phone = || guest.sh("cat /var/log/sysalert/phone.json 2>/dev/null || true").ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.wait_until("the phone is told", || {
        dispatch(&guest);
        !phone().is_empty()
    });
    assert!(phone().contains("Nobody has acknowledged it within 1s, and so you are told as well."), "{}", phone());
    guest.run(&["sleep", "1.2"]).ok();
    guest.look_again();
    job.succeeds();
    guest.quiet();
    assert_eq!(phone().lines().count(), 2, "once, and its recovery\n{}", phone());
    assert_eq!(kinds(&guest.alerts()), ["failure", "recovery"]);
}

#[test]
fn what_a_silence_holds_is_told_when_it_ends() {
    let guest = Guest::boot("silence", Options::new());
    guest.begin("");
    let (web, brief) = (Job::new(&guest, "web-1.service"), Job::new(&guest, "web-2.service"));
    let said = guest.sysalert(&["silence", "web-*", "--for", "1h", "--reason", "a new disk"]).ok();
    assert!(said.starts_with("web-* is silenced until ") && said.contains("No unit on record has such a name yet."), "{said}");
    web.fails(3);
    brief.fails(3);
    brief.succeeds();
    guest.look_again();
    assert_eq!((web.reason().as_str(), guest.alerts().len()), ("silenced", 0));
    let status = guest.sysalert(&["status"]).ok();
    assert!(status.contains("\nSilenced:\n") && status.contains("a new disk"), "{status}");
    assert!(web.explain().contains(" by root: a new disk; it is reported then, if it is not over"), "{}", web.explain());

    // it is told at once: the path unit starts dispatch
    guest.sysalert(&["unsilence", "web-*"]).ok();
    guest.wait_until("what is not over is told", || guest.alerts().len() == 1);
    let again = guest.sysalert(&["unsilence", "web-*"]);
    assert!(!again.success() && again.stderr.contains("web-* is not silenced"), "{again}");

    guest.sysalert(&["silence", "late", "--for", "2s"]).ok();
    let late = Job::new(&guest, "late.service");
    late.fails(3);
    assert_eq!(late.reason(), "silenced");
    wait_for(&guest, &late.name, 1);
    assert_eq!(guest.told("web-2.service"), [""; 0], "it was over by then");
    let nobody = guest.run_as("nobody", &["sysalert", "silence", "*", "--for", "1h"]);
    assert_eq!(nobody.status, 77, "{nobody}");
}

#[test]
fn what_is_not_critical_waits_for_the_end_of_quiet_hours_and_is_one_message() {
    let guest = Guest::boot("quiet", Options::new());
    let clock = guest.run(&["date", "+%H:%M:%S"]).ok();
    let now = NaiveTime::parse_from_str(clock.trim(), "%H:%M:%S").unwrap();
    let time = |seconds| (now + TimeDelta::seconds(seconds)).format("%H:%M").to_string();
    // the end of this minute or the next, at least twenty seconds from now
    let quiet = format!("{}-{}", time(-60), time(80));
    guest.begin(&format!(
        "{PHONE}severities = [\"critical\"]\n[policy]\nseverity = \"warning\"\nquiet = \"{quiet}\"\n\
         [unit.\"db.service\"]\nseverity = \"critical\"\n"
    ));
    let jobs = ["a.service", "b.service", "db.service"].map(|name| Job::new(&guest, name));
    jobs.iter().for_each(|job| job.fails(3));
    guest.wait_until("what is critical is told at once", || guest.alerts().len() == 1);
    assert_eq!(guest.alerts()[0].unit, "db.service");
    let list = guest.sysalert(&["outbox", "list"]).ok();
    assert_eq!(list.matches("quiet hours until ").count(), 2, "{list}");
    guest.wait_at_most(Duration::from_secs(120), "the quiet hours are over", || {
        dispatch(&guest);
        guest.alerts().len() > 1
    });
    guest.quiet();
    let told = guest.alerts();
    assert_eq!(kinds(&told), ["failure", "digest"], "quiet = {quiet}, from {clock}");
    assert_eq!(told[1].subject, "2 units failed in quiet hours");
    let phone = guest.read_file("/var/log/sysalert/phone.json");
    assert!(phone.lines().count() == 1 && phone.contains("db.service"), "{phone}");
}
