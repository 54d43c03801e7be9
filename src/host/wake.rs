//! The flag that wakes `sysalert-dispatch.service`: its path unit starts it while the flag is there.
//!
//! The unit's first command, which runs as root, moves the flag to `syncing`, lets the journal write what it has received, and
//! moves that to `synced`. A flag bears the time at which it was last raised: so dispatch knows up to when the journal is
//! complete, and a flag that is raised meanwhile starts another run.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::{Site, clock, log};
use crate::error::{Error, Kind, Result};

/// The service that delivers, which the flag wakes.
pub const DISPATCH: &str = "sysalert-dispatch.service";

/// Raises the flag.
///
/// # Errors
/// When the folder of the flag is missing or not ours; the timer delivers all the same.
pub fn raise(site: &Site) -> Result<()> {
    // before the flag is there: what was moved aside meanwhile must not bear a later time than the journal was asked at
    let now = clock::system();
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(&site.flag);
    let raised = open().or_else(|error| match (error.kind(), site.flag.parent()) {
        // a user's runtime folder is empty after each login
        (io::ErrorKind::NotFound, Some(folder)) => fs::create_dir_all(folder).and_then(|()| open()),
        _ => Err(error),
    });
    // the kernel's own stamp is some milliseconds old
    let stamped = raised.and_then(|file| file.set_modified(now.into()));
    stamped.map_err(|error| Error::file("raise the flag", &site.flag, &error))
}

/// Raises the flag for an alert that is queued already; where it cannot be raised, the log says what delivers instead. `subject`:
/// whom that line is about.
pub fn raise_or_warn(site: &Site, subject: Option<&str>) {
    if let Err(error) = raise(site) {
        log::warn(subject, &format!("{error}; the timer of {DISPATCH} delivers within a minute"));
    }
}

/// When the flag was last raised; `None`: it is not there.
pub fn raised(site: &Site) -> Option<DateTime<Utc>> {
    site.flag.symlink_metadata().and_then(|about| about.modified()).ok().map(DateTime::from)
}

/// Takes the flag down, before the work that it asks for is read: a flag that is raised meanwhile starts another run. Tells up
/// to when the journal is complete, if the unit has seen to that.
///
/// # Errors
/// When it is there and stays.
pub fn lower(site: &Site) -> Result<Option<DateTime<Utc>>> {
    let synced = beside(site, "synced");
    let at = fs::metadata(&synced).and_then(|about| about.modified()).ok().map(DateTime::from);
    if at.is_some() {
        // what was raised since then is the next run's
        remove(synced)?;
        return Ok(at);
    }
    remove(site.flag.clone())?;
    // left behind where the journal did not answer
    remove(beside(site, "syncing"))?;
    Ok(None)
}

fn beside(site: &Site, name: &str) -> PathBuf {
    site.flag.with_file_name(name)
}

fn remove(path: PathBuf) -> Result<()> {
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let text = format!("{} may be changed only by its owner and by root", path.display());
            Err(Error::new(Kind::Permission, text))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("take down the flag", &path, &error)),
        _ => Ok(()),
    }
}
