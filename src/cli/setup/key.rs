//! The keys of plugins, as these tell them: asked of another process, for plugins do not run as root.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Whose;
use crate::error::{Error, Result};
use crate::host::again;

/// A key, as `sysalert config reference -o json` has it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Key {
    #[serde(rename = "key")]
    pub(super) name: String,
    /// The plugin whose it is.
    plugin: Option<String>,
    pub(super) default: Value,
    pub(super) required: bool,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The words that it may be, of a choice.
    pub(super) values: Vec<String>,
    pub(super) about: String,
    #[serde(default)]
    min: Option<i64>,
    #[serde(default)]
    max: Option<i64>,
    /// For which values of other keys it is there.
    #[serde(default)]
    when: Cases,
    /// For which it is needed.
    #[serde(default)]
    needed: Cases,
    /// Its words are channels, each of which can be asked for by its name.
    #[serde(default)]
    pub(super) channels: bool,
}

/// Values of other keys; `None`: it is not set.
type Cases = BTreeMap<String, Vec<Option<String>>>;

/// What sends: a plugin, or one of its channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) plugin: String,
    /// The key that says which channel, and that.
    pub(super) channel: Option<(String, String)>,
}

/// The keys of each plugin.
pub(super) struct Catalogue(BTreeMap<String, Vec<Key>>);

impl Catalogue {
    pub(super) fn read(whose: &Whose) -> Result<Catalogue> {
        let asked = again::ask(&whose.words(&["config", "reference", "-o", "json"]));
        let keys: Vec<Key> = asked
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
            .map_err(|why| Error::failure(format!("the plugins do not tell what they need: {why}")))?;
        let mut plugins: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        for key in keys {
            if let Some(plugin) = key.plugin.clone() {
                plugins.entry(plugin).or_default().push(key);
            }
        }
        if plugins.is_empty() {
            let folders: Vec<String> = whose.plugins.iter().map(|folder| folder.display().to_string()).collect();
            let text = format!("there is no plugin in {}", folders.join(" or "));
            return Err(Error::failure(text).hint("install those that belong to this sysalert"));
        }
        Ok(Catalogue(plugins))
    }

