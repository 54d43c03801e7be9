//! A key: its name, what its value may be, its default, and what it is for.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::Hours;
use crate::event::{self, Unit};
use crate::host::secret;

/// One key of a section. The default is TOML text; empty means that the key may be absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// As written in the file.
    pub name: Cow<'static, str>,
    /// What its value may be.
    pub kind: Kind,
    /// The value where none is written, as TOML.
    pub default: Cow<'static, str>,
    /// What it is for, in a line.
    pub about: Cow<'static, str>,
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number within these bounds.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// "30s", "5m", "2h", "1d", within these bounds in seconds.
    Duration {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// "never", or a time of a second at least.
    Interval,
    /// Hours of the week as [`Hours`](super::Hours) reads them, or the word for none or all of them: "never", "always".
    Hours(&'static str),
    /// Any text but the empty one.
    Text,
    /// One of these words.
    Choice(Cow<'static, [Cow<'static, str>]>),
    /// A list of texts.
    List,
    /// A list of some of these words, at least one.
    Choices(Cow<'static, [Cow<'static, str>]>),
    /// A text, or a table that says where it is kept.
    Secret,
    /// A text of several lines, or a table that names the file that holds it.
    Template,
    /// A number, or a text with its unit: 90, "90%", "5GiB", "10min".
    Quantity,
    /// Tables with these keys: `[[sensor.cpu.rule]]`. Those of later files stand behind those of earlier ones.
    Tables(&'static [&'static [Key]]),
}

impl Kind {
    /// Any time.
    pub const ANY_TIME: Kind = Kind::Duration { min: 0, max: TEN_YEARS };
}

impl Key {
    /// A key whose parts are all constants.
    pub const fn new(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
        Key { name: Cow::Borrowed(name), kind, default: Cow::Borrowed(default), about: Cow::Borrowed(about) }
    }

    /// The default's value; `Null` where the key may be absent.
    pub fn default_value(&self) -> Value {
        if self.default.is_empty() {
            return Value::Null;
        }
        // nearly all read the same as JSON, for a fifth of what the parser of TOML takes, and each run reads dozens
        let parsed = serde_json::from_str(&self.default).ok().or_else(|| {
            let table = toml::from_str::<toml::Table>(&format!("x = {}", self.default));
            serde_json::to_value(table.ok()?.remove("x")?).ok()
        });
        parsed.unwrap_or(Value::Null)
    }
}

impl Kind {
    /// What is wrong with this value, as the end of "`key` ...".
    pub fn complaint(&self, value: &Value) -> Option<String> {
        let fits = match self {
            Kind::Boolean => value.is_boolean(),
            Kind::Integer { min, max } => value.as_i64().is_some_and(|number| (*min..=*max).contains(&number)),
            Kind::Duration { min, max } => {
                let bounds = Duration::from_secs(*min)..=Duration::from_secs(*max);
                value.as_str().and_then(duration).is_some_and(|time| bounds.contains(&time))
            }
            Kind::Interval => {
                let is_long = |text: &str| text == NEVER || Kind::Duration { min: 1, max: TEN_YEARS }.complaint(value).is_none();
                value.as_str().is_some_and(is_long)
            }
            Kind::Hours(word) => value.as_str().is_some_and(|text| {
                // quiet hours without an end would hold what waits for ever
                text == *word || Hours::parse(text).is_some_and(|hours| *word != NEVER || !hours.never_end())
            }),
            Kind::Text => value.as_str().is_some_and(is_plain),
            Kind::Choice(words) => value.as_str().is_some_and(|text| words.iter().any(|word| word == text)),
            Kind::List => value.as_array().is_some_and(|all| all.iter().all(|one| one.as_str().is_some_and(is_plain))),
            Kind::Choices(words) => value.as_array().is_some_and(|all| {
                let is_known = |one: &Value| one.as_str().is_some_and(|text| words.iter().any(|word| word == text));
                !all.is_empty() && all.iter().all(is_known)
            }),
            Kind::Secret => match value {
                Value::String(text) => !text.is_empty(),
                Value::Object(_) => secret::place(value).is_some(),
                _ => false,
            },
            Kind::Template => match value {
                Value::String(text) => !text.trim().is_empty(),
                _ => secret::place(value).is_some_and(|(place, path)| place == "file" && path.starts_with('/')),
            },
            Kind::Quantity => quantity(value).is_some(),
            // each is looked at by itself
            Kind::Tables(_) => value.as_array().is_some_and(|all| all.iter().all(Value::is_object)),
        };
        (!fits).then(|| format!("must be {}", self.wanted()))
    }

