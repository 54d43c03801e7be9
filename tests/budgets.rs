//! What one event may cost: fsyncs, system calls, what is read before the event is safe; and what there is to carry: sizes
//! and packages. `make check` runs it on the installed tree that SYSALERT_STAGE names; each figure is printed with
//! `cargo test --test budgets -- --nocapture`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use sysalert_http::testing::{Act, Server};
use tempfile::TempDir;

/// All system calls of one `failure` in the steady state, the loader's among them. A growth is worth a look: raise this
/// only when you know what it bought.
const SYSTEM_CALLS: usize = 420;
/// How many there were before a handler asked the journal and the service manager: 313 with the log of one event, and about 9
/// more for each event in the log. Where neither answers, as here, asking costs some 50 (a thread for the bus, the journal's
/// folders), and looking for the unit's own files 20; tests/system/budget.rs counts where they do.
const USUAL: &[(&str, usize)] = &[
    ("mmap", 46),
    ("pread64", 46),
    ("fcntl", 35),
    ("newfstatat", 30),
    ("pwrite64", 26),
    ("read", 21),
    ("openat", 21),
    ("close", 20),
    ("mprotect", 12),
    ("brk", 8),
    ("prctl", 6),
    ("rt_sigaction", 5),
    ("geteuid", 3),
    ("getpid", 3),
    ("flock", 3),
    ("fsync", 3),
    ("munmap", 3),
    ("sigaltstack", 3),
    ("statx", 3),
    ("prlimit64", 2),
    ("umask", 2),
    ("access", 1),
    ("arch_prctl", 1),
    ("execve", 1),
    ("exit_group", 1),
    ("ftruncate", 1),
    ("getrandom", 1),
    ("gettid", 1),
    ("poll", 1),
    ("rseq", 1),
    ("sched_getaffinity", 1),
    ("set_robust_list", 1),
    ("set_tid_address", 1),
];
/// Stripped, in KiB.
const SIZES: &[(&str, u64)] = &[
    // doctor and setup have 300 of them
    ("bin/sysalert", 9700),
    // those with HTTP have hyper, rustls and tokio in them
    ("plugins/alertmanager.so", 3700),
    ("plugins/command.so", 760),
    ("plugins/email.so", 2700),
    ("plugins/file.so", 640),
    ("plugins/journal.so", 570),
    ("plugins/processes.so", 5700),
    ("plugins/syslog.so", 2400),
    ("plugins/telegram.so", 3700),
    ("plugins/webhook.so", 4700),
];
/// In Cargo.lock: this workspace's own, those for tests and those for other systems are among them.
/// reqwest brought 38; 23 of them are built here, the others are for other systems. The client of MySQL brought 45; 7 of them
/// are for other systems.
const PACKAGES: usize = 294;

#[test]
fn one_failure_is_safe_after_two_fsyncs_and_done_after_three() {
    let machine = Machine::new();
    let first = machine.run("failure", 1);
    assert!(first.fsyncs().len() <= 9, "the very first failure makes the database: at most 9 fsyncs\n{}", first.shown());
    eprintln!("the very first failure: {} fsyncs, {} system calls", first.fsyncs().len(), first.calls());

    machine.run("dispatch", 0);
    for (what, number) in [("a failure", 2), ("its repetition", 3), ("one more", 4)] {
        let trace = machine.run("failure", number);
        let (safe, all) = (trace.until_safe().len(), trace.fsyncs().len());
        eprintln!("{what}: safe after {safe} fsyncs, {all} in all, {} system calls", trace.calls());
        assert!(safe <= 2, "{what} is safe only after {safe} fsyncs, not 2\n{}", trace.shown());
        assert!(all <= 3, "{what} makes {all} fsyncs, not 3\n{}", trace.shown());
    }
}

#[test]
fn right_after_a_checkpoint_a_failure_costs_no_more() {
    let machine = Machine::new();
    let log = machine.state().join("sysalert.db-wal");
    let mut number = 0;
    while fs::metadata(&log).map_or(0, |about| about.len()) < 300 * 1024 {
        number += 1;
        assert!(number < 100, "the log of the database does not grow");
        machine.run("failure", number);
    }
    machine.run("dispatch", 0);
    assert!(fs::metadata(&log).unwrap().len() < 64 * 1024, "dispatch did not checkpoint");
    let trace = machine.run("failure", number + 1);
    eprintln!("right after a checkpoint: safe after {}, {} fsyncs in all", trace.until_safe().len(), trace.fsyncs().len());
    assert!(trace.until_safe().len() <= 2 && trace.fsyncs().len() <= 3, "{}", trace.shown());
}

