//! A machine with three units, on which the real pipeline and dispatch run; beside it the reference, told the same.

mod compare;
mod deliver;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert::dispatch::{self, Complete, Outside, plugin::Envelope};
use sysalert::event::{Manager, Outcome};
use sysalert::host::Site;
use sysalert::host::journal::{Kind, Message};
use sysalert::host::manager::Unit as State;
use sysalert::host::site::ConfigPlace;
use sysalert::incident::{Acknowledgement, How as Flaps};
use sysalert::pipeline::{self, Gathering};
use sysalert::policy::Silence;
use sysalert::settings::{Method, Settings};
use sysalert::store::{self, Older, Store};
use sysalert::trigger::handler;
use sysalert_abi::{Answer, Kind as Alert, Request};
use tempfile::TempDir;

use crate::reference::{End, Failure, HOLD, How, Now, Rules, State as Stands, Told, Unit};
use crate::story::{Heard, NAMES, Name, Step, Then, What, id, said, state, subject, text, unit, words};
use crate::world::{LASTED, StoryWorld, message};

/// What systemd knows of a unit, as far as it decides what can happen next.
#[derive(Default)]
struct Truth {
    active: Option<usize>,
    /// Its last run, and how that failed, if it did.
    waits_for_restart: Option<(usize, Option<How>)>,
    /// When that ended.
    ended: Option<DateTime<Utc>>,
    /// Its last run, if that failed.
    last_failed: Option<usize>,
}

pub struct Machine {
    _folder: TempDir,
    site: Site,
    files: Vec<(PathBuf, String)>,
    rules: Rules,
    world: StoryWorld,
    now: DateTime<Utc>,
    runs: usize,
    truths: [Truth; 3],
    models: [Unit; 3],
    refused: Option<DateTime<Utc>>,
    by_incident: BTreeMap<i64, Vec<Alert>>,
    /// Until when they are silenced.
    silenced: [Option<DateTime<Utc>>; 3],
}

impl Machine {
    pub fn new(rules: Rules) -> Machine {
        // in memory: what an fsync costs is another test's
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let state = folder.path().to_owned();
        let site = Site {
            manager: Manager::System,
            config: ConfigPlace::File("/dev/null".into()),
            flag: state.join("pending"),
            state,
            is_systems: false,
            plugins: Vec::new(),
        };
        let Rules { ignore, each, min_interval, recovery, flapping, window, remind, silences: _ } = rules;
        let remind = if remind > 0 { format!("{remind}s") } else { "never".to_owned() };
        let alert_on = if each { "each" } else { "final" };
        let text = format!(
            "[policy]\nhost = \"web1\"\njournal_lines = 0\nignore = {ignore}\nalert_on = \"{alert_on}\"\n\
             min_interval = \"{min_interval}s\"\nrecovery = {recovery}\nrecovery_hold = \"{HOLD}s\"\n\
             remind = \"{remind}\"\nflapping = {flapping}\nflapping_window = \"{window}s\"\n[method.mail]\nexpire = \"1y\"\n"
        );
        let mut machine = Machine {
            _folder: folder,
            site,
            files: vec![("sysalert.toml".into(), text)],
            rules,
            world: StoryWorld::default(),
            now: DateTime::from_timestamp(1_000_000_000, 0).unwrap(),
            runs: 0,
            truths: Default::default(),
            models: Default::default(),
            refused: None,
            by_incident: BTreeMap::new(),
            silenced: [None; 3],
        };
        // the record begins at boot, before anything fails
        machine.step(&Step(1, What::Dispatch { sends: true }));
        machine
    }

    pub fn step(&mut self, step: &Step) {
        let Step(wait, what) = step;
        self.now += TimeDelta::seconds(*wait);
        match what {
            What::Fails(name, how, then, heard) => self.fails(*name, *how, *then, *heard),
            What::GivesUp(name, heard) => self.gives_up(*name, *heard),
            What::Succeeds(name, then, heard) => self.succeeds(*name, *then, *heard),
            What::FalseSuccess(name) => {
                if let Some(run) = self.truths[*name as usize].last_failed {
                    self.success_handler(*name, run);
                }
            }
            What::Starts(name) => self.starts(*name),
            What::Stops(name, heard) => {
                let run = self.run(*name);
                for kind in [Kind::Stopping, Kind::Succeeded] {
                    self.say(*name, message(kind, &id(run), self.now));
                }
                self.set(*name, run, "inactive", "dead");
                self.models[*name as usize].active_since = None;
                self.models[*name as usize].now = Now::Inactive;
                if *heard {
                    self.success_handler(*name, run);
                }
            }
            What::Dispatch { sends } => self.dispatch(*sends),
            What::Acknowledge(name) => {
                let model = &mut self.models[*name as usize];
                if model.incidents.last().is_some_and(|(state, _)| *state == Stands::Open) {
                    model.acknowledge();
                    let known = Acknowledgement { by: "alice".to_owned(), at: self.now, why: None, taken_back: None };
                    self.open().write(|db| store::acknowledge(db, &subject(*name), known)).unwrap().unwrap();
                }
            }
            What::Silence(name, 0) => {
                self.silenced[*name as usize] = None;
                self.open().write(|db| store::unsilence(db, text(*name))).unwrap();
            }
            What::Silence(name, seconds) => {
                let (since, until) = (self.now, self.now + TimeDelta::seconds(*seconds));
                self.silenced[*name as usize] = Some(until);
                let silence = Silence { glob: text(*name).to_owned(), since, until, by: "alice".to_owned(), why: None };
                self.open().write(|db| store::silence(db, &silence)).unwrap();
            }
            // what a trigger told and no look has settled: `store` tests that
            What::Clear(name) if self.models[*name as usize].waits => {}
            What::Clear(name) => {
                let now = self.now;
                self.open().write(|db| store::clear(db, &subject(*name), now)).unwrap();
                self.models[*name as usize].clear(now);
            }
        }
        self.invariants();
    }

