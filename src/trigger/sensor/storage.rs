//! `storage`: how full each file system is, as df counts, and whether it still takes anything.

mod choice;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wildmatch::WildMatch;

use super::{COMMON, Detail, Instances, Measured, Metric, Missing, Probe, Reading, Sensor, Unit, unread, whole_lines};
use crate::config::{Key, Kind};
use crate::event::{local_time, shell};
use crate::host::mounts::{self, Mounted};
use crate::host::space::{Answer, Asked, Space, Waiting};
use choice::{Chosen, chosen};

pub(super) const SENSOR: Sensor = Sensor {
    name: "storage",
    about: "bytes and inodes of each file system as `df` counts them, and whether it became read-only",
    named: false,
    keys: &[COMMON, KEYS],
    metrics: &[
        Metric::new("bytes_total", Unit::Bytes, "its size"),
        Metric::new("bytes_free", Unit::Bytes, "what anybody but root may still take"),
        Metric::new("bytes_used", Unit::Bytes, "what is taken"),
        Metric::new("bytes_used_percent", Unit::Percent, "of what anybody but root may take"),
        Metric::new("inodes_total", Unit::Count, "how many files it can hold; 0: as many as there is room for"),
        Metric::new("inodes_free", Unit::Count, "how many more"),
        Metric::new("inodes_used", Unit::Count, "how many it holds"),
        Metric::new("inodes_used_percent", Unit::Percent, "of how many it can hold"),
        Metric::new("read_only", Unit::Flag, "1: it takes nothing"),
        Metric::new(
            "turned_read_only",
            Unit::Flag,
            "1: it takes nothing, but should, by /etc/fstab, or did earlier in this boot",
        ),
        Metric::new(
            "out_of_reach",
            Unit::Flag,
            "1: it lies below a folder that the user sysalert may not enter: nobody watches it",
        ),
    ],
    open: false,
    instance: Some(Instances { key: "mount", gone: "it is not mounted any more" }),
    rules: r#"
[[rule]]
name = "low_disk"
metric = "bytes_used_percent"
op = "gt"
value = "90%"
clear = "85%"
critical = "97%"
severity = "warning"

[[rule]]
name = "low_inodes"
metric = "inodes_used_percent"
op = "gt"
value = "90%"
clear = "85%"
critical = "97%"
severity = "warning"

[[rule]]
name = "read_only"
metric = "turned_read_only"
op = "eq"
value = 1
severity = "critical"

[[rule]]
name = "out_of_reach"
metric = "out_of_reach"
op = "eq"
value = 1
severity = "warning"
"#,
    suggests: &["df -h {}", "df -i {}", "du -xh --max-depth=1 {} 2>/dev/null | sort -h | tail -10"],
    measure,
};

const KEYS: &[Key] = &[
    Key::new("include", Kind::List, "[]", "mount points or paths to measure beside all real mounts; wins over `exclude`"),
    Key::new("exclude", Kind::List, "[]", "mount points that are left out: \"/srv/backup\", \"/mnt/*\""),
    Key::new("timeout", Kind::Duration { min: 1, max: 60 }, "\"3s\"", "so long all mounts together may take to answer"),
];

const TABLE: &str = "/proc/self/mountinfo";
/// The same as the machine's first process sees it, in no sandbox: there a mount may be read-only whose file system is not.
const OF_MACHINE: &str = "/proc/1/mountinfo";
const FSTAB: &str = "/etc/fstab";
const OUT_OF_REACH: &str = "out_of_reach";
/// Below these lies what somebody has plugged in, for themselves alone.
const PLUGGED_IN: [&str; 2] = ["/media", "/run/media"];

