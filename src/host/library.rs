//! A plugin's file: found, checked, and opened so that what was checked is what gets loaded.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::geteuid;

use super::names;
use super::trust::trusted;

/// The file of this plugin in the first folder that has one.
///
/// # Errors
/// A sentence that says where it was looked for.
pub fn find(plugin: &str, folders: &[PathBuf]) -> Result<PathBuf, String> {
    let file = format!("{plugin}.so");
    folders.iter().map(|folder| folder.join(&file)).find(|path| path.symlink_metadata().is_ok()).ok_or_else(|| {
        let places: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        format!("there is no plugin {file} in {}", places.join(" or "))
    })
}

/// The names of all plugins in these folders, sorted.
pub fn names(folders: &[PathBuf]) -> Vec<String> {
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let name = |file: OsString| file.to_str().and_then(|name| name.strip_suffix(".so")).map(str::to_owned);
    let names: BTreeSet<String> = entries.filter_map(|entry| name(entry.file_name())).collect();
    names.into_iter().collect()
}

/// Opens a plugin that nobody but root and this user could have changed: neither the file nor a folder above it.
///
/// # Errors
/// A sentence that says what must be changed.
pub fn open(path: &Path) -> Result<File, String> {
    let unreadable = |error: io::Error| {
        let advice = match error.kind() {
            // root has become the owner of the state folder: foreign code does not run as root
            io::ErrorKind::PermissionDenied => format!(
                "; plugins run as the user {}, also when root starts this: put it where that user may read it, \
                 `install -D -m 0644 -t /usr/local/lib/sysalert/plugins FILE`",
                names::user()
            ),
            _ => String::new(),
        };
        format!("cannot open the plugin {}: {error}{advice}", path.display())
    };
    let target = match path.read_link() {
        // one link, which nobody else can exchange where nobody else can write: several plugins may share a file
        Ok(target) => {
            let target = trusted_folder(path)?.join(target);
            trusted_folder(&target)?.join(target.file_name().unwrap_or_default())
        }
        Err(_) => path.to_owned(),
    };
    // NONBLOCK: opening a pipe that somebody put there must not wait
    let file =
        OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK).open(&target).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(format!("the plugin {} is not a regular file", path.display()));
    }
    trusted(&target, &about, geteuid().as_raw(), false)?;
    trusted_folder(&target)?;
    Ok(file)
}

/// The folder of this file, without links in its name, if nobody else can change what is in it.
fn trusted_folder(path: &Path) -> Result<PathBuf, String> {
    let unreadable = |error: io::Error| format!("cannot look at the folder of the plugin {}: {error}", path.display());
    let folder = path.parent().unwrap_or(Path::new("/")).canonicalize().map_err(unreadable)?;
    for (depth, ancestor) in folder.ancestors().enumerate() {
        let about = ancestor.metadata().map_err(unreadable)?;
        // in a sticky folder nobody can exchange what others own: enough for a folder further up, such as /tmp
        trusted(ancestor, &about, geteuid().as_raw(), depth > 0)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::identity::is_root_or_says;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    #[test]
    fn only_what_nobody_else_can_change_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.so");
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        fs::write(&path, "x").unwrap();
        for (file, parent, complaint) in [
            (0o644, 0o755, None),
            (0o666, 0o755, Some("chmod go-w")),
            (0o664, 0o755, Some("chmod go-w")),
            (0o644, 0o777, Some("chmod go-w")),
            (0o644, 0o1777, Some("chmod go-w")),
        ] {
            mode(&path, file);
            mode(folder.path(), parent);
            let opened = open(&path);
            match complaint {
                None => assert!(opened.is_ok(), "{opened:?}"),
                Some(words) => assert!(opened.is_err_and(|error| error.contains(words)), "{file:o} in {parent:o}"),
            }
        }
        mode(folder.path(), 0o755);
        // a link counts as what it leads to, if nobody else can exchange it; a link to a link does not
        let shared = folder.path().join("shared");
        fs::create_dir(&shared).unwrap();
        mode(&shared, 0o755);
        let (link, second) = (shared.join("link.so"), shared.join("second.so"));
        symlink("../x.so", &link).unwrap();
        symlink("link.so", &second).unwrap();
        assert!(open(&link).is_ok());
        assert!(open(&second).is_err());
        mode(&path, 0o666);
        assert!(open(&link).is_err_and(|error| error.contains("chmod go-w")));
        mode(&path, 0o644);
        mode(&shared, 0o777);
        assert!(open(&link).is_err_and(|error| error.contains("chmod go-w")));
        mode(&shared, 0o755);
        mode(folder.path(), 0o777);
        assert!(open(&link).is_err_and(|error| error.contains("chmod go-w")));
        mode(folder.path(), 0o755);
        assert!(open(folder.path()).is_err_and(|error| error.contains("not a regular file")));
    }

    #[test]
    fn only_what_root_or_its_user_owns_is_opened() {
        if !is_root_or_says("only_what_root_or_its_user_owns_is_opened") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        let (path, link) = (below.join("x.so"), folder.path().join("link.so"));
        fs::write(&path, "x").unwrap();
        symlink("below/x.so", &link).unwrap();
        let owner = |path: &Path, user| chown(path, Some(user), None).unwrap();
        for theirs in [&path, &below, folder.path()] {
            assert!(open(&path).is_ok() && open(&link).is_ok());
            owner(theirs, 1);
            for path in [&path, &link] {
                let refused = open(path).unwrap_err();
                let words = format!("{} does not belong to root: chown root ", theirs.display());
                assert!(refused.starts_with(&words), "{refused}");
            }
            owner(theirs, 0);
        }
    }
}
