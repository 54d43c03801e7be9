//! `pressure`: how much of the time some task waited for a processor, for memory or for a disk (the kernel's "Pressure Stall
//! Information", `Documentation/accounting/psi.rst`).

use std::io;

use super::{COMMON, Measured, Metric, Probe, Reading, Sensor, Unit, whole_lines};
use crate::host::sensing::Sensing;

pub(super) const SENSOR: Sensor = Sensor {
    name: "pressure",
    about: "how much of the time some task waited for a processor, for memory or for a disk",
    named: false,
    keys: &[COMMON],
    metrics: &[
        Metric::new("psi_cpu_avg10", Unit::Percent, "waited for a processor, of the last ten seconds"),
        Metric::new("psi_cpu_avg60", Unit::Percent, "of a minute"),
        Metric::new("psi_cpu_avg300", Unit::Percent, "of five minutes"),
        Metric::new("psi_memory_avg10", Unit::Percent, "waited for memory, of the last ten seconds"),
        Metric::new("psi_memory_avg60", Unit::Percent, "of a minute"),
        Metric::new("psi_memory_avg300", Unit::Percent, "of five minutes"),
        Metric::new("psi_io_avg10", Unit::Percent, "waited for a disk, of the last ten seconds"),
        Metric::new("psi_io_avg60", Unit::Percent, "of a minute"),
        Metric::new("psi_io_avg300", Unit::Percent, "of five minutes"),
    ],
    open: false,
    instance: None,
    rules: r#"
[[rule]]
name = "memory_pressure"
metric = "psi_memory_avg300"
op = "gt"
value = "20%"
clear = "10%"
consecutive = 2
severity = "warning"

[[rule]]
name = "io_pressure"
metric = "psi_io_avg300"
op = "gt"
value = "60%"
clear = "40%"
consecutive = 3
severity = "warning"
"#,
    suggests: &[
        "cat /proc/pressure/cpu /proc/pressure/memory /proc/pressure/io",
        "vmstat 1 5",
        "ps -eo pid,stat,wchan:32,args | awk '$2 ~ /^D/'",
    ],
    measure,
};

/// The files, each with its averages.
const FILES: [(&str, [(&str, &str); 3]); 3] = [
    ("/proc/pressure/cpu", [("avg10=", "psi_cpu_avg10"), ("avg60=", "psi_cpu_avg60"), ("avg300=", "psi_cpu_avg300")]),
    ("/proc/pressure/memory", [("avg10=", "psi_memory_avg10"), ("avg60=", "psi_memory_avg60"), ("avg300=", "psi_memory_avg300")]),
    ("/proc/pressure/io", [("avg10=", "psi_io_avg10"), ("avg60=", "psi_io_avg60"), ("avg300=", "psi_io_avg300")]),
];

/// How the kernel answers where it was built with it and started without (`EOPNOTSUPP`).
const UNSUPPORTED: i32 = 95;

fn measure(probe: &Probe<'_>) -> Measured {
    let mut readings = Vec::new();
    let mut missing = Vec::new();
    let mut is_wrong = false;
    for (path, averages) in FILES {
        match probe.machine.read(path).map(|text| some(&text, averages)) {
            Ok(Some(found)) => readings.extend(found),
            Ok(None) => {
                is_wrong = true;
                missing.push(format!("{path} has no line that begins with some and three averages"));
            }
            Err(error) if is_without(&error) => {
                missing.push(format!("{path}: this kernel does not tell; psi=1 on its command line may turn it on"));
            }
            Err(error) => {
                is_wrong |= error.kind() != io::ErrorKind::PermissionDenied;
                missing.push(format!("{path} cannot be read: {error}"));
            }
        }
    }
    match (readings.is_empty(), is_wrong) {
        (true, true) => Measured::error(missing.join("; ")),
        (true, false) => Measured::no_data(
            "this kernel tells no pressure: it is older than Linux 4.20, built without PSI, or started without psi=1",
        ),
        _ => missing.into_iter().fold(Measured::readings(readings), Measured::without),
    }
}

/// That of disks alone; or why there is none.
pub(super) fn io(machine: &dyn Sensing) -> Result<Vec<Reading>, String> {
    let (path, averages) = FILES[2];
    let text = machine.read(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    some(&text, averages).ok_or_else(|| format!("{path} has no line that begins with some and three averages"))
}

fn is_without(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(UNSUPPORTED)
}

/// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
fn some(text: &str, averages: [(&str, &'static str); 3]) -> Option<Vec<Reading>> {
    let line = whole_lines(text).find_map(|line| line.strip_prefix("some "))?;
    averages
        .into_iter()
        .map(|(word, metric)| {
            let share: f64 = line.split_ascii_whitespace().find_map(|field| field.strip_prefix(word))?.parse().ok()?;
            (0.0..=100.0).contains(&share).then(|| Reading::new(metric, share))
        })
        .collect()
}