    /// Long after, when everything can be told.
    pub fn end(&mut self) {
        self.step(&Step(3600, What::Dispatch { sends: true }));
        // the first one may have seen only now that something flaps
        self.step(&Step(60, What::Dispatch { sends: true }));
        let store = self.open();
        assert_eq!(store.with(store::count_undecided).unwrap(), 0, "undecided in the end");
        assert_eq!(store.with(store::waiting).unwrap().len(), 0, "undelivered in the end");
        // whatever happened, no flapping is for ever: what does not wait for a restart has ended it in an hour
        for (name, _) in NAMES {
            let model = &self.models[name as usize];
            assert!(model.flapping.is_none() || model.now == Now::Waits, "it flaps in the end: {model:?}");
            assert_eq!(store.with(|db| store::unconfirmed(db, &subject(name))).unwrap(), [], "unconfirmed in the end");
        }
    }

    fn fails(&mut self, name: Name, how: How, then: Then, heard: Heard) {
        let new = self.truths[name as usize].active.is_none();
        let is_early = heard.is_early();
        let run = if new && is_early { self.next_run() } else { self.run(name) };
        let restarts = then == Then::Restarts;
        let [active, sub] = if restarts { ["activating", "auto-restart"] } else { ["failed", "failed"] };
        self.set(name, run, active, sub);
        self.models[name as usize].ended(run, End::Failed { how, restarts }, self.now);
        self.models[name as usize].now = if restarts { Now::Waits } else { Now::Failed };
        self.failure_handler(name, run, how, heard, |machine| {
            if new && is_early {
                machine.begins(name, run);
            }
            machine.tells(name, run, how);
        });
        let truth = &mut self.truths[name as usize];
        truth.last_failed = Some(run);
        truth.waits_for_restart = restarts.then_some((run, Some(how)));
    }

    fn gives_up(&mut self, name: Name, heard: Heard) {
        let Some((run, Some(how))) = self.truths[name as usize].waits_for_restart else { return };
        if self.models[name as usize].dropped.contains(&run) {
            return;
        }
        self.restarts(name);
        self.set(name, run, "failed", "failed");
        if heard.is_early() {
            // the handler sees the words of the first failure, and that it was to be tried again
            self.models[name as usize].look(self.rules, self.now);
        }
        self.models[name as usize].ended(run, End::GaveUp, self.now);
        self.models[name as usize].now = Now::Failed;
        self.failure_handler(name, run, how, heard, |machine| machine.tells(name, run, how));
    }

    fn succeeds(&mut self, name: Name, then: Then, heard: bool) {
        let run = self.run(name);
        self.say(name, message(Kind::Succeeded, &id(run), self.now));
        let restarts = then == Then::Restarts;
        let [active, sub] = if restarts { ["activating", "auto-restart"] } else { ["inactive", "dead"] };
        self.set(name, run, active, sub);
        self.truths[name as usize].waits_for_restart = restarts.then_some((run, None));
        self.truths[name as usize].ended = Some(self.now);
        let model = &mut self.models[name as usize];
        model.active_since = None;
        model.now = if restarts { Now::Waits } else { Now::Inactive };
        if !restarts {
            model.ended(run, End::Succeeded, self.now);
        }
        if heard {
            self.success_handler(name, run);
        }
    }

    fn starts(&mut self, name: Name) {
        if self.truths[name as usize].active.is_some() {
            return;
        }
        let run = self.run(name);
        self.say(name, message(Kind::Started, &id(run), self.now));
        let state = State { active_since: Some(self.now), ..state(run, "active", "running") };
        self.world.set(text(name), state);
        self.truths[name as usize].active = Some(run);
        self.models[name as usize].active_since = Some(self.now);
        self.models[name as usize].now = Now::Active;
    }