#[test]
fn what_is_no_news_costs_no_fsync_and_changes_nothing() {
    let machine = Machine::new();
    machine.run("failure", 1);
    // as the unit's first command leaves it: the journal is complete
    fs::rename(machine.state().join("pending"), machine.state().join("synced")).unwrap();
    machine.run("dispatch", 0);
    machine.unit("b.service");
    for (what, verb, number) in [("an idle dispatch", "dispatch", 0), ("a success with nothing wrong", "success", 9)] {
        let before = machine.files();
        let trace = machine.run(verb, number);
        eprintln!("{what}: {} fsyncs, {} system calls", trace.fsyncs().len(), trace.calls());
        assert!(trace.fsyncs().is_empty(), "{what}\n{}", trace.shown());
        let after = machine.files();
        let changed: Vec<_> = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty(), "{what} changes {changed:?}");
    }
    machine.unit("a.service");
    let trace = machine.run("failure", 1);
    assert!(trace.fsyncs().is_empty(), "the same event again\n{}", trace.shown());
}

/// What is open at a channel that forgets: nothing until it is due, and then the same for one incident and for many.
#[test]
fn what_is_sent_again_costs_one_call_and_two_commits_however_much_it_is() {
    let alertmanager = Server::start(|_| Act::say(200, ""));
    let machine = Machine::new();
    machine.method("alertmanager", &format!("url = [\"{}\"]", alertmanager.url("")));
    for (all, unit) in ["a.service", "b.service", "c.service"].into_iter().enumerate() {
        machine.unit(unit);
        machine.run("failure", 1);
        // as the unit's first command leaves it: the journal is complete
        fs::rename(machine.state().join("pending"), machine.state().join("synced")).unwrap();
        machine.run("dispatch", 0);
        let calls = alertmanager.heard().len();
        let idle = machine.run("dispatch", 0);
        assert!(idle.fsyncs().is_empty() && alertmanager.heard().len() == calls, "nothing is due\n{}", idle.shown());
        machine.let_resends_be_due();
        let trace = machine.run("dispatch", 0);
        eprintln!("{} open, sent again: {} fsyncs, {} system calls", all + 1, trace.fsyncs().len(), trace.calls());
        let heard = alertmanager.heard();
        assert_eq!((heard.len(), heard[calls].json().as_array().map(Vec::len)), (calls + 1, Some(all + 1)));
        assert!(trace.fsyncs().len() <= 3, "two commits, and the connection's first one more\n{}", trace.shown());
    }
}

#[test]
fn metrics_that_tell_nothing_new_cost_no_fsync_and_leave_their_file_alone() {
    let machine = Machine::new();
    let config = machine.folder.path().join("sysalert.toml");
    let textfile = machine.state().join("sysalert.prom");
    let methods = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{methods}[metrics]\ntextfile = {textfile:?}\n")).unwrap();
    machine.run("failure", 1);
    fs::rename(machine.state().join("pending"), machine.state().join("synced")).unwrap();
    let first = machine.run("dispatch", 0);
    let before = machine.files();
    assert!(before.contains_key(&textfile), "{}", first.shown());
    let trace = machine.run("dispatch", 0);
    eprintln!("an idle dispatch with metrics: {} fsyncs, {} system calls", trace.fsyncs().len(), trace.calls());
    assert!(trace.fsyncs().is_empty(), "{}", trace.shown());
    let after = machine.files();
    let changed: Vec<_> = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "it changes {changed:?}");
}

#[test]
fn a_success_on_an_empty_state_folder_creates_nothing() {
    let machine = Machine::new();
    machine.run("success", 1);
    assert!(machine.files().is_empty(), "{:?}", machine.files());
}