    /// Its type, as plugins and programs call it.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::Integer { .. } => "integer",
            Kind::Duration { .. } => "duration",
            Kind::Interval => "interval",
            Kind::Hours(_) => "hours",
            Kind::Text => "text",
            Kind::Choice(_) => "choice",
            Kind::List => "list",
            Kind::Choices(_) => "choices",
            Kind::Secret => "secret",
            Kind::Template => "template",
            Kind::Quantity => "quantity",
            Kind::Tables(_) => "tables",
        }
    }

    /// The words that its value may be, or be made of, if these are all.
    pub fn words(&self) -> Vec<String> {
        match self {
            Kind::Choice(words) | Kind::Choices(words) => words.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    /// What its value may be, for a list of many keys.
    pub fn brief(&self) -> String {
        let shown = |seconds: &u64| humantime::format_duration(Duration::from_secs(*seconds)).to_string();
        match self {
            Kind::Boolean => "true or false".into(),
            Kind::Integer { min, max: i64::MAX } => format!("a number from {min}"),
            Kind::Integer { min, max } => format!("a number, {min} to {max}"),
            Kind::Duration { min: 0, max: TEN_YEARS } => "a time".into(),
            Kind::Duration { min, max } => format!("a time, {} to {}", shown(min), shown(max)),
            Kind::Interval => "a time, or \"never\"".into(),
            Kind::Hours(word) => format!("hours such as \"Mon-Fri 08:00-18:00; Sat 10:00-16:00\", or \"{word}\""),
            Kind::Text => "a text".into(),
            Kind::Choice(words) => quoted(words),
            Kind::List => "a list of texts".into(),
            Kind::Choices(words) => format!("a list of {}", quoted(words)),
            Kind::Secret => "a text, or better its place: .file, .credential or .env".into(),
            Kind::Template => "a template, or .file".into(),
            Kind::Quantity => "a number, or a text with its unit".into(),
            Kind::Tables(_) => "tables".into(),
        }
    }

    /// A value that would do, as TOML behind the key's name; for a key without a default.
    pub fn example(&self) -> &'static str {
        match self {
            Kind::Boolean => " = true",
            Kind::Integer { .. } => " = 1",
            Kind::Duration { .. } | Kind::Interval => " = \"1h\"",
            Kind::Hours(_) => " = \"Mon-Fri 08:00-18:00\"",
            Kind::Text | Kind::Choice(_) => " = \"...\"",
            Kind::List | Kind::Choices(_) => " = [\"...\"]",
            Kind::Secret | Kind::Template => ".file = \"/PATH\"",
            Kind::Quantity => " = \"90%\"",
            Kind::Tables(_) => " = []",
        }
    }

    fn wanted(&self) -> String {
        match self {
            Kind::Boolean => "true or false".into(),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Duration { min: 0, max: TEN_YEARS } => "a time such as \"30s\", \"5m\" or \"2h\", in quotes".into(),
            Kind::Duration { min, max } => {
                let shown = |seconds| humantime::format_duration(Duration::from_secs(seconds)).to_string();
                format!("a time in quotes, from \"{}\" to \"{}\"", shown(*min), shown(*max))
            }
            Kind::Interval => "\"never\", or a time such as \"30m\" or \"4h\", in quotes".into(),
            Kind::Hours(word) => {
                let most = if *word == NEVER { ", and not the whole week" } else { "" };
                format!("\"{word}\", or hours such as \"22:00-07:00\" or \"Mon-Fri 08:00-18:00; Sat,Sun 10:00-16:00\"{most}")
            }
            Kind::Text => "a text in quotes, not empty and without control characters".into(),
            Kind::Choice(words) => format!("one of {}", quoted(words)),
            Kind::Choices(words) => format!("a list of one or more of {}", quoted(words)),
            Kind::List => "a list of texts such as [\"one\", \"two\"]".into(),
            Kind::Secret => {
                "a text, or where it is kept: .credential = \"NAME\", .file = \"/PATH\" or .env = \"VARIABLE\"".into()
            }
            Kind::Template => "a template, not empty, or .file = \"/PATH\"".into(),
            Kind::Quantity => "a number, or a text such as \"90%\", \"5GiB\" or \"10min\"".into(),
            Kind::Tables(_) => "tables, each with a heading in double brackets".into(),
        }
    }
}

