//! The only place that knows what time it is.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use nix::time::{ClockId, clock_gettime};

/// Tells the time; a test tells its own.
pub type Clock<'a> = &'a (dyn Fn() -> DateTime<Utc> + Sync);

/// The machine's time.
pub fn system() -> DateTime<Utc> {
    Utc::now()
}

/// A point in time that does not jump, to measure how long something takes.
pub fn started() -> Instant {
    Instant::now()
}

/// When this is, or was, by the clock of this boot that stands still while the machine sleeps.
pub fn of_monotonic(since_boot: Duration) -> Option<DateTime<Utc>> {
    let ahead = TimeDelta::from_std(since_boot).ok()? - TimeDelta::from_std(monotonic()).ok()?;
    system().checked_add_signed(ahead)
}

/// How long ago that is, time asleep included, for something that was after this boot's last sleep or before its first.
pub fn since_monotonic(since_boot: Duration) -> Duration {
    read(ClockId::CLOCK_BOOTTIME).saturating_sub(since_boot)
}

/// How long the machine has slept since it was booted.
pub fn slept() -> Duration {
    read(ClockId::CLOCK_BOOTTIME).saturating_sub(monotonic())
}

fn monotonic() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Ends this process after so many seconds, whatever it waits for then.
pub fn end_within(seconds: u32) {
    nix::unistd::alarm::set(seconds);
}

/// Waits.
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}
