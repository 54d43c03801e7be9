//! `iostuck`: tasks that wait for a disk or a server and do not come back.
//!
//! The kernel tells of those that wait for two minutes, in its log (`Documentation/admin-guide/sysctl/kernel.rst`, hung_task); but
//! of ten in a boot only. So tasks in uninterruptible sleep (state D) are looked at, too: one of which the kernel counted no switch
//! since the run before has not run since then.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{COMMON, Detail, Measured, Metric, Missing, Probe, Reading, Sensor, Unit, pressure, syslog};
use crate::event::local_time;
use crate::host::journal::{Bookmark, Writer};
use crate::host::tail::Place;

pub(super) const SENSOR: Sensor = Sensor {
    name: "iostuck",
    about: "tasks that wait for a disk or a server and do not come back",
    named: false,
    keys: &[COMMON],
    metrics: &[
        Metric::new("hung_task_count", Unit::Count, "tasks that the kernel called blocked for minutes, since the run before")
            .of_events("the kernel called no more tasks blocked"),
        Metric::new("d_state_task_count", Unit::Count, "tasks that cannot be interrupted and have not run since the run before"),
        Metric::new("psi_io_avg10", Unit::Percent, "how much of the last ten seconds some task waited for a disk"),
        Metric::new("psi_io_avg60", Unit::Percent, "of a minute"),
        Metric::new("psi_io_avg300", Unit::Percent, "of five minutes"),
    ],
    open: false,
    instance: None,
    rules: r#"
[[rule]]
name = "hung_task"
metric = "hung_task_count"
op = "gt"
value = 0
severity = "warning"

[[rule]]
name = "stuck_task"
metric = "d_state_task_count"
op = "gt"
value = 0
consecutive = 2
severity = "warning"
"#,
    suggests: &[
        "journalctl -k --since '1 hour ago' --grep 'blocked for more than'",
        "ps -eLo pid,lwp,user,stat,wchan:32,comm | awk '$4 ~ /^D/'",
        "dmesg | tail -50",
    ],
    measure,
};

/// Where the kernel's lines are where there is no journal to read.
const FILES: [&str; 3] = ["/var/log/kern.log", "/var/log/messages", "/var/log/syslog"];
/// So far back the first run reads.
const AT_FIRST: TimeDelta = TimeDelta::hours(1);
/// A task that waits for less long may only have met a busy disk.
const STAYS: TimeDelta = TimeDelta::seconds(10);
/// So many are named; and so many are remembered.
const NAMED: usize = 10;
const KEPT: usize = 1000;

/// What the next run needs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    journal: Option<Bookmark>,
    files: BTreeMap<String, Place>,
    tasks: Vec<Waiting>,
}

/// A task that waited when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    task: u32,
    began: u64,
    switches: u64,
    since: DateTime<Utc>,
}

fn measure(probe: &Probe<'_>) -> Measured {
    let kept = probe.before.and_then(|before| serde_json::from_value(before.kept.clone()).ok());
    let mut kept: Kept = kept.unwrap_or_default();
    if probe.before.is_none_or(|before| before.boot != probe.machine.boot()) {
        kept.tasks.clear();
    }
    let (mut readings, mut details, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    match hung(probe, &mut kept) {
        Ok(hung) => {
            readings.push(Reading::new("hung_task_count", count(hung.len())));
            details.extend(named(&hung, |(task, told)| {
                let (name, time) = (task.name.escape_debug(), local_time(told.at));
                format!("{name} ({}) was blocked for more than {} seconds at {time}", task.number, told.seconds)
            }));
        }
        Err(why) => missing.push(format!("hung_task_count: {why}")),
    }
    match stuck(probe, &mut kept) {
        Ok(stuck) => {
            readings.push(Reading::new("d_state_task_count", count(stuck.len())));
            details.extend(named(&stuck, |(name, task, since)| {
                format!("{} ({task}) waits, and has not run since {} at least", name.escape_debug(), local_time(*since))
            }));
        }
        Err(why) => missing.push(format!("d_state_task_count: {why}")),
    }
    match pressure::io(probe.machine) {
        Ok(found) => readings.extend(found),
        Err(why) => missing.push(why),
    }
    let measured = if readings.is_empty() { Measured::no_data(missing.join("; ")) } else { Measured::readings(readings) };
    let missing = missing.into_iter().map(|why| Missing { instance: String::new(), why }).collect();
    Measured { details, missing, ..measured.keeping(json!(kept)) }
}

#[allow(clippy::cast_precision_loss)]
fn count(number: usize) -> f64 {
    number as f64
}

/// The first of them in words, and how many more there are.
fn named<T>(all: &[T], words: impl Fn(&T) -> String) -> Vec<Detail> {
    let more = all.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let texts = all.iter().take(NAMED).map(words).chain(more);
    texts.map(|text| Detail { instance: String::new(), text }).collect()
}

/// A task, as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Task {
    number: u32,
    name: String,
}

