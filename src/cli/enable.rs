//! `sysalert enable`: lets units tell their failures, by drop-ins.

use clap::{ArgGroup, Args};

use super::context::Context;
use super::output;
use super::targets::{ALL_SERVICES, Opened, Place, Typed};
use crate::config::nearest;
use crate::error::{Error, Result};
use crate::event::UnitName;
use crate::host::log;
use crate::overrides::{self, Content, DropIn, Grant, HANDLERS, Origin, STRICT, Step};

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

/// What is to be done for one unit.
struct Job {
    unit: String,
    /// By the name of the file.
    steps: Vec<(&'static str, Step)>,
    note: String,
}

/// What is to be done, and what not.
#[derive(Default)]
struct Plan {
    jobs: Vec<Job>,
    /// Units that were not named, and why nothing is done for them.
    skipped: Vec<(String, String)>,
    /// What was asked for and cannot be: then nothing at all is done.
    refused: Vec<String>,
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
        let mut plan = Plan::default();
        if self.system_wide {
            everything(&mut opened, &mut plan)?;
        } else if self.timers {
            timers(&mut opened, strict.as_deref(), &mut plan)?;
        } else {
            named(&self.units, &mut opened, strict.as_deref(), &mut plan)?;
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
                true => "enabled",
            };
            if must_write && !self.place.dry_run {
                if let Err(error) = write(&mut opened, job) {
                    failed = Some(error);
                    break;
                }
                written.push(job.unit.clone());
            }
            rows.push(vec![shown(&job.unit), done.to_owned(), job.note.clone()]);
        }
        rows.extend(plan.skipped.into_iter().map(|(unit, why)| vec![unit.clone(), "left alone".to_owned(), format!("it {why}")]));
        rows.sort();
        if !rows.is_empty() {
            output::print(&output::table(&["UNIT", "DONE", "NOTE"], rows))?;
        }
        if !written.is_empty() {
            // what was written before something went wrong holds as well
            self.make_it_hold(&mut opened, &written)?;
        } else if self.place.dry_run {
            output::print("Nothing was changed.\n")?;
        } else if plan.jobs.is_empty() {
            output::print("There is nothing to enable.\n")?;
        }
        failed.map_or(Ok(0), Err)
    }

    fn make_it_hold(&self, opened: &mut Opened, written: &[String]) -> Result<()> {
        if opened.reload() {
            for unit in written.iter().filter(|unit| *unit != ALL_SERVICES) {
                let Some(manager) = &mut opened.manager else { break };
                if manager.nature(unit).is_ok_and(|nature| !nature.on_failure.iter().any(|unit| overrides::is_handler(unit))) {
                    let text = format!(
                        "{unit} names no handler all the same: another drop-in stands above it; `systemctl cat {unit}` shows all"
                    );
                    log::warn(None, &text);
                }
            }
        }
        opened.deliver(true);
        let what = match written.len() {
            _ if self.system_wide => "Every service will tell when it fails".to_owned(),
            1 => "1 unit will tell when it fails".to_owned(),
            more => format!("{more} units will tell when they fail"),
        };
        output::print(&format!("{what}; `sysalert test` shows whether that reaches you.\n"))
    }
}

fn write(opened: &mut Opened, job: &Job) -> Result<()> {
    for (name, step) in &job.steps {
        if let Step::Write(drop_in) = step {
            opened.drop_ins.write(&job.unit, name, &drop_in.text())?;
        }
    }
    Ok(())
}

fn shown(unit: &str) -> String {
    if unit == ALL_SERVICES { "every service".to_owned() } else { unit.to_owned() }
}

/// The drop-in for all services: what it would do to any of them counts.
fn everything(opened: &mut Opened, plan: &mut Plan) -> Result<()> {
    if opened.scope.installed(&format!("sysalert-.service.d/{HANDLERS}")).is_none() {
        plan.refused.push(format!("sysalert-.service.d/{HANDLERS} is missing beside sysalert's units: without it a handler that fails would start a handler, and so on"));
    }
    if let Some(manager) = &mut opened.manager {
        let ours = manager.nature("sysalert-failure@sysalert.service").map_err(silent)?;
        if !ours.on_failure.is_empty() {
            plan.refused.push(format!(
                "another drop-in gives sysalert's handlers a handler, {}: the two would start each other without end. Put an empty file of that drop-in's name into /etc/systemd/system/sysalert-.service.d first",
                ours.on_failure.join(", ")
            ));
        }
        for unit in manager.units().map_err(silent)?.into_iter().filter(|unit| unit.ends_with(".service") && !unit.contains("@."))
        {
            let nature = manager.on_failure_mode(&unit).map_err(silent)?;
            if let Err(why) = overrides::everywhere(&nature) {
                plan.refused.push(format!(
                    "{unit} {why}. Leave it out by an empty file {}",
                    opened.drop_ins.path(&unit, HANDLERS).display()
                ));
            }
        }
    }
    match steps(opened, ALL_SERVICES, Origin::SystemWide, &Grant::default(), None)? {
        Ok(steps) => {
            plan.jobs.push(Job { unit: ALL_SERVICES.to_owned(), steps, note: "a recovery is told within a minute".to_owned() })
        }
        Err(why) => plan.refused.push(format!("service.d {why}")),
    }
    Ok(())
}

