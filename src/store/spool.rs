//! Where events wait when the database cannot take them: one file each, imported by the next run.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::host::{clock, files, log, names};

/// The folder of events that the database could not take, in the state folder and in the refuge.
pub const FOLDER: &str = "spool";

/// Keeps an event so that a power cut does not lose it.
///
/// # Errors
/// The disk's.
pub fn keep(state: &Path, event: &Event) -> Result<()> {
    let folder = state.join(FOLDER);
    match DirBuilder::new().mode(0o750).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(Error::file("make", &folder, &error)),
        _ => {}
    }
    let json = serde_json::to_vec(event).map_err(|error| Error::failure(format!("the event has no JSON form: {error}")))?;
    // the time sorts, chance keeps two of the same moment apart
    let name = format!("{:020}-{}.json", event.at.timestamp_micros(), names::nonce());
    files::write_durably(&folder, &name, &json).map_err(|error| Error::file("write", &folder.join(&name), &error))
}

/// No writer of a draft lives so long.
const ABANDONED: Duration = Duration::from_secs(600);

/// The events in the spool with their files, oldest first, and those whose writer was killed at the last moment. A file that is none is put aside and said.
///
/// # Errors
/// The disk's.
pub fn read(state: &Path) -> Result<Vec<(PathBuf, Event)>> {
    let folder = state.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("read", &folder, &error)),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json") && (!is_draft(path) || is_abandoned(path)));
    paths.sort();
    let mut events = Vec::new();
    for path in paths {
        let parsed = fs::read(&path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        match parsed {
            Ok(event) => events.push((path, event)),
            // its writer was killed: what there is of it says nothing
            Err(_) if is_draft(&path) => {
                let _ = fs::remove_file(&path);
            }
            Err(why) => {
                let aside = path.with_extension("unreadable");
                log::error(None, &format!("{} is no event ({why}); it is kept as {}", path.display(), aside.display()));
                fs::rename(&path, &aside).map_err(|error| Error::file("put aside", &path, &error))?;
            }
        }
    }
    Ok(events)
}

fn is_abandoned(draft: &Path) -> bool {
    let now = SystemTime::from(clock::system());
    let written = fs::metadata(draft).and_then(|about| about.modified());
    // later than now: the clock was set back
    written.is_ok_and(|written| now.duration_since(written).unwrap_or_else(|ahead| ahead.duration()) > ABANDONED)
}

pub(super) fn is_draft(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::failure;
    use super::*;

    #[test]
    fn what_a_killed_writer_left_is_taken_over_or_removed_once_nobody_can_be_writing_it() {
        let state = tempfile::tempdir().unwrap();
        let event = failure("a", "1", 0);
        keep(state.path(), &event).unwrap();
        let (kept, _) = read(state.path()).unwrap().remove(0);
        let folder = state.path().join(FOLDER);
        let (whole, torn) = (folder.join(".whole.json"), folder.join(".torn.json"));
        fs::rename(kept, &whole).unwrap();
        fs::write(&torn, "{\"subject\": ").unwrap();
        assert_eq!(read(state.path()).unwrap(), [], "they may be being written");
        for draft in [&whole, &torn] {
            let long_ago = SystemTime::from(clock::system()) - 2 * ABANDONED;
            fs::File::options().write(true).open(draft).unwrap().set_modified(long_ago).unwrap();
        }
        assert_eq!(read(state.path()).unwrap(), [(whole.clone(), event)]);
        assert!(whole.exists() && !torn.exists());
    }
}
