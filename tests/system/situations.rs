//! What systemd can do to a unit, and what sysalert makes of it: a table. Each row says which events are recorded and which
//! messages are sent, and that there are no others. All rows share one guest and happen at the same time. What the versions of
//! systemd trigger differs; what comes out does not.

mod dependencies;
mod ends;
mod kinds;
mod recoveries;
mod restarts;
mod steps;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use serde_json::Value;

use crate::guest::{Guest, Options, SOON};

/// A row of the table.
#[derive(Clone, Copy)]
struct Situation {
    /// What it is about.
    name: &'static str,
    /// The units and what is in their files; a text that begins with no section is that of `[Service]`.
    units: &'static [(&'static str, &'static str)],
    /// Shell commands; before each of them everything has come to rest. Without any the first unit is started.
    /// `oom UNIT` stands for systemd-oomd, which kills the unit.
    steps: &'static [&'static str],
    /// The events: "UNIT OUTCOME RESULT CODE/STATUS", then " at CAUSE", " restarts", " without a run" where it is so.
    events: &'static [&'static str],
    /// The messages' subjects, without the host.
    messages: &'static [&'static str],
}

/// Nothing happens, and nobody hears of it.
const NOTHING: Situation = Situation { name: "", units: &[], steps: &[], events: &[], messages: &[] };

impl Situation {
    fn expected(&self) -> Records {
        let owned = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
        Records { events: owned(self.events), messages: owned(self.messages) }.sorted()
    }

    /// The names of its units; of a template, those of its instances.
    fn is_about(&self, unit: &str) -> bool {
        self.units.iter().any(|(file, _)| match (file.split_once("@."), unit.split_once('@')) {
            (Some((template, _)), Some((prefix, _))) => template == prefix,
            _ => *file == unit,
        })
    }
}

/// What is on record, and what was sent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Records {
    events: Vec<String>,
    messages: Vec<String>,
}

/// Nothing at all.
const NONE: Records = Records { events: Vec::new(), messages: Vec::new() };

impl Records {
    /// Unit by unit: only the order of what one unit does is certain.
    fn sorted(mut self) -> Self {
        for lines in [&mut self.events, &mut self.messages] {
            lines.sort_by(|a, b| a.split(' ').next().cmp(&b.split(' ').next()));
        }
        self
    }
}

/// An event as the table has it.
fn shown(event: &Value) -> (String, String) {
    let unit = event["subject"].as_str().unwrap().strip_prefix("unit:").unwrap();
    let word = |column: &str| event[column].as_str().unwrap_or("-");
    let mut line = format!("{unit} {} {}", word("outcome"), word("service_result"));
    // whoever sees a success first, its handler or dispatch, records it; only the handler knows more of it
    let has_words = ["exit_code", "exit_status"].iter().any(|column| !event[*column].is_null());
    if has_words && event["outcome"] == "failed" {
        write!(line, " {}/{}", word("exit_code"), word("exit_status")).unwrap();
    }
    if let Some(cause) = event["cause"].as_str() {
        write!(line, " at {cause}").unwrap();
    }
    for (says, words) in [(event["restarts"] == 1, " restarts"), (event["invocation_id"].is_null(), " without a run")] {
        line += if says { words } else { "" };
    }
    (unit.to_owned(), line)
}

/// What there is for each unit, in the order of its happening.
fn found(guest: &Guest) -> BTreeMap<String, Records> {
    let mut found: BTreeMap<String, Records> = BTreeMap::new();
    for event in guest.rows("SELECT * FROM events ORDER BY at, id") {
        let (unit, line) = shown(&event);
        found.entry(unit).or_default().events.push(line);
    }
    for alert in guest.alerts() {
        found.entry(alert.unit).or_default().messages.push(alert.subject);
    }
    found
}

/// What is not as the table has it, with systemd's words if wanted; empty when all is well.
fn differences(guest: &Guest, table: &[Situation], with_evidence: bool) -> String {
    let mut found = found(guest);
    let mut wrong = String::new();
    for row in table {
        let mine: Vec<String> = found.keys().filter(|unit| row.is_about(unit)).cloned().collect();
        let mut records = Records::default();
        for unit in &mine {
            let more = found.remove(unit).unwrap();
            records.events.extend(more.events);
            records.messages.extend(more.messages);
        }
        let (records, expected) = (records.sorted(), row.expected());
        if records != expected {
            write!(wrong, "\n{}\n{}", row.name, compared(&expected, &records)).unwrap();
            wrong += &if with_evidence { evidence(guest, row, &mine) } else { String::new() };
        }
    }
    if !found.is_empty() {
        write!(wrong, "\nwhat no row is about\n{}", found.values().map(|more| compared(&NONE, more)).collect::<String>())
            .unwrap();
    }
    wrong
}

/// What there is and what should be there, a line each.
fn compared(expected: &Records, found: &Records) -> String {
    let mut told = String::new();
    for (what, expected, found) in [("event", &expected.events, &found.events), ("message", &expected.messages, &found.messages)]
    {
        let lines = [("expected", expected), ("found", found)].into_iter().filter(|_| expected != found);
        for (word, lines) in lines {
            told += &lines.iter().map(|line| format!("  {word} {what}: {line}\n")).collect::<String>();
            told += &if lines.is_empty() { format!("  {word} no {what}\n") } else { String::new() };
        }
    }
    told
}

