use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::{Before, Outcome};
use super::*;
use crate::config::{Origin, Setting, Values};
use crate::host::journal::{Entry, Reached};
use crate::host::sensing::{Here, Sensing};
use crate::host::tail;

/// A machine with a journal or a log, and its runs, one after another.
struct Machine {
    here: Here,
    folder: tempfile::TempDir,
    journal: Option<RefCell<Vec<(f64, u32, String)>>>,
    settings: Vec<Setting>,
    last: RefCell<Option<(f64, Value)>>,
}

impl Machine {
    fn new(has_journal: bool) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let journal = has_journal.then(RefCell::default);
        Machine { here: Here::new(folder.path()), folder, journal, settings: Vec::new(), last: RefCell::default() }
    }

    fn set(mut self, key: &str, value: &Value) -> Machine {
        let origin = Origin { file: Path::new("x.toml").into(), line: 1 };
        self.settings.push(Setting { key: key.into(), value: value.clone(), origin });
        self
    }

    /// The server's process says this.
    fn says(&self, seconds: f64, process: u32, line: &str) {
        self.journal.as_ref().unwrap().borrow_mut().push((seconds, process, line.to_owned()));
    }

    /// A wrong password, with all the lines that it leaves.
    fn fails(&self, seconds: f64, process: u32, user: &str, address: &str) {
        let module = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=";
        self.says(seconds - 2.0, process, &format!("{module}{address}  user={user}"));
        self.says(seconds, process, &format!("Failed password for {user} from {address} port {process} ssh2"));
        let end = format!("Connection closed by authenticating user {user} {address} port {process} [preauth]");
        self.says(seconds + 0.1, process, &end);
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, old + text).unwrap();
    }

    fn measure(&self, seconds: f64) -> Measured {
        let last = self.last.borrow().clone();
        let before = last.as_ref().map(|(seconds, kept)| Before { at: at(*seconds), boot: "", kept });
        let written = [self.settings.as_slice()];
        let values = Values { keys: SENSOR.keys, written: &written };
        let measured = measure(&Probe { machine: self, name: "", values, before, now: at(seconds) });
        if let Some(kept) = &measured.keep {
            self.last.replace(Some((seconds, kept.clone())));
        }
        measured
    }

    fn failed(&self, seconds: f64) -> f64 {
        value(&self.measure(seconds))
    }
}

impl Sensing for Machine {
    fn read(&self, path: &str) -> io::Result<String> {
        self.here.read(path)
    }

    fn wait(&self, _: Duration) {
        panic!("it waits for nothing");
    }

    fn entries(&self, writer: Writer, from: &Bookmark, take: &mut dyn FnMut(Entry)) -> Result<Reached, String> {
        assert_eq!(writer, Writer::Ssh);
        let journal = self.journal.as_ref().ok_or("there is no journal here")?.borrow();
        let read = from.cursor.as_ref().map_or(0, |cursor| cursor.parse().unwrap());
        for (seconds, process, text) in journal.iter().skip(read).filter(|(seconds, ..)| at(*seconds) >= from.at) {
            take(Entry { at: at(*seconds), process: Some(*process), text: text.clone() });
        }
        Ok(Reached { bookmark: Bookmark { at: from.at, cursor: Some(journal.len().to_string()) }, more: false })
    }

    fn lines(&self, path: &str, from: Option<&Place>, line: &mut dyn FnMut(&str)) -> io::Result<tail::Reached> {
        self.here.lines(path, from, line)
    }
}

#[allow(clippy::cast_possible_truncation)]
fn at(seconds: f64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_767_600_000_000 + (seconds * 1000.0) as i64).unwrap()
}

fn value(measured: &Measured) -> f64 {
    match &measured.outcome {
        Outcome::Readings(readings) => readings[0].value,
        other => panic!("{other:?}"),
    }
}

fn texts(measured: &Measured) -> Vec<&str> {
    measured.details.iter().map(|detail| detail.text.as_str()).collect()
}

