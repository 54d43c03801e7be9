//! The machine during one run of the sensors: what one of them has read is not read again for another one, so that both judge the
//! same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::clock;
use super::journal::{Bookmark, Entry, Reached, Writer};
use super::manager::Counts;
use super::program::Ran;
use super::sensing::Sensing;
use super::space::{Answer, Asked};
use super::tail::{self, Place};
use super::tasks::Blocked;

/// So long all programs of a run may take together: its unit ends it after ten minutes, with all that the others have seen.
const PROGRAMS: Duration = Duration::from_secs(9 * 60);

/// A machine, and what was read of it.
pub struct Once<'a> {
    machine: &'a dyn Sensing,
    /// No program is started that may end after this.
    until: Instant,
    read: RefCell<BTreeMap<String, io::Result<String>>>,
}

impl<'a> Once<'a> {
    /// Nothing was read yet.
    pub fn new(machine: &'a dyn Sensing) -> Once<'a> {
        Once { machine, until: clock::started() + PROGRAMS, read: RefCell::default() }
    }
}

impl Sensing for Once<'_> {
    fn read(&self, path: &str) -> io::Result<String> {
        again(self.read.borrow_mut().entry(path.to_owned()).or_insert_with(|| self.machine.read(path)))
    }

    fn read_again(&self, path: &str) -> io::Result<String> {
        self.machine.read_again(path)
    }

    fn watcher(&self) -> Option<String> {
        self.machine.watcher()
    }

    fn wait(&self, time: Duration) {
        self.machine.wait(time);
    }

    fn spaces(&self, asked: &[Asked], within: Duration) -> Vec<Answer> {
        self.machine.spaces(asked, within)
    }

    fn blocked(&self) -> io::Result<Vec<Blocked>> {
        self.machine.blocked()
    }

    fn entries(&self, writer: Writer, from: &Bookmark, take: &mut dyn FnMut(Entry)) -> Result<Reached, String> {
        self.machine.entries(writer, from, take)
    }

    fn lines(&self, path: &str, from: Option<&Place>, line: &mut dyn FnMut(&str)) -> io::Result<tail::Reached> {
        self.machine.lines(path, from, line)
    }

    fn units(&self) -> Option<Counts> {
        self.machine.units()
    }

    fn run(&self, program: &str, arguments: &[String], limit: Duration, longest: usize) -> io::Result<Ran> {
        if clock::started() + limit > self.until {
            let minutes = PROGRAMS.as_secs() / 60;
            return Err(io::Error::other(format!(
                "those before it took too much of the {minutes} minutes that all have together: give them a shorter `timeout`, or a longer `every`"
            )));
        }
        self.machine.run(program, arguments, limit, longest)
    }
}

/// The same once more: an error cannot be cloned.
fn again(read: &io::Result<String>) -> io::Result<String> {
    match read {
        Ok(text) => Ok(text.clone()),
        Err(error) => Err(match error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(error.kind(), error.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Machine(Cell<u32>);

    impl Sensing for Machine {
        fn read(&self, path: &str) -> io::Result<String> {
            self.0.set(self.0.get() + 1);
            match path {
                "/here" => Ok(self.0.get().to_string()),
                "/odd" => Err(io::Error::other("it is odd")),
                _ => Err(io::Error::from_raw_os_error(95)),
            }
        }

        fn wait(&self, _: Duration) {}
    }

    #[test]
    fn a_program_that_could_outlast_the_run_is_not_started() {
        let machine = Machine(Cell::default());
        let once = Once { until: clock::started() + Duration::from_secs(60), ..Once::new(&machine) };
        let run = |limit| once.run("/bin/true", &[], Duration::from_secs(limit), 100);
        assert_eq!(run(30).unwrap().end, super::super::program::End::Exited(0));
        let refused = run(61).unwrap_err().to_string();
        assert!(refused.starts_with("those before it took too much of the 9 minutes"), "{refused}");
    }

    #[test]
    fn what_was_read_is_the_same_for_everybody_errors_too() {
        let machine = Machine(Cell::default());
        let once = Once::new(&machine);
        for _ in 0..3 {
            assert_eq!(once.read("/here").unwrap(), "1");
            assert_eq!(once.read("/odd").unwrap_err().to_string(), "it is odd");
            assert_eq!(once.read("/none").unwrap_err().raw_os_error(), Some(95));
        }
        assert_eq!(machine.0.get(), 3);
        assert_eq!(once.read_again("/here").unwrap(), "4");
        assert_eq!(once.read("/here").unwrap(), "1");
    }
}
