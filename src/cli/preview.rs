//! `sysalert preview UNIT`: the message as it would be sent.

use clap::Args;
use serde_json::json;

use super::context::{Context, never_recorded, no_method};
use super::output::{self, Format, Output};
use crate::dispatch;
use crate::error::Result;
use crate::host::{clock, log};
use crate::store;

const EXAMPLES: &str = "\
Examples:
  sysalert preview backup                the message about backup.service
  sysalert preview backup --method mail  in the words of [method.mail]";

/// The message as it would be sent.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Preview {
    /// The unit
    unit: String,
    /// As this method would send it now
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Preview {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let subject = context.subject(&self.unit)?;
        let settings = context.settings()?;
        let method = self.method.as_deref();
        if let Some(unknown) = method.filter(|name| settings.method(name).is_none()) {
            return Err(no_method(unknown, &settings));
        }
        let Some(store) = context.read()? else { return Err(never_recorded(&subject, &[])) };
        let Some(preview) = dispatch::preview(&store, &settings, &subject, method, clock::system())? else {
            return Err(never_recorded(&subject, &store.with(store::subjects)?));
        };
        match &preview.reason {
            _ if preview.is_alert => {}
            Some(reason) => log::warn(None, &format!("this was not sent: {}", reason.why())),
            None => log::warn(None, "it is not decided yet whether this is sent"),
        }
        let message = &preview.message;
        match self.output.output {
            Format::Json => output::json(&json!({
                "subject": message.subject,
                "text": message.text,
                "html": message.html,
                "markdown": message.markdown,
                "journal": message.journal,
            }))?,
            Format::Table => output::print(&format!("Subject: {}\n\n{}", message.subject, message.text))?,
        }
        Ok(0)
    }
}
