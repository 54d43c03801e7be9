//! Killed at each system call that may matter, one after the other.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Mutex;

use crate::machine::{Machine, Run, ended_well};

/// What writes, makes durable, renames, removes, connects, and starts processes and threads.
const CALLS: &[&str] = &[
    "fsync",
    "fdatasync",
    "write",
    "pwrite64",
    "ftruncate",
    "rename",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "connect",
    "sendmsg",
    "clone",
    "clone3",
    "vfork",
];

/// What was found at all points of one story.
#[derive(Default)]
struct Figures {
    points: u64,
    killed: u64,
    duplicated: usize,
}

/// Names the point where a test fails.
struct Point(String);

impl Drop for Point {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was {}", self.0);
        }
    }
}

/// How far a story got that was killed.
struct Hit {
    /// The call.
    call: &'static str,
    /// Somebody came to the call.
    reached: bool,
    /// It was the program itself, and not a child of it.
    killed: bool,
}

/// Runs a command that is killed when one of its threads or processes begins its N-th call of this kind.
fn killed_at(machine: &Machine, call: &'static str, number: usize, start: impl Fn(&[&str]) -> Command) -> Hit {
    let (trace, at) = (machine.trace(), format!("--inject={call}:signal=KILL:when={number}"));
    let only = format!("trace={call}");
    let before = ["strace", "-f", "-o", trace.to_str().unwrap(), "-e", &only, &at];
    let output = start(&before).output().unwrap();
    let killed = output.status.signal() == Some(9);
    if !killed {
        ended_well(output);
    }
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(&trace).unwrap();
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for (process, said) in text.lines().filter_map(|line| line.split_once(' ')) {
        if said.trim_start().starts_with(&format!("{call}(")) {
            *counts.entry(process).or_default() += 1;
        }
    }
    Hit { call, reached: counts.values().any(|count| *count >= number), killed }
}

/// Kills a story at each point, begun from what was kept, and has `after` look at what it left.
fn at_each_point(name: &str, machine: &Machine, start: impl Fn(&[&str]) -> Command, after: impl Fn(&Hit) -> usize) {
    let mut figures = Figures::default();
    for &call in CALLS {
        for number in 1.. {
            machine.restore();
            let _point = Point(format!("{name}, killed at {call} {number}"));
            let hit = killed_at(machine, call, number, &start);
            figures.duplicated += after(&hit);
            if !hit.reached {
                assert!(!hit.killed);
                break;
            }
            figures.points += 1;
            figures.killed += u64::from(hit.killed);
        }
    }
    let Figures { points, killed, duplicated } = figures;
    assert!(killed > 0, "{name}: nothing was hit");
    eprintln!(
        "{name}: {points} points, {killed} times it died there, 0 lost, {duplicated} delivered once more under the same key"
    );
}

/// A machine on which a failure was told before.
pub(crate) fn told() -> (Machine, Run) {
    let machine = Machine::new();
    let earlier = Run::new("earlier.service", EARLIER);
    machine.fails(&earlier);
    ended_well(machine.dispatch(&[]).output().unwrap());
    assert_eq!(machine.number("SELECT count(*) FROM deliveries WHERE status = 'sent'"), 2, "in the file and by mail");
    (machine, earlier)
}

const EARLIER: u64 = 1;
const MINE: u64 = 2;
const OTHER: u64 = 3;

/// A failure's handler is killed; then its trigger comes again, if nothing is on record yet, or another unit's handler.
fn handler_story(name: &str, machine: &Machine, earlier: &[Run], repair: impl Fn()) {
    story(name, machine, earlier, repair, |before, run| machine.handler(before, "failure", run));
}

/// The same of whatever records a failure.
fn story(name: &str, machine: &Machine, earlier: &[Run], repair: impl Fn(), record: impl Fn(&[&str], &Run) -> Command) {
    machine.keep();
    let mine = Run::new("mine.service", MINE);
    let other = Run::new("other.service", OTHER);
    let start = |before: &[&str]| record(before, &mine);
    let was_safe = Mutex::new(BTreeSet::new());
    at_each_point(name, machine, start, |hit| {
        repair();
        ended_well(machine.status().output().unwrap());
        let mut all: BTreeSet<Run> = earlier.iter().cloned().chain([mine.clone()]).collect();
        if machine.recorded().contains_key(&mine) || machine.has_spooled(&mine) {
            was_safe.lock().unwrap().insert(hit.call);
            machine.fails(&other);
            all.insert(other.clone());
        } else {
            assert!(hit.killed, "it ended well and recorded nothing");
            assert!(!was_safe.lock().unwrap().contains(hit.call), "at an earlier death it was safe already");
            machine.fails(&mine);
        }
        machine.time_passes();
        machine.all_is_well(&all)
    });
}

