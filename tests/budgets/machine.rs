//! A copy of the staged program in a folder of its own, and what it does there as strace sees it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use tempfile::TempDir;

pub(crate) fn stage() -> PathBuf {
    let stage = std::env::var_os("SYSALERT_STAGE").expect("SYSALERT_STAGE names the installed tree (make install DESTDIR=...)");
    PathBuf::from(stage).join("usr")
}

/// A copy of the staged program, run by somebody who is not root, as the handlers are.
pub(crate) struct Machine {
    pub(crate) folder: TempDir,
    unit: RefCell<String>,
}

const NOBODY: u32 = 65534;

impl Machine {
    pub(crate) fn new() -> Machine {
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

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Has this plugin, with these keys, instead of `file`.
    pub(crate) fn method(&self, plugin: &str, keys: &str) {
        let (root, library) = (self.folder.path(), format!("plugins/{plugin}.so"));
        fs::copy(stage().join("lib/sysalert").join(&library), root.join(library)).unwrap();
        fs::write(root.join("sysalert.toml"), format!("[method.{plugin}]\n{keys}\n")).unwrap();
    }

    /// As after half a minute, the shortest pause between two of them.
    pub(crate) fn let_resends_be_due(&self) {
        let db = rusqlite::Connection::open(self.state().join("sysalert.db")).unwrap();
        db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        db.execute("UPDATE resends SET due = 0", []).unwrap();
    }

    pub(crate) fn unit(&self, name: &str) {
        name.clone_into(&mut self.unit.borrow_mut());
    }

    /// Runs a verb as systemd starts it; a handler gets this invocation.
    pub(crate) fn run(&self, verb: &str, invocation: u32) -> Trace {
        let output = self.folder.path().join("traces/trace");
        let strace = ["strace", "-f", "-y", "-s", "64", "-o", output.to_str().unwrap()];
        self.run_under(&strace, verb, invocation);
        let text = fs::read_to_string(&output).unwrap();
        fs::remove_file(output).unwrap();
        // "PID call(arguments) = result"
        let lines = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start().to_owned());
        Trace { lines: lines.collect() }
    }

    /// The same under a program that watches it; what that says on both outputs.
    pub(crate) fn run_under(&self, watcher: &[&str], verb: &str, invocation: u32) -> String {
        let (root, unit) = (self.folder.path(), self.unit.borrow());
        let mut command = Command::new(watcher[0]);
        command.args(&watcher[1..]).arg(root.join("sysalert")).args(verb.split(' ')).env_clear();
        command.env("SYSALERT_STATE_DIR", self.state()).env("SYSALERT_PLUGIN_DIR", root.join("plugins"));
        command.env("SYSALERT_CONFIG", root.join("sysalert.toml")).env("PATH", std::env::var_os("PATH").unwrap());
        if let "failure" | "success" = verb {
            let [result, status] = if verb == "failure" { ["exit-code", "3"] } else { ["success", "0"] };
            command.args(["--", unit.as_str()]).env("MONITOR_UNIT", unit.as_str()).env("MONITOR_SERVICE_RESULT", result);
            command.env("MONITOR_EXIT_CODE", "exited").env("MONITOR_EXIT_STATUS", status);
            command.env("MONITOR_INVOCATION_ID", format!("{invocation:032x}"));
        }
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let ended = command.output().unwrap_or_else(|error| panic!("{}: {error}", watcher[0]));
        let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "sysalert {verb}: {said}");
        said.into_owned()
    }

    /// What is in the state folder, but for SQLite's index of the log, which readers lock by writing into it.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
        let paths = fs::read_dir(self.state()).unwrap().map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| !path.ends_with("sysalert.db-shm"));
        paths.map(|path| (path.clone(), (fs::metadata(&path).unwrap().modified().unwrap(), fs::read(path).unwrap()))).collect()
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The system calls of one run.
pub(crate) struct Trace {
    pub(crate) lines: Vec<String>,
}

impl Trace {
    pub(crate) fn fsyncs(&self) -> Vec<&String> {
        self.lines.iter().filter(|line| is_fsync(line)).collect()
    }

    /// The fsyncs until the event's commit gives the lock back.
    pub(crate) fn until_safe(&self) -> Vec<&String> {
        let first = self.lines.iter().position(|line| is_fsync(line)).unwrap_or(0);
        let gives_back = |line: &String| line.starts_with("close(") && line.contains("/lock>");
        let end = self.lines[first..].iter().position(gives_back).map_or(self.lines.len(), |place| first + place);
        self.lines[..end].iter().filter(|line| is_fsync(line)).collect()
    }

    pub(crate) fn calls(&self) -> usize {
        self.by_name().values().sum()
    }

    /// How much it read from files, pipes and sockets, the loader's reading among it.
    pub(crate) fn bytes_read(&self) -> u64 {
        let reads =
            self.lines.iter().filter(|line| ["read(", "pread64(", "readv(", "preadv("].iter().any(|call| line.starts_with(call)));
        reads.filter_map(|line| line.rsplit_once(" = ")?.1.parse::<u64>().ok()).sum()
    }

    pub(crate) fn by_name(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (name, _) in self.lines.iter().filter_map(|line| line.split_once('(')) {
            if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                *counts.entry(name).or_default() += 1;
            }
        }
        counts
    }

    pub(crate) fn shown(&self) -> String {
        self.fsyncs().into_iter().map(|line| format!("{line}\n")).collect()
    }
}

pub(crate) fn is_fsync(line: &str) -> bool {
    ["fsync(", "fdatasync(", "sync_file_range(", "msync(", "sync("].iter().any(|call| line.starts_with(call))
}