/// What the kernel said last about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    at: DateTime<Utc>,
    seconds: u64,
}

/// The tasks that the kernel called hung since the run before: each once, however often and in however many logs that stands.
fn hung(probe: &Probe<'_>, kept: &mut Kept) -> Result<Vec<(Task, Told)>, String> {
    let mut found = BTreeMap::new();
    let first = probe.now - AT_FIRST;
    let from = kept.journal.clone().unwrap_or(Bookmark { at: first, cursor: None });
    let read = probe.machine.entries(Writer::Kernel, &from, &mut |entry| {
        if let Some((task, seconds)) = blocked(&entry.text) {
            found.insert(task, Told { at: entry.at, seconds });
        }
    });
    let Err(no_journal) = read.map(|reached| kept.journal = Some(reached.bookmark)) else {
        return Ok(found.into_iter().collect());
    };
    let mut readable = 0;
    for path in FILES {
        let place = kept.files.get(path);
        let is_first = place.is_none();
        let read = probe.machine.lines(path, place, &mut |line| {
            let Some(line) = syslog::parse(line, probe.now).filter(|line| line.program == "kernel") else { return };
            if let Some((task, seconds)) = blocked(line.text)
                && (!is_first || line.at >= first)
            {
                found.insert(task, Told { at: line.at, seconds });
            }
        });
        if let Ok(reached) = read {
            readable += 1;
            kept.files.insert(path.to_owned(), reached.place);
        }
    }
    match readable {
        0 => Err(format!("{no_journal}; nor can {} be read", FILES.join(", "))),
        _ => Ok(found.into_iter().collect()),
    }
}

/// Of "INFO: task NAME:7 blocked for more than 122 seconds." (`kernel/hung_task.c`), with " in I/O wait" before "for" in newer
/// kernels and "[ 12.345678] " before it in log files: the task, and for how long it has waited.
fn blocked(line: &str) -> Option<(Task, u64)> {
    let line = match line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_time, rest)) => rest,
        None => line,
    };
    let rest = line.strip_prefix("INFO: task ")?.strip_suffix(" seconds.")?;
    let (task, seconds) = rest.rsplit_once(" for more than ")?;
    let task = task.strip_suffix(" in I/O wait").unwrap_or(task).strip_suffix(" blocked")?;
    let (name, number) = task.rsplit_once(':')?;
    Some((Task { number: number.parse().ok()?, name: name.to_owned() }, seconds.parse().ok()?))
}

/// The tasks that have waited since the run before, each with its number and since when at least.
fn stuck(probe: &Probe<'_>, kept: &mut Kept) -> Result<Vec<(String, u32, DateTime<Utc>)>, String> {
    let found = probe.machine.blocked().map_err(|error| format!("other users' processes cannot be seen: {error}"))?;
    let known: BTreeMap<(u32, u64, u64), DateTime<Utc>> =
        kept.tasks.drain(..).map(|task| ((task.task, task.began, task.switches), task.since)).collect();
    let mut stuck = Vec::new();
    for task in found.into_iter().take(KEPT) {
        let since = known.get(&(task.task, task.began, task.switches)).copied();
        // a clock that was set back
        let since = since.filter(|since| *since <= probe.now).unwrap_or(probe.now);
        kept.tasks.push(Waiting { task: task.task, began: task.began, switches: task.switches, since });
        if probe.now - since >= STAYS {
            stuck.push((task.name, task.task, since));
        }
    }
    stuck.sort_by_key(|(_, task, since)| (*since, *task));
    Ok(stuck)
}

#[cfg(test)]
mod tests;
