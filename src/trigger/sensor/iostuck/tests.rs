use std::cell::RefCell;
use std::fs;
use std::io;
use std::time::Duration;

use serde_json::Value;

use super::super::{Before, Outcome};
use super::*;
use crate::config::Values;
use crate::host::journal::{Entry, Reached};
use crate::host::sensing::{Here, Sensing};
use crate::host::tail;
use crate::host::tasks::Blocked;

/// A machine with a folder of logs, and a journal or none.
struct Machine {
    here: Here,
    folder: tempfile::TempDir,
    journal: Option<RefCell<Vec<(i64, String)>>>,
    /// `None`: nobody may see it.
    blocked: RefCell<Option<Vec<Blocked>>>,
    now: RefCell<DateTime<Utc>>,
}

impl Machine {
    fn new(journal: bool) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        Machine {
            here: Here::new(folder.path()),
            folder,
            journal: journal.then(RefCell::default),
            blocked: RefCell::new(Some(Vec::new())),
            now: RefCell::new(at(10_000)),
        }
    }

    fn says(&self, seconds: i64, line: &str) {
        self.journal.as_ref().unwrap().borrow_mut().push((seconds, line.to_owned()));
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, old + text).unwrap();
    }

    fn waits(&self, tasks: &[(u32, u64, u64)]) {
        let task = |(task, began, switches): &(u32, u64, u64)| Blocked {
            task: *task,
            process: *task,
            began: *began,
            switches: *switches,
            name: "a\n(b".into(),
        };
        self.blocked.replace(Some(tasks.iter().map(task).collect()));
    }
}

impl Sensing for Machine {
    fn read(&self, path: &str) -> io::Result<String> {
        self.here.read(path)
    }

    fn wait(&self, _: Duration) {
        panic!("it waits for nothing");
    }

    fn blocked(&self) -> io::Result<Vec<Blocked>> {
        self.blocked.borrow().clone().ok_or_else(|| io::ErrorKind::PermissionDenied.into())
    }

    fn entries(&self, writer: Writer, from: &Bookmark, take: &mut dyn FnMut(Entry)) -> Result<Reached, String> {
        assert_eq!(writer, Writer::Kernel);
        let journal = self.journal.as_ref().ok_or("there is no journal here")?.borrow();
        let read = from.cursor.as_ref().map_or(0, |cursor| cursor.parse().unwrap());
        for (seconds, text) in journal.iter().skip(read).filter(|(seconds, _)| at(*seconds) >= from.at) {
            take(Entry { at: at(*seconds), process: None, text: text.clone() });
        }
        let bookmark = Bookmark { at: from.at, cursor: Some(journal.len().to_string()) };
        Ok(Reached { bookmark, more: false })
    }

    fn lines(&self, path: &str, from: Option<&Place>, line: &mut dyn FnMut(&str)) -> io::Result<tail::Reached> {
        self.here.lines(path, from, line)
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000 + seconds, 0).unwrap()
}

/// One run after another: in which boot the last one was, and what it kept.
#[derive(Default)]
struct Runs(Option<(String, Value)>);

impl Runs {
    fn measure(&mut self, machine: &Machine) -> Measured {
        let now = *machine.now.borrow();
        let before = self.0.as_ref().map(|(boot, kept)| Before { at: now, boot, kept });
        let values = Values { keys: SENSOR.keys, written: &[] };
        let measured = measure(&Probe { machine, name: "", values, before, now });
        self.0 = measured.keep.clone().map(|kept| (machine.boot(), kept));
        measured
    }

    /// The number of hung tasks.
    fn hung(&mut self, machine: &Machine) -> Option<f64> {
        value(&self.measure(machine), "hung_task_count")
    }
}

fn value(measured: &Measured, metric: &str) -> Option<f64> {
    let Outcome::Readings(readings) = &measured.outcome else { return None };
    readings.iter().find(|reading| reading.metric == metric).map(|reading| reading.value)
}

#[test]
fn lines_of_the_kernel() {
    let told = |line: &str| blocked(line).map(|(task, seconds)| (task.name, task.number, seconds));
    let task = |name: &str, number, seconds| Some((name.to_owned(), number, seconds));
    for (line, expected) in [
        // 2.6.32 to 4.x, 5.10, 6.1, 6.18
        ("INFO: task jbd2/sda1-8:345 blocked for more than 120 seconds.", task("jbd2/sda1-8", 345, 120)),
        ("INFO: task kworker/u8:2:117 blocked for more than 122 seconds.", task("kworker/u8:2", 117, 122)),
        ("INFO: task a blocked b:9 blocked for more than 241 seconds.", task("a blocked b", 9, 241)),
        ("INFO: task dd:4711 blocked in I/O wait for more than 120 seconds.", task("dd", 4711, 120)),
        ("[ 1234.567890] INFO: task dd:4711 blocked for more than 120 seconds.", task("dd", 4711, 120)),
        ("INFO: task dd:4711 is blocked on a mutex likely owned by task x:1.", None),
        ("INFO: task dd:x blocked for more than 120 seconds.", None),
        ("INFO: task dd:4711 blocked for more than -1 seconds.", None),
        ("INFO: task dd:4711 blocked for more than 120 sec", None),
        ("systemd: INFO: task dd:4711 blocked for more than 120 seconds.", None),
        ("      Not tainted 6.1.0 #1", None),
        ("[", None),
        ("", None),
    ] {
        assert_eq!(told(line), expected, "{line}");
    }
}

