//! How long to wait before the next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// A pause is up to this share shorter or longer than it would be, so that many machines do not try at the same moment.
const SPREAD: f64 = 0.2;

/// The pause after this many tries: 30 s, 1 min, 2 min, ... 15 min, each spread by `dice`, a number from 0 to 1; longer only
/// where the channel itself asks for it. What was refused changes only when somebody mends something: the longest at once.
pub(super) fn pause(attempts: u32, refused: bool, wish: Option<u64>, dice: f64) -> Duration {
    let doubled = FIRST.saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1)));
    let pause = if refused { LONGEST } else { doubled.min(LONGEST) };
    let pause = pause.mul_f64(1.0 + SPREAD * (2.0 * dice.clamp(0.0, 1.0) - 1.0));
    // a channel that asks for more than a day is not obeyed
    pause.max(Duration::from_secs(wish.unwrap_or(0).min(24 * 3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

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
            assert_eq!(pause(attempts, false, wish, MIDDLE), Duration::from_secs(seconds), "{attempts} {wish:?}");
        }
    }

    #[test]
    fn is_spread_by_a_fifth_and_never_shorter_than_the_channel_asks() {
        for (attempts, refused, wish, dice, seconds) in [
            (1, false, None, 0.0, 24),
            (1, false, None, 1.0, 36),
            (9, false, None, 0.0, 720),
            (9, false, None, 1.0, 1080),
            (1, true, None, MIDDLE, 900),
            (1, true, None, 1.0, 1080),
            (1, false, Some(30), 0.0, 30),
            (1, false, Some(30), 1.0, 36),
            (1, false, None, 7.0, 36),
        ] {
            assert_eq!(
                pause(attempts, refused, wish, dice),
                Duration::from_secs(seconds),
                "{attempts} {refused} {wish:?} {dice}"
            );
        }
    }
}
