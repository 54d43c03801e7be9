//! Which files of the journal can hold what is looked for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::User;

use crate::host::directives::{Directive, Directives};

const FOLDERS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// A file that was written to a moment earlier than asked is opened all the same: clocks and disks round.
pub(super) const SLACK: u64 = 2_000_000;

/// The files that may hold entries since then (microseconds since 1970): an archived file was last written when its last
/// entry came. Those of `LogNamespace=` are among them.
pub(super) fn since(at: u64) -> Vec<PathBuf> {
    all().into_iter().filter(|(path, written)| is_active(path) || written + SLACK >= at).map(|(path, _)| path).collect()
}

/// When the oldest file was last written.
pub(super) fn oldest() -> Option<u64> {
    all().into_iter().filter(|(path, _)| !is_active(path)).map(|(_, written)| written.saturating_sub(SLACK)).min()
}

/// Whether this user may read the system's own part of the journal.
///
/// # Errors
/// A sentence that says what is to be done.
pub fn readable() -> Result<(), String> {
    let files = all();
    if files.is_empty() {
        return Err("there is no journal here that this user may see".to_owned());
    }
    for (path, _) in files.iter().filter(|(path, _)| is_active(path) && path.ends_with("system.journal")) {
        if let Err(error) = fs::File::open(path) {
            let who = "root and members of the group systemd-journal may";
            return Err(format!("the journal cannot be read: {}: {error}; {who}", path.display()));
        }
    }
    Ok(())
}

/// Where the journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// On a disk: it is there after a reboot.
    OnDisk,
    /// In memory.
    InMemory,
    /// Nowhere that this user may see.
    Nowhere,
}

/// Where this machine's journal is kept.
pub fn kept() -> Kept {
    let files = all();
    let is_below = |folder: &str| files.iter().any(|(path, _)| is_active(path) && path.starts_with(folder));
    match (is_below(FOLDERS[0]), is_below(FOLDERS[1])) {
        (true, _) => Kept::OnDisk,
        (_, true) => Kept::InMemory,
        _ => Kept::Nowhere,
    }
}

/// Where journald's configuration is looked for, the most important first.
const CONFIGURATION: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];

/// The `Storage=` of journald's configuration; `None` where the default holds (`journald.conf(5)`).
pub fn storage() -> Option<Directive> {
    storage_of(&CONFIGURATION.map(PathBuf::from))
}

fn storage_of(folders: &[PathBuf]) -> Option<Directive> {
    let read = |path: PathBuf| fs::read_to_string(&path).ok().map(|text| (path, text));
    let main = folders.iter().find_map(|folder| read(folder.join("journald.conf")));
    let mut drop_ins: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for entry in folders.iter().flat_map(|folder| fs::read_dir(folder.join("journald.conf.d"))).flatten().flatten() {
        if entry.path().extension().is_some_and(|end| end == "conf") {
            drop_ins.entry(entry.file_name()).or_insert(entry.path());
        }
    }
    let files = main.into_iter().chain(drop_ins.into_values().filter_map(read)).collect();
    Directives::read(&files).last("Journal", "Storage").cloned()
}

/// Whether systemd-coredump takes the cores.
pub(super) fn saves_cores() -> bool {
    Path::new("/run/systemd/coredump").exists()
}

/// The user as whom systemd-coredump works.
pub(super) fn keeper_of_cores() -> Option<u32> {
    // whoever has no such user may ask a directory on the network for it
    let user = if saves_cores() { User::from_name("systemd-coredump").ok() } else { None };
    user.flatten().map(|user| user.uid.as_raw())
}

/// "system.journal" and "user-1000.journal" are still written; "system@....journal" is archived, "....journal~" broke off.
pub(super) fn is_active(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    !name.contains('@') && !name.ends_with('~')
}

/// This machine's files, each with the time when it was last written (microseconds since 1970).
pub(super) fn all() -> Vec<(PathBuf, u64)> {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    below(&FOLDERS.map(Path::new), machine.trim())
}

/// This machine's files in these folders, each with the time when it was last written.
fn below(folders: &[&Path], machine: &str) -> Vec<(PathBuf, u64)> {
    let is_ours = |name: &str| name.strip_prefix(machine).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let folders = folders.iter().flat_map(fs::read_dir).flatten().flatten();
    let folders = folders.filter(|folder| folder.file_name().to_str().is_some_and(|name| !machine.is_empty() && is_ours(name)));
    let files = folders.flat_map(|folder| fs::read_dir(folder.path())).flatten().flatten();
    let files = files.filter(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.ends_with(".journal") || name.ends_with(".journal~")
    });
    files
        .filter_map(|file| {
            let about = file.metadata().ok()?;
            let written = about.mtime().saturating_mul(1_000_000) + about.mtime_nsec() / 1000;
            Some((file.path(), u64::try_from(written).unwrap_or(0)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_storage_holds() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["etc", "usr"].map(|folder| root.path().join(folder));
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let value = || storage_of(&folders).map(|storage| storage.value);
        assert_eq!(value(), None);
        put("usr/journald.conf", "[Journal]\n#Storage=auto\n");
        put("usr/journald.conf.d/50-x.conf", "[Journal]\nStorage=none\n");
        assert_eq!(value().as_deref(), Some("none"));
        put("etc/journald.conf.d/50-x.conf", "[Journal]\nStorage=volatile\n");
        assert_eq!(value().as_deref(), Some("volatile"));
        put("etc/journald.conf", "[Journal]\nStorage=none\n");
        assert_eq!(value().as_deref(), Some("volatile"));
    }

    #[test]
    fn the_files_of_this_machine_and_its_namespaces_are_found() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "abc/system.journal",
            "abc/system@1-2-3.journal",
            "abc/user-1000.journal~",
            "abc/note.txt",
            "abc.web/system.journal",
            "abcd/system.journal",
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let missing = root.path().join("none");
        let mut found: Vec<_> = below(&[root.path(), &missing], "abc").into_iter().map(|(path, _)| path).collect();
        found.sort();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["abc/system.journal", "abc/system@1-2-3.journal", "abc/user-1000.journal~", "abc.web/system.journal"]);
        assert_eq!(found.iter().filter(|path| is_active(path)).count(), 2);
        assert!(below(&[root.path()], "").is_empty(), "without an ID no folder is ours");
    }
}
