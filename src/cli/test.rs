//! `sysalert test [METHOD]`: queues a test alert, wakes dispatch and waits for its delivery.

use std::time::Duration;

use clap::Args;

use super::context::{Context, PATIENCE, no_method};
use super::output;
use crate::error::{Error, Result};
use crate::event::Manager;
use crate::host::{clock, log, names, wake};
use crate::settings::Settings;
use crate::store::{self, Older, Store};

const LOOK: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  sysalert test         by every method
  sysalert test mail    by [method.mail]";

/// A test alert.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Test {
    /// The method; without it, every configured one
    method: Option<String>,
    /// How long to wait for the delivery
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

impl Test {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let settings = context.settings()?;
        let methods = self.methods(&settings)?;
        context.enter_or_make()?;
        let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
        let alert = store.write(|db| store::queue_test(db, &names::nonce(), clock::system(), &methods))?;
        if let Err(error) = wake::raise(&context.site) {
            log::warn(None, &format!("{error}; waiting for the timer of sysalert-dispatch.service instead"));
        }

        let started = clock::started();
        let mut open = methods;
        let mut failed = false;
        while !open.is_empty() && started.elapsed() < self.timeout {
            if started.elapsed() >= output::PROGRESS {
                output::progress(&format!("waiting for {}: {} s", open.join(", "), started.elapsed().as_secs()));
            }
            let mut still_open = Vec::new();
            for method in open {
                match store.with(|db| store::last_delivery(db, &method, Some(alert)))? {
                    Some(tried) => {
                        output::progress("");
                        output::print(&format!(
                            "{method}: {}: {}\n",
                            if tried.was_sent() { "sent" } else { "not sent" },
                            tried.detail
                        ))?;
                        failed |= !tried.was_sent();
                    }
                    None => still_open.push(method),
                }
            }
            open = still_open;
            if !open.is_empty() {
                clock::wait(LOOK);
            }
        }
        output::progress("");
        if !open.is_empty() {
            let error = Error::failure(format!(
                "{} did not report within {} s; the test alert still waits",
                open.join(", "),
                self.timeout.as_secs()
            ));
            return Err(error.hint(output::is_dispatch_awake(context.site.manager != Manager::System)));
        }
        if failed {
            return Err(Error::failure("a method could not send; the test alert stays queued and is tried again")
                .hint("mend what the line above says; `sysalert status` shows the next try"));
        }
        Ok(0)
    }

    fn methods(&self, settings: &Settings) -> Result<Vec<String>> {
        match &self.method {
            None => Ok(settings.methods.keys().cloned().collect()),
            Some(name) if settings.method(name).is_some() => Ok(vec![name.clone()]),
            Some(name) => Err(no_method(name, settings)),
        }
    }
}
