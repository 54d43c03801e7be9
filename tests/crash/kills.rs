//! A thousand kills at random moments, under load.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::{Machine, Run, ended_well};

const KILLS: u64 = 1000;
const UNITS: u64 = 20;
const WORKERS: u64 = 3;
/// In microseconds, longer than a handler's run takes on an idle machine.
const HANDLER: u64 = 25_000;
/// And long enough for some letters. A dispatch that waits for a digest's time is killed as well.
const DISPATCH: u64 = 200_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// What happened.
#[derive(Default)]
struct Story {
    /// Failures of which a handler was told.
    told: Mutex<Vec<(Run, Fate)>>,
    kills: AtomicU64,
    killed_dispatches: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Ended,
    Killed,
}

#[test]
fn a_thousand_random_kills_lose_nothing() {
    let seed = std::env::var("SYSALERT_SEED").map_or(20_260_105, |seed| seed.parse().unwrap());
    eprintln!("SYSALERT_SEED={seed}");
    let (machine, story) = (Machine::new(), Story::default());
    let begun = Instant::now();
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (machine, story) = (&machine, &story);
            scope.spawn(move || work(machine, story, worker, &mut Random(seed + worker)));
        }
    });
    let took = begun.elapsed();

    let told = story.told.into_inner().unwrap();
    let ended = told.iter().filter(|(_, fate)| *fate == Fate::Ended).count();
    let recorded = machine.recorded();
    let lost: Vec<_> = told.iter().filter(|(run, fate)| *fate == Fate::Ended && !recorded.contains_key(run)).collect();
    assert!(lost.is_empty(), "their handlers ended well, and they are not on record: {lost:?}");
    // of those that were killed the trigger is repeated, as the sweep does it
    let unheard: Vec<_> = told.iter().filter(|(run, _)| !recorded.contains_key(run)).collect();
    unheard.iter().for_each(|(run, _)| machine.fails(run));
    machine.time_passes();
    let all: BTreeSet<Run> = told.iter().map(|(run, _)| run.clone()).collect();
    assert_eq!(all.len(), told.len());
    let duplicates = machine.all_is_well(&all);
    let alerts = machine.number("SELECT count(*) FROM alerts");
    eprintln!(
        "{} kills ({} of dispatch) in {took:.1?}: {} failures of {UNITS} units ({ended} handlers ended, {} were killed too early \
         and told again), {alerts} alerts; 0 events lost, 0 twice, 0 alerts lost, {duplicates} delivered once more under the same key",
        story.kills.into_inner(),
        story.killed_dispatches.into_inner(),
        told.len(),
        unheard.len(),
    );
}

fn work(machine: &Machine, story: &Story, worker: u64, random: &mut Random) {
    for count in 1.. {
        if story.kills.load(Ordering::SeqCst) >= KILLS {
            return;
        }
        let run = Run::new(&format!("u{}.service", random.below(UNITS)), (worker << 32) + count);
        let verb = ["failure", "failure", "failure", "success", "dispatch"][usize::try_from(random.below(5)).unwrap()];
        let mut command = if verb == "dispatch" { machine.dispatch(&[]) } else { machine.handler(&[], verb, &run) };
        let mut child = command.spawn().unwrap();
        // one handler in eight lives
        if verb == "dispatch" || random.below(8) > 0 {
            let longest = if verb == "dispatch" { DISPATCH } else { HANDLER };
            let end = Instant::now() + Duration::from_micros(random.below(longest));
            while Instant::now() < end && child.try_wait().unwrap().is_none() {
                thread::yield_now();
            }
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let killed = output.status.signal() == Some(9);
        if killed {
            story.kills.fetch_add(1, Ordering::SeqCst);
            story.killed_dispatches.fetch_add(u64::from(verb == "dispatch"), Ordering::SeqCst);
        } else {
            ended_well(output);
        }
        if verb == "failure" {
            story.told.lock().unwrap().push((run, if killed { Fate::Killed } else { Fate::Ended }));
        }
    }
}
