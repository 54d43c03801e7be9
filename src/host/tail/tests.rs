use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::host::clock;

/// A log and who reads it, again and again.
struct Reader {
    folder: tempfile::TempDir,
    place: Option<Place>,
    rotated: Cell<u64>,
}

impl Reader {
    fn new() -> Reader {
        Reader { folder: tempfile::tempdir().unwrap(), place: None, rotated: Cell::new(0) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, text: &str) {
        self.write_to("log", text.as_bytes());
    }

    fn write_to(&self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
        self.is_older_by_now(to);
    }

    /// Two rotations are never in the same tick of the clock; here they would be.
    fn is_older_by_now(&self, name: &str) {
        self.rotated.set(self.rotated.get() + 1);
        let time = clock::system() + chrono::TimeDelta::seconds(i64::try_from(self.rotated.get()).unwrap());
        File::open(self.path(name)).unwrap().set_modified(time.into()).unwrap();
    }

    fn copy_and_truncate(&self, to: &str) {
        fs::copy(self.path("log"), self.path(to)).unwrap();
        self.is_older_by_now(to);
        File::options().write(true).open(self.path("log")).unwrap().set_len(0).unwrap();
    }

    /// What is new, joined by spaces; "(gap)" where lines were lost.
    fn read(&mut self) -> String {
        let mut found = Vec::new();
        let reached = lines(&self.path("log"), self.place.as_ref(), &mut |line| found.push(line.to_owned())).unwrap();
        if reached.gap {
            found.push("(gap)".to_owned());
        }
        assert!(!reached.more);
        self.place = Some(reached.place);
        found.join(" ")
    }
}

#[test]
fn each_line_is_read_once_and_when_it_is_whole() {
    let mut log = Reader::new();
    log.write("a\nb");
    assert_eq!(log.read(), "a");
    assert_eq!(log.read(), "");
    log.write("b\n\nc\n");
    assert_eq!(log.read(), "bb  c");
    log.write_to("log", b"\xff\0\n");
    assert_eq!(log.read(), "\u{fffd}\0");
    log.write(&format!("{}\nd\n", "x".repeat(50_000)));
    assert_eq!(log.read(), format!("{} d", "x".repeat(16 * 1024)), "of a long line its beginning");
}

#[test]
fn nothing_is_lost_or_read_twice_when_the_log_is_renamed() {
    let mut log = Reader::new();
    log.write("a\n");
    assert_eq!(log.read(), "a");
    log.write("b\n");
    log.rename("log", "log.1");
    log.write_to("log.1", b"c\nno end");
    log.write("d\n");
    assert_eq!(log.read(), "b c no end d");
    log.rename("log", "log-20261121");
    log.write("e\n");
    assert_eq!(log.read(), "e", "nothing was written to the old one");
}

#[test]
fn nothing_is_lost_or_read_twice_when_the_log_is_copied_and_truncated() {
    let mut log = Reader::new();
    log.write("a\n");
    assert_eq!(log.read(), "a");
    log.write("b\n");
    log.copy_and_truncate("log.1");
    log.write("c\n");
    assert_eq!(log.read(), "b c");
    // it grows beyond the place: only what stands before that tells
    log.copy_and_truncate("log.1");
    log.write("longer than before\n");
    assert_eq!(log.read(), "longer than before");
    log.copy_and_truncate("log.1");
    assert_eq!(log.read(), "");
    log.write("d\n");
    assert_eq!(log.read(), "d");
}

#[test]
fn nothing_is_lost_or_read_twice_when_the_log_is_rotated_while_it_is_read() {
    let rename = |log: &Reader| log.rename("log", "log.1");
    let copy = |log: &Reader| log.copy_and_truncate("log.1");
    for (name, rotate) in [("renamed", &rename as &dyn Fn(&Reader)), ("copied and truncated", &copy)] {
        let mut log = Reader::new();
        log.write("a\n");
        assert_eq!(log.read(), "a");
        // of the flood only the beginning is in a buffer when the log is rotated
        let flood = "0123456789abcdef\n".repeat(10_000);
        log.write(&format!("b\n{flood}c\n"));
        let mut found = Vec::new();
        let reached = lines(&log.path("log"), log.place.as_ref(), &mut |line| {
            if found.is_empty() {
                rotate(&log);
                log.write("d\n");
            }
            found.push(line.to_owned());
        });
        log.place = Some(reached.unwrap().place);
        log.write("e\n");
        let rest = log.read();
        let all: Vec<&str> = found.iter().map(String::as_str).chain(rest.split(' ')).collect();
        assert_eq!((all[0], &all[10_001..]), ("b", &["c", "d", "e"][..]), "{name}");
        assert_eq!(log.read(), "", "{name}");
    }
}

#[test]
fn several_rotations_between_two_readings() {
    let mut log = Reader::new();
    log.write("a\n");
    assert_eq!(log.read(), "a");
    log.write("b\n");
    log.rename("log", "log.2");
    log.write("c\n");
    log.rename("log", "log.1");
    log.write("d\n");
    log.write_to("log.3.gz", b"z\n");
    assert_eq!(log.read(), "b c d");
}

#[test]
fn it_says_when_what_was_left_is_gone() {
    let mut log = Reader::new();
    log.write("a\n");
    assert_eq!(log.read(), "a");
    fs::remove_file(log.path("log")).unwrap();
    // often with the number of the one before
    log.write("b\n");
    assert_eq!(log.read(), "b (gap)");
    assert_eq!(log.read(), "");
}

#[test]
fn an_empty_log_that_is_renamed_is_known_by_its_number() {
    let mut log = Reader::new();
    log.write("");
    assert_eq!(log.read(), "");
    log.write("a\n");
    log.rename("log", "log.1");
    log.write_to("log.2", b"old\n");
    log.write("b\n");
    assert_eq!(log.read(), "a b");
}

#[test]
fn a_flood_is_read_in_parts_also_across_a_rotation() {
    let mut log = Reader::new();
    log.write("first\n");
    assert_eq!(log.read(), "first");
    let flood = "0123456789abcdef\n".repeat(1024 * 1024);
    log.write(&flood);
    log.rename("log", "log.1");
    log.write("last\n");
    let (mut count, mut last, mut readings) = (0, String::new(), 0);
    loop {
        let reached = lines(&log.path("log"), log.place.as_ref(), &mut |line| {
            count += 1;
            last = line.to_owned();
        });
        let reached = reached.unwrap();
        log.place = Some(reached.place);
        readings += 1;
        if !reached.more {
            break;
        }
    }
    assert_eq!((count, last.as_str(), readings), (1024 * 1024 + 1, "last", 3));
}

#[test]
fn a_first_reading_begins_at_a_line() {
    let mut log = Reader::new();
    log.write(&"0123456789abcdef\n".repeat(1024 * 1024));
    assert!(log.read().split(' ').all(|line| line == "0123456789abcdef"));
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for name in ["fifo", "none", ""] {
        assert!(lines(&folder.path().join(name), None, &mut |_| ()).is_err(), "{name}");
    }
}
