//! A real database, damaged in hundreds of ways: each time a handler runs, and dispatch. The new failure is recorded once and
//! told, what still fails is known or told again, what had recovered stays silent, and in the end the database is whole.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]
// the story is shared with tests/cases.rs
#![allow(unreachable_pub)]

#[path = "cases/damage.rs"]
mod damage;
#[path = "cases/machine.rs"]
mod machine;
#[path = "cases/story.rs"]
mod story;
#[path = "cases/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use story::{Story, Telling};
use sysalert::event::{Event, Manager, Outcome, UnitName};
use sysalert::host::Site;
use sysalert::host::site::ConfigPlace;
use sysalert::pipeline;
use sysalert::settings::Settings;
use sysalert::store::{self, Older, Stage, Store};
use sysalert::trigger::handler;
use world::StoryWorld;

const PAGE: usize = 4096;
const FILE: &str = "sysalert.db";
const LOG: &str = "sysalert.db-wal";

/// open.service was told and still fails; waits.service still fails, and its alert waits; over.service was told, also that it
/// recovered; quiet.service is ignored so far. Then there is some history, so that tables have several pages.
const BEFORE: &str = r#"
config = """
[policy]
ignore = 0
[storm]
incidents = 0
[unit."quiet.service"]
ignore = 5
[method.mail]
plugin = "email"
"""
steps = [
    { at = "0s", dispatch = { mail = "sent" } },
    { at = "1s", failed = { unit = "over.service" } },
    { at = "2s", dispatch = { mail = "sent" } },
    { at = "3s", succeeded = { unit = "over.service" } },
    { at = "4s", dispatch = { mail = "sent" } },
    { at = "5s", failed = { unit = "open.service" } },
    { at = "6s", failed = { unit = "quiet.service" } },
    { at = "7s", dispatch = { mail = "sent" } },
"#;

/// The rest of it; what it leaves in the log is what dispatch has not copied yet.
const AFTER: &str = r#"
steps = [
    { at = "30m", failed = { unit = "waits.service" } },
    { at = "30m 1s", dispatch = { mail = "retry: busy" } },
    { at = "30m 2s", failed = { unit = "open.service" } },
]"#;

/// The failure that meets the damaged database, and the runs of dispatch that follow.
const NEW: &str = r#"
steps = [
    { at = "1h", failed = { unit = "new.service" } },
    { at = "1h 1s", dispatch = { mail = "sent" } },
    { at = "1h 1m", dispatch = { mail = "sent" } },
    { at = "2h", dispatch = { mail = "sent" } },
]"#;

fn before(folder: &Path) -> Telling {
    let runs = (0..60).map(|number| format!("{{ at = \"{}s\", failed = {{ unit = \"many.service\" }} }},\n", 60 + number));
    let ends = "{ at = \"200s\", dispatch = { mail = \"sent\" } }, { at = \"201s\", succeeded = { unit = \"many.service\" } },
        { at = \"202s\", dispatch = { mail = \"sent\" } },\n]";
    let path = folder.join("case.toml");
    fs::write(&path, format!("{BEFORE}{}{ends}", runs.collect::<String>())).unwrap();
    let state = folder.join("before");
    fs::create_dir(&state).unwrap();
    let mut telling = Story::read(&path).tell(&state);
    checkpoint(&state);
    telling.go_on(AFTER);
    telling
}

/// Copies the log into the file.
fn checkpoint(state: &Path) {
    let db = Connection::open(state.join(FILE)).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

/// What came of a way to damage it.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    #[default]
    Harmless,
    /// Nothing was lost.
    Whole,
    /// Something could be read.
    Partly,
    Nothing,
}

#[track_caller]
fn tried(telling: &Telling, name: &str, damage: impl FnOnce(&Path)) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let mut telling = telling.copied(state);
    damage(state);
    let damaged: BTreeMap<_, _> = [FILE, LOG].map(|name| (name, fs::read(state.join(name)).ok())).into();
    telling.go_on(NEW);
    let said = format!("{name}\n{}{}", telling.said, telling.messages());

    let store = Store::read(state).unwrap().unwrap();
    let replaced = store.with(store::damage).unwrap();
    for stage in Stage::ALL {
        let mut findings = store::check(&store, stage).unwrap();
        // a letter that changed in an old reason or the like, which nobody compares with anything
        findings.retain(|finding| replaced.is_some() || !finding.text.ends_with(" that cannot be read"));
        assert_eq!(findings, [], "{said}");
    }
    let count = |sql: &str| store.with(|db| db.query_row(sql, [], |row| row.get::<_, i64>(0))).unwrap();
    for unit in ["new", "waits", "open"] {
        let all = count(&format!("SELECT count(*) FROM events WHERE subject = 'unit:{unit}.service' AND outcome = 'failed'"));
        let different =
            format!("SELECT count(DISTINCT run) FROM events WHERE subject = 'unit:{unit}.service' AND outcome = 'failed'");
        assert_eq!(all, count(&different), "{unit} is on record twice: {said}");
        assert!(all >= 1, "{unit} is not on record: {said}");
        let open = format!("SELECT count(*) FROM incidents WHERE subject = 'unit:{unit}.service' AND state = 'open'");
        assert_eq!(count(&open), 1, "{unit} fails, and has no incident: {said}");
    }
    assert_eq!(count("SELECT count(*) FROM outbox"), 0, "{said}");
    let told = |what: &str| said.matches(&format!("\nSubject: {what}")).count();
    assert_eq!(told("new.service failed"), 1, "{said}");
    // its message may have been tried with the old database already: it comes again, under the same key or another
    assert!(told("waits.service failed") >= 1, "{said}");
    assert_eq!(told("over.service") + told("many.service") + told("quiet.service"), 0, "no news: {said}");
    assert!(told("open.service") <= 1, "{said}");
    let aside: Vec<_> = fs::read_dir(state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("sysalert.db."))
        .collect();
    let about_it = told("sysalert on web1: its database was damaged and replaced");
    let Some(found) = replaced else {
        assert_eq!((about_it, aside), (0, vec![]), "{said}");
        return Found::Harmless;
    };
    assert_eq!(about_it, 1, "{said}");
    // SQLite itself may have cut an old log, or a file that is none
    let kept = fs::read(state.join(&found.file)).unwrap();
    assert_eq!(Some(&kept), damaged[FILE].as_ref(), "what is set aside is as it was found: {said}");
    assert!(aside.iter().all(|name| name.starts_with(&found.file)), "{aside:?}");
    if found.whole {
        assert_eq!(told("open.service"), 0, "{said}");
        // sent, and then the damage was in the way of noting that: once more, and the receiver can tell
        let keys: BTreeSet<_> = said
            .lines()
            .filter_map(|line| line.trim().strip_prefix("mail gets ")?.split_once(": waits.service failed"))
            .collect();
        assert_eq!(keys.len(), 1, "{said}");
        return Found::Whole;
    }
    if count("SELECT count(*) FROM events WHERE subject = 'unit:many.service'") > 0 && found.last_event > 0 {
        Found::Partly
    } else {
        Found::Nothing
    }
}

/// Numbers by chance, always the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn shown(what: &str, all: &[Found]) {
    let count = |found: &Found| all.iter().filter(|one| *one == found).count();
    eprintln!(
        "{what}: {} ways; harmless {}, nothing lost {}, partly read {}, nothing readable {}",
        all.len(),
        count(&Found::Harmless),
        count(&Found::Whole),
        count(&Found::Partly),
        count(&Found::Nothing)
    );
}

