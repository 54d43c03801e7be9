//! A story: a configuration and steps with their times, told to the real library in a folder of its own. The clock and
//! the methods' answers are the story's; everything else is what the handlers and dispatch do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sysalert::dispatch::{
    self, Complete, Outside, Tally, own_words,
    plugin::{Envelope, Tried},
};
use sysalert::error::Error;
use sysalert::event::{Event, Manager, Outcome, Problem, Start, Subject, UnitName};
use sysalert::host::journal::{Kind, Message};
use sysalert::host::manager::{Detail, Job, Listed, Timer, Unit};
use sysalert::host::site::ConfigPlace;
use sysalert::host::{Site, wake};
use sysalert::incident::Acknowledgement;
use sysalert::pipeline::{self, Gathering};
use sysalert::policy::Silence;
use sysalert::settings::{Method, Settings};
use sysalert::store::{self, Older, Store};
use sysalert::trigger::handler;
use sysalert::trigger::sensor::rule::Judgement;
use sysalert_abi::Answer;

use crate::damage;
use crate::machine::{MachineState, StoryMachine};
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

/// One step: `at` and one thing that happens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// When, counted from the story's start.
    at: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    /// systemd starts the failure handler.
    Failed(Run),
    /// systemd starts the success handler.
    Succeeded(Run),
    /// Dispatch runs; each method's answer: "sent", "retry: why" or "refused: why".
    Dispatch(BTreeMap<String, String>),
    /// Dispatch claims the oldest alert that is due, for this method, and is killed while it sends it.
    Killed(String),
    /// An administrator's command; the state folder is added.
    Sysalert(String),
    /// Somebody acknowledges the incident of this unit.
    Ack(String),
    /// Somebody silences these units.
    Silence(Quieted),
    /// Somebody lifts that.
    Unsilence(String),
    /// The configuration is now this one.
    Config(String),
    /// A run fails, and no handler is started: systemd has merged the trigger into another's, or tries it again first.
    Missed(Run),
    /// A run succeeds, and no handler is started.
    Unseen(Run),
    /// Somebody stops the unit's run; it ends well.
    Stopped(Run),
    /// The unit is like this now.
    Unit(State),
    /// Whoever polls the unit sees this from now on.
    Shown(Shown),
    /// `sysalert check services` runs; beside the units that are shown these are installed.
    Check(Vec<String>),
    /// The machine booted so long before; at the beginning of a story it has been up for long.
    Booted(String),
    /// The database is damaged: "garbage", "empty", "index" (without its entries), or "TABLE": the pages that hold it.
    Damaged(String),
    /// A file changes of which every unit of the story is made.
    Changed(String),
    /// A timer is like this now.
    Timer(TimerState),
    /// The manager knows this unit; it remembers no run of it, but the one that ended well so long ago: "1h", or "".
    Job([String; 2]),
    /// The manager remembers that a run of this unit has just ended.
    Ended(Last),
    /// The manager answers nobody any more, or (false) all again.
    Silent(bool),
    /// The manager knows no such unit.
    Missing(String),
    /// The network tells the time: the clock has just been set forward by so much.
    Network(String),
    /// Schedules are looked at.
    Schedules(Here),
    /// The machine is like this from now on, for its sensors.
    Machine(MachineState),
    /// `sysalert check sensors` runs.
    Sensors(Here),
}

/// `{}`: a step that says no more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Here {}

/// The last run of a job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    unit: String,
    run: usize,
    /// True: by a signal that counts as a good end.
    #[serde(default)]
    killed: bool,
}

/// How the manager shows a timer that starts the unit of its name; times are counted from the step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimerState {
    unit: String,
    #[serde(default = "loaded")]
    load: String,
    #[serde(default = "enabled")]
    file: String,
    #[serde(default = "active")]
    active: String,
    #[serde(default)]
    sub: String,
    next: Option<String>,
    last: Option<String>,
    /// So long it is not active.
    inactive: Option<String>,
}

fn loaded() -> String {
    "loaded".to_owned()
}

fn enabled() -> String {
    "enabled".to_owned()
}

fn active() -> String {
    "active".to_owned()
}

fn length(words: &str) -> TimeDelta {
    TimeDelta::from_std(humantime::parse_duration(words).unwrap()).unwrap()
}

/// What is silenced, for how long and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quieted {
    glob: String,
    lasts: String,
    why: Option<String>,
}

/// How the manager shows a unit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    unit: String,
    active: String,
    #[serde(default)]
    sub: String,
    /// Its current run.
    run: usize,
}

