//! `[method.NAME]`: a way to send, and where its alerts go when it keeps failing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::{Document, Key, Kind, Origin, Setting, Values, nearest};
use crate::incident::Severity;
use crate::message::{self, Source, TEMPLATE_KEYS, Templates, templates};
use crate::policy::{self, Filter};

/// `[method.NAME]` has these; the rest belongs to its plugin.
pub const KEYS: &[Key] = &[
    Key::new("plugin", Kind::Text, "", "the shared library that sends; default: the section's name"),
    Key::new("timeout", Kind::Duration { min: 1, max: 120 }, "\"30s\"", "one try to send may last this long"),
    Key::new(
        "expire",
        Kind::Duration { min: 1, max: YEAR },
        "\"3d\"",
        "an alert that could not be sent for this long is given up",
    ),
    Key::new("fallback", Kind::Text, "", "the method that sends instead when this one keeps failing or refuses an alert"),
    Key::new("fallback_after", Kind::ANY_TIME, "\"10m\"", "this one has failed for so long before its fallback sends instead"),
    Key::new("most", Kind::Integer { min: 0, max: 1_000_000 }, "0", "it sends at most so many messages `within`; 0: no limit"),
    Key::new(
        "severities",
        Kind::Choices(Cow::Borrowed(policy::SEVERITIES)),
        "[\"info\", \"warning\", \"critical\"]",
        "it takes alerts of these alone",
    ),
    Key::new("hours", Kind::Hours("always"), "\"always\"", "it sends within these hours alone; a recovery at any time"),
    Key::new("within", Kind::Duration { min: 1, max: YEAR }, "\"1h\"", "the time for `most`"),
];

/// A year, in seconds.
const YEAR: u64 = 31_557_600;

/// The method that reports when none is configured.
pub const JOURNAL: &str = "journal";

/// A configured way to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// Its section's name.
    pub name: String,
    /// Its shared library's name.
    pub plugin: String,
    /// One try may last this long.
    pub timeout: Duration,
    /// An alert whose tries have failed for so long is given up.
    pub expire: Duration,
    /// The method that sends instead when this one keeps failing.
    pub fallback: Option<String>,
    /// So long this one has failed before that.
    pub fallback_after: Duration,
    /// At most so many messages within so long; `None`: no limit.
    pub limit: Option<(u64, Duration)>,
    /// What it takes, and when.
    pub filter: Filter,
    /// Its own words, where it has some.
    pub templates: Templates,
    /// The keys that are its plugin's.
    pub config: Vec<Setting>,
    /// Where its section stands; `None` for the one that is there by itself.
    pub origin: Option<Origin>,
}

impl Method {
    /// The plugin's keys as JSON, secrets not yet put in.
    pub fn config(&self) -> Map<String, Value> {
        self.config.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect()
    }

    /// The method of this name with nothing but defaults; also for one whose section is gone while its alerts still wait.
    pub fn bare(name: &str) -> Method {
        Method::of(name, &[], None)
    }

    fn of(name: &str, written: &[Setting], origin: Option<&Origin>) -> Method {
        let values = Values { keys: &[KEYS, TEMPLATE_KEYS], written: &[written] };
        let is_ours = |setting: &&Setting| KEYS.iter().chain(TEMPLATE_KEYS).any(|key| key.name == setting.key);
        let most = values.count("most");
        Method {
            name: name.to_owned(),
            plugin: values.text("plugin").unwrap_or_else(|| name.to_owned()),
            timeout: values.duration("timeout"),
            expire: values.duration("expire"),
            fallback: values.text("fallback"),
            fallback_after: values.duration("fallback_after"),
            limit: (most > 0).then(|| (most, values.duration("within"))),
            filter: Filter {
                severities: values.list("severities").iter().filter_map(|word| Severity::parse(word)).collect(),
                hours: values.hours("hours"),
            },
            templates: templates(&values),
            config: written.iter().filter(|setting| !is_ours(setting)).cloned().collect(),
            origin: origin.cloned(),
        }
    }
}

