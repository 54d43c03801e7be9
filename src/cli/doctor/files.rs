//! Owners and modes: what others could change, and what sysalert could not read.

use std::io;
use std::path::{Path, PathBuf};

use super::{Outcome, Patient, finding};
use crate::event::{shell, shell_path};
use crate::host::modes::{self, Mode};
use crate::host::site::ConfigPlace;
use crate::host::{files, identity, secret};
use crate::store;

/// The user and the group of the system's state and configuration.
const OURS: &str = "sysalert";
const ROOT: &str = "root";
const ENVIRONMENT: &str = "/etc/sysalert/environment";

/// The state folder, and what is in it.
pub(super) fn state(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let site = &patient.context.site;
    let folder = &site.state;
    let mode = match modes::of(folder) {
        Ok(mode) => mode,
        // nothing was recorded yet, and the first handler makes it
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(_) => return Vec::new(),
    };
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
    for path in modes::within(folder).into_iter().chain(modes::within(&folder.join(store::SPOOL))) {
        let Some(file) = modes::of(&path).ok().filter(|file| file.owner != mode.owner) else { continue };
        found.push(finding(
            format!("{} belongs to {}, and not to {}, who must write it", path.display(), file.owner, mode.owner),
            format!("chown {}:{} {}", shell(&mode.owner), shell(&mode.group), shell_path(&path)),
        ));
    }
    found
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

/// What holds secrets: credentials, files that the configuration names, the environment.
pub(super) fn secrets(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let mut found = Vec::new();
    for (name, source) in patient.manager.credentials("sysalert-dispatch.service") {
        let path = PathBuf::from(&source);
        match modes::of(&path) {
            Ok(mode) => found.extend(seen_by_others(&path, &mode)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => found.push(finding(
                format!(
                    "the credential {name} is to come from {source}, which is not there: what needs it is not sent, and without a \
                     SetCredential= of that name nothing is"
                ),
                format!(
                    "put it there (root, mode 0600), or take LoadCredential={name} out: `{} cat sysalert-dispatch.service`",
                    patient.systemctl()
                ),
            )),
            // what only root may see
            Err(_) => {}
        }
    }
    let methods = patient.settings.iter().flat_map(|settings| settings.methods.values());
    let values = methods.flat_map(|method| method.config.iter().map(|setting| setting.value.clone()));
    let places: Vec<PathBuf> = values
        .filter_map(|value| match secret::place(&value) {
            Some(("file", path)) => Some(PathBuf::from(path)),
            _ => None,
        })
        .collect();
    // a template is named in the same way, and is none: its key is none of the plugin's
    for path in places {
        found.extend(modes::of(&path).ok().and_then(|mode| seen_by_others(&path, &mode)));
    }
    if !patient.is_users() && identity::is_root() {
        let path = Path::new(ENVIRONMENT);
        found.extend(modes::of(path).ok().and_then(|mode| seen_by_others(path, &mode)));
    }
    found
}

fn seen_by_others(path: &Path, mode: &Mode) -> Option<Outcome> {
    let shown = path.display();
    let what = match (mode.is_changed_by_others(), mode.is_open()) {
        (true, _) => "change",
        (_, true) => "read",
        _ => return None,
    };
    let text = format!("others can {what} {shown}, which holds a secret (mode {:04o})", mode.bits);
    Some(finding(text, format!("chmod o=,g-w {}", shell_path(path))))
}
