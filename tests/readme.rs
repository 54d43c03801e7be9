//! The README shows each channel's configuration, in about five lines: each plugin's, each preset's. That these work, word for
//! word, is shown by `system/channels.rs` and the tests of the plugins.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

const README: &str = include_str!("../README.md");

/// Each `[method.NAME]` of the README: its name, plugin, preset, and how many keys it has, each of which is a line.
fn methods() -> Vec<(String, String, Option<String>, usize)> {
    let mut methods = Vec::new();
    for block in README.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let read: Value = toml::from_str(block).unwrap_or_else(|error| panic!("{block}\n{error}"));
        for (name, keys) in read["method"].as_object().into_iter().flatten() {
            let text = |key: &str| keys[key].as_str().map(str::to_owned);
            let plugin = text("plugin").unwrap_or_else(|| name.clone());
            methods.push((name.clone(), plugin, text("preset"), keys.as_object().unwrap().len()));
        }
    }
    methods
}

/// The plugins with the keys of their sections: each folder that has `settings.json`.
fn plugins() -> BTreeMap<String, Value> {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins")).unwrap();
    let one = |folder: fs::DirEntry| {
        let keys = fs::read_to_string(folder.path().join("settings.json")).ok()?;
        Some((folder.file_name().into_string().unwrap(), serde_json::from_str(&keys).unwrap()))
    };
    folders.filter_map(|folder| one(folder.unwrap())).collect()
}

#[test]
fn every_channel_has_its_few_lines() {
    let (methods, plugins) = (methods(), plugins());
    let shown: BTreeSet<&str> = methods.iter().map(|(_, plugin, ..)| plugin.as_str()).collect();
    assert_eq!(shown, plugins.keys().map(String::as_str).collect(), "a folder of plugins/ and no [method.NAME]");
    let presets: BTreeSet<&str> = methods.iter().filter_map(|(_, _, preset, _)| preset.as_deref()).collect();
    let known = plugins["webhook"].as_array().unwrap().iter().find(|key| key["name"] == "preset").unwrap();
    assert_eq!(presets, known["values"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect());
    // the first one is complete; later ones show what else there is
    let mut first = BTreeMap::new();
    for (name, plugin, preset, lines) in &methods {
        first.entry((plugin, preset)).or_insert((name, *lines));
    }
    assert!(first.values().all(|(_, lines)| *lines <= 5), "{first:?}");
}

#[test]
fn every_plugin_has_its_row_with_its_keys() {
    let (_, table) = README.split_once("| plugin | sends | its keys |").unwrap();
    let table = table.split("\n\n").next().unwrap();
    for (plugin, keys) in plugins() {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{plugin}` |"))).unwrap_or_else(|| panic!("{plugin}"));
        let told: BTreeSet<&str> = row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2).collect();
        let known = keys.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap());
        assert_eq!(told, known.collect(), "{plugin}");
    }
}
