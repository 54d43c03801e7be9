//! `sysalert status`: what is wrong now, what waits to be sent.

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;

use super::context::Context;
use super::db;
use super::output::{self, Format, Output};
use crate::error::Result;
use crate::event::{short_time, utc_time};
use crate::host::clock;
use crate::store::{self, Waiting, Which};

/// What is wrong now.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    output: Output,
}

impl Status {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let store = context.read()?;
        let recorded = store.is_some();
        let (incidents, waiting, undecided) = match store {
            Some(store) => {
                store.with(|db| Ok((store::list(db, Which::Active)?, store::waiting(db)?, store::count_undecided(db)?)))?
            }
            None => Default::default(),
        };
        if self.output.output == Format::Json {
            let incidents: Vec<_> = incidents.iter().map(db::json_of).collect();
            let waiting: Vec<_> = waiting.iter().map(json_of).collect();
            output::json(&json!({ "incidents": incidents, "outbox": waiting, "undecided": undecided }))?;
            return Ok(0);
        }
        let mut text = match (recorded, incidents.is_empty()) {
            (false, _) => "Nothing was recorded yet.\n".to_owned(),
            // what nobody has decided yet may be what is wrong
            (true, true) if undecided > 0 => String::new(),
            (true, true) => "Nothing is wrong.\n".to_owned(),
            (true, false) => db::table_of(&incidents),
        };
        if !waiting.is_empty() {
            let now = clock::system();
            let rows = waiting.iter().map(|waiting| {
                vec![
                    waiting
                        .subject
                        .as_deref()
                        .map_or("-", |subject| subject.split_once(':').map_or(subject, |(_, name)| name))
                        .to_owned(),
                    waiting.kind.as_str().to_owned(),
                    waiting.method.clone(),
                    short_time(waiting.at),
                    waiting.attempts.to_string(),
                    next_try(waiting, now),
                    waiting.detail.clone().unwrap_or_else(|| "-".to_owned()),
                ]
            });
            text += "\nNot yet delivered:\n";
            text += &output::table(&["UNIT", "ALERT", "METHOD", "SINCE", "TRIES", "NEXT TRY", "THE LAST TRY MET"], rows);
        }
        if undecided > 0 {
            let events =
                if undecided == 1 { "1 recorded event is".to_owned() } else { format!("{undecided} recorded events are") };
            let gap = if text.is_empty() { "" } else { "\n" };
            text += &format!(
                "{gap}{events} not decided yet, so nobody was told. `sysalert config check` tells whether the configuration is why.\n"
            );
        }
        output::print(&text)?;
        Ok(0)
    }
}

/// When an alert that waits is tried next.
pub(super) fn next_try(waiting: &Waiting, now: DateTime<Utc>) -> String {
    match waiting.lease {
        Some(lease) if lease > now => "being sent".to_owned(),
        _ => waiting.due.filter(|due| *due > now).map_or_else(|| "soon".to_owned(), short_time),
    }
}

fn json_of(waiting: &Waiting) -> serde_json::Value {
    json!({
        "id": waiting.id,
        "alert": waiting.kind.as_str(),
        "subject": waiting.subject,
        "method": waiting.method,
        "since": utc_time(waiting.at),
        "tries": waiting.attempts,
        "next_try": waiting.due.map(utc_time),
        "detail": waiting.detail,
    })
}
