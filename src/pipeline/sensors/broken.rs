//! Every file that a sensor reads, broken in each way that was thought of: no panic, no hang, no false alarm.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::host::clock;
use crate::host::sensing::Here;
use crate::host::space::{Answer, Asked, Space};
use crate::host::tail::{self, Place};
use crate::host::tasks::Blocked;
use crate::settings::Settings;
use crate::trigger::sensor::rule::Judgement;
use crate::trigger::sensor::{Outcome, SENSORS};

/// A healthy machine of which any file may be broken. What it says of its file systems itself is well.
struct Healthy {
    folder: tempfile::TempDir,
    here: Here,
}

const FAR: Space = Space { size: 1000, used: 400, free: 500, files: 100, files_free: 75 };
const TASK: &str = "7 (a b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 812 1000 10 18446744073709551615 0 0\n";
const STATUS: &str = "Name:\ta b\nvoluntary_ctxt_switches:\t812\nnonvoluntary_ctxt_switches:\t9\n";
const KERNEL: &str = "Jan  5 08:00:01 host kernel: [    1.234567] EXT4-fs (vda1): mounted filesystem 812\n\
                      Jan  5 08:00:02 host kernel: [    2.345678] INFO: lockup detector 120 seconds.\n";
const LOGINS: &str = "Jan  5 08:00:01 host sshd[812]: Accepted publickey for alice from 203.0.113.7 port 4711 ssh2\n\
                      Jan  5 08:00:02 host sshd[812]: Failed password for root from 203.0.113.7 port 4711 ssh2\n";
const PLUGIN: &str = "OK - load average: 0.04, 0.02|load1=0.040;5.000;10.000;0; 'a b'=12MB;;;0;100\nmore | c=3s\n";
const MOUNTS: &str = "20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n\
                      21 20 0:35 / /srv/nas rw shared:2 - nfs4 nas:/x rw\n";
const FSTAB: &str = "/dev/vda1 / ext4 errors=remount-ro 0 1\nnas:/x /srv/nas nfs4 rw 0 0\n";

/// Which sensor reads which file.
const FILES: [(&str, &str); 18] = [
    ("cpu", "/proc/stat"),
    ("cpu", "/proc/loadavg"),
    ("memory", "/proc/meminfo"),
    ("memory", "/proc/vmstat"),
    ("pressure", "/proc/pressure/cpu"),
    ("pressure", "/proc/pressure/memory"),
    ("pressure", "/proc/pressure/io"),
    ("storage", "/proc/self/mountinfo"),
    ("storage", "/proc/1/mountinfo"),
    ("storage", "/etc/fstab"),
    ("iostuck", "/var/log/kern.log"),
    ("iostuck", "/var/log/messages"),
    ("iostuck", "/var/log/syslog"),
    ("iostuck", "/proc/7/stat"),
    ("iostuck", "/proc/7/status"),
    ("ssh", "/var/log/auth.log"),
    ("ssh", "/var/log/secure"),
    ("command", "/plugin"),
];

impl Healthy {
    fn new() -> Healthy {
        let folder = tempfile::tempdir().unwrap();
        let healthy = Healthy { here: Here::new(folder.path()), folder };
        let kernel = Here::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proc/linux-6.1"));
        for (_, path) in FILES {
            let text = match path {
                "/proc/self/mountinfo" | "/proc/1/mountinfo" => MOUNTS.to_owned(),
                "/etc/fstab" => FSTAB.to_owned(),
                "/proc/7/stat" => TASK.to_owned(),
                "/proc/7/status" => STATUS.to_owned(),
                "/plugin" => PLUGIN.to_owned(),
                "/var/log/auth.log" | "/var/log/secure" => LOGINS.to_owned(),
                path if path.starts_with("/var") => KERNEL.to_owned(),
                path => kernel.read(path).unwrap(),
            };
            healthy.write(path, text.as_bytes());
        }
        healthy.write("/proc/1/stat", TASK.as_bytes());
        healthy.write("/proc/sys/kernel/random/boot_id", b"b\n");
        healthy
    }

    fn place(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let place = self.place(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }

    /// A run; it must be over soon, and find nothing to tell.
    fn measure(&self, name: &str, before: Option<&Value>, what: &str) -> Option<Value> {
        let now = DateTime::from_timestamp(1_767_600_000, 0).unwrap();
        let (at, seen) = (now - chrono::TimeDelta::minutes(5), Seen::default());
        let before = before.map(|kept| Sensed { name: name.to_owned(), at, boot: "b".to_owned(), kept: kept.clone(), seen });
        let plugin = json!(["/bin/cat", self.place("/plugin")]);
        let text = if name == "command" { format!("[sensor.command.x]\ncommand = {plugin}") } else { String::new() };
        let settings = Settings::read(&[("x.toml".into(), text)]).unwrap();
        let watch = settings.sensors().watches.into_iter().find(|watch| watch.sensor.name == name).unwrap();
        let began = clock::started();
        let measured = measured(&watch, self, before.as_ref(), now);
        assert!(clock::started() - began < Duration::from_secs(20), "{what} holds it up");
        if let Outcome::Readings(readings) = &measured.outcome {
            for reading in readings {
                // a program may measure what it will
                assert!(reading.value.is_finite() && (reading.value >= 0.0 || name == "command"), "{what}: {reading:?}");
                for rule in watch.rules.iter().filter(|rule| rule.metric == reading.metric) {
                    let judged = rule.judge(Some(reading.value));
                    assert!(!matches!(judged, Judgement::Violated { .. }), "{what}: {reading:?} violates {}", rule.name);
                }
            }
        }
        measured.keep
    }
}

impl Sensing for Healthy {
    fn read(&self, path: &str) -> io::Result<String> {
        self.here.read(path)
    }

