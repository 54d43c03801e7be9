//! Whose a file is, and what others may do with it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid};

use super::names;

/// Whose a file or a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// Its owner's name.
    pub owner: String,
    /// Its group's name.
    pub group: String,
    /// Its permissions.
    pub bits: u32,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// Whose this is; a link counts as what it leads to.
///
/// # Errors
/// The system's.
pub fn of(path: &Path) -> io::Result<Mode> {
    let about = fs::metadata(path)?;
    let group = Gid::from_raw(about.gid());
    let group = Group::from_gid(group).ok().flatten().map_or_else(|| group.to_string(), |group| group.name);
    let owner = names::user_of(Uid::from_raw(about.uid()));
    Ok(Mode { owner, group, bits: about.mode() & 0o7777, is_folder: about.is_dir() })
}

/// The files in a folder, sorted; none where there is none, or where it may not be read.
pub fn within(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

impl Mode {
    /// Whether its group or everybody may change it.
    pub fn is_changed_by_others(&self) -> bool {
        self.bits & 0o022 != 0
    }

    /// Whether everybody may read it, or look into it.
    pub fn is_open(&self) -> bool {
        self.bits & 0o004 != 0
    }
}