/// The configured methods; `journal` when there is none, for it needs no section.
pub(super) fn methods(document: &Document) -> BTreeMap<String, Method> {
    let configured = document.names("method");
    let mut methods: BTreeMap<String, Method> = configured
        .map(|(name, origin)| (name.to_owned(), Method::of(name, document.section("method", Some(name)), Some(origin))))
        .collect();
    if methods.is_empty() {
        methods.insert(JOURNAL.to_owned(), Method::bare(JOURNAL));
    }
    methods
}

/// What is wrong with the templates that stand in the configuration itself.
pub(super) fn wrong_templates(document: &Document, methods: &BTreeMap<String, Method>) -> Vec<String> {
    let mut complaints = Vec::new();
    for method in methods.values() {
        let written = document.section("method", Some(&method.name));
        for (form, source) in &method.templates {
            let Source::Inline(template) = source else { continue };
            let (Some(why), Some(setting)) =
                (message::complaint(*form, template), written.iter().find(|setting| setting.key == form.key()))
            else {
                continue;
            };
            complaints.push(format!("{}: `{}` is no template: {why}", setting.origin, setting.key));
        }
    }
    complaints
}

/// What is wrong with the `fallback`s: an alert must come to an end of them.
pub(super) fn wrong_fallbacks(document: &Document, methods: &BTreeMap<String, Method>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, _) in document.names("method") {
        let written = document.section("method", Some(name)).iter().find(|setting| setting.key == "fallback");
        let Some((origin, fallback)) = written.and_then(|setting| Some((&setting.origin, setting.value.as_str()?))) else {
            continue;
        };
        if fallback == name {
            complaints.push(format!("{origin}: the fallback of `{name}` is itself; name another method"));
        } else if !methods.contains_key(fallback) && fallback != JOURNAL {
            let hint = match nearest(fallback, methods.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write a section [method.{}]", super::bare_or_quoted(fallback)),
            };
            complaints.push(format!("{origin}: unknown method `{}`; {hint}", fallback.escape_debug()));
        } else if let Some(circle) = circle(name, methods) {
            complaints.push(format!("{origin}: the fallbacks go in a circle: {}", circle.join(" -> ")));
        }
    }
    complaints
}

/// The way from a method back to itself, if its fallbacks lead there.
fn circle<'m>(name: &'m str, methods: &'m BTreeMap<String, Method>) -> Option<Vec<&'m str>> {
    let mut way = vec![name];
    while way.len() <= methods.len() {
        let next = methods.get(*way.last()?)?.fallback.as_deref()?;
        way.push(next);
        if next == name {
            return Some(way);
        }
    }
    // it leads into a circle of others, which complain for themselves
    None
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    #[test]
    fn fallbacks_come_to_an_end() {
        let complaints = |chain: &[(&str, &str)]| {
            let section = |(name, fallback): &(&str, &str)| match *fallback {
                "" => format!("[method.{name}]\n"),
                fallback => format!("[method.{name}]\nfallback = \"{fallback}\"\n"),
            };
            let text: String = chain.iter().map(section).collect();
            Settings::read(&[("x.toml".into(), text)]).err().map(|error| error.to_string()).unwrap_or_default()
        };
        for chain in [
            &[("a", "b"), ("b", "c"), ("c", "")][..],
            &[("a", "c"), ("b", "c"), ("c", "")],
            &[("a", "journal")],
            &[("a", "journal"), ("journal", "")],
        ] {
            assert_eq!(complaints(chain), "", "{chain:?}");
        }
        let rows: [(&[(&str, &str)], &str); 4] = [
            (&[("a", "a")], "x.toml:2: the fallback of `a` is itself; name another method"),
            (
                &[("a", "b"), ("b", "a")],
                "x.toml:2: the fallbacks go in a circle: a -> b -> a\nx.toml:4: the fallbacks go in a circle: b -> a -> b",
            ),
            (&[("mail", "pone"), ("phone", "")], "x.toml:2: unknown method `pone`; did you mean `phone`?"),
            (
                &[("in", "a"), ("a", "b"), ("b", "a")],
                "x.toml:4: the fallbacks go in a circle: a -> b -> a\nx.toml:6: the fallbacks go in a circle: b -> a -> b",
            ),
        ];
        for (chain, expected) in rows {
            assert_eq!(complaints(chain), expected, "{chain:?}");
        }
    }
}