    pub(super) fn plugins(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Each plugin, and each channel of one, by its name.
    pub(super) fn senders(&self) -> Vec<(String, Sender)> {
        let plugins = self.plugins().map(|plugin| (plugin.clone(), Sender { plugin: plugin.clone(), channel: None }));
        let mut senders: Vec<(String, Sender)> = plugins.collect();
        for (plugin, key) in self.0.iter().flat_map(|(plugin, keys)| keys.iter().map(move |key| (plugin, key))) {
            for word in key.values.iter().filter(|word| key.channels && self.keys(word).is_none()) {
                let channel = Some((key.name.clone(), word.clone()));
                senders.push((word.clone(), Sender { plugin: plugin.clone(), channel }));
            }
        }
        senders
    }

    /// The one of this name.
    pub(super) fn sender(&self, name: &str) -> Option<Sender> {
        self.senders().into_iter().find(|(known, _)| known == name).map(|(_, sender)| sender)
    }

    pub(super) fn names(&self) -> String {
        self.senders().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn keys(&self, plugin: &str) -> Option<&[Key]> {
        self.0.get(plugin).map(Vec::as_slice)
    }
}

impl Key {
    /// Whether it can be answered in a line.
    pub(super) fn is_askable(&self) -> bool {
        self.kind != "template"
    }

    /// Whether a section with these values has it.
    pub(super) fn is_for(&self, values: &BTreeMap<String, Value>) -> bool {
        holds(&self.when, values)
    }

    /// Whether a section with these values cannot be without it.
    pub(super) fn is_needed(&self, values: &BTreeMap<String, Value>) -> bool {
        self.required || (!self.needed.is_empty() && holds(&self.needed, values))
    }

    /// What was typed for it, as a value.
    ///
    /// # Errors
    /// What it should be.
    pub(super) fn value(&self, typed: &str) -> std::result::Result<Value, String> {
        match self.kind.as_str() {
            "integer" => {
                let number = typed.parse::<i64>().map_err(|_| "it must be a whole number".to_owned())?;
                let (min, max) = (self.min.unwrap_or(i64::MIN), self.max.unwrap_or(i64::MAX));
                match (min..=max).contains(&number) {
                    true => Ok(number.into()),
                    false if self.max.is_none() => Err(format!("it must be {min} or more")),
                    false => Err(format!("it must be from {min} to {max}")),
                }
            }
            "boolean" => match typed {
                "true" | "yes" | "y" => Ok(true.into()),
                "false" | "no" | "n" => Ok(false.into()),
                _ => Err("it must be true or false".to_owned()),
            },
            "choice" if !self.values.iter().any(|word| word == typed) => {
                Err(format!("it must be one of {}", self.values.join(", ")))
            }
            // an item with a comma in it is written as in the file
            "list" if typed.starts_with('[') => serde_json::from_str::<Vec<String>>(typed)
                .map(Value::from)
                .map_err(|_| "it must be a list such as [\"one\", \"two\"]".to_owned()),
            "list" => Ok(typed.split(',').map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>().into()),
            _ => Ok(typed.into()),
        }
    }
}

fn holds(cases: &Cases, values: &BTreeMap<String, Value>) -> bool {
    cases.iter().all(|(key, words)| words.iter().any(|word| word.as_deref() == values.get(key).and_then(Value::as_str)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_channel_has_keys_of_its_own() {
        let keys = json!([
            {"key": "preset", "plugin": "webhook", "default": null, "required": false, "type": "choice", "values": ["ntfy", "slack"], "about": "", "channels": true},
            {"key": "token", "plugin": "webhook", "default": null, "required": false, "type": "secret", "values": [], "about": "",
             "when": {"preset": ["ntfy"]}, "needed": {"preset": ["ntfy"]}},
            {"key": "body", "plugin": "webhook", "default": null, "required": false, "type": "text", "values": [], "about": "", "when": {"preset": [null]}},
        ]);
        let keys: Vec<Key> = serde_json::from_value(keys).unwrap();
        let catalogue = Catalogue([("webhook".to_owned(), keys.clone())].into());
        assert_eq!(catalogue.names(), "webhook, ntfy, slack");
        let sender = catalogue.sender("ntfy").unwrap();
        assert_eq!((sender.plugin.as_str(), sender.channel), ("webhook", Some(("preset".to_owned(), "ntfy".to_owned()))));
        for (preset, asked, needed) in
            [(Some("ntfy"), "preset token", "token"), (Some("slack"), "preset", ""), (None, "preset body", "")]
        {
            let values: BTreeMap<String, Value> = preset.map(|word| ("preset".to_owned(), json!(word))).into_iter().collect();
            let those = |is: fn(&Key, &BTreeMap<String, Value>) -> bool| {
                keys.iter().filter(|key| is(key, &values)).map(|key| key.name.as_str()).collect::<Vec<_>>().join(" ")
            };
            assert_eq!((those(Key::is_for).as_str(), those(Key::is_needed).as_str()), (asked, needed), "{preset:?}");
        }
    }

    #[test]
    fn what_is_typed_becomes_a_value() {
        let key = |kind: &str| -> Key {
            let row = json!({"key": "x", "plugin": "p", "default": null, "required": false, "type": kind, "values": ["a", "b"], "about": "", "min": 1, "max": 65535});
            serde_json::from_value(row).unwrap()
        };
        for (kind, typed, expected) in [
            ("text", "smtp.example.org", Ok(json!("smtp.example.org"))),
            ("integer", "587", Ok(json!(587))),
            ("integer", "many", Err("it must be a whole number")),
            ("integer", "70000", Err("it must be from 1 to 65535")),
            ("boolean", "yes", Ok(json!(true))),
            ("choice", "b", Ok(json!("b"))),
            ("choice", "c", Err("it must be one of a, b")),
            ("list", "a@example.org, Jo Doe <b@example.org>", Ok(json!(["a@example.org", "Jo Doe <b@example.org>"]))),
            ("list", r#"["/bin/notify", "a,b"]"#, Ok(json!(["/bin/notify", "a,b"]))),
            ("list", "[a", Err("it must be a list such as [\"one\", \"two\"]")),
        ] {
            assert_eq!(key(kind).value(typed), expected.map_err(str::to_owned), "{kind} {typed}");
        }
    }
}