#[test]
fn each_page_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let telling = before(folder.path());
    let state = telling.site.state.clone();
    checkpoint(&state);
    let pages = usize::try_from(fs::metadata(state.join(FILE)).unwrap().len()).unwrap() / PAGE;
    assert!(pages > 15, "{pages}");
    let mut dice = Dice(7);
    let mut all = Vec::new();
    for page in 0..pages {
        let at = page * PAGE;
        let random: Vec<u8> = (0..PAGE).map(|_| dice.below(256) as u8).collect();
        let other = dice.below(pages) * PAGE;
        // the version of the tables: a newer one is nobody's damage
        let flips: Vec<_> = (0..3).map(|_| (at + dice.below(PAGE), 1u8 << dice.below(8))).collect();
        let flips = flips.into_iter().filter(|(at, _)| !(60..64).contains(at));
        let of_header = [0, 3, 8].map(|byte| (at + byte + if page == 0 { 100 } else { 0 }, 0x55));
        let mut one = |name: &str, damage: &dyn Fn(&mut Vec<u8>)| {
            all.push(tried(&telling, &format!("page {page}: {name}"), |state| change(&state.join(FILE), damage)));
        };
        one("zeros", &|bytes| bytes[at..at + PAGE].fill(0));
        one("random", &|bytes| bytes[at..at + PAGE].copy_from_slice(&random));
        one("torn", &|bytes| bytes[at + PAGE / 8..at + PAGE].fill(0));
        one("another page", &|bytes| bytes.copy_within(other..other + PAGE, at));
        one("cut there", &|bytes| bytes.truncate(at + PAGE / 2));
        for (at, bits) in flips.chain(of_header) {
            one(&format!("byte {at} ^ {bits:#x}"), &|bytes| bytes[at] ^= bits);
        }
    }
    shown("each page of the file", &all);
    assert!(all.len() > 200 && all.contains(&Found::Partly) && all.contains(&Found::Whole));
}

