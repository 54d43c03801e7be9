//! A behaviour is a folder of `tests/cases/` whose name is the requirement: `case.toml` says what happens, `expected.txt`
//! everything that follows. `SYSALERT_BLESS=1 cargo test --test cases` writes the latter; read the difference before
//! you commit it.
#![allow(clippy::unwrap_used, clippy::panic)]
// the story is shared with tests/cli.rs
#![allow(unreachable_pub)]

#[path = "cases/damage.rs"]
mod damage;
#[path = "cases/machine.rs"]
mod machine;
#[path = "cases/story.rs"]
mod story;
#[path = "cases/world.rs"]
mod world;

use std::fs;
use std::path::{Path, PathBuf};

use story::Story;

#[test]
fn every_case() {
    // SAFETY: this is the only test of this program, and none of its threads but this one runs the program's code yet.
    unsafe { std::env::set_var("TZ", "UTC") };
    let bless = sysalert::host::env::var("SYSALERT_BLESS").is_some();
    let mut wrong = String::new();
    for folder in folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")) {
        let expected = folder.join("expected.txt");
        let actual = told(&folder);
        if bless {
            fs::write(&expected, actual).unwrap();
        } else if let Some(difference) = difference(&fs::read_to_string(&expected).unwrap_or_default(), &actual) {
            wrong += &format!("\n{}\n{difference}", expected.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nis that what you want? SYSALERT_BLESS=1 cargo test --test cases");
}

/// The folders that are cases, by their numbers.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    assert!(folders.len() >= 20, "where are the cases? {} has {}", root.display(), folders.len());
    folders
}

/// What happened in a case, the messages that were sent, and what an administrator sees in the end.
fn told(folder: &Path) -> String {
    let state = tempfile::tempdir().unwrap();
    let telling = Story::read(&folder.join("case.toml")).tell(state.path());
    format!("{}{}\n==== sysalert db list --all\n{}", telling.said, telling.messages(), telling.run("db list --all"))
}

/// The lines that differ, between the ones that are alike at both ends.
fn difference(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let shown = |sign: &str, lines: &[&str]| lines.iter().map(|line| format!("{sign} {line}\n")).collect::<String>();
    Some(shown("-", &old[head..old.len() - tail]) + &shown("+", &new[head..new.len() - tail]))
}
