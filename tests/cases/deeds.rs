//! What sysalert does in a story: its handlers, its checks, its dispatch; and what systemd shows it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use sysalert::dispatch::{
    self, Complete, Outside, Tally, own_words,
    plugin::{Envelope, Tried},
};
use sysalert::error::Error;
use sysalert::event::{Event, Manager, Outcome, Problem, Start, UnitName};
use sysalert::host::journal::{Kind, Message};
use sysalert::host::manager::{Detail, Listed, Unit};
use sysalert::host::{Site, wake};
use sysalert::pipeline::{self, Gathering};
use sysalert::settings::{Method, Settings};
use sysalert::store::{self, Older, Store};
use sysalert::trigger::handler;
use sysalert::trigger::sensor::rule::Judgement;
use sysalert_abi::Answer;

use super::step::{Run, Shown};
use super::{PATIENCE, Telling, counted};
use crate::world::{LASTED, message};

impl Telling {
    /// What the manager says of a run in the journal.
    pub(super) fn journal(&self, number: usize, at: DateTime<Utc>, run: &Run, outcome: Outcome) {
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
    pub(super) fn handler(&mut self, number: usize, when: &str, at: DateTime<Utc>, run: &Run, outcome: Outcome) {
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
    pub(super) fn show(&self, at: DateTime<Utc>, shown: &Shown) {
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
    pub(super) fn check(&mut self, when: &str, at: DateTime<Utc>) {
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
    pub(super) fn sensors(&mut self, when: &str, at: DateTime<Utc>) {
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
    pub(super) fn dispatch(&mut self, when: &str, at: DateTime<Utc>, answers: &BTreeMap<String, String>) {
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
