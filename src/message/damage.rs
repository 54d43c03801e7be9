//! What sysalert says about itself: its database was damaged, and replaced.

use chrono::{DateTime, Utc};

use super::compose::capitalized;
use super::{Banner, Letter, Tone, visible};
use crate::event::{counted, local_time};

/// Everything that a message about a replaced database says.
#[derive(Debug, Clone, Copy)]
pub struct DamageReport<'a> {
    /// The host.
    pub host: &'a str,
    /// When the damage was found.
    pub at: DateTime<Utc>,
    /// What is wrong with the old database.
    pub what: &'a str,
    /// Where that is now.
    pub file: &'a str,
    /// True when nothing of it is lost.
    pub whole: bool,
    /// How many incidents that are not over were taken over.
    pub incidents: u64,
    /// How many alerts that waited.
    pub waiting: u64,
    /// Since when the journal was asked for what was lost.
    pub since: Option<DateTime<Utc>>,
    /// How many failures it told.
    pub taken_over: u64,
}

/// The message about it.
pub fn compose_damage(report: &DamageReport<'_>) -> Letter {
    let DamageReport { host, file, .. } = *report;
    // it may quote what stood in the file
    let what = visible(report.what.as_bytes());
    let lost = if report.whole {
        "Nothing was lost."
    } else {
        "What could be read was taken over, and what failed in the last day comes from the journal again: what still fails is \
         told, perhaps a second time; what has recovered is only recorded. Alerts that waited, and older history, may be lost."
    };
    let mut facts = vec![
        ("Host", host.to_owned()),
        ("Found", local_time(report.at)),
        ("Damage", what.clone()),
        ("Set aside", file.to_owned()),
        ("Taken over", format!("{}, {}", counted(report.incidents, "open incident"), counted(report.waiting, "waiting alert"))),
    ];
    if let Some(since) = report.since {
        facts.push(("From journal", format!("{} since {}", counted(report.taken_over, "failure"), local_time(since))));
    }
    Letter {
        subject: format!("sysalert on {host}: its database was damaged and replaced"),
        banner: Banner {
            status: format!("Damaged on {host}"),
            title: "sysalert\u{2019}s database".to_owned(),
            what: capitalized(&what),
        },
        lead: format!(
            "The database of sysalert on {host} was damaged and has been replaced. {lost} Look at the disk and the memory of this \
             machine, and remove the old file when you need it no more."
        ),
        facts,
        commands: ["sysalert status".to_owned(), "journalctl -k -p warning".to_owned(), format!("ls -l {file}*")].into(),
        tone: Tone::Trouble,
        ..Letter::default()
    }
}