    /// The run that comes to its end now: the active one, or one that was begun just before.
    fn run(&mut self, name: Name) -> usize {
        if let Some(run) = self.truths[name as usize].active.take() {
            return run;
        }
        let run = self.next_run();
        self.begins(name, run);
        run
    }

    fn next_run(&mut self) -> usize {
        self.runs += 1;
        self.runs
    }

    fn begins(&mut self, name: Name, run: usize) {
        self.restarts(name);
        self.truths[name as usize].last_failed = None;
        self.say(name, message(Kind::Starting, &id(run), self.now - LASTED));
    }

    /// What waited for its restart is started again now.
    fn restarts(&mut self, name: Name) {
        if let Some((run, failed)) = self.truths[name as usize].waits_for_restart.take() {
            // before the run that it begins, as in a journal
            let at = self.now - LASTED - TimeDelta::milliseconds(1);
            self.say(name, message(Kind::Restarts, &id(run), at));
            let model = &mut self.models[name as usize];
            let is_forgotten = model.cleared >= self.truths[name as usize].ended;
            if failed.is_none() && self.rules.flapping > 0 && !is_forgotten {
                model.ended(run, End::StartedAgain, at);
            }
        }
    }

    /// The journal's words about a failure.
    fn tells(&self, name: Name, run: usize, how: How) {
        let [result, code, status] = words(how);
        let exit = Some((code.to_owned(), status.to_owned()));
        self.say(name, Message { exit, ..message(Kind::Exited, &id(run), self.now) });
        self.say(name, Message { result: Some(result.to_owned()), ..message(Kind::Failed, &id(run), self.now) });
    }

    fn say(&self, name: Name, message: Message) {
        self.world.say(text(name), message);
    }

    fn set(&self, name: Name, run: usize, active: &str, sub: &str) {
        self.world.set(text(name), state(run, active, sub));
    }

    fn failure_handler(&mut self, name: Name, run: usize, how: How, heard: Heard, tell: impl FnOnce(&mut Machine)) {
        let told = Some((run, words(how)));
        match heard {
            Heard::Early | Heard::WordlessAndEarly => {
                self.handler(name, Outcome::Failed, told.filter(|_| heard == Heard::Early));
                tell(self);
                self.models[name as usize].waits = true;
            }
            Heard::Never => tell(self),
            Heard::InTime | Heard::Twice | Heard::Wordless => {
                tell(self);
                self.handler(name, Outcome::Failed, told.filter(|_| heard != Heard::Wordless));
                if heard == Heard::Twice {
                    self.handler(name, Outcome::Failed, told);
                }
                self.models[name as usize].look(self.rules, self.now);
            }
        }
    }

    fn success_handler(&mut self, name: Name, run: usize) {
        self.handler(name, Outcome::Succeeded, Some((run, ["success", "exited", "0"])));
        let model = &mut self.models[name as usize];
        if !model.is_quiet() {
            model.look(self.rules, self.now);
        }
    }

    /// systemd starts a handler, a moment after what it is about.
    fn handler(&mut self, name: Name, outcome: Outcome, told: Option<(usize, [&str; 3])>) {
        let at = self.now + TimeDelta::milliseconds(20);
        let environment = |variable: &str| {
            let (run, [result, code, status]) = told?;
            match variable {
                "MONITOR_UNIT" => Some(text(name).to_owned()),
                "MONITOR_SERVICE_RESULT" => Some(result.to_owned()),
                "MONITOR_EXIT_CODE" => Some(code.to_owned()),
                "MONITOR_EXIT_STATUS" => Some(status.to_owned()),
                "MONITOR_INVOCATION_ID" => Some(id(run)),
                _ => None,
            }
        };
        let event = handler::event(&Manager::System, &unit(name), outcome, &environment, || "boot".to_owned(), at);
        let settings = || Settings::read(&self.files);
        pipeline::take_in(&self.site, &event, &self.world, &|| at, &settings).unwrap();
    }

    /// The failures on record, by run; a run that no trigger named is 0.
    fn failures(&self, store: &Store, name: Name) -> Vec<(usize, String, bool, bool)> {
        let history = store.with(|db| store::of_subject(db, &subject(name))).unwrap();
        let failed = history.into_iter().filter(|(recorded, _)| recorded.event.outcome == Outcome::Failed);
        let mut failures: Vec<_> = failed
            .map(|(recorded, _)| {
                let run = recorded.event.invocation_id.map_or(0, |id| usize::from_str_radix(&id, 16).unwrap());
                let spoke = recorded.reason.is_some_and(|reason| reason.alert().is_some());
                (run, recorded.event.problem.to_string(), recorded.event.restarts, spoke)
            })
            .collect();
        failures.sort();
        failures
    }

    fn open(&self) -> Store {
        Store::open(&self.site.state, Older::Migrate, Duration::from_secs(60)).unwrap()
    }
}
