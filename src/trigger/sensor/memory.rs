//! `memory`: what is left of it, as `free` counts it (`proc_meminfo(5)`), and whether the kernel had to kill for it.

use serde_json::json;

use super::{COMMON, Measured, Metric, Probe, Reading, Sensor, Unit, unread, whole_lines};

pub(super) const SENSOR: Sensor = Sensor {
    name: "memory",
    about: "memory and swap as `free` counts them, and what the kernel killed for want of memory",
    named: false,
    keys: &[COMMON],
    metrics: &[
        Metric::new("memory_available_bytes", Unit::Bytes, "what programs can still have without swapping"),
        Metric::new("memory_used_percent", Unit::Percent, "all but what is available"),
        Metric::new("swap_used_percent", Unit::Percent, "of the swap; 0 where there is none"),
        Metric::new("oom_kills", Unit::Count, "processes that the kernel killed for want of memory, since the run before")
            .of_events("nothing more was killed for want of memory"),
    ],
    open: false,
    instance: None,
    rules: r#"
[[rule]]
name = "low_memory"
metric = "memory_used_percent"
op = "gt"
value = "92%"
clear = "88%"
critical = "97%"
consecutive = 2
severity = "warning"

[[rule]]
name = "swap_full"
metric = "swap_used_percent"
op = "gt"
value = "90%"
clear = "80%"
consecutive = 3
severity = "warning"

[[rule]]
name = "out_of_memory"
metric = "oom_kills"
op = "gt"
value = 0
severity = "warning"
"#,
    suggests: &["free -h", "ps aux --sort=-rss | head -10", "journalctl -k --since '1 hour ago' --grep 'Out of memory|oom-kill'"],
    measure,
};

const INFO: &str = "/proc/meminfo";
const STAT: &str = "/proc/vmstat";

fn measure(probe: &Probe<'_>) -> Measured {
    let text = match probe.machine.read(INFO) {
        Ok(text) => text,
        Err(error) => return unread(INFO, &error),
    };
    let mut readings = match sizes(&text) {
        Ok(readings) => readings,
        Err(why) => return Measured::error(why),
    };
    match probe.machine.read(STAT).map(|text| counter(&text, "oom_kill ")) {
        Ok(Some(total)) => {
            let kills = kills(probe, total);
            let is_known = kills.is_some();
            readings.extend(kills.map(|kills| Reading::new("oom_kills", kills)));
            let measured = Measured::readings(readings).keeping(json!(total));
            if is_known { measured } else { measured.without("oom_kills counts from this run on") }
        }
        Ok(None) => Measured::readings(readings).without("this kernel does not count what it kills (before Linux 4.13)"),
        Err(error) => Measured::readings(readings).without(format!("{STAT} cannot be read: {error}")),
    }
}

/// How many were killed since the run before; all of this boot, when that was before it.
#[allow(clippy::cast_precision_loss)]
fn kills(probe: &Probe<'_>, total: u64) -> Option<f64> {
    let before = probe.before?;
    let counted = before.kept.as_u64();
    // a kernel that counts them for the first time, or a container that moved to another one
    let is_same = before.boot == probe.machine.boot();
    // the kernel of a container went on counting, and not for it alone
    let counted = if is_same || probe.machine.is_container() { counted? } else { 0 };
    Some(total.checked_sub(counted)? as f64)
}

/// A line of `/proc/meminfo` or `/proc/vmstat`.
fn counter(text: &str, name: &str) -> Option<u64> {
    let rest = whole_lines(text).find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[allow(clippy::cast_precision_loss)]
fn sizes(text: &str) -> Result<Vec<Reading>, String> {
    let kib = |name: &str| counter(text, name);
    let need = |name: &str| kib(name).ok_or_else(|| format!("{INFO} has no line {name} with a number"));
    let total = need("MemTotal:")?;
    let available = match kib("MemAvailable:") {
        Some(available) => available,
        // before Linux 3.14, as `free` guessed it then
        None => [need("MemFree:")?, need("Buffers:")?, need("Cached:")?].into_iter().fold(0, u64::saturating_add),
    };
    if total == 0 || available > total {
        return Err(format!("{INFO} says that {available} of {total} KiB are available"));
    }
    let (swap, swap_free) = (kib("SwapTotal:").unwrap_or(0), kib("SwapFree:").unwrap_or(0));
    if swap_free > swap {
        return Err(format!("{INFO} says that {swap_free} of {swap} KiB of the swap are free"));
    }
    let used = |total: u64, free: u64| if total == 0 { 0.0 } else { (total - free) as f64 * 100.0 / total as f64 };
    Ok(vec![
        Reading::new("memory_available_bytes", available as f64 * 1024.0),
        Reading::new("memory_used_percent", used(total, available)),
        Reading::new("swap_used_percent", used(swap, swap_free)),
    ])
}