/// Everything that systemd said of the units of this row.
fn evidence(guest: &Guest, row: &Situation, recorded: &[String]) -> String {
    let mut units: Vec<&str> = row.units.iter().map(|(unit, _)| *unit).chain(recorded.iter().map(String::as_str)).collect();
    units.sort_unstable();
    units.dedup();
    let fields = ["UNIT_RESULT", "JOB_RESULT", "COMMAND", "EXIT_CODE", "EXIT_STATUS", "INVOCATION_ID", "N_RESTARTS"];
    let mut told = String::new();
    for entry in units.iter().flat_map(|unit| guest.said_of(unit, &[])) {
        let fields = fields.iter().filter_map(|name| Some(format!(" {name}={}", entry.get(*name)?.as_str()?)));
        writeln!(told, "    {}{}", entry["MESSAGE"].as_str().unwrap_or("?"), fields.collect::<String>()).unwrap();
    }
    told
}

/// As systemd-oomd does it: it marks the unit and kills what is in it.
fn oom(guest: &Guest, unit: &str) {
    let mark = "\
import os, sys
for name in 'user.oomd_kill', 'user.oomd_ooms':
    os.setxattr(f'/proc/{sys.argv[1]}/root/sys/fs/cgroup/system.slice/{sys.argv[2]}', name, b'1')";
    guest.python(mark, &[unit]).ok();
    guest.run(&["systemctl", "kill", "--signal=KILL", unit]).ok();
}

fn all_of(table: &[Situation], systemd: u32, options: Options) {
    let guest = Guest::boot_on(systemd, "table", options.watched().quick_timer());
    guest.begin("[policy]\nrecovery_hold = \"2s\"\n");
    let mut files = String::new();
    for (name, content) in table.iter().flat_map(|row| row.units) {
        let section = if content.starts_with('[') { "" } else { "[Service]\n" };
        writeln!(files, "cat >'/etc/systemd/system/{name}' <<'END OF UNIT'\n{section}{content}\nEND OF UNIT").unwrap();
    }
    guest.run_input(&["bash", "-eu"], &files).ok();
    guest.run(&["systemctl", "daemon-reload"]).ok();

    let steps = |row: &Situation| match row.steps {
        [] => vec![format!("systemctl start --wait '{}'", row.units[0].0)],
        steps => steps.iter().map(|&step| step.to_owned()).collect(),
    };
    let rounds = table.iter().map(|row| steps(row).len()).max().unwrap_or(0);
    for round in 0..rounds {
        let now: Vec<String> = table.iter().filter_map(|row| steps(row).into_iter().nth(round)).collect();
        let (killed, commands): (Vec<_>, Vec<_>) = now.iter().partition(|step| step.starts_with("oom "));
        let script: String = commands.iter().map(|step| format!("( {step} ) &\n")).collect();
        // most of these commands fail, as they should
        guest.run_input(&["timeout", "60", "bash"], &format!("{script}wait")).ok();
        killed.iter().for_each(|step| oom(&guest, step.trim_start_matches("oom ")));
        guest.quiet();
    }
    let end = Instant::now() + SOON;
    guest.wait_at_most(2 * SOON, "the table is as it should be, or it never will be", || {
        differences(&guest, table, false).is_empty() || Instant::now() > end
    });
    guest.look_again();
    let wrong = differences(&guest, table, true);
    assert!(wrong.is_empty(), "systemd {systemd}\n{wrong}");
}

fn table() -> Vec<Situation> {
    [ends::ROWS, steps::ROWS, dependencies::ROWS, restarts::ROWS, kinds::ROWS, recoveries::ROWS].concat()
}

#[test]
fn each_is_recorded_and_told_as_the_table_says_on_252() {
    all_of(&table(), 252, Options::new());
}

#[test]
fn each_is_recorded_and_told_as_the_table_says_on_257() {
    all_of(&table(), 257, Options::new());
}

/// What a service itself records is what its handlers and the sweep find. It records one thing more, which is silent: a stop
/// by hand while an incident is not over.
fn strict_table() -> Vec<Situation> {
    let strict = |row: Situation| match row.units {
        [("stopped.service", _)] => Situation {
            events: &["stopped.service failed exit-code exited/3", "stopped.service succeeded success at stop"],
            ..row
        },
        [("cut.service", _)] => {
            Situation { events: &["cut.service failed exit-code exited/3", "cut.service succeeded success at stop"], ..row }
        }
        _ => row,
    };
    table().into_iter().map(strict).collect()
}

#[test]
fn in_strict_mode_the_table_is_the_same_on_252() {
    all_of(&strict_table(), 252, Options::new().strict());
}

#[test]
fn in_strict_mode_the_table_is_the_same_on_257() {
    all_of(&strict_table(), 257, Options::new().strict());
}

#[test]
fn the_table_names_no_unit_twice() {
    let table = table();
    let mut names: Vec<_> = table.iter().flat_map(|row| row.units).map(|(name, _)| name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(table.len() >= 40, "only {} situations", table.len());
}