fn quoted(words: &[Cow<'_, str>]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// Something to read, on one line.
fn is_plain(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

/// No time of the configuration is longer, so that no sum of two overflows.
const TEN_YEARS: u64 = 10 * 366 * 24 * 3600;

/// The word for no time at all.
pub(crate) const NEVER: &str = "never";

/// A number, with the unit that stands behind it, if one does.
pub(crate) fn quantity(value: &Value) -> Option<(f64, Option<Unit>)> {
    match value {
        Value::String(text) => event::quantity(text),
        Value::Number(number) => number.as_f64().map(|number| (number, None)),
        _ => None,
    }
}

/// A time such as "5m".
pub(crate) fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_that_fit_and_values_that_do_not() {
        let choice = Kind::Choice(Cow::Borrowed(&[Cow::Borrowed("none"), Cow::Borrowed("starttls")]));
        let choices = Kind::Choices(Cow::Borrowed(&[Cow::Borrowed("timer"), Cow::Borrowed("path")]));
        let rows = [
            (Kind::Boolean, json!(true), json!("true")),
            (Kind::Integer { min: 0, max: 9 }, json!(9), json!(10)),
            (Kind::Integer { min: 0, max: 9 }, json!(0), json!(1.5)),
            (Kind::ANY_TIME, json!("5m"), json!("5 parsecs")),
            (Kind::ANY_TIME, json!("10min"), json!(5)),
            (Kind::ANY_TIME, json!("0s"), json!("100years")),
            (Kind::Duration { min: 1, max: 120 }, json!("2m"), json!("0s")),
            (Kind::Duration { min: 1, max: 120 }, json!("1s"), json!("121s")),
            (Kind::Interval, json!("never"), json!("0s")),
            (Kind::Interval, json!("4h"), json!("always")),
            (Kind::Hours(NEVER), json!("22:00-07:00"), json!("00:00-24:00")),
            (Kind::Hours(NEVER), json!("never"), json!("always")),
            (Kind::Hours("always"), json!("00:00-24:00"), json!("8-18")),
            (Kind::Text, json!("x"), json!(" ")),
            (Kind::Text, json!("ä b"), json!("a\nb")),
            (choice, json!("none"), json!("tls")),
            (Kind::List, json!([]), json!("x")),
            (Kind::List, json!(["x"]), json!(["x", 1])),
            (choices.clone(), json!(["timer", "path"]), json!(["timer", "cron"])),
            (choices, json!(["path"]), json!([])),
            (Kind::Secret, json!("x"), json!("")),
            (Kind::Secret, json!({"file": "/x"}), json!({"fiel": "/x"})),
            (Kind::Secret, json!({"env": "X"}), json!({"env": "X", "file": "/x"})),
            (Kind::Template, json!("{{ host }}\n{{ unit }}"), json!(" \n")),
            (Kind::Template, json!({"file": "/x"}), json!({"file": "x"})),
            (Kind::Template, json!({"file": "/x"}), json!({"credential": "x"})),
            (Kind::Quantity, json!("5GiB"), json!("much")),
            (Kind::Quantity, json!(0.5), json!(true)),
            (Kind::Tables(&[]), json!([{}]), json!({})),
        ];
        for (kind, good, bad) in rows {
            assert_eq!(kind.complaint(&good), None, "{kind:?} {good}");
            assert!(kind.complaint(&bad).is_some_and(|text| text.starts_with("must be ")), "{kind:?} {bad}");
        }
    }
}
