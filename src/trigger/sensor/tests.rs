//! What sensors make of the files of other machines: `tests/proc/`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::config::Setting;
use crate::host::sensing::Here;

/// A machine of the tests: another one's files, with some of them changed.
pub(super) struct Machine {
    here: Here,
    changed: RefCell<BTreeMap<&'static str, String>>,
    /// What changes while somebody waits, and how long they did.
    later: RefCell<BTreeMap<&'static str, String>>,
    waited: Cell<Duration>,
}

impl Machine {
    pub(super) fn of(kernel: &str) -> Machine {
        let here = Here::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proc").join(kernel));
        Machine { here, changed: RefCell::default(), later: RefCell::default(), waited: Cell::default() }
    }

    pub(super) fn with(self, path: &'static str, text: impl Into<String>) -> Machine {
        self.changed.borrow_mut().insert(path, text.into());
        self
    }
}

impl Sensing for Machine {
    fn read(&self, path: &str) -> io::Result<String> {
        self.changed.borrow().get(path).cloned().map_or_else(|| self.here.read(path), Ok)
    }

    fn wait(&self, time: Duration) {
        self.waited.set(self.waited.get() + time);
        self.changed.borrow_mut().append(&mut self.later.borrow_mut());
    }
}

fn sensor(name: &str) -> &'static Sensor {
    SENSORS.iter().find(|sensor| sensor.name == name).unwrap()
}

/// A run after one that kept this, a minute before and in this boot.
fn after(name: &str, machine: &Machine, settings: &[Setting], kept: Option<(&str, &Value)>) -> Measured {
    let sensor = sensor(name);
    let now = DateTime::from_timestamp(1_767_600_000, 0).unwrap();
    let before = kept.map(|(boot, kept)| Before { at: now - chrono::TimeDelta::minutes(1), boot, kept });
    let written = [settings];
    let values = Values { keys: sensor.keys, written: &written };
    (sensor.measure)(&Probe { machine, name: "", values, before, now })
}

fn first(name: &str, machine: &Machine) -> Measured {
    after(name, machine, &[], None)
}

/// "cpu_percent 12.50, load1 1.00; why the rest is missing".
fn told(measured: &Measured) -> String {
    let why = |missing: &Missing| format!("; {}", missing.why);
    let missing: String = measured.missing.iter().map(why).collect();
    match &measured.outcome {
        Outcome::Readings(readings) => {
            let shown: Vec<String> = readings.iter().map(|one| format!("{} {:.2}", one.metric, one.value)).collect();
            shown.join(", ") + &missing
        }
        Outcome::NoData(why) => format!("no data: {why}{missing}"),
        Outcome::Error(why) => format!("error: {why}{missing}"),
    }
}

const FIRST: &str = "the shares of time are known from the second run in a boot on; or set sample = \"2s\"";

#[test]
fn what_six_kernels_tell() {
    for (kernel, cpu, memory, pressure) in [
        (
            "linux-6.18",
            format!("load1 0.42, load5 0.31, load15 0.25; {FIRST}"),
            "memory_available_bytes 24187387904.00, memory_used_percent 4.31, swap_used_percent 0.00; oom_kills counts from this run on",
            "psi_cpu_avg10 6.46, psi_cpu_avg60 3.48, psi_cpu_avg300 1.80, psi_memory_avg10 0.09, psi_memory_avg60 0.10, psi_memory_avg300 0.37, psi_io_avg10 0.14, psi_io_avg60 0.12, psi_io_avg300 0.03",
        ),
        (
            "linux-6.12",
            format!("load1 1.05, load5 0.72, load15 0.50; {FIRST}"),
            "memory_available_bytes 5822893056.00, memory_used_percent 30.00, swap_used_percent 0.00; oom_kills counts from this run on",
            "psi_cpu_avg10 5.25, psi_cpu_avg60 3.40, psi_cpu_avg300 2.20, psi_memory_avg10 0.00, psi_memory_avg60 0.00, psi_memory_avg300 0.00, psi_io_avg10 0.50, psi_io_avg60 0.80, psi_io_avg300 0.65",
        ),
        (
            "linux-6.1",
            format!("load1 0.35, load5 0.41, load15 0.38; {FIRST}"),
            "memory_available_bytes 1642645504.00, memory_used_percent 60.00, swap_used_percent 25.00; oom_kills counts from this run on",
            "psi_cpu_avg10 2.10, psi_cpu_avg60 1.80, psi_cpu_avg300 1.55, psi_memory_avg10 0.00, psi_memory_avg60 0.05, psi_memory_avg300 0.40, psi_io_avg10 3.20, psi_io_avg60 4.10, psi_io_avg300 2.75",
        ),
        (
            "linux-5.10",
            format!("load1 1.20, load5 0.80, load15 0.75; {FIRST}"),
            "memory_available_bytes 2374422528.00, memory_used_percent 42.60, swap_used_percent 25.00; oom_kills counts from this run on",
            "psi_cpu_avg10 1.00, psi_cpu_avg60 2.50, psi_cpu_avg300 3.75, psi_memory_avg10 0.00, psi_memory_avg60 0.00, psi_memory_avg300 0.00, psi_io_avg10 12.00, psi_io_avg60 8.00, psi_io_avg300 4.00",
        ),
        (
            "linux-4.18-without-psi",
            format!("load1 0.00, load5 0.01, load15 0.05; {FIRST}"),
            "memory_available_bytes 1335414784.00, memory_used_percent 30.00, swap_used_percent 0.00; oom_kills counts from this run on",
            "no data: this kernel tells no pressure: it is older than Linux 4.20, built without PSI, or started without psi=1",
        ),
        (
            "linux-2.6.32",
            format!("load1 0.10, load5 0.20, load15 0.30; {FIRST}"),
            "memory_available_bytes 783458304.00, memory_used_percent 25.00, swap_used_percent 0.00; this kernel does not count what it kills (before Linux 4.13)",
            "no data: this kernel tells no pressure: it is older than Linux 4.20, built without PSI, or started without psi=1",
        ),
    ] {
        let machine = Machine::of(kernel);
        assert_eq!(told(&first("cpu", &machine)), cpu, "{kernel}");
        assert_eq!(told(&first("memory", &machine)), memory, "{kernel}");
        assert_eq!(told(&first("pressure", &machine)), pressure, "{kernel}");
    }
}

