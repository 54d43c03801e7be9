//! Owners and modes: what others could change, and what sysalert could not read.

use std::path::Path;

use super::{Outcome, Patient, finding};
use crate::event::{shell, shell_path};
use crate::host::modes::{self, Mode};
use crate::host::site::ConfigPlace;
use crate::host::space::Space;
use crate::host::{files, names, space};
use crate::store;

/// The user and the group of the system's state and configuration.
pub(super) const OURS: &str = "sysalert";
pub(super) const ROOT: &str = "root";

/// The state folder, and what is in it.
pub(super) fn state(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let site = &patient.context.site;
    let folder = &site.state;
    if site.is_systems && !names::is_user(OURS) {
        let text = format!("there is no user {OURS}: no handler runs, and nothing is sent");
        return vec![finding(text, "systemd-sysusers; then systemd-tmpfiles --create sysalert.conf")];
    }
    // nothing was recorded yet, and the first handler makes it
    let Ok(mode) = modes::of(folder) else { return Vec::new() };
    let shown = folder.display();
    let mut found = Vec::new();
    if site.is_systems && mode.owner != OURS {
        let text = format!("{shown} belongs to {}: no handler can record anything in it", mode.owner);
        return vec![finding(text, format!("chown -R {OURS}:{OURS} {}", shell_path(folder)))];
    }
    if mode.is_changed_by_others() || mode.bits & 0o007 != 0 {
        let (text, right) = (
            format!("others can change or read {shown} (mode {:04o})", mode.bits),
            if site.is_systems { "2750" } else { "0700" },
        );
        found.push(finding(text, format!("chmod {right} {}", shell_path(folder))));
    }
    found.extend(no_room(folder));
    let runtime = site.refuge();
    if let (true, Ok(mode)) = (site.is_systems, modes::of(runtime)) {
        let shown = runtime.display();
        if mode.owner != OURS {
            let text = format!("{shown} belongs to {}: dispatch is not woken, but by its timer", mode.owner);
            found.push(finding(text, format!("chown -R {OURS}:{OURS} {}", shell_path(runtime))));
        } else if mode.is_changed_by_others() {
            let text = format!("others can change {shown} (mode {:04o})", mode.bits);
            found.push(finding(text, format!("chmod go-w {}", shell_path(runtime))));
        }
    }
    for path in modes::within(folder).into_iter().chain(modes::within(&folder.join(store::SPOOL))) {
        let Some(file) = modes::of(&path).ok().filter(|file| file.owner != mode.owner) else { continue };
        found.push(finding(
            format!("{} belongs to {}, and not to {}, who must write it", path.display(), file.owner, mode.owner),
            format!("chown {}:{} {}", shell(&mode.owner), shell(&mode.group), shell_path(&path)),
        ));
    }
    found
}

/// With less a database cannot go on.
const ROOM: u64 = 4 << 20;

/// Whether the next event could be recorded on this file system.
fn no_room(folder: &Path) -> Option<Outcome> {
    let shown = folder.display();
    if space::is_read_only(folder) {
        let text = format!("the file system of {shown} is read-only: nothing can be recorded");
        let hint =
            format!("`findmnt -T {}` shows it, `journalctl -k` may say why; then mount -o remount,rw it", shell_path(folder));
        return Some(finding(text, hint));
    }
    let space = Space::of(folder).ok()?;
    let what = match (space.free < ROOM, space.files > 0 && space.files_free == 0) {
        (true, _) => format!("has {} KiB left", space.free >> 10),
        (_, true) => "can hold no further file".to_owned(),
        _ => return None,
    };
    let text = format!("the file system of {shown} {what}: soon nothing can be recorded");
    let word = shell_path(folder);
    Some(finding(text, format!("make room there: `df -h {word}` and `df -i {word}` show how full it is")))
}

/// The configuration: who may change it decides what is started and who hears of what.
pub(super) fn configuration(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let place = &patient.context.site.config;
    // a file of one's own, that somebody tries
    let ConfigPlace::Folder(folder) = place else { return Vec::new() };
    let is_users = patient.is_users();
    let mut found = Vec::new();
    let is_closed = modes::of(folder).is_ok_and(|mode| mode.bits & 0o001 == 0);
    for path in files::places(place).unwrap_or_default() {
        let Ok(mode) = modes::of(&path) else { continue };
        found.extend(changed_by_others(&path, &mode, is_users));
        if is_users {
            continue;
        }
        let is_read = mode.bits & 0o004 != 0 || mode.owner == OURS || (mode.group == OURS && mode.bits & 0o040 != 0);
        let (shown, word, right) = (path.display(), shell_path(&path), if mode.is_folder { "0750" } else { "0640" });
        if !is_read {
            found.push(finding(
                format!("{shown} cannot be read by the user {OURS}: handlers and dispatch go without it"),
                format!("chown {ROOT}:{OURS} {word}; chmod {right} {word}"),
            ));
        } else if !mode.is_folder && mode.is_open() && !is_closed {
            let text = format!("everybody may read {shown}, in which passwords and addresses may stand (mode {:04o})", mode.bits);
            found.push(finding(text, format!("chown {ROOT}:{OURS} {word}; chmod 0640 {word}")));
        }
    }
    found
}

fn changed_by_others(path: &Path, mode: &Mode, is_users: bool) -> Option<Outcome> {
    let shown = path.display();
    if !is_users && mode.owner != ROOT {
        let text = format!("{shown} belongs to {}, who can thus have programs started as the user {OURS}", mode.owner);
        return Some(finding(text, format!("chown {ROOT}:{OURS} {}", shell_path(path))));
    }
    mode.is_changed_by_others().then(|| {
        let text = format!("others can change {shown} (mode {:04o})", mode.bits);
        finding(text, format!("chmod go-w {}", shell_path(path)))
    })
}
