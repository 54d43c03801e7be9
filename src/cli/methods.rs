//! `sysalert methods`: the configured methods, their plugins and their health; whether a plugin is a good one.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::output::{self, Format, Output};
use crate::dispatch::{conformance, plugin};
use crate::error::{Error, Result};
use crate::event::{short_time, utc_time};
use crate::host::library;
use crate::store::{self, Outage};

const EXAMPLES: &str = "\
Examples:
  sysalert methods    which of them can send, and what the last try met
  sysalert methods check /usr/local/lib/sysalert/plugins/bell.so
                      whether a plugin keeps to the interface";

/// The configured methods.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Methods {
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Try whether a plugin keeps to the interface; one that needs no settings sends a few test messages
    Check(Check),
}

const CHECK_EXAMPLES: &str = "\
Examples:
  sysalert methods check /usr/local/lib/sysalert/plugins/bell.so --set path=/var/log/sysalert/bell";

#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
struct Check {
    /// The plugin's file
    #[arg(value_name = "FILE.so")]
    file: PathBuf,
    /// A setting for it, as in the configuration: path=/var/log/sysalert/x; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Check {
    fn run(&self, context: &Context) -> Result<u8> {
        let cannot = |error| Error::file("find", &self.file, &error);
        // before root becomes somebody who may not see the folder
        let path = std::path::absolute(&self.file).map_err(cannot)?;
        path.symlink_metadata().map_err(cannot)?;
        let config = self.set.iter().map(|text| setting(text)).collect::<Result<Map<_, _>>>()?;
        context.enter()?;
        let findings = output::waiting_for("trying the plugin", || conformance::check(&path, &config));
        let wrong = findings.iter().filter(|finding| finding.found.is_err()).count();
        let rows = findings.into_iter().map(|finding| {
            let (word, found) = match finding.found {
                Ok(found) => ("ok", found),
                Err(why) => ("WRONG", why),
            };
            vec![word.to_owned(), finding.what.to_owned(), found]
        });
        output::print(&output::table(&["", "LOOKED AT", "FOUND"], rows))?;
        Ok(u8::from(wrong > 0))
    }
}

/// `key=value`: a number, truth or list as JSON and TOML write it, or else a text.
fn setting(text: &str) -> Result<(String, Value)> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        Error::usage(format!("--set {} has no \"=\"", text.escape_debug())).hint("as in --set path=/var/log/sysalert/x")
    })?;
    Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

impl Methods {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        if let Some(Verb::Check(check)) = &self.verb {
            return check.run(context);
        }
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
