//! `sysalert db prune`: forgets what is over and old.

use std::time::Duration;

use clap::Args;

use crate::cli::context::{Context, PATIENCE};
use crate::cli::output;
use crate::error::Result;
use crate::event::{counted, local_time};
use crate::host::clock;
use crate::store::{self, Older, Pruned, Store};

/// A mistyped time must not cost the whole history: "1m" is a minute.
const SHORTEST: Duration = Duration::from_secs(24 * 3600);

const EXAMPLES: &str = "\
Examples:
  sysalert db prune --older-than 90d";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Prune {
    /// How old; by default, what the configuration says in `[retention]`
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Option<Duration>,
}

fn age(text: &str) -> std::result::Result<Duration, String> {
    let age = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if age < SHORTEST { Err("less than a day is no history (\"m\" is a minute, \"M\" a month)".to_owned()) } else { Ok(age) }
}

impl Prune {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let history = self.older_than.map_or_else(|| context.settings().map(|settings| settings.history), Ok)?;
        let Some(readable) = context.read()? else {
            output::print("Nothing was recorded yet.\n")?;
            return Ok(0);
        };
        drop(readable);
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        let before = store::before(history, clock::system());
        let started = clock::started();
        let pruned = store::prune(&mut store, before, &|so_far| {
            if started.elapsed() >= output::PROGRESS {
                output::progress(&format!("pruned so far: {}", shown(so_far)));
            }
        });
        output::progress("");
        let pruned = pruned?;
        store.checkpoint(clock::system())?;
        let since = local_time(before);
        output::print(&if pruned == Pruned::default() {
            format!("Nothing that is over is older than {since}.\n")
        } else {
            format!("Removed {} from before {since}.\n", shown(pruned))
        })?;
        Ok(0)
    }
}

fn shown(pruned: Pruned) -> String {
    format!("{} and {}", counted(pruned.events, "event"), counted(pruned.incidents, "incident"))
}
