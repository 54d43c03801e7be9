//! A story: a configuration and steps with their times, told to the real library in a folder of its own. The clock and
//! the methods' answers are the story's; everything else is what the handlers and dispatch do.

mod deeds;
mod left;
mod step;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sysalert::dispatch::{self, Complete};
use sysalert::event::{Manager, Outcome, Subject, UnitName};
use sysalert::host::Site;
use sysalert::host::journal::Kind;
use sysalert::host::manager::{Job, Timer, Unit};
use sysalert::host::site::ConfigPlace;
use sysalert::incident::Acknowledgement;
use sysalert::pipeline;
use sysalert::policy::Silence;
use sysalert::settings::Settings;
use sysalert::store::{self, Older, Store};

use self::step::{Last, Quieted, Step, What, length, loaded};
use crate::damage;
use crate::machine::StoryMachine;
use crate::world::{LASTED, StoryWorld, message};

/// The host's name is the story's, and no journal is read: the tests of `message` show excerpts.
const HERE: &str = "[policy]\nhost = \"web1\"\njournal_lines = 0\n";
const PATIENCE: Duration = Duration::from_secs(60);

/// What a `case.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// The configuration.
    #[serde(default)]
    config: String,
    /// What happens, in order.
    steps: Vec<Step>,
}
/// A story while it is told, and what was said so far.
#[derive(Clone)]
pub struct Telling {
    /// Where everything is.
    pub site: Site,
    /// What happened, in lines.
    pub said: String,
    config: String,
    last: BTreeMap<String, String>,
    keys: Vec<String>,
    sent: Vec<(String, String)>,
    world: StoryWorld,
    machine: StoryMachine,
    /// So many steps.
    told: usize,
}

/// "1h 5m" after the story's start, or "-1d": before it.
fn time(words: &str) -> DateTime<Utc> {
    let (sign, words) = words.strip_prefix('-').map_or((1, words), |words| (-1, words));
    start() + TimeDelta::from_std(humantime::parse_duration(words).unwrap()).unwrap() * sign
}

/// The same the other way round.
fn counted(at: DateTime<Utc>) -> String {
    let since = at - start();
    let sign = if since < TimeDelta::zero() { "-" } else { "" };
    format!("{sign}{}", humantime::format_duration(since.abs().to_std().unwrap()))
}

