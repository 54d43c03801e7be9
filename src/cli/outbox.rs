//! `sysalert outbox list|retry|drop`: what is decided and not yet delivered.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::context::{Context, PATIENCE};
use super::output::{self, Format, Output};
use crate::error::{Error, Result};
use crate::event::{Subject, is_or_are, short_time, utc_time};
use crate::host::{clock, wake};
use crate::store::{self, Dropped, Older, Retried, Store, Waiting};

#[derive(Debug, Subcommand)]
pub(super) enum Outbox {
    /// Show what waits to be sent, and why
    #[command(
        after_help = "Examples:\n  sysalert outbox list          what could not be sent, and why\n  sysalert outbox list -o json  for a program"
    )]
    List(List),
    /// Try again at once, whatever the last try met
    Retry(Retry),
    /// Give up an alert: it is not sent
    Drop(Drop),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    output: Output,
}

const RETRY_EXAMPLES: &str = "\
Examples:
  sysalert outbox retry       everything that waits
  sysalert outbox retry 17    this one";

#[derive(Debug, Args)]
#[command(after_help = RETRY_EXAMPLES)]
pub(super) struct Retry {
    /// The alert's ID in `outbox list`; without it, all
    id: Option<i64>,
}

const DROP_EXAMPLES: &str = "\
Examples:
  sysalert outbox drop 17";

#[derive(Debug, Args)]
#[command(after_help = DROP_EXAMPLES)]
pub(super) struct Drop {
    /// The alert's ID in `outbox list`
    id: i64,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Outbox {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        match self {
            Outbox::List(verb) => verb.run(context),
            Outbox::Retry(verb) => verb.run(context),
            Outbox::Drop(verb) => verb.run(context),
        }
    }
}

impl List {
    fn run(&self, context: &Context) -> Result<u8> {
        let store = context.read()?;
        let waiting = store.as_ref().map_or_else(|| Ok(Vec::new()), |store| store.with(store::waiting))?;
        match self.output.output {
            Format::Json => output::json(&waiting.iter().map(json_of).collect())?,
            Format::Table if store.is_none() => output::print("Nothing was recorded yet.\n")?,
            Format::Table if waiting.is_empty() => output::print("Nothing waits to be sent.\n")?,
            Format::Table => output::print(&table_of(&waiting, clock::system()))?,
        }
        Ok(0)
    }
}

impl Retry {
    fn run(&self, context: &Context) -> Result<u8> {
        let retried = match context.read()? {
            Some(_) => {
                let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
                store.write(|db| store::retry(db, self.id, clock::system()))?
            }
            None if self.id.is_some() => None,
            None => Some(Retried::default()),
        };
        let Some(Retried { due, leased }) = retried else { return Err(missing(self.id.unwrap_or_default())) };
        let mut text = match (due, leased) {
            (0, 0) => "Nothing waits to be sent.\n".to_owned(),
            (0, _) => String::new(),
            (1, _) => "1 alert is tried again now.\n".to_owned(),
            (many, _) if self.id.is_some() => format!("{many} alerts are tried again now: the older ones go first.\n"),
            (many, _) => format!("{many} alerts are tried again now.\n"),
        };
        if leased > 0 {
            text += &format!("{leased} {} being sent right now.\n", is_or_are(leased));
        }
        if due > 0 {
            wake::raise_or_warn(&context.site, None);
        }
        output::print(&text)?;
        Ok(0)
    }
}

impl Drop {
    fn run(&self, context: &Context) -> Result<u8> {
        let Some(readable) = context.read()? else { return Err(missing(self.id)) };
        let waiting = readable.with(store::waiting)?;
        let Some(waiting) = waiting.iter().find(|waiting| waiting.id == self.id) else { return Err(missing(self.id)) };
        drop(readable);
        let what = described(waiting);
        if !self.yes && !output::agreed(&format!("this gives up {what}"), &format!("Give up {what}?"))? {
            output::print("Nothing was changed.\n")?;
            return Ok(0);
        }
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        match store.write(|db| store::drop_waiting(db, self.id, clock::system()))? {
            Dropped::Gone => output::print(&format!("Gave up {what}.\n"))?,
            Dropped::Missing => return Err(missing(self.id)),
            Dropped::Leased => {
                let error = Error::failure(format!("{what} is being sent right now"));
                return Err(error.hint("a try lasts two minutes at the most: `sysalert outbox list` shows what became of it"));
            }
        }
        Ok(0)
    }
}

fn missing(id: i64) -> Error {
    Error::failure(format!("no alert with the ID {id} waits to be sent")).hint("`sysalert outbox list` shows what does")
}

/// "the failure alert of backup.service by mail"
fn described(waiting: &Waiting) -> String {
    let of = waiting.subject.as_deref().map_or_else(String::new, |_| format!(" of {}", name_of(waiting)));
    format!("the {} alert{of} by {}", waiting.kind.as_str(), waiting.method)
}

fn name_of(waiting: &Waiting) -> String {
    if let Some(method) = &waiting.outage {
        return format!("method {method}");
    }
    if waiting.damage {
        return "the database".to_owned();
    }
    waiting.subject.clone().map_or_else(|| "-".to_owned(), |subject| Subject::stored(subject).full_name().to_owned())
}

/// What waits, for people.
pub(super) fn table_of(waiting: &[Waiting], now: DateTime<Utc>) -> String {
    let row = |waiting: &Waiting| {
        vec![
            waiting.id.to_string(),
            name_of(waiting),
            waiting.kind.as_str().to_owned(),
            match &waiting.instead_of {
                Some(other) => format!("{} for {other}", waiting.method),
                None => waiting.method.clone(),
            },
            short_time(waiting.at),
            waiting.attempts.to_string(),
            next_try(waiting, now),
            waiting.held.as_ref().or(waiting.detail.as_ref()).cloned().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let header = ["ID", "UNIT", "ALERT", "METHOD", "SINCE", "TRIES", "NEXT TRY", "WHY IT WAITS"];
    output::table(&header, waiting.iter().map(row))
}

/// When an alert that waits is tried next.
pub(super) fn next_try(waiting: &Waiting, now: DateTime<Utc>) -> String {
    match waiting.lease {
        Some(lease) if lease > now => "being sent".to_owned(),
        _ if waiting.with_recovery => "with its recovery".to_owned(),
        _ => waiting.due.filter(|due| *due > now).map_or_else(|| "soon".to_owned(), short_time),
    }
}

/// What waits, for programs.
pub(super) fn json_of(waiting: &Waiting) -> Value {
    let subject = waiting.subject.clone().map(Subject::stored);
    json!({
        "id": waiting.id,
        "alert": waiting.kind.as_str(),
        "subject": waiting.subject,
        "unit": subject.as_ref().map(Subject::unit_name),
        "manager": subject.as_ref().map(Subject::manager),
        "method": waiting.method,
        "instead_of": waiting.instead_of,
        "outage_of": waiting.outage,
        "since": utc_time(waiting.at),
        "tries": waiting.attempts,
        "next_try": waiting.due.map(utc_time),
        "detail": waiting.detail,
        "limit": waiting.held,
        "with_recovery": waiting.with_recovery,
    })
}
