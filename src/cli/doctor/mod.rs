//! `sysalert doctor`: finds what would keep an alert from arriving.

mod changes;
mod configuration;
mod drop_ins;
mod end_to_end;
mod files;
mod machine;
mod programs;
mod record;
mod sandbox;
mod secrets;
mod units;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::context::Context;
use super::output::{self, Format, Output};
use crate::error::{Error, Kind, Result};
use crate::event::Manager;
use crate::host::directives::Directives;
use crate::host::dropins::Scope;
use crate::host::env::Environment;
use crate::host::files::Files;
use crate::host::manager::{Sandbox, ServiceManager};
use crate::host::unit_files::UnitFiles;
use crate::host::{identity, journal};
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  sysalert doctor              what is wrong, and who must do what; the exit status is 1 when something is
  sysalert --user doctor       the same for your own units
  sysalert doctor -o json      for a program
  sysalert doctor --end-to-end
                               lets a unit fail and recover for real: everybody gets two messages";

/// Looks at everything that an alert passes on its way.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// Let a unit that is made for it fail and recover, and follow both to their delivery
    #[arg(long)]
    end_to_end: bool,
    /// With --end-to-end: how long to wait for each delivery
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    output: Output,
}

/// What a look came to, if not all is well.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It would keep an alert from arriving.
    Finding {
        /// What is wrong, and what that means.
        what: String,
        /// Who must do what.
        hint: String,
    },
    /// It is worth knowing.
    Note(String),
}

fn finding(what: impl Into<String>, hint: impl Into<String>) -> Outcome {
    Outcome::Finding { what: what.into(), hint: hint.into() }
}

/// What an error says, as a finding.
fn of_error(error: Error) -> Outcome {
    finding(error.message, error.hint.unwrap_or_else(|| "`sysalert doctor` tells whether it is mended".to_owned()))
}

/// Who looks: root sees files that the owner of the record must not see; and what that owner cannot read, the handlers cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Caller,
    Owner,
}

struct Look {
    name: &'static str,
    by: As,
    at: fn(&mut Patient<'_>) -> Vec<Outcome>,
}

/// All that is looked at. Root becomes the owner of the record between the caller's looks and the owner's.
const LOOKS: &[Look] = &[
    Look { name: "systemd", by: As::Caller, at: machine::systemd },
    Look { name: "handlers", by: As::Caller, at: units::handlers },
    Look { name: "changes", by: As::Caller, at: changes::decisive },
    Look { name: "delivery", by: As::Caller, at: units::delivery },
    Look { name: "timers", by: As::Caller, at: units::timers },
    Look { name: "lingering", by: As::Caller, at: machine::lingering },
    Look { name: "drop-ins", by: As::Caller, at: drop_ins::shadowed },
    Look { name: "names", by: As::Caller, at: drop_ins::too_long },
    Look { name: "units", by: As::Caller, at: drop_ins::handled },
    Look { name: "spelling", by: As::Caller, at: drop_ins::mistyped },
    Look { name: "state", by: As::Caller, at: files::state },
    Look { name: "owners", by: As::Caller, at: files::configuration },
    Look { name: "secrets", by: As::Caller, at: secrets::kept },
    Look { name: "sandbox", by: As::Caller, at: sandbox::hidden },
    Look { name: "configuration", by: As::Owner, at: configuration::complaints },
    Look { name: "plugins", by: As::Owner, at: configuration::versions },
    Look { name: "channels", by: As::Owner, at: configuration::unreachable },
    Look { name: "programs", by: As::Owner, at: programs::unusable },
    Look { name: "files", by: As::Owner, at: programs::unwritable },
    Look { name: "clock", by: As::Owner, at: machine::clock },
    Look { name: "journal", by: As::Owner, at: machine::journal },
    Look { name: "outbox", by: As::Owner, at: record::outbox },
    Look { name: "methods", by: As::Owner, at: record::outages },
    Look { name: "record", by: As::Owner, at: record::behind },
];

/// systemd may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is looked at.
struct Patient<'a> {
    context: &'a Context,
    /// `None`: they are not valid, which a look of its own tells.
    settings: Option<Settings>,
    manager: ServiceManager,
    scope: Scope,
    /// Whether root runs it; in the looks of the record's owner it is root no more.
    is_root: bool,
    /// What hides paths from each service that was asked about.
    sandboxes: BTreeMap<&'static str, Option<Sandbox>>,
}

