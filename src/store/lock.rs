//! The writers' queue.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// Waits for the lock, at most as long as `patience`. It is held until the file is dropped.
///
/// # Errors
/// `Permission`, when this user may not write; `Busy`, when others hold it too long.
pub(super) fn take(folder: &Path, patience: Duration) -> Result<File> {
    let path = folder.join("lock");
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(&path).map_err(|error| {
            match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    let text = format!("{} may be changed only by its owner and by root", folder.display());
                    Error::new(Kind::Permission, text).hint(given_back(folder))
                }
                _ => Error::file("open", &path, &error),
            }
        })?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(Error::file("lock", &path, &error)),
    }
    // flock itself knows no time limit: another thread waits, and this one for it
    let (sender, receiver) = mpsc::channel();
    let waiting = thread::Builder::new().spawn(move || sender.send(file.lock().map(|()| file)));
    // the unit's TasksMax=, where ExecStopPost= runs this
    waiting.map_err(|error| Error::file("wait for the lock", &path, &error))?;
    match receiver.recv_timeout(patience) {
        Ok(locked) => locked.map_err(|error| Error::file("lock", &path, &error)),
        Err(_) => {
            let text = format!("others held {} for more than {} s", path.display(), patience.as_secs_f32());
            Err(Error::new(Kind::Busy, text))
        }
    }
}

/// What to do where files are not whose they should be.
pub(super) fn given_back(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "run it as root; where a unit of sysalert says this, give it back what it owned: chown -R --reference={folder} {folder}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = take(folder.path(), Duration::ZERO).unwrap();
        assert!(take(folder.path(), Duration::from_millis(1)).is_err());
        drop(held);
        assert!(take(folder.path(), Duration::from_secs(60)).is_ok());
    }
}
