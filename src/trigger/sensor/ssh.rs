//! `ssh`: logins that fail, from the journal of the SSH server or from its log file.

mod attempts;
mod said;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{COMMON, Detail, Measured, Metric, Probe, Reading, Sensor, Unit, syslog, words};
use crate::config::{Key, Kind};
use crate::event::{counted, local_time};
use crate::host::journal::{Bookmark, Writer};
use crate::host::tail::Place;
use attempts::{Attempts, Seen};

pub(super) const SENSOR: Sensor = Sensor {
    name: "ssh",
    about: "logins by SSH that fail: who tried, and from where",
    named: false,
    keys: &[COMMON, KEYS],
    metrics: &[Metric::new("failed_logins", Unit::Count, "the most that failed within `duration`, since the run before")],
    open: false,
    instance: None,
    rules: r#"
[[rule]]
name = "failed_logins"
metric = "failed_logins"
op = "gt"
value = "{amount}"
severity = "warning"
"#,
    suggests: &[
        "journalctl _UID=0 SYSLOG_IDENTIFIER=sshd SYSLOG_IDENTIFIER=sshd-session --since '1 hour ago'",
        "last -i | head -20",
        "ss -tnp state established '( sport = :ssh )'",
    ],
    measure,
};

const KEYS: &[Key] = &[
    Key::new("amount", Kind::Integer { min: 1, max: 1_000_000 }, "5", "more than so many failed logins ..."),
    Key::new("duration", Kind::Duration { min: 1, max: 24 * 3600 }, "\"30s\"", "... within this time are told"),
    Key::new(
        "renotify_time",
        Kind::Duration { min: 1, max: 7 * 24 * 3600 },
        "\"5m\"",
        "told again so long after the last alert, while it goes on; over when it was quiet for so long",
    ),
    Key::new("log_file", Kind::Text, "", "read this log instead of the journal: \"/var/log/auth.log\""),
];

/// Where the lines are where there is no journal to read: of Debian, and of Red Hat.
const FILES: [&str; 2] = ["/var/log/auth.log", "/var/log/secure"];
const PROGRAMS: [&str; 3] = ["sshd", "sshd-session", "sshd-auth"];
/// Lines of one connection may come so long one after another.
const CONNECTION: TimeDelta = TimeDelta::minutes(10);
/// After a pause between two runs that was longer, what came before is old.
const LONGEST: TimeDelta = TimeDelta::days(1);
/// So many attempts are kept for the next run.
const KEPT: usize = 1000;
/// So many addresses are named, and of each so many names.
const ADDRESSES: usize = 10;
const NAMES: usize = 3;

/// What the next run needs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    journal: Option<Bookmark>,
    files: BTreeMap<String, Place>,
    seen: Vec<Seen>,
}

fn measure(probe: &Probe<'_>) -> Measured {
    let time = |key: &str| TimeDelta::from_std(probe.values.duration(key)).unwrap_or_default();
    let duration = time("duration");
    // an attack that pauses for less is the same one
    let paused = probe.before.map_or(TimeDelta::zero(), |before| probe.now - before.at);
    let quiet = time("renotify_time").max(paused.min(LONGEST));
    let since = probe.now - quiet - duration;
    // what comes while it is read
    let until = probe.now + TimeDelta::minutes(1);
    let kept = probe.before.and_then(|before| serde_json::from_value(before.kept.clone()).ok());
    let mut kept: Kept = kept.unwrap_or_default();
    let mut attempts = Attempts::new(std::mem::take(&mut kept.seen));
    let more = match read(probe, since, &mut kept, &mut attempts) {
        Ok(more) => more,
        Err(why) => return Measured::no_data(why),
    };
    let failed = attempts.failed(since, until);
    let most = most(&failed, duration, probe.now - quiet);
    let mut details = by_address(&failed);
    if let Some(first) = failed.first() {
        let within = humantime::format_duration(probe.values.duration("duration"));
        details.insert(0, format!("{most} within {within} at the most, {} in all since {}", failed.len(), local_time(first.at)));
    }
    if more {
        details.push("there are more lines than one run reads: the next one goes on".to_owned());
    }
    let reading = Reading::new("failed_logins", f64::from(u32::try_from(most).unwrap_or(u32::MAX)));
    kept.seen = attempts.keep(since.min(probe.now - CONNECTION), until, KEPT);
    let details = details.into_iter().map(|text| Detail { instance: String::new(), text }).collect();
    Measured { details, ..Measured::readings(vec![reading]).keeping(json!(kept)) }
}

