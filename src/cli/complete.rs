//! `sysalert complete -- WORD...`: what the last of these words may become. The shells ask it at each completion, so that they
//! offer what is there now: units, methods, silences. It changes nothing, and whatever goes wrong is no candidate.

mod candidates;
mod typed;

use std::ffi::OsString;

use clap::{Args, CommandFactory};

use super::Cli;
use super::output;
use crate::error::Result;
use candidates::Candidate;

/// The words so far.
#[derive(Debug, Args)]
pub(super) struct Complete {
    /// The words after the program's name; the last one is being typed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Complete {
    /// Prints a line for each candidate: the word, a tab, what it is. A line without a word stands for files or folders, which the
    /// shell completes itself.
    pub(super) fn run(&self) -> Result<u8> {
        let words: Vec<String> = self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let mut program = Cli::command();
        program.build();
        let found = typed::parse(&program, &words).map(|typed| candidates::of(&typed)).unwrap_or_default();
        let line = |Candidate { word, about }: &Candidate| format!("{word}\t{about}\n");
        output::print(&found.iter().map(line).collect::<String>())?;
        Ok(0)
    }
}
