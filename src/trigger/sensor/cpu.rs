//! `cpu`: how busy the processors are (`proc_stat(5)`, `proc_loadavg(5)`).
//!
//! Busy is user, nice, system and interrupts. Waiting for a disk (iowait) and for the hypervisor (steal) is none: each has a
//! metric of its own.

use serde_json::json;

use super::{COMMON, Measured, Metric, Probe, Reading, Sensor, Unit, unread, whole_lines};
use crate::config::{Key, Kind};

pub(super) const SENSOR: Sensor = Sensor {
    name: "cpu",
    about: "how busy the processors are, since the run before",
    named: false,
    keys: &[COMMON, KEYS],
    metrics: &[
        Metric::new("cpu_percent", Unit::Percent, "busy: all processors together; without iowait and steal"),
        Metric::new("iowait_percent", Unit::Percent, "idle, while a task waits for a disk"),
        Metric::new("steal_percent", Unit::Percent, "taken by the hypervisor for other machines"),
        Metric::new("load1", Unit::Number, "tasks that run or cannot be interrupted, of the last minute"),
        Metric::new("load5", Unit::Number, "of five minutes"),
        Metric::new("load15", Unit::Number, "of fifteen minutes"),
    ],
    open: false,
    instance: None,
    rules: r#"
[[rule]]
name = "high_cpu"
metric = "cpu_percent"
op = "gt"
value = "95%"
clear = "85%"
consecutive = 3
severity = "warning"

[[rule]]
name = "high_steal"
metric = "steal_percent"
op = "gt"
value = "30%"
clear = "15%"
consecutive = 3
severity = "warning"
"#,
    suggests: &["top -bn1 | head -20", "ps aux --sort=-%cpu | head -10", "vmstat 1 5"],
    measure,
};

const KEYS: &[Key] = &[Key::new(
    "sample",
    Kind::Duration { min: 0, max: 60 },
    "\"0s\"",
    "measure for so long, instead of since the run before; the run takes so much longer",
)];

const STAT: &str = "/proc/stat";
const LOAD: &str = "/proc/loadavg";

/// What the processors did since the boot, in ticks, as `/proc/stat` has it: user, nice, system, idle, iowait, irq, softirq,
/// steal. Old kernels have fewer; what virtual machines used is in user and nice already.
type Ticks = Vec<u64>;

fn measure(probe: &Probe<'_>) -> Measured {
    let sample = probe.values.duration("sample");
    let loads = match probe.machine.read(LOAD) {
        Ok(text) => loads(&text).ok_or_else(|| format!("{LOAD} has not the three numbers that it should begin with")),
        Err(error) => Err(format!("{LOAD} cannot be read: {error}")),
    };
    let text = match probe.machine.read(STAT) {
        Ok(text) => text,
        Err(error) => return unread(STAT, &error),
    };
    let Some(first) = ticks(&text) else { return not_understood() };
    let (before, now) = if sample.is_zero() {
        (earlier(probe), first)
    } else {
        probe.machine.wait(sample);
        match probe.machine.read_again(STAT).map(|text| ticks(&text)) {
            Ok(Some(second)) => (Some(first), second),
            Ok(None) => return not_understood(),
            Err(error) => return unread(STAT, &error),
        }
    };
    let shares = before.as_ref().map(|before| shares(before, &now));
    let mut readings = loads.clone().unwrap_or_default();
    let mut missing = Vec::new();
    missing.extend(loads.err());
    match shares {
        Some(Some(shares)) => readings.extend(shares),
        Some(None) => missing.push("no tick of the clock was counted since the run before".to_owned()),
        None => missing.push("the shares of time are known from the second run in a boot on; or set sample = \"2s\"".to_owned()),
    }
    let measured = Measured::readings(readings).keeping(json!(now));
    missing.into_iter().fold(measured, Measured::without)
}

fn not_understood() -> Measured {
    Measured::error(format!("{STAT} has no line that begins with cpu and four numbers"))
}

/// What the last run counted, of this boot.
fn earlier(probe: &Probe<'_>) -> Option<Ticks> {
    let before = probe.before?;
    let kept: Ticks = serde_json::from_value(before.kept.clone()).ok()?;
    (before.boot == probe.machine.boot() && kept.len() >= FEWEST).then_some(kept)
}

/// user, nice, system, idle.
const FEWEST: usize = 4;

fn ticks(text: &str) -> Option<Ticks> {
    let line = whole_lines(text).find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Result<Ticks, _> = line.split_ascii_whitespace().take(8).map(str::parse).collect();
    ticks.ok().filter(|ticks| ticks.len() >= FEWEST)
}

/// How the time between was spent, in percent; `None`: there was none.
fn shares(before: &Ticks, now: &Ticks) -> Option<Vec<Reading>> {
    // iowait is known to go back now and then
    let spent = |field: usize| now.get(field).map(|now| now.saturating_sub(before.get(field).copied().unwrap_or(*now)));
    let sum = |fields: &[usize]| fields.iter().filter_map(|field| spent(*field)).fold(0u64, u64::saturating_add);
    let total = sum(&[0, 1, 2, 3, 4, 5, 6, 7]);
    if total == 0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss)] // of a share nobody asks for the 15th digit
    let percent = |ticks: u64| ticks as f64 * 100.0 / total as f64;
    let mut shares = vec![Reading::new("cpu_percent", percent(sum(&[0, 1, 2, 5, 6])))];
    shares.extend(spent(4).map(|ticks| Reading::new("iowait_percent", percent(ticks))));
    shares.extend(spent(7).map(|ticks| Reading::new("steal_percent", percent(ticks))));
    Some(shares)
}

fn loads(text: &str) -> Option<Vec<Reading>> {
    let mut words = whole_lines(text).next()?.split_ascii_whitespace();
    ["load1", "load5", "load15"]
        .into_iter()
        .map(|metric| {
            let load: f64 = words.next()?.parse().ok()?;
            // no machine has so many tasks
            (0.0..1e9).contains(&load).then(|| Reading::new(metric, load))
        })
        .collect()
}
