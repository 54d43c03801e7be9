//! What the sensors of a story see: another machine's `/proc` (of `tests/proc/`), with what the story changes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sysalert::host::sensing::{Here, Sensing};
use sysalert::host::space::{Answer, Asked, Space};
use sysalert::host::tail::{Place, Reached};
use tempfile::TempDir;

/// What changes of the machine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineState {
    /// A folder of `tests/proc/`: its files from now on; without it, nothing that the story does not say is there.
    kernel: Option<String>,
    /// How much of the memory is used, in percent.
    memory: Option<f64>,
    /// How busy the processors are while somebody waits, in percent.
    busy: Option<u64>,
    /// How many processes the kernel has killed for want of memory, in this boot.
    kills: Option<u64>,
    /// How full each file system is, in percent of its 100 GB: "95", or "hangs", "gone", "barred".
    #[serde(default)]
    disks: BTreeMap<String, String>,
    /// Any file, by its path.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// What is added to a log, by its path.
    #[serde(default)]
    logs: BTreeMap<String, String>,
    /// The ID of the boot.
    boot: Option<String>,
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.kernel.as_ref().map(|kernel| format!("the machine is {kernel}")));
        words.extend(self.memory.map(|used| format!("{used} % of the memory are used")));
        words.extend(self.busy.map(|busy| format!("the processors are {busy} % busy")));
        words.extend(self.kills.map(|kills| format!("{kills} processes were killed for want of memory")));
        words.extend(self.disks.iter().map(|(mount, state)| match state.as_str() {
            "hangs" | "gone" | "barred" => format!("{mount}: {state}"),
            full => format!("{mount} is {full} % full"),
        }));
        words.extend(self.files.iter().map(|(path, text)| format!("{path} is {text:?}")));
        words.extend(self.logs.iter().map(|(path, lines)| format!("{path} grows by {} lines", lines.lines().count())));
        words.extend(self.boot.as_ref().map(|boot| format!("the machine boots: {boot}")));
        f.write_str(&words.join("; "))
    }
}

/// The machine.
#[derive(Clone, Default)]
pub struct StoryMachine {
    kernel: RefCell<Option<String>>,
    files: RefCell<BTreeMap<String, String>>,
    disks: RefCell<BTreeMap<String, String>>,
    busy: Cell<Option<u64>>,
    logs: RefCell<Option<Rc<TempDir>>>,
    now: Cell<Option<DateTime<Utc>>>,
    reads: RefCell<Vec<String>>,
}

impl StoryMachine {
    /// It is like this from now on.
    pub fn set(&self, state: &MachineState) {
        if let Some(kernel) = &state.kernel {
            *self.kernel.borrow_mut() = Some(kernel.clone());
        }
        let mut files = self.files.borrow_mut();
        files.extend(state.files.clone());
        if let Some(used) = state.memory {
            let available = (100.0 - used) * 10_000.0;
            let text = format!("MemTotal: 1000000 kB\nMemAvailable: {available:.0} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
            files.insert("/proc/meminfo".to_owned(), text);
        }
        if let Some(busy) = state.busy {
            self.busy.set(Some(busy));
            files.insert("/proc/stat".to_owned(), "cpu 0 0 0 0 0 0 0 0 0 0\n".to_owned());
        }
        files.extend(state.kills.map(|kills| ("/proc/vmstat".to_owned(), format!("oom_kill {kills}\n"))));
        files.extend(state.boot.clone().map(|boot| ("/proc/sys/kernel/random/boot_id".to_owned(), boot + "\n")));
        for (path, lines) in &state.logs {
            let folder = self.logs.borrow_mut().get_or_insert_with(|| Rc::new(TempDir::new().unwrap())).clone();
            let path = folder.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(lines.as_bytes()).unwrap();
        }
        let mut disks = self.disks.borrow_mut();
        disks.extend(state.disks.clone());
        disks.retain(|_, state| state != "gone");
        if !state.disks.is_empty() {
            let line = |(number, mount): (usize, &String)| {
                format!("{} 1 8:{number} / {mount} rw,relatime shared:1 - ext4 /dev/sd{number} rw\n", 20 + number)
            };
            files.insert("/proc/self/mountinfo".to_owned(), disks.keys().enumerate().map(line).collect());
        }
    }

    /// It is so late, and a run begins.
    pub fn at(&self, now: DateTime<Utc>) {
        self.now.set(Some(now));
        self.reads.borrow_mut().clear();
    }

    /// The files that the run has read.
    pub fn reads(&self) -> Vec<String> {
        self.reads.borrow().clone()
    }

    fn text(&self, path: &str) -> io::Result<String> {
        if let Some(text) = self.files.borrow().get(path) {
            return Ok(text.clone());
        }
        let kernel = self.kernel.borrow().clone().ok_or(io::ErrorKind::NotFound)?;
        Here::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proc").join(kernel)).read(path)
    }
}

impl Sensing for StoryMachine {
    fn read(&self, path: &str) -> io::Result<String> {
        let mut reads = self.reads.borrow_mut();
        assert!(!reads.iter().any(|read| read == path), "{path} is read twice in a run");
        reads.push(path.to_owned());
        self.text(path)
    }

    fn read_again(&self, path: &str) -> io::Result<String> {
        // before and after what takes time: a sample, the answers of file systems
        assert!(["/proc/stat", "/proc/self/mountinfo"].contains(&path), "{path} is read twice in a run");
        self.text(path)
    }

    fn watcher(&self) -> Option<String> {
        Some("sysalert".to_owned())
    }

    fn wait(&self, time: Duration) {
        let busy = self.busy.get().unwrap_or_else(|| panic!("nobody is to wait, and somebody waits for {time:?}"));
        let stat = format!("cpu {busy} 0 0 {} 0 0 0 0 0 0\n", 100 - busy);
        self.files.borrow_mut().insert("/proc/stat".to_owned(), stat);
    }

    fn lines(&self, path: &str, from: Option<&Place>, line: &mut dyn FnMut(&str)) -> io::Result<Reached> {
        let folder = self.logs.borrow().clone().ok_or(io::ErrorKind::NotFound)?;
        Here::new(folder.path()).lines(path, from, line)
    }

    fn spaces(&self, asked: &[Asked], _: Duration) -> Vec<Answer> {
        let disks = self.disks.borrow();
        let space = |asked: &Asked| match disks.get(asked.path.to_str().unwrap()).map(String::as_str) {
            None | Some("hangs") => Answer::Hangs(None),
            Some("barred") => Answer::Barred(asked.path.parent().unwrap().to_owned()),
            Some(full) => {
                let used = (full.parse::<f64>().unwrap() * 1e9) as u64;
                let size = 100_000_000_000;
                Answer::Told(Space { size, used, free: size - used, files: 1000, files_free: 900 })
            }
        };
        asked.iter().map(space).collect()
    }
}
