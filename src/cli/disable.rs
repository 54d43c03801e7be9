//! `sysalert disable`: takes back what `sysalert enable` made, and nothing else.

use clap::{ArgGroup, Args};

use super::context::Context;
use super::output;
use super::targets::{ALL_SERVICES, Opened, Place, Typed, shown};
use crate::error::Result;
use crate::event::counted;
use crate::host::dropins::Found;
use crate::overrides::{self, HANDLERS, Origin, STRICT, Undo};

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
        let (mut disabled, mut changed) = (0, false);
        for unit in self.chosen(&known)? {
            let Taken { back, left } = self.take_back(&opened, &unit)?;
            disabled += usize::from(back);
            changed |= left.as_ref().is_some_and(|left| left.changed);
            let (done, note) = match (back, left) {
                (_, Some(left)) => ("left alone", left.note),
                (true, None) if self.place.dry_run => ("would be disabled", String::new()),
                (true, None) => ("disabled", String::new()),
                (false, None) if !self.is_named(&unit) => continue,
                (false, None) => ("not enabled", self.why_still(&opened, &unit)?),
            };
            rows.push(vec![shown(&unit), done.to_owned(), note]);
        }
        if rows.is_empty() {
            output::print("There is nothing to disable.\n")?;
        } else {
            output::print(&output::table(&["UNIT", "DONE", "NOTE"], rows))?;
        }
        if self.place.dry_run {
            output::print("Nothing was changed.\n")?;
        } else if disabled > 0 {
            if !still_used(&opened)? {
                opened.deliver(false);
            }
            opened.reload();
            output::print(&format!("{} disabled.\n", counted(disabled, "unit")))?;
        }
        Ok(u8::from(changed))
    }

    /// The units that are meant.
    fn chosen(&self, known: &[String]) -> Result<Vec<String>> {
        if self.system_wide {
            return Ok(vec![ALL_SERVICES.to_owned()]);
        }
        // the mask against recursion is no override, wherever it lies
        let others = known.iter().filter(|unit| !overrides::is_ours(unit));
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
        let mut taken = Taken::default();
        let mut with_folder = false;
        for name in [STRICT, HANDLERS].into_iter().filter(|name| !self.strict || *name == STRICT) {
            let path = opened.drop_ins.path(unit, name);
            match overrides::undo(name, &opened.drop_ins.read(unit, name)?, self.timers.then_some(Origin::Timers)) {
                Undo::Nothing => {}
                Undo::Remove(drop_in) => {
                    if !self.place.dry_run {
                        opened.drop_ins.remove(unit, name)?;
                    }
                    with_folder |= drop_in.with_folder;
                    taken.back = true;
                }
                Undo::Changed => {
                    let note = format!("it was changed since: look at {}, and remove it then", path.display());
                    taken.left = Some(Left { note, changed: true });
                }
                Undo::Others => {
                    taken.left = Some(Left { note: format!("somebody else made {}", path.display()), changed: false })
                }
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
#[derive(Default)]
struct Taken {
    /// One was removed, or would be.
    back: bool,
    /// One stays.
    left: Option<Left>,
}

struct Left {
    note: String,
    /// It is one of ours that was changed.
    changed: bool,
}

/// Whether any unit still has a drop-in of ours.
fn still_used(opened: &Opened) -> Result<bool> {
    for unit in opened.drop_ins.units()? {
        for name in [HANDLERS, STRICT] {
            if !overrides::is_ours(&unit) && opened.drop_ins.read(&unit, name)? != Found::Nothing {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
