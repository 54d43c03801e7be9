//! Programs that are to be run, and files that are to be written: whether the user sysalert can.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::sandbox;
use super::{Outcome, Patient, finding};
use crate::event::shell_path;
use crate::host::directives::Directives;
use crate::host::wake::DISPATCH;
use crate::host::{names, program};

pub(super) fn unusable(patient: &mut Patient<'_>) -> Vec<Outcome> {
    // others may be let in where the owner of the record is not
    if !patient.sees_all() {
        return Vec::new();
    }
    let programs = patient.settings.as_ref().map(|settings| settings.programs()).unwrap_or_default();
    let mut found = Vec::new();
    for (section, origin, command) in programs {
        let service = sandbox::runs(&section);
        // what the sandbox hides was told already
        let Some((path, error)) = program::obstacle(&command).filter(|(path, _)| !sandbox::hides(patient, service, path)) else {
            continue;
        };
        let (shown, word, user) = (path.display(), shell_path(&path), names::user());
        let hint = match error.kind() {
            ErrorKind::NotFound => format!("put it there (mode 0755), or name the right one in [{section}]"),
            _ => format!("chmod a+rx {word}; `namei -l {word}` shows which folder above it lets {user} not in"),
        };
        found.push(finding(format!("{origin}: `command` of [{section}]: {user} cannot run {shown}: {error}"), hint));
    }
    found
}

/// The files of the plugin `file`.
pub(super) fn unwritable(patient: &mut Patient<'_>) -> Vec<Outcome> {
    if !patient.sees_all() {
        return Vec::new();
    }
    let directives = patient.directives(DISPATCH);
    let methods = patient.settings.iter().flat_map(|settings| settings.methods.values()).filter(|method| method.plugin == "file");
    let named = methods.flat_map(|method| method.config.iter().map(move |setting| (&method.name, setting)));
    let named: Vec<(String, PathBuf)> = named
        .filter(|(_, setting)| setting.key == "path")
        .filter_map(|(name, setting)| {
            Some((format!("{}: `path` of [method.{name}]", setting.origin), PathBuf::from(setting.value.as_str()?)))
        })
        .collect();
    let mut found = Vec::new();
    for (setting, path) in named.into_iter().filter(|(_, path)| path.is_absolute()) {
        if sandbox::hides(patient, DISPATCH, &path) {
            continue;
        }
        let Some(folder) = path.parent() else { continue };
        let (shown, word, user) = (folder.display(), shell_path(folder), names::user());
        let is_let = patient.is_users() || may_write(&directives, &path);
        let mut steps = Vec::new();
        let mut wrong = None;
        match program::writable(&path) {
            // systemd makes this one
            Err(error) if error.kind() == ErrorKind::NotFound && !is_made(&directives, folder) => {
                wrong = Some(format!("{shown} is not there"));
                steps.push(if patient.is_users() {
                    format!("mkdir -p {word}")
                } else {
                    format!("install -d -o {user} -g {user} -m 0750 {word}")
                });
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                wrong = Some(format!("{user} cannot write {}: {error}", path.display()));
                let what = if path.exists() { path.as_path() } else { folder };
                steps.push(format!("chown {user} {}", shell_path(what)));
            }
            _ => {}
        }
        if !is_let {
            wrong.get_or_insert_with(|| format!("{DISPATCH} may not write in {shown}"));
            steps.push(format!("`{} edit {DISPATCH}`: [Service], ReadWritePaths={shown}", patient.systemctl()));
        }
        found.extend(wrong.map(|why| finding(format!("{setting}: {why}"), steps.join("; then "))));
    }
    found
}

/// Folders that systemd makes for a unit, and where.
const MADE: [(&str, &str); 4] = [
    ("LogsDirectory", "/var/log"),
    ("StateDirectory", "/var/lib"),
    ("RuntimeDirectory", "/run"),
    ("CacheDirectory", "/var/cache"),
];

fn made(directives: &Directives) -> Vec<PathBuf> {
    MADE.iter()
        .flat_map(|(key, place)| directives.words("Service", key).into_iter().map(|name| Path::new(place).join(name)))
        .collect()
}

fn is_made(directives: &Directives, folder: &Path) -> bool {
    made(directives).iter().any(|made| made == folder)
}

/// Whether the sandbox of a unit of these files lets it write there.
fn may_write(directives: &Directives, path: &Path) -> bool {
    if directives.last("Service", "ProtectSystem").is_none_or(|one| one.value != "strict") {
        return true;
    }
    let given =
        directives.words("Service", "ReadWritePaths").into_iter().map(|word| PathBuf::from(word.trim_start_matches(['-', '+'])));
    made(directives).into_iter().chain(given).chain([PathBuf::from("/dev")]).any(|place| path.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_sandbox_lets_a_unit_write_what_is_named() {
        let directives = |text: &str| Directives::read(&vec![("/etc/x".into(), format!("[Service]\n{text}"))]);
        let strict = "ProtectSystem=strict\nLogsDirectory=sysalert\nReadWritePaths=-/srv/alerts /x\n";
        for (text, path, expected) in [
            (strict, "/var/log/sysalert/a.json", true),
            (strict, "/var/log/a.json", false),
            (strict, "/srv/alerts/a.json", true),
            (strict, "/srv/alerts2/a.json", false),
            ("ProtectSystem=full\n", "/srv/a.json", true),
        ] {
            assert_eq!(may_write(&directives(text), Path::new(path)), expected, "{text} {path}");
        }
        assert!(is_made(&directives(strict), Path::new("/var/log/sysalert")));
    }
}
