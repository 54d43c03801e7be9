use std::ops::Range;

use super::*;
use crate::event::{Manager, Outcome, Problem, Subject, UnitName};
use crate::host::journal::{Complaint, Excerpt, Message, Messages, OomKill, Succeeded, Troubled};
use crate::host::manager::{NoAnswer, Timetable, Unit};
use crate::host::world::World;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
}

/// What a machine knows; what it was asked for.
#[derive(Default)]
struct Fake {
    setup: Setup,
    deaths: Deaths,
    changes: Vec<(String, DateTime<Utc>)>,
    /// Mounts, and how much of 1000 bytes is free.
    disks: Vec<(&'static str, u64)>,
    read_only: bool,
    asked: std::cell::RefCell<Vec<Ended>>,
}

impl World for Fake {
    fn messages(&self, _: &Subject, _: DateTime<Utc>) -> Result<Messages, String> {
        unreachable!()
    }

    fn troubled(&self, _: &Manager, _: DateTime<Utc>) -> Result<Troubled, String> {
        unreachable!()
    }

    fn booted(&self) -> Option<DateTime<Utc>> {
        None
    }

    fn succeeded(&self, _: DateTime<Utc>) -> Result<Succeeded, String> {
        unreachable!()
    }

    fn is_handled(&self, _: &Subject) -> Option<bool> {
        unreachable!()
    }

    fn lines(&self, _: &Subject, _: &str, _: DateTime<Utc>, _: usize) -> Result<Excerpt, String> {
        unreachable!()
    }

    fn unit(&self, _: &Subject) -> Option<Unit> {
        unreachable!()
    }

    fn is_failed(&self, _: &Subject) -> bool {
        unreachable!()
    }

    fn problem(&self, _: &Subject) -> Option<Problem> {
        unreachable!()
    }

    fn culprit(&self, _: &Subject) -> Result<Option<String>, NoAnswer> {
        unreachable!()
    }

    fn about(&self, _: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        unreachable!()
    }
}

impl Evidence for Fake {
    fn history(&self, _: &Subject, _: Range<DateTime<Utc>>, _: &mut dyn FnMut(Message) -> bool) -> Result<bool, String> {
        unreachable!()
    }

    fn complaints(&self, _: &Subject, _: DateTime<Utc>) -> Result<Vec<Complaint>, String> {
        Ok(Vec::new())
    }

    fn timetable(&self, _: &Subject) -> Option<Timetable> {
        None
    }

    fn setup(&self, _: &Subject, _: Duration) -> Option<Setup> {
        Some(self.setup.clone())
    }

    fn deaths(&self, _: &Subject, run: Ended, _: Duration) -> Result<Deaths, String> {
        self.asked.borrow_mut().push(run);
        Ok(self.deaths.clone())
    }

    fn changes(&self, paths: Vec<String>, _: Duration) -> Vec<(String, DateTime<Utc>)> {
        self.changes.iter().filter(|(path, _)| paths.contains(path)).cloned().collect()
    }

