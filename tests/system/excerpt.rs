//! The excerpt: all of the run's lines wherever the journal keeps them, and kept with the alert.

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL, about};
use crate::mail::Mail;

/// A daemon that says "early", and when the file /run/go appears "late", and fails.
const DAEMON: &str = "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\n\
    ExecStart=/bin/sh -c 'echo early words; until test -e /run/go; do sleep 0.1; done; echo late words; exit 3'\n";

fn started(guest: &Guest, unit: &str) {
    guest.write_unit(unit, DAEMON);
    guest.run(&["systemctl", "start", unit]).ok();
    guest.wait_until("it has spoken", || guest.journal(&["-u", unit]).contains("early words"));
}

#[track_caller]
fn only_mail(guest: &Guest, unit: &str) -> Mail {
    guest.wait_for_mails(1);
    guest.settle();
    let mails = guest.mails();
    let mine = about(&mails, unit);
    assert_eq!(mine.len(), 1, "{mine:#?}");
    mine[0].clone()
}

#[test]
fn a_run_that_began_days_ago_is_found_in_the_archived_files() {
    let guest = Guest::boot("archived", Options::new().mail_server());
    guest.configure(MAIL);
    started(&guest, "daemon.service");
    // in an archived file that nobody has written to since
    guest.sh("journalctl --rotate; touch -d '3 days ago' /var/log/journal/*/*@*.journal; touch /run/go").ok();
    let mail = only_mail(&guest, "daemon.service");
    assert!(mail.text.contains("early words") && mail.text.contains("late words"), "{}", mail.text);
    assert!(!mail.text.contains("may be missing"), "{}", mail.text);
}

#[test]
fn in_a_large_journal_the_beginning_is_not_looked_for_without_an_end() {
    let guest = Guest::boot("large", Options::new().mail_server());
    guest.configure(MAIL);
    started(&guest, "daemon.service");
    // twenty files that know nothing of it lie between
    guest
        .sh("journalctl --rotate; cd /var/log/journal/*; early=$(echo system@*.journal)
        logger nothing; journalctl --sync; journalctl --rotate
        # copies, for journald may still be closing the files, which would be their last change
        cp -a $early ../early; rm $early; cp -a system@*.journal ../nothing; rm system@*.journal; mv ../early $early
        touch -d '3 days ago' $early; touch -d '2 days ago' ../nothing
        for number in $(seq 20); do ln ../nothing system@$(printf %032x-%016x-%016x 2 $number 1).journal; done
        touch /run/go")
        .ok();
    let mail = only_mail(&guest, "daemon.service");
    assert!(!mail.text.contains("early words") && mail.text.contains("late words"), "{}", mail.text);
    let note = "Lines may be missing: the journal was not searched as far back as this run may have begun.";
    assert!(mail.text.contains(note), "{}", mail.text);
    assert!(!mail.text.contains("\nRan  "), "nobody knows since when: {}", mail.text);
}

#[test]
fn where_the_journal_has_lost_the_beginning_the_message_says_so() {
    let guest = Guest::boot("vacuumed", Options::new().mail_server());
    guest.configure(MAIL);
    started(&guest, "daemon.service");
    guest.sh("journalctl --rotate; rm /var/log/journal/*/*@*.journal; touch /run/go").ok();
    let mail = only_mail(&guest, "daemon.service");
    assert!(!mail.text.contains("early words") && mail.text.contains("late words"), "{}", mail.text);
    assert!(mail.text.contains("Lines may be missing: the journal has no beginning of this run."), "{}", mail.text);
}

#[test]
fn a_late_delivery_still_has_the_lines_of_then() {
    let guest = Guest::boot("kept", Options::new().mail_server());
    guest.configure(MAIL);
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    let tried = "SELECT count(*) FROM outbox WHERE attempts > 0 AND lease IS NULL";
    guest.wait_until("the first try has met nobody", || guest.number(tried) == 1);
    // the journal forgets
    guest.sh("journalctl --rotate; rm /var/log/journal/*/*@*.journal").ok();
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    guest.hurry();
    let mail = only_mail(&guest, "backup.service");
    assert!(mail.text.contains(&job.words()), "{}", mail.text);
}

/// Nobody but the trigger knows of the failure then.
#[test]
fn without_a_journal_the_triggers_words_are_told() {
    let guest = Guest::boot("nojournal", Options::new().mail_server().quick_timer());
    guest.configure(MAIL);
    let job = Job::new(&guest, "backup.service");
    guest
        .run(&[
            "systemctl",
            "mask",
            "--now",
            "--runtime",
            "systemd-journald.socket",
            "systemd-journald-dev-log.socket",
            "systemd-journald-audit.socket",
            "systemd-journald.service",
        ])
        .ok();
    job.start(7);
    let mail = only_mail(&guest, "backup.service");
    assert_eq!(mail.subject, format!("backup.service failed on {}: exited with status 7", guest.name()));
    let (id, run) = (guest.property("backup.service", "InvocationID"), job.events()[0]["invocation_id"].clone());
    assert_eq!(run, id);
}

#[test]
fn what_a_run_writes_is_shown_and_does_nothing_and_its_secrets_stay() {
    let guest = Guest::boot("hostile", Options::new().mail_server());
    guest.configure(MAIL);
    let unit = "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\nType=oneshot\nExecStart=/usr/bin/printf \
        '\\033[2Jcleared\\nnot \\377 UTF-8\\nPGPASSWORD=hunter2 pg_dump\\nAuthorization: Bearer abcdef0123456789abcdef\\n'\nExecStart=/bin/false\n";
    guest.write_unit("hostile.service", unit);
    assert!(!guest.run(&["systemctl", "start", "hostile.service"]).success());
    let mail = only_mail(&guest, "hostile.service");
    let html = mail.html.clone().unwrap_or_default();
    for part in [&mail.text, &html] {
        assert!(part.contains("\\u{1b}[2Jcleared") && part.contains("not \\xff UTF-8"), "{part}");
        assert!(part.contains("2 secrets were removed"), "{part}");
        assert!(!part.contains('\u{1b}') && !part.contains("hunter2") && !part.contains("abcdef0123456789"), "{part}");
    }
    let kept = guest.rows("SELECT context FROM alerts")[0]["context"].to_string();
    assert!(kept.contains("cleared") && !kept.contains("hunter2") && !kept.contains("abcdef0123456789"), "{kept}");
}
