//! What one would log in to look for, beside the run's lines. Each item by itself: absent rather than late.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::Event;
use crate::host::journal::{Deaths, Ended};
use crate::host::manager::Setup;
use crate::host::mounts::FileSystem;
use crate::host::world::Evidence;
use crate::message::{Changed, Core, Disk, Exhausted, Findings, OutOfMemory, safe};
use crate::trigger::runs::{OomKiller, Run};

/// So long each question may take; what is not answered then is missing.
const BUDGET: Duration = Duration::from_millis(500);
/// Without a success that is known, so far back a change may have to do with it.
const A_DAY: TimeDelta = TimeDelta::days(1);
/// Of a unit with more files than this some are not looked at.
const FILES: usize = 100;
/// Our own drop-in.
const OWN: &str = "/10-sysalert.conf";

/// What is known of a run already.
pub(super) struct Known<'a> {
    /// The event of its failure.
    pub(super) event: &'a Event,
    /// What the manager said of it.
    pub(super) run: Option<&'a Run>,
    /// The number of the restart that it was.
    pub(super) restart: Option<u32>,
    /// When a run of the unit last succeeded.
    pub(super) last_success: Option<DateTime<Utc>>,
    /// Its last lines.
    pub(super) excerpt: &'a [String],
}

/// Finds out what there is.
pub(super) fn findings(world: &dyn Evidence, known: &Known<'_>) -> Findings {
    let Known { event, run, .. } = *known;
    let setup = world.setup(&event.subject, BUDGET).unwrap_or_default();
    // the manager's figures are those of the unit's newest run
    let is_its = event.invocation_id.is_some() && setup.invocation == event.invocation_id;
    let mut findings = Findings {
        cpu: run.and_then(|run| run.cpu).or(setup.cpu.filter(|_| is_its)),
        memory: run.and_then(|run| run.memory).or(setup.memory.filter(|_| is_its)),
        memory_max: setup.memory_max,
        restart: known.restart,
        ..Findings::default()
    };
    findings.changed = changed(world, known, &setup);
    findings.disks = disks(world, known.excerpt, &setup);
    let deaths = if event.invocation_id.is_some() { deaths(world, known) } else { Deaths::default() };
    findings.out_of_memory = out_of_memory(known, &deaths);
    findings.core = deaths.core.map(|core| Core {
        program: safe(&core.program),
        pid: core.pid,
        signal: safe(&core.signal),
        stack: core.stack.iter().map(|function| safe(function)).collect(),
        file: core.file.as_deref().map(safe),
    });
    findings
}

/// What the unit is made of and changed since it last succeeded.
fn changed(world: &dyn Evidence, known: &Known<'_>, setup: &Setup) -> Vec<Changed> {
    let failed = known.event.at;
    let since = known.last_success.unwrap_or(failed - A_DAY);
    let mut paths: Vec<String> = setup.files.iter().chain(&setup.programs).cloned().collect();
    // that calls sysalert, and does nothing else
    paths.retain(|path| !path.ends_with(OWN));
    paths.sort();
    paths.dedup();
    paths.truncate(FILES);
    let mut changes = world.changes(paths, BUDGET);
    changes.retain(|(_, at)| since < *at && *at <= failed);
    changes.sort_by(|(a_path, a), (b_path, b)| b.cmp(a).then(a_path.cmp(b_path)));
    changes.into_iter().map(|(path, at)| Changed { path: safe(&path), at }).collect()
}

fn deaths(world: &dyn Evidence, known: &Known<'_>) -> Deaths {
    let Known { event, run, .. } = *known;
    let problem = &event.problem;
    let is = |said: &Option<String>, word: &str| said.as_deref() == Some(word);
    let run = Ended {
        begun: run.and_then(|run| run.begun),
        at: event.at,
        dumped: is(&problem.exit_code, "dumped") || is(&problem.service_result, "core-dump"),
        killed: is(&problem.exit_status, "KILL")
            || is(&problem.service_result, "oom-kill")
            || run.is_some_and(|run| run.oom.is_some()),
    };
    world.deaths(&event.subject, run, BUDGET).unwrap_or_default()
}

