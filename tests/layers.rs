//! The direction of the arrows: no module uses one that stands above it or beside it. What each may use is this table,
//! from the top of the house to its ground.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["cli", "host"]),
    (
        "cli",
        &[
            "pipeline",
            "dispatch",
            "watchdog",
            "metrics",
            "store",
            "settings",
            "trigger",
            "message",
            "policy",
            "config",
            "incident",
            "overrides",
            "event",
            "error",
            "host",
        ],
    ),
    // the two halves of the flow do not know each other: what one queues, the other finds in the store
    ("pipeline", &["store", "settings", "trigger", "policy", "incident", "event", "error", "host"]),
    ("dispatch", &["store", "settings", "trigger", "message", "policy", "config", "incident", "event", "error", "host"]),
    ("watchdog", &["store", "settings", "event", "error", "host"]),
    // what the store knows, for those who collect figures
    ("metrics", &["store", "settings", "incident", "event", "error", "host"]),
    // stores what policy says (its reasons, and what was told), and what messages tell
    ("store", &["policy", "message", "incident", "event", "error", "host"]),
    // beside the store, above policy: it joins the keys that each module declares, and hands out policy's rules
    ("settings", &["trigger", "message", "policy", "config", "incident", "event", "error"]),
    // three that do not know each other; policy and message are pure: no host, no store
    ("trigger", &["config", "incident", "event", "error", "host"]),
    ("message", &["config", "incident", "event", "error"]),
    ("policy", &["config", "incident", "event", "error"]),
    ("config", &["event", "error", "host"]),
    ("incident", &["event", "error"]),
    // of host the nature of a unit alone: it decides, and touches nothing
    ("overrides", &["event", "error", "host"]),
    // the ground
    ("host", &["event", "error"]),
    ("event", &["error"]),
    ("error", &[]),
];

/// What only some places may touch. A path that ends with / is a folder.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rusqlite::", &["store/"]),
    ("unsafe ", &["dispatch/plugin_host.rs", "host/libsystemd.rs"]),
    ("libloading::", &["dispatch/plugin_host.rs", "host/libsystemd.rs"]),
    ("systemd::", &["host/"]),
    // child processes are started, confined and ended by dispatch
    ("nix::", &["host/", "dispatch/child.rs", "dispatch/plugin_host.rs"]),
    ("std::env", &["host/env.rs"]),
    ("toml::", &["config/"]),
    ("clap::", &["cli/"]),
    ("comfy_table::", &["cli/output.rs"]),
];

#[test]
fn no_module_uses_one_above_or_beside_it() {
    let mut wrong = String::new();
    let mut seen = BTreeSet::new();
    for (path, text) in sources("src") {
        let own = module(&path);
        seen.insert(own.clone());
        if own == "lib" {
            continue;
        }
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == own) else {
            wrong += &format!("src/{}: where in the house is `{own}`? Add it to the table of tests/layers.rs\n", path.display());
            continue;
        };
        for (line, used) in used(&text) {
            if used != own && !may.contains(&used.as_str()) {
                wrong += &format!("src/{}:{line}: `{own}` may not use `{used}`, only {}\n", path.display(), may.join(", "));
            }
        }
    }
    for (name, _) in MAY_USE.iter().filter(|(name, _)| !seen.contains(*name)) {
        wrong += &format!("there is no module `{name}` any more\n");
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn what_is_dangerous_or_heavy_has_its_place() {
    let mut wrong = String::new();
    for (path, text) in sources("src") {
        for (word, places) in ONLY_IN {
            let at_home =
                places.iter().any(|place| if place.ends_with('/') { path.starts_with(place) } else { path == Path::new(place) });
            let lines = text.lines().enumerate().filter(|(_, line)| has_word(line, word));
            for (number, _) in lines.filter(|_| !at_home) {
                wrong += &format!("src/{}:{}: `{word}` belongs into {}\n", path.display(), number + 1, places.join(", "));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn plugins_leave_what_is_unsafe_to_their_interface() {
    for (path, text) in sources("plugins") {
        let is_interface = path.starts_with("abi");
        assert!(is_interface || !text.lines().any(|line| has_word(line, "unsafe ")), "plugins/{}: `unsafe`", path.display());
    }
}

/// The table is an order: nothing in it leads back to itself.
#[test]
fn the_table_has_no_circle() {
    for (number, (name, may)) in MAY_USE.iter().enumerate() {
        for used in *may {
            let place = MAY_USE.iter().position(|(other, _)| other == used);
            assert!(place.is_some_and(|place| place > number), "`{name}` uses `{used}`, which does not stand below it");
        }
    }
}

/// Every file of a folder with its code: comments and tests are blanked, so that lines keep their numbers.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                // each file's tests are its last item
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
                sources.push((path.strip_prefix(&root).unwrap().to_owned(), lines.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    sources.sort();
    assert!(sources.len() > 5, "where is the code? {folder} has {} files", sources.len());
    sources
}

/// `store/events.rs` and `store/mod.rs` are of the module `store`.
fn module(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a text names, with their lines: `crate::store`, `crate::{host::log, pipeline}`, `sysalert::cli`.
fn used(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in ["crate::", "sysalert::"].iter().flat_map(|word| text.match_indices(word)) {
        let (at, rest) = (start.0, &text[start.0 + start.1.len()..]);
        let line = text[..at].matches('\n').count() + 1;
        let names = match rest.strip_prefix('{') {
            Some(list) => in_braces(list),
            None => vec![rest],
        };
        let word =
            |name: &str| name.trim().split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or_default().to_owned();
        found.extend(names.into_iter().map(|name| (line, word(name))));
    }
    found
}

/// The items of a list in braces, of which the opening one is gone.
fn in_braces(list: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut items) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[begin..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn paths_are_read_from_code() {
    let text = "use crate::store::{self, Alert};\nuse crate::{host::{a, log}, pipeline,\n dispatch};\npub(crate) fn x() {}\n crate::event::f()";
    let expected = [(1, "store"), (2, "host"), (2, "pipeline"), (2, "dispatch"), (5, "event")];
    assert_eq!(used(text), expected.map(|(line, name)| (line, name.to_owned())));
    assert!(has_word("    rusqlite::Result", "rusqlite::") && !has_word("my_rusqlite::Result", "rusqlite::"));
}
