//! The documentation shows each channel's configuration, in about five lines: each plugin's, each preset's. That these work, word for
//! word, is shown by `system/channels.rs` and the tests of the plugins. The table of what it costs is what `make bench` prints.
#![allow(clippy::unwrap_used, clippy::panic)]

mod documents;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
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

/// What tests/bench/table.py prints when it gets these files.
fn bench_table(files: &[&Path]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/table.py");
    let ran = Command::new("python3").arg(script).args(files).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// A row as tests/bench/bench.py prints it: ours first, by the order of the alphabet, too, which `json!` sorts by.
fn bench_row(what: &str, [ours, least, other]: [f64; 3], budget: Option<f64>, met: Option<bool>) -> Value {
    let figure = |median: f64, least: f64| json!({"median": median, "least": least, "most": median});
    json!({"what": what, "unit": "ms", "figures": {"sysalert": figure(ours, least), "the least": figure(other, other)},
           "ratios": {"the least": ours / other}, "budget": budget, "beside": budget.map(|_| "the least"), "met": met})
}

#[test]
fn what_make_bench_prints_is_the_documents_table() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("machine"), "A processor\n2\nsystemd 252 (252)\n6.18\nabc1234\n7700000 6500000\n").unwrap();
    let rows =
        [bench_row("a start", [6.0, 3.0, 2.0], Some(1.5), Some(false)), bench_row("an end", [150.4, 150.4, 100.0], None, None)];
    fs::write(at("rows"), format!("{}\n{}\n", rows[0], rows[1])).unwrap();
    let printed = bench_table(&[&at("machine"), &at("rows"), &at("out")]);
    let table = "\
A processor, 2 processors, systemd 252 (252), Linux 6.18, abc1234. Medians, the least in brackets; ratios are medians of pairs.

| what | budget | sysalert | beside | ratio | met |
| --- | --- | --- | --- | --- | --- |
| a start | 1.5 x the least | 6.00 ms (3.00) | the least 2.00 ms | 3.00 of the least | **no** |
| an end |  | 150 ms | the least 100 ms | 1.50 of the least |  |
| installed: the program, all plugins | 16 MB | 14.2 MB: the program 7.7, all plugins 6.5 |  |  | yes |
";
    assert_eq!((printed.as_str(), fs::read_to_string(at("out.md")).unwrap().as_str()), (table, table));
    let kept: Value = serde_json::from_str(&fs::read_to_string(at("out.json")).unwrap()).unwrap();
    assert_eq!((&kept["machine"]["commit"], kept["rows"].as_array().unwrap().as_slice()), (&json!("abc1234"), rows.as_slice()));
}

#[test]
fn make_bench_compare_names_both_commits_and_shows_what_only_one_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = |commit: &str, rows: &[Value]| {
        let path = folder.path().join(commit);
        fs::write(&path, json!({"machine": {"commit": commit, "model": "A processor"}, "rows": rows}).to_string()).unwrap();
        path
    };
    let row = |what: &str, ours: f64| bench_row(what, [ours, 1.0, 1.0], None, None);
    let old = file("0ld", &[row("a start", 6.0), row("gone", 1.0)]);
    let new = file("n3w", &[row("a start", 3.0), row("new", 2.0)]);
    let table = "\
0ld -> n3w, A processor
| what | before | after | ratio |
| --- | --- | --- | --- |
| a start | 6.00 ms | 3.00 ms | 0.50 |
| gone | 1.00 ms |  |  |
| new |  | 2.00 ms |  |
";
    assert_eq!(bench_table(&[&old, &new]), table);
    // each run is told whose figures it takes: both would name the commit that is checked out
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [run, compare] = ["run", "compare"].map(|name| fs::read_to_string(root.join("tests/bench").join(name)).unwrap());
    assert!(run.contains("commit=${COMMIT:-") && compare.contains("COMMIT=$base STAGE=$stage "));
}