/// Reads what is new; true when there is more.
fn read(probe: &Probe<'_>, since: DateTime<Utc>, kept: &mut Kept, attempts: &mut Attempts) -> Result<bool, String> {
    let chosen = probe.values.text("log_file");
    let mut why = String::new();
    if chosen.is_none() {
        let from = kept.journal.clone().unwrap_or(Bookmark { at: since, cursor: None });
        let read = probe.machine.entries(Writer::Ssh, &from, &mut |entry| {
            if let Some(said) = said::said(&entry.text) {
                attempts.take(entry.at, entry.process, &said);
            }
        });
        match read {
            Ok(reached) => {
                kept.journal = Some(reached.bookmark);
                return Ok(reached.more);
            }
            Err(no_journal) => why = format!("{no_journal}; nor can "),
        }
    }
    let files = chosen.map_or_else(|| FILES.map(str::to_owned).to_vec(), |file| vec![file]);
    let mut errors = Vec::new();
    for path in &files {
        let place = kept.files.get(path);
        let is_first = place.is_none();
        let read = probe.machine.lines(path, place, &mut |line| {
            let Some(line) = syslog::parse(line, probe.now).filter(|line| PROGRAMS.contains(&line.program)) else { return };
            if let Some(said) = said::said(line.text).filter(|_| !is_first || line.at > since) {
                attempts.take(line.at, line.process, &said);
            }
        });
        match read {
            Ok(reached) => {
                kept.files.insert(path.clone(), reached.place);
                return Ok(reached.more);
            }
            Err(error) => errors.push(format!("{path} ({})", words(&error))),
        }
    }
    let hint = "root, and members of the groups systemd-journal and adm, may read logs";
    if why.is_empty() {
        Err(format!("{} cannot be read; {hint}", errors.join(", ")))
    } else {
        Err(format!("{why}{} be read; {hint}", errors.join(" or ")))
    }
}

/// The most attempts within this time, of those whose last one is not older.
fn most(failed: &[&Seen], duration: TimeDelta, since: DateTime<Utc>) -> usize {
    let mut first = 0;
    let counts = failed.iter().enumerate().map(|(last, seen)| {
        while seen.at - failed[first].at > duration {
            first += 1;
        }
        if seen.at > since { last + 1 - first } else { 0 }
    });
    counts.max().unwrap_or(0)
}

/// From where, how often and as whom: the most first.
fn by_address(failed: &[&Seen]) -> Vec<String> {
    let mut addresses: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for seen in failed {
        addresses
            .entry(seen.address.as_deref().unwrap_or("an address that the log does not tell for certain"))
            .or_default()
            .push(seen);
    }
    let mut addresses: Vec<_> = addresses.into_iter().collect();
    addresses.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.len()));
    let more = addresses.len().saturating_sub(ADDRESSES);
    let mut told: Vec<String> = addresses.iter().take(ADDRESSES).map(|(address, seen)| of_address(address, seen)).collect();
    if more > 0 {
        let rest: usize = addresses[ADDRESSES..].iter().map(|(_, seen)| seen.len()).sum();
        told.push(format!("{rest} failed logins from {more} more addresses"));
    }
    told
}

/// "7 failed logins from 203.0.113.7 as root (4), admin (2) and 1 more name; the last at Sat ..."
fn of_address(address: &str, seen: &[&Seen]) -> String {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for one in seen {
        *names.entry(&one.user).or_default() += 1;
    }
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = match names.len().saturating_sub(NAMES) {
        0 => String::new(),
        1 => " and 1 more name".to_owned(),
        more => format!(" and {more} more names"),
    };
    let name = |(name, count): &(&str, usize)| {
        format!("{} ({count})", if name.is_empty() { "nobody".into() } else { name.escape_debug().to_string() })
    };
    let shown: Vec<String> = names.iter().take(NAMES).map(name).collect();
    let last = seen.last().map_or_else(String::new, |seen| format!("; the last at {}", local_time(seen.at)));
    format!("{} from {address} as {}{more}{last}", counted(seen.len(), "failed login"), shown.join(", "))
}

#[cfg(test)]
mod tests;
