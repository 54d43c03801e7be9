//! The only place that knows what time it is.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

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

/// Ends this process after so many seconds, whatever it waits for then.
pub fn end_within(seconds: u32) {
    nix::unistd::alarm::set(seconds);
}

/// Waits.
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}
