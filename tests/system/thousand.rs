//! A thousand units fail at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::guest::{Guest, Options};

const UNITS: usize = 1000;
/// Many times what it takes on an idle machine.
const LIMIT: Duration = Duration::from_secs(150);

#[test]
fn a_thousand_failing_units_are_all_recorded() {
    let guest = Guest::boot("thousand", Options::new());
    guest.configure("[method.log]\nplugin = \"file\"\npath = \"/var/log/sysalert/alerts.json\"\n");
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