#[test]
fn one_attempt_counts_once_however_many_lines_it_leaves() {
    let end = |words: &str| format!("{words} alice 10.0.0.1 port 7 [preauth]");
    let password = "Failed password for alice from 10.0.0.1 port 7 ssh2";
    let key = "Failed publickey for alice from 10.0.0.1 port 7 ssh2: RSA SHA256:a";
    let module = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1  user=alice";
    let closed = end("Connection closed by authenticating user");
    let closed = closed.as_str();
    let too_many = "error: maximum authentication attempts exceeded for alice from 10.0.0.1 port 7 ssh2 [preauth]";
    let pam = "error: PAM: Authentication failure for alice from 10.0.0.1";
    let interactive = "Failed keyboard-interactive/pam for alice from 10.0.0.1 port 7 ssh2";
    let accepted = "Accepted password for alice from 10.0.0.1 port 7 ssh2";
    // (process, line)...
    let rows = [
        ("a wrong password", 1.0, vec![(7, module), (7, password), (7, closed)]),
        ("three on one connection", 3.0, vec![(7, module), (7, password), (7, password), (7, password), (7, closed)]),
        ("a key that is not known, as it is logged usually", 1.0, vec![(7, closed)]),
        ("several keys, logged in full", 1.0, vec![(7, key), (7, key), (7, key), (7, too_many), (7, closed)]),
        ("keys, then a password", 1.0, vec![(7, key), (7, key), (7, password), (7, closed)]),
        ("keys, and then it gets in", 0.0, vec![(7, key), (7, key), (7, accepted)]),
        ("a wrong password, and then it gets in", 1.0, vec![(7, password), (7, accepted), (7, closed)]),
        ("a user that is not there", 1.0, vec![(7, "Invalid user alice from 10.0.0.1 port 7"), (7, password), (7, closed)]),
        ("who is not allowed", 1.0, vec![(7, "User alice from 10.0.0.1 not allowed because listed in DenyUsers"), (7, password)]),
        // PAM asks in a process of its own then
        ("PAM asks", 1.0, vec![(8, module), (7, pam), (7, closed)]),
        ("PAM asks, three times", 3.0, vec![(8, module), (7, pam), (7, pam), (7, pam), (7, interactive), (7, closed)]),
        ("two connections at once", 2.0, vec![(7, module), (8, module), (7, password), (8, password)]),
        ("the number of a process is given anew", 2.0, vec![(7, closed), (7, "Invalid user x from 10.0.0.1 port 8")]),
        ("PAM alone", 1.0, vec![(9, module)]),
        (
            "summed up",
            4.0,
            vec![(7, password), (7, "message repeated 3 times: [ Failed password for alice from 10.0.0.1 port 7 ssh2]")],
        ),
        ("no login", 0.0, vec![(7, "Connection closed by 10.0.0.1 port 7 [preauth]")]),
    ];
    for (what, expected, lines) in rows {
        // in one run, and with a run after each line
        let (one, each) = (Machine::new(true), Machine::new(true));
        let mut counted = 0.0;
        for (number, (process, line)) in lines.iter().enumerate() {
            let seconds = 100.0 + f64::from(u32::try_from(number).unwrap());
            one.says(seconds, *process, line);
            each.says(seconds, *process, line);
            counted = each.failed(seconds);
        }
        assert_eq!((one.failed(120.0), counted), (expected, expected), "{what}");
    }
}

#[test]
fn more_than_the_amount_within_the_duration_by_the_entries_own_times() {
    let machine = Machine::new(true);
    let tries = |from: f64, gap: f64, count: u32| {
        for number in 0..count {
            machine.fails(from + gap * f64::from(number), 1000 + number, "root", "203.0.113.7");
        }
    };
    tries(1000.0, 10.0, 6);
    assert_eq!(machine.failed(1100.0), 4.0, "10, 20, 30 seconds after one");
    assert_eq!(machine.failed(1101.0), 4.0, "each line is read once");
    assert_eq!(machine.failed(1500.0), 0.0, "it is over after `renotify_time`");
    // half of them before a run, and half after it
    tries(2000.0, 1.0, 3);
    assert_eq!(machine.failed(2002.5), 3.0);
    tries(2003.0, 1.0, 3);
    assert_eq!(machine.failed(2300.0), 6.0);
    // all at once in the journal, long ago
    tries(2310.0, 31.0, 8);
    assert_eq!(machine.failed(5000.0), 1.0);

    let slow = Machine::new(true).set("duration", &json!("10m")).set("renotify_time", &json!("2s"));
    for number in 0..8 {
        slow.fails(1000.0 + 60.0 * f64::from(number), 1000 + number, "root", "203.0.113.7");
        assert_eq!(slow.failed(1001.0 + 60.0 * f64::from(number)), f64::from(number) + 1.0);
    }
}

