//! Where events wait when the database cannot take them: one file each, imported by the next run.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::host::{files, log};

pub(super) const FOLDER: &str = "spool";

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
    // the time sorts, the process keeps two of the same moment apart
    let name = format!("{:020}-{}.json", event.at.timestamp_micros(), std::process::id());
    files::write_durably(&folder, &name, &json).map_err(|error| Error::file("write", &folder.join(&name), &error))
}

/// The events in the spool with their files, oldest first. A file that is none is put aside and said.
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
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json") && !is_draft(path));
    paths.sort();
    let mut events = Vec::new();
    for path in paths {
        let parsed = fs::read(&path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        match parsed {
            Ok(event) => events.push((path, event)),
            Err(why) => {
                let aside = path.with_extension("unreadable");
                log::error(None, &format!("{} is no event ({why}); it is kept as {}", path.display(), aside.display()));
                fs::rename(&path, &aside).map_err(|error| Error::file("put aside", &path, &error))?;
            }
        }
    }
    Ok(events)
}

pub(super) fn is_draft(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}
