//! The product's main job: a unit fails and a mail arrives; what is known already keeps silent; a recovery is told.

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL, about};
use crate::mail::fact;

/// What an incident of a job is to be like, as (state, failures, alerts delivered).
type Expected<'a> = &'a [(&'a str, i64, i64)];

/// The tables, `db list --all -o json` and `db list -o json` say the same, and it is what is expected: the job's incidents,
/// oldest first.
#[track_caller]
fn database_says(guest: &Guest, job: &Job<'_>, expected: Expected<'_>) {
    guest.settle();
    let unit = &job.name;
    let tables = guest.rows(&format!(
        "SELECT i.*, (SELECT count(*) FROM events WHERE incident = i.id AND outcome = 'failed') AS counted,
            (SELECT count(*) FROM alerts WHERE incident = i.id) AS alerts,
            (SELECT count(*) FROM alerts a JOIN deliveries d ON d.alert = a.id WHERE a.incident = i.id AND d.status = 'sent') AS sent,
            (SELECT count(*) FROM events WHERE incident = i.id AND spoke) AS spoke,
            f.at AS last_at, f.service_result, f.exit_code, f.exit_status, f.invocation_id, l.spoke AS last_spoke
         FROM incidents i
         JOIN events f ON f.id = (SELECT max(id) FROM events WHERE incident = i.id AND outcome = 'failed')
         JOIN events l ON l.id = (SELECT max(id) FROM events WHERE incident = i.id)
         WHERE i.subject = 'unit:{unit}' ORDER BY i.id"
    ));
    let listed = guest.incidents(unit);
    let found: Vec<_> = tables
        .iter()
        .map(|row| (row["state"].as_str().unwrap(), row["failures"].as_i64().unwrap(), row["alerts"].as_i64().unwrap()))
        .collect();
    assert_eq!(found, expected, "the tables on {unit}");
    assert_eq!(listed.len(), tables.len(), "{listed:#?}");
    for (row, shown) in tables.iter().zip(&listed) {
        for (column, key) in [
            ("subject", "subject"),
            ("state", "state"),
            ("severity", "severity"),
            ("counted", "failures"),
            ("sent", "alerts"),
            ("spoke", "alerts"),
            ("service_result", "service_result"),
            ("exit_code", "exit_code"),
            ("exit_status", "exit_status"),
            ("invocation_id", "invocation_id"),
        ] {
            assert_eq!(row[column], shown[key], "{column} and {key}\n{row:#}\n{shown:#}");
        }
        assert_eq!(row["last_failure"], row["last_at"]);
        for key in ["first_failure", "last_failure"] {
            assert_eq!(row[key].as_i64(), Some(micros(&shown[key])), "{key}");
        }
        let decision = shown["decision"].as_str().unwrap();
        let word = if row["last_spoke"] == 1 { "spoke: " } else { "silent: " };
        assert!(decision.starts_with(word), "{decision}");
    }
    let open: Vec<&Value> = listed.iter().filter(|one| one["state"] != "resolved").collect();
    let now = guest.sysalert(&["db", "list", "-o", "json", "--unit", unit]).json();
    assert_eq!(now.as_array().unwrap().iter().collect::<Vec<_>>(), open);
}

/// A time as JSON has it, as the tables have it.
fn micros(time: &Value) -> i64 {
    let text = time.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text} is not UTC");
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

#[test]
fn one_mail_for_a_failure_silence_for_its_repetition_one_for_a_new_problem_and_one_for_the_recovery() {
    let guest = Guest::boot("life", Options::new().mail_server());
    guest.configure(MAIL);
    // what arrives came by the path unit, which the handler wants, and not by a timer
    guest.rest();
    let job = Job::new(&guest, "backup.service");

    job.fails(3);
    let mails = guest.wait_for_mails(1);
    let mail = &mails[0];
    assert_eq!(mail.subject, format!("backup.service failed on {}: exited with status 3", guest.name()));
    assert_eq!(fact(&mail.text, "Host"), guest.name());
    assert_eq!(fact(&mail.text, "Unit"), "backup.service");
    assert_eq!(fact(&mail.text, "Failures"), "1");
    assert_eq!(fact(&mail.text, "Severity"), "critical");
    let run = guest.property("backup.service", "InvocationID");
    let html = mail.html.as_deref().unwrap();
    for part in [mail.text.as_str(), html] {
        assert!(part.contains("exited with status 3") && part.contains(&job.words()) && part.contains(&run), "{part}");
        assert!(part.contains(guest.name()) && part.contains("backup.service"), "{part}");
    }
    assert_eq!(mail.defects, [""; 0]);
    assert!(mail.header("Content-Type").is_some_and(|kind| kind.starts_with("multipart/alternative")));
    assert_eq!(job.reason(), "first");
    let event = job.events().pop().unwrap();
    assert_eq!((event["invocation_id"].as_str(), event["exit_status"].as_str()), (Some(run.as_str()), Some("3")));
    database_says(&guest, &job, &[("open", 1, 1)]);

    for repetition in 2..=3 {
        job.fails(3);
        assert_eq!(job.reason(), "same-problem");
        let explained = job.explain();
        assert!(explained.contains("silent: the same problem as reported for"), "{explained}");
        assert!(explained.contains(&format!("open, critical; {repetition} failures since")), "{explained}");
        database_says(&guest, &job, &[("open", repetition, 1)]);
    }
    assert_eq!(guest.mails().len(), 1, "two repetitions keep silent");

    job.fails(4);
    database_says(&guest, &job, &[("open", 4, 2)]);
    let mails = guest.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].subject, format!("backup.service failed on {}: exited with status 4", guest.name()));
    assert!(fact(&mails[1].text, "Failures").starts_with("4 since "), "{}", mails[1].text);
    assert!(mails[1].text.contains(&job.words()), "{}", mails[1].text);
    assert_eq!(job.reason(), "new-problem");
    let explained = job.explain();
    assert!(explained.contains("spoke: a new problem; reported last: exited with status 3"), "{explained}");

    job.succeeds();
    database_says(&guest, &job, &[("resolved", 4, 3)]);
    let mails = guest.mails();
    assert_eq!(mails.len(), 3);
    assert_eq!(mails[2].subject, format!("backup.service recovered on {}", guest.name()));
    assert_eq!(mails[2].header("X-Sysalert-Kind"), Some("recovery"));
    assert_eq!(mails[2].defects, [""; 0]);
    let threads: Vec<_> = mails.iter().map(|mail| mail.header("References").unwrap()).collect();
    assert_eq!(threads[0], threads[2], "one thread for one incident");

    job.succeeds();
    database_says(&guest, &job, &[("resolved", 4, 3)]);
    assert_eq!(job.events().len(), 5, "a success where nothing was wrong is not recorded");

    job.fails(3);
    database_says(&guest, &job, &[("resolved", 4, 3), ("open", 1, 1)]);
    let mails = guest.mails();
    assert_eq!(mails.len(), 4);
    assert_eq!(fact(&mails[3].text, "Failures"), "1");
    assert_ne!(mails[3].header("References").unwrap(), threads[0], "a new incident is a new thread");

    job.fails(3);
    let cleared = guest.sysalert(&["db", "clear", "backup", "--yes"]).ok();
    assert_eq!(cleared, "backup.service: cleared");
    database_says(&guest, &job, &[("resolved", 4, 3), ("resolved", 2, 1)]);
    assert_eq!(guest.mails().len(), 4, "no recovery is told for what was cleared");
    assert_eq!(job.events().len(), 7, "the history stays");

    job.fails(3);
    database_says(&guest, &job, &[("resolved", 4, 3), ("resolved", 2, 1), ("open", 1, 1)]);
    let mails = guest.mails();
    assert_eq!(mails.len(), 5);
    assert_eq!(fact(&mails[4].text, "Failures"), "1");
    let ids: std::collections::BTreeSet<_> = mails.iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
    assert_eq!(ids.len(), 5, "each alert is a message of its own");
}

