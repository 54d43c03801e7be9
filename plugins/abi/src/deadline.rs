//! The time that is left. sysalert kills a plugin's process at the end of `deadline_ms`, and then nobody learns why.

use std::time::{Duration, Instant};

/// The moments by which a try to send must have ended.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The network is given up.
    work: Instant,
    /// The answer is given, whatever the network does.
    answer: Instant,
}

impl Deadline {
    /// Leaves a tenth of `milliseconds` unused, at most a second: half of it to tell precisely what hung, half to answer.
    pub fn after(milliseconds: u64) -> Deadline {
        // No try of an hour makes sense, and the clock's arithmetic overflows on what has no end.
        let whole = Duration::from_millis(milliseconds.min(3_600_000));
        let reserve = (whole / 10).min(Duration::from_secs(1));
        let start = now();
        Deadline { work: start + whole - reserve, answer: start + whole - reserve / 2 }
    }

    /// What is left for the network; none when it is over.
    pub fn left(self) -> Option<Duration> {
        // The kernel takes a timeout of less than a microsecond as "for ever".
        Some(self.work.saturating_duration_since(now())).filter(|left| *left >= Duration::from_millis(1))
    }

    /// What is left until the answer must be given.
    pub fn until_answer(self) -> Duration {
        self.answer.saturating_duration_since(now())
    }
}

/// The clock that no setting moves.
#[allow(clippy::disallowed_methods, reason = "a plugin is a process of its own, without sysalert's host module")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_whatever_the_deadline() {
        for (milliseconds, work, answer) in
            [(60_000, 59_000, 59_500), (1_000, 900, 950), (u64::MAX, 3_599_000, 3_599_500), (0, 0, 0)]
        {
            let deadline = Deadline::after(milliseconds);
            let left = deadline.left().map_or(0, |left| left.as_millis());
            let until = deadline.until_answer().as_millis();
            // One that was interrupted for long has less left, never more.
            assert!(left <= work && until <= answer, "{milliseconds}: {left} {until}");
            assert!(left + 900 >= work && until + 900 >= answer, "{milliseconds}: {left} {until}");
        }
        assert_eq!(Deadline::after(0).left(), None);
    }
}
