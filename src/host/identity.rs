//! Everything in the state folder belongs to the folder's owner, whoever runs the command: root becomes that owner first.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, User, chown, geteuid, getuid, initgroups, setgid, setgroups, setuid};

use super::{Site, env};
use crate::error::{Error, Kind, Result};
use crate::event::Manager;

/// The user of the system's state folder.
const OWNER: &str = "sysalert";

/// The user and group that a process must become before it touches the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    uid: Uid,
    gid: Gid,
}

/// Whom this process has to become: somebody only if it is root's and the state folder is not.
///
/// # Errors
/// `Failure`, when the folder cannot be looked at; `Permission`, when it is root's and others can change it.
pub fn owner(site: &Site) -> Result<Option<Owner>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    match fs::metadata(&site.state) {
        Ok(folder) if folder.uid() != 0 => Ok(Some(Owner { uid: Uid::from_raw(folder.uid()), gid: Gid::from_raw(folder.gid()) })),
        // somebody else's link in it would lead root elsewhere
        Ok(folder) if folder.mode() & 0o022 != 0 => {
            let text = format!("{} belongs to root, but others can change it", site.state.display());
            Err(Error::new(Kind::Permission, text).hint(format!("chmod go-w {}", site.state.display())))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("look at", &site.state, &error)),
    }
}

/// Whatever is made from now on is for its owner and the folder's group: files 0640; a user's is for nobody else: 0600.
pub fn keep_from_others(site: &Site) {
    umask(Mode::from_bits_truncate(if is_users(site) { 0o077 } else { 0o027 }));
}

fn is_users(site: &Site) -> bool {
    matches!(site.manager, Manager::User(_))
}

/// Makes the state folder, if it is missing.
///
/// # Errors
/// `Permission` or `Failure`, when it cannot be made; `Failure`, when the user sysalert is missing.
pub fn make_state_folder(site: &Site) -> Result<()> {
    if site.state.is_dir() { Ok(()) } else { make(site) }
}

fn make(site: &Site) -> Result<()> {
    let made = DirBuilder::new().recursive(!site.is_systems).mode(0o750).create(&site.state);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let of_system = site.is_systems && error.kind() == io::ErrorKind::PermissionDenied;
            let error = Error::file("make", &site.state, &error);
            return Err(if of_system { error.hint("root can; with --user a record of your own is used") } else { error });
        }
        _ => {}
    }
    if site.is_systems && geteuid().is_root() {
        let owner = User::from_name(OWNER).ok().flatten().ok_or_else(|| {
            let _ = fs::remove_dir(&site.state);
            Error::failure(format!("there is no user {OWNER}, whom {} must belong to", site.state.display()))
                .hint("systemd-sysusers makes it from the installed sysusers.d/sysalert.conf")
        })?;
        chown(&site.state, Some(owner.uid), Some(owner.gid))
            .map_err(|error| Error::file("hand over", &site.state, &error.into()))?;
    }
    if is_users(site) {
        return Ok(());
    }
    // the group of the folder is the group of every file in it
    fs::set_permissions(&site.state, fs::Permissions::from_mode(0o2750))
        .map_err(|error| Error::file("set the mode of", &site.state, &error))
}

/// Becomes the owner, for good.
///
/// # Errors
/// `Failure`, when the system does not allow it.
pub fn become_owner(Owner { uid, gid }: Owner) -> Result<()> {
    let failed = |error: nix::Error| Error::failure(format!("cannot become the owner of the state folder (user {uid}): {error}"));
    let user = User::from_uid(uid).ok().flatten();
    // the supplementary groups hold systemd-journal, without which dispatch finds no excerpt
    match user.as_ref().and_then(|user| CString::new(user.name.as_str()).ok()) {
        Some(name) => initgroups(&name, gid).map_err(failed)?,
        None => setgroups(&[gid]).map_err(failed)?,
    }
    setgid(gid).map_err(failed)?;
    setuid(uid).map_err(failed)
}

/// Lets a child of root's run as the user sysalert, if there is one.
pub fn give_up(command: &mut Command) {
    if let (true, Ok(Some(owner))) = (geteuid().is_root(), User::from_name(OWNER)) {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Whether a test can be done that only root can do. Says aloud that it was not; where every test is asked for, it fails.
#[cfg(test)]
pub fn is_root_or_says(test: &str) -> bool {
    use std::io::Write;
    let is_root = is_root();
    if !is_root {
        assert!(super::env::var("SYSALERT_REQUIRE_SYSTEM_TESTS").is_none(), "{test}: root must run this");
        // the runner does not capture this
        writeln!(std::io::stderr(), "not done: {test}: root must run it").unwrap();
    }
    is_root
}

/// Who runs this command, by name; through sudo, who does that.
pub fn who() -> String {
    let is_name = |name: &String| name.len() <= 64 && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    env::var("SUDO_USER").filter(is_name).unwrap_or_else(|| {
        let uid = getuid();
        User::from_uid(uid).ok().flatten().map_or_else(|| format!("user {uid}"), |user| user.name)
    })
}

/// The error for somebody who may not read the state.
pub fn not_allowed(path: &Path) -> Error {
    Error::new(Kind::Permission, format!("{} may be read only by root and members of its group", path.display()))
        .hint("run it as root, or be added to the group (usermod -aG sysalert NAME); with --user a record of your own is used")
}
