//! `sysalert ack UNIT`: somebody knows of an incident.

use clap::Args;

use super::context::{Context, PATIENCE, never_recorded};
use super::output;
use crate::error::{Error, Result};
use crate::event::shell;
use crate::host::{clock, identity};
use crate::incident::Acknowledgement;
use crate::pipeline;
use crate::store::{self, Older, Store};

const EXAMPLES: &str = "\
Examples:
  sysalert ack db --reason \"the disk is on its way\"

`sysalert silence` keeps quiet about what comes, too.";

/// Somebody knows of an incident.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Ack {
    /// The unit
    unit: String,
    /// What is known about it, for whoever looks next
    #[arg(long, value_name = "TEXT", value_parser = remark)]
    reason: Option<String>,
}

/// A remark is kept up to this many characters.
const LONGEST: usize = 200;

/// A sentence that others read in a table.
pub(super) fn remark(text: &str) -> std::result::Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("a text on one line, not empty".to_owned());
    }
    if text.chars().count() > LONGEST {
        return Err(format!("at most {LONGEST} characters"));
    }
    Ok(text.to_owned())
}

impl Ack {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let subject = context.subject(&self.unit)?;
        // before root becomes the state's owner
        let by = identity::who();
        let Some(readable) = context.read()? else { return Err(never_recorded(&subject, &[])) };
        if readable.with(|db| store::last_of(db, &subject))?.is_none() {
            return Err(never_recorded(&subject, &readable.with(store::subjects)?));
        }
        drop(readable);
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        pipeline::import_spool(&context.site, &mut store)?;
        let acknowledgement = Acknowledgement { by, at: clock::system(), why: self.reason.clone(), taken_back: None };
        let name = subject.full_name();
        let Some(incident) = store.write(|db| store::acknowledge(db, &subject, acknowledgement))? else {
            let hint = format!(
                "`sysalert status` shows what is wrong; `sysalert silence {} --for 2h` keeps quiet about what comes",
                shell(name)
            );
            return Err(
                Error::failure(format!("{name} has no incident that is not over: there is nothing to acknowledge")).hint(hint)
            );
        };
        let who = incident.known().map_or_else(String::new, |acknowledged| acknowledged.to_string());
        let text =
            format!("{name} is {who}.\nNo reminder and no escalation until it recovers; another problem of it is reported.\n");
        output::print(&text)?;
        Ok(0)
    }
}
