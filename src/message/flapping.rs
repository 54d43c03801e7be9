//! What flaps, in words: that it begins, and that it is over.

use std::time::Duration;

use chrono::TimeDelta;

use super::compose::{Report, capitalized, span};
use crate::event::{Outcome, local_time};
use crate::incident::{Flapping, How};

/// What is told about a unit that flaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It begins.
    Begins,
    /// It was well for so long that it is over.
    Stable,
    /// Nothing has run it for so long that it is over.
    NoLongerRuns,
}

/// What a message says that is about flapping.
pub(super) struct Words {
    pub(super) status: &'static str,
    pub(super) what: String,
    pub(super) subject: String,
    pub(super) lead: String,
    pub(super) facts: Vec<(&'static str, String)>,
}

/// The words for it; `window` is how long nothing must happen.
pub(super) fn words(report: &Report<'_>, flapping: &Flapping, phase: Phase, window: Duration) -> Words {
    let (name, host) = (report.event.subject.name(), report.host);
    let window = span(TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX));
    let (does, did) = (flapping.does(), flapping.did());
    let often = format!("{} times in {}", flapping.times, span(flapping.last - flapping.since));
    let since = format!("{often}, since {}", local_time(flapping.since));
    let label = if flapping.how == How::Restarting { "Restarts" } else { "Failures" };
    let last = report.failures.last();
    let was = last.map(|(_, problem)| format!(" Its last failure: {problem}.")).unwrap_or_default();
    match phase {
        Phase::Begins => {
            let by = match flapping.how {
                How::Restarting => format!("systemd has started it again {often}, as its Restart= says"),
                How::Alternating => format!("it failed {often}, and each time it was well again"),
            };
            let how = match report.event.outcome {
                Outcome::Failed => format!("Its last run: {}.", report.event.problem),
                Outcome::Succeeded => "Its runs end without an error, so that systemd never calls it failed.".to_owned(),
            };
            let next = format!("The next message comes when it has been stable for {window}, or stays failed.");
            Words {
                status: if flapping.how == How::Restarting { "Keeps restarting" } else { "Keeps failing and recovering" },
                what: capitalized(&often),
                subject: format!("{name} {does} on {host}: {often}"),
                lead: format!("{name} on {host} {does}: {by}. {how} {next}"),
                facts: vec![
                    (if report.event.outcome == Outcome::Failed { "Failed" } else { "Ended" }, local_time(report.event.at)),
                    (label, since),
                    ("Severity", report.incident.severity.as_str().to_owned()),
                ],
            }
        }
        Phase::Stable => Words {
            status: "Stable",
            what: format!("For {window}"),
            subject: format!("{name} has been stable for {window} on {host}"),
            lead: format!(
                "{name} on {host} is stable: for {window} it has neither failed nor been restarted. Before that it {did}: {often}.{was}"
            ),
            facts: over(report, flapping, label, since),
        },
        Phase::NoLongerRuns => Words {
            status: "Does not run",
            what: format!("For {window}"),
            subject: format!("{name} has not run for {window} on {host}"),
            lead: format!(
                "{name} on {host} does not run: for {window} nothing has started it. Before that it {did}: {often}.{was} \
                 Whether it works now is not known; if it fails again you hear of that anew."
            ),
            facts: over(report, flapping, label, since),
        },
    }
}

fn over(report: &Report<'_>, flapping: &Flapping, label: &'static str, since: String) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Quiet since", local_time(flapping.last)), (label, since)];
    let failed = report.failures.last().filter(|(at, _)| *at != flapping.last);
    facts.extend(failed.map(|(at, _)| ("Last failure", local_time(*at))));
    facts
}
