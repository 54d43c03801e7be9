//! `sysalert config reference`: every key of every section. The manual's page sysalert.toml(5) is made of the same rows.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::output::{self, Format, Output};
use crate::cli::processes::LIBRARY;
use crate::config::{Key, Kind, Section};
use crate::dispatch;
use crate::error::Result;
use crate::host::{Site, log};
use crate::settings::CATALOGUE;

const EXAMPLES: &str = "\
Examples:
  sysalert config reference | less          to read
  sysalert config reference >example.toml   to begin with
  sysalert config reference -o json         for a program";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Reference {
    #[command(flatten)]
    output: Output,
}

/// A section with its keys.
#[derive(Debug)]
pub(in crate::cli) struct Part {
    /// Its heading: `[method.NAME]`.
    pub(in crate::cli) heading: String,
    /// The plugin whose keys these are.
    pub(in crate::cli) plugin: Option<String>,
    /// What it is for.
    pub(in crate::cli) about: String,
    /// Its keys.
    pub(in crate::cli) rows: Vec<Row>,
}

/// More keys than these in common with another section are not told once more.
const MANY: usize = 5;

impl Part {
    /// What it has of a section before it, as a sentence, and the rest.
    pub(in crate::cli) fn split<'a>(&'a self, parts: &[Part]) -> (String, Vec<&'a Row>) {
        let before = parts.iter().take_while(|part| part.heading != self.heading);
        let many = |part: &&Part| self.rows.iter().filter(|row| part.rows.contains(row)).count() > MANY;
        let Some(part) = before.into_iter().find(many) else { return (String::new(), self.rows.iter().collect()) };
        let (shared, own): (Vec<&Row>, Vec<&Row>) = self.rows.iter().partition(|row| part.rows.contains(row));
        let name = |row: Option<&&Row>| row.map_or("", |row| row.name.as_str()).to_owned();
        (format!("the keys of {} from `{}` to `{}`, and these", part.heading, name(shared.first()), name(shared.last())), own)
    }
}

/// A key.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Row {
    /// What it is called.
    pub(in crate::cli) name: String,
    /// As a line of the file, with the default, or an example where there is none.
    pub(in crate::cli) line: String,
    /// As TOML; empty where there is none.
    pub(in crate::cli) default: String,
    /// A section without it is incomplete.
    pub(in crate::cli) required: bool,
    /// What its value may be.
    pub(in crate::cli) wanted: String,
    /// What it is for.
    pub(in crate::cli) about: String,
    /// Its type by one word, and the words that it may be.
    pub(in crate::cli) kind: (&'static str, Vec<String>),
    /// What else its plugin tells of it.
    pub(in crate::cli) further: Map<String, Value>,
}

impl Row {
    fn of(key: &Key, required: bool) -> Row {
        let line = match (&*key.default, &key.kind) {
            ("", Kind::Choice(words)) => format!("{} = {:?}", key.name, words.first().map_or("", |word| word)),
            ("", kind) => format!("{}{}", key.name, kind.example()),
            (default, _) => format!("{} = {default}", key.name),
        };
        Row {
            name: key.name.to_string(),
            line,
            default: key.default.to_string(),
            required,
            wanted: key.kind.brief(),
            about: key.about.to_string(),
            kind: (key.kind.word(), key.kind.words()),
            further: Map::new(),
        }
    }

    /// Why the line shows no default.
    pub(in crate::cli) fn without_default(&self) -> Option<&'static str> {
        match (self.required, self.default.is_empty()) {
            (true, _) => Some("required"),
            (false, true) if !self.about.contains("default") => Some("no default"),
            _ => None,
        }
    }
}

/// Every section, in the catalogue's order, those of the plugins behind `[method.NAME]`. A plugin that does not tell its keys is
/// named on standard error.
pub(in crate::cli) fn parts(site: &Site) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rules: Option<Part> = None;
    for section in CATALOGUE.iter() {
        let (tables, keys): (Vec<&Key>, Vec<&Key>) =
            section.keys.iter().flat_map(|list| list.iter()).partition(|key| matches!(key.kind, Kind::Tables(_)));
        parts.push(Part {
            heading: heading(section),
            plugin: None,
            about: section.about.to_owned(),
            rows: keys.into_iter().map(|key| Row::of(key, false)).collect(),
        });
        if section.open {
            parts.extend(of_plugins(site));
        }
        // every sensor's are the same
        for (key, inner) in
            tables.into_iter().filter_map(|key| if let Kind::Tables(inner) = key.kind { Some((key, inner)) } else { None })
        {
            rules.get_or_insert_with(|| Part {
                heading: format!("[[sensor.NAME.{}]]", key.name),
                plugin: None,
                about: key.about.to_string(),
                rows: inner.iter().flat_map(|list| list.iter()).map(|key| Row::of(key, false)).collect(),
            });
        }
    }
    parts.extend(rules);
    parts
}

fn heading(section: &Section) -> String {
    match &*section.name {
        "unit" => "[unit.\"NAME\"]".to_owned(),
        name if section.named => format!("[{name}.NAME]"),
        name => format!("[{name}]"),
    }
}

