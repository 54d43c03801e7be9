//! `[heartbeat]`: a sign of life at an interval, so that a dead host is noticed elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::Method;
use crate::config::{Document, Key, Kind, Setting, Values, nearest};

/// `[heartbeat]`
pub(super) const KEYS: &[Key] = &[
    Key::new("url", Kind::Secret, "", "the address to call, as healthchecks.io gives it; its token is a secret"),
    Key::new("method", Kind::Text, "", "instead of an address: the method that sends it"),
    Key::new("every", Kind::Duration { min: 60, max: 86_400 }, "\"5m\"", "how often"),
];

/// What serves an address, and how it is told which protocol that speaks.
const PLUGIN: &str = "webhook";
const PRESET: &str = "healthchecks";
/// One call may last this long; what is to be sent meanwhile does not wait so long for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A sign of life at an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// What sends it.
    pub method: Method,
    /// How often.
    pub every: Duration,
    /// Whether the beginning of a run is told, too: an address counts the time from there.
    pub starts: bool,
}

pub(super) fn heartbeat(document: &Document, methods: &BTreeMap<String, Method>) -> Option<Heartbeat> {
    let written = document.section("heartbeat", None);
    let sections = [written];
    let values = Values { keys: &[KEYS], written: &sections };
    let every = values.duration("every");
    if let Some(url) = written.iter().find(|setting| setting.key == "url") {
        let preset = Setting { key: "preset".to_owned(), value: Value::from(PRESET), origin: url.origin.clone() };
        let bare = Method::bare("heartbeat");
        let config = vec![url.clone(), preset];
        let method = Method { plugin: PLUGIN.to_owned(), timeout: TIMEOUT, config, origin: Some(url.origin.clone()), ..bare };
        return Some(Heartbeat { method, every, starts: true });
    }
    let method = methods.get(&values.text("method")?)?.clone();
    Some(Heartbeat { method, every, starts: false })
}

/// What is wrong with it beyond its keys.
pub(super) fn wrong(document: &Document, methods: &BTreeMap<String, Method>) -> Vec<String> {
    let written = document.section("heartbeat", None);
    let find = |key: &str| written.iter().find(|setting| setting.key == key);
    match (find("url"), find("method")) {
        (Some(_), Some(method)) => vec![format!("{}: [heartbeat] has `url` or `method`, not both", method.origin)],
        (None, Some(method)) => {
            let name = method.value.as_str().unwrap_or_default();
            if methods.contains_key(name) {
                return Vec::new();
            }
            let near = nearest(name, methods.keys().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            vec![format!("{}: unknown method `{}`{near}", method.origin, name.escape_debug())]
        }
        (None, None) => {
            written.first().map(|every| format!("{}: [heartbeat] needs `url` or `method`", every.origin)).into_iter().collect()
        }
        (Some(_), None) => Vec::new(),
    }
}
