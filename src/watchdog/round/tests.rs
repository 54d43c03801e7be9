//! Rounds in a world of their own: what is done and told, over several of them.

use std::time::Duration;

use super::*;
use crate::incident::{Acknowledgement, Flapping, How, Incident, Severity};
use crate::store::Older;

/// Rows in alarm: number, name, whether somebody acknowledged it; and a database that takes notes or does not.
#[derive(Default)]
struct Script {
    rows: Vec<(i64, &'static str, bool)>,
    takes_no_notes: bool,
    is_away: bool,
    is_late: bool,
    left: usize,
    restarts: Vec<String>,
    settled: Vec<Value>,
    told: Vec<String>,
}

impl World for Script {
    fn ask(&mut self, request: Value) -> Answer<Value> {
        if self.is_away {
            return Err("nobody answers".to_owned());
        }
        if request["task"] == "alarms" {
            let has = |key: &str, value: Value| request[key].as_array().unwrap().contains(&value);
            let told = |wanted: &dyn Fn(i64, &str, bool) -> bool| -> Vec<Value> {
                let rows = self.rows.iter().filter(|(id, name, sound)| wanted(*id, name, *sound));
                rows.map(|(id, name, sound)| json!({ "id": id, "name": name, "sound": sound })).collect()
            };
            return Ok(json!({
                "known": told(&|id, _, _| has("known", id.into())),
                "new": told(&|id, _, sound| !sound && !has("known", id.into())),
                "acknowledged": told(&|_, _, sound| sound),
                "left": self.left,
                "cut": false,
            }));
        }
        self.settled.push(request["ids"].clone());
        if self.takes_no_notes { Err("read-only".to_owned()) } else { Ok(json!(1)) }
    }

    fn restart(&mut self, name: &ProcessName, _: DateTime<Utc>) -> Answer<()> {
        self.restarts.push(name.to_string());
        Ok(())
    }

    fn outcome(&mut self, _: &ProcessName, _: DateTime<Utc>) -> Answer<()> {
        Err("nobody asked".to_owned())
    }

    fn can_restart(&mut self, process: &Process) -> Answer<()> {
        if process.name.as_str() == "db" { Err("there is no db.service: set `system_name`".to_owned()) } else { Ok(()) }
    }

    fn is_late(&self) -> bool {
        self.is_late
    }

    fn news(&mut self, _: &mut Store, news: &[News]) -> Result<()> {
        self.told.extend(news.iter().map(|news| match &news.what {
            Ok(how) => format!("{}: {how}", news.subject.name()),
            Err(alarm) => format!("{} {alarm}", news.subject.name()),
        }));
        Ok(())
    }
}

struct Bench {
    _folder: tempfile::TempDir,
    store: Store,
    settings: Settings,
    processes: Processes,
}

const SECTIONS: &str = "[processes]\n[process.web]\n[process.db]\n[process.app]\ndepends_on = [\"db\"]\n";

fn now() -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(20)).unwrap();
        let settings = Settings::read(&[("x.toml".into(), SECTIONS.to_owned())]).unwrap();
        let processes = settings.processes.clone().unwrap();
        Bench { _folder: folder, store, settings, processes }
    }

    /// An incident that somebody was told of.
    fn open(&mut self, name: &str, flapping: Option<Flapping>) {
        let begin = |db: &store::Database| {
            let incident = store::begin(db, &Subject::process(name), Severity::Critical, now())?.failed(now(), true);
            store::save(db, &Incident { flapping, ..incident }, now())
        };
        self.store.write(|db| begin(db)).unwrap();
    }

    fn incident(&self, name: &str) -> Incident {
        self.store.with(|db| store::active(db, &Subject::process(name))).unwrap().unwrap()
    }

    fn round(&mut self, world: &mut Script) -> Vec<String> {
        let Bench { store, settings, processes, .. } = self;
        let reported = round(store, settings, processes, world, &now, false).unwrap();
        reported.into_iter().map(|one| format!("{}: {}", one.shown, one.done)).collect()
    }
}

