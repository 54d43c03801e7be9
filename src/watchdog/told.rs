//! How far a restart is, as the unit that does it tells whoever asked for it, and itself after an end that came too early: a file
//! that only root can write.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::ProcessName;
use crate::host::files;

/// Only root may write there.
pub const FOLDER: &str = "/var/lib/sysalert-restart";

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// It is under way.
    Begun {
        /// What of the process ran before.
        ran: String,
        /// Which run of the unit it is, by systemd's id: no other one's beginning is taken for its own.
        #[serde(default)]
        run: String,
    },
    /// It is over.
    Over {
        /// When.
        at: DateTime<Utc>,
        /// Why it did not bring the process back; `None`: it is back, and healthy.
        why: Option<String>,
    },
}

/// A reason is not longer.
const LONGEST: usize = 1000;

fn path(name: &ProcessName) -> PathBuf {
    // a name has neither a slash nor a dot at its beginning
    Path::new(FOLDER).join(name.as_str())
}

/// Tells it, so that it is there after a power cut, too.
///
/// # Errors
/// `Failure`, when the file cannot be written.
pub fn tell(name: &ProcessName, mut told: Told) -> Result<()> {
    if let Told::Over { why: Some(why), .. } = &mut told {
        *why = why.chars().take(LONGEST).collect();
    }
    let text = serde_json::to_vec(&told).unwrap_or_default();
    files::replace_durably(Path::new(FOLDER), name.as_str(), &text).map_err(|error| Error::file("write", &path(name), &error))
}

fn read(name: &ProcessName) -> Option<Told> {
    serde_json::from_slice(&std::fs::read(path(name)).ok()?).ok()
}

/// What came of a restart since then, if one is over.
pub fn heard(name: &ProcessName, since: DateTime<Utc>) -> Option<std::result::Result<(), String>> {
    match read(name)? {
        Told::Over { at, why } if at >= since => Some(why.map_or(Ok(()), Err)),
        _ => None,
    }
}

/// What ran before a restart that was begun by this run of the unit and has no end.
pub fn cut_short(name: &ProcessName, of: &str) -> Option<String> {
    match read(name)? {
        Told::Begun { ran, run } if !run.is_empty() && run == of => Some(ran),
        _ => None,
    }
}
