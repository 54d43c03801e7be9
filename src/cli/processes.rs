//! `sysalert check processes` and `sysalert process`: the watchdog and its table.

mod status;

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::context::{Context, PATIENCE};
use super::output;
use crate::dispatch::plugin;
use crate::error::{Error, Result};
use crate::event::{Alarm, ProcessName, Subject, shell};
use crate::host::log::{self, Level};
use crate::host::manager::{Change, ServiceManager};
use crate::host::{Site, clock, identity, log_file, secret, wake};
use crate::pipeline;
use crate::settings::{self, LogFile, Processes, Settings};
use crate::store::{self, Older, Store};
use crate::watchdog::{self, News, Reported, restart, told};

/// The client of the database.
pub(super) const LIBRARY: &str = "processes";
/// All that the client does may take so long: each answer of the server has its own, shorter limit.
const CLIENT: Duration = Duration::from_secs(30);
/// Each answer of the service manager may take so long; the first one may have to start polkit.
const BUDGET: Duration = Duration::from_secs(25);
/// A run begins no restart after this time.
const RUN: Duration = Duration::from_secs(600);
/// A restart ends within its unit's TimeoutStartSec= and TimeoutStopSec=.
const RESTART: Duration = Duration::from_secs(620);

/// The watchdog of a database's processes.
#[derive(Debug, Subcommand)]
pub(super) enum Process {
    /// Show every process: whether it is in alarm, its last restart, its circuit breaker
    Status(status::Status),
    /// Restart a process as its section says, and tell by the exit status whether it is healthy
    Restart(Restart),
}

const RESTART_EXAMPLES: &str = "\
Examples:
  sysalert process restart billing    as [process.billing] says";

#[derive(Debug, Args)]
#[command(after_help = RESTART_EXAMPLES)]
pub(super) struct Restart {
    /// Its name
    name: String,
}

impl Process {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        match self {
            Process::Status(verb) => verb.run(context),
            Process::Restart(verb) => verb.run(context),
        }
    }
}

/// One round of the watchdog, for `sysalert check`. `None`: there is no database, or it is too soon.
pub(super) fn check(context: &Context, settings: &Settings, dry: bool, by_timer: bool) -> Result<Option<Vec<Reported>>> {
    let Some(processes) = &settings.processes else { return Ok(None) };
    context.enter_or_make()?;
    let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
    let now = clock::system();
    if by_timer {
        let last = store.with(store::processes_checked)?;
        // a timer is never quite on time
        let pace = chrono::TimeDelta::from_std(processes.check_interval.mul_f64(0.9)).unwrap_or_default();
        if last.is_some_and(|last| last <= now && now - last < pace) {
            return Ok(None);
        }
    }
    if !dry {
        store.write(|db| store::set_processes_checked(db, now))?;
    }
    let mut hands = Hands::new(&context.site, settings, processes);
    let reported = watchdog::round(&mut store, settings, processes, &mut hands, &clock::system, dry);
    if hands.queued {
        wake::raise_or_warn(&context.site, None);
    }
    reported.map(Some)
}

impl Restart {
    fn run(&self, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        let name = ProcessName::parse(&self.name)
            .map_err(|why| Error::usage(format!("no process is called \"{}\": its name {why}", self.name.escape_debug())))?;
        let Some(processes) = settings.processes.as_ref().filter(|_| settings.process(&name).is_some()) else {
            return Err(super::context::no_process(&name, &settings));
        };
        let who = identity::who();
        context.enter_or_make()?;
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        let mut hands = Hands::new(&context.site, &settings, processes);
        let outcome = watchdog::by_hand(&mut store, processes, &mut hands, &clock::system, &name, &who)?;
        if hands.queued {
            wake::raise_or_warn(&context.site, None);
        }
        match outcome.failed {
            None => {
                output::print(&format!("{name} was restarted, and is healthy\n"))?;
                if let Some(why) = outcome.not_ended {
                    let text = format!("its alarms could not be ended in the database; the next run that can does it: {why}");
                    log::warn(Some(Subject::process(name.as_str()).as_str()), &text);
                }
                Ok(0)
            }
            Some(why) => Err(Error::failure(format!("{name} could not be restarted: {why}"))
                .hint(format!("journalctl -n 50 -u {}", shell(&name.unit())))),
        }
    }
}

/// What the watchdog does in this world.
struct Hands<'a> {
    site: &'a Site,
    settings: &'a Settings,
    /// The section of the database, its secrets put in when it is first needed.
    database: std::result::Result<Map<String, Value>, String>,
    until: Instant,
    queued: bool,
}