#[test]
fn a_database_that_takes_no_notes_is_not_told_as_well() {
    let mut bench = Bench::new();
    let mut world = Script { rows: vec![(1, "web", false)], takes_no_notes: true, ..Script::default() };
    bench.round(&mut world);
    world.told.clear();
    for _ in 0..4 {
        bench.round(&mut world);
    }
    let why = "v_process_monitor takes no note of what was restarted: read-only";
    assert_eq!((world.restarts.len(), world.told.as_slice()), (1, &[why; 4].map(str::to_owned)[..]));
    world.told.clear();
    world.takes_no_notes = false;
    bench.round(&mut world);
    assert_eq!((world.restarts.len(), world.told.as_slice()), (1, &["v_process_monitor: it works again".to_owned()][..]));
}

#[test]
fn a_run_that_took_its_time_begins_no_restart_and_the_next_one_does() {
    let mut bench = Bench::new();
    let mut world = Script { rows: vec![(1, "web", false)], is_late: true, ..Script::default() };
    assert_eq!(bench.round(&mut world), ["web: the next run restarts it: this one has no time left"]);
    assert!(world.restarts.is_empty() && world.settled.is_empty());
    world.is_late = false;
    assert_eq!(bench.round(&mut world), ["web: restarted, and healthy"]);
}

#[test]
fn what_somebody_acknowledged_is_still_down_for_what_depends_on_it() {
    let mut bench = Bench::new();
    let mut world = Script { rows: vec![(1, "app", false), (2, "db", true)], ..Script::default() };
    assert_eq!(bench.round(&mut world), ["app: waits"]);
    assert!(world.restarts.is_empty());
    let waits = "app is in alarm; its restart waits for db, which is in alarm, too";
    assert!(world.told.iter().any(|told| told == waits), "{:?}", world.told);
    world.rows.pop();
    bench.round(&mut world);
    assert_eq!(world.restarts, ["app"]);
}

const DONE: ByHand = ByHand { failed: None, not_ended: None };

#[test]
fn a_restart_by_hand_while_the_database_is_away_is_not_made_again_when_it_is_back() {
    let mut bench = Bench::new();
    let mut world = Script { is_away: true, ..Script::default() };
    let name = ProcessName::parse("web").unwrap();
    let done = by_hand(&mut bench.store, &bench.processes, &mut world, &now, &name, "anna").unwrap();
    assert_eq!(done, ByHand { not_ended: Some("nobody answers".to_owned()), ..DONE });
    world.is_away = false;
    world.rows = vec![(1, "web", false), (2, "web", true)];
    assert_eq!(bench.round(&mut world), ["web: left alone: it was restarted"]);
    assert_eq!((world.restarts.len(), world.settled.as_slice()), (1, &[json!([1, 2])][..]));
    // a later alarm is another one
    bench.round(&mut world);
    assert_eq!(world.restarts.len(), 2);
    // nor is one on record that none can be ended, and that the command says
    world.takes_no_notes = true;
    let done = by_hand(&mut bench.store, &bench.processes, &mut world, &now, &name, "anna").unwrap();
    assert_eq!(done, ByHand { not_ended: Some("read-only".to_owned()), ..DONE });
}

#[test]
fn what_its_database_acknowledges_is_acknowledged_until_it_takes_that_back() {
    let mut bench = Bench::new();
    for name in ["web", "db", "app"] {
        bench.open(name, None);
    }
    let why = Acknowledgement { by: "anna".to_owned(), at: now(), why: None, taken_back: None };
    bench.store.write(|db| store::acknowledge(db, &Subject::process("app"), why)).unwrap();
    let known = |bench: &Bench, name: &str| {
        let incident = bench.incident(name);
        (incident.state.as_str(), incident.known().map(|known| known.by.clone()))
    };
    let there = || ("acknowledged", Some("the database".to_owned()));
    // that of one row says nothing about the other
    let rows = vec![(1, "web", true), (2, "db", true), (3, "db", false), (4, "app", true)];
    let mut world = Script { rows, is_late: true, ..Script::default() };
    bench.round(&mut world);
    assert_eq!((known(&bench, "web"), known(&bench, "db")), (there(), ("open", None)));
    let kept = bench.store.with(store::process_alarms).unwrap();
    assert_eq!(kept.iter().map(|row| row.known_of).collect::<Vec<_>>(), [true, true, false, true]);
    // and it is open again
    world.rows = vec![(1, "web", false), (2, "db", true), (3, "db", true), (4, "app", false)];
    bench.round(&mut world);
    assert_eq!((known(&bench, "web"), known(&bench, "db")), (("open", None), there()));
    assert_eq!((bench.incident("web").reopened_at(), bench.incident("db").reopened_at()), (Some(now()), None));
    // what somebody said here is theirs
    assert_eq!(known(&bench, "app"), ("acknowledged", Some("anna".to_owned())));
}

