//! What the command line prints, whole: each file of `cli/` is a session. A session with a history has it in
//! `cli/NAME.in/history.toml`, a story as in `cases/`. `TRYCMD=overwrite cargo test --test cli` writes the outputs; read
//! the difference before you commit it.
#![allow(clippy::unwrap_used, clippy::panic)]
// the story is shared with tests/cases.rs
#![allow(unreachable_pub, dead_code)]

#[path = "cases/story.rs"]
mod story;
#[path = "cases/world.rs"]
mod world;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use story::Story;

#[test]
fn sessions() {
    // what the tester's own environment must not change
    let foreign = ["SYSALERT_LOG", "LOG_LEVEL", "LOG_FILE", "COLUMNS", "STATE_DIRECTORY", "JOURNAL_STREAM", "CLICOLOR_FORCE"];
    for path in files() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let history = path.with_extension("in").join("history.toml");
        if history.exists() {
            fs::create_dir(&state).unwrap();
            Story::read(&history).tell(&state);
        }
        let cases = trycmd::TestCases::new();
        cases.register_bin("sysalert", Path::new(env!("CARGO_BIN_EXE_sysalert")));
        for name in foreign {
            cases.env(name, "");
        }
        let state = state.to_str().unwrap().to_owned();
        cases.env("TZ", "UTC").env("NO_COLOR", "1").env("SYSALERT_CONFIG", "/dev/null");
        cases.env("SYSALERT_STATE_DIR", &state).env("SYSALERT_PLUGIN_DIR", "/nowhere/plugins");
        cases.insert_var("[STATE]", state).unwrap();
        cases.case(&path).run();
    }
}

fn files() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "trycmd"));
    files.sort();
    assert!(files.len() >= 5, "where are the sessions?");
    files
}

/// Somebody who is neither root nor of the folder's group gets 77 and a sentence, and changes nothing.
#[test]
fn strangers_are_sent_away() {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (state, program) = (folder.path().join("state"), folder.path().join("sysalert"));
    fs::create_dir(&state).unwrap();
    let history = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/incidents.in/history.toml");
    Story::read(&history).tell(&state);
    // a copy, since the build's folder may be closed to others
    fs::copy(env!("CARGO_BIN_EXE_sysalert"), &program).unwrap();
    let is_root = chown(&program, Some(0), Some(0)).is_ok();
    fs::set_permissions(&state, fs::Permissions::from_mode(if is_root { 0o2750 } else { 0o000 })).unwrap();

    let shown = state.display();
    let read = format!("{shown} may be read only by root and members of its group");
    let written = format!("{shown} may be changed only by its owner and by root");
    let flag = format!("{shown}/pending may be changed only by its owner and by root");
    for (words, sentence) in [
        ("db list", &read),
        ("status", &read),
        ("explain backup", &read),
        ("db clear backup --yes", &read),
        ("failure -- backup.service", &written),
        ("dispatch", &flag),
    ] {
        let mut command = Command::new(&program);
        command.args(words.split(' ')).env("SYSALERT_STATE_DIR", &state).env("SYSALERT_CONFIG", "/dev/null");
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(sentence), "sysalert {words}: {said}");
        assert_eq!(output.status.code(), Some(77), "sysalert {words}");
        assert!(output.stdout.is_empty(), "sysalert {words}");
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o750)).unwrap();
}
