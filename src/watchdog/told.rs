//! What a restart came to, as the unit that did it tells whoever asked for it: a file that only root can write.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::ProcessName;

/// Only root may write there.
pub const FOLDER: &str = "/run/sysalert-restart";

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When it was over.
    pub at: DateTime<Utc>,
    /// Why it did not bring the process back; `None`: it is back, and healthy.
    pub why: Option<String>,
}

/// A reason is not longer.
const LONGEST: usize = 1000;

fn path(name: &ProcessName) -> PathBuf {
    // a name has neither a slash nor a dot at its beginning
    Path::new(FOLDER).join(name.as_str())
}

/// Tells it.
///
/// # Errors
/// `Failure`, when the file cannot be written.
pub fn tell(name: &ProcessName, told: &Told) -> Result<()> {
    let path = path(name);
    let told = Told { why: told.why.as_ref().map(|why| why.chars().take(LONGEST).collect()), ..told.clone() };
    let failed = |error: &std::io::Error| Error::file("write", &path, error);
    std::fs::create_dir_all(FOLDER).map_err(|error| failed(&error))?;
    let next = path.with_file_name(format!(".{}", name.as_str()));
    std::fs::write(&next, serde_json::to_vec(&told).unwrap_or_default()).map_err(|error| failed(&error))?;
    std::fs::rename(&next, &path).map_err(|error| failed(&error))
}

/// What was told since then.
pub fn heard(name: &ProcessName, since: DateTime<Utc>) -> Option<Told> {
    let text = std::fs::read(path(name)).ok()?;
    serde_json::from_slice::<Told>(&text).ok().filter(|told| told.at >= since)
}