#[test]
fn ignored_failures_keep_quiet_and_the_next_one_tells_them_all() {
    let guest = Guest::boot("ignore", Options::new().mail_server());
    guest.configure(&format!("{MAIL}\n[unit.\"flaky-*.service\"]\nignore = 2\n[unit.\"flaky-now.service\"]\nignore = 0\n"));

    let job = Job::new(&guest, "flaky-a.service");
    for (number, status) in [(1, 3), (2, 4)] {
        job.fails(status);
        assert_eq!(job.reason(), "ignored");
        let explained = job.explain();
        assert!(explained.contains(&format!("silent: failure {number} of the 2 to ignore")), "{explained}");
        database_says(&guest, &job, &[("pending", number, 0)]);
    }
    job.fails(5);
    assert_eq!(job.reason(), "ignored-enough");
    database_says(&guest, &job, &[("open", 3, 1)]);
    let mails = guest.mails();
    assert_eq!(mails.len(), 1);
    assert!(fact(&mails[0].text, "Failures").starts_with("3 since "), "{}", mails[0].text);
    for (number, status) in [(1, 3), (2, 4), (3, 5)] {
        let tells = |part: &str| {
            let numbered = format!("{number}. ");
            part.lines().any(|line| line.contains(&numbered) && line.contains(&format!("exited with status {status}")))
        };
        assert!(tells(&mails[0].text), "{number}\n{}", mails[0].text);
        assert!(tells(mails[0].html.as_deref().unwrap()), "{number}\n{:?}", mails[0].html);
    }

    // the section of its very name wins over the glob
    let now = Job::new(&guest, "flaky-now.service");
    now.fails(3);
    database_says(&guest, &now, &[("open", 1, 1)]);

    // what recovers before anybody was told ends silently
    let brief = Job::new(&guest, "flaky-brief.service");
    brief.fails(3);
    brief.succeeds();
    assert_eq!(brief.reason(), "never-told");
    database_says(&guest, &brief, &[("resolved", 1, 0)]);

    // after `db clear` the first two are ignored again
    let cleared = Job::new(&guest, "flaky-cleared.service");
    cleared.fails(3);
    cleared.fails(3);
    guest.sysalert(&["db", "clear", "flaky-cleared.service", "--yes"]).ok();
    cleared.fails(3);
    cleared.fails(3);
    database_says(&guest, &cleared, &[("resolved", 2, 0), ("pending", 2, 0)]);
    cleared.fails(3);
    database_says(&guest, &cleared, &[("resolved", 2, 0), ("open", 3, 1)]);

    let mails = guest.mails();
    let units: Vec<_> = mails.iter().map(|mail| mail.header("X-Sysalert-Subject").unwrap()).collect();
    assert_eq!(units, ["unit:flaky-a.service", "unit:flaky-now.service", "unit:flaky-cleared.service"]);
    assert!(fact(&mails[2].text, "Failures").starts_with("3 since "), "the cleared ones count no more\n{}", mails[2].text);
}

