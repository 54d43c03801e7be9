//! Polled services: a table of what a unit can be when somebody looks, and the messages that come of it, and no others. All rows
//! share one guest; none of their units has a handler unless its file says so.

mod alone;
mod rows;
mod users;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::guest::{Guest, Options};

/// A row of the table.
struct Row {
    /// What it is about.
    name: &'static str,
    /// The units and what is in their files; a text that begins with no section is that of `[Service]`.
    units: &'static [(&'static str, &'static str)],
    /// Shell commands, each with the messages that come of it: their subjects, without the host. What comes of one is there
    /// before the next. The first ones run before the services are polled for the first time.
    steps: &'static [(&'static str, &'static [&'static str])],
}

/// What is polled: names and globs. `one-*` and `many-*` are the rows' own.
const CONFIG: &str = r#"
[policy]
recovery_hold = "1s"
[services]
grace_after_boot = "0s"
remind = "never"
units = [
    "one-*.service", "one-*.socket", "one-*.target", "mnt-one*.mount", "none-*.service", "listed.service", "list*.service", "other-name.service",
    "systemd-jurnald.service", "xyzzy-plugh.service", "gone.service", "masked.service", "mistake.service", "never.service",
    "waits.service", "soon.service", "disabled.service", "removed.service", "one-ends.service", "one-term.service",
]
[unit."one-brief.service"]
recovery_hold = "8s"
[unit."one-hangs-*"]
stuck_after = "1s"
"#;

/// The messages so far of each unit.
fn told(guest: &Guest) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for alert in guest.alerts() {
        // how a process ended that systemd ended depends on who saw it first
        told.entry(alert.unit).or_default().push(alert.subject.replace(" (killed by SIGTERM)", ""));
    }
    told
}

/// The message's unit: its first word.
fn unit_of(message: &str) -> String {
    message.split(' ').next().unwrap_or_default().to_owned()
}

/// What is not as the table has it after so many rounds; empty when all is well.
fn differences(guest: &Guest, table: &[&Row], rounds: usize) -> String {
    let mut found = told(guest);
    let mut wrong = String::new();
    for row in table {
        let expected: Vec<&str> = row.steps.iter().take(rounds).flat_map(|(_, messages)| messages.iter().copied()).collect();
        let mut units: Vec<String> = row.units.iter().map(|(name, _)| (*name).to_owned()).collect();
        units.extend(expected.iter().map(|message| unit_of(message)));
        units.sort();
        units.dedup();
        let mut told: Vec<String> = units.iter().filter_map(|unit| found.remove(unit)).flatten().collect();
        let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        told.sort();
        expected.sort();
        if told != expected {
            writeln!(wrong, "{}\n  expected {expected:#?}\n  found {told:#?}", row.name).unwrap();
        }
    }
    if !found.is_empty() {
        writeln!(wrong, "what no row is about: {found:#?}").unwrap();
    }
    wrong
}

impl Guest {
    /// The services are polled, as the timer does it.
    #[track_caller]
    fn poll(&self) {
        self.run(&["systemctl", "start", "sysalert-check@services.service"]).ok();
    }

    /// Installs the files of a table's units.
    #[track_caller]
    fn install(&self, units: impl Iterator<Item = &'static (&'static str, &'static str)>) {
        let mut files = String::new();
        for (name, content) in units {
            let section = if content.starts_with('[') { "" } else { "[Service]\n" };
            writeln!(files, "cat >'/etc/systemd/system/{name}' <<'END OF UNIT'\n{section}{content}\nEND OF UNIT").unwrap();
        }
        self.run_input(&["bash", "-eu"], &files).ok();
        self.run(&["systemctl", "daemon-reload"]).ok();
    }
}

fn all_of(systemd: u32) {
    let table = rows::table();
    let guest = Guest::boot_on(systemd, "polled", Options::new().quick_timer());
    // the test polls by itself, to know when
    guest.run(&["systemctl", "stop", "sysalert-check@services.timer"]).ok();
    guest.install(table.iter().flat_map(|row| row.units));
    let rounds = table.iter().map(|row| row.steps.len()).max().unwrap_or(0);
    for round in 0..rounds {
        let commands = table.iter().filter_map(|row| row.steps.get(round)).map(|(command, _)| format!("( {command} ) &\n"));
        // some of these commands fail, as they should
        guest.run_input(&["timeout", "60", "bash"], &format!("{}wait", commands.collect::<String>())).ok();
        if round == 0 {
            guest.begin(CONFIG);
        }
        let end = Instant::now() + Duration::from_secs(30);
        guest.wait_at_most(Duration::from_secs(60), "the table is as it should be, or it never will be", || {
            guest.poll();
            // a unit that is enabled is given a minute to be started: it is over
            guest.sh(r#"sed -i 's/\(never.service":"\)2[0-9]*/\12020/' /run/sysalert/polled.json"#).ok();
            differences(&guest, &table, round + 1).is_empty() || Instant::now() > end
        });
        for _ in 0..3 {
            guest.poll();
        }
        guest.settle();
        let wrong = differences(&guest, &table, round + 1);
        assert!(wrong.is_empty(), "systemd {systemd}, after step {}\n{wrong}", round + 1);
    }
}

#[test]
fn each_is_told_as_the_table_says_on_252() {
    all_of(252);
}

#[test]
fn each_is_told_as_the_table_says_on_257() {
    all_of(257);
}

#[test]
fn the_table_is_as_long_as_it_should_be_and_names_no_unit_twice() {
    let mut names: Vec<_> = rows::table().into_iter().flat_map(|row| row.units).map(|(name, _)| name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(rows::table().len() >= 40, "only {} situations", rows::table().len());
}