fn timers(opened: &mut Opened, strict: Option<&str>, plan: &mut Plan) -> Result<()> {
    let mut services: Vec<(String, Vec<String>)> = Vec::new();
    for (timer, unit) in opened.asked("which services timers start")?.timers().map_err(silent)? {
        let unit = opened.asked("")?.nature(&unit).map_err(silent)?.id;
        if overrides::is_ours(&unit) {
            continue;
        }
        match services.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, timers)) => timers.push(timer),
            None => services.push((unit, vec![timer])),
        }
    }
    for (unit, timers) in services {
        let by = format!("started by {}", timers.join(", "));
        consider(opened, &unit, (Origin::Timers, strict, Some(&by)), plan)?;
    }
    Ok(())
}

fn named(words: &[String], opened: &mut Opened, strict: Option<&str>, plan: &mut Plan) -> Result<()> {
    for word in words {
        match Typed::parse(word)? {
            Typed::One(unit) => {
                let before = plan.skipped.len();
                consider(opened, unit.as_str(), (Origin::Named, strict, None), plan)?;
                let refused: Vec<_> = plan.skipped.drain(before..).collect();
                for (unit, why) in refused {
                    plan.refused.push(format!("{unit} {why}{}", meant(opened, &unit, &why)));
                }
            }
            Typed::Glob(glob) => {
                let mut all = opened.asked("which units a glob matches")?.units().map_err(silent)?;
                // its own nobody means by a glob
                all.retain(|unit| {
                    glob.matches(unit) && !overrides::is_ours(unit) && !plan.jobs.iter().any(|job| job.unit == *unit)
                });
                if all.is_empty() {
                    plan.refused.push(format!("{} matches no unit that systemd knows", word.escape_debug()));
                }
                for unit in all {
                    consider(opened, &unit, (Origin::Named, strict, None), plan)?;
                }
                // others name it, and there is no such unit
                plan.skipped.retain(|(_, why)| why != overrides::UNKNOWN);
            }
        }
    }
    Ok(())
}

/// The name that was probably meant.
fn meant(opened: &mut Opened, unit: &str, why: &str) -> String {
    let known = match &mut opened.manager {
        Some(manager) if why == overrides::UNKNOWN => manager.units().unwrap_or_default(),
        _ => return String::new(),
    };
    let stem = |unit: &str| unit.rsplit_once('.').map_or(unit.to_owned(), |(stem, _)| stem.to_owned());
    let kind = &unit[stem(unit).len()..];
    let stems: Vec<String> = known.iter().filter(|one| one.ends_with(kind) && *one != unit).map(|one| stem(one)).collect();
    nearest(&stem(unit), stems.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; did you mean {near}{kind}?"))
}

/// What is to be done for this unit; where that is nothing, why.
fn consider(
    opened: &mut Opened,
    unit: &str,
    (origin, strict, note): (Origin, Option<&str>, Option<&str>),
    plan: &mut Plan,
) -> Result<()> {
    if plan.jobs.iter().any(|job| job.unit == unit) {
        return Ok(());
    }
    // a name that systemd itself gave
    let Ok(name) = unit.parse::<UnitName>() else { return Ok(()) };
    // systemd has no answer for a template
    let granted = match (overrides::by_name(&name), &mut opened.manager) {
        (Ok(()), Some(manager)) => overrides::by_unit(&name, &manager.nature(unit).map_err(silent)?, strict.is_some()),
        (granted, _) => granted.map(|()| Grant::default()),
    };
    let planned = match granted {
        Ok(grant) => steps(opened, unit, origin, &grant, strict)?.map(|steps| (steps, grant)),
        Err(why) => Err(why),
    };
    match planned {
        Ok((steps, grant)) => {
            let notes: Vec<&str> = note.into_iter().chain(Some(grant.note.as_str()).filter(|note| !note.is_empty())).collect();
            plan.jobs.push(Job { unit: unit.to_owned(), steps, note: notes.join("; ") });
        }
        Err(why) => plan.skipped.push((unit.to_owned(), why)),
    }
    Ok(())
}

type Steps = Vec<(&'static str, Step)>;

/// What is to be written beside what is there.
fn steps(
    opened: &Opened,
    unit: &str,
    origin: Origin,
    grant: &Grant,
    strict: Option<&str>,
) -> Result<std::result::Result<Steps, String>> {
    let mut contents = vec![(HANDLERS, Content::Handlers { on_success: grant.on_success })];
    contents.extend(strict.map(|program| (STRICT, Content::Strict { program: program.to_owned() })));
    let with_folder = !opened.drop_ins.has_folder(unit);
    let mut steps = Vec::new();
    for (name, content) in contents {
        let found = opened.drop_ins.read(unit, name)?;
        match overrides::step(name, &found, DropIn { origin, with_folder, content }) {
            Some(step) => steps.push((name, step)),
            None => {
                return Ok(Err(format!("has a drop-in that somebody else made: {}", opened.drop_ins.path(unit, name).display())));
            }
        }
    }
    Ok(Ok(steps))
}

fn silent(why: String) -> Error {
    Error::failure(why).hint(
        "`systemctl status` or `systemctl --user status` says more; a user's manager is asked by its bus (Debian: dbus-user-session); \
         in an image that is being built --offline asks nobody",
    )
}