#[test]
fn an_earlier_problem_speaks_again_only_when_min_interval_is_over() {
    let guest = Guest::boot("interval", Options::new().mail_server());
    guest.configure(&format!("{MAIL}\n[unit.\"swinging.service\"]\nmin_interval = \"4s\"\n"));
    let job = Job::new(&guest, "swinging.service");
    job.fails(3);
    job.fails(4);
    assert_eq!(job.reason(), "new-problem", "a new problem never waits");
    job.fails(3);
    assert_eq!(job.reason(), "too-soon");
    let explained = job.explain();
    assert!(explained.contains("silent: reported before, and `min_interval` lasts until"), "{explained}");
    guest.wait_until("the earlier problem speaks again", || {
        job.fails(3);
        job.reason() != "too-soon"
    });
    assert_eq!(job.reason(), "returned");
    let events = job.events();
    let told = events[1]["at"].as_i64().unwrap();
    for event in &events[2..] {
        let within = event["at"].as_i64().unwrap() < told + 4_000_000;
        assert_eq!(event["spoke"] == 0, within, "silent within the 4 s, and only then: {event:#}");
    }
    guest.settle();
    let subjects: Vec<_> = guest.mails().iter().map(|mail| mail.subject.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(subjects, ["3", "4", "3"], "the statuses of the mails");
}

#[test]
fn every_configured_recipient_gets_it_and_a_units_own_replace_them() {
    let guest = Guest::boot("to", Options::new().mail_server());
    let mail = MAIL.replace(r#"["ops@example.org"]"#, r#"["ops@example.org", "Jo Doe <jo@example.org>"]"#);
    guest.configure(&format!("{mail}\n[unit.\"db-*.service\"]\nto = [\"dba@example.org\"]\n"));
    let plain = Job::new(&guest, "plain.service");
    plain.fails(3);
    let own = Job::new(&guest, "db-main.service");
    own.fails(3);
    // the server files one copy for each recipient
    guest.settle();
    let mails = guest.wait_for_mails(3);
    let plain = about(&mails, "plain.service");
    let mut envelope: Vec<_> = plain.iter().map(|mail| mail.header("Envelope-to").unwrap()).collect();
    envelope.sort_unstable();
    assert_eq!(envelope, ["jo@example.org", "ops@example.org"]);
    for mail in &plain {
        let to = mail.header("To").unwrap();
        assert!(to.contains("ops@example.org") && to.contains("Jo Doe") && to.contains("<jo@example.org>"), "{to}");
        assert_eq!(mail.header("Message-ID"), plain[0].header("Message-ID"));
    }
    let own = about(&mails, "db-main.service");
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].header("To"), own[0].header("Envelope-to")), (Some("dba@example.org"), Some("dba@example.org")));
}

/// Of a process that is gone at once the journal often knows the unit, but not the run (systemd-facts 7): some of these are
/// such runs.
#[test]
fn the_last_lines_are_those_of_the_very_run_however_short_it_was() {
    let guest = Guest::boot("excerpt", Options::new().mail_server());
    guest.configure(&format!("{MAIL}\n[policy]\nrecovery = false\n"));
    let mut expected = Vec::new();
    for number in 1..=8 {
        let job = Job::new(&guest, &format!("short-{number}.service"));
        for status in 1..=2 {
            job.fails(status);
            expected.push((job.name.clone(), status, job.words()));
        }
    }
    guest.settle();
    let mails = guest.wait_for_mails(expected.len());
    for (unit, status, words) in &expected {
        let ending = format!("status {status}");
        let mine: Vec<_> = about(&mails, unit).into_iter().filter(|mail| mail.subject.ends_with(&ending)).collect();
        assert_eq!(mine.len(), 1, "{unit} {status}");
        let spoken: Vec<_> = mine[0].text.lines().filter(|line| line.contains("words of run")).collect();
        assert_eq!(spoken.len(), 1, "its own words and nobody else's\n{}", mine[0].text);
        assert!(spoken[0].ends_with(words.as_str()), "{words}\n{}", mine[0].text);
    }
}
