//! Files that only root can change, or whom they are run as: what runs as root follows no other.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const ROOT: u32 = 0;

/// Whether nobody but root can change this file, a link to it, or a folder that leads there.
///
/// # Errors
/// A sentence that says what must be changed.
pub fn only_roots(path: &Path) -> Result<(), String> {
    only_of(path, ROOT)
}

/// Whether nobody but root and this user can change this file, a link to it, or a folder that leads there.
///
/// # Errors
/// A sentence that says what must be changed.
pub fn only_of(path: &Path, user: u32) -> Result<(), String> {
    let unreadable = |path: &Path, error: &std::io::Error| format!("cannot look at {}: {error}", path.display());
    let whole = path.canonicalize().map_err(|error| unreadable(path, &error))?;
    // as it is written, so that nobody can lead a link elsewhere, and where that leads
    for way in [path, whole.as_path()] {
        for place in way.ancestors().filter(|place| !place.as_os_str().is_empty()) {
            let about = place.symlink_metadata().map_err(|error| unreadable(place, &error))?;
            trusted(place, &about, user)?;
        }
    }
    Ok(())
}

fn trusted(path: &Path, about: &Metadata, user: u32) -> Result<(), String> {
    let shown = path.display();
    if ![ROOT, user].contains(&about.uid()) {
        return Err(format!("{shown} does not belong to root: chown root {shown}"));
    }
    // a link has no mode of its own
    if !about.is_symlink() && about.mode() & 0o022 != 0 {
        let mode = about.mode() & 0o7777;
        return Err(format!("{shown} can be changed by others (mode {mode:04o}): chmod go-w {shown}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn each_file_folder_and_link_on_the_way_is_looked_at() {
        if !nix::unistd::geteuid().is_root() {
            // the folder of a test is its user's then, and no file in it is root's
            assert!(only_roots(&std::env::temp_dir()).is_err());
            return;
        }
        let base = Path::new("/root").join(format!("sysalert-trust-{}", std::process::id()));
        fs::create_dir_all(base.join("a")).unwrap();
        let (file, link) = (base.join("a/file"), base.join("link"));
        fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let verdicts = || [only_roots(&file), only_roots(&link)];
        for (of, changed, is_good) in [
            (base.join("a/file"), 0o640, true),
            (base.join("a/file"), 0o660, false),
            (base.join("a/file"), 0o644, true),
            (base.join("a"), 0o777, false),
            (base.join("a"), 0o1777, false),
            (base.join("a"), 0o755, true),
        ] {
            mode(&of, changed);
            assert!(verdicts().iter().all(|verdict| verdict.is_ok() == is_good), "{changed:o} {:?}", verdicts());
        }
        mode(&base, 0o775);
        assert!(only_roots(&link).is_err_and(|why| why.contains("chmod go-w")));
        mode(&base, 0o755);
        std::os::unix::fs::chown(&file, Some(1), None).unwrap();
        assert!(only_roots(&link).is_err_and(|why| why.contains("chown root")));
        // whose program it is may change it, and nobody else
        assert_eq!(only_of(&link, 1), Ok(()));
        assert!(only_of(&link, 2).is_err_and(|why| why.contains("chown root")));
        fs::remove_dir_all(&base).unwrap();
    }
}
