//! The child process that renders a template; started by dispatch, not by people.

use crate::dispatch::own_words;
use crate::error::{Error, Result};

pub(super) fn run() -> Result<u8> {
    own_words::serve().map_err(|error| Error::failure(format!("cannot talk to sysalert: {error}")))?;
    Ok(0)
}
