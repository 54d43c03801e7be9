//! Policy and the life of incidents against a reference that is simple enough to be believed: random stories of three units,
//! told to both. A story that they tell differently is shortened and shown; as a test of its own it stays below.
//!
//! `PROPTEST_CASES=10000 cargo test --test model` tells more of them.
#![allow(clippy::unwrap_used, clippy::panic)]
// what the three parts share
#![allow(unreachable_pub)]

#[path = "model/machine.rs"]
mod machine;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/story.rs"]
mod story;
// of which the stories use more
#[allow(dead_code)]
#[path = "cases/world.rs"]
mod world;

use machine::Machine;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use reference::{How, Rules};
use story::{Heard, Name, Step, Then, What};

/// So many stories; they take about ten seconds.
const STORIES: u32 = 180;

fn rules() -> impl Strategy<Value = Rules> {
    let each = (0..=3u64, any::<bool>(), select(vec![0, 60, 300]), prop::bool::weighted(0.8));
    (each, select(vec![0, 2, 2, 3]), select(vec![10, 60, 300, 900]), select(vec![0, 30, 400])).prop_map(
        |((ignore, each, min_interval, recovery), flapping, window, remind)| Rules {
            ignore,
            each,
            min_interval,
            recovery,
            flapping,
            window,
            remind,
            silences: false,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let name = || select(vec![Name::A, Name::A, Name::A, Name::B, Name::C]);
    let how = || select(vec![How::Status3, How::Status3, How::Status4, How::Status4, How::Killed, How::Timeout]);
    let then = || select(vec![Then::Stays, Then::Stays, Then::Restarts]);
    let heard = || {
        use Heard::{Early, InTime, Never, Twice, Wordless, WordlessAndEarly};
        select(vec![InTime, InTime, Never, Early, Twice, Wordless, WordlessAndEarly])
    };
    let what = prop_oneof![
        6 => (name(), how(), then(), heard()).prop_map(|(name, how, then, heard)| What::Fails(name, how, then, heard)),
        1 => (name(), heard()).prop_map(|(name, heard)| What::GivesUp(name, heard)),
        2 => (name(), then(), any::<bool>()).prop_map(|(name, then, heard)| What::Succeeds(name, then, heard)),
        1 => name().prop_map(What::FalseSuccess),
        3 => name().prop_map(What::Starts),
        1 => (name(), any::<bool>()).prop_map(|(name, heard)| What::Stops(name, heard)),
        4 => prop::bool::weighted(0.8).prop_map(|sends| What::Dispatch { sends }),
        1 => name().prop_map(What::Acknowledge),
        1 => name().prop_map(What::Clear),
    ];
    (select(vec![1, 4, 12, 60, 200]), what).prop_map(|(wait, what)| Step(wait, what))
}

/// The same, and somebody silences units now and again.
fn silenced_step() -> impl Strategy<Value = Step> {
    let name = select(vec![Name::A, Name::A, Name::B, Name::C]);
    let silence = (select(vec![1, 12, 60]), name, select(vec![0, 10, 100, 600]));
    prop_oneof![
        4 => step(),
        1 => silence.prop_map(|(wait, name, seconds)| Step(wait, What::Silence(name, seconds))),
    ]
}

fn tell(rules: Rules, steps: &[Step]) {
    let mut machine = Machine::new(rules);
    steps.iter().for_each(|step| machine.step(step));
    machine.end();
}

#[test]
fn random_stories_end_as_the_reference_says() {
    tell_many(STORIES, (rules(), prop::collection::vec(step(), 1..30)), tell);
}

/// What is acknowledged or cleared nobody need be told; what flaps is told otherwise.
#[test]
fn nothing_is_told_in_a_silence_and_nothing_is_lost_by_one() {
    let rules =
        Rules { ignore: 0, each: true, min_interval: 0, recovery: true, flapping: 0, window: 10, remind: 400, silences: true };
    let steps = prop::collection::vec(silenced_step(), 1..30);
    tell_many(STORIES / 2, (Just(rules), steps), |rules, steps| {
        let mut machine = Machine::new(rules);
        let must_be_told = |step: &&Step| !matches!(step.1, What::Acknowledge(_) | What::Clear(_));
        steps.iter().filter(must_be_told).for_each(|step| machine.step(step));
        machine.end_of_silences();
    });
}

fn tell_many(most: u32, stories: impl Strategy<Value = (Rules, Vec<Step>)>, tell: fn(Rules, &[Step])) {
    let config = |cases| Config { cases, failure_persistence: None, ..Config::default() };
    let asked = sysalert::host::env::var("PROPTEST_CASES").and_then(|number| number.parse().ok());
    // always the same, unless somebody asks for others: what fails does so for a change of the code
    let mut runner = asked.map_or_else(
        || TestRunner::new_with_rng(config(most), TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        |cases| TestRunner::new(config(cases)),
    );
    let told = runner.run(&stories, |(rules, steps)| {
        tell(rules, &steps);
        Ok(())
    });
    match told {
        Ok(()) => {}
        Err(TestError::Fail(why, (rules, steps))) => {
            let steps: String = steps.iter().map(|step| format!("    {step:?},\n")).collect();
            panic!("{why}\nthe shortest such story, by {rules:?}:\n{steps}");
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// Each was told wrongly once.
#[test]
fn stories_to_remember() {
    use crate::{Heard::*, How::*, Name::*, Then::*, What::*};
    let plain =
        Rules { ignore: 0, each: false, min_interval: 0, recovery: true, flapping: 2, window: 10, remind: 0, silences: false };
    let stories: [(&str, &[Step]); 5] = [
        (
            "a unit's first failure, of which no handler told, is still filed when the handler of its second looks first",
            &[Step(1, Fails(A, Status3, Stays, Never)), Step(200, Fails(A, Status3, Stays, InTime))],
        ),
        (
            "a daemon that ends well and is started again has not recovered",
            &[Step(1, Fails(A, Status3, Stays, InTime)), Step(1, Succeeds(A, Restarts, true))],
        ),
        (
            "a stop that a trigger tells does not hide that the next run stays active",
            &[
                Step(1, Fails(A, Status3, Stays, InTime)),
                Step(1, Starts(A)),
                Step(1, Stops(A, true)),
                Step(1, Starts(A)),
                Step(12, Dispatch { sends: true }),
            ],
        ),
        (
            "the news of an incident that is over go before those of the next",
            &[
                Step(1, Fails(A, Status3, Stays, InTime)),
                Step(1, Starts(A)),
                Step(12, Dispatch { sends: false }),
                Step(1, Fails(A, Status3, Stays, InTime)),
                Step(1, Dispatch { sends: true }),
            ],
        ),
        (
            "what systemd falsely calls a success is no further restart",
            &[
                Step(1, Fails(A, Status3, Restarts, InTime)),
                Step(4, FalseSuccess(A)),
                Step(4, Succeeds(A, Stays, false)),
                Step(4, Fails(A, Status3, Restarts, InTime)),
            ],
        ),
    ];
    for (what, steps) in stories {
        println!("{what}");
        tell(plain, steps);
    }
    println!("what begins to flap and ends well in one look is calm in the next, when it is active since");
    let steps = [
        Step(1, Fails(A, Status3, Restarts, InTime)),
        Step(60, Fails(B, Status3, Stays, InTime)),
        Step(1, Fails(A, Status3, Restarts, Never)),
        Step(1, Succeeds(A, Stays, false)),
        Step(1, Starts(A)),
    ];
    tell(Rules { window: 300, recovery: false, ..plain }, &steps);
    println!("one that flapped is calm a window later, whatever happened to another meanwhile");
    let steps = [
        Step(1, Succeeds(A, Restarts, false)),
        Step(1, Succeeds(A, Restarts, false)),
        Step(1, Fails(B, Status3, Stays, InTime)),
        Step(60, Starts(A)),
    ];
    tell(Rules { window: 300, recovery: false, ..plain }, &steps);
    println!("min_interval counts from what was told, not from when systemd gave up restarting it");
    let steps = [
        Step(1, Fails(A, Timeout, Stays, InTime)),
        Step(1, Fails(A, Status3, Restarts, InTime)),
        Step(61, GivesUp(A, InTime)),
        Step(1, Fails(A, Timeout, Stays, InTime)),
    ];
    tell(Rules { each: true, min_interval: 60, flapping: 0, ..plain }, &steps);
}
