//! `sysalert failure -- UNIT`, `sysalert success -- UNIT` and `sysalert ended -- UNIT`: what systemd starts.

use std::time::Duration;

use clap::Args;

use super::context::Context;
use crate::error::{Error, Result};
use crate::event::{Outcome, UnitName};
use crate::host::world::Machine;
use crate::host::{clock, env, names};
use crate::trigger::{ended, handler};
use crate::{host::log, pipeline};

/// So long a handler waits for each answer of the journal or the service manager: it must be gone before the next event.
const BUDGET: Duration = Duration::from_millis(100);

/// The unit that systemd starts the handler for.
#[derive(Debug, Args)]
pub(super) struct Handler {
    /// The unit's full name (%i in the handler's unit); after --, since it may begin with a dash
    pub(super) unit: String,
}

impl Handler {
    pub(super) fn run(&self, context: &Context, outcome: Outcome) -> Result<u8> {
        let unit = UnitName::typed(&self.unit)?;
        let site = &context.site;
        let event = handler::event(&site.manager, &unit, outcome, &env::var, names::boot, clock::system());
        if outcome == Outcome::Succeeded {
            if !handler::is_true_success(&event) {
                log::info(
                    Some(event.subject.as_str()),
                    &format!("{unit}: systemd reports a success without an exit code; that is no recovery"),
                );
                return Ok(0);
            }
            // a success makes no folder: without one nothing can have been wrong
            context.enter()?;
        } else {
            context.enter_or_make()?;
        }
        let world = Machine::new(&site.manager, BUDGET);
        pipeline::take_in(site, &event, &world, &clock::system, &|| context.settings())?;
        Ok(0)
    }
}

/// So many seconds systemd waits for `ended`, at most: the unit's stop waits as long.
const LONGEST: u32 = 5;

/// The unit of whose run systemd waits for the end.
#[derive(Debug, Args)]
pub(super) struct Ended {
    /// The unit's full name (%n in the unit's drop-in); after --, since it may begin with a dash
    pub(super) unit: String,
}

impl Ended {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        clock::end_within(LONGEST);
        let unit = UnitName::typed(&self.unit)?;
        let site = &context.site;
        let event = ended::event(&site.manager, &unit, &env::var, names::boot, clock::system()).ok_or_else(|| {
            Error::usage("SERVICE_RESULT does not say how a run ended")
                .hint("systemd sets it for ExecStopPost=, where this belongs: `sysalert enable --strict` writes it")
        })?;
        match event {
            // neither a failure nor a success: a run that was skipped, or that nobody saw the end of
            None => return Ok(0),
            Some(event) if event.outcome == Outcome::Failed => {
                context.enter_or_make()?;
                pipeline::note(site, &event)?;
            }
            Some(event) => {
                context.enter()?;
                pipeline::note(site, &event)?;
            }
        }
        Ok(0)
    }
}