impl<'a> Hands<'a> {
    fn new(site: &'a Site, settings: &'a Settings, processes: &Processes) -> Hands<'a> {
        let database = secret::resolve(processes.database.clone())
            .map_err(|why| why.replace("sysalert-dispatch.service", "sysalert-check@processes.service"));
        Hands { site, settings, database, until: clock::started() + RUN, queued: false }
    }
}

impl watchdog::World for Hands<'_> {
    fn ask(&mut self, mut request: Value) -> std::result::Result<Value, String> {
        request["database"] = Value::Object(self.database.clone()?);
        let begun = clock::started();
        answered(plugin::task(self.site, LIBRARY, &request, CLIENT).map_err(|why| match clock::started() - begun {
            // each of its answers came in time, and there was no end of them
            time if time >= CLIENT => format!(
                "the server was not done after {} s; look at it, it is overloaded; or correct `host`, `port` or `socket` in \
                 [processes], if that is no database",
                CLIENT.as_secs()
            ),
            _ => why,
        })?)
    }

    fn restart(&mut self, name: &ProcessName, asked: DateTime<Utc>) -> std::result::Result<(), String> {
        let unit = name.unit();
        let changed = ServiceManager::new(false, BUDGET).change(Change::Start, &unit, clock::started() + RESTART);
        if let Some(outcome) = told::heard(name, asked) {
            return outcome;
        }
        if let Err(why) = changed {
            let hint = if why.contains("uthentication") || why.contains("denied") {
                "; polkit and the rule 50-sysalert.rules must be installed"
            } else {
                ""
            };
            return Err(format!("{unit} cannot be started: {why}{hint}"));
        }
        Err(format!("{unit} ended without a word: `journalctl -u '{unit}'` tells more"))
    }

    fn outcome(&mut self, name: &ProcessName, asked: DateTime<Utc>) -> std::result::Result<(), String> {
        ServiceManager::new(false, BUDGET).settled(&name.unit(), clock::started() + RESTART)?;
        let unknown = || Err("the run that asked for it was ended, and what came of it is not known".to_owned());
        told::heard(name, asked).unwrap_or_else(unknown)
    }

    fn can_restart(&mut self, process: &settings::Process) -> std::result::Result<(), String> {
        restart::can(process, &mut ServiceManager::new(false, BUDGET))
    }

    fn is_late(&self) -> bool {
        clock::started() >= self.until
    }

    fn news(&mut self, store: &mut Store, news: &[News]) -> Result<()> {
        let news: Vec<_> = news.iter().map(|news| (news.subject.clone(), news.what.clone(), news.attempt)).collect();
        let (queued, filed) = pipeline::processes(store, self.settings, &news, clock::system())?;
        self.queued |= queued;
        for (subject, what, _) in filed.into_iter().map(|number| &news[number]) {
            self.log(subject, what);
        }
        Ok(())
    }
}

impl Hands<'_> {
    /// To the journal, and to the file that `[processes.log]` names.
    fn log(&self, subject: &Subject, what: &std::result::Result<String, Alarm>) {
        let (level, word, text) = match what {
            Ok(how) => (Level::Notice, "INFO", how.clone()),
            Err(alarm @ (Alarm::Restarts | Alarm::Reported(_) | Alarm::Waits(_))) => (Level::Warn, "WARNING", alarm.to_string()),
            Err(alarm) => (Level::Error, "ERROR", alarm.to_string()),
        };
        let text = format!("{}: {text}", subject.full_name());
        log::write(level, Some(subject.as_str()), &text);
        let file = self.settings.processes.as_ref().and_then(|processes| processes.log.as_ref());
        let Some(LogFile { path, max_size, keep }) = file else { return };
        let now = clock::system().with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S");
        // what a server said may have several lines
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Err(error) = log_file::append(path, *max_size, *keep, &format!("{now} [{word}] - {text}")) {
            let hint = "let `path` of [processes.log] be in /var/log/sysalert, or give the user sysalert another folder and \
                        `ReadWritePaths=` of sysalert-check@processes.service to it";
            log::warn(None, &format!("cannot write the log {}: {error}; the journal has it all; {hint}", path.display()));
        }
    }
}

/// What the client answered.
pub(super) fn answered(mut answer: Value) -> std::result::Result<Value, String> {
    if let Some(done) = answer.get_mut("ok") {
        return Ok(done.take());
    }
    let word = |key: &str| answer["error"][key].as_str().unwrap_or("unknown").to_owned();
    Err(format!("{}; {}", word("what"), word("hint")))
}