#[test]
fn system_calls_of_a_failure() {
    let machine = Machine::new();
    machine.run("failure", 1);
    machine.run("dispatch", 0);
    let trace = machine.run("failure", 2);
    let (calls, by_name) = (trace.calls(), trace.by_name());
    eprintln!("one failure: {calls} system calls: {by_name:?}");
    let usual = |name: &str| USUAL.iter().find(|(usual, _)| *usual == name).map_or(0, |(_, count)| *count);
    let grown: Vec<String> = by_name
        .iter()
        .filter(|(name, count)| **count > usual(name))
        .map(|(name, count)| format!("{name}: {count} instead of {}", usual(name)))
        .collect();
    assert!(calls <= SYSTEM_CALLS, "a failure makes {calls} system calls, more than {SYSTEM_CALLS}: {}", grown.join(", "));
}

/// The first commit holds the event as the trigger told it: no configuration, no journal, no bus can delay or break it.
#[test]
fn nothing_but_the_database_is_touched_before_the_event_is_safe() {
    let machine = Machine::new();
    machine.run("failure", 1);
    machine.run("dispatch", 0);
    let trace = machine.run("failure", 2);
    let state = machine.state();
    // the loader, the boot's ID, and what the libraries look at
    let fine =
        ["/etc/ld.so", "/lib/", "/usr/lib/", "/proc/self/", "/proc/sys/kernel/random/", "/dev/urandom", state.to_str().unwrap()];
    // a path as an argument, or that of a descriptor
    let is_fine = |line: &str| fine.iter().any(|path| line.contains(&format!("\"{path}")) || line.contains(&format!("<{path}")));
    let first = trace.lines.iter().position(|line| is_fsync(line)).unwrap();
    let touches = ["open(", "openat(", "connect(", "socket(", "readlink(", "statx(", "execve(", "fork(", "vfork(", "clone"];
    let odd: Vec<&String> = trace.lines[..first]
        .iter()
        .skip(1) // the program itself
        .filter(|line| touches.iter().any(|call| line.starts_with(call)))
        .filter(|line| !is_fine(line))
        .collect();
    assert!(odd.is_empty(), "touched before the first commit:\n{odd:#?}");
    assert!(trace.lines[first..].iter().any(|line| line.contains("sysalert.toml")), "the configuration is read afterwards");
}

#[test]
fn sizes() {
    let stage = stage();
    let mut files = vec![stage.join("bin/sysalert")];
    files.extend(fs::read_dir(stage.join("lib/sysalert/plugins")).unwrap().map(|entry| entry.unwrap().path()));
    for path in files {
        let kib = fs::metadata(&path).unwrap().len() / 1024;
        eprintln!("{}: {kib} KiB", path.display());
        let (name, most) =
            SIZES.iter().find(|(name, _)| path.ends_with(name)).unwrap_or_else(|| panic!("{} has no ceiling", path.display()));
        assert!(kib <= *most, "{name} has {kib} KiB, more than {most}: which dependency or feature is new?");
    }
}

#[test]
fn packages() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    eprintln!("{count} packages");
    assert!(count <= PACKAGES, "Cargo.lock has {count} packages, more than {PACKAGES}: `cargo tree` shows who brings them");
}

fn stage() -> PathBuf {
    let stage = std::env::var_os("SYSALERT_STAGE").expect("SYSALERT_STAGE names the installed tree (make install DESTDIR=...)");
    PathBuf::from(stage).join("usr")
}

/// A copy of the staged program, run by somebody who is not root, as the handlers are.
struct Machine {
    folder: TempDir,
    unit: std::cell::RefCell<String>,
}

const NOBODY: u32 = 65534;