fn measure(probe: &Probe<'_>) -> Measured {
    let table = match probe.machine.read(TABLE) {
        Ok(text) => read(&text),
        Err(error) => return unread(TABLE, &error),
    };
    if table.is_empty() {
        return Measured::error(format!("{TABLE} names nothing that is mounted"));
    }
    let exclude = probe.values.list("exclude");
    let chosen = chosen(&table, &probe.values.list("include"), &exclude);
    let left_out = left_out(&table, &chosen, &exclude);
    if chosen.is_empty() {
        return Measured::no_data("no real file system is mounted here; `include` names what is to be measured all the same");
    }
    let of_machine = probe.machine.read(OF_MACHINE).map(|text| read(&text)).unwrap_or_default();
    let fstab = probe.machine.read(FSTAB).map(|text| wanted(&text)).unwrap_or_default();
    let mut kept = Kept::of(probe);
    let timeout = probe.values.duration("timeout");
    // whom a process of an earlier run still waits for is not asked again
    kept.hanging.retain(|path, hanging| hanging.process.goes_on() && chosen.iter().any(|one| one.path == *path));
    let asked: Vec<&Chosen<'_>> = chosen.iter().filter(|one| !kept.hanging.contains_key(&one.path)).collect();
    let questions: Vec<Asked> = asked.iter().map(|one| one.question()).collect();
    let answers = probe.machine.spaces(&questions, timeout);
    let mut answers: BTreeMap<&str, Answer> = asked.iter().map(|one| one.path.as_str()).zip(answers).collect();
    // what is unmounted meanwhile would be told with the figures of what lies below it
    let after = probe.machine.read_again(TABLE).map(|text| read(&text)).unwrap_or_default();

    let (mut readings, mut missing, mut details, mut writable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in &chosen {
        let found = match answers.remove(one.path.as_str()) {
            None => Err(format!("{} has not answered since {}", one.path, kept.since(&one.path, probe.now))),
            Some(Answer::Hangs(process)) => {
                let hanging = process.map(|process| (one.path.clone(), Hanging { process, since: probe.now }));
                kept.hanging.extend(hanging);
                Err(format!("{} does not answer within {}", one.path, humantime::format_duration(timeout)))
            }
            Some(Answer::Failed(error)) => Err(format!("{} cannot be measured: {error}", one.path)),
            Some(Answer::Barred(folder)) => {
                if let Some(watcher) = probe.machine.watcher().filter(|_| one.is_disk()) {
                    readings.push(Reading::of(&one.path, OUT_OF_REACH, 1.0));
                    let text = way_in(&folder.to_string_lossy(), &watcher);
                    details.extend(text.map(|text| Detail { instance: one.path.clone(), text }));
                }
                Err(format!("{} lies below {}, which this user may not enter", one.path, folder.display()))
            }
            Some(Answer::Told(_)) if !one.is_still(&after) => Err(format!("{} was unmounted while it was measured", one.path)),
            // a folder is left, and what it lies on is another disk
            Some(Answer::Told(_)) if !one.is_mount() && kept.mounted.contains(&one.path) => {
                Err(format!("{} is not mounted any more", one.path))
            }
            Some(Answer::Told(_)) if one.is_unmounted(&fstab) => {
                Err(format!("{} is not mounted, and {FSTAB} says that it should be", one.path))
            }
            // what has no size is nothing that a person would call a disk
            Some(Answer::Told(space)) if space.size == 0 && !one.is_asked_for => continue,
            Some(Answer::Told(space)) => figures(&one.path, space),
        };
        match found {
            Ok(found) => readings.extend(found),
            Err(why) => {
                missing.push(Missing { instance: one.path.clone(), why });
                continue;
            }
        }
        let read_only = one.mount.is_some_and(|mount| mount.read_only) || one.is_sealed(&of_machine);
        let should = fstab.iter().rev().find(|entry| entry.path == one.path).map(|entry| !entry.read_only);
        let did = kept.writable.contains(&one.path);
        let turned = read_only && should.unwrap_or(did);
        readings.push(Reading::of(&one.path, "read_only", f64::from(u8::from(read_only))));
        readings.push(Reading::of(&one.path, "turned_read_only", f64::from(u8::from(turned))));
        readings.push(Reading::of(&one.path, OUT_OF_REACH, 0.0));
        if turned {
            let why =
                if should.is_some() { "/etc/fstab mounts it to be written to" } else { "it was written to earlier in this boot" };
            let text = format!("it takes nothing any more, and {why}: the kernel's log says why (journalctl -k)");
            details.push(Detail { instance: one.path.clone(), text });
        }
        if !read_only || did {
            writable.push(one.path.clone());
        }
    }
    let mut mounted: Vec<String> = chosen.iter().filter(|one| one.is_mount()).map(|one| one.path.clone()).collect();
    for path in kept.mounted.into_iter().filter(|path| !table.iter().any(|mount| mount.path == *path)) {
        let is_asked_for = chosen.iter().any(|one| one.path == path);
        if !is_asked_for && fstab.iter().any(|entry| entry.is_due && entry.path == path) {
            let why = format!("{path} is not mounted any more, and {FSTAB} says that it should be");
            missing.push(Missing { instance: path.clone(), why });
            mounted.push(path);
        } else if is_asked_for {
            mounted.push(path);
        }
    }
    // of one that does not answer nobody knows better
    writable.extend(kept.writable.into_iter().filter(|path| missing.iter().any(|one| one.instance == *path)));
    let kept = Kept { writable, mounted, hanging: kept.hanging };
    Measured { missing, details, left_out, ..Measured::readings(readings).keeping(json!(kept)) }
}

/// Who must do what, so that somebody watches what lies below this folder.
fn way_in(folder: &str, watcher: &str) -> [String; 2] {
    let command = format!("setfacl -m {} {}", shell(&format!("u:{watcher}:x")), shell(folder));
    [
        format!("{folder} may not be entered by the user {watcher}: nobody watches whether this file system fills up"),
        format!(
            "`{command}` (of the package acl) lets it pass, and not list what is there; `exclude` of [sensor.storage] says that \
             nobody needs to watch it"
        ),
    ]
}

/// What is mounted, and left out by `exclude`.
fn left_out(table: &[Mounted], chosen: &[Chosen<'_>], exclude: &[String]) -> Vec<String> {
    let globs: Vec<WildMatch> = exclude.iter().map(|glob| WildMatch::new(glob)).collect();
    let is_out = |path: &str| globs.iter().any(|glob| glob.matches(path)) && !chosen.iter().any(|one| one.path == path);
    table.iter().filter(|mount| is_out(&mount.path)).map(|mount| mount.path.clone()).collect()
}

fn read(text: &str) -> Vec<Mounted> {
    mounts::table(&whole_lines(text).collect::<Vec<_>>().join("\n"))
}

/// What the next run needs: of this boot.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// The mounts that took something.
    writable: Vec<String>,
    /// Those that were mounted.
    mounted: Vec<String>,
    hanging: BTreeMap<String, Hanging>,
}

/// A mount that did not answer, and who waits for it.
#[derive(Debug, Serialize, Deserialize)]
struct Hanging {
    process: Waiting,
    since: DateTime<Utc>,
}

impl Kept {
    fn of(probe: &Probe<'_>) -> Kept {
        let before = probe.before.filter(|before| before.boot == probe.machine.boot());
        before.and_then(|before| serde_json::from_value(before.kept.clone()).ok()).unwrap_or_default()
    }

    fn since(&self, path: &str, now: DateTime<Utc>) -> String {
        local_time(self.hanging.get(path).map_or(now, |hanging| hanging.since))
    }
}

/// A mount as `fstab(5)` wants it.
struct Entry {
    path: String,
    read_only: bool,
    /// Mounted at the boot, and missing when it is not there.
    is_due: bool,
}

fn wanted(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (_, path, _, options) =
            (words.next().filter(|word| !word.starts_with('#'))?, words.next()?, words.next()?, words.next()?);
        let has = |option: &str| options.split(',').any(|one| one == option);
        let is_due = !has("noauto") && !has("nofail") && !has("x-systemd.automount");
        Some(Entry { path: mounts::unescaped(path), read_only: has("ro"), is_due })
    };
    text.lines().filter_map(entry).collect()
}

