//! What was found out about a failed run, so that nobody has to log in for it: made into facts.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::compose::{short, span};

/// What was found. All of it is safe to print.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// A process of it was killed for want of memory.
    pub out_of_memory: Option<OutOfMemory>,
    /// A process of it dumped core.
    pub core: Option<Core>,
    /// The file systems that bear on it, the one that it named first.
    pub disks: Vec<Disk>,
    /// Processor time of the run.
    pub cpu: Option<Duration>,
    /// The most memory that it held at a time, in bytes.
    pub memory: Option<u64>,
    /// The unit's own limit, in bytes.
    pub memory_max: Option<u64>,
    /// How often systemd has started the unit again by itself, as `Restart=` says, this run included.
    pub restart: Option<u32>,
    /// What of the unit changed between its last success, or the day before, and its failure; newest first.
    pub changed: Vec<Changed>,
}

/// Who was killed for want of memory, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutOfMemory {
    /// The process, and its number.
    pub process: Option<(String, u32)>,
    /// How much it held, in bytes.
    pub held: Option<u64>,
    /// What had none left, or who ended it.
    pub cause: Exhausted,
}

/// What had no memory left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exhausted {
    /// Nobody says.
    #[default]
    Unknown,
    /// The machine.
    Machine,
    /// The unit: it had reached its own limit.
    Unit,
    /// The control group above it.
    Group(String),
    /// systemd-oomd ended it, and says why.
    Oomd(Option<String>),
}

/// A core dump.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Core {
    /// The program.
    pub program: String,
    /// The process.
    pub pid: u32,
    /// "SIGSEGV".
    pub signal: String,
    /// Where it was, the innermost function first.
    pub stack: Vec<String>,
    /// The file that holds the core.
    pub file: Option<String>,
}

/// A file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// In bytes.
    pub size: u64,
    /// Of them free.
    pub free: u64,
    /// How many files it can hold; 0: as many as there is room for.
    pub files: u64,
    /// How many more.
    pub files_free: u64,
    /// It takes nothing at all.
    pub read_only: bool,
}

/// A file that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Which.
    pub path: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A label and its value.
type Fact = (&'static str, String);

/// Less processor time and memory than this is not worth a line.
const LITTLE_TIME: Duration = Duration::from_secs(1);
const LITTLE_MEMORY: u64 = 100 << 20;
/// So many changed files are named.
const NAMED: usize = 4;

impl Findings {
    /// What is most likely why it failed.
    pub(super) fn causes(&self) -> Vec<Fact> {
        let memory = self.out_of_memory.as_ref().map(|found| ("Out of memory", self.out_of_memory(found)));
        let core = self.core.as_ref().map(|core| ("Core dump", core.told()));
        let disks: Vec<String> = self.disks.iter().map(Disk::told).collect();
        let disks = (!disks.is_empty()).then(|| (if disks.len() > 1 { "Disks" } else { "Disk" }, disks.join("; ")));
        [memory, core, disks].into_iter().flatten().collect()
    }

    /// What the run used, where that says something.
    pub(super) fn used(&self) -> Option<Fact> {
        let limit = self.memory_max.filter(|limit| self.memory.is_some_and(|memory| memory >= limit / 10 * 9));
        let cpu = self.cpu.filter(|cpu| *cpu >= LITTLE_TIME);
        let memory = self.memory.filter(|memory| cpu.is_some() || limit.is_some() || *memory >= LITTLE_MEMORY);
        let cpu = cpu.map(|cpu| format!("{} of CPU", short(cpu)));
        let memory = memory.map(|memory| {
            let of = limit.map(|limit| format!(" (its limit is {})", size(limit))).unwrap_or_default();
            format!("at most {} of memory{of}", size(memory))
        });
        let parts: Vec<String> = [cpu, memory].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| ("Used", parts.join(", ")))
    }

    /// What of the unit changed before it failed at that time.
    pub(super) fn changed(&self, failed: DateTime<Utc>) -> Option<Fact> {
        let one = |Changed { path, at }: &Changed| format!("{path}, {} before", span((failed - *at).max(TimeDelta::zero())));
        let mut parts: Vec<String> = self.changed.iter().take(NAMED).map(one).collect();
        let more = self.changed.len().saturating_sub(NAMED);
        parts.extend((more > 0).then(|| format!("and {more} more of its files")));
        (!parts.is_empty()).then(|| ("Changed", parts.join("; ")))
    }

    fn out_of_memory(&self, found: &OutOfMemory) -> String {
        let who = match &found.process {
            Some((process, pid)) => format!("{process} (PID {pid})"),
            None => "a process of it".to_owned(),
        };
        let held = found.held.map(|held| format!(" while it held {}", size(held))).unwrap_or_default();
        match &found.cause {
            Exhausted::Unknown => format!("the kernel killed {who}{held}"),
            Exhausted::Machine => format!("the kernel killed {who}{held}: the machine had no more"),
            Exhausted::Unit => {
                let limit = self.memory_max.map(|limit| format!(" of {}", size(limit))).unwrap_or_default();
                format!("the kernel killed {who}{held}: the unit had reached its limit{limit}")
            }
            Exhausted::Group(group) => format!("the kernel killed {who}{held}: {group} had reached its limit"),
            Exhausted::Oomd(why) => {
                format!("systemd-oomd killed it{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())
            }
        }
    }
}

impl Core {
    fn told(&self) -> String {
        let Core { program, pid, signal, stack, file } = self;
        let at = if stack.is_empty() { String::new() } else { format!(" in {}", stack.join(", called from ")) };
        let signal = if signal.is_empty() { String::new() } else { format!(", {signal}") };
        let kept = if file.is_some() { "; the core is kept" } else { "" };
        format!("{program} (PID {pid}){signal}{at}{kept}")
    }

    /// What shows the rest of it.
    pub(super) fn command(&self) -> String {
        format!("coredumpctl info {}", self.pid)
    }
}

impl Disk {
    fn told(&self) -> String {
        let Disk { mount, size: all, free, files, files_free, read_only } = self;
        let state = match (read_only, free) {
            (true, _) => "read-only".to_owned(),
            (_, 0) => format!("full (0 bytes free of {})", size(*all)),
            _ => format!("{} free of {}", size(*free), size(*all)),
        };
        let files = match files_free {
            _ if *files == 0 || *read_only => String::new(),
            0 => format!(", and it can hold no more files than its {files}"),
            left if left.saturating_mul(20) <= *files => format!(", room for {left} more files of {files}"),
            _ => String::new(),
        };
        format!("{mount}: {state}{files}")
    }
}

/// Bytes for people: "96.4 MiB", "20 GiB".
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut scaled = (bytes, 0, "bytes");
    for unit in units {
        if scaled.0 < 1024 {
            break;
        }
        scaled = (scaled.0 / 1024, scaled.0 % 1024 * 10 / 1024, unit);
    }
    match scaled {
        (whole, tenth @ 1.., unit) if whole < 100 => format!("{whole}.{tenth} {unit}"),
        (whole, _, unit) => format!("{whole} {unit}"),
    }
}