impl Patient<'_> {
    /// "systemctl", for the manager that is looked at.
    fn systemctl(&self) -> &'static str {
        output::systemctl(self.is_users())
    }

    fn is_users(&self) -> bool {
        self.scope == Scope::User
    }

    /// "sysalert", as it is called for this manager.
    fn sysalert(&self) -> &'static str {
        output::sysalert(self.is_users())
    }

    /// The sandbox of a service, asked for once; `None` where the manager does not tell it.
    fn sandbox(&mut self, service: &'static str) -> Option<&Sandbox> {
        let manager = &mut self.manager;
        self.sandboxes.entry(service).or_insert_with(|| manager.sandbox(service)).as_ref()
    }

    /// Whether it may see all that counts: a member of the group may not.
    fn sees_all(&self) -> bool {
        self.is_users() || self.is_root
    }

    /// The files of a unit, of these.
    fn files_of(&self, files: &UnitFiles, unit: &str) -> Files {
        match &self.context.site.manager {
            Manager::System => files.of(unit),
            Manager::User(user) => files.of(&format!("{user}/{unit}")),
        }
    }

    /// What the files of a unit say.
    fn directives(&self, unit: &str) -> Directives {
        Directives::read(&self.files_of(&self.unit_files(), unit))
    }

    fn unit_files(&self) -> UnitFiles {
        UnitFiles::find(&self.context.site.manager, Environment::Ours)
    }
}

impl Doctor {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let is_users = context.site.manager != Manager::System;
        if self.end_to_end {
            return end_to_end::run(context, self.output.output, self.timeout);
        }
        let sees_all = is_users || identity::is_root();
        if !sees_all {
            // whoever may read neither would take each look's refusal for what is wrong
            let read = context.settings().map(drop).and_then(|()| context.read().map(drop));
            read.or_else(|error| if error.kind == Kind::Permission { Err(error) } else { Ok(()) })?;
        }
        let mut patient = Patient {
            context,
            settings: context.settings().ok(),
            manager: ServiceManager::new(is_users, PATIENCE),
            scope: if is_users { Scope::User } else { Scope::System },
            is_root: identity::is_root(),
            sandboxes: BTreeMap::new(),
        };
        let (before, after): (Vec<&Look>, Vec<&Look>) = LOOKS.iter().partition(|look| look.by == As::Caller);
        let mut found = Vec::new();
        let mut look = |looks: Vec<&Look>| {
            for look in looks {
                let outcomes = output::waiting_for(&format!("looking at {}", look.name), || (look.at)(&mut patient));
                found.push((look.name, outcomes));
            }
        };
        look(before);
        context.enter()?;
        look(after);
        if !sees_all {
            let journal = if journal::readable().is_ok() { "" } else { ", nor the journal, which you may not read" };
            let text = format!("what only root may see was not looked at{journal}: run it as root");
            found.push(("permission", vec![Outcome::Note(text)]));
        }
        let is_well = !found.iter().flat_map(|(_, outcomes)| outcomes).any(|outcome| matches!(outcome, Outcome::Finding { .. }));
        match self.output.output {
            Format::Json => output::json(&found.iter().flat_map(|(name, outcomes)| json_of(name, outcomes)).collect())?,
            Format::Table => output::print(&told(&found))?,
        }
        Ok(u8::from(!is_well))
    }
}

/// For people: what is wrong, then what is worth knowing, then how much was looked at.
fn told(found: &[(&str, Vec<Outcome>)]) -> String {
    let mut findings = Vec::new();
    let mut notes = Vec::new();
    for (name, outcome) in found.iter().flat_map(|(name, outcomes)| outcomes.iter().map(move |outcome| (name, outcome))) {
        match outcome {
            Outcome::Finding { what, hint } => findings.push(format!("{name}: {what}\n  hint: {hint}\n")),
            Outcome::Note(what) => notes.push(format!("{name}: {what} (a note)\n")),
        }
    }
    let looked = format!("Looked at {} things", found.len());
    let end = match findings.len() {
        0 => format!("{looked}: nothing would keep an alert from arriving.\n"),
        1 => format!("{looked}: 1 finding.\n"),
        many => format!("{looked}: {many} findings.\n"),
    };
    let gap = if findings.is_empty() && notes.is_empty() { "" } else { "\n" };
    format!("{}{}{gap}{end}", findings.concat(), notes.concat())
}

/// For programs: a row for each outcome, and one for each look that found nothing.
fn json_of(name: &str, outcomes: &[Outcome]) -> Vec<Value> {
    if outcomes.is_empty() {
        return vec![json!({ "look": name, "outcome": "well", "what": null, "hint": null })];
    }
    let row = |outcome: &Outcome| match outcome {
        Outcome::Finding { what, hint } => json!({ "look": name, "outcome": "finding", "what": what, "hint": hint }),
        Outcome::Note(what) => json!({ "look": name, "outcome": "note", "what": what, "hint": null }),
    };
    outcomes.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_look_has_a_name_of_its_own() {
        assert_eq!(LOOKS.iter().map(|look| look.name).collect::<BTreeSet<_>>().len(), LOOKS.len());
    }
}
