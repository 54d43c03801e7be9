//! How long to wait before the next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The pause after this many tries: 30 s, 1 min, 2 min, ... 15 min; longer only where the channel itself asks for it.
pub(super) fn pause(attempts: u32, wish: Option<u64>) -> Duration {
    let doubled = FIRST.saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1)));
    // a channel that asks for more than a day is not obeyed
    doubled.min(LONGEST).max(Duration::from_secs(wish.unwrap_or(0).min(24 * 3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_quarter_of_an_hour() {
        for (attempts, wish, seconds) in [
            (1, None, 30),
            (2, None, 60),
            (3, None, 120),
            (5, None, 480),
            (6, None, 900),
            (u32::MAX, None, 900),
            (1, Some(100), 100),
            (1, Some(5), 30),
            (1, Some(u64::MAX), 86400),
        ] {
            assert_eq!(pause(attempts, wish), Duration::from_secs(seconds), "{attempts} {wish:?}");
        }
    }
}
