//! What only the plugins know: whether the keys of a method's section are right.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use sysalert_abi::{Status, one_line};

use super::plugin::{self, Description};
use super::{conformance, own_words};
use crate::config::{Key, Kind, Section, Setting, nearest};
use crate::host::{Site, library, secret};
use crate::message::TEMPLATE_KEYS;
use crate::settings::{CATALOGUE, METHOD_KEYS, Method, Settings};

/// One key, as a plugin describes it: see `settings` in `sysalert_plugin.h`.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) required: bool,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    pub(super) min: Option<i64>,
    #[serde(default)]
    pub(super) max: Option<i64>,
    #[serde(default)]
    pub(super) default: Value,
    #[serde(default)]
    pub(super) about: String,
    /// For which values of other keys it is there, for which it is needed, and whether its words are channels.
    #[serde(flatten)]
    pub(super) further: Map<String, Value>,
}

impl Described {
    pub(super) fn kind(&self) -> Option<Kind> {
        Some(match self.kind.as_str() {
            "text" => Kind::Text,
            "integer" => Kind::Integer { min: self.min.unwrap_or(0), max: self.max.unwrap_or(i64::MAX) },
            "boolean" => Kind::Boolean,
            "list" => Kind::List,
            "duration" => Kind::ANY_TIME,
            "secret" => Kind::Secret,
            "template" => Kind::Template,
            "choice" => Kind::Choice(self.values.iter().cloned().map(Cow::Owned).collect()),
            _ => return None,
        })
    }
}

/// Every complaint about the methods' sections, each with file and line.
pub fn check(site: &Site, settings: &Settings) -> Vec<String> {
    let methods = settings.methods.values().map(|method| (format!("[method.{}]", method.name), method));
    // another one than those has an address of its own
    let own = settings.heartbeat.iter().filter(|heartbeat| heartbeat.starts);
    let own = own.map(|heartbeat| ("[heartbeat]".to_owned(), &heartbeat.method));
    methods.chain(own).flat_map(|(section, method)| complaints(site, &section, method)).collect()
}

/// The (section, key)s whose values must not be shown: those that are secrets, and that a plugin calls so; all of a plugin that cannot tell.
pub fn secret_keys(site: &Site, settings: &Settings) -> BTreeSet<(String, String)> {
    let secret = |section: &Section, key: &Key| (section.name.to_string(), key.name.to_string());
    let own =
        CATALOGUE.iter().flat_map(|section| section.keys.iter().flat_map(move |keys| keys.iter().map(move |key| (section, key))));
    let mut secrets: BTreeSet<_> =
        own.filter(|(_, key)| key.kind == Kind::Secret).map(|(section, key)| secret(section, key)).collect();
    for method in settings.methods.values().filter(|method| !method.config.is_empty()) {
        let known = library::find(&method.plugin, &site.plugins)
            .and_then(|path| plugin::describe(&path))
            .ok()
            .and_then(|plugin| keys(&plugin));
        for setting in &method.config {
            if is_secret(known.as_deref(), &setting.key) {
                secrets.insert((format!("method.{}", method.name), setting.key.clone()));
            }
        }
    }
    secrets
}

/// Whether the value of this key must not be shown: the plugin calls it a secret, does not know it, or cannot tell.
fn is_secret(known: Option<&[Described]>, key: &str) -> bool {
    !known.is_some_and(|keys| keys.iter().any(|one| one.name == key && one.kind != "secret"))
}

/// Shorter ones are no secrets, and stand in any sentence.
const SHORTEST: usize = 4;

/// What a plugin says, without the secrets of its section: a server may echo what it was sent.
pub(super) fn without_secrets(plugin: &Description, config: &Map<String, Value>, said: String) -> String {
    let known = keys(plugin);
    let values = config.iter().filter(|(key, _)| is_secret(known.as_deref(), key)).filter_map(|(_, value)| value.as_str());
    let mut secrets: Vec<&str> = values.filter(|secret| secret.len() >= SHORTEST && *secret != secret::ELSEWHERE).collect();
    // one may be a part of another
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(said, |said, secret| said.replace(secret, "(not shown)"))
}

