//! The documentation shows each channel's configuration, in about five lines: each plugin's, each preset's. That these work, word for
//! word, is shown by `system/channels.rs` and the tests of the plugins.
#![allow(clippy::unwrap_used, clippy::panic)]

mod documents;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use sysalert::settings::{Settings, Watch};
use sysalert::trigger::sensor::SENSORS;
use sysalert::trigger::sensor::rule::Rule;

use documents::{ALL, MIGRATION, README, blocks_of};

/// Each `[method.NAME]` that is shown: its name, plugin, preset, and how many keys it has, each of which is a line.
fn methods() -> Vec<(String, String, Option<String>, usize)> {
    let mut methods = Vec::new();
    for block in ALL.into_iter().flat_map(|text| blocks_of(text, "toml")) {
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

/// `sysalert doctor` compares their version with the program's.
#[test]
fn every_plugin_is_known_as_one_that_comes_with_sysalert() {
    assert_eq!(plugins().keys().map(String::as_str).collect::<Vec<_>>(), sysalert::dispatch::OURS);
}

/// The table of sensors is what the code says of itself.
#[test]
fn the_table_of_sensors_is_theirs() {
    let config = "[sensor.command.NAME]\ncommand = [\"/bin/true\"]\n";
    let settings = Settings::read(&[("here.toml".into(), config.to_owned())]).unwrap();
    let row = |watch: &Watch| {
        let metrics: Vec<String> = watch.sensor.metrics.iter().map(|metric| format!("`{}`", metric.name)).collect();
        let rule = |rule: &Rule| {
            let critical = rule.critical.map(|limit| format!(", critical {}", rule.unit.show_limit(limit))).unwrap_or_default();
            let times = if rule.consecutive > 1 { format!(", {} in a row", rule.consecutive) } else { String::new() };
            format!("`{}`: {}{critical}{times}", rule.name, rule.words())
        };
        let rules: Vec<String> = watch.rules.iter().map(rule).collect();
        format!("| `{}` | {} | {} | {} |", watch.full_name(), watch.sensor.about, metrics.join(", "), rules.join("; "))
    };
    let watches = settings.sensors().watches;
    assert_eq!(watches.len(), SENSORS.len());
    let table: Vec<String> = watches.iter().map(row).collect();
    assert!(
        README.contains(&format!("| --- | --- | --- | --- |\n{}\n\n", table.join("\n"))),
        "it should be\n{}",
        table.join("\n")
    );
}

/// Each block that shows sensors, or what another system's configuration becomes, is a whole configuration.
#[test]
fn the_blocks_of_sensors_and_of_other_systems_are_valid() {
    let sensors = ALL.into_iter().flat_map(|text| blocks_of(text, "toml")).filter(|block| block.contains("[sensor"));
    let blocks: BTreeSet<&str> = sensors.chain(blocks_of(MIGRATION, "toml")).collect();
    assert_eq!(blocks.len(), 6);
    for block in blocks {
        Settings::read(&[("README.md".into(), block.to_owned())]).unwrap_or_else(|error| panic!("{block}\n{error}"));
    }
}

/// Whatever a page links to in this repository is there.
#[test]
fn the_links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> = folder.chain([root.join("README.md"), root.join(".github/CONTRIBUTING.md")]).collect();
    assert_eq!(pages.len(), ALL.len() + 1, "`documents` has every page");
    let mut looked = 0;
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            let heading = |line: &str| line.starts_with('#') && slug(line.trim_start_matches('#')) == anchor;
            let found = anchor.is_empty() || fs::read_to_string(&target).unwrap().lines().any(heading);
            assert!(found, "{}: {link}", page.display());
            looked += 1;
        }
    }
    assert!(looked > 10, "{looked}");
}

/// Whoever contributes finds each file where the map has it.
#[test]
fn the_map_of_the_house_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(".github/CONTRIBUTING.md")).unwrap();
    let tops = ["src/", "plugins/", "units/", "overrides/", "docs/", "tests/", ".package/"];
    let words = text.split('`').skip(1).step_by(2).filter(|word| tops.iter().any(|top| word.starts_with(top)));
    let (mut known, mut wrong) = (0, Vec::new());
    for word in words {
        // `sensors*.rs` and its like: the folder, and the beginning of a name in it
        let (beginning, _) = word.split_once('*').unwrap_or((word, ""));
        let (folder, name) = if beginning == word { (word, "") } else { beginning.rsplit_once('/').unwrap() };
        let path = root.join(folder);
        let is_there =
            || fs::read_dir(&path).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(name));
        known += 1;
        if !path.exists() || !name.is_empty() && !is_there() {
            wrong.push(word);
        }
    }
    assert!(wrong.is_empty() && known > 30, "{wrong:?} of {known}");
}

/// What a heading is called in a link.
fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// What other systems' configuration becomes here is told in stories, word for word.
#[test]
fn the_configurations_of_other_systems_have_their_stories() {
    let (_, chapter) = MIGRATION.split_once("## linmon and Simple Server Monitor").unwrap();
    let chapter = chapter.split("\n## ").next().unwrap();
    let blocks = blocks_of(chapter, "toml").into_iter();
    let names = ["184-linmons-configuration-does-what-linmon-says", "185-simple-server-monitors-configuration-does-what-it-says"];
    let stories = names.map(|name| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name).join("case.toml")).unwrap()
    });
    let told: Vec<bool> = blocks.zip(&stories).map(|(block, story)| story.contains(block)).collect();
    assert_eq!(told, [true, true]);
}
