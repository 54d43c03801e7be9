//! Of the file, with a real database and a world that knows when units succeeded.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::event::{Event, Outcome, Problem, UnitName};
use crate::host::journal::{Excerpt, Messages, Succeeded, Troubled};
use crate::host::manager::{NoAnswer, Unit};
use crate::store::Older;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_600_000 + second, 0).unwrap()
}

fn subject(unit: &str) -> Subject {
    Subject::unit(&Manager::System, &UnitName::typed(unit).unwrap())
}

/// Its journal has these successes; of these units `OnFailure=` names sysalert.
struct Fake {
    successes: Vec<(&'static str, i64)>,
    handled: &'static [&'static str],
    asked_since: Cell<Option<DateTime<Utc>>>,
    unreadable: bool,
}

impl World for Fake {
    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn succeeded(&self, since: DateTime<Utc>) -> std::result::Result<Succeeded, String> {
        self.asked_since.set(Some(since));
        if self.unreadable {
            return Err("the journal cannot be read: no".into());
        }
        let found = self.successes.iter().filter(|(_, second)| at(*second) > since);
        let units = found.clone().map(|(name, second)| (format!("{name}.service"), at(*second))).collect();
        Ok(Succeeded { units, messages: found.count(), until: None })
    }

    fn is_handled(&self, subject: &Subject) -> Option<bool> {
        Some(self.handled.iter().any(|unit| subject.name() == format!("{unit}.service")))
    }

    fn messages(&self, _: &Subject, _: DateTime<Utc>) -> std::result::Result<Messages, String> {
        Err("not asked".into())
    }

    fn troubled(&self, _: &Manager, _: DateTime<Utc>) -> std::result::Result<Troubled, String> {
        Err("not asked".into())
    }

    fn lines(&self, _: &Subject, _: &str, _: DateTime<Utc>, _: usize) -> std::result::Result<Excerpt, String> {
        Err("not asked".into())
    }

    fn unit(&self, _: &Subject) -> Option<Unit> {
        None
    }

    fn is_failed(&self, _: &Subject) -> bool {
        false
    }

    fn problem(&self, _: &Subject) -> Option<Problem> {
        None
    }

    fn culprit(&self, _: &Subject) -> std::result::Result<Option<String>, NoAnswer> {
        Ok(None)
    }

    fn about(&self, _: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        None
    }
}

/// A state folder with one failure of b.service, and a folder for the file.
struct Machine {
    folder: TempDir,
    store: Store,
    world: Fake,
}

