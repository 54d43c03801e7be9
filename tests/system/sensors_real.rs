//! Sensors against the real thing: file systems that are filled, turned read-only and hang, an SSH server and logins that fail,
//! a task that waits for ever, the kernel's words, Debian's own plugins; and the figures of `df`, `free` and `/proc`.

mod disks;
mod figures;
mod logs;
mod programs;
mod servers;

use serde_json::Value;

use crate::guest::{Guest, Output};

/// Runs of the sensors with a configuration and a record of their own, beside whatever else runs in the guest.
struct Sensors<'a> {
    guest: &'a Guest,
}

/// A report, and the exit status that came with it.
struct Report {
    status: i32,
    json: Value,
}

impl<'a> Sensors<'a> {
    fn new(guest: &'a Guest, config: &str) -> Self {
        let each = ["cpu", "memory", "storage", "pressure", "iostuck", "ssh", "units"];
        let always: String = each
            .iter()
            .filter(|name| !config.contains(&format!("[sensor.{name}]")))
            .fold(String::new(), |all, name| all + &format!("[sensor.{name}]\nevery = \"0s\"\n"));
        // a busy machine is none of these tests' business
        let rules = [("cpu", "high_cpu"), ("cpu", "high_steal"), ("pressure", "memory_pressure"), ("pressure", "io_pressure")];
        let rules = rules.iter().chain(&[("memory", "low_memory"), ("memory", "swap_full"), ("memory", "out_of_memory")]);
        let quiet: String =
            rules.map(|(sensor, rule)| format!("[[sensor.{sensor}.rule]]\nname = \"{rule}\"\nenabled = false\n")).collect();
        let config = format!("[services]\ngrace_after_boot = \"0s\"\n{config}\n{always}{quiet}");
        guest.write_file("/srv/sensors.toml", &config);
        guest.sh("mkdir -p /srv/state").ok();
        Self { guest }
    }

    #[track_caller]
    fn sysalert(&self, arguments: &[&str]) -> Output {
        self.guest.sysalert(&[&OPTIONS[..], arguments].concat())
    }

    #[track_caller]
    fn measure(&self) -> Report {
        Report::read(&self.sysalert(&["check", "sensors", "--report", "json"]))
    }
}

const OPTIONS: [&str; 4] = ["--config", "/srv/sensors.toml", "--state-dir", "/srv/state"];

impl Report {
    #[track_caller]
    fn read(output: &Output) -> Report {
        let json = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"));
        Report { status: output.status, json }
    }

    fn sensor(&self, sensor: &str) -> &Value {
        &self.json["monitors"][sensor]
    }

    /// A value; one of an instance by "/srv/a bytes_used".
    #[track_caller]
    fn value(&self, sensor: &str, metric: &str) -> f64 {
        let metrics = &self.sensor(sensor)["metrics"];
        let found = match metric.rsplit_once(' ') {
            Some((instance, metric)) => &metrics[instance][metric],
            None => &metrics[metric],
        };
        found.as_f64().unwrap_or_else(|| panic!("{sensor} has no {metric}: {:#}", self.sensor(sensor)))
    }

    fn details(&self, sensor: &str) -> String {
        self.sensor(sensor)["details"].to_string()
    }

    /// The rules that speak: "storage /srv/a low_disk".
    fn anomalies(&self) -> Vec<String> {
        let monitors = self.json["monitors"].as_object().unwrap();
        let told = |name: &str, one: &Value| {
            let part = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            [name.to_owned(), part("instance"), part("rule_name")]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        monitors
            .iter()
            .flat_map(|(name, one)| one["anomalies"].as_array().unwrap().iter().map(move |one| told(name, one)))
            .collect()
    }
}

/// The words of each line of a command's output, without the heading.
#[track_caller]
fn table(guest: &Guest, command: &str) -> Vec<Vec<String>> {
    let lines = guest.sh(command).ok();
    lines.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[track_caller]
fn number(text: &str) -> f64 {
    text.trim_end_matches('%').parse().unwrap_or_else(|_| panic!("{text}"))
}

/// Three file systems: bytes are taken, files are taken, nothing is.
const DISKS: &str = "mkdir -p /srv/bytes /srv/files '/srv/two words'
    mount -t tmpfs -o size=16M tmpfs /srv/bytes; head -c 12345678 /dev/zero >/srv/bytes/x
    mount -t tmpfs -o size=16M,nr_inodes=200 tmpfs /srv/files; for n in $(seq 100); do : >/srv/files/$n; done
    mount -t tmpfs -o size=16M tmpfs '/srv/two words'";
