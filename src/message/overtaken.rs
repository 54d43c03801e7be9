//! A failure and its recovery in one message: the recovery came before anybody could be told.

use super::compose::{Report, compose};
use super::{Context, Letter};

/// The message of a recovery that tells its failure, too. The report's context is that of the failure.
pub fn compose_overtaken(report: &Report<'_>) -> Letter {
    let (name, host) = (report.event.subject.name(), report.host);
    let how = report.failures.last().map_or_else(String::new, |(_, problem)| format!(": {problem}"));
    // these are of a run, and a reader would take it for the last one
    let context = Context { ran: None, usual: None, last_success: None, sockets: Vec::new(), ..report.context.clone() };
    let mut letter = compose(&Report { context: &context, ..*report });
    if report.flapping.is_some() {
        letter.lead += " The messages about that had not been sent yet: this one tells all.";
        return letter;
    }
    if report.event.subject.is_schedule() || report.event.subject.is_watchdogs() {
        letter.lead += " The message about that had not been sent yet: this one tells both.";
        return letter;
    }
    letter.subject = format!("{name} failed and recovered on {host}{how}");
    letter.banner.status = format!("Failed and recovered on {host}");
    letter.lead = format!(
        "{name} on {host} failed{how}. It is well again. The message about that failure had not been sent yet: this one tells both."
    );
    letter
}