#[test]
fn the_log_and_what_else_can_lie_there() {
    let folder = tempfile::tempdir().unwrap();
    let telling = before(folder.path());
    let length = usize::try_from(fs::metadata(telling.site.state.join(LOG)).unwrap().len()).unwrap();
    assert!(length > 10 * PAGE, "{length}");
    let mut dice = Dice(11);
    let mut all = Vec::new();
    let mut one = |name: &str, damage: &dyn Fn(&Path)| all.push(tried(&telling, name, damage));
    for _ in 0..40 {
        let (at, bits) = (dice.below(length), 1u8 << dice.below(8));
        one(&format!("log: byte {at} ^ {bits:#x}"), &|state| change(&state.join(LOG), |bytes| bytes[at] ^= bits));
        let cut = dice.below(length);
        one(&format!("log: cut at {cut}"), &|state| change(&state.join(LOG), |bytes| bytes.truncate(cut)));
    }
    one("log: zeros", &|state| change(&state.join(LOG), |bytes| bytes.fill(0)));
    one("log: gone", &|state| fs::remove_file(state.join(LOG)).unwrap());
    one("log and its index: gone", &|state| {
        fs::remove_file(state.join(LOG)).unwrap();
        fs::remove_file(state.join("sysalert.db-shm")).unwrap();
    });
    one("index of the log: random", &|state| change(&state.join("sysalert.db-shm"), |bytes| bytes.fill(0x5a)));
    one("empty", &|state| fs::write(state.join(FILE), "").unwrap());
    one("empty, without a log", &|state| {
        fs::write(state.join(FILE), "").unwrap();
        fs::remove_file(state.join(LOG)).unwrap();
    });
    one("a text", &|state| fs::write(state.join(FILE), "no database, but a text. ".repeat(2000)).unwrap());
    one("another program's", &|state| {
        [FILE, LOG, "sysalert.db-shm"].iter().for_each(|name| fs::remove_file(state.join(name)).unwrap());
        let db = Connection::open(state.join(FILE)).unwrap();
        db.execute_batch("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT); PRAGMA user_version = 3;").unwrap();
    });
    for (name, sql) in [
        ("a text that is none", "UPDATE events SET triggered_by = CAST(x'ff41fe' AS TEXT) WHERE id = 3"),
        ("a count below nothing", "UPDATE incidents SET failures = -3"),
        ("an incident that is gone", "PRAGMA foreign_keys = OFF; DELETE FROM incidents WHERE subject = 'unit:open.service'"),
        ("all incidents are gone", "PRAGMA foreign_keys = OFF; DELETE FROM incidents"),
        ("events that are gone", "PRAGMA foreign_keys = OFF; DELETE FROM events WHERE subject = 'unit:waits.service'"),
        ("a table that is gone", "PRAGMA foreign_keys = OFF; DROP TABLE outbox"),
        ("another table that is gone", "PRAGMA foreign_keys = OFF; DROP TABLE events"),
        ("marks that are gone", "DROP TABLE marks"),
    ] {
        one(name, &|state| Connection::open(state.join(FILE)).unwrap().execute_batch(sql).unwrap());
    }
    for how in ["index", "events", "incidents", "alerts", "outbox", "deliveries", "meta", "marks"] {
        one(how, &|state| damage::done(state, how));
    }
    shown("the log, and whole files", &all);
    assert!(all.contains(&Found::Nothing) && all.contains(&Found::Harmless));
}

