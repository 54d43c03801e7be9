//! `sysalert config check|show|reference`: the configuration, validated and with the origin of each setting; what it may hold.

pub(super) mod reference;

use std::io::ErrorKind::NotFound;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::context::Context;
use super::output::{self, Format, Output};
use crate::config::{Origin, nearest};
use crate::dispatch;
use crate::error::{Error, Result};
use crate::host::{log, names, program, secret};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Validate it; the exit status is 78 when something is wrong
    #[command(
        after_help = "Examples:\n  sysalert config check\n  sysalert --config new.toml config check  before it is put in place"
    )]
    Check,
    /// Show every effective setting with file and line
    Show(Show),
    /// Show every key of every section with its default and its meaning
    Reference(reference::Reference),
}

const SHOW_EXAMPLES: &str = "\
Examples:
  sysalert config show            what holds, and where that is written";

#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(super) struct Show {
    #[command(flatten)]
    output: Output,
}

impl Config {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        match self {
            Config::Check => check(context),
            Config::Show(show) => show.run(context),
            Config::Reference(reference) => reference.run(context),
        }
    }
}

fn check(context: &Context) -> Result<u8> {
    let settings = context.settings()?;
    for user in settings.services.users().into_iter().filter(|user| !names::is_user(user)) {
        let known = names::users();
        let meant = nearest(user, known.iter().map(String::as_str)).map(|near| format!("; did you mean {near}?"));
        log::warn(
            None,
            &format!("[services]: there is no user {user}, so nothing is watched of theirs{}", meant.unwrap_or_default()),
        );
    }
    // plugins are foreign code: not as root, where that can be had
    context.enter()?;
    let mut complaints = dispatch::check(&context.site, &settings);
    complaints.extend(settings.complaints_about_units());
    if !complaints.is_empty() {
        return Err(Error::config(complaints.join("\n")));
    }
    for (section, origin, command) in settings.programs() {
        if let Some((path, error)) = program::obstacle(&command).filter(|(_, error)| error.kind() == NotFound) {
            log::warn(None, &format!("{origin}: `command` of [{section}]: {}: {error}", path.display()));
        }
    }
    let methods: Vec<&str> = settings.methods.keys().map(String::as_str).collect();
    output::print(&format!("The configuration is valid. Methods: {}.\n", methods.join(", ")))?;
    Ok(0)
}

impl Show {
    fn run(&self, context: &Context) -> Result<u8> {
        let settings: Settings = context.settings()?;
        context.enter()?;
        let secrets = dispatch::secret_keys(&context.site, &settings);
        let rows = settings.effective().into_iter().map(|(section, key, value, origin)| {
            let is_secret = secrets.contains(&(section.clone(), key.clone()));
            (section, key, shown(value, is_secret), origin)
        });
        if self.output.output == Format::Json {
            let rows = rows.map(|(section, key, value, origin)| {
                let origin = origin.as_ref().map(origin_of);
                json!({ "section": section, "key": key, "value": value, "origin": origin })
            });
            output::json(&rows.collect())?;
            return Ok(0);
        }
        let mut text = String::new();
        let mut current = String::new();
        for (section, key, value, origin) in rows {
            if section != current {
                let gap = if current.is_empty() { "" } else { "\n" };
                text += &format!("{gap}[{section}]\n");
                current = section;
            }
            let setting = format!("{key} = {}", toml_of(&value));
            text += &format!("{setting:<40} # {}\n", origin.map_or_else(|| "default".to_owned(), |origin| origin.to_string()));
        }
        output::print(&text)?;
        Ok(0)
    }
}

/// A value as it may be shown: where a secret is kept, but not the secret; an address without its login and its query.
fn shown(value: Value, is_secret: bool) -> Value {
    if is_secret && secret::place(&value).is_none() {
        return Value::String("(not shown)".to_owned());
    }
    match value {
        Value::String(text) => Value::String(without_query(without_login(&text))),
        Value::Array(list) => Value::Array(list.into_iter().map(|value| shown(value, false)).collect()),
        other => other,
    }
}

/// Of a value that is an address: its query may hold a token.
fn without_query(text: String) -> String {
    let is_address = text.starts_with("http://") || text.starts_with("https://");
    match text.split_once('?').filter(|_| is_address) {
        Some((place, _)) => format!("{place}?(not shown)"),
        None => text,
    }
}

/// "https://(not shown)@a.example" of "https://me:hunter2@a.example", wherever it stands.
fn without_login(text: &str) -> String {
    let Some((before, rest)) = text.split_once("://") else { return text.to_owned() };
    let place = rest.find(|c: char| matches!(c, '/' | '?' | '#' | '\\') || c.is_whitespace()).unwrap_or(rest.len());
    let login = rest[..place].rfind('@').map_or("", |end| &rest[..end]);
    let hidden = if login.is_empty() { "" } else { "(not shown)" };
    format!("{before}://{hidden}{}", without_login(&rest[login.len()..]))
}

/// Where a setting stands, as JSON.
pub(super) fn origin_of(origin: &Origin) -> Value {
    json!({ "file": origin.file.to_string_lossy(), "line": origin.line })
}

/// A value as the configuration would have it.
pub(super) fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let pairs: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", toml_of(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        // TOML's basic strings escape as JSON does
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_login_nor_query_of_an_address_is_shown() {
        for (value, expected) in [
            (json!("https://me:hunter2@a.example/x"), json!("https://(not shown)@a.example/x")),
            (json!(["http://me:hunt@er2@h:1", "http://h:2"]), json!(["http://(not shown)@h:1", "http://h:2"])),
            (json!("http://hunter2@h"), json!("http://(not shown)@h")),
            (json!("see http://a.example/@me and ftp://hunter2@b"), json!("see http://a.example/@me and ftp://(not shown)@b")),
            (json!("ops@example.org"), json!("ops@example.org")),
            (json!("http://"), json!("http://")),
            (json!("http://me:h2@a/x?token=hunter2&y"), json!("http://(not shown)@a/x?(not shown)")),
            (json!(["curl", "https://a?token=hunter2 x"]), json!(["curl", "https://a?(not shown)"])),
            (json!("http://a/x"), json!("http://a/x")),
            (json!("is http://a/x up?"), json!("is http://a/x up?")),
            (json!(5), json!(5)),
        ] {
            assert_eq!(shown(value, false), expected);
        }
        assert_eq!(shown(json!(["hunter2"]), true), json!("(not shown)"));
        assert_eq!(shown(json!({"file": "/x"}), true), json!({"file": "/x"}));
    }
}
