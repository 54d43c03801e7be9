//! `sysalert dispatch`: decides what is undecided, delivers what is due.

use std::time::Duration;

use super::context::Context;
use crate::error::Result;
use crate::host::{clock, log, wake};
use crate::store::{Older, Store};
use crate::{dispatch, pipeline};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(context: &Context) -> Result<u8> {
    context.enter_or_make()?;
    // before the outbox is read: what comes from now on raises the flag again
    if let Err(error) = wake::lower(&context.site) {
        // the flag only wakes; what waits is in the database
        log::warn(None, &format!("{error}; alerts are delivered all the same"));
    }
    let mut store = Store::open(&context.site.state, Older::Migrate, PATIENCE)?;
    pipeline::settle(&context.site, &mut store, &|| context.settings())?;
    let settings = context.settings()?;
    let tally = dispatch::deliver(&context.site, &mut store, &settings, &clock::system, &dispatch::plugin::send)?;
    store.checkpoint(clock::system())?;
    log::info(None, &format!("{} sent, {} wait for the next try", tally.sent, tally.waiting));
    Ok(0)
}
