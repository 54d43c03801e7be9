//! `sysalert db check`: whether the database is whole.

use crate::cli::context::Context;
use crate::cli::output;
use crate::error::{Error, Kind, Result};
use crate::store::{self, Stage};

pub(super) fn run(context: &Context) -> Result<u8> {
    let Some(store) = context.read()? else {
        output::print("Nothing was recorded yet.\n")?;
        return Ok(0);
    };
    let mut findings = Vec::new();
    for stage in Stage::ALL {
        findings.extend(output::waiting_for(&format!("checking {}", stage.words()), || store::check(&store, stage))?);
    }
    let (state, refuge) = (&*context.site.state, context.site.refuge());
    findings.extend(store::unreadable(state));
    if refuge != state {
        findings.extend(store::unreadable(refuge));
    }
    if findings.is_empty() {
        output::print("The database is whole.\n")?;
        return Ok(0);
    }
    output::print(&findings.iter().map(|finding| format!("{}\n", finding.text)).collect::<String>())?;
    let is_damaged = findings.iter().any(|finding| finding.damaged);
    Err(match (findings.len(), is_damaged) {
        (_, true) => Error::new(Kind::Damaged, "the database is damaged").hint(
            "the next run of sysalert-dispatch.service sets it aside and begins a new one with what can still be read; look at the \
             disk, too",
        ),
        (1, false) => Error::failure("the database has a fault").hint(HARMLESS),
        (many, false) => Error::failure(format!("the database has {many} faults")).hint(HARMLESS),
    })
}

const HARMLESS: &str = "failures are recorded and told all the same";
