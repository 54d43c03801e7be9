//! The flag that wakes `sysalert-dispatch.service`: its path unit starts it while the flag is there.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use super::Site;
use crate::error::{Error, Kind, Result};

/// Raises the flag.
///
/// # Errors
/// When the folder of the flag is missing or not ours; the timer delivers all the same.
pub fn raise(site: &Site) -> Result<()> {
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(&site.flag);
    let raised = open().or_else(|error| match (error.kind(), site.flag.parent()) {
        // a user's runtime folder is empty after each login
        (io::ErrorKind::NotFound, Some(folder)) => fs::create_dir_all(folder).and_then(|()| open()),
        _ => Err(error),
    });
    raised.map(drop).map_err(|error| Error::file("raise the flag", &site.flag, &error))
}

/// Takes the flag down, before the work that it asks for is read: a flag that is raised meanwhile starts another run.
///
/// # Errors
/// When it is there and stays.
pub fn lower(site: &Site) -> Result<()> {
    match fs::remove_file(&site.flag) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let text = format!("{} may be changed only by its owner and by root", site.flag.display());
            Err(Error::new(Kind::Permission, text))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("take down the flag", &site.flag, &error)),
        _ => Ok(()),
    }
}
