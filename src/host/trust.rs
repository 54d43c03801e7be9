//! Files that only root can change, or whom they are run as: what runs as root follows no other.

use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::event::shell_path;

const ROOT: u32 = 0;

/// Whether nobody but root can change this file, a link to it, or a folder that leads there.
///
/// # Errors
/// A sentence that says what must be changed.
pub fn only_roots(path: &Path) -> Result<(), String> {
    only_of(path, ROOT)
}

/// What runs the file that its first argument names.
const INTERPRETERS: [&str; 16] =
    ["awk", "bash", "dash", "java", "ksh", "lua", "node", "perl", "php", "pwsh", "python", "ruby", "sh", "tclsh", "wish", "zsh"];

/// Whether nobody but root can change this program, nor what its arguments make it run.
///
/// # Errors
/// A sentence that says what must be changed.
pub fn only_roots_command(command: &[String]) -> Result<(), String> {
    only_command_of(command, ROOT)
}

/// Whether nobody but root and this user can change this program, nor what its arguments make it run: a script that an
/// interpreter is given, and every other program or script that they name.
///
/// # Errors
/// A sentence that says what must be changed.
pub fn only_command_of(command: &[String], user: u32) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("it names no program".to_owned()) };
    let program = Path::new(program);
    only_of(program, user)?;
    let mut is_interpreter = interprets(program);
    // what is run has / as its working folder
    for path in arguments.iter().map(|word| Path::new("/").join(word)).filter(|path| path.is_file()) {
        if std::mem::take(&mut is_interpreter) || is_program(&path) {
            only_of(&path, user)?;
        }
    }
    Ok(())
}

/// Whether this program runs the file that its first argument names.
pub fn interprets(program: &Path) -> bool {
    let named = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        INTERPRETERS.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit() || ".-".contains(c)))
    };
    named(program) || program.canonicalize().is_ok_and(|whole| named(&whole))
}

fn is_program(path: &Path) -> bool {
    let mut head = [0; 2];
    path.metadata().is_ok_and(|about| about.mode() & 0o111 != 0)
        || std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok_and(|()| &head == b"#!")
}

/// Whether nobody but root and this user can change this file, a link to it, or a folder that leads there.
///
/// # Errors
/// A sentence that says what must be changed.
pub fn only_of(path: &Path, user: u32) -> Result<(), String> {
    let unreadable = |path: &Path, error: &std::io::Error| format!("cannot look at {}: {error}", path.display());
    // without a slash at its end, which would follow a link
    let mut way: PathBuf = path.components().collect();
    // as it is written, so that nobody can lead a link elsewhere, and where each link leads
    for _ in 0..MOST_LINKS {
        let mut link = None;
        for place in way.ancestors().filter(|place| !place.as_os_str().is_empty()) {
            let about = place.symlink_metadata().map_err(|error| unreadable(place, &error))?;
            trusted(place, &about, user, false)?;
            if about.is_symlink() {
                link = Some(place);
            }
        }
        let Some(link) = link else { return Ok(()) };
        let target = link.read_link().map_err(|error| unreadable(link, &error))?;
        let rest = way.strip_prefix(link).unwrap_or(Path::new(""));
        way = link.parent().unwrap_or(Path::new("/")).join(target).join(rest).components().collect();
    }
    Err(format!("{} has too many links on its way", path.display()))
}

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// Whether nobody but root and this user can change this one place; what leads there is not looked at. `sticky_is_enough`: a
/// folder that others may write in will do if nobody can exchange in it what somebody else owns.
///
/// # Errors
/// A sentence that says what must be changed.
pub(super) fn trusted(path: &Path, about: &Metadata, user: u32, sticky_is_enough: bool) -> Result<(), String> {
    let shown = path.display();
    if ![ROOT, user].contains(&about.uid()) {
        // without this option it would be given what the link leads to
        let option = if about.is_symlink() { "-h " } else { "" };
        return Err(format!("{shown} does not belong to root: chown {option}root {}", shell_path(path)));
    }
    let mode = about.mode() & 0o7777;
    // a link has no mode of its own
    if !about.is_symlink() && mode & 0o022 != 0 && !(sticky_is_enough && mode & 0o1000 != 0) {
        return Err(format!("{shown} can be changed by others (mode {mode:04o}): chmod go-w {}", shell_path(path)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::identity::is_root_or_says;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn each_file_folder_and_link_on_the_way_is_looked_at() {
        if !is_root_or_says("each_file_folder_and_link_on_the_way_is_looked_at") {
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

    #[test]
    fn each_link_of_a_chain_is_looked_at() {
        if !is_root_or_says("each_link_of_a_chain_is_looked_at") {
            return;
        }
        let base = Path::new("/root").join(format!("sysalert-chain-{}", std::process::id()));
        fs::create_dir_all(base.join("theirs/folder")).unwrap();
        symlink("/bin", base.join("theirs/folder/middle")).unwrap();
        symlink("theirs/folder/../folder/middle/", base.join("first")).unwrap();
        let link = base.join("first/sleep");
        assert_eq!(only_roots(&link), Ok(()));
        std::os::unix::fs::chown(base.join("theirs"), Some(1), None).unwrap();
        let why = only_roots(&link).unwrap_err();
        assert!(why.contains("/theirs") && why.contains("does not belong to root"), "{why}");
        std::os::unix::fs::lchown(base.join("first"), Some(1), None).unwrap();
        assert!(only_roots(&link).is_err_and(|why| why.contains("/first does not belong to root: chown -h root ")));
        std::os::unix::fs::lchown(base.join("first"), Some(0), None).unwrap();
        fs::remove_file(base.join("theirs/folder/middle")).unwrap();
        symlink("middle", base.join("theirs/folder/middle")).unwrap();
        assert!(only_roots(&link).is_err());
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn a_script_that_is_an_argument_is_looked_at_and_data_is_not() {
        if !is_root_or_says("a_script_that_is_an_argument_is_looked_at_and_data_is_not") {
            return;
        }
        let base = Path::new("/root").join(format!("sysalert-scripts-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = base.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path.display().to_string()
        };
        let [good, bad, data] =
            [("good", 0o644), ("bad", 0o666), ("data", 0o666)].map(|(name, mode)| file(name, "x = 1\n", mode));
        let (script, program) = (file("script", "#!/bin/sh\n", 0o666), file("program", "x", 0o777));
        for (words, is_good) in [
            (vec!["/bin/sh", "-u", &good, &data], true),
            (vec!["/bin/sh", "-u", &bad], false),
            (vec!["/bin/sh", "-c", "true"], true),
            (vec!["/bin/cat", &data], true),
            (vec!["/usr/bin/nice", &script], false),
            (vec!["/usr/bin/env", "-i", program.trim_start_matches('/')], false),
        ] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            let verdict = only_roots_command(&words);
            assert_eq!(verdict.is_ok(), is_good, "{words:?}: {verdict:?}");
            assert!(is_good || verdict.is_err_and(|why| why.contains("chmod go-w")));
        }
        fs::remove_dir_all(&base).unwrap();
    }
}
