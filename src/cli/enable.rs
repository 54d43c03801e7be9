//! `sysalert enable`: lets units tell their failures, by drop-ins.

mod plan;

use clap::{ArgGroup, Args};

use super::context::Context;
use super::output;
use super::targets::{ALL_SERVICES, Opened, Place, shown};
use crate::error::{Error, Result};
use crate::event::shell;
use crate::host::log;
use crate::overrides::{self, Step};
use plan::{Job, Plan};

const EXAMPLES: &str = "\
Examples:
  sysalert enable --timers             every service that a timer starts: backups, clean-ups, ...
  sysalert enable nginx postgresql     these two
  sysalert enable 'backup-*' --strict  these, and no run of theirs is missed, not even for a minute
  sysalert enable --system-wide        every service of this machine
  sysalert --user enable --timers      your own, without root

`sysalert disable` with the same words takes it back. See what would be done with --dry-run.";

/// Which units.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "sysalert enable [OPTIONS] <UNITS>... | --timers | --system-wide",
    group = ArgGroup::new("which").args(["units", "timers", "system_wide"]).required(true)
)]
pub(super) struct Enable {
    /// Names of units, or globs such as 'backup-*'
    units: Vec<String>,
    /// Every service that a timer starts
    #[arg(long)]
    timers: bool,
    /// Every service
    #[arg(long)]
    system_wide: bool,
    /// Let the services themselves record each run before systemd goes on (costs each stop some milliseconds)
    #[arg(long, conflicts_with = "system_wide")]
    strict: bool,
    #[command(flatten)]
    place: Place,
}

impl Enable {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let mut opened = self.place.open(context)?;
        let Some(handler) = opened.scope.installed("sysalert-failure@.service") else {
            return Err(Error::failure("sysalert's own units are not installed where systemd looks for them")
                .hint("`make install` puts them there; a package that came with this program, likewise"));
        };
        // with its options, as the handlers have it
        let program = handler.lines().find_map(|line| line.strip_prefix("ExecStart=")?.strip_suffix(" failure -- %i"));
        let strict = match program {
            Some(program) => self.strict.then(|| program.to_owned()),
            None if self.strict => return Err(Error::failure("sysalert-failure@.service does not say where the program is")),
            None => None,
        };
        let mut plan = Plan { strict, ..Plan::default() };
        if self.system_wide {
            plan.everything(&mut opened)?;
        } else if self.timers {
            plan.timers(&mut opened)?;
        } else {
            plan.named(&mut opened, &self.units)?;
        }
        if !plan.refused.is_empty() {
            return Err(Error::failure(plan.refused.join("\n")).hint("nothing was changed"));
        }
        self.carry_out(opened, plan)
    }

    fn carry_out(&self, mut opened: Opened, plan: Plan) -> Result<u8> {
        let mut rows = Vec::new();
        let mut written = Vec::new();
        let mut failed = None;
        for job in &plan.jobs {
            let must_write = job.steps.iter().any(|(_, step)| matches!(step, Step::Write(_)));
            let done = match must_write {
                false => "enabled already",
                true if self.place.dry_run => "would be enabled",
                true if failed.is_some() => "not enabled",
                true => match write(&mut opened, job) {
                    (_, Ok(())) => {
                        written.push(job.unit.as_str());
                        "enabled"
                    }
                    (some, Err(error)) => {
                        failed = Some(error);
                        // the handlers come first, and hold without the rest
                        written.extend((some > 0).then_some(job.unit.as_str()));
                        if some > 0 { "enabled without --strict" } else { "not enabled" }
                    }
                },
            };
            rows.push(vec![shown(&job.unit), done.to_owned(), job.note.clone()]);
        }
        rows.extend(plan.skipped.into_iter().map(|(unit, why)| vec![unit.clone(), "left alone".to_owned(), format!("it {why}")]));
        rows.sort();
        if !rows.is_empty() {
            output::print(&output::table(&["UNIT", "DONE", "NOTE"], rows))?;
        }
        if self.place.dry_run {
            let refusal = opened.drop_ins.refusal().filter(|_| would_write(&plan.jobs));
            let so_far = refusal.map_or_else(String::new, |why| format!(" Now that would fail: {why}."));
            output::print(&format!("Nothing was changed.{so_far}\n"))?;
            return Ok(0);
        }
        if plan.jobs.is_empty() {
            output::print("There is nothing to enable.\n")?;
            return Ok(0);
        }
        if !written.is_empty() {
            // what was written before something went wrong holds as well
            make_it_hold(&mut opened, &written);
        }
        if failed.is_none() || !written.is_empty() {
            opened.deliver(true);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let what = match written.len() {
            0 => return Ok(0),
            _ if self.system_wide => "Every service will tell when it fails".to_owned(),
            1 => "1 unit will tell when it fails".to_owned(),
            more => format!("{more} units will tell when they fail"),
        };
        output::print(&format!("{what}; `sysalert test` shows whether that reaches you.\n"))?;
        Ok(0)
    }
}

/// Lets systemd read what was written, and looks whether it took it.
fn make_it_hold(opened: &mut Opened, written: &[&str]) {
    if !opened.reload() {
        return;
    }
    let Some(manager) = &mut opened.manager else { return };
    for unit in written.iter().filter(|unit| **unit != ALL_SERVICES) {
        if manager.nature(unit).is_ok_and(|nature| !nature.on_failure.iter().any(|unit| overrides::is_handler(unit))) {
            log::warn(
                None,
                &format!(
                    "{unit} names no handler all the same: another drop-in stands above it; `systemctl cat {}` shows all",
                    shell(unit)
                ),
            );
        }
    }
}

fn would_write(jobs: &[Job]) -> bool {
    jobs.iter().flat_map(|job| &job.steps).any(|(_, step)| matches!(step, Step::Write(_)))
}

/// Writes a unit's drop-ins, and says how many.
fn write(opened: &mut Opened, job: &Job) -> (usize, Result<()>) {
    let mut written = 0;
    for (name, step) in &job.steps {
        if let Step::Write(drop_in) = step {
            if let Err(error) = opened.drop_ins.write(&job.unit, name, &drop_in.text()) {
                return (written, Err(error));
            }
            written += 1;
        }
    }
    (written, Ok(()))
}
