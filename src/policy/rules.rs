//! The settings that policy uses, and the rule that turns a unit off.

use std::borrow::Cow;
use std::time::Duration;

use super::{Reason, Situation, started_by};
use crate::config::{Hours, Key, Kind, Values};
use crate::event::{Alarm, Event, Outcome, Problem, Start};
use crate::incident::Severity;

const ALERT_ON: &[Cow<'static, str>] = &[Cow::Borrowed("final"), Cow::Borrowed("each")];
const SAME_PROBLEM: &[Cow<'static, str>] = &[Cow::Borrowed("result"), Cow::Borrowed("error")];
const STARTED_BY: &[Cow<'static, str>] =
    &[Cow::Borrowed("any"), Cow::Borrowed("timer"), Cow::Borrowed("path"), Cow::Borrowed("other")];
/// The words for how bad a failure is.
pub const SEVERITIES: &[Cow<'static, str>] = &[Cow::Borrowed("info"), Cow::Borrowed("warning"), Cow::Borrowed("critical")];

/// The keys of `[policy]`; `[unit."GLOB"]` has them too.
pub const KEYS: &[Key] = &[
    Key::new("methods", Kind::List, "[]", "the methods that send; empty: all configured ones, or the journal if there is none"),
    Key::new("severity", Kind::Choice(Cow::Borrowed(SEVERITIES)), "\"critical\"", "how bad a failure is"),
    Key::new(
        "ignore",
        Kind::Integer { min: 0, max: 1_000_000 },
        "0",
        "failures of one incident to keep quiet about before the first alert",
    ),
    Key::new(
        "ignore_within",
        Kind::ANY_TIME,
        "\"0s\"",
        "failures of earlier incidents count too, for so long; \"0s\": only those of this incident",
    ),
    Key::new(
        "alert_on",
        Kind::Choice(Cow::Borrowed(ALERT_ON)),
        "\"final\"",
        "\"each\": also failures after which systemd starts the unit again by itself",
    ),
    Key::new(
        "same_problem",
        Kind::Choice(Cow::Borrowed(SAME_PROBLEM)),
        "\"result\"",
        "\"error\": another last error line is another problem, too, apart from its numbers, ids, times and temporary names",
    ),
    Key::new("min_interval", Kind::ANY_TIME, "\"5m\"", "between repetitions; a new problem and a recovery never wait"),
    Key::new(
        "remind",
        Kind::Interval,
        "\"never\"",
        "tell again what is not over and nobody acknowledged, so long after the last alert",
    ),
    Key::new("escalate_to", Kind::List, "[]", "the methods that are told as well when nobody acknowledges an incident in time"),
    Key::new("escalate_after", Kind::ANY_TIME, "\"15m\"", "how long nobody has acknowledged it before `escalate_to` is told"),
    Key::new(
        "quiet",
        Kind::Hours("never"),
        "\"never\"",
        "hours in which all but critical alerts wait, to be told as one message",
    ),
    Key::new("recovery", Kind::Boolean, "true", "tell when it is well again"),
    Key::new("recovery_hold", Kind::ANY_TIME, "\"10s\"", "a daemon counts as recovered when it was active this long"),
    Key::new(
        "flapping",
        Kind::Integer { min: 0, max: 1000 },
        "5",
        "it flaps when it was restarted, or failed and recovered, so often within the window; 0: never",
    ),
    Key::new(
        "flapping_window",
        Kind::Duration { min: 1, max: 7 * 86_400 },
        "\"1h\"",
        "the window of `flapping`; it is stable when it was well for so long",
    ),
    Key::new(
        "started_by",
        Kind::Choices(Cow::Borrowed(STARTED_BY)),
        "[\"any\"]",
        "tell of runs that these started: \"timer\", \"path\", \"other\"; what nobody knows is told",
    ),
    Key::new("journal_lines", Kind::Integer { min: 0, max: 1000 }, "50", "how many of the run's last lines an alert shows"),
];

/// The keys that only `[unit."GLOB"]` has.
pub const UNIT_KEYS: &[Key] = &[
    Key::new("enabled", Kind::Boolean, "true", "false: record, but never tell"),
    Key::new("sweep", Kind::Boolean, "false", "true: look for its failures in the journal, also without OnFailure="),
    Key::new(
        "expect_success",
        Kind::Duration { min: 1, max: 31_557_600 },
        "",
        "it should succeed at least so often: \"26h\"; for services that run and end",
    ),
    Key::new(
        "stuck_after",
        Kind::ANY_TIME,
        "",
        "if it is polled: it hangs when it starts, stops or reloads for longer; also a oneshot",
    ),
    Key::new("to", Kind::List, "[]", "recipients of this unit, for methods that have recipients"),
];

/// `alert_on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertOn {
    /// Only failures after which the unit stays failed.
    Final,
    /// Every failure.
    Each,
}

/// `same_problem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameProblem {
    /// What has the same result.
    Result,
    /// What also complains of the same.
    Error,
}

/// The settings for one subject; nothing is optional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// False: record, but never tell.
    pub enabled: bool,
    /// The methods that send.
    pub methods: Vec<String>,
    /// How bad a failure is.
    pub severity: Severity,
    /// How many failures to keep quiet about.
    pub ignore: u64,
    /// Failures of earlier incidents count within this time, too; zero: they never do.
    pub ignore_within: Duration,
    /// Which failures count.
    pub alert_on: AlertOn,
    /// What makes two failures the same problem.
    pub same_problem: SameProblem,
    /// Between repetitions.
    pub min_interval: Duration,
    /// So long after the last alert it is told again; `None`: never.
    pub remind: Option<Duration>,
    /// Who is told as well when nobody acknowledges it in time; empty: nobody.
    pub escalate_to: Vec<String>,
    /// In this time.
    pub escalate_after: Duration,
    /// The hours in which all but critical alerts wait.
    pub quiet: Option<Hours>,
    /// Tell when it is well again.
    pub recovery: bool,
    /// So long a daemon must be active to count as recovered.
    pub recovery_hold: Duration,
    /// So many restarts, or incidents, within the window are flapping; 0: none are.
    pub flapping: u64,
    /// How close together; it is stable when it was well for so long.
    pub flapping_window: Duration,
    /// The kinds of start whose runs are told.
    pub started_by: Vec<Start>,
    /// How many lines of the journal an alert shows.
    pub journal_lines: usize,
    /// Look for its failures in the journal, also without OnFailure=.
    pub sweep: bool,
    /// It should succeed at least so often.
    pub expect_success: Option<Duration>,
    /// So long it may start, stop or reload; `None`: as `[services]` says.
    pub stuck_after: Option<Duration>,
    /// Recipients of this unit; empty: the method's own.
    pub to: Vec<String>,
}

impl Rules {
    /// Reads them from valid settings.
    pub fn from(values: &Values<'_>) -> Rules {
        Rules {
            enabled: values.boolean("enabled"),
            methods: values.list("methods"),
            severity: values.text("severity").and_then(|word| Severity::parse(&word)).unwrap_or(Severity::Critical),
            ignore: values.count("ignore"),
            ignore_within: values.duration("ignore_within"),
            alert_on: if values.text("alert_on").as_deref() == Some("each") { AlertOn::Each } else { AlertOn::Final },
            same_problem: match values.text("same_problem").as_deref() {
                Some("error") => SameProblem::Error,
                _ => SameProblem::Result,
            },
            min_interval: values.duration("min_interval"),
            remind: values.interval("remind"),
            escalate_to: values.list("escalate_to"),
            escalate_after: values.duration("escalate_after"),
            quiet: values.hours("quiet"),
            recovery: values.boolean("recovery"),
            recovery_hold: values.duration("recovery_hold"),
            flapping: values.count("flapping"),
            flapping_window: values.duration("flapping_window"),
            started_by: started_by::starts(&values.list("started_by")),
            journal_lines: usize::try_from(values.count("journal_lines")).unwrap_or(usize::MAX),
            sweep: values.boolean("sweep"),
            expect_success: Some(values.duration("expect_success")).filter(|expected| !expected.is_zero()),
            stuck_after: values.text("stuck_after").map(|_| values.duration("stuck_after")),
            to: values.list("to"),
        }
    }
}

impl Rules {
    /// Whether something follows when nobody acknowledges an incident.
    pub fn wait_for_somebody(&self) -> bool {
        self.remind.is_some() || !self.escalate_to.is_empty()
    }

    /// The same for a schedule. What stands until somebody mends it fails once, so there is nothing to ignore, and it does not
    /// flap. What somebody did by hand may be meant.
    #[must_use]
    pub fn of_schedule(mut self, problem: &Problem) -> Rules {
        self.flapping = 0;
        match problem.lapse() {
            Some(lapse) if lapse.is_by_hand() => self.severity = self.severity.min(Severity::Warning),
            _ => {}
        }
        if problem.lapse().is_none_or(|lapse| !lapse.comes_again()) {
            self.ignore = 0;
        }
        self
    }

    /// The same for a process of the watchdog's database: the watchdog counts for itself, so that none of its words are ignored, and
    /// a process that it gave up is critical. What each restart brings back for a while flaps; what else is wrong is told.
    #[must_use]
    pub fn of_process(mut self, problem: &Problem) -> Rules {
        if !matches!(problem.alarm(), None | Some(Alarm::Restarts)) {
            self.flapping = 0;
        }
        self.ignore = 0;
        if matches!(problem.alarm(), Some(Alarm::BreakerOpen(_))) {
            self.severity = Severity::Critical;
        }
        self
    }

    /// The same for a rule of a sensor, which says itself how bad it is, and how often is not often enough. It does not flap: that
    /// is what `clear` is for.
    #[must_use]
    pub fn of_check(mut self, problem: &Problem) -> Rules {
        self.flapping = 0;
        self.ignore = 0;
        self.severity = problem.finding().and_then(|finding| Severity::parse(finding.severity())).unwrap_or(self.severity);
        self
    }

    /// Whether it matters what this event's run complained of. What was never started has said nothing.
    pub fn asks_for_error(&self, event: &Event) -> bool {
        self.same_problem == SameProblem::Error && event.outcome == Outcome::Failed && event.invocation_id.is_some()
    }

    /// Whether it matters what started a run.
    pub fn asks_for_starts(&self) -> bool {
        !started_by::is_any(&self.started_by)
    }
}

/// A unit that the settings turn off.
pub(super) fn disabled(situation: &Situation<'_>) -> Option<Reason> {
    (!situation.rules.enabled).then_some(Reason::Disabled)
}
