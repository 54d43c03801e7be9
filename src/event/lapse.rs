//! What is wrong with a schedule: no run failed, but one that should have been there was not, or cannot be.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Problem, UnitName, local_time, utc_time};

/// What is wrong with a timer, or with a unit that should succeed from time to time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lapse {
    /// No success was seen for so long; time in which the host was off or asleep does not count.
    Overdue {
        /// `expect_success`.
        expected: Duration,
        /// The last one that is known.
        last: Option<DateTime<Utc>>,
    },
    /// The timer did not start its unit then.
    NotRun {
        /// When it was due.
        due: DateTime<Utc>,
    },
    /// It is not active, so that nothing is started.
    Inactive(Inactive),
    /// It is active, and none of its times lies ahead; it has never started anything.
    Elapsed,
    /// It was enabled before; it is still active, but only until the next boot.
    Disabled,
    /// It does not load, for this `LoadState`.
    NotLoaded(String),
    /// There is no unit of this name, and no success of one is known.
    NotFound {
        /// The installed one that was probably meant.
        meant: Option<String>,
    },
    /// A check finds out nothing.
    Blind {
        /// Why, in a sentence of ours.
        why: String,
    },
    /// The unit that it starts cannot be started, for this `LoadState`.
    Nothing {
        /// That unit.
        unit: String,
        /// How it is.
        load: String,
    },
}

/// Why a timer is not active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inactive {
    /// It is enabled, and was not started in this boot.
    NotStarted,
    /// It is enabled, and somebody stopped it.
    Stopped,
    /// It was enabled or active before.
    Disabled,
    /// It is listed, but neither enabled nor active.
    NotEnabled,
    /// systemd ended it: it could not start its unit.
    Failed,
}

impl Inactive {
    const ALL: [(Inactive, &'static str); 5] = [
        (Inactive::NotStarted, "not-started"),
        (Inactive::Stopped, "stopped"),
        (Inactive::Disabled, "disabled"),
        (Inactive::NotEnabled, "not-enabled"),
        (Inactive::Failed, "failed"),
    ];
}

const OVERDUE: &str = "overdue";
const NOT_RUN: &str = "not-run";
const NO_NEXT_RUN: &str = "no-next-run";
const ELAPSED: &str = "elapsed";
const DISABLED: &str = "disabled";
const NOT_LOADED: &str = "not-loaded";
const BLIND: &str = "cannot-look";
const NOT_FOUND: &str = "no-such-unit";
const NOTHING_TO_START: &str = "nothing-to-start";

impl Lapse {
    /// The words by which a record knows it.
    pub const RESULTS: [&'static str; 8] =
        [OVERDUE, NOT_RUN, NO_NEXT_RUN, DISABLED, NOT_LOADED, BLIND, NOT_FOUND, NOTHING_TO_START];

    /// As a record has it.
    pub fn problem(&self) -> Problem {
        let (result, cause) = match self {
            Lapse::Overdue { expected, last } => {
                let last = last.map(|last| format!(" {}", utc_time(last))).unwrap_or_default();
                (OVERDUE, Some(format!("{}{last}", expected.as_secs())))
            }
            Lapse::NotRun { due } => (NOT_RUN, Some(utc_time(*due))),
            Lapse::Inactive(why) => {
                let word = Inactive::ALL.iter().find(|(one, _)| one == why).map(|(_, word)| (*word).to_owned());
                (NO_NEXT_RUN, word)
            }
            Lapse::Elapsed => (NO_NEXT_RUN, Some(ELAPSED.to_owned())),
            Lapse::Disabled => (DISABLED, None),
            Lapse::NotLoaded(load) => (NOT_LOADED, Some(load.clone())),
            Lapse::Blind { why } => (BLIND, Some(why.clone())),
            Lapse::NotFound { meant } => (NOT_FOUND, meant.clone()),
            Lapse::Nothing { unit, load } => (NOTHING_TO_START, Some(format!("{unit} {load}"))),
        };
        Problem { service_result: Some(result.to_owned()), cause, ..Problem::default() }
    }

    /// What a record tells.
    pub fn of(problem: &Problem) -> Option<Lapse> {
        let cause = problem.cause.as_deref().unwrap_or_default();
        let time = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        Some(match problem.service_result.as_deref()? {
            OVERDUE => {
                let (expected, last) = cause.split_once(' ').unwrap_or((cause, ""));
                Lapse::Overdue { expected: Duration::from_secs(expected.parse().ok()?), last: time(last) }
            }
            NOT_RUN => Lapse::NotRun { due: time(cause)? },
            NO_NEXT_RUN if cause == ELAPSED => Lapse::Elapsed,
            NO_NEXT_RUN => Lapse::Inactive(Inactive::ALL.iter().find(|(_, word)| *word == cause)?.0),
            DISABLED => Lapse::Disabled,
            NOT_LOADED => Lapse::NotLoaded(cause.to_owned()),
            BLIND => Lapse::Blind { why: cause.to_owned() },
            NOT_FOUND => Lapse::NotFound { meant: cause.parse::<UnitName>().ok().map(|unit| unit.to_string()) },
            NOTHING_TO_START => {
                let (unit, load) = cause.split_once(' ')?;
                Lapse::Nothing { unit: unit.parse::<UnitName>().ok()?.to_string(), load: load.to_owned() }
            }
            _ => return None,
        })
    }

    /// True when somebody did this, who may have meant it.
    pub fn is_by_hand(&self) -> bool {
        match self {
            Lapse::Inactive(Inactive::Stopped | Inactive::Disabled) | Lapse::Disabled => true,
            Lapse::NotLoaded(load) | Lapse::Nothing { load, .. } => load == "masked",
            _ => false,
        }
    }

    /// True of what comes again, each time as one more failure; the rest stays as it is until somebody mends it.
    pub fn comes_again(&self) -> bool {
        matches!(self, Lapse::Overdue { .. } | Lapse::NotRun { .. })
    }
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lapse::Overdue { expected, last: Some(last) } => {
                write!(f, "has not succeeded for {} (last success {})", length(*expected), local_time(*last))
            }
            Lapse::Overdue { expected, last: None } => {
                write!(f, "has not succeeded for {} (no success is known)", length(*expected))
            }
            Lapse::NotRun { due } => write!(f, "did not run when it was due, {}", local_time(*due)),
            Lapse::Inactive(why) => write!(
                f,
                "has no next run: {}",
                match why {
                    Inactive::NotStarted => "it is enabled, but was not started",
                    Inactive::Stopped => "it is enabled, but was stopped",
                    Inactive::Disabled => "it was disabled",
                    Inactive::NotEnabled => "it is neither enabled nor active",
                    Inactive::Failed => "it could not start its unit, and systemd gave it up",
                }
            ),
            Lapse::Elapsed => f.write_str("has no next run: none of its times lies ahead"),
            Lapse::Disabled => f.write_str("was disabled: it runs until the next boot, and no longer"),
            Lapse::NotLoaded(load) => f.write_str(match load.as_str() {
                "masked" => "is masked",
                "not-found" => "is not there: systemd knows no unit of this name",
                "bad-setting" => "does not load: systemd cannot use a setting in its file",
                _ => "does not load: systemd cannot read its file",
            }),
            Lapse::Blind { why } => write!(f, "cannot look: {why}"),
            Lapse::NotFound { meant: Some(meant) } => {
                write!(f, "is expected to succeed, and there is no such unit; {meant} is probably meant")
            }
            Lapse::NotFound { meant: None } => f.write_str("is expected to succeed, and there is no such unit"),
            Lapse::Nothing { unit, load } => match load.as_str() {
                "masked" => write!(f, "cannot start {unit}, which is masked"),
                "not-found" => write!(f, "cannot start {unit}, which is not there"),
                "bad-setting" => write!(f, "cannot start {unit}, which does not load: systemd cannot use a setting in its file"),
                _ => write!(f, "cannot start {unit}, which does not load"),
            },
        }
    }
}

