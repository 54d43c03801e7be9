//! Two hundred handlers at once.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::machine::{Machine, Run, ended_well};

const HANDLERS: u64 = 200;

/// Starts them all, waits for all, and lets dispatch deliver.
fn storm(name: &str, before: &[&str]) -> Duration {
    let machine = Machine::new();
    let begun = Instant::now();
    // of each unit two runs, so that some meet at the same incident
    let runs: Vec<Run> = (0..HANDLERS).map(|number| Run::new(&format!("u{:03}.service", number / 2), number + 1)).collect();
    let handlers: Vec<Child> = runs.iter().map(|run| machine.handler(before, "failure", run).spawn().unwrap()).collect();
    for handler in handlers {
        ended_well(handler.wait_with_output().unwrap());
    }
    let took = begun.elapsed();
    let at_once = machine.recorded().len();
    machine.time_passes();
    let duplicates = machine.all_is_well(&runs.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(duplicates, 0, "nothing crashed");
    assert_eq!(machine.number("SELECT count(*) FROM incidents WHERE failures = 2"), HANDLERS / 2);
    eprintln!("{HANDLERS} handlers at once, {name}: none failed, {at_once} events recorded in {took:.1?}, 0 lost, 0 duplicated");
    took
}

#[test]
fn two_hundred_handlers_at_once_lose_nothing() {
    storm("as fast as the disk is", &[]);
}

#[test]
fn two_hundred_handlers_at_once_on_a_slow_disk_lose_nothing() {
    let slow = "--inject=fsync,fdatasync:delay_exit=5000";
    let took = storm(
        "5 ms more for each fsync",
        &["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", slow],
    );
    // one after the other: the one that makes each event safe, at least
    assert!(took >= Duration::from_millis(HANDLERS * 5), "{took:?}: nothing was slowed down");
}