impl Chosen<'_> {
    fn question(&self) -> Asked {
        Asked { path: PathBuf::from(&self.path), is_local: self.mount.is_some_and(|mount| mount.is_local) }
    }

    /// Whether it lies on a disk of this machine, which somebody has to watch. (Of a ZFS pool each dataset tells how full it is: some
    /// of them are containers' own.)
    fn is_disk(&self) -> bool {
        let is_device = |mount: &Mounted| mount.source.starts_with("/dev/");
        self.mount.is_some_and(is_device) && !PLUGGED_IN.iter().any(|folder| Path::new(&self.path).starts_with(folder))
    }

    /// Whether something is mounted just there.
    fn is_mount(&self) -> bool {
        self.mount.is_some_and(|mount| Path::new(&mount.path) == Path::new(&self.path))
    }

    /// Whether this mount of the file system takes nothing.
    fn is_sealed(&self, of_machine: &[Mounted]) -> bool {
        let same = |mount: &Mounted| of_machine.iter().rfind(|row| row.path == mount.path && row.id == mount.id);
        self.mount.and_then(same).is_some_and(|mount| mount.is_sealed)
    }

    /// Whether what was measured is still mounted there.
    fn is_still(&self, after: &[Mounted]) -> bool {
        self.mount.is_none_or(|mount| after.iter().any(|now| now.path == mount.path && now.id == mount.id))
    }

    /// Whether a path was asked for at which something should be mounted, and is not.
    fn is_unmounted(&self, fstab: &[Entry]) -> bool {
        !self.is_mount() && fstab.iter().any(|entry| entry.is_due && Path::new(&entry.path) == Path::new(&self.path))
    }
}

/// What df shows of it: the space that is kept for root counts as neither used nor free.
#[allow(clippy::cast_precision_loss)] // of a share nobody asks for the 15th digit
fn figures(path: &str, space: Space) -> Result<Vec<Reading>, String> {
    let Space { size, used, free, files, files_free } = space;
    if size == 0 {
        return Err(format!("{path} has no size"));
    }
    if used > size || free > size || files_free > files {
        return Err(format!("{path} tells of more that is free than there is: its figures are of no use"));
    }
    let share = |part: u64, rest: u64| if part == 0 { 0.0 } else { part as f64 * 100.0 / (part as f64 + rest as f64) };
    let figure = |metric, value| Reading::of(path, metric, value);
    let inodes = files - files_free;
    Ok(vec![
        figure("bytes_total", size as f64),
        figure("bytes_free", free as f64),
        figure("bytes_used", used as f64),
        figure("bytes_used_percent", share(used, free)),
        figure("inodes_total", files as f64),
        figure("inodes_free", files_free as f64),
        figure("inodes_used", inodes as f64),
        figure("inodes_used_percent", share(inodes, files_free)),
    ])
}

#[cfg(test)]
mod tests;
