//! Samples of configurations, one rule a file: each of `config/valid/` loads, each of `config/invalid/` is refused with
//! exactly the complaint that its first comment lines tell. `SECTION.KEY.toml` is the sample of a key.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use serde_json::Value;
use sysalert::config::Section;
use sysalert::error::Kind;
use sysalert::settings::{CATALOGUE, Settings};
use sysalert::trigger::sensor::{COMMON, RULE};

/// The samples of a folder: file name and text.
fn samples(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).map(|entry| entry.unwrap().path());
    let mut samples: Vec<_> =
        paths.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())).collect();
    samples.sort();
    samples
}

fn read(name: &str, text: &str) -> sysalert::error::Result<Settings> {
    Settings::read(&Vec::from([(name.into(), text.to_owned())]))
}

#[test]
fn every_valid_sample_loads() {
    for (name, text) in samples("tests/config/valid") {
        let settings = read(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        if let Some((section, key)) = name.trim_end_matches(".toml").rsplit_once('.') {
            let written = |row: &(String, String, Value, _)| row.0.trim_start_matches('[').starts_with(section) && row.1 == key;
            assert!(settings.effective().iter().any(|row| written(row) && row.3.is_some()), "{name} sets no {key}");
        }
    }
}

#[test]
fn every_invalid_sample_is_refused_with_its_complaint() {
    let mut wrong = String::new();
    for (name, text) in samples("tests/config/invalid") {
        let expected: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
        match read(&name, &text) {
            Ok(_) => wrong += &format!("\n{name} is accepted\n"),
            Err(error) if error.kind == Kind::Config && error.to_string() == expected.join("\n") => {}
            Err(error) => wrong += &format!("\n{name} says\n{error}\ninstead of\n{}\n", expected.join("\n")),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_key_has_a_valid_and_an_invalid_sample() {
    let names = |folder: &str| samples(folder).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let (valid, invalid) = (names("tests/config/valid"), names("tests/config/invalid"));
    let keys =
        |section: &Section| section.keys.iter().flat_map(|list| list.iter()).map(|key| key.name.to_string()).collect::<Vec<_>>();
    let mut rows: Vec<(String, String)> = Vec::new();
    for section in CATALOGUE.iter() {
        // what all sensors have is tried with one
        let common = |key: &String| section.name.starts_with("sensor.") && COMMON.iter().any(|common| common.name == *key);
        rows.extend(keys(section).into_iter().filter(|key| !common(key)).map(|key| (section.name.to_string(), key)));
    }
    rows.extend(COMMON.iter().filter(|key| key.name != "rule").map(|key| ("sensor.cpu".to_owned(), key.name.to_string())));
    rows.extend(RULE.iter().map(|key| ("sensor.storage.rule".to_owned(), key.name.to_string())));
    for (section, key) in rows {
        let sample = format!("{section}.{key}.toml");
        assert!(valid.contains(&sample), "[{section}] {key} has no tests/config/valid/{sample}");
        assert!(invalid.contains(&sample), "[{section}] {key} has no tests/config/invalid/{sample}");
    }
}

const EXAMPLE: &str = "units/sysalert.toml";

fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLE)).unwrap()
}

/// A line of the example that is a section's name or a setting, taken out of its comment.
fn uncommented(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()))
}

#[test]
fn the_installed_example_changes_nothing() {
    assert_eq!(read(EXAMPLE, &example()).unwrap().effective(), read("nothing", "").unwrap().effective());
}

/// Each section alone and all of them together; the keys of methods by the plugins' own tables.
#[test]
fn the_installed_example_is_valid_without_its_comment_signs() {
    let whole: String = example().lines().map(|line| uncommented(line).unwrap_or(line).to_owned() + "\n").collect();
    let settings = read(EXAMPLE, &whole).unwrap_or_else(|error| panic!("{error}"));
    for method in settings.methods.values() {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(&method.plugin).join("settings.json");
        let keys: Vec<Value> = serde_json::from_str(&fs::read_to_string(&table).unwrap()).unwrap();
        for setting in &method.config {
            assert!(
                keys.iter().any(|key| key["name"] == setting.key),
                "{}: {} has no `{}`",
                setting.origin,
                method.plugin,
                setting.key
            );
        }
        for key in keys.iter().filter(|key| key["required"] == true) {
            let written = method.config.iter().any(|setting| key["name"] == setting.key);
            assert!(written, "{}: {} needs `{}`", method.origin.as_ref().unwrap(), method.plugin, key["name"]);
        }
    }
}

/// `[policy]` shows the defaults, as the example's head says.
#[test]
fn the_installed_example_shows_the_defaults_of_policy() {
    let policy: String = example()
        .lines()
        .filter_map(uncommented)
        .skip_while(|line| *line != "[policy]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .map(|line| format!("{line}\n"))
        .collect();
    let shown: toml::Table = toml::from_str(&policy).unwrap();
    assert!(!shown.is_empty());
    for (name, value) in shown {
        let keys = CATALOGUE.iter().find(|section| section.name == "policy").unwrap().keys;
        let key = keys.iter().flat_map(|list| list.iter()).find(|key| key.name == name).unwrap();
        assert_eq!(serde_json::to_value(value).unwrap(), key.default_value(), "{name}");
    }
}