fn out_of_memory(known: &Known<'_>, deaths: &Deaths) -> Option<OutOfMemory> {
    let oomd = || Exhausted::Oomd(deaths.oomd.as_deref().map(safe));
    if let Some(killed) = &deaths.oom {
        let unit = known.event.subject.unit_name();
        let cause = match killed.limit_of.as_deref() {
            None => Exhausted::Machine,
            Some(group) if group.rsplit('/').next() == Some(unit) => Exhausted::Unit,
            Some(group) => Exhausted::Group(safe(group)),
        };
        return Some(OutOfMemory { process: Some((safe(&killed.process), killed.pid)), held: killed.held, cause });
    }
    let cause = match known.run.and_then(|run| run.oom) {
        Some(OomKiller::Oomd) => oomd(),
        None if deaths.oomd.is_some() => oomd(),
        // that its result is "oom-kill" is said already
        Some(OomKiller::Kernel) if known.event.problem.service_result.as_deref() != Some("oom-kill") => Exhausted::Unknown,
        _ => return None,
    };
    Some(OutOfMemory { cause, ..OutOfMemory::default() })
}

/// What programs say when a disk takes no more, and when it takes nothing at all.
const FULL: [&str; 4] = ["No space left on device", "Disk quota exceeded", "ENOSPC", "EDQUOT"];
const READ_ONLY: [&str; 2] = ["Read-only file system", "EROFS"];
/// Where else than where the run says there may be no room.
const USUAL: [&str; 2] = ["/", "/var"];
/// So many paths of a line are looked at.
const PATHS: usize = 4;

/// The file systems that may be meant when the run's lines say that a disk takes no more.
fn disks(world: &dyn Evidence, excerpt: &[String], setup: &Setup) -> Vec<Disk> {
    let says = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    // the newest that says so
    let line = excerpt.iter().rev().find(|line| says(line, &FULL) || says(line, &READ_ONLY));
    let Some(line) = line else { return Vec::new() };
    let named: Vec<String> = paths(line).take(PATHS).collect();
    let usual = USUAL.map(str::to_owned);
    let found = world.file_systems(named.iter().chain(&setup.folders).chain(&usual).cloned().collect(), BUDGET);
    let named: Vec<&FileSystem> = found.iter().filter(|(path, _)| named.contains(path)).map(|(_, found)| found).collect();
    if says(line, &READ_ONLY) {
        return named.into_iter().filter(|found| found.read_only).map(disk).collect();
    }
    let full: Vec<Disk> = found.iter().map(|(_, found)| found).filter(|found| is_tight(found)).map(disk).collect();
    // meanwhile there may be room again
    if full.is_empty() { named.into_iter().map(disk).collect() } else { full }
}

/// Nearly full: less than a twentieth is free.
fn is_tight(found: &FileSystem) -> bool {
    let tight = |free: u64, all: u64| all > 0 && free.saturating_mul(20) <= all;
    tight(found.free, found.size) || tight(found.files_free, found.files)
}

fn disk(found: &FileSystem) -> Disk {
    let FileSystem { mount, size, free, files, files_free, read_only } = found;
    Disk { mount: safe(mount), size: *size, free: *free, files: *files, files_free: *files_free, read_only: *read_only }
}

/// The absolute paths in a line, quoted or not.
fn paths(line: &str) -> impl Iterator<Item = String> {
    let begins = line.match_indices('/').filter(|(place, _)| {
        let before = line[..*place].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || "\"'`([{<=:‘“«".contains(c))
    });
    begins.map(|(place, _)| {
        let quote = line[..place].chars().next_back().and_then(closing);
        let ends = |c: char| quote.map_or(c.is_whitespace() || "\"'`)]}>:;,".contains(c), |quote| c == quote);
        let path = &line[place..];
        path[..path.find(ends).unwrap_or(path.len())].to_owned()
    })
}

fn closing(quote: char) -> Option<char> {
    match quote {
        '"' | '\'' | '`' => Some(quote),
        '‘' => Some('’'),
        '“' => Some('”'),
        '«' => Some('»'),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
