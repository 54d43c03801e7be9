//! When something was last done that is done from time to time, in a file of the runtime folder: that costs no disk anything,
//! and after a boot it is due.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Site;

/// Whether the examination of the database is due.
pub fn is_due(site: &Site, every: Duration, now: DateTime<Utc>) -> bool {
    let last = fs::metadata(path(site)).and_then(|about| about.modified()).map(DateTime::<Utc>::from);
    let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
    // later than now: the clock was set back
    last.map_or(true, |last| last > now || now - last >= every)
}

/// Notes that it was done.
pub fn done(site: &Site, now: DateTime<Utc>) {
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(path(site));
    // else it is done once more
    let _ = open().and_then(|file: File| file.set_modified(now.into()));
}

/// It is due, whenever it was done.
pub fn hurry(site: &Site) {
    // it is there only when this user may remove it
    let _ = fs::remove_file(path(site));
}

fn path(site: &Site) -> PathBuf {
    site.flag.with_file_name("examined")
}
