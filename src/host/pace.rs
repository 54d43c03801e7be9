//! When something was last done that is done from time to time, in a file of the runtime folder: that costs no disk anything,
//! and after a boot it is due.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Site;

/// The examination of the database.
pub const EXAMINED: &str = "examined";
/// The sign of life.
pub const HEARTBEAT: &str = "heartbeat";

/// Whether this is due.
pub fn is_due(site: &Site, what: &str, every: Duration, now: DateTime<Utc>) -> bool {
    let last = fs::metadata(path(site, what)).and_then(|about| about.modified()).map(DateTime::<Utc>::from);
    let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
    // later than now: the clock was set back
    last.map_or(true, |last| last > now || now - last >= every)
}

/// Notes that it was done.
pub fn done(site: &Site, what: &str, now: DateTime<Utc>) {
    let open = || OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(path(site, what));
    // else it is done once more
    let _ = open().and_then(|file: File| file.set_modified(now.into()));
}

/// It is due, whenever it was done.
pub fn hurry(site: &Site, what: &str) {
    // it is there only when this user may remove it
    let _ = fs::remove_file(path(site, what));
}

fn path(site: &Site, what: &str) -> PathBuf {
    site.flag.with_file_name(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Manager;
    use crate::host::site::ConfigPlace;

    #[test]
    fn it_is_due_at_first_after_its_time_and_whenever_somebody_is_in_a_hurry() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().to_owned();
        let flag = state.join("pending");
        let config = ConfigPlace::File("/dev/null".into());
        let site = Site { manager: Manager::System, config, state, is_systems: false, flag, plugins: Vec::new() };
        let at = |second: i64| DateTime::from_timestamp(1_000_000 + second, 0).unwrap();
        let is_due = |second| is_due(&site, EXAMINED, Duration::from_secs(60), at(second));
        assert!(is_due(0), "nobody knows when it was done, as after a boot");
        done(&site, EXAMINED, at(0));
        assert_eq!([0, 59, 60, -1].map(is_due), [false, false, true, true], "the last: the clock was set back");
        hurry(&site, EXAMINED);
        assert!(is_due(1));
    }
}
