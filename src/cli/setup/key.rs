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

    pub(super) fn names(&self) -> String {
        self.plugins().cloned().collect::<Vec<_>>().join(", ")
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

    /// What was typed for it, as a value.
    ///
    /// # Errors
    /// What it should be.
    pub(super) fn value(&self, typed: &str) -> std::result::Result<Value, String> {
        match self.kind.as_str() {
            "integer" => typed.parse::<i64>().map(Value::from).map_err(|_| "it must be a whole number".to_owned()),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_typed_becomes_a_value() {
        let key = |kind: &str| -> Key {
            let row = json!({"key": "x", "plugin": "p", "default": null, "required": false, "type": kind, "values": ["a", "b"], "about": ""});
            serde_json::from_value(row).unwrap()
        };
        for (kind, typed, expected) in [
            ("text", "smtp.example.org", Ok(json!("smtp.example.org"))),
            ("integer", "587", Ok(json!(587))),
            ("integer", "many", Err("it must be a whole number")),
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
