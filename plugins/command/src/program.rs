//! Which file is run, and that nobody but root and this user can have put it there.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::unistd::geteuid;

/// As the kernel has it: of more links one says that they go in a circle.
const LINKS: usize = 40;

/// The file that `path` means when every link is followed, if neither it nor a link or folder on the way to it can be
/// changed by others. Afterwards it may be run by this path: what could exchange it has the right to.
///
/// # Errors
/// A sentence that says what must be changed.
pub(crate) fn trusted(path: &Path) -> Result<PathBuf, String> {
    let mut rest = parts(path);
    let mut place = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            place.pop();
            continue;
        }
        let next = place.join(&part);
        let missing = |error| format!("the program {} cannot be run: {}: {error}", path.display(), next.display());
        let found = next.symlink_metadata().map_err(missing)?;
        owned(&next, &found)?;
        if found.is_symlink() {
            links += 1;
            if links > LINKS {
                return Err(format!("the program {} cannot be run: its links go in a circle", path.display()));
            }
            let target = next.read_link().map_err(missing)?;
            if target.is_absolute() {
                place = PathBuf::from("/");
            }
            for part in parts(&target).into_iter().rev() {
                rest.push_front(part);
            }
        } else {
            closed(&next, &found, found.is_dir() && !is_last_folder(&rest))?;
            place = next;
        }
    }
    let about = place.metadata().map_err(|error| format!("the program {} cannot be run: {error}", path.display()))?;
    if !about.is_file() {
        return Err(format!("{} is no program: it is no regular file", path.display()));
    }
    Ok(place)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let named = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(named).collect()
}

/// In a sticky folder nobody can exchange what others own: that is enough for one further up, such as /tmp.
fn is_last_folder(rest: &VecDeque<OsString>) -> bool {
    rest.len() <= 1
}

fn owned(path: &Path, about: &Metadata) -> Result<(), String> {
    if about.uid() == 0 || about.uid() == geteuid().as_raw() {
        return Ok(());
    }
    Err(format!("{} does not belong to root: chown -h root {0}", path.display()))
}

fn closed(path: &Path, about: &Metadata, sticky_is_enough: bool) -> Result<(), String> {
    let mode = about.mode();
    if mode & 0o022 == 0 || (sticky_is_enough && mode & 0o1000 != 0) {
        return Ok(());
    }
    Err(format!("{} can be changed by others (mode {:04o}): chmod go-w {0}", path.display(), mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_what_nobody_else_can_change_is_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("its path");
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
        let (inner, program) = (root.join("inner"), root.join("inner/program"));
        fs::create_dir(&inner).expect("a folder");
        fs::write(&program, "").expect("a file");
        for (file, parent, above, complaint) in [
            (0o755, 0o755, 0o755, None),
            (0o755, 0o755, 0o1777, None),
            (0o775, 0o755, 0o755, Some(&program)),
            (0o757, 0o755, 0o755, Some(&program)),
            (0o755, 0o777, 0o755, Some(&inner)),
            (0o755, 0o1777, 0o755, Some(&inner)),
            (0o755, 0o755, 0o777, Some(&root)),
        ] {
            mode(&program, file);
            mode(&inner, parent);
            mode(&root, above);
            let expected = complaint.map(|path| format!("{} can be changed by others", path.display()));
            match (trusted(&program), expected) {
                (Ok(path), None) => assert_eq!(path, program),
                (Err(why), Some(expected)) => assert!(why.starts_with(&expected) && why.contains("chmod go-w"), "{why}"),
                (found, expected) => panic!("{file:o} {parent:o} {above:o}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn a_link_is_followed_and_its_own_folder_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("its path");
        for name in ["links", "programs"] {
            fs::create_dir(root.join(name)).expect("a folder");
        }
        let program = root.join("programs/program");
        fs::write(&program, "").expect("a file");
        symlink("../links/second", root.join("links/first")).expect("a link");
        symlink(&program, root.join("links/second")).expect("a link");
        symlink("circle", root.join("links/circle")).expect("a link");
        assert_eq!(trusted(&root.join("links/first")), Ok(program));
        assert!(trusted(&root.join("links/circle")).is_err_and(|why| why.contains("in a circle")));
        // whoever can write there can point the link elsewhere, although the program itself is safe
        fs::set_permissions(root.join("links"), Permissions::from_mode(0o777)).expect("a mode");
        assert!(trusted(&root.join("links/first")).is_err_and(|why| why.contains("links can be changed by others")));
    }

    #[test]
    fn what_is_no_file_is_no_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("its path");
        fs::create_dir(root.join("folder")).expect("a folder");
        assert!(trusted(&root.join("folder")).is_err_and(|why| why.contains("is no program: it is no regular file")));
        assert!(trusted(&root.join("nothing")).is_err_and(|why| why.contains("nothing: No such file")));
    }
}
