//! `sysalert disable`: takes back what `sysalert enable` made, and nothing else.

use clap::{ArgGroup, Args};

use super::context::Context;
use super::output;
use super::targets::{ALL_SERVICES, Opened, Place, Typed, units};
use crate::error::Result;
use crate::host::dropins::Found;
use crate::overrides::{DropIn, HANDLERS, Origin, STRICT};

const EXAMPLES: &str = "\
Examples:
  sysalert disable --timers      what `enable --timers` made, whatever became of the timers
  sysalert disable nginx         this one, however it was enabled
  sysalert disable --all         everything, as before an uninstallation

A drop-in that was changed since is left alone, and so are units that name sysalert themselves.";

/// Which units.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "sysalert disable [OPTIONS] <UNITS>... | --timers | --system-wide | --all",
    group = ArgGroup::new("which").args(["units", "timers", "system_wide", "all"]).required(true)
)]
pub(super) struct Disable {
    /// Names of units, or globs such as 'backup-*'
    units: Vec<String>,
    /// What `enable --timers` made
    #[arg(long)]
    timers: bool,
    /// What `enable --system-wide` made
    #[arg(long)]
    system_wide: bool,
    /// Whatever `enable` made
    #[arg(long)]
    all: bool,
    /// The strict mode alone
    #[arg(long, conflicts_with = "system_wide")]
    strict: bool,
    #[command(flatten)]
    place: Place,
}

impl Disable {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let mut opened = self.place.open(context)?;
        let known = opened.drop_ins.units()?;
        let mut rows = Vec::new();
        let (mut taken, mut left) = (0, 0);
        for unit in self.chosen(&known)? {
            let (state, note) = match self.take_back(&opened, &unit)? {
                Taken::Back if self.place.dry_run => ("would be disabled", String::new()),
                Taken::Back => ("disabled", String::new()),
                Taken::Not(path) => {
                    ("left alone", format!("`sysalert enable` did not write it so: look at {path}, and remove it then"))
                }
                Taken::Nothing if !self.is_named(&unit) => continue,
                Taken::Nothing => ("not enabled", self.why_still(&opened, &unit)?),
            };
            taken += usize::from(state.ends_with("disabled"));
            left += usize::from(state == "left alone");
            rows.push(vec![if unit == ALL_SERVICES { "every service".to_owned() } else { unit }, state.to_owned(), note]);
        }
        if rows.is_empty() {
            output::print("There is nothing to disable.\n")?;
        } else {
            output::print(&output::table(&["UNIT", "DONE", "NOTE"], rows))?;
        }
        if self.place.dry_run {
            output::print("Nothing was changed.\n")?;
        } else if taken > 0 {
            if !still_used(&opened)? {
                opened.deliver(false);
            }
            opened.reload();
            output::print(&format!("{} disabled.\n", units(taken)))?;
        }
        Ok(u8::from(left > 0))
    }

    /// The units that are meant.
    fn chosen(&self, known: &[String]) -> Result<Vec<String>> {
        if self.system_wide {
            return Ok(vec![ALL_SERVICES.to_owned()]);
        }
        // the mask against recursion is no override, wherever it lies
        let others = known.iter().filter(|unit| !unit.starts_with("sysalert-"));
        if self.all || self.timers {
            return Ok(others.cloned().collect());
        }
        let mut chosen = Vec::new();
        for word in &self.units {
            match Typed::parse(word)? {
                Typed::One(unit) => chosen.push(unit.as_str().to_owned()),
                Typed::Glob(glob) => chosen.extend(others.clone().filter(|unit| glob.matches(unit)).cloned()),
            }
        }
        chosen.sort();
        chosen.dedup();
        Ok(chosen)
    }

    fn is_named(&self, unit: &str) -> bool {
        self.system_wide
            || self.units.iter().any(|word| matches!(Typed::parse(word), Ok(Typed::One(name)) if name.as_str() == unit))
    }

    /// Removes this unit's drop-ins, as far as they are as they were made; with them their folder, if it was made for them.
    fn take_back(&self, opened: &Opened, unit: &str) -> Result<Taken> {
        let mut taken = Taken::Nothing;
        let mut with_folder = false;
        for name in [STRICT, HANDLERS].into_iter().filter(|name| !self.strict || *name == STRICT) {
            let ours = match opened.drop_ins.read(unit, name)? {
                Found::Nothing => continue,
                Found::Text(text) => DropIn::read(name, &text),
                Found::Other => None,
            };
            match ours {
                Some(drop_in) if self.timers && drop_in.origin != Origin::Timers => {}
                Some(drop_in) => {
                    if !self.place.dry_run {
                        opened.drop_ins.remove(unit, name)?;
                    }
                    with_folder |= drop_in.with_folder;
                    taken = taken.or(Taken::Back);
                }
                // whose it is nobody knows
                None if self.timers => {}
                None => taken = Taken::Not(opened.drop_ins.path(unit, name).display().to_string()),
            }
        }
        if with_folder && !self.place.dry_run {
            opened.drop_ins.remove_folder(unit)?;
        }
        Ok(taken)
    }

    /// What may surprise whoever disables what was not enabled.
    fn why_still(&self, opened: &Opened, unit: &str) -> Result<String> {
        if !unit.ends_with(".service") || opened.drop_ins.read(ALL_SERVICES, HANDLERS)? == Found::Nothing {
            return Ok(String::new());
        }
        let path = opened.drop_ins.path(unit, HANDLERS);
        Ok(format!("but every service is (--system-wide): an empty file {} leaves this one out", path.display()))
    }
}

/// What became of a unit's drop-ins.
enum Taken {
    Nothing,
    Back,
    /// The path of one that is not as it was made.
    Not(String),
}

impl Taken {
    fn or(self, other: Taken) -> Taken {
        if matches!(self, Taken::Nothing) { other } else { self }
    }
}

/// Whether any unit still has a drop-in of ours.
fn still_used(opened: &Opened) -> Result<bool> {
    for unit in opened.drop_ins.units()? {
        for name in [HANDLERS, STRICT] {
            if !unit.starts_with("sysalert-") && opened.drop_ins.read(&unit, name)? != Found::Nothing {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
