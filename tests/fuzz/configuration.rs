//! Any text as a configuration: it is read, or refused with complaints that each cite a file and a line.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use sysalert::error::Kind;
use sysalert::settings::{CATALOGUE, Settings};

pub fn fuzz(until: super::Until) -> u64 {
    let samples = ["valid", "invalid"].map(|folder| samples(&Path::new("tests/config").join(folder))).concat();
    let input = prop::collection::vec(text(samples), 1..3);
    super::rounds(until, &input, |texts| check(&texts))
}

fn check(texts: &[String]) {
    let name = |number: usize| format!("{number}.toml");
    let files: Vec<_> = texts.iter().enumerate().map(|(number, text)| (name(number).into(), text.clone())).collect();
    match Settings::read(&files) {
        Ok(settings) => {
            for unit in ["a.service", "backup-db.service", "alice/bot.service", "\u{1f4a9}", ""] {
                let rules = settings.rules(unit);
                assert!(!rules.methods.is_empty(), "a unit without a method");
            }
            assert!(settings.effective().iter().all(|(section, ..)| !section.is_empty()));
        }
        Err(error) => {
            assert_eq!(error.kind, Kind::Config);
            for line in error.message.lines() {
                assert!(!line.chars().any(super::acts), "a complaint that acts: {line:?}");
                let (file, rest) = line.split_once(".toml:").unwrap_or_else(|| panic!("no file: {line:?}"));
                let text = &texts[file.parse::<usize>().unwrap_or_else(|_| panic!("no file: {line:?}"))];
                let number = rest.split(':').next().and_then(|number| number.parse::<usize>().ok());
                let lines = text.matches('\n').count() + 1;
                assert!(number.is_some_and(|number| (1..=lines).contains(&number)), "no line: {line:?}");
            }
        }
    }
}

/// The texts of a folder's files.
fn samples(folder: &Path) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

/// A text that is nearly right: samples side by side with some edits, or lines of known words.
fn text(samples: Vec<String>) -> impl Strategy<Value = String> {
    let edited = (prop::collection::vec(select(samples), 1..4), prop::collection::vec((any::<Index>(), edit()), 0..6));
    let edited = edited.prop_map(|(samples, edits)| {
        let mut chars: Vec<char> = samples.concat().chars().collect();
        for (place, edit) in edits {
            let at = place.index(chars.len() + 1);
            let end = (at + edit.0).min(chars.len());
            chars.splice(at..end, edit.1.chars());
        }
        chars.into_iter().collect()
    });
    let lines = prop::collection::vec(line(), 0..12).prop_map(|lines| lines.concat());
    prop_oneof![4 => edited, 4 => lines, 1 => super::hostile(), 1 => any::<String>()]
}

/// So many characters go, and this comes.
fn edit() -> impl Strategy<Value = (usize, String)> {
    (prop_oneof![Just(0), 0..4usize, 0..200usize], prop_oneof![Just(String::new()), word(), value(), line()])
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        (word(), word()).prop_map(|(section, name)| format!("[{section}.{name}]\n")),
        word().prop_map(|section| format!("[{section}]\n")),
        word().prop_map(|section| format!("[[{section}]]\n")),
        (word(), value()).prop_map(|(key, value)| format!("{key} = {value}\n")),
        (word(), word(), value()).prop_map(|(section, key, value)| format!("{section}.{key} = {value}\n")),
    ]
}

/// A section's or a key's name, known or not, and a glob.
fn word() -> impl Strategy<Value = String> {
    let names = CATALOGUE.iter().map(|section| section.name.to_string());
    let keys =
        CATALOGUE.iter().flat_map(|section| section.keys.iter().flat_map(|list| list.iter())).map(|key| key.name.to_string());
    let more =
        ["mail", "polcy", "ignor", "a-b_c", "\"*\"", "\"\"", "\"a\\nb\"", "\"a\\u001b[31m\"", "\"backup-?.service\"", "'x y'"];
    let known: Vec<String> = names.chain(keys).chain(more.map(str::to_owned)).collect();
    prop_oneof![8 => select(known), 1 => super::hostile().prop_map(|text| format!("{text:?}"))]
}

fn value() -> impl Strategy<Value = String> {
    let known = [
        "0",
        "-1",
        "1e9",
        "inf",
        "nan",
        "0x_",
        "0xffffffffffffffffff",
        "1_000_000",
        "9223372036854775808",
        "true",
        "\"final\"",
        "\"5m\"",
        "\"1y\"",
        "\"99999999999999999999y\"",
        "\"-1s\"",
        "\"\"",
        "[]",
        "[\"mail\"]",
        "[1, \"a\"]",
        "{}",
        "{ a = 1 }",
        "1979-05-27T07:32:00Z",
        "\"a\\nb\"",
        "\"\"\"\nmany\nlines\"\"\"",
        "'''x",
        "\"\\u0000\"",
        "{ from_file = \"/etc/x\" }",
    ];
    let nested = (0..200usize).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth));
    prop_oneof![8 => select(known.map(str::to_owned).to_vec()), 1 => nested, 1 => super::hostile().prop_map(|text| format!("{text:?}"))]
}
