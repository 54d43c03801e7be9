//! `sysalert db clear`: forgets the failures of units.

use clap::Args;

use crate::cli::context::{Context, PATIENCE};
use crate::cli::output;
use crate::error::Result;
use crate::event::Subject;
use crate::host::clock;
use crate::pipeline;
use crate::store::{self, Older, Store};

const EXAMPLES: &str = "\
Examples:
  sysalert db clear backup         forget that backup.service failed; asks first
  sysalert db clear --all --yes    everything, and asks nobody

The history stays.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "sysalert db clear [OPTIONS] <UNITS>... | --all")]
pub(in crate::cli) struct Clear {
    /// The units
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    units: Vec<String>,
    /// Every unit
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Clear {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let named: Vec<Subject> = self.units.iter().map(|unit| context.subject(unit)).collect::<Result<_>>()?;
        let Some(readable) = context.read()? else {
            output::print("Nothing was recorded yet.\n")?;
            return Ok(0);
        };
        let subjects = if self.all { readable.with(store::clearable)? } else { named };
        drop(readable);
        if !self.yes && !agreed(&subjects)? {
            output::print("Nothing was changed.\n")?;
            return Ok(0);
        }
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        pipeline::import_spool(&context.site, &mut store)?;
        let now = clock::system();
        let cleared = store.write(|db| {
            if self.all {
                store::drop_tests(db)?;
            }
            subjects.iter().map(|subject| store::clear(db, subject, now)).collect::<store::Answer<Vec<bool>>>()
        })?;
        for (subject, cleared) in subjects.iter().zip(cleared) {
            output::print(&format!(
                "{}: {}\n",
                subject.full_name(),
                if cleared { "cleared" } else { "there is nothing to forget" }
            ))?;
        }
        Ok(0)
    }
}

fn agreed(subjects: &[Subject]) -> Result<bool> {
    let names: Vec<&str> = subjects.iter().map(Subject::full_name).collect();
    output::agreed("this forgets failures", &format!("Forget the failures of {}, without a recovery alert?", names.join(", ")))
}
