//! `sysalert methods`: the configured methods, their plugins and their health.

use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::output::{self, Format, Output};
use crate::dispatch::plugin;
use crate::error::Result;
use crate::event::{short_time, utc_time};
use crate::host::library;
use crate::store::{self, Outage};

/// The configured methods.
#[derive(Debug, Args)]
pub(super) struct Methods {
    #[command(flatten)]
    output: Output,
}

impl Methods {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        let store = context.read()?;
        let waiting = store.as_ref().map_or_else(|| Ok(Vec::new()), |store| store.with(store::waiting))?;
        let outages = store.as_ref().map_or_else(|| Ok(Vec::new()), |store| store.with(store::outages))?;
        let mut rows = Vec::new();
        let mut objects = Vec::new();
        for method in settings.methods.values() {
            let found = library::find(&method.plugin, &context.site.plugins);
            let described = found.clone().and_then(|path| plugin::describe(&path));
            let tried = store.as_ref().map_or(Ok(None), |store| store.with(|db| store::last_delivery(db, &method.name, None)))?;
            let waits = waiting.iter().filter(|waiting| waiting.method == method.name).count();
            let outage = outages.iter().find(|outage| outage.method == method.name);
            rows.push(vec![
                method.name.clone(),
                described.as_ref().map_or_else(|_| method.plugin.clone(), |plugin| format!("{} {}", plugin.name, plugin.version)),
                waits.to_string(),
                match (&described, outage, &tried) {
                    (Err(why), _, _) => why.clone(),
                    (Ok(_), Some(outage), _) => {
                        let (since, last) = (short_time(outage.since), short_time(outage.last));
                        format!("failing since {since}; not sent {last}: {}", outage.detail)
                    }
                    (Ok(_), None, None) => "not used yet".to_owned(),
                    (Ok(_), None, Some(tried)) => {
                        format!(
                            "{} {}: {}",
                            if tried.was_sent() { "sent" } else { "not sent" },
                            short_time(tried.at),
                            tried.detail
                        )
                    }
                },
            ]);
            objects.push(json!({
                "method": method.name,
                "plugin": method.plugin,
                "file": found.ok().map(|path| path.to_string_lossy().into_owned()),
                "version": described.as_ref().ok().map(|plugin| &plugin.version),
                "problem": described.as_ref().err(),
                "last_status": tried.as_ref().map(|tried| &tried.status),
                "last_detail": tried.as_ref().map(|tried| &tried.detail),
                "last_try": tried.as_ref().map(|tried| utc_time(tried.at)),
                "failing_since": outage.map(|outage| utc_time(outage.since)),
                "fallback": method.fallback,
                "waiting": waits,
            }));
        }
        match self.output.output {
            Format::Json => output::json(&objects.into())?,
            Format::Table => output::print(&output::table(&["METHOD", "PLUGIN", "WAITING", "LAST TRY"], rows))?,
        }
        Ok(0)
    }
}

/// The methods that cannot send, for people.
pub(super) fn outages_table(outages: &[Outage]) -> String {
    let row = |outage: &Outage| {
        vec![
            outage.method.clone(),
            short_time(outage.since),
            outage.waiting.to_string(),
            short_time(outage.last),
            outage.detail.clone(),
        ]
    };
    output::table(&["METHOD", "FAILING SINCE", "WAITING", "LAST TRY", "WHICH MET"], outages.iter().map(row))
}

/// A method that cannot send, for programs.
pub(super) fn outage_json(outage: &Outage) -> Value {
    json!({
        "method": outage.method,
        "failing_since": utc_time(outage.since),
        "told": outage.told.map(utc_time),
        "last_try": utc_time(outage.last),
        "last_detail": outage.detail,
        "waiting": outage.waiting,
    })
}
