//! `sysalert restart-process`: one cycle of restarts, as root; started by sysalert-restart@.service. It reads what only root can
//! change, and of the database it gets the name alone.

use clap::Args;

use super::context::Context;
use crate::dispatch::plugin;
use crate::error::{Error, Kind, Result};
use crate::event::{ProcessName, Subject};
use crate::host::manager::ServiceManager;
use crate::host::{clock, files, identity, log, trust};
use crate::settings::HealthCheck;
use crate::watchdog::restart::{Probe, cycle, was_done};
use crate::watchdog::told::{self, Told};

/// Each answer of the service manager may take so long.
const BUDGET: std::time::Duration = std::time::Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct RestartProcess {
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
        let outcome = restart(context, &name);
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

fn restart(context: &Context, name: &ProcessName) -> std::result::Result<(), String> {
    for path in files::places(&context.site.config).map_err(|error| error.to_string())? {
        trust::only_roots(&path).map_err(|why| format!("the configuration is not root's alone: {why}"))?;
    }
    let settings = context.settings().map_err(|error| error.to_string())?;
    let process = settings
        .process(name)
        .ok_or_else(|| format!("it has no section [process.{:?}] and is not in `allow` of [processes]", name.as_str()))?;
    let mut manager = ServiceManager::new(false, BUDGET);
    let probe: Probe<'_> = &|check, left| {
        let HealthCheck::Http { url, status, text } = check else { return Ok(()) };
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let request = serde_json::json!({ "task": "probe", "url": url, "status": status, "text": text, "deadline_ms": millis });
        let answer = plugin::task(&context.site, super::processes::LIBRARY, &request, left + std::time::Duration::from_secs(5));
        super::processes::answered(answer?).map(drop)
    };
    if told::cut_short(name).is_some_and(|ran| was_done(&process, &mut manager, probe, &ran)) {
        log::notice(Some(Subject::process(name.as_str()).as_str()), "an earlier restart was cut short, and had brought it back");
        return Ok(());
    }
    let begin = |ran: String| told::tell(name, Told::Begun { ran }).map_err(|error| error.to_string());
    cycle(&process, &mut manager, probe, &begin)
}
