//! `sysalert methods`: the configured methods, their plugins and their health.

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::output::{self, Format, Output};
use crate::dispatch::plugin;
use crate::error::Result;
use crate::event::{short_time, utc_time};
use crate::host::library;
use crate::store;

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
        let mut rows = Vec::new();
        let mut objects = Vec::new();
        for method in settings.methods.values() {
            let found = library::find(&method.plugin, &context.site.plugins);
            let described = found.clone().and_then(|path| plugin::describe(&path));
            let tried = store.as_ref().map_or(Ok(None), |store| store.with(|db| store::last_delivery(db, &method.name, None)))?;
            let waits = waiting.iter().filter(|waiting| waiting.method == method.name).count();
            rows.push(vec![
                method.name.clone(),
                described.as_ref().map_or_else(|_| method.plugin.clone(), |plugin| format!("{} {}", plugin.name, plugin.version)),
                waits.to_string(),
                match (&described, &tried) {
                    (Err(why), _) => why.clone(),
                    (Ok(_), None) => "not used yet".to_owned(),
                    (Ok(_), Some(tried)) => {
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
