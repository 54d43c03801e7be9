//! The keys that plugins add to the sections of their methods, as they tell them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::check::described;
use super::plugin;
use crate::config::Key;
use crate::host::{Site, library};

/// A key of a plugin.
#[derive(Debug)]
pub struct PluginKey {
    /// What it is.
    pub key: Key,
    /// A section without it is incomplete.
    pub required: bool,
    /// What else whoever asks for it must know, as `sysalert_plugin.h` says: "when", "needed", "channels", "min", "max".
    pub further: Map<String, Value>,
}

const FURTHER: [&str; 3] = ["when", "needed", "channels"];

/// Each plugin there is, by its name, with its keys; or a sentence that says why they are not known.
pub fn plugin_keys(site: &Site) -> Vec<(String, Result<Vec<PluginKey>, String>)> {
    library::names(&site.plugins).into_iter().map(|name| (name.clone(), keys_of(site, &name))).collect()
}

fn keys_of(site: &Site, name: &str) -> Result<Vec<PluginKey>, String> {
    let plugin = plugin::describe(&library::find(name, &site.plugins)?)?;
    let told = described(&plugin)?.ok_or_else(|| format!("the plugin {name} does not tell its keys"))?;
    let known = told.into_iter().filter_map(|told| {
        let kind = told.kind()?;
        let default = if told.default == Value::Null { String::new() } else { told.default.to_string() };
        let about = Cow::Owned(told.about);
        let bounds =
            [("min", told.min), ("max", told.max)].into_iter().filter_map(|(name, bound)| Some((name.to_owned(), bound?.into())));
        let further = told.further.into_iter().filter(|(name, _)| FURTHER.contains(&name.as_str())).chain(bounds).collect();
        Some(PluginKey {
            key: Key { name: told.name.into(), kind, default: default.into(), about },
            required: told.required,
            further,
        })
    });
    Ok(known.collect())
}
