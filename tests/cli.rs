//! What the command line prints, whole: each file of `cli/` is a session. A session with a history has it in
//! `cli/NAME.in/history.toml`, a story as in `cases/`. `TRYCMD=overwrite cargo test --test cli` writes the outputs; read
//! the difference before you commit it.
#![allow(clippy::unwrap_used, clippy::panic)]
// the story is shared with tests/cases.rs
#![allow(unreachable_pub, dead_code)]

#[path = "cases/damage.rs"]
mod damage;
#[path = "cases/machine.rs"]
mod machine;
#[path = "cases/story.rs"]
mod story;
#[path = "cases/world.rs"]
mod world;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::TimeDelta;
use story::Story;
use sysalert::host::clock;
use sysalert::message::Context;
use sysalert::store::{self, Older, Store};

const PATIENCE: Duration = Duration::from_secs(60);

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
    // a copy, since the build's folder may be closed to others; by another process, for what this one has open for writing a
    // child of another test may keep open, and such a program cannot be started
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_sysalert")).arg(&program).status().unwrap();
    assert!(copied.success());
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
        ("history backup", &read),
        ("preview backup", &read),
        ("outbox list", &read),
        ("outbox retry", &read),
        ("outbox drop 1 --yes", &read),
        ("db check", &read),
        ("db prune", &read),
        ("db stats", &read),
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

/// A user's record is for nobody else, whatever the mask of whoever makes it.
#[test]
fn a_users_record_is_closed_to_others() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask 000; exec \"$0\" --user failure -- backup.service", env!("CARGO_BIN_EXE_sysalert")]);
    let output = command.env_clear().env("HOME", home.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let state = home.path().join(".local/state/sysalert");
    let mut paths: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(paths.contains(&state.join("sysalert.db")), "{paths:?}");
    paths.push(state);
    for path in paths {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

/// What they are told to look at next is their own manager's.
#[test]
fn a_users_hint_asks_the_users_own_manager() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sysalert"));
    command.args(["--user", "test", "--timeout", "0s"]).env_clear().env("HOME", home.path());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let hint = "hint: is dispatch awake? systemctl --user status sysalert-dispatch.path sysalert-dispatch.service\n";
    assert!(output.status.code() == Some(1) && said.ends_with(hint), "{said}");
}

/// A story's state, to be looked at by commands.
fn told(session: &str, state: &Path) -> story::Telling {
    let history = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(session).join("history.toml");
    Story::read(&history).tell(state)
}

#[test]
fn db_check_tells_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let telling = told("db.in", state);
    assert_eq!(telling.run("db check"), "The database is whole.\n");

    fs::create_dir(state.join("spool")).unwrap();
    fs::write(state.join("spool/1.json"), "{").unwrap();
    let expected = format!(
        "{}/spool/1.json is no event: look at it, and remove it then\n\
         sysalert: the database has a fault\n\
         hint: failures are recorded and told all the same\n\
         (exit status: 1)\n",
        state.display()
    );
    assert_eq!(telling.run("db check"), expected);
    assert!(state.join("spool/1.json").exists(), "a check changes nothing");

    let path = state.join("sysalert.db");
    Store::open(state, Older::Migrate, PATIENCE).unwrap().checkpoint(clock::system()).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place..].starts_with(b"unit:backup.service")).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|place| bytes[*place] = b'x');
    fs::write(&path, bytes).unwrap();
    let said = telling.run("db check");
    let end = "sysalert: the database is damaged\n\
         hint: the next run of sysalert-dispatch.service sets it aside and begins a new one with what can still be read; look at the \
         disk, too\n(exit status: 1)\n";
    assert!(said.ends_with(end) && said.contains("missing from index"), "{said}");
    assert!(telling.site.flag.exists(), "dispatch is woken, to examine it");

    assert!(telling.run("dispatch").contains(&format!(" was set aside as {}", state.display())));
    let said = telling.run("status");
    assert!(said.contains("\nThe database was damaged (") && said.contains(" and replaced at "), "{said}");
    fs::remove_file(path.with_file_name(aside(state))).unwrap();
    assert!(!telling.run("status").contains("damaged"), "once it is removed nobody needs to know any more");
}

/// The database that was set aside.
fn aside(state: &Path) -> String {
    let names = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut aside: Vec<_> = names.filter(|name| name.starts_with("sysalert.db.broken-") && name.ends_with('Z')).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    aside.remove(0)
}

#[test]
fn what_is_being_sent_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let telling = told("outbox.in", folder.path());
    let now = clock::system();
    let mut store = Store::open(folder.path(), Older::Migrate, PATIENCE).unwrap();
    // the bot's failure: it alone is ready, and has no recovery
    store.write(|db| store::set_context(db, 3, &Context::default())).unwrap();
    let claimed = store.write(|db| store::claim(db, now, &[], |_| now + TimeDelta::hours(1))).unwrap().unwrap();
    drop(store);
    fs::remove_file(&telling.site.flag).unwrap();
    assert_eq!((claimed.id, claimed.method.as_str()), (5, "mail"));
    let refused = "sysalert: the failure alert of alice/bot.service by mail is being sent right now\n\
                   hint: a try lasts two minutes at the most: `sysalert outbox list` shows what became of it\n\
                   (exit status: 1)\n";
    assert_eq!(telling.run("outbox drop 5 --yes"), refused);
    assert_eq!(telling.run("outbox retry 5"), "1 is being sent right now.\n");
    assert!(!telling.site.flag.exists(), "there is nothing to wake dispatch for");
    assert_eq!(telling.run("outbox retry"), "5 alerts are tried again now.\n1 is being sent right now.\n");
    assert!(telling.site.flag.exists());
    assert!(telling.run("outbox list").contains("being sent"));
}

#[test]
fn what_a_check_found_is_shown_though_dispatch_cannot_be_woken() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sysalert.toml");
    fs::write(
        &config,
        "[[sensor.memory.rule]]\nname = \"always\"\nmetric = \"memory_available_bytes\"\nop = \"gte\"\nvalue = 0\n",
    )
    .unwrap();
    // a folder lies where the flag belongs
    fs::create_dir(folder.path().join("pending")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sysalert"));
    command.args(["check", "sensors"]).env("SYSALERT_CONFIG", &config).env("SYSALERT_STATE_DIR", folder.path());
    let ran = command.env_remove("SYSALERT_LOG").env_remove("LOG_LEVEL").output().unwrap();
    let (report, complaint) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(report.contains("memory_available_bytes") && complaint.contains("delivers within a minute"), "{report}{complaint}");
    assert_eq!(ran.status.code(), Some(1), "{report}{complaint}");
}

/// The library would wait 90 seconds, and systemd ends a handler after 30.
#[test]
fn a_bus_that_never_speaks_is_not_waited_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let bus = UnixListener::bind(&path).unwrap();
    bus.set_nonblocking(true).unwrap();
    let state = folder.path().join("state");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sysalert"));
    command.args(["failure", "--", "backup.service"]).env("SYSALERT_CONFIG", "/dev/null").env("SYSALERT_STATE_DIR", &state);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", path.display())).env_remove("SYSALERT_LOG");
    let begun = clock::started();
    let ran = command.output().unwrap();
    let took = clock::started() - begun;
    assert!(ran.status.success() && took < Duration::from_secs(20), "{took:?} {}", String::from_utf8_lossy(&ran.stderr));
    assert!(bus.accept().is_ok(), "nobody was asked");
    let store = Store::read(&state).unwrap().unwrap();
    assert_eq!(store.with(store::subjects).unwrap().len(), 1, "it is not recorded");
}
