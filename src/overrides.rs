//! The drop-ins by which units tell sysalert: what they say, and which units may have one. Pure.

mod fitness;
#[cfg(test)]
mod tests;

pub use fitness::{Grant, LONGEST, UNKNOWN, by_name, by_unit, everywhere, is_handler, is_ours};

use crate::host::dropins::Found;

/// The drop-in that names the handlers. The mask against recursion works by this name (`units/*/sysalert-.service.d`).
pub const HANDLERS: &str = "10-sysalert.conf";
/// The drop-in of strict mode.
pub const STRICT: &str = "20-sysalert-strict.conf";

/// What was asked for when a drop-in was made: who asks for it back the same way gets exactly these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A name or a glob.
    Named,
    /// `--timers`
    Timers,
    /// `--system-wide`
    SystemWide,
}

const ORIGINS: [Origin; 3] = [Origin::Named, Origin::Timers, Origin::SystemWide];

/// What a drop-in does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// It starts a handler when the unit fails, and maybe one when it succeeds.
    Handlers {
        /// For jobs that run and end: their recovery is known at once.
        on_success: bool,
    },
    /// The unit itself records how each run ended, with this program.
    Strict {
        /// Its path, with `--user` where it is a user's.
        program: String,
    },
}

/// A drop-in that `sysalert enable` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    /// What was asked for.
    pub origin: Origin,
    /// Whether its folder was made for it, and goes with it.
    pub with_folder: bool,
    /// What it does.
    pub content: Content,
}

/// As they are installed for those who copy them by hand; their directives are the one definition of what is written here.
const EXAMPLE: &str = include_str!("../overrides/NAME.service.d/10-sysalert.conf");
const EXAMPLE_STRICT: &str = include_str!("../overrides/NAME.service.d/20-sysalert-strict.conf");
/// The program in the example.
const PROGRAM: &str = "/usr/bin/sysalert";

impl DropIn {
    /// The whole file.
    pub fn text(&self) -> String {
        let header = header(self.origin, self.with_folder);
        match &self.content {
            Content::Handlers { on_success } => {
                header + &directives(EXAMPLE, |line| *on_success || !line.starts_with("OnSuccess="))
            }
            Content::Strict { program } => header + &directives(EXAMPLE_STRICT, |_| true).replace(PROGRAM, program),
        }
    }

    /// Reads a file of this name; `None` when `sysalert enable` would not write it so, for then somebody else did.
    pub fn read(name: &str, text: &str) -> Option<DropIn> {
        let contents = if name == STRICT {
            let command = text.lines().find_map(|line| line.strip_prefix("ExecStopPost=+-"))?;
            vec![Content::Strict { program: command.strip_suffix(" ended -- %n")?.to_owned() }]
        } else {
            vec![Content::Handlers { on_success: true }, Content::Handlers { on_success: false }]
        };
        let drop_ins = contents.into_iter().flat_map(|content| {
            let ways = ORIGINS.into_iter().flat_map(|origin| [(origin, true), (origin, false)]);
            ways.map(move |(origin, with_folder)| DropIn { origin, with_folder, content: content.clone() })
        });
        drop_ins.into_iter().find(|drop_in| drop_in.text() == text)
    }
}

/// What of a file is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// It is not there, or was asked for in another way.
    Nothing,
    /// It is removed.
    Remove(DropIn),
    /// It stays, for somebody changed it.
    Changed,
    /// It stays, for somebody else made it.
    Others,
}

/// What is taken back of a file of this name, given what is there; of one kind alone, or of any.
pub fn undo(name: &str, found: &Found, only: Option<Origin>) -> Undo {
    let text = match found {
        Found::Nothing => return Undo::Nothing,
        Found::Text(text) => text,
        Found::Other => return if only.is_none() { Undo::Others } else { Undo::Nothing },
    };
    let mut headers =
        ORIGINS.into_iter().flat_map(|origin| [true, false].map(|with_folder| (origin, header(origin, with_folder))));
    let origin = headers.find(|(_, header)| text.starts_with(header.as_str())).map(|(origin, _)| origin);
    match DropIn::read(name, text) {
        _ if only.is_some() && origin != only => Undo::Nothing,
        Some(drop_in) => Undo::Remove(drop_in),
        None if origin.is_some() => Undo::Changed,
        None => Undo::Others,
    }
}

/// What is to be done about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is written.
    Write(DropIn),
    /// It is as it should be.
    Keep,
}

/// What is to be done about a file of this name, given what is there; `None` when that is somebody else's.
pub fn step(name: &str, found: &Found, mut wanted: DropIn) -> Option<Step> {
    let there = match found {
        Found::Nothing => return Some(Step::Write(wanted)),
        Found::Text(text) => DropIn::read(name, text)?,
        Found::Other => return None,
    };
    // the folder is as old as the first of them; what was named stays when the timers' are taken back
    wanted.with_folder = there.with_folder;
    if there.origin == Origin::Named {
        wanted.origin = Origin::Named;
    }
    Some(if there == wanted { Step::Keep } else { Step::Write(wanted) })
}

/// The first line: who made it, and how it is taken back.
fn header(origin: Origin, with_folder: bool) -> String {
    let way = match origin {
        Origin::Named => "",
        Origin::Timers => " --timers",
        Origin::SystemWide => " --system-wide",
    };
    let folder = if with_folder { ", with this folder" } else { "" };
    format!("# Made by `sysalert enable{way}`{folder}; `sysalert disable{way}` takes it back if nothing is changed here.\n")
}

/// The lines that mean something, but for those that are not wanted.
fn directives(text: &str, wanted: impl Fn(&str) -> bool) -> String {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && wanted(line));
    lines.map(|line| format!("{line}\n")).collect()
}