/// How the manager shows a unit that is polled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    unit: String,
    /// "active running", "inactive dead masked": its state, and its load state unless it is loaded.
    state: String,
    /// Its current run, or the last one.
    run: Option<usize>,
    /// `Type=`.
    kind: Option<String>,
    /// True: its target is up, and it never ran.
    #[serde(default)]
    due: bool,
}

/// What systemd tells about a run; by default it exited with status 3.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// "backup.service", or "alice/bot.service" of alice's user manager.
    unit: String,
    result: Option<String>,
    code: Option<String>,
    status: Option<String>,
    /// Its invocation; by default a new one.
    run: Option<usize>,
    /// True: a dependency failed, so that systemd has no invocation to tell and calls the result "success".
    #[serde(default)]
    not_started: bool,
    /// True: systemd starts it again by itself.
    #[serde(default)]
    restarts: bool,
    /// How much processor time it used: "72s".
    cpu: Option<String>,
    /// What it prints, each line "<3>..." if it has a priority.
    #[serde(default)]
    prints: Vec<String>,
    /// What started it: "timer", "path" or "other".
    start: Option<String>,
    /// True: the journal has not caught up; it never tells of this run.
    #[serde(default)]
    unwritten: bool,
    /// True: the database cannot be opened meanwhile.
    #[serde(default)]
    database_blocked: bool,
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

    /// What the manager says of a run in the journal.
    fn journal(&self, number: usize, at: DateTime<Utc>, run: &Run, outcome: Outcome) {
        let event = observed(number, at, run, outcome);
        let unit = event.subject.name();
        if run.unwritten {
            return;
        }
        let id = format!("{:032x}", run.run.unwrap_or(number));
        self.world.print(&id, at, &run.prints);
        if run.not_started {
            let job = Some(format!("this-boot:{number}"));
            let refused =
                Message { invocation: None, result: Some("dependency".into()), job, ..message(Kind::JobFailed, "", at) };
            return self.world.say(unit, refused);
        }
        let is_repeated = self.world.has_failed(&id);
        // what waited for its restart is started again now
        self.world.restarted(unit, at - LASTED);
        if !is_repeated {
            self.world.say(unit, message(Kind::Starting, &id, at - LASTED));
        }
        if outcome == Outcome::Succeeded && !is_repeated {
            self.world.say(unit, message(Kind::Succeeded, &id, at));
        } else if outcome == Outcome::Failed {
            let told = |said: &Option<String>, usual: &str| said.clone().unwrap_or_else(|| usual.to_owned());
            let exit = (told(&run.code, "exited"), told(&run.status, "3"));
            if !exit.0.is_empty() {
                self.world.say(unit, Message { exit: Some(exit), ..message(Kind::Exited, &id, at) });
            }
            let result = Some(told(&run.result, "exit-code"));
            self.world.say(unit, Message { result, ..message(Kind::Failed, &id, at) });
        }
        if let Some(cpu) = &run.cpu {
            let cpu = Some(humantime::parse_duration(cpu).unwrap());
            self.world.say(unit, Message { cpu, ..message(Kind::Consumed, &id, at) });
        }
        let (active, sub) = match (outcome, run.restarts) {
            (_, true) => ("activating", "auto-restart"),
            (Outcome::Failed, _) => ("failed", "failed"),
            (Outcome::Succeeded, _) => ("inactive", "dead"),
        };
        let invocation = Some(id);
        let start = run.start.as_ref().map(|word| Start::parse(word).unwrap());
        self.world.set(unit, Unit { active: active.to_owned(), sub: sub.to_owned(), invocation, start, ..Unit::default() });
    }

    /// What the verbs `failure` and `success` do.
    fn handler(&mut self, number: usize, when: &str, at: DateTime<Utc>, run: &Run, outcome: Outcome) {
        let event = observed(number, at, run, outcome);
        let how = if outcome == Outcome::Failed { format!(": {}", event.problem) } else { String::new() };
        self.say(when, &format!("{} {}{how}", run.unit, outcome.as_str()));
        if outcome == Outcome::Succeeded && !handler::is_true_success(&event) {
            return self.say("", "not believed: systemd tells no exit code");
        }
        // whoever was woken before is not woken again
        let _ = fs::remove_file(&self.site.flag);
        let before = self.bytes();
        let block = run.database_blocked.then(|| Block::put(&self.site.state));
        let files = self.files();
        self.journal(number, at, run, outcome);
        pipeline::take_in(&self.site, &event, &self.world, &|| at, &|| Settings::read(&files)).unwrap();
        drop(block);
        if self.bytes() == before {
            self.say("", "nothing is written");
        }
        if self.site.flag.exists() {
            self.say("", "dispatch is woken");
        }
    }

    /// The manager shows a unit like this from now on.
    fn show(&self, at: DateTime<Utc>, shown: &Shown) {
        let mut words = shown.state.split(' ').map(str::to_owned);
        let (active, sub) = (words.next().unwrap(), words.next().unwrap());
        let load = words.next().unwrap_or_else(|| "loaded".to_owned());
        let invocation = shown.run.map(|run| format!("{run:032x}"));
        let failed = active == "failed";
        let word = |word: &str| failed.then(|| word.to_owned());
        let problem =
            Problem { service_result: word("exit-code"), exit_code: word("exited"), exit_status: word("3"), cause: None };
        let detail = Detail {
            kind: shown.kind.clone().or_else(|| Some("simple".to_owned())),
            invocation: invocation.clone(),
            since: (!shown.due).then_some(at),
            is_due: shown.due,
            problem,
            ..Detail::default()
        };
        let active_since = (active == "active").then_some(at);
        self.world
            .set(&shown.unit, Unit { active: active.clone(), sub: sub.clone(), invocation, active_since, ..Unit::default() });
        self.world.show(Listed { name: shown.unit.clone(), load, active, sub, has_job: false }, detail);
    }

    /// What `sysalert check services` does, and what it sees.
    fn check(&mut self, when: &str, at: DateTime<Utc>) {
        let _ = fs::remove_file(&self.site.flag);
        let mut store = self.open();
        let before = self.bytes();
        let files = self.files();
        let polled = pipeline::poll(&self.site, &mut store, &self.world, at, false, &|| Settings::read(&files)).unwrap();
        drop(store);
        self.say(when, if polled.in_grace { "the services are polled, in grace" } else { "the services are polled" });
        if self.bytes() == before {
            self.say("", "nothing is written");
        }
        if polled.settled.queued || polled.settled.waits {
            self.say("", "dispatch is woken");
        }
    }

    /// What `sysalert check sensors` does.
    fn sensors(&mut self, when: &str, at: DateTime<Utc>) {
        let settings = Settings::read(&self.files()).unwrap();
        let mut store = self.open();
        self.machine.at(at);
        let looked = pipeline::sensors(&mut store, &settings, &self.world, &self.machine, at).unwrap();
        if looked.sensors.iter().all(|looking| looking.due.is_some()) {
            assert_eq!(self.machine.reads(), Vec::<String>::new(), "nothing is due, and something is read");
        }
        self.say(when, if looked.in_grace { "the sensors are measured, in grace" } else { "the sensors are measured" });
        for looking in &looked.sensors {
            let due = looking.due.map(|due| format!("{} is due at {}", looking.name, counted(due)));
            let nothing = looking.seen.nothing.as_ref().map(|nothing| format!("{}: {nothing:?}", looking.name));
            let missing = looking.seen.missing.iter().map(|(of, why)| format!("{} {of}: no data: {why}", looking.name));
            let results =
                looking.results.iter().filter(|one| one.judgement != Judgement::Fine || one.standing.is_some() || !one.is_judged);
            let results = results.map(|one| {
                let value = one.value.map_or_else(|| "no value".to_owned(), |value| one.rule.unit.show(value));
                let stands = one.standing.map(|severity| format!(", {}", severity.as_str())).unwrap_or_default();
                let stands = if one.is_judged { stands } else { format!("{stands}, not judged yet") };
                format!("{} {} {}: {value}, streak {}{stands}", looking.name, one.instance, one.rule.name, one.streak)
            });
            let lines: Vec<String> = due.into_iter().chain(nothing).chain(missing).chain(results).collect();
            lines.iter().for_each(|line| self.say("", &line.replace("  ", " ")));
        }
        if looked.queued {
            self.say("", "dispatch is woken");
        }
    }

    /// What the verb `dispatch` does.
    fn dispatch(&mut self, when: &str, at: DateTime<Utc>, answers: &BTreeMap<String, String>) {
        wake::lower(&self.site).unwrap();
        let got = Mutex::new(Vec::new());
        let database = store::current(&self.site.state);
        let mut delivered = self.deliver(at, answers, &got);
        if let Some(error) = delivered.as_ref().err().filter(|error| error.is_of_damage()) {
            pipeline::repair(&self.site, database, error, at).unwrap();
            self.say(when, "dispatch finds that the database is damaged");
            delivered = self.deliver(at, answers, &got);
        }
        let (tally, failing) = match delivered {
            Ok(delivered) => delivered,
            Err(error) => {
                let text = error.to_string().replace(&format!("{}/", self.site.state.display()), "");
                return self.say(when, &format!("dispatch: {text} (exit status {})", error.kind.exit_status()));
            }
        };
        let expired = if tally.expired > 0 { format!(", {} given up", tally.expired) } else { String::new() };
        self.say(when, &format!("dispatch: {} sent, {} wait{expired}", tally.sent, tally.waiting));
        let mut got = got.into_inner().unwrap();
        // the methods send side by side; each keeps its order
        got.sort_by(|a, b| a.0.cmp(&b.0));
        for (method, Envelope { request, recipients }, script) in got {
            let key = self.key(&request.idempotency_key);
            let to = if recipients.is_empty() { String::new() } else { format!(" for {}", recipients.join(", ")) };
            // what only channels with one state for all want
            let open = if method == "check" { format!(" ({} open)", request.open) } else { String::new() };
            let matter =
                request.matter.as_ref().filter(|_| method == "check").map_or_else(String::new, |matter| format!(" {matter:?}"));
            self.say("", &format!("{method} gets {key}{to}: {}{open}{matter} -> {script}", request.message.subject));
            if script == "sent" {
                self.sent.push((
                    format!("{method}: {} ({key})", request.kind.as_str()),
                    format!("Subject: {}\n\n{}", request.message.subject, request.message.text),
                ));
            }
        }
        for sentence in failing {
            self.say("", &format!("dispatch fails: {sentence}"));
        }
    }

    /// One run of dispatch: how much it did, and which methods fail.
    fn deliver(
        &self,
        at: DateTime<Utc>,
        answers: &BTreeMap<String, String>,
        got: &Mutex<Vec<(String, Envelope, String)>>,
    ) -> Result<(Tally, Vec<String>), Error> {
        // the journal is complete whenever a story's dispatch runs
        let complete = Complete { now: at, synced: Some(at) };
        let gathering = Gathering { world: &self.world, now: at, complete: Some(at) };
        let files = self.files();
        let settings = Settings::read(&files)?;
        let mut store = Store::open(&self.site.state, Older::Migrate, PATIENCE)?;
        pipeline::examine(&self.site, &store, at)?;
        pipeline::settle(&self.site, &mut store, None, gathering, &|| Settings::read(&files))?;
        if dispatch::note_errors(&mut store, &settings, &self.world, complete)? {
            pipeline::settle(&self.site, &mut store, None, gathering, &|| Settings::read(&files))?;
        }
        dispatch::hold(&mut store, &settings, at)?;
        pipeline::due(&mut store, &settings, at)?;
        dispatch::gather(&mut store, &settings, &self.world, complete)?;
        dispatch::collect(&mut store, &settings, at)?;
        let send = |_: &Site, method: &Method, envelope: Envelope| {
            let script = answers.get(&method.name).map_or("refused: the story has no answer for it", String::as_str);
            got.lock().unwrap().push((method.name.clone(), envelope, script.to_owned()));
            answer(script)
        };
        // the pauses in a story are the middle ones
        let outside = Outside { clock: &|| at, dice: &|| 0.5, render: &|work, _| own_words::here(work), send: &send };
        let tally = dispatch::deliver(&self.site, &mut store, &settings, outside, &mut |_, _| Ok(()))?;
        Ok((tally, dispatch::failing(&store, &settings, at)?))
    }

    /// Says what has changed in the database since the last look.
    fn look(&mut self) {
        match self.found() {
            Ok(Some(now)) => self.changed(now),
            Ok(None) => {}
            // with a damaged database there is nothing to see
            Err(_) => self.say("", "the database does not answer"),
        }
    }

    fn found(&self) -> Result<Option<BTreeMap<String, String>>, Error> {
        let Some(store) = Store::read(&self.site.state)? else { return Ok(None) };
        let mut now = BTreeMap::new();
        for id in 1.. {
            let Some(recorded) = store.with(|db| store::event(db, id))? else { break };
            let verdict = recorded.reason.map_or_else(|| "not decided yet".to_owned(), |reason| reason.to_string());
            now.insert(format!("1 event {id}"), format!("event {id}: {verdict}"));
        }
        for row in store.with(|db| store::list(db, store::Which::All))? {
            let incident = &row.incident;
            let state = if row.cleared { "cleared" } else { incident.state.as_str() };
            let about = format!("{}, failures: {}, alerts sent: {}", incident.subject.name(), incident.failures, row.alerts);
            now.insert(format!("2 incident {}", incident.id), format!("incident {}: {state}; {about}", incident.id));
        }
        for row in store.with(store::waiting)? {
            let due = row.due.map_or("once".to_owned(), counted);
            let subject = row.subject.or(row.outage.map(|method| format!("the method {method}")));
            let subject = subject.unwrap_or_else(|| if row.damage { "the database".to_owned() } else { String::new() });
            let met = row.detail.map_or_else(String::new, |detail| format!(", met: {detail}"));
            let instead = row.instead_of.map_or_else(String::new, |method| format!(", instead of {method}"));
            let held = row.held.map_or_else(String::new, |limit| format!(", held: {limit}"));
            let with = if row.with_recovery { ", with its recovery" } else { "" };
            let line = format!(
                "outbox: {} of {subject} by {}, tries: {}, due at {due}{met}{instead}{held}{with}",
                row.kind.as_str(),
                row.method,
                row.attempts
            );
            now.insert(format!("3 outbox {:03}", row.id), line);
        }
        Ok(Some(now))
    }

    fn changed(&mut self, now: BTreeMap<String, String>) {
        for (key, line) in &now {
            if self.last.get(key) != Some(line) {
                self.said += &format!("{:10}{line}\n", "");
            }
        }
        for (_, line) in self.last.iter().filter(|(key, _)| key.starts_with('3') && !now.contains_key(*key)) {
            let what = line.trim_start_matches("outbox: ").split(", tries").next().unwrap_or_default();
            self.said += &format!("{:10}outbox: no longer {what}\n", "");
        }
        self.last = now;
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

    /// All that is in the state folder, but for what readers leave in SQLite's index of the log, and what lies in `/run` in a
    /// folder of the system's: the wake flag, and what one poll leaves for the next.
    fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut bytes = BTreeMap::new();
        for entry in fs::read_dir(&self.site.state).unwrap().map(|entry| entry.unwrap().path()) {
            let is_passing = ["pending", "polled.json", "sysalert.db-shm"].iter().any(|name| entry.ends_with(name));
            if !is_passing && entry.is_file() {
                bytes.insert(entry.clone(), fs::read(entry).unwrap());
            } else if entry.is_dir() {
                bytes.extend(fs::read_dir(entry).unwrap().map(|spooled| (spooled.unwrap().path(), Vec::new())));
            }
        }
        bytes
    }
}