#[test]
fn the_journal_tells_of_the_last_hour_and_then_of_what_is_new() {
    let machine = Machine::new(true);
    let mut runs = Runs::default();
    let line = |task: &str| format!("INFO: task {task} blocked for more than 120 seconds.");
    machine.says(6000, &line("old:1"));
    machine.says(9000, &line("dd:7"));
    machine.says(9120, &line("dd:7"));
    machine.says(9130, "usb 1-1: new device");
    let first = runs.measure(&machine);
    assert_eq!(value(&first, "hung_task_count"), Some(1.0));
    let told = &first.details[0].text;
    assert!(told.starts_with("dd (7) was blocked for more than 120 seconds at "), "{told}");
    assert_eq!(runs.hung(&machine), Some(0.0));
    for number in 0..14 {
        machine.says(9200, &line(&format!("x\u{1b}[2J:{number}")));
    }
    let flood = runs.measure(&machine);
    assert_eq!(value(&flood, "hung_task_count"), Some(14.0));
    assert_eq!((flood.details.len(), flood.details[10].text.as_str()), (11, "and 4 more"));
    assert!(flood.details[0].text.starts_with("x\\u{1b}[2J (0)"), "{}", flood.details[0].text);
}

#[test]
fn without_a_journal_each_log_is_read_from_its_own_place_on() {
    let machine = Machine::new(false);
    let mut runs = Runs::default();
    let none = runs.measure(&machine);
    assert_eq!(value(&none, "hung_task_count"), None);
    assert!(none.missing[0].why.starts_with("hung_task_count: there is no journal here; nor can /var/log/kern.log"), "{none:?}");

    let line = |seconds: i64, task: &str| {
        format!("{} host kernel: [ 1.5] INFO: task {task} blocked for more than 120 seconds.\n", at(seconds).to_rfc3339())
    };
    machine.write("var/log/kern.log", &(line(1000, "old:1") + &line(9000, "dd:7")));
    machine.write("var/log/syslog", &(line(9000, "dd:7") + &line(9000, "cp:8").replace("kernel", "logger")));
    assert_eq!(runs.hung(&machine), Some(1.0), "in two logs, and one task");
    machine.write("var/log/syslog", &line(9500, "dd:7"));
    assert_eq!(runs.hung(&machine), Some(1.0));
    assert_eq!(runs.hung(&machine), Some(0.0));
    // rotated, and a log that comes later
    fs::rename(machine.folder.path().join("var/log/kern.log"), machine.folder.path().join("var/log/kern.log.1")).unwrap();
    machine.write("var/log/kern.log.1", &line(9600, "rm:9"));
    machine.write("var/log/kern.log", &line(9700, "mv:10"));
    machine.write("var/log/messages", &line(9700, "ls:11"));
    assert_eq!(runs.hung(&machine), Some(3.0));
}

#[test]
fn a_task_stays_when_it_has_not_run_since_the_run_before() {
    let machine = Machine::new(true);
    machine.write("proc/sys/kernel/random/boot_id", "b\n");
    let mut runs = Runs::default();
    let mut stuck = |seconds: i64, tasks: &[(u32, u64, u64)]| {
        machine.now.replace(at(seconds));
        machine.waits(tasks);
        let measured = runs.measure(&machine);
        (value(&measured, "d_state_task_count").unwrap(), measured.details)
    };
    let dd = (7, 4242, 42);
    assert_eq!(stuck(0, &[dd]).0, 0.0, "the first time it may have met a busy disk");
    assert_eq!(stuck(9, &[dd]).0, 0.0);
    let (count, details) = stuck(300, &[dd, (8, 1, 1)]);
    assert_eq!(count, 1.0);
    assert_eq!(details[0].text, format!("a\\n(b (7) waits, and has not run since {} at least", local_time(at(0))));
    assert_eq!(stuck(600, &[(7, 4242, 43), (8, 2, 1)]).0, 0.0, "one has run, the other is another one");
    assert_eq!(stuck(500, &[(7, 4242, 43)]).0, 0.0, "the clock was set back");
    assert_eq!(stuck(800, &[(7, 4242, 43)]).0, 1.0);
    fs::write(machine.folder.path().join("proc/sys/kernel/random/boot_id"), "c\n").unwrap();
    assert_eq!(stuck(1100, &[(7, 4242, 43)]).0, 0.0, "of another boot");
}

#[test]
fn what_was_kept_by_nobody_is_passed_over() {
    let machine = Machine::new(true);
    machine.says(9000, "INFO: task dd:7 blocked for more than 120 seconds.");
    for odd in [
        json!(null),
        json!("x"),
        json!({"journal": {"at": "never"}}),
        json!({"tasks": [{"task": -1}]}),
        json!({"files": {"/var/log/syslog": {"inode": "x"}}}),
    ] {
        assert_eq!(Runs(Some((String::new(), odd.clone()))).hung(&machine), Some(1.0), "{odd}");
    }
    machine.blocked.replace(None);
    let measured = Runs::default().measure(&machine);
    assert_eq!(measured.missing[0].why, "d_state_task_count: other users' processes cannot be seen: permission denied");
}