#[test]
fn the_processors_are_measured_from_run_to_run_or_over_a_sample() {
    let stat = |text: &str| Machine::of("linux-5.10").with("/proc/stat", text);
    let boot = "22222222222242228222222222222222";
    let shares = |measured: &Measured| told(measured).split(", ").skip(3).collect::<Vec<_>>().join(", ");
    let (old, new) = (stat("cpu  100 0 50 1000 10 0 0 5 0 0\n"), stat("cpu  140 0 60 1080 40 5 5 25 0 0\n"));
    let kept = first("cpu", &old).keep.unwrap();
    assert_eq!(
        shares(&after("cpu", &new, &[], Some((boot, &kept)))),
        "cpu_percent 31.58, iowait_percent 15.79, steal_percent 10.53"
    );
    assert!(told(&after("cpu", &new, &[], Some(("another boot", &kept)))).ends_with(FIRST));
    assert!(told(&after("cpu", &new, &[], Some((boot, &json!("what nobody kept"))))).ends_with(FIRST));
    // iowait goes back now and then
    let back = stat("cpu  140 0 60 1090 5 0 0 5 0 0\n");
    assert_eq!(
        shares(&after("cpu", &back, &[], Some((boot, &kept)))),
        "cpu_percent 35.71, iowait_percent 0.00, steal_percent 0.00"
    );
    let still = after("cpu", &old, &[], Some((boot, &kept)));
    assert!(told(&still).ends_with("no tick of the clock was counted since the run before"), "{}", told(&still));
    assert_eq!(new.waited.get(), Duration::ZERO, "a run without sampling waits for nothing");

    old.later.borrow_mut().insert("/proc/stat", "cpu  200 0 50 1000 10 0 0 5 0 0\n".into());
    let origin = crate::config::Origin { file: Path::new("x.toml").into(), line: 1 };
    let sample = [Setting { key: "sample".into(), value: json!("2s"), origin }];
    assert_eq!(shares(&after("cpu", &old, &sample, None)), "cpu_percent 100.00, iowait_percent 0.00, steal_percent 0.00");
    assert_eq!(old.waited.get(), Duration::from_secs(2));
}

#[test]
fn kills_are_counted_from_run_to_run_and_across_a_boot() {
    let kills = |count: &str| Machine::of("linux-5.10").with("/proc/vmstat", format!("oom_kill {count}\n"));
    let boot = "22222222222242228222222222222222";
    let counted = |count: &str, before: (&str, Value)| {
        let measured = after("memory", &kills(count), &[], Some((before.0, &before.1)));
        told(&measured).split("oom_kills ").nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(counted("5", (boot, json!(3))), "2.00");
    assert_eq!(counted("3", (boot, json!(3))), "0.00");
    assert_eq!(counted("2", ("the boot before", json!(9))), "2.00", "all of this boot");
    let contained = kills("5").with("/run/systemd/container", "lxc");
    let measured = after("memory", &contained, &[], Some(("the container's boot before", &json!(3))));
    assert!(told(&measured).ends_with("oom_kills 2.00"), "the kernel went on counting: {}", told(&measured));
    for odd in [json!(9), json!(null), json!("x")] {
        assert_eq!(counted("3", (boot, odd)), "counts from this run on");
    }
}

#[test]
fn what_is_broken_is_an_error_line_and_no_reading() {
    for (text, expected) in [
        ("MemTotal: 10 kB\nMemAvailable: 11 kB\n", "error: /proc/meminfo says that 11 of 10 KiB are available"),
        ("MemTotal: 0 kB\nMemAvailable: 0 kB\n", "error: /proc/meminfo says that 0 of 0 KiB are available"),
        ("MemTotal: x kB\n", "error: /proc/meminfo has no line MemTotal: with a number"),
    ] {
        assert_eq!(told(&first("memory", &Machine::of("linux-5.10").with("/proc/meminfo", text))), expected);
    }
}
