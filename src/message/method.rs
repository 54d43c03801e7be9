//! What sysalert says about itself: a method that cannot send, and that it works again.

use chrono::{DateTime, Utc};

use super::compose::{capitalized, span};
use super::{Banner, Letter, Tone};
use crate::event::{counted, local_time};

/// Everything that a message about a method says.
#[derive(Debug, Clone, Copy)]
pub struct MethodReport<'a> {
    /// The host.
    pub host: &'a str,
    /// The method that cannot send, or could not.
    pub method: &'a str,
    /// The one that says so.
    pub by: &'a str,
    /// When its first try failed.
    pub since: DateTime<Utc>,
    /// What its last one met.
    pub detail: &'a str,
    /// How many alerts waited for it.
    pub waiting: u64,
    /// When this was decided.
    pub at: DateTime<Utc>,
    /// True when it works again.
    pub works: bool,
}

/// The message about a method.
pub fn compose_method(report: &MethodReport<'_>) -> Letter {
    let MethodReport { host, method, by, detail, .. } = *report;
    let lasted = span(report.at - report.since);
    let mut facts = vec![("Host", host.to_owned()), ("Method", method.to_owned())];
    let (subject, status, lead) = if report.works {
        facts.push(("Works since", local_time(report.at)));
        facts.push(("Failed since", local_time(report.since)));
        facts.push(("Lasted", lasted));
        facts.push(("Last error", detail.to_owned()));
        (
            format!("sysalert on {host} sends by {method} again"),
            format!("Works again on {host}"),
            format!("The method {method} of sysalert on {host} works again. What still waits for it is sent now, late."),
        )
    } else {
        facts.push(("Failing since", local_time(report.since)));
        facts.push(("Last answer", detail.to_owned()));
        facts.push(("Waiting", counted(report.waiting, "alert")));
        (
            format!("sysalert on {host} cannot send by {method}: {detail}"),
            format!("Cannot send on {host}"),
            format!(
                "The method {method} of sysalert on {host} has sent nothing for {lasted}: {detail}. Until it works again, \
                 its alerts go out by {by}."
            ),
        )
    };
    Letter {
        subject,
        banner: Banner { status, title: method.to_owned(), what: capitalized(detail) },
        lead,
        facts,
        commands: ["sysalert methods".to_owned(), "sysalert outbox list".to_owned(), format!("sysalert test {method}")].into(),
        tone: if report.works { Tone::Well } else { Tone::Trouble },
        ..Letter::default()
    }
}
