//! A section of the catalogue, and the values of one as the program reads them.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::Hours;
use super::document::Setting;
use super::key::{self, Key};
use crate::event::Unit;

/// What a section is called and which keys it has.
#[derive(Debug)]
pub struct Section {
    /// `policy` in `[policy]`, `method` in `[method.NAME]`, `sensor.cpu` in `[sensor.cpu]`.
    pub name: Cow<'static, str>,
    /// What it is for, in a line.
    pub about: &'static str,
    /// True for `[method.NAME]`: as many as wanted, each with a name of its own.
    pub named: bool,
    /// Its keys, one list for each module that has some.
    pub keys: &'static [&'static [Key]],
    /// True when a plugin has keys here, too.
    pub open: bool,
}

impl Section {
    /// One with these keys, that is there once.
    pub const fn new(name: &'static str, about: &'static str, keys: &'static [&'static [Key]]) -> Section {
        Section { name: Cow::Borrowed(name), about, named: false, keys, open: false }
    }
}

/// Valid settings, the most specific first, with the defaults behind them.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The catalogue's keys of this section, as in [`Section`].
    pub keys: &'static [&'static [Key]],
    /// As written: most specific first.
    pub written: &'a [&'a [Setting]],
}

/// The key of this name.
pub(crate) fn find(keys: &'static [&'static [Key]], name: &str) -> Option<&'static Key> {
    keys.iter().flat_map(|list| list.iter()).find(|key| key.name == name)
}

impl Values<'_> {
    /// The value of this key; `Null` when it is absent and has no default.
    pub fn value(&self, name: &str) -> Value {
        let written = self.written.iter().flat_map(|settings| settings.iter()).find(|setting| setting.key == name);
        match written {
            Some(setting) => setting.value.clone(),
            None => find(self.keys, name).map_or(Value::Null, Key::default_value),
        }
    }

    /// A truth value.
    pub fn boolean(&self, name: &str) -> bool {
        self.value(name).as_bool().unwrap_or_default()
    }

    /// A number that the catalogue bounds to what is not negative.
    pub fn count(&self, name: &str) -> u64 {
        self.value(name).as_u64().unwrap_or_default()
    }

    /// A number, with the unit that stands behind it, if one does.
    pub fn quantity(&self, name: &str) -> Option<(f64, Option<Unit>)> {
        key::quantity(&self.value(name))
    }

    /// A length of time.
    pub fn duration(&self, name: &str) -> Duration {
        self.value(name).as_str().and_then(key::duration).unwrap_or_default()
    }

    /// A length of time, or none.
    pub fn interval(&self, name: &str) -> Option<Duration> {
        self.value(name).as_str().and_then(key::duration)
    }

    /// Hours of the week; `None` for the word that stands for none or all of them.
    pub fn hours(&self, name: &str) -> Option<Hours> {
        self.value(name).as_str().and_then(Hours::parse)
    }

    /// A text that may be absent.
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).as_str().map(str::to_owned)
    }

    /// A text that may be absent, in a file: its path.
    pub fn file(&self, name: &str) -> Option<String> {
        self.value(name).get("file").and_then(Value::as_str).map(str::to_owned)
    }

    /// A list; empty when absent.
    pub fn list(&self, name: &str) -> Vec<String> {
        let value = self.value(name);
        let texts = value.as_array().into_iter().flatten();
        texts.filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }
}