impl Machine {
    fn new(successes: &[(&'static str, i64)]) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(60)).unwrap();
        let world = Fake { successes: successes.to_vec(), handled: &["a"], asked_since: Cell::default(), unreadable: false };
        let mut machine = Machine { folder, store, world };
        machine.fails("b", 0);
        machine
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("metrics/sysalert.prom")
    }

    fn fails(&mut self, unit: &str, second: i64) {
        let event = Event {
            subject: subject(unit),
            outcome: Outcome::Failed,
            run: second.to_string(),
            invocation_id: None,
            problem: Problem::default(),
            triggered_by: None,
            start: None,
            restarts: false,
            at: at(second),
        };
        self.store.write(|db| store::insert(db, &event, true)).unwrap();
    }

    fn update(&mut self, second: i64) {
        let text = format!("[metrics]\ntextfile = {:?}\n[unit.\"s*\"]\nsweep = true\n", self.file());
        let settings = Settings::read(&[("x.toml".into(), text)]).unwrap();
        let measuring =
            Measuring { settings: &settings, manager: &Manager::System, world: &self.world, version: "1", now: at(second) };
        update(&mut self.store, measuring);
    }

    /// What the file says of this metric.
    fn lines(&self, metric: &str) -> Vec<String> {
        let text = fs::read_to_string(self.file()).unwrap();
        text.lines().filter(|line| line.starts_with(metric)).map(str::to_owned).collect()
    }

    fn last_successes(&self) -> Vec<String> {
        let metric = "sysalert_unit_last_success_timestamp_seconds{manager=\"system\",unit=\"";
        let lines = self.lines(metric);
        let short = |line: &String| line.replace(metric, "").replace(".service\"} ", " ").replace("17676000", "");
        lines.iter().map(short).collect()
    }

    fn kept_until(&self) -> Option<i64> {
        self.store.with(store::succeeded).unwrap().map(|mark| (mark - at(0)).num_seconds())
    }
}

#[test]
fn everybody_may_read_the_file_and_it_is_replaced_only_when_that_tells_more() {
    let mut machine = Machine::new(&[]);
    fs::create_dir(machine.file().parent().unwrap()).unwrap();
    machine.update(0);
    let inode = || fs::metadata(machine.file()).unwrap().ino();
    assert_eq!(fs::metadata(machine.file()).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(machine.lines("sysalert_last_run"), ["sysalert_last_run_timestamp_seconds 1767600000"]);
    let first = inode();
    machine.update(299);
    assert_eq!(fs::metadata(machine.file()).unwrap().ino(), first, "only the time is new");
    machine.update(300);
    assert_eq!(machine.lines("sysalert_last_run"), ["sysalert_last_run_timestamp_seconds 1767600300"]);
    machine.fails("b", 301);
    machine.update(302);
    let failures = "sysalert_unit_failures_total{manager=\"system\",unit=\"b.service\"}";
    assert_eq!(machine.lines(failures), [format!("{failures} 2")]);
    // a draft that a run left behind is in nobody's way
    fs::write(machine.file().with_file_name(".sysalert.prom.draft"), "half").unwrap();
    machine.fails("b", 303);
    machine.update(304);
    assert_eq!(machine.lines(failures), [format!("{failures} 3")]);
    assert_eq!(fs::read_dir(machine.file().parent().unwrap()).unwrap().count(), 1, "no draft is left");
}

#[test]
fn what_goes_wrong_is_noted_until_it_is_mended() {
    let mut machine = Machine::new(&[]);
    machine.update(0);
    let noted = |machine: &Machine| machine.store.with(store::metrics_trouble).unwrap();
    let trouble = noted(&machine).unwrap();
    assert!(trouble.starts_with("cannot write the metrics to ") && trouble.contains("\nhint: the user sysalert"), "{trouble}");
    assert!(!note(&mut machine.store, Some(&trouble)).unwrap(), "it was said");
    machine.update(60);
    assert_eq!(noted(&machine), Some(trouble));
    fs::create_dir(machine.file().parent().unwrap()).unwrap();
    machine.update(120);
    assert_eq!(noted(&machine), None);
    machine.world.unreadable = true;
    machine.fails("b", 150);
    machine.update(180);
    assert_eq!(machine.lines("sysalert_last_run"), ["sysalert_last_run_timestamp_seconds 1767600180"], "the rest is told");
    let unread = "when units last succeeded is not measured: the journal cannot be read: no";
    assert_eq!(noted(&machine).as_deref(), Some(unread));
}

#[test]
fn nothing_but_a_file_is_replaced() {
    let mut machine = Machine::new(&[]);
    let file = machine.file();
    fs::create_dir(file.parent().unwrap()).unwrap();
    let other = file.with_file_name("other");
    fs::write(&other, "of somebody").unwrap();
    let wrongs: [fn(&Path, &Path); 4] = [
        |file, other| symlink(other, file).unwrap(),
        |file, _| symlink("/nowhere", file).unwrap(),
        |file, _| drop(UnixListener::bind(file).unwrap()),
        |file, _| fs::create_dir(file).unwrap(),
    ];
    for (number, make) in wrongs.iter().enumerate() {
        make(&file, &other);
        let before = fs::symlink_metadata(&file).unwrap();
        machine.update(0);
        let said = machine.store.with(store::metrics_trouble).unwrap().unwrap_or_default();
        assert!(said.contains("it is no regular file, and stays as it is\nhint: `textfile` must name"), "{said}");
        assert_eq!(fs::symlink_metadata(&file).unwrap().ino(), before.ino());
        fs::rename(&file, file.with_file_name(number.to_string())).unwrap();
    }
    assert_eq!(fs::read_to_string(other).unwrap(), "of somebody");
    machine.update(60);
    assert_eq!(machine.store.with(store::metrics_trouble).unwrap(), None);
}

#[test]
fn the_last_success_is_of_units_that_sysalert_speaks_for_and_kept_each_hour() {
    let mut machine = Machine::new(&[("a", -60), ("b", -50), ("other", -40), ("swept", -30)]);
    fs::create_dir(machine.file().parent().unwrap()).unwrap();
    machine.update(0);
    assert_eq!(machine.world.asked_since.get(), Some(at(0) - TimeDelta::days(8)));
    let before = ["a 1767599940", "b 1767599950", "swept 1767599970"];
    assert_eq!(machine.last_successes(), before);
    assert_eq!(machine.kept_until(), Some(-2));

    machine.world.successes = vec![("a", 10), ("b", 20)];
    machine.update(60);
    assert_eq!(machine.last_successes(), ["a 10", "b 20", before[2]]);
    assert_eq!(machine.kept_until(), Some(-2), "an idle machine's disk is left asleep");
    machine.update(4000);
    assert_eq!(machine.kept_until(), Some(3998));
    // the journal is gone
    machine.world.successes.clear();
    machine.update(4060);
    assert_eq!(machine.last_successes(), ["a 10", "b 20", before[2]]);
    machine.update(-100_000);
    assert_eq!(machine.world.asked_since.get(), Some(at(-100_000) - TimeDelta::hours(1)), "the clock was set back");
}

#[test]
fn what_is_much_is_kept_at_once() {
    let mut machine = Machine::new(&[]);
    fs::create_dir(machine.file().parent().unwrap()).unwrap();
    machine.update(0);
    machine.world.successes = vec![("a", 10); 500];
    machine.update(60);
    assert_eq!((machine.kept_until(), machine.last_successes()), (Some(58), vec!["a 10".to_owned()]));
}