/// A new sysalert is installed over the database of the oldest while units fail: what comes too early waits in the spool.
#[test]
fn failures_while_dispatch_brings_the_database_up_to_date() {
    const EACH: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let old = Connection::open(state.join(FILE)).unwrap();
    old.execute_batch(include_str!("../src/store/version1.sql")).unwrap();
    drop(old);
    let site = site(state, state);
    let now = story::start();
    let settings = || Settings::read(&[]);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let site = &site;
            scope.spawn(move || {
                for number in 0..EACH {
                    let event = event(site, writer * EACH + number);
                    pipeline::take_in(site, &event, &StoryWorld::default(), &|| now, &settings).unwrap();
                }
            });
        }
        scope.spawn(|| Store::open(state, Older::Migrate, Duration::from_secs(60)).unwrap());
    });
    let mut store = Store::open(state, Older::Refuse, Duration::from_secs(60)).unwrap();
    pipeline::import_spool(&site, &mut store).unwrap();
    let count = |sql: &str| store.with(|db| db.query_row(sql, [], |row| row.get::<_, usize>(0))).unwrap();
    assert_eq!(count("SELECT count(*) FROM events WHERE subject LIKE 'unit:u%'"), 4 * EACH);
    assert_eq!(count("SELECT count(DISTINCT subject) FROM events WHERE subject LIKE 'unit:u%'"), 4 * EACH);
    store.examine().unwrap();
}

/// Neither the database nor one of the spools can take it: the handler fails, and says what happened and where it still stands.
#[test]
fn what_nothing_can_keep_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let runtime = folder.path().join("run");
    for place in [&state, &runtime] {
        fs::create_dir(place).unwrap();
        // a file in the folder's place, for root may write into any folder
        fs::write(place.join("spool"), "").unwrap();
    }
    fs::create_dir(state.join(FILE)).unwrap();
    let site = site(&state, &runtime);
    let now = story::start();
    let error = pipeline::take_in(&site, &event(&site, 1), &StoryWorld::default(), &|| now, &|| Settings::read(&[])).unwrap_err();
    let (message, hint) = (error.message, error.hint.unwrap_or_default());
    assert!(message.starts_with("u1.service failed and nothing could keep that: the database "), "{message}");
    assert!(hint.ends_with("only the journal has it: once the database can be written, dispatch finds it there"), "{hint}");

    // as soon as one of them can
    fs::remove_file(runtime.join("spool")).unwrap();
    pipeline::take_in(&site, &event(&site, 1), &StoryWorld::default(), &|| now, &|| Settings::read(&[])).unwrap();
    fs::remove_file(state.join("spool")).unwrap();
    fs::remove_dir(state.join(FILE)).unwrap();
    let mut store = Store::open(&state, Older::Refuse, Duration::from_secs(60)).unwrap();
    assert!(pipeline::import_spool(&site, &mut store).unwrap());
    assert_eq!(store.with(store::count_undecided).unwrap(), 1);
}

fn site(state: &Path, runtime: &Path) -> Site {
    Site {
        manager: Manager::System,
        config: ConfigPlace::File("/dev/null".into()),
        state: state.to_owned(),
        is_systems: false,
        flag: runtime.join("pending"),
        plugins: Vec::new(),
    }
}

/// The failure of a unit of this number.
fn event(site: &Site, number: usize) -> Event {
    let unit = UnitName::typed(&format!("u{number}")).unwrap();
    let told = |name: &str| (name == "MONITOR_INVOCATION_ID").then(|| format!("{number:032x}"));
    handler::event(&site.manager, &unit, Outcome::Failed, &told, String::new, story::start())
}