#[test]
fn a_handler_that_makes_the_database_is_killed_anywhere() {
    let machine = Machine::new();
    handler_story("the very first handler", &machine, &[], || {});
}

#[test]
fn a_handler_is_killed_anywhere() {
    let (machine, earlier) = told();
    handler_story("a handler", &machine, &[earlier], || {});
}

#[test]
fn a_handler_without_a_database_is_killed_anywhere() {
    let machine = Machine::new();
    // no file can be opened there
    let database = machine.state().join("sysalert.db");
    fs::create_dir(&database).unwrap();
    let repair = || fs::remove_dir(&database).unwrap();
    handler_story("a handler that needs the spool", &machine, &[], repair);
}

#[test]
fn a_handler_that_takes_over_the_spool_is_killed_anywhere() {
    let machine = Machine::new();
    let database = machine.state().join("sysalert.db");
    fs::create_dir(&database).unwrap();
    let earlier = ["one.service", "two.service"].map(|unit| Run::new(unit, EARLIER));
    earlier.iter().for_each(|run| machine.fails(run));
    fs::remove_dir(&database).unwrap();
    assert_eq!(fs::read_dir(machine.state().join("spool")).unwrap().count(), 2);
    handler_story("a handler that takes over the spool", &machine, &earlier, || {});
}

#[test]
fn what_a_unit_in_strict_mode_runs_is_killed_anywhere() {
    let (machine, earlier) = told();
    story("the end of a strict unit", &machine, &[earlier], || {}, |before, run| machine.ended(before, run));
}

#[test]
fn a_dispatch_with_two_alerts_is_killed_anywhere() {
    let (machine, earlier) = told();
    let waiting = [Run::new("one.service", MINE), Run::new("two.service", OTHER)];
    waiting.iter().for_each(|run| machine.fails(run));
    let all: BTreeSet<Run> = waiting.into_iter().chain([earlier]).collect();
    machine.keep();
    let after = |_: &Hit| {
        machine.time_passes();
        machine.all_is_well(&all)
    };
    at_each_point("a dispatch with two alerts", &machine, |before| machine.dispatch(before), after);
}

/// What may have arrived comes no second time by itself: the recovery tells of both.
#[test]
fn a_dispatch_is_killed_anywhere_before_the_unit_recovers() {
    let (machine, earlier) = told();
    let failed = Run::new("one.service", MINE);
    machine.fails(&failed);
    let all = BTreeSet::from([failed, earlier]);
    machine.keep();
    let after = |_: &Hit| {
        ended_well(machine.handler(&[], "success", &Run::new("one.service", OTHER)).output().unwrap());
        machine.time_passes();
        machine.all_is_well(&all)
    };
    at_each_point("a dispatch before a recovery", &machine, |before| machine.dispatch(before), after);
}

#[test]
fn a_dispatch_with_a_digest_is_killed_anywhere() {
    let (machine, earlier) = told();
    let many: Vec<Run> = (0..12).map(|number| Run::new(&format!("u{number}.service"), MINE)).collect();
    many.iter().for_each(|run| machine.fails(run));
    // it waits for more, for a moment
    let mut waiting = machine.dispatch(&[]).spawn().unwrap();
    while machine.number("SELECT count(*) FROM outbox WHERE digest IS NOT NULL") < 2 * 12 {
        assert!(waiting.try_wait().unwrap().is_none(), "there is no digest");
    }
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    let all: BTreeSet<Run> = many.into_iter().chain([earlier]).collect();
    machine.keep();
    let after = |_: &Hit| {
        machine.time_passes();
        machine.all_is_well(&all)
    };
    at_each_point("a dispatch with a digest of twelve", &machine, |before| machine.dispatch_later(before, 1), after);
}

/// Nothing of it is lost, and the journal of this machine knows nothing: all must come from what could be read.
#[test]
fn a_dispatch_that_replaces_a_damaged_database_is_killed_anywhere() {
    let (machine, earlier) = told();
    let waiting = [Run::new("one.service", MINE), Run::new("two.service", OTHER)];
    waiting.iter().for_each(|run| machine.fails(run));
    machine.damage("deliveries_alert");
    let spooled = Run::new("late.service", OTHER);
    machine.fails(&spooled);
    let all: BTreeSet<Run> = waiting.into_iter().chain([earlier, spooled]).collect();
    machine.keep();
    let after = |_: &Hit| {
        machine.time_passes();
        assert_eq!(machine.set_aside(), 1, "once, whatever was cut");
        machine.all_is_well(&all)
    };
    at_each_point("a dispatch that replaces a damaged database", &machine, |before| machine.dispatch(before), after);
}