/// When every story begins.
pub fn start() -> DateTime<Utc> {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

impl Story {
    /// Reads it from a file.
    pub fn read(path: &Path) -> Story {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Tells it in this folder.
    pub fn tell(self, state: &Path) -> Telling {
        let site = Site {
            manager: Manager::System,
            config: ConfigPlace::File("/dev/null".into()),
            state: state.to_owned(),
            is_systems: false,
            flag: state.join("pending"),
            plugins: Vec::new(),
        };
        let config = self.config;
        let mut telling = Telling {
            site,
            said: String::new(),
            config,
            last: BTreeMap::new(),
            keys: Vec::new(),
            sent: Vec::new(),
            world: StoryWorld::default(),
            machine: StoryMachine::default(),
            told: 0,
        };
        for step in &self.steps {
            telling.told += 1;
            telling.step(telling.told, step);
        }
        telling
    }
}

impl Telling {
    /// The messages that were sent, whole.
    pub fn messages(&self) -> String {
        let here = self.site.state.display().to_string();
        let messages = self.sent.iter().map(|(title, text)| format!("\n==== {title}\n{text}"));
        messages.collect::<String>().replace(&here, "/var/lib/sysalert")
    }

    /// What a command prints, and its exit status where it is not 0.
    pub fn run(&self, words: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sysalert"));
        command.args(words.split(' ')).env("TZ", "UTC").env("SYSALERT_CONFIG", "/dev/null");
        command.env("SYSALERT_STATE_DIR", &self.site.state);
        let output = command.output().unwrap();
        let mut text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        if !output.status.success() {
            text += &format!("({})\n", output.status);
        }
        text
    }

    /// Goes on with these steps, a `case.toml` without its configuration.
    #[allow(dead_code)]
    pub fn go_on(&mut self, steps: &str) {
        let story: Story = toml::from_str(steps).unwrap();
        for step in &story.steps {
            self.told += 1;
            self.step(self.told, step);
        }
    }

    /// The same story up to now, in a copy of its folder.
    #[allow(dead_code)]
    pub fn copied(&self, state: &Path) -> Telling {
        for entry in fs::read_dir(&self.site.state).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_file() {
                fs::copy(&entry, state.join(entry.file_name().unwrap())).unwrap();
            }
        }
        let site = Site { state: state.to_owned(), flag: state.join("pending"), ..self.site.clone() };
        Telling { site, sent: Vec::new(), said: String::new(), ..self.clone() }
    }

    fn step(&mut self, number: usize, step: &Step) {
        let at = time(&step.at);
        match &step.what {
            What::Failed(run) => self.handler(number, &step.at, at, run, Outcome::Failed),
            What::Succeeded(run) => self.handler(number, &step.at, at, run, Outcome::Succeeded),
            What::Dispatch(answers) => self.dispatch(&step.at, at, answers),
            What::Killed(method) => {
                let lease = at + TimeDelta::seconds(35);
                let settings = Settings::read(&self.files()).unwrap();
                let complete = Complete { now: at, synced: Some(at) };
                dispatch::gather(&mut self.open(), &settings, &self.world, complete).unwrap();
                let claimed = self.open().write(|db| store::claim(db, at, &[], |_| lease)).unwrap().unwrap();
                assert_eq!(claimed.method, *method);
                let key = self.key(&format!("{}.{method}", claimed.key));
                self.say(&step.at, &format!("dispatch is killed while {method} sends {key}"));
            }
            What::Sysalert(words) => {
                let output = self.run(words);
                self.say(&step.at, &format!("sysalert {words}"));
                output.lines().for_each(|line| self.say("", line));
            }
            What::Missed(run) => {
                self.journal(number, at, run, Outcome::Failed);
                self.say(&step.at, &format!("{} fails, and no handler is started", run.unit));
            }
            What::Unseen(run) => {
                self.journal(number, at, run, Outcome::Succeeded);
                self.say(&step.at, &format!("{} succeeds, and no handler is started", run.unit));
            }
            What::Stopped(run) => {
                let id = format!("{:032x}", run.run.unwrap_or(number));
                self.world.say(&run.unit, message(Kind::Stopping, &id, at));
                self.world.say(&run.unit, message(Kind::Succeeded, &id, at));
                self.say(&step.at, &format!("{} is stopped", run.unit));
            }
            What::Unit(state) => {
                let unit = Unit {
                    active: state.active.clone(),
                    sub: state.sub.clone(),
                    invocation: Some(format!("{:032x}", state.run)),
                    active_since: (state.active == "active").then_some(at),
                    ..Unit::default()
                };
                self.world.set(&state.unit, unit);
                self.say(&step.at, &format!("{} is {}", state.unit, state.active));
            }
            What::Shown(shown) => {
                self.show(at, shown);
                self.say(&step.at, &format!("{} is {}", shown.unit, shown.state));
            }
            What::Check(installed) => {
                self.world.install(installed);
                self.check(&step.at, at);
            }
            What::Booted(before) => {
                self.world.boot(at - TimeDelta::from_std(humantime::parse_duration(before).unwrap()).unwrap());
                self.say(&step.at, &format!("the machine booted {before} before"));
            }
            What::Damaged(how) => {
                damage::done(&self.site.state, how);
                self.say(&step.at, &format!("the database is damaged: {how}"));
            }
            What::Changed(path) => {
                self.world.change(path, at);
                self.say(&step.at, &format!("{path} is changed"));
            }
            What::Timer(state) => {
                let ago = |words: &Option<String>| words.as_deref().map(|words| at - length(words));
                let next = state.next.as_deref().map(|words| at + length(words));
                self.world.set_timer(Timer {
                    name: state.unit.clone(),
                    load: state.load.clone(),
                    active: state.active.clone(),
                    sub: state.sub.clone(),
                    file: state.file.clone(),
                    unit: state.unit.replace(".timer", ".service"),
                    unit_load: loaded(),
                    handled: true,
                    due: next,
                    next,
                    last: ago(&state.last),
                    inactive_since: ago(&state.inactive),
                    ..Timer::default()
                });
                self.say(&step.at, &format!("{} is {}, {}, {}", state.unit, state.load, state.active, state.file));
            }
            What::Job([unit, ago]) => {
                let ended = (!ago.is_empty()).then(|| at - length(ago));
                self.world.set_job(Job { name: unit.clone(), succeeded: ended, ended, ..Job::default() });
                let how = if ago.is_empty() { "and no run of it".to_owned() } else { format!("which succeeded {ago} ago") };
                self.say(&step.at, &format!("the manager knows {unit}, {how}"));
            }
            What::Ended(Last { unit, run, killed }) => {
                let (ended, begun) = (Some(at), Some(at - LASTED));
                let run = Some(format!("{run:032x}"));
                let succeeded = ended.filter(|_| !killed);
                self.world.set_job(Job { name: unit.clone(), succeeded, ended, begun, run, ..Job::default() });
                let how = if *killed { "was killed, cleanly" } else { "ended well" };
                self.say(&step.at, &format!("the manager knows that {unit} {how}"));
            }
            What::Silent(is_silent) => {
                self.world.set_silent(*is_silent);
                let how = if *is_silent { "answers nobody" } else { "answers again" };
                self.say(&step.at, &format!("the manager {how}"));
            }
            What::Missing(unit) => {
                self.world.set_job(Job { name: unit.clone(), is_missing: true, ..Job::default() });
                self.say(&step.at, &format!("the manager knows no {unit}"));
            }
            What::Network(forward) => {
                self.world.set_forward(length(forward));
                self.say(&step.at, &format!("the clock is set forward by {forward}"));
            }
            What::Schedules(_) => {
                let settings = Settings::read(&self.files()).unwrap();
                let (site, mut store) = (self.site.clone(), self.open());
                let looked = pipeline::schedules(&site, &mut store, &settings, &self.world, at);
                let told = pipeline::sight(&site, &mut store, &settings, looked.as_ref().err(), at).unwrap();
                let what = if looked.is_ok() { "schedules are looked at" } else { "schedules cannot be looked at" };
                let queued = told || looked.is_ok_and(|looked| looked.queued);
                self.say(&step.at, &format!("{what}{}", if queued { ": somebody is to hear of it" } else { "" }));
            }
            What::Machine(state) => {
                self.machine.set(state);
                self.say(&step.at, &state.to_string());
            }
            What::Sensors(_) => self.sensors(&step.at, at),
            What::Ack(unit) => {
                let subject = match UnitName::typed(unit) {
                    Ok(unit) => Subject::unit(&Manager::System, &unit),
                    Err(_) => Subject::stored(unit.clone()),
                };
                let acknowledgement =
                    Acknowledgement { by: "alice".to_owned(), at, why: Some("I look at it".to_owned()), taken_back: None };
                let known = self.open().write(|db| store::acknowledge(db, &subject, acknowledgement)).unwrap();
                let what = if known.is_some() { "alice acknowledges" } else { "there is nothing to acknowledge of" };
                self.say(&step.at, &format!("{what} {unit}"));
            }
            What::Silence(Quieted { glob, lasts, why }) => {
                let until = at + TimeDelta::from_std(humantime::parse_duration(lasts).unwrap()).unwrap();
                let silence = Silence { glob: glob.clone(), since: at, until, by: "alice".to_owned(), why: why.clone() };
                self.open().write(|db| store::silence(db, &silence)).unwrap();
                self.say(&step.at, &format!("alice silences {glob} for {lasts}"));
            }
            What::Unsilence(glob) => {
                self.open().write(|db| store::unsilence(db, glob)).unwrap();
                self.say(&step.at, &format!("alice lifts the silence of {glob}"));
            }
            What::Config(text) => {
                self.config.clone_from(text);
                self.say(&step.at, "the configuration is changed");
            }
        }
        self.look();
    }
    fn say(&mut self, when: &str, line: &str) {
        self.said += format!("{when:10}{line}").trim_end();
        self.said.push('\n');
    }

    fn open(&self) -> Store {
        Store::open(&self.site.state, Older::Migrate, PATIENCE).unwrap()
    }

    fn files(&self) -> Vec<(PathBuf, String)> {
        vec![("here.toml".into(), HERE.to_owned()), ("sysalert.toml".into(), self.config.clone())]
    }

    /// Keys are random: here they are numbered in the order in which they are seen.
    fn key(&mut self, key: &str) -> String {
        let number = self.keys.iter().position(|known| known == key).unwrap_or_else(|| {
            self.keys.push(key.to_owned());
            self.keys.len() - 1
        });
        format!("key {}", number + 1)
    }
}
