//! `sysalert status`: what is wrong now, what is silenced, what waits to be sent.

use clap::Args;
use serde_json::json;

use super::context::{Context, by_now};
use super::output::{self, Format, Output};
use super::{db, methods, outbox, silence};
use crate::error::Result;
use crate::event::{counted, is_or_are, local_time, utc_time};
use crate::host::clock;
use crate::store::{self, Row, Which};

const EXAMPLES: &str = "\
Examples:
  sysalert status            what is wrong, what is silenced, what could not be sent
  sysalert status -o json    for a program";

/// What is wrong now.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Status {
    #[command(flatten)]
    output: Output,
}

impl Status {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let store = context.read()?;
        let recorded = store.is_some();
        let (incidents, measured, waiting, undecided, outages, silences, damage) = match &store {
            Some(store) => store.with(|db| {
                let damage = store::damage(db)?;
                let incidents = store::list(db, Which::Active)?;
                let measured = incidents.iter().map(|row| by_now(db, &row.incident.subject, &row.problem));
                let measured = measured.collect::<store::Answer<Vec<_>>>()?;
                Ok((
                    incidents,
                    measured,
                    store::waiting(db)?,
                    store::count_undecided(db)?,
                    store::outages(db)?,
                    store::silences(db, clock::system())?,
                    damage,
                ))
            })?,
            None => Default::default(),
        };
        // as long as somebody has not removed what was set aside
        let damage =
            store.zip(damage).map(|(store, damage)| (store.beside(&damage.file), damage)).filter(|(path, _)| path.exists());
        if self.output.output == Format::Json {
            let with_value = |(row, by_now): (&Row, &Option<String>)| {
                let mut json = db::json_of(row);
                json["by_now"] = json!(by_now);
                json
            };
            let incidents: Vec<_> = incidents.iter().zip(&measured).map(with_value).collect();
            let waiting: Vec<_> = waiting.iter().map(outbox::json_of).collect();
            let failing: Vec<_> = outages.iter().map(methods::outage_json).collect();
            let damage = damage.map(|(path, damage)| {
                let lost_since = damage.since.map(utc_time);
                json!({ "found": utc_time(damage.at), "what": damage.what, "set_aside": path, "journal_asked_since": lost_since })
            });
            output::json(&json!({
                "incidents": incidents,
                "silences": silences.iter().map(silence::json_of).collect::<Vec<_>>(),
                "outbox": waiting,
                "undecided": undecided,
                "failing_methods": failing,
                "damaged_database": damage,
            }))?;
            return Ok(0);
        }
        let mut text = match (recorded, incidents.is_empty()) {
            (false, _) => "Nothing was recorded yet.\n".to_owned(),
            // what nobody has decided yet may be what is wrong
            (true, true) if undecided > 0 => String::new(),
            (true, true) => "Nothing is wrong.\n".to_owned(),
            (true, false) => db::table_of(&incidents),
        };
        let by_now = incidents.iter().zip(measured);
        let by_now = by_now.filter_map(|(row, by_now)| Some(vec![row.incident.subject.full_name().to_owned(), by_now?]));
        let by_now: Vec<Vec<String>> = by_now.collect();
        if !by_now.is_empty() {
            text += "\nBy now:\n";
            text += &output::table(&["CHECK", "VALUE"], by_now);
        }
        if !silences.is_empty() {
            text += "\nSilenced:\n";
            text += &silence::table_of(&silences);
        }
        if !waiting.is_empty() {
            text += "\nNot yet delivered:\n";
            text += &outbox::table_of(&waiting, clock::system());
        }
        if !outages.is_empty() {
            text += "\nMethods that cannot send:\n";
            text += &methods::outages_table(&outages);
        }
        if let Some((path, damage)) = damage {
            let gap = if text.is_empty() { "" } else { "\n" };
            text += &format!(
                "{gap}The database was damaged ({}) and replaced at {}. Look at the disk, and remove {} when you need it no more.\n",
                damage.what,
                local_time(damage.at),
                path.display()
            );
        }
        if undecided > 0 {
            let (events, are) = (counted(undecided, "recorded event"), is_or_are(undecided));
            let gap = if text.is_empty() { "" } else { "\n" };
            text += &format!(
                "{gap}{events} {are} not decided yet, so nobody was told. `sysalert config check` tells whether the configuration is why.\n"
            );
        }
        output::print(&text)?;
        Ok(0)
    }
}