/// The event that the handler makes of systemd's variables.
fn observed(number: usize, at: DateTime<Utc>, run: &Run, outcome: Outcome) -> Event {
    let (manager, unit) = match run.unit.split_once('/') {
        Some((user, unit)) => (Manager::User(user.to_owned()), unit),
        None => (Manager::System, run.unit.as_str()),
    };
    let unit = UnitName::typed(unit).unwrap();
    let usual = match (outcome, run.not_started) {
        (_, true) => ["success", "", ""],
        (Outcome::Failed, _) => ["exit-code", "exited", "3"],
        (Outcome::Succeeded, _) => ["success", "exited", "0"],
    };
    // of other units than services systemd tells a handler nothing
    let is_service = unit.as_str().ends_with(".service");
    let told = |said: &Option<String>, usual: &str| Some(said.as_deref().unwrap_or(usual).to_owned());
    let environment = |name: &str| {
        let value = match name {
            _ if !is_service => None,
            "MONITOR_UNIT" => Some(unit.as_str().to_owned()),
            "MONITOR_SERVICE_RESULT" => told(&run.result, usual[0]),
            "MONITOR_EXIT_CODE" => told(&run.code, usual[1]),
            "MONITOR_EXIT_STATUS" => told(&run.status, usual[2]),
            "MONITOR_INVOCATION_ID" if !run.not_started => Some(format!("{:032x}", run.run.unwrap_or(number))),
            _ => None,
        };
        value.filter(|text| !text.is_empty())
    };
    handler::event(&manager, &unit, outcome, &environment, || "this-boot".to_owned(), at)
}

fn answer(script: &str) -> Tried {
    let (word, detail) = script.split_once(": ").unwrap_or((script, "taken"));
    match word {
        "sent" => Answer::Sent(detail.to_owned()).into(),
        "sent, again after" => Tried { answer: Answer::Sent("taken".to_owned()), again_after: Some(detail.parse().unwrap()) },
        "retry" => Answer::Retry(detail.to_owned(), None).into(),
        "refused" => Answer::Refused(detail.to_owned()).into(),
        _ => panic!("a method answers sent, retry or refused: {script}"),
    }
}

/// A folder in the database's place; it goes when dropped.
struct Block(PathBuf);

impl Block {
    fn put(state: &Path) -> Block {
        let path = state.join("sysalert.db");
        if path.exists() {
            fs::rename(&path, state.join("aside")).unwrap();
        }
        fs::create_dir(&path).unwrap();
        Block(path)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
        let aside = self.0.with_file_name("aside");
        if aside.exists() {
            fs::rename(aside, &self.0).unwrap();
        }
    }
}