fn complaints(site: &Site, section: &str, method: &Method) -> Vec<String> {
    let place = match &method.origin {
        Some(origin) => format!("{origin}: {section}"),
        None => format!("{section}, which is there by itself"),
    };
    let path = match library::find(&method.plugin, &site.plugins) {
        Ok(path) => path,
        Err(why) => return vec![format!("{place}: {why}{}", meant(site, &method.plugin))],
    };
    let known = match plugin::describe(&path) {
        Ok(plugin) => keys(&plugin),
        Err(why) => return vec![format!("{place}: {why}")],
    };
    let Some(known) = known else { return Vec::new() };
    let mut complaints = Vec::new();
    for setting in &method.config {
        match known.iter().find(|key| key.name == setting.key) {
            None => {
                let ours = METHOD_KEYS.iter().chain(TEMPLATE_KEYS).map(|key| key.name.as_ref());
                let near = nearest(&setting.key, known.iter().map(|key| key.name.as_str()).chain(ours));
                let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                complaints.push(format!("{}: unknown key in {section}: `{}`{near}", setting.origin, setting.key.escape_debug()));
            }
            Some(key) => {
                if let Some(complaint) = key.kind().and_then(|kind| kind.complaint(&setting.value)) {
                    complaints.push(format!("{}: `{}` {complaint}", setting.origin, setting.key));
                }
            }
        }
    }
    let config = secret::resolve_files(method.config());
    if let Err(why) = &config {
        complaints.push(format!("{place}: {why}"));
    }
    complaints.extend(own_words::trial(&method.templates).into_iter().map(|why| format!("{place}: {why}")));
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    for key in known
        .iter()
        .filter(|key| key.required && !method.config.iter().any(|setting| setting.key == key.name && !is_empty(&setting.value)))
    {
        complaints.push(format!("{place} needs the key `{}`", key.name));
    }
    // its own word, where it would not repeat what is said already
    match config {
        Ok(config) if complaints.is_empty() => complaints.extend(own_complaint(&path, section, &place, method, &config)),
        _ => {}
    }
    complaints
}

/// What the plugin itself says against its section, cited by the first of the keys that it names.
fn own_complaint(path: &Path, section: &str, place: &str, method: &Method, config: &Map<String, Value>) -> Option<String> {
    let said = match plugin::check(path, &conformance::request(config)) {
        Ok(reply) => reply.filter(|reply| reply.status != Status::Sent)?.detail,
        Err(why) => return Some(format!("{place}: {why}")),
    };
    let said = said.strip_prefix("its configuration does not fit: ").unwrap_or(&said);
    let named: Vec<&Setting> =
        said.split('`').skip(1).step_by(2).filter_map(|key| method.config.iter().find(|setting| setting.key == key)).collect();
    if named.iter().any(|setting| config[&setting.key] == secret::ELSEWHERE) {
        return None;
    }
    let place = named.first().map_or_else(|| place.to_owned(), |setting| format!("{}: {section}", setting.origin));
    Some(format!("{place}: {}", one_line(said, 500)))
}

fn keys(plugin: &Description) -> Option<Vec<Described>> {
    described(plugin).ok().flatten()
}

/// The keys that a plugin tells; none if it does not.
///
/// # Errors
/// A sentence that says what is wrong with them.
pub(super) fn described(plugin: &Description) -> Result<Option<Vec<Described>>, String> {
    let Some(json) = &plugin.settings else { return Ok(None) };
    serde_json::from_str(json)
        .map(Some)
        .map_err(|error| format!("`settings` is no array of keys ({error}): its author must mend it, as sysalert_plugin.h says"))
}

/// The plugin that was probably meant.
fn meant(site: &Site, typed: &str) -> String {
    let names = library::names(&site.plugins);
    nearest(typed, names.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; did you mean `plugin = \"{near}\"`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_comes_back_is_not_shown() {
        let settings =
            r#"[{"name": "host", "type": "text"}, {"name": "token", "type": "secret"}, {"name": "pin", "type": "secret"}]"#;
        let plugin = |settings: Option<&str>| Description {
            name: "echo".to_owned(),
            version: "1".to_owned(),
            settings: settings.map(str::to_owned),
        };
        let config = serde_json::json!({
            "host": "mail.lan", "token": "hunter2", "pin": "hunter2-and-more", "other": "unknown", "list": ["x"], "short": "at"
        });
        let config = config.as_object().unwrap();
        let said = "mail.lan at 5: hunter2, hunter2-and-more, unknown";
        for (settings, expected) in [
            (Some(settings), "mail.lan at 5: (not shown), (not shown), (not shown)"),
            (None, "(not shown) at 5: (not shown), (not shown), (not shown)"),
        ] {
            assert_eq!(without_secrets(&plugin(settings), config, said.to_owned()), expected);
        }
    }

    #[test]
    fn every_type_that_the_header_names_is_known() {
        let header = include_str!("../../plugins/abi/sysalert_plugin.h");
        let (_, types) = header.split_once("     * Types: ").unwrap();
        let (types, _) = types.split_once("With \"required\"").unwrap();
        let kind = |name: &str| {
            let key: Described = serde_json::from_value(serde_json::json!({"name": "x", "type": name})).unwrap();
            key.kind()
        };
        // what stands in brackets are the fields of a type
        let names: Vec<&str> = types.split(", ").filter_map(|part| part.split('"').nth(1)).collect();
        assert!(names.len() >= 8 && names.iter().all(|name| kind(name).is_some()), "{names:?}");
        assert_eq!(kind("nonsense"), None);
    }
}