    fn file_systems(&self, paths: Vec<String>, _: Duration) -> Vec<(String, FileSystem)> {
        let of = |path: &String| {
            let place = self.disks.iter().filter(|(mount, _)| path.starts_with(mount)).max_by_key(|(mount, _)| mount.len())?;
            let (mount, free) = (place.0.to_owned(), place.1);
            Some((path.clone(), FileSystem { mount, size: 1000, free, read_only: self.read_only, ..FileSystem::default() }))
        };
        let mut found: Vec<(String, FileSystem)> = Vec::new();
        for (path, disk) in paths.iter().filter_map(of) {
            if found.iter().all(|(_, seen)| seen.mount != disk.mount) {
                found.push((path, disk));
            }
        }
        found
    }
}

/// A run "a" of x.service that failed so at second 1000.
fn event(result: &str, code: &str, status: &str) -> Event {
    let [service_result, exit_code, exit_status] = [result, code, status].map(|word| Some(word.to_owned()));
    Event {
        subject: Subject::unit(&Manager::System, &UnitName::typed("x.service").unwrap()),
        outcome: Outcome::Failed,
        run: "a".into(),
        invocation_id: Some("a".into()),
        problem: Problem { service_result, exit_code, exit_status, cause: None },
        triggered_by: None,
        start: None,
        restarts: false,
        at: at(1000),
    }
}

fn run(begun: Option<i64>, oom: Option<OomKiller>, cpu: Option<u64>) -> Run {
    let mut run = Run::default();
    (run.begun, run.oom, run.cpu) = (begun.map(at), oom, cpu.map(Duration::from_secs));
    run
}

fn found(world: &Fake, event: &Event, run: &Run, last_success: Option<i64>, excerpt: &[&str]) -> Findings {
    let excerpt: Vec<String> = excerpt.iter().map(|line| (*line).to_owned()).collect();
    let last_success = last_success.map(at);
    findings(world, &Known { event, run: Some(run), restart: None, last_success, excerpt: &excerpt })
}

#[test]
fn what_it_used_is_that_of_this_run() {
    let setup = |run: &str| Setup {
        invocation: Some(run.into()),
        cpu: Some(Duration::from_secs(7)),
        memory: Some(7),
        memory_max: Some(9),
        ..Setup::default()
    };
    let said = run(None, None, Some(5));
    for (what, run, asked, cpu, memory) in [
        ("what the manager said of it comes first", &said, "a", Some(5), Some(7)),
        ("then what the manager knows of it", &Run::default(), "a", Some(7), Some(7)),
        ("what it knows of another run says nothing", &Run::default(), "b", None, None),
        ("and hides nothing", &said, "b", Some(5), None),
    ] {
        let world = Fake { setup: setup(asked), ..Fake::default() };
        let found = found(&world, &event("exit-code", "exited", "1"), run, None, &[]);
        assert_eq!((found.cpu, found.memory, found.memory_max), (cpu.map(Duration::from_secs), memory, Some(9)), "{what}");
    }
}

#[test]
fn what_changed_since_the_last_success_is_named_newest_first() {
    let files = ["/etc/x.service", "/etc/x.service.d/a.conf", "/etc/x.service.d/10-sysalert.conf"].map(str::to_owned).to_vec();
    let setup = Setup { files, programs: vec!["/usr/bin/x".into(), "/usr/bin/x".into()], ..Setup::default() };
    let on = |path: &str, second| (path.to_owned(), at(second));
    let changes = vec![
        on("/etc/x.service", 400),
        on("/etc/x.service.d/a.conf", 900),
        on("/usr/bin/x", 700),
        on("/etc/other", 800),
        on("/etc/x.service.d/10-sysalert.conf", 900),
    ];
    let world = Fake { setup, changes, ..Fake::default() };
    let changed = |world: &Fake, last_success| {
        let found = found(world, &event("exit-code", "exited", "1"), &Run::default(), last_success, &[]);
        found.changed.into_iter().map(|changed| changed.path).collect::<Vec<_>>()
    };
    assert_eq!(changed(&world, Some(500)), ["/etc/x.service.d/a.conf", "/usr/bin/x"]);
    assert_eq!(changed(&world, None), ["/etc/x.service.d/a.conf", "/usr/bin/x", "/etc/x.service"], "within a day");
    let after = Fake { changes: vec![on("/usr/bin/x", 1001), on("/etc/x.service", -90_000)], ..world };
    assert_eq!(changed(&after, None), Vec::<String>::new(), "what came after it, or long before, is not why");
}

#[test]
fn who_had_no_memory_left_is_told_as_far_as_it_is_known() {
    let killed = |limit_of: Option<&str>| OomKill {
        process: "py\\x1b".replace("\\x1b", "\x1b"),
        pid: 7,
        held: Some(100),
        limit_of: limit_of.map(str::to_owned),
    };
    let by = |oom| run(None, oom, None);
    let ours = event("oom-kill", "killed", "KILL");
    let worker = event("exit-code", "exited", "1");
    let deaths = |oom, oomd: Option<&str>| Deaths { oom, oomd: oomd.map(str::to_owned), ..Deaths::default() };
    for (event, run, deaths, cause) in [
        (&ours, by(Some(OomKiller::Kernel)), deaths(Some(killed(None)), None), Some(Exhausted::Machine)),
        (&ours, by(None), deaths(Some(killed(Some("/system.slice/x.service"))), None), Some(Exhausted::Unit)),
        (&ours, by(None), deaths(Some(killed(Some("/system.slice"))), None), Some(Exhausted::Group("/system.slice".into()))),
        (&ours, by(Some(OomKiller::Kernel)), deaths(None, None), None),
        (&worker, by(Some(OomKiller::Kernel)), deaths(None, None), Some(Exhausted::Unknown)),
        (&ours, by(Some(OomKiller::Oomd)), deaths(None, None), Some(Exhausted::Oomd(None))),
        (&ours, by(None), deaths(None, Some("pressure")), Some(Exhausted::Oomd(Some("pressure".into())))),
        (&worker, by(None), deaths(None, None), None),
    ] {
        let has_process = deaths.oom.is_some();
        let world = Fake { deaths, ..Fake::default() };
        let found = found(&world, event, &run, None, &[]).out_of_memory;
        assert_eq!(found.as_ref().map(|found| found.cause.clone()), cause);
        let process = found.and_then(|found| found.process);
        assert_eq!(process, has_process.then(|| ("py\\u{1b}".to_owned(), 7)));
    }
}

/// The kernel's lines are many: they are read only where they may tell something.
#[test]
fn the_journal_is_asked_for_what_may_be_there() {
    for (event, oom, dumped, killed) in [
        (event("exit-code", "exited", "1"), None, false, false),
        (event("exit-code", "exited", "1"), Some(OomKiller::Kernel), false, true),
        (event("core-dump", "dumped", "SEGV"), None, true, false),
        (event("signal", "killed", "KILL"), None, false, true),
        (event("oom-kill", "killed", "TERM"), None, false, true),
    ] {
        let run = run(Some(990), oom, None);
        let world = Fake::default();
        found(&world, &event, &run, None, &[]);
        assert_eq!(*world.asked.borrow(), [Ended { begun: Some(at(990)), at: at(1000), dumped, killed }]);
    }
    let mut nothing_ran = event("dependency", "", "");
    nothing_ran.invocation_id = None;
    let world = Fake::default();
    found(&world, &nothing_ran, &Run::default(), None, &[]);
    assert_eq!(*world.asked.borrow(), []);
}

#[test]
fn the_disks_that_may_be_meant_are_shown() {
    let world = |disks: &[(&'static str, u64)], read_only| Fake {
        setup: Setup { folders: vec!["/var/lib/x".into()], ..Setup::default() },
        disks: disks.to_vec(),
        read_only,
        ..Fake::default()
    };
    let all = [("/", 500), ("/srv", 0), ("/var", 50), ("/var/lib/x", 51)];
    let (full, read_only) = ("x: write to \"/srv/y\": No space left on device", "touch: /srv/y: Read-only file system");
    for (lines, world, expected) in [
        (vec!["x: well"], world(&all, false), vec![]),
        (vec![full, "x: exits"], world(&all, false), vec!["/srv", "/var"]),
        (vec!["/bin/dd: error writing '/srv/y': No space left on device"], world(&all, false), vec!["/srv", "/var"]),
        (vec![full], world(&[("/", 500)], false), vec!["/"]),
        (vec!["x: No space left on device"], world(&[("/", 500)], false), vec![]),
        (vec!["x: No space left on device"], world(&[("/", 50)], false), vec!["/"]),
        (vec!["/old: No space left on device", read_only], world(&all, true), vec!["/srv"]),
        (vec![read_only], world(&all, false), vec![]),
    ] {
        let found = found(&world, &event("exit-code", "exited", "1"), &Run::default(), None, &lines).disks;
        assert_eq!(found.iter().map(|disk| disk.mount.as_str()).collect::<Vec<_>>(), expected, "{lines:?}");
    }
}

#[test]
fn the_paths_of_a_line_are_found() {
    for (line, expected) in [
        ("rsync: write failed on \"/srv/a b/db.tar\": No space left on device (28)", vec!["/srv/a b/db.tar"]),
        ("cp: error writing '/srv/x': No space left on device", vec!["/srv/x"]),
        ("open /var/lib/app/wal: no space left, tmp=/tmp/y;", vec!["/var/lib/app/wal", "/tmp/y"]),
        ("cannot write ‘/srv/ä’ (1/2 done)", vec!["/srv/ä"]),
        ("a/b and http://x/y", vec!["//x/y"]),
        ("ends with /", vec!["/"]),
        ("nothing", vec![]),
    ] {
        assert_eq!(paths(line).collect::<Vec<_>>(), expected, "{line}");
    }
}