/// As one would write it into the settings: "26h", not "1d 2h".
fn length(expected: Duration) -> String {
    match expected.as_secs() {
        seconds if seconds % 3600 == 0 && seconds < 100 * 3600 => format!("{}h", seconds / 3600),
        _ => humantime::format_duration(expected).to_string().replace("days", "d").replace("day", "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_back_what_was_recorded() {
        let at = DateTime::from_timestamp(1_795_276_512, 910_114_000).unwrap();
        let service = |load: &str| Lapse::Nothing { unit: "a.service".into(), load: load.into() };
        let all = Inactive::ALL.iter().map(|(why, _)| Lapse::Inactive(*why));
        let others = [
            Lapse::Overdue { expected: Duration::from_secs(93_600), last: Some(at) },
            Lapse::Overdue { expected: Duration::from_secs(2), last: None },
            Lapse::NotRun { due: at },
            Lapse::Elapsed,
            Lapse::Disabled,
            Lapse::NotLoaded("bad-setting".into()),
            Lapse::NotFound { meant: Some("a.service".into()) },
            Lapse::NotFound { meant: None },
            Lapse::Blind { why: "the service manager does not answer".into() },
            service("masked"),
        ];
        for lapse in all.chain(others) {
            let problem = lapse.problem();
            assert_eq!(Lapse::of(&problem), Some(lapse.clone()));
            assert_eq!(problem.to_string(), lapse.to_string());
            assert!(Lapse::RESULTS.contains(&problem.service_result.as_deref().unwrap()), "{problem:?}");
        }
        let of = |result: &str, cause: &str| {
            Lapse::of(&Problem { service_result: Some(result.into()), cause: Some(cause.into()), ..Problem::default() })
        };
        for (result, cause) in [
            ("overdue", "soon"),
            ("not-run", "yesterday"),
            ("no-next-run", "<b>"),
            ("nothing-to-start", "<b> masked"),
            ("exit-code", ""),
        ] {
            assert_eq!(of(result, cause), None, "{result} {cause}");
        }
    }

    #[test]
    fn an_expectation_is_shown_as_it_was_written() {
        for (seconds, text) in [(93_600, "26h"), (2, "2s"), (86_400 * 8, "8d"), (5400, "1h 30m")] {
            assert_eq!(length(Duration::from_secs(seconds)), text);
        }
    }
}