#[test]
fn what_flaps_and_is_acknowledged_in_alarm_is_not_well() {
    let mut bench = Bench::new();
    let mut world = Script { rows: vec![(1, "web", false), (2, "pg", false)], ..Script::default() };
    bench.round(&mut world);
    let hour_ago = now() - Duration::from_secs(3600);
    let flapping = Flapping { how: How::Alternating, since: hour_ago, times: 5, last: hour_ago, over: false };
    bench.open("web", Some(flapping));
    // a row that no run has seen in alarm
    world.rows = vec![(3, "web", true)];
    world.told.clear();
    bench.round(&mut world);
    assert!(!world.told.iter().any(|told| told.starts_with("web")), "{:?}", world.told);
    // and the time in which it stays well has not begun
    let last = bench.incident("web").flapping.map(|flapping| flapping.last);
    assert_eq!((last, bench.incident("web").state.as_str()), (Some(now()), "acknowledged"));
    // of rows that were left out nobody knows
    world.rows.clear();
    world.left = 1;
    bench.round(&mut world);
    assert!(!world.told.contains(&"web: it stays well".to_owned()), "{:?}", world.told);
    world.left = 0;
    bench.round(&mut world);
    assert!(world.told.contains(&"web: it stays well".to_owned()), "{:?}", world.told);
}

#[test]
fn a_restart_by_hand_ends_all_alarms_of_its_process_also_those_that_no_run_has_seen() {
    let mut bench = Bench::new();
    let mut world = Script { rows: vec![(1, "app", false), (2, "web", false), (3, "web", true)], ..Script::default() };
    let Bench { store, processes, .. } = &mut bench;
    let name = ProcessName::parse("web").unwrap();
    assert_eq!(by_hand(store, processes, &mut world, &now, &name, "anna").unwrap(), DONE);
    assert_eq!((world.restarts.as_slice(), world.settled.as_slice()), (&["web".to_owned()][..], &[json!([2, 3])][..]));
    assert_eq!(store.with(store::process_alarms).unwrap(), []);
}

#[test]
fn a_dry_run_says_what_could_not_be_restarted() {
    let Bench { mut store, settings, processes, .. } = Bench::new();
    let mut world = Script { rows: vec![(1, "db", false), (2, "web", false), (3, "app", false)], ..Script::default() };
    let reported = round(&mut store, &settings, &processes, &mut world, &now, true).unwrap();
    let told: Vec<String> =
        reported.into_iter().map(|one| format!("{} {}, {}", one.shown, one.wrong.unwrap(), one.done)).collect();
    let expected = [
        "db is in alarm, and is not restarted: there is no db.service: set `system_name`, would not be restarted",
        "app is in alarm; its restart waits for db, which is in alarm, too, waits",
        "web is in alarm; a restart is tried, would be restarted",
    ];
    assert_eq!(told, expected);
    assert!(world.restarts.is_empty() && world.told.is_empty());
}

#[test]
fn what_is_not_in_alarm_any_more_is_told_as_well_so_that_its_flapping_can_end() {
    let mut bench = Bench::new();
    let mut world = Script { rows: vec![(1, "web", false)], ..Script::default() };
    bench.round(&mut world);
    assert!(!world.told.contains(&"web: it stays well".to_owned()), "{:?}", world.told);
    world.rows.clear();
    bench.round(&mut world);
    assert!(world.told.contains(&"web: it stays well".to_owned()), "{:?}", world.told);
}