impl Machine {
    fn new() -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap(), unit: "a.service".to_owned().into() };
        let root = machine.folder.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        // by another process: what this one has open for writing a child of another test may keep open, and cannot start
        let copied = Command::new("cp").arg(stage().join("bin/sysalert")).arg(root.join("sysalert")).status().unwrap();
        assert!(copied.success());
        fs::create_dir(root.join("plugins")).unwrap();
        fs::copy(stage().join("lib/sysalert/plugins/file.so"), root.join("plugins/file.so")).unwrap();
        let alerts = machine.state().join("alerts");
        fs::write(root.join("sysalert.toml"), format!("[method.log]\nplugin = \"file\"\npath = {alerts:?}\n")).unwrap();
        fs::create_dir(machine.state()).unwrap();
        fs::create_dir(root.join("traces")).unwrap();
        if is_root() {
            for folder in ["state", "traces"] {
                chown(root.join(folder), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        machine
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Has this plugin, with these keys, instead of `file`.
    fn method(&self, plugin: &str, keys: &str) {
        let (root, library) = (self.folder.path(), format!("plugins/{plugin}.so"));
        fs::copy(stage().join("lib/sysalert").join(&library), root.join(library)).unwrap();
        fs::write(root.join("sysalert.toml"), format!("[method.{plugin}]\n{keys}\n")).unwrap();
    }

    /// As after half a minute, the shortest pause between two of them.
    fn let_resends_be_due(&self) {
        let db = rusqlite::Connection::open(self.state().join("sysalert.db")).unwrap();
        db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        db.execute("UPDATE resends SET due = 0", []).unwrap();
    }

    fn unit(&self, name: &str) {
        name.clone_into(&mut self.unit.borrow_mut());
    }

    /// Runs a verb as systemd starts it; a handler gets this invocation.
    fn run(&self, verb: &str, invocation: u32) -> Trace {
        let (root, unit) = (self.folder.path(), self.unit.borrow());
        let output = root.join("traces/trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "64", "-o"]).arg(&output).arg(root.join("sysalert")).arg(verb).env_clear();
        command.env("SYSALERT_STATE_DIR", self.state()).env("SYSALERT_PLUGIN_DIR", root.join("plugins"));
        command.env("SYSALERT_CONFIG", root.join("sysalert.toml")).env("PATH", std::env::var_os("PATH").unwrap());
        if verb != "dispatch" {
            let [result, status] = if verb == "failure" { ["exit-code", "3"] } else { ["success", "0"] };
            command.args(["--", unit.as_str()]).env("MONITOR_UNIT", unit.as_str()).env("MONITOR_SERVICE_RESULT", result);
            command.env("MONITOR_EXIT_CODE", "exited").env("MONITOR_EXIT_STATUS", status);
            command.env("MONITOR_INVOCATION_ID", format!("{invocation:032x}"));
        }
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ended = command.output().unwrap_or_else(|error| panic!("strace: {error}"));
        assert!(ended.status.success(), "sysalert {verb}: {}", String::from_utf8_lossy(&ended.stderr));
        let text = fs::read_to_string(&output).unwrap();
        fs::remove_file(output).unwrap();
        // "PID call(arguments) = result"
        let lines = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start().to_owned());
        Trace { lines: lines.collect() }
    }

    /// What is in the state folder, but for SQLite's index of the log, which readers lock by writing into it.
    fn files(&self) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
        let paths = fs::read_dir(self.state()).unwrap().map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| !path.ends_with("sysalert.db-shm"));
        paths.map(|path| (path.clone(), (fs::metadata(&path).unwrap().modified().unwrap(), fs::read(path).unwrap()))).collect()
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The system calls of one run.
struct Trace {
    lines: Vec<String>,
}

impl Trace {
    fn fsyncs(&self) -> Vec<&String> {
        self.lines.iter().filter(|line| is_fsync(line)).collect()
    }

    /// The fsyncs until the event's commit gives the lock back.
    fn until_safe(&self) -> Vec<&String> {
        let first = self.lines.iter().position(|line| is_fsync(line)).unwrap_or(0);
        let gives_back = |line: &String| line.starts_with("close(") && line.contains("/lock>");
        let end = self.lines[first..].iter().position(gives_back).map_or(self.lines.len(), |place| first + place);
        self.lines[..end].iter().filter(|line| is_fsync(line)).collect()
    }

    fn calls(&self) -> usize {
        self.by_name().values().sum()
    }

    fn by_name(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (name, _) in self.lines.iter().filter_map(|line| line.split_once('(')) {
            if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                *counts.entry(name).or_default() += 1;
            }
        }
        counts
    }

    fn shown(&self) -> String {
        self.fsyncs().into_iter().map(|line| format!("{line}\n")).collect()
    }
}

fn is_fsync(line: &str) -> bool {
    ["fsync(", "fdatasync(", "sync_file_range(", "msync(", "sync("].iter().any(|call| line.starts_with(call))
}
