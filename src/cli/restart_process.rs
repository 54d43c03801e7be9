//! `sysalert restart-process`: one cycle of restarts, as root; started by sysalert-restart@.service. It reads what only root can
//! change, and of the database it gets the name alone. The unit calls it once more at its end (`ExecStopPost=`), so that a
//! restart that was killed or took too long is told as what came of it, and not as what the next one finds.

use std::time::Duration;

use clap::Args;

use super::context::Context;
use crate::dispatch::plugin;
use crate::error::{Error, Kind, Result};
use crate::event::{ProcessName, Subject};
use crate::host::manager::ServiceManager;
use crate::host::{clock, env, files, identity, log, trust};
use crate::settings::{HealthCheck, Process};
use crate::watchdog::restart::{cycle, was_done};
use crate::watchdog::told::{self, Told};

/// Each answer of the service manager may take so long.
const BUDGET: Duration = Duration::from_secs(20);

/// As systemd numbers the runs of a unit (`systemd.exec(5)`).
const RUN: &str = "INVOCATION_ID";

/// Done, or a sentence that says why not.
type Outcome<T = ()> = std::result::Result<T, String>;

#[derive(Debug, Args)]
pub(super) struct RestartProcess {
    /// The run is over: tell what came of it, if it could not
    #[arg(long)]
    ended: bool,
    /// The instance of the unit
    instance: String,
}

impl RestartProcess {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        if !identity::is_root() {
            return Err(Error::new(Kind::Permission, "a process is restarted by root alone")
                .hint("`sysalert process restart NAME` asks systemd for it"));
        }
        let name = ProcessName::of_instance(&self.instance)
            .ok_or_else(|| Error::usage(format!("no process has the instance \"{}\"", self.instance.escape_debug())))?;
        let subject = Subject::process(name.as_str());
        let run = env::var(RUN).unwrap_or_default();
        let outcome = if self.ended {
            let Some(ran) = told::cut_short(&name, &run) else { return Ok(0) };
            look(context, &name, &ran)
        } else {
            restart(context, &name, &run)
        };
        let why = outcome.as_ref().err().cloned();
        told::tell(&name, Told::Over { at: clock::system(), why: why.clone() })?;
        match why {
            None => {
                log::notice(Some(subject.as_str()), &format!("{name} was restarted, and is healthy"));
                Ok(0)
            }
            Some(why) => Err(Error::failure(format!("{name} could not be restarted: {why}"))),
        }
    }
}

fn restart(context: &Context, name: &ProcessName, run: &str) -> Outcome {
    let process = section(context, name)?;
    let mut manager = ServiceManager::new(false, BUDGET);
    let begin = |ran| told::tell(name, Told::Begun { ran, run: run.to_owned() }).map_err(|error| error.to_string());
    cycle(&process, &mut manager, &|check, left| probe(context, check, left), &begin)
}

/// What came of a restart that was cut short.
fn look(context: &Context, name: &ProcessName, ran: &str) -> Outcome {
    let process = section(context, name)?;
    let mut manager = ServiceManager::new(false, BUDGET);
    was_done(&process, &mut manager, &|check, left| probe(context, check, left), ran)
        .map_err(|why| format!("the restart was cut short: {why}"))
}

/// How it is restarted, by a configuration that nobody but root can change.
fn section(context: &Context, name: &ProcessName) -> Outcome<Process> {
    for path in files::places(&context.site.config).map_err(|error| error.to_string())? {
        trust::only_roots(&path).map_err(|why| format!("the configuration is not root's alone: {why}"))?;
    }
    let settings = context.settings().map_err(|error| error.to_string())?;
    settings
        .process(name)
        .ok_or_else(|| format!("it has no section [process.{:?}] and is not in `allow` of [processes]", name.as_str()))
}

fn probe(context: &Context, check: &HealthCheck, left: Duration) -> Outcome {
    let HealthCheck::Http { url, status, text } = check else { return Ok(()) };
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    let request = serde_json::json!({ "task": "probe", "url": url, "status": status, "text": text, "deadline_ms": millis });
    let answer = plugin::task(&context.site, super::processes::LIBRARY, &request, left + Duration::from_secs(5));
    super::processes::answered(answer?).map(drop)
}
