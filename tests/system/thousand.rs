//! A thousand units fail at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::guest::{Guest, Options};
use crate::jobs::{LOG, MAIL};

const UNITS: usize = 1000;
/// Many times what it takes on an idle machine.
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn a_thousand_failing_units_are_all_recorded() {
    let guest = Guest::boot("thousand", Options::new());
    guest.configure(LOG);
    guest.write_file(
        "/etc/systemd/system/f@.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/false\n",
    );
    let example = "/usr/share/doc/sysalert/overrides/NAME.service.d/10-sysalert.conf";
    guest.run(&["install", "-D", "-m", "0644", "-t", "/etc/systemd/system/f@.service.d", example]).ok();
    guest.run(&["systemctl", "daemon-reload"]).ok();

    let begun = Instant::now();
    guest.sh(&format!("systemctl start --no-block f@{{1..{UNITS}}}.service")).ok();
    let recorded = || guest.number("SELECT count(DISTINCT subject) FROM events");
    guest.wait_at_most(LIMIT, "all are recorded", || recorded() == UNITS as i64);
    let all_recorded = begun.elapsed();
    // the handlers that are still to end, and dispatch
    let running =
        "systemctl list-units --no-legend --plain --state=activating 'sysalert-*@*' 'f@*'; systemctl list-jobs --no-legend";
    guest.wait_at_most(LIMIT, "all handlers have ended", || !guest.sh(running).ok().contains('@'));
    let all_ended = begun.elapsed();

    // what systemd itself says of the failures, and what is on record
    let failed = "MESSAGE_ID=d9b373ed55a64feb8242e02dbe79a49c";
    let script = format!("journalctl --sync; journalctl -q -o json --output-fields=UNIT,INVOCATION_ID _PID=1 {failed}");
    let told: BTreeSet<String> = guest
        .sh(&script)
        .ok()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|message| message["UNIT"].as_str().unwrap().starts_with("f@"))
        .map(|message| format!("unit:{} {}", message["UNIT"].as_str().unwrap(), message["INVOCATION_ID"].as_str().unwrap()))
        .collect();
    assert_eq!(told.len(), UNITS, "systemd's own messages");
    let rows = guest.rows("SELECT subject || ' ' || coalesce(invocation_id, 'unknown') AS it FROM events");
    let known: Vec<String> = rows.iter().map(|row| row["it"].as_str().unwrap().to_owned()).collect();
    assert_eq!(known.len(), UNITS, "each once");
    assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), told);

    let ours = guest.run(&["systemctl", "list-units", "--failed", "--no-legend", "--plain", "sysalert-*"]).ok();
    assert_eq!(ours, "", "no handler failed");
    let said = guest.journal(&[failed, "_PID=1"]);
    assert!(!said.contains("sysalert-"), "{said}");
    let complaints = guest.journal(&["-t", "sysalert", "-p", "warning"]);
    assert_eq!(complaints, "", "what sysalert itself said");
    assert_eq!(guest.sysalert(&["db", "check"]).ok(), "The database is whole.");
    eprintln!("{UNITS} units failed at once: all recorded after {all_recorded:.1?}, all handlers gone after {all_ended:.1?}");
}

/// So many of them wait for a unit that fails; the others fail by themselves.
const WAITING: usize = 900;

#[test]
fn a_thousand_failing_units_are_a_handful_of_mails_with_the_cause_first() {
    let guest = Guest::boot("flood", Options::new().mail_server());
    guest.configure(MAIL);
    // the record begins: what failed just before that is no news
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    let watched = "[Unit]\nOnFailure=sysalert-failure@%n.service\n";
    guest.write_unit(
        "db.service",
        &format!("{watched}[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no disk; sleep 1; exit 5'\n"),
    );
    guest.write_unit(
        "web@.service",
        &format!("{watched}Requires=db.service\nAfter=db.service\n[Service]\nExecStart=/bin/sleep 99\n"),
    );
    guest.write_unit("own@.service", &format!("{watched}[Service]\nType=oneshot\nExecStart=/bin/false\n"));
    let begun = Instant::now();
    guest.sh(&format!("systemctl start --no-block web@{{1..{WAITING}}}.service own@{{1..{}}}.service", UNITS - WAITING)).ok();
    let known = UNITS as i64 + 1;
    guest.wait_at_most(LIMIT, "all are recorded", || guest.number("SELECT count(DISTINCT subject) FROM events") == known);
    let open = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM events WHERE reason IS NULL)";
    guest.wait_at_most(LIMIT, "everything is told", || guest.number(open) == 0);
    let took = begun.elapsed();

    let mails = guest.mails();
    let kind = |kind: &str| mails.iter().filter(|mail| mail.header("X-Sysalert-Kind") == Some(kind)).collect::<Vec<_>>();
    let (single, digests) = (kind("failure"), kind("digest"));
    assert!(single.len() <= 10, "{} single mails", single.len());
    let intervals = usize::try_from(took.as_secs() / 30).unwrap() + 1;
    assert!((1..=intervals).contains(&digests.len()), "{} digests within {took:?}", digests.len());
    assert_eq!(single.len() + digests.len(), mails.len());
    for digest in &digests {
        assert!(digest.subject.ends_with("of them because db.service failed"), "{}", digest.subject);
        let lines: Vec<&str> = digest.text.lines().collect();
        let begin = lines.iter().position(|line| *line == "What failed:").unwrap();
        assert!(lines[begin + 1].contains("db.service"), "the cause comes first: {}", lines[begin + 1]);
        assert!(lines[begin + 2].contains("not started because of it: web@"), "{}", lines[begin + 2]);
        // a page to read, and not a thousand lines
        assert!(lines.len() < 90 && digest.text.len() < 10_000, "{} lines\n{}", lines.len(), digest.text);
    }
    let with_cause = "SELECT count(DISTINCT subject) FROM events WHERE service_result = 'dependency' AND cause = 'db.service'";
    assert_eq!(guest.number(with_cause), WAITING as i64, "of each that waited the cause is known");
    let told = "SELECT count(DISTINCT incident) FROM alerts a JOIN deliveries d ON d.alert = a.id WHERE d.status = 'sent'";
    assert_eq!(guest.number(told), known, "each is told");
    let ours = guest.run(&["systemctl", "list-units", "--failed", "--no-legend", "--plain", "sysalert-*"]).ok();
    assert_eq!(ours, "", "no handler failed");
    eprintln!("{known} units: {} single mails and {} digests within {took:.1?}", single.len(), digests.len());
    eprintln!("{}", digests[0].text);
}
