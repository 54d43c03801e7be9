//! Tells the system's sysalert how units of a user are; started by `sysalert-look@UID.socket`, not by people.

use crate::error::{Error, Result};
use crate::host::users;

pub(super) fn run() -> Result<u8> {
    users::answer().map_err(|error| {
        Error::failure(format!("nobody can ask: {error}")).hint("systemd starts it, with a socket as standard input")
    })?;
    Ok(0)
}