#[test]
fn who_and_from_where_counted_and_bounded() {
    let machine = Machine::new(true);
    machine.fails(100.0, 1, "root", "203.0.113.7");
    machine.fails(101.0, 2, "root", "203.0.113.7");
    for (number, name) in ["a", "b", "c\u{1b}[2J"].into_iter().enumerate() {
        machine.fails(102.0, 3 + u32::try_from(number).unwrap(), name, "203.0.113.7");
    }
    machine.fails(103.0, 9, "x from 1.2.3.4 port 5 ssh2", "2001:db8::1");
    let measured = machine.measure(110.0);
    let time = |seconds| local_time(at(seconds));
    assert_eq!(
        texts(&measured),
        [
            format!("6 within 30s at the most, 6 in all since {}", time(100.0)),
            format!("5 failed logins from 203.0.113.7 as root (2), a (1), b (1) and 1 more name; the last at {}", time(102.0)),
            format!("1 failed login from 2001:db8::1 as x from 1.2.3.4 port 5 ssh2 (1); the last at {}", time(103.0)),
        ]
    );
    for number in 0..50_u32 {
        machine.fails(111.0, 100 + number, &"n".repeat(500), &format!("10.0.0.{number}"));
    }
    let measured = machine.measure(120.0);
    let told = texts(&measured);
    assert_eq!((told.len(), told[11]), (12, "42 failed logins from 42 more addresses"));
    assert!(told[3].len() < 200, "{}", told[3]);
    let kept = serde_json::to_string(&measured.keep).unwrap();
    for number in 0..3000_u32 {
        machine.fails(121.0, 1000 + number, "root", "203.0.113.7");
    }
    assert_eq!(machine.failed(130.0), 3056.0);
    let full = serde_json::to_string(&machine.last.borrow().as_ref().unwrap().1).unwrap();
    assert!(full.len() < 200_000 && kept.len() < full.len(), "{}", full.len());
}

#[test]
fn a_log_stands_in_for_the_journal_and_may_be_chosen() {
    let line = |seconds: f64, text: &str| format!("{} host sshd[7]: {text}\n", at(seconds).to_rfc3339());
    let password = |user: &str| format!("Failed password for {user} from 10.0.0.1 port 7 ssh2");
    let machine = Machine::new(false);
    assert!(
        matches!(machine.measure(100.0).outcome, Outcome::NoData(why) if why.starts_with("there is no journal here; nor can /var/log/auth.log ("))
    );
    machine.write("var/log/secure", &(line(10.0, &password("root")) + &line(-4000.0, &password("root"))));
    assert_eq!(machine.failed(101.0), 1.0);
    machine.write("var/log/secure", &line(102.0, &password("root")).replace("sshd", "logger"));
    fs::rename(machine.folder.path().join("var/log/secure"), machine.folder.path().join("var/log/secure.1")).unwrap();
    machine.write("var/log/secure.1", &line(103.0, &password("admin")));
    machine.write("var/log/secure", &line(104.0, &password("admin")));
    let measured = machine.measure(110.0);
    assert_eq!(value(&measured), 2.0);
    assert!(
        texts(&measured)[1].starts_with("3 failed logins from 10.0.0.1 as admin (2), root (1); the last at"),
        "{:?}",
        texts(&measured)
    );

    let chosen = Machine::new(true).set("log_file", &json!("/srv/ssh.log"));
    chosen.fails(100.0, 1, "root", "10.0.0.1");
    assert!(matches!(chosen.measure(101.0).outcome, Outcome::NoData(why) if why.starts_with("/srv/ssh.log (")));
    chosen.write("srv/ssh.log", &(line(100.0, &password("a")) + &line(100.0, &password("b"))));
    assert_eq!(chosen.failed(102.0), 2.0, "of the file alone");
}

#[test]
fn what_nobody_kept_and_clocks_that_jump_harm_nothing() {
    let machine = Machine::new(true);
    machine.fails(100.0, 1, "root", "10.0.0.1");
    for odd in [
        json!(null),
        json!([]),
        json!({"seen": [{"at": "x"}]}),
        json!({"journal": 7}),
        json!({"seen": [{"at": "-262143-01-01T00:00:00Z", "user": "", "address": null, "port": null, "process": null, "kind": "sure"}]}),
    ] {
        machine.last.replace(Some((-9e9, odd.clone())));
        assert_eq!(machine.failed(101.0), 1.0, "{odd}");
    }
    // entries of a time to come are none of today's
    machine.says(1e9, 9, "Failed password for root from 10.0.0.1 port 9 ssh2");
    assert_eq!(machine.failed(110.0), 1.0);
    assert_eq!(machine.failed(1000.0), 0.0);
}
