//! Power cuts: a file whose place in the folder nobody has synced is gone with all that was written to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;

use crate::machine::{Machine, Run, ended_well};
use crate::points::told;

const CALLS: &str =
    "trace=open,openat,creat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,fsync,fdatasync,pwrite64";

/// What was made in the state folder since it was synced.
#[derive(Debug, Default)]
struct Unsynced {
    names: BTreeSet<String>,
}

impl Unsynced {
    /// Runs a command, and follows what it does to the folder; `inject` is what strace is to do to it.
    fn follow(&mut self, machine: &Machine, inject: &[&str], start: impl Fn(&[&str]) -> Command) -> Output {
        let (trace, state) = (machine.trace(), machine.state());
        let mut there: BTreeSet<String> =
            fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let strace = ["strace", "-f", "-y", "-o", trace.to_str().unwrap(), "-e", CALLS];
        let output = start(&[&strace, inject].concat()).output().unwrap();
        for line in fs::read_to_string(&trace).unwrap().lines() {
            let Some((call, result)) = line.split_once(' ').and_then(|(_, said)| said.trim_start().rsplit_once(" = ")) else {
                continue;
            };
            if result.starts_with('-') || result.starts_with('?') {
                continue;
            }
            let Some((name, arguments)) = call.split_once('(') else { continue };
            if name == "fsync" && arguments.contains(&format!("<{}>", state.display())) {
                self.names.clear();
            }
            // the last path that it names: where to, of two
            let path = arguments.split('"').skip(1).step_by(2).last().map(Path::new);
            let Some(own) = path.filter(|path| path.parent() == Some(&state)).and_then(|path| path.file_name()) else { continue };
            let own = own.to_str().unwrap().to_owned();
            if name.starts_with("unlink") {
                there.remove(&own);
                self.names.remove(&own);
            } else if !name.starts_with("open") || arguments.contains("O_CREAT") {
                let is_new = there.insert(own.clone());
                if is_new || name.starts_with("rename") {
                    self.names.insert(own);
                }
            }
        }
        fs::remove_file(&trace).unwrap();
        output
    }

    /// What there is after the power was cut.
    fn cut(&mut self, machine: &Machine) {
        for name in std::mem::take(&mut self.names) {
            let path = machine.state().join(name);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            // what was made and taken away again
            removed.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }).unwrap();
        }
        // nobody's memory outlives it
        let _ = fs::remove_file(machine.state().join("sysalert.db-shm"));
    }
}

/// The last to close the database by hand takes the log with it.
fn close_by_hand(machine: &Machine, sql: &str) {
    let db = Connection::open(machine.state().join("sysalert.db")).unwrap();
    db.query_row(sql, [], |_| Ok(())).unwrap();
    db.close().unwrap();
    assert!(!machine.state().join("sysalert.db-wal").exists(), "the log is still there");
}

/// Each of these begins with another folder; then a handler runs, and the power is cut right after its end.
#[test]
fn what_a_handler_has_recorded_outlives_a_power_cut() {
    let nothing = || (Machine::new(), Vec::new());
    let earlier = |by_hand: Option<&str>| {
        let (machine, earlier) = told();
        by_hand.into_iter().for_each(|sql| close_by_hand(&machine, sql));
        (machine, vec![earlier])
    };
    let (plain, other_journal) = ("PRAGMA user_version", "PRAGMA journal_mode = DELETE");
    for (name, (machine, known), reads) in [
        ("the very first", nothing(), false),
        ("with a log", earlier(None), false),
        ("the log is gone", earlier(Some(plain)), false),
        ("the log is gone, and who only reads has made one", earlier(Some(plain)), true),
        ("somebody's tool has turned the log off", earlier(Some(other_journal)), false),
    ] {
        eprintln!("{name}");
        let mut unsynced = Unsynced::default();
        if reads {
            let status = |before: &[&str]| machine.command(before, &["status"]);
            ended_well(unsynced.follow(&machine, &[], status));
        }
        let mine = Run::new("mine.service", 2);
        ended_well(unsynced.follow(&machine, &[], |before| machine.handler(before, "failure", &mine)));
        assert!(!unsynced.names.contains("sysalert.db"), "{name}");
        unsynced.cut(&machine);
        let all: BTreeSet<Run> = known.into_iter().chain([mine.clone()]).collect();
        assert!(machine.recorded().contains_key(&mine), "{name}: the event is lost");
        machine.time_passes();
        machine.all_is_well(&all);
    }
}

/// A handler that is killed may leave a new log behind: of what the next one records nothing is lost with it.
#[test]
fn what_comes_after_a_killed_handler_outlives_a_power_cut() {
    let (machine, earlier) = told();
    close_by_hand(&machine, "PRAGMA user_version");
    machine.keep();
    let (mine, other) = (Run::new("mine.service", 2), Run::new("other.service", 3));
    let mut deaths = 0;
    for call in ["openat", "pwrite64", "fsync", "fdatasync"] {
        for number in 1.. {
            machine.restore();
            let mut unsynced = Unsynced::default();
            let kill = format!("--inject={call}:signal=KILL:when={number}");
            let killed =
                !unsynced.follow(&machine, &[&kill], |before| machine.handler(before, "failure", &mine)).status.success();
            if !killed {
                break;
            }
            deaths += 1;
            ended_well(unsynced.follow(&machine, &[], |before| machine.handler(before, "failure", &other)));
            unsynced.cut(&machine);
            assert!(machine.recorded().contains_key(&other), "lost, after a death at {call} {number}");
            let mut all = BTreeSet::from([earlier.clone(), other.clone()]);
            all.extend(machine.recorded().contains_key(&mine).then(|| mine.clone()));
            machine.time_passes();
            machine.all_is_well(&all);
        }
    }
    eprintln!("a power cut after each of {deaths} deaths: 0 lost");
    assert!(deaths > 0, "nothing was hit");
}
