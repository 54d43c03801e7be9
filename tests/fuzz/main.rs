//! What comes from outside, in every shape: configuration, what a plugin's process prints, what the journal and systemd hand
//! over. Each target says what must hold whatever comes.
//!
//! proptest, which the model has brought already, makes the inputs: half of them from what is nearly right, for of random
//! bytes alone hardly any gets past the first check, and shortens one that fails. bolero would bring some 40 packages more,
//! cargo-fuzz a compiler of its own; both for coverage that the generators here mostly reach by knowing the formats.
//!
//! `cargo test` tries the same inputs each time, so that what fails does so for a change of the code; `make fuzz` tries others
//! all the time there is. SYSALERT_FUZZ_SECONDS is for so long of the latter, SYSALERT_FUZZ names one target.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]
#![allow(unreachable_pub)]

mod configuration;
mod look;
mod message;
mod reply;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use sysalert::host::{clock, env};

/// A target: makes and tries inputs, and says how many.
type Target = fn(Until) -> u64;

/// When a target is done.
#[derive(Clone, Copy)]
pub enum Until {
    /// After so many inputs, which are always the same.
    Tried(u32),
    /// Then; the inputs are others each time.
    Time(Instant),
}

const TARGETS: &[(&str, Target)] =
    &[("configuration", configuration::fuzz), ("message", message::fuzz), ("look", look::fuzz), ("reply", reply::fuzz)];

/// So many inputs between two looks at the clock.
const ROUND: u32 = 16;
/// When nobody says how long.
const INPUTS: u32 = 3000;
/// In a run without an end each target has so long before the next one's turn.
const TURN: Duration = Duration::from_secs(10);

#[test]
fn whatever_comes() {
    let seconds: Option<u64> =
        env::var("SYSALERT_FUZZ_SECONDS").map(|text| text.parse().expect("SYSALERT_FUZZ_SECONDS is a number"));
    let only = env::var("SYSALERT_FUZZ");
    let targets: Vec<_> = TARGETS.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name)).collect();
    assert!(!targets.is_empty(), "SYSALERT_FUZZ names no target");
    let share = |seconds: u64| Duration::from_secs(seconds) / u32::try_from(targets.len()).unwrap();
    loop {
        for (name, fuzz) in &targets {
            let tried = fuzz(match seconds {
                None => Until::Tried(INPUTS),
                Some(0) => Until::Time(clock::started() + TURN),
                Some(seconds) => Until::Time(clock::started() + share(seconds)),
            });
            eprintln!("{name}: {tried} inputs");
        }
        if seconds != Some(0) {
            return;
        }
    }
}

#[test]
fn the_nasty_messages_of_the_plugins() {
    assert_eq!(message::nasty(), sysalert_abi::testing::NASTY);
}

/// Tries inputs; one that fails is shortened and shown.
fn rounds<S>(until: Until, input: &S, check: impl Fn(S::Value)) -> u64
where
    S: Strategy,
    S::Value: Debug,
{
    let config = |cases| Config { cases, failure_persistence: None, max_shrink_iters: 100_000, ..Config::default() };
    let run = |mut runner: TestRunner| {
        let outcome = runner.run(input, |input| {
            check(input);
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(why, input)) => panic!("{why}\nthe shortest such input:\n{input:?}"),
            Err(TestError::Abort(why)) => panic!("{why}"),
        }
    };
    match until {
        Until::Tried(inputs) => {
            run(TestRunner::new_with_rng(config(inputs), TestRng::deterministic_rng(RngAlgorithm::ChaCha)));
            u64::from(inputs)
        }
        Until::Time(end) => {
            let mut tried = 0;
            while clock::started() < end {
                run(TestRunner::new(config(ROUND)));
                tried += u64::from(ROUND);
            }
            tried
        }
    }
}

/// Text as nobody should write it.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = [
        "\0",
        "\n",
        "\r",
        "\u{1b}[31m",
        "\u{7}",
        "\u{85}",
        "\u{202e}",
        "\u{200b}",
        "\u{feff}",
        "\\",
        "\"",
        "'",
        "`",
        "```",
        "````\n",
        "<script>",
        "</div>",
        "<!--",
        "]]>",
        "&amp;",
        "&#60;",
        "*",
        "_",
        "[a](b)",
        "# ",
        "> ",
        "|",
        "~~~",
        "https://",
        "javascript:",
        "Subject: ",
        "password=",
        "\r\n.\r\n",
        "%s",
        "$(id)",
        "{{",
        "ä",
        "漢",
        "\u{1f4a9}",
        "a",
        "x y",
        "",
        "0",
        "-",
    ];
    let piece = prop_oneof![3 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Bytes as a program may write them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => hostile().prop_map(String::into_bytes), 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

/// Characters that a terminal or a reader would act on instead of showing them.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