    fn wait(&self, time: Duration) {
        panic!("nobody is to wait for {time:?}");
    }

    fn spaces(&self, asked: &[Asked], _: Duration) -> Vec<Answer> {
        asked.iter().map(|_| Answer::Told(FAR)).collect()
    }

    fn blocked(&self) -> io::Result<Vec<Blocked>> {
        self.here.blocked()
    }

    fn lines(&self, path: &str, from: Option<&Place>, line: &mut dyn FnMut(&str)) -> io::Result<tail::Reached> {
        self.here.lines(path, from, line)
    }
}

/// A text in each broken form: cut at many places, with absurd numbers, with what is no text, in a wrong order.
fn broken(text: &str) -> BTreeSet<Vec<u8>> {
    let bytes = text.as_bytes();
    let cuts = (0..bytes.len().min(240)).step_by(9).map(|end| bytes[..end].to_vec());
    let absurd = ["-5", "1e400", "NaN", "inf", "18446744073709551616", "18446744073709551615", "0x10", "1,5", "\u{0}", ""];
    let absurd = absurd.map(|word| {
        let is_number = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
        let parts = text.split_inclusive([' ', '\t', '\n', ';', '|', '=']);
        parts.map(|part| if is_number(part) { format!("{word} ") } else { part.to_owned() }).collect::<String>().into_bytes()
    });
    let noise: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let reversed = text.lines().rev().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
    let odd = [noise, reversed, text.replace(' ', "").into_bytes(), text.replace('\n', " ").into_bytes(), vec![b'\n'; 3000]];
    let long = [vec![b'x'; 2 * 1024 * 1024], text.replace(' ', &" ".repeat(5000)).into_bytes()];
    let mut all: BTreeSet<Vec<u8>> = cuts.chain(absurd).chain(odd).chain(long).collect();
    all.remove(bytes);
    all
}

#[test]
fn no_broken_file_of_any_sensor_alarms_or_hangs() {
    let mut tried = BTreeSet::new();
    for (name, path) in FILES {
        let healthy = Healthy::new();
        let text = String::from_utf8(fs::read(healthy.place(path)).unwrap()).unwrap();
        let kept = healthy.measure(name, None, "a healthy machine");
        healthy.measure(name, kept.as_ref(), "a healthy machine, once more");
        // a program that floods, or cannot read its file, is a finding
        let is_program = path == "/plugin";
        for bytes in broken(&text).into_iter().filter(|bytes| !is_program || bytes.len() < 60_000) {
            let what = format!("{path} with {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)]));
            healthy.write(path, &bytes);
            healthy.measure(name, None, &what);
            let broken = healthy.measure(name, kept.as_ref(), &what);
            // and afterwards all is well again
            healthy.write(path, text.as_bytes());
            healthy.measure(name, broken.as_ref().or(kept.as_ref()), &format!("{what}, and then well"));
            tried.insert((path, bytes));
        }
        // what is no file at all
        let place = healthy.place(path);
        if !is_program {
            fs::remove_file(&place).unwrap();
            healthy.measure(name, kept.as_ref(), &format!("no {path}"));
            fs::create_dir(&place).unwrap();
            healthy.measure(name, kept.as_ref(), &format!("{path} is a folder"));
            fs::remove_dir(&place).unwrap();
        }
        // those of tasks are the kernel's own
        if !is_program && !path.starts_with("/proc/7/") {
            assert!(Command::new("mkfifo").arg(&place).status().unwrap().success());
            healthy.measure(name, kept.as_ref(), &format!("{path} is a FIFO"));
        }
        // a record that nobody kept
        for odd in [json!(null), json!("x"), json!([1, -1, 1e300]), json!({ "files": 7, "seen": {}, "tasks": [{}] })] {
            healthy.measure(name, Some(&odd), &format!("{odd} was kept"));
        }
    }
    assert!(tried.len() > 400, "{}", tried.len());
}

/// So that the file above has all that there is to break.
#[test]
fn every_sensor_that_reads_files_is_broken() {
    let without = ["units"];
    for sensor in SENSORS.iter().filter(|sensor| !without.contains(&sensor.name)) {
        assert!(FILES.iter().any(|(name, _)| *name == sensor.name), "{}", sensor.name);
    }
}