fn of_plugins(site: &Site) -> Vec<Part> {
    let part = |(name, keys): (String, std::result::Result<Vec<dispatch::PluginKey>, String>)| {
        let keys = keys.unwrap_or_else(|why| {
            log::warn(None, &format!("the keys of the plugin {name} are not known: {why}"));
            Vec::new()
        });
        Part {
            heading: "[method.NAME]".to_owned(),
            about: format!("the keys of the plugin {name}"),
            plugin: Some(name),
            rows: keys.iter().map(|told| Row { further: told.further.clone(), ..Row::of(&told.key, told.required) }).collect(),
        }
    };
    // the watchdog's library lies there, too, and is none
    dispatch::plugin_keys(site).into_iter().filter(|(name, _)| name != LIBRARY).map(part).collect()
}

impl Reference {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        // plugins are foreign code: not as root, where that can be had
        context.enter()?;
        let parts = parts(&context.site);
        match self.output.output {
            Format::Json => output::json(&parts.iter().flat_map(json_of).collect())?,
            Format::Table => output::print(&toml_of(&parts))?,
        }
        Ok(0)
    }
}

fn json_of(part: &Part) -> impl Iterator<Item = Value> {
    let section = part.heading.trim_matches(['[', ']']);
    part.rows.iter().map(move |row| {
        let default = toml_value(&row.default);
        let mut object = json!({
            "section": section,
            "plugin": part.plugin,
            "key": row.name,
            "default": default,
            "required": row.required,
            "type": row.kind.0,
            "values": row.kind.1,
            "value": row.wanted,
            "about": row.about,
        });
        if let Value::Object(object) = &mut object {
            object.extend(row.further.clone());
        }
        object
    })
}

/// The catalogue's defaults are JSON as well: texts, numbers, truths and lists of texts.
fn toml_value(default: &str) -> Value {
    serde_json::from_str(default).unwrap_or(Value::Null)
}

const HEAD: &str = "\
# Every key of sysalert's configuration, as a file in which nothing is set yet: take the \"#\" from
# a section's heading and from a key to set it. The values shown are the defaults; where there is
# none, an example stands. Times are \"30s\", \"5m\", \"2h\", \"1d\". `sysalert config check` tells whether
# all is right.
";

/// As a file that may become a configuration.
fn toml_of(parts: &[Part]) -> String {
    let mut text = HEAD.to_owned();
    for part in parts {
        text += &format!("\n{}", comment(&capital(&part.about)));
        match &part.plugin {
            Some(plugin) => text += &format!("\n#[method.{plugin}]\n#plugin = \"{plugin}\"\n"),
            None => text += &format!("\n#{}\n", part.heading),
        }
        let (shared, own) = part.split(parts);
        if !shared.is_empty() {
            text += &format!("\n{}", comment(&capital(&shared)));
        }
        for row in own {
            let without = row.without_default().map_or_else(String::new, |word| format!("; {word}"));
            let about = row.about.trim_end_matches('.');
            text += &format!("\n{}#{}\n", comment(&format!("{about} ({}{without})", row.wanted)), row.line);
        }
    }
    text
}

/// "What it is for."; but a value that is explained, as in "false: it is not measured", stays as it is written.
pub(in crate::cli) fn capital(text: &str) -> String {
    let is_value = text.split(' ').next().is_some_and(|word| word.ends_with(':'));
    let mut rest = text.chars();
    let first: String = match rest.next() {
        Some(first) if !is_value => first.to_uppercase().collect(),
        first => first.into_iter().collect(),
    };
    format!("{first}{}.", rest.as_str())
}

/// Comment lines of at most a hundred characters.
pub(in crate::cli) fn comment(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 100 => *line += &format!(" {word}"),
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;

    fn site() -> Site {
        let options = crate::host::Options { plugin_dir: Some("/nowhere".into()), ..Default::default() };
        Site::find(&options, crate::host::env::Environment::Ours).unwrap()
    }

    /// Without its "#" each line is one of a configuration.
    #[test]
    fn what_it_shows_is_a_configuration() {
        let text = toml_of(&parts(&site()));
        let live: String = text
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|line| !line.starts_with(' '))
            .fold(String::new(), |text, line| text + line + "\n");
        let live = live.replace("[[sensor.NAME.rule]]", "[[sensor.cpu.rule]]");
        assert!(live.contains("ignore = 0\n") && live.contains("[sensor.storage]\n"), "{live}");
        Document::read(&[("reference".into(), live)], &CATALOGUE).unwrap();
        assert!(text.lines().all(|line| line.starts_with('#') || line.is_empty()));
        assert_eq!(text.lines().find(|line| line.chars().count() > 100), None);
    }

    #[test]
    fn every_key_of_the_catalogue_is_in_it() {
        let told: Vec<Value> = parts(&site()).iter().flat_map(json_of).collect();
        let is_told = |section: &str, key: &str| told.iter().any(|row| row["section"] == section && row["key"] == key);
        for section in CATALOGUE.iter() {
            for key in section.keys.iter().flat_map(|list| list.iter()) {
                match &key.kind {
                    Kind::Tables(inner) => {
                        let mut inner = inner.iter().flat_map(|list| list.iter());
                        assert!(inner.all(|key| is_told("sensor.NAME.rule", &key.name)));
                    }
                    _ => {
                        assert!(is_told(heading(section).trim_matches(['[', ']']), &key.name), "{} of {}", key.name, section.name)
                    }
                }
            }
        }
        let defaults = CATALOGUE.iter().flat_map(|section| section.keys.iter()).flat_map(|list| list.iter());
        for key in defaults {
            assert_eq!(toml_value(&key.default), key.default_value(), "{}", key.name);
        }
    }
}
