//! `sysalert db list|clear|check|prune|stats`: the incidents, and the database they are in.

mod check;
mod clear;
mod list;
mod prune;
mod stats;

use clap::Subcommand;

use super::context::Context;
use crate::error::Result;
pub(super) use list::{acknowledged_json, json_of, table_of};

#[derive(Debug, Subcommand)]
pub(super) enum Db {
    /// Show the incidents that are not over
    List(list::List),
    /// End the incidents of these units without a recovery, and forget what was not yet delivered
    Clear(clear::Clear),
    /// Look whether the database is whole; the exit status is 1 when it is not
    #[command(after_help = "Examples:\n  sysalert db check && echo whole")]
    Check,
    /// Forget what is over and older than the configuration keeps it
    Prune(prune::Prune),
    /// Show how large the database is, and what is in it
    #[command(after_help = "Examples:\n  sysalert db stats\n  sysalert db stats -o json")]
    Stats(stats::Stats),
}

impl Db {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        match self {
            Db::List(verb) => verb.run(context),
            Db::Clear(verb) => verb.run(context),
            Db::Check => check::run(context),
            Db::Prune(verb) => verb.run(context),
            Db::Stats(verb) => verb.run(context),
        }
    }
}
