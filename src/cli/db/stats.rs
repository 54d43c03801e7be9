//! `sysalert db stats`: how large the database is, and what is in it.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::output::{self, Format, Output};
use crate::error::Result;
use crate::event::{local_time, utc_time};
use crate::store;

#[derive(Debug, Args)]
pub(in crate::cli) struct Stats {
    #[command(flatten)]
    output: Output,
}

impl Stats {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let Some(store) = context.read()? else {
            match self.output.output {
                Format::Json => output::json(&json!({}))?,
                Format::Table => output::print("Nothing was recorded yet.\n")?,
            }
            return Ok(0);
        };
        let stats = store::stats(&store)?;
        match self.output.output {
            Format::Json => output::json(&json_of(&stats))?,
            Format::Table => output::print(&text_of(&stats))?,
        }
        Ok(0)
    }
}

fn text_of(stats: &store::Stats) -> String {
    let incidents: Vec<String> = stats.incidents.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    let undecided = if stats.undecided == 0 { String::new() } else { format!(", {} not decided yet", stats.undecided) };
    let rows = [
        ("file", format!("{}, of which {} are free", size(stats.file), size(stats.free))),
        ("log", size(stats.log)),
        ("schema", format!("version {}", stats.schema)),
        ("incidents", incidents.join(", ")),
        ("events", format!("{}{undecided}", stats.events)),
        ("oldest", stats.oldest.map_or_else(|| "-".to_owned(), local_time)),
        ("alerts", format!("{}, {} tries to deliver them", stats.alerts, stats.deliveries)),
        ("waiting", stats.waiting.to_string()),
    ];
    rows.iter().map(|(label, value)| format!("{label:>10}  {value}\n")).collect()
}

fn json_of(stats: &store::Stats) -> Value {
    let incidents: Map<String, Value> =
        stats.incidents.iter().map(|(state, count)| (state.as_str().to_owned(), json!(count))).collect();
    json!({
        "file_bytes": stats.file,
        "free_bytes": stats.free,
        "log_bytes": stats.log,
        "schema": stats.schema,
        "incidents": incidents,
        "events": stats.events,
        "undecided": stats.undecided,
        "oldest_event": stats.oldest.map(utc_time),
        "alerts": stats.alerts,
        "deliveries": stats.deliveries,
        "waiting": stats.waiting,
    })
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut rest = bytes;
    let mut shown = format!("{bytes} bytes");
    for unit in units {
        if rest < 1024 {
            break;
        }
        shown = format!("{}.{} {unit}", rest / 1024, rest % 1024 * 10 / 1024);
        rest /= 1024;
    }
    shown
}
