//! What holds secrets: whether dispatch is given it, whose it is, and who else may read it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wildmatch::WildMatch;

use super::files::{OURS, ROOT};
use super::{Outcome, Patient, finding};
use crate::event::shell_path;
use crate::host::directives::Directives;
use crate::host::modes::{self, Mode};
use crate::host::secret;
use crate::host::wake::DISPATCH;

const ENVIRONMENT: &str = "/etc/sysalert/environment";

/// Credentials, files that the configuration names, the environment.
pub(super) fn kept(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let mut found = Vec::new();
    for (name, source) in patient.manager.credentials(DISPATCH) {
        let path = PathBuf::from(&source);
        match modes::of(&path) {
            Ok(mode) => found.extend(seen_by_others(&path, &mode, (!patient.is_users()).then_some(ROOT))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => found.push(finding(
                format!(
                    "the credential {name} is to come from {source}, which is not there: what needs it is not sent, and without a \
                     SetCredential= of that name nothing is"
                ),
                format!(
                    "put it there (root, mode 0600), or take LoadCredential={name} out: `{} cat {DISPATCH}`",
                    patient.systemctl()
                ),
            )),
            // what only root may see
            Err(_) => {}
        }
    }
    if patient.sees_all() {
        found.extend(not_given(patient));
    }
    let methods = patient.settings.iter().flat_map(|settings| settings.methods.values());
    // a template is named in the same way, and is none: its key is none of the plugin's
    for setting in methods.flat_map(|method| &method.config) {
        let Some(("file", path)) = secret::place(&setting.value) else { continue };
        let path = Path::new(path);
        let Ok(mode) = modes::of(path) else { continue };
        let owner = if mode.owner == OURS || patient.is_users() { None } else { Some(ROOT) };
        found.extend(seen_by_others(path, &mode, owner));
    }
    if !patient.is_users() && patient.is_root {
        let path = Path::new(ENVIRONMENT);
        found.extend(modes::of(path).ok().and_then(|mode| seen_by_others(path, &mode, Some(ROOT))));
    }
    found
}

/// Credentials and variables that the configuration names, and that dispatch is not given.
fn not_given(patient: &Patient<'_>) -> Vec<Outcome> {
    let Some(settings) = &patient.settings else { return Vec::new() };
    let directives = patient.directives(DISPATCH);
    let is_users = patient.is_users();
    let variables = variables(&directives);
    let heartbeat = settings.heartbeat.iter().filter(|heartbeat| heartbeat.starts);
    let heartbeat = heartbeat.map(|heartbeat| ("heartbeat".to_owned(), &heartbeat.method));
    let methods = settings.methods.values().map(|method| (format!("method.{}", method.name), method)).chain(heartbeat);
    let mut found = Vec::new();
    for (section, setting) in methods.flat_map(|(section, method)| method.config.iter().map(move |one| (section.clone(), one))) {
        let (origin, key) = (&setting.origin, &setting.key);
        match secret::place(&setting.value) {
            Some(("credential", name)) if !is_loaded(&directives, name) => {
                let file =
                    if is_users { format!("%h/.config/sysalert/{name}") } else { format!("/etc/credstore/sysalert-{name}") };
                let hint = format!(
                    "put the secret into {} (mode 0600), then `{} edit {DISPATCH}`: [Service], LoadCredential={name}:{file}",
                    file.replace("%h", "~"),
                    patient.systemctl()
                );
                let text = format!("{origin}: `{key}` of [{section}] names the credential {name}, which {DISPATCH} is not given");
                found.push(finding(text, hint));
            }
            // a user's units have the variables of their manager as well
            Some(("env", name)) if !is_users && !variables.contains(name) => {
                let text = format!("{origin}: `{key}` of [{section}] names the variable {name}, which {DISPATCH} does not have");
                found.push(finding(text, format!("write a line {name}=... into {ENVIRONMENT} (root, mode 0600)")));
            }
            _ => {}
        }
    }
    found
}

/// Whether a unit of these files is given this credential (`systemd.exec(5)`).
fn is_loaded(directives: &Directives, name: &str) -> bool {
    let keys = ["LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted"];
    let ids = keys.iter().flat_map(|key| directives.list("Service", key)).filter_map(|one| one.value.split(':').next());
    // the files of a folder have its name before theirs
    let mut ids = ids.map(|id| id.trim());
    let imported = directives.list("Service", "ImportCredential");
    ids.any(|id| name == id || name.strip_prefix(id).is_some_and(|rest| rest.starts_with('_')))
        || imported.iter().any(|one| {
            // "GLOB:PREFIX": what matches is given under another name
            let (glob, renamed) = one.value.split_once(':').map_or((one.value.as_str(), None), |(glob, to)| (glob, Some(to)));
            renamed.map_or_else(|| WildMatch::new(glob).matches(name), |to| name.starts_with(to))
        })
}

/// The variables that a unit of these files has.
fn variables(directives: &Directives) -> BTreeSet<String> {
    let name = |text: &str| text.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned();
    let mut names: BTreeSet<String> = directives.words("Service", "Environment").into_iter().map(name).collect();
    names.extend(directives.words("Service", "PassEnvironment").into_iter().map(str::to_owned));
    for file in directives.list("Service", "EnvironmentFile") {
        let text = fs::read_to_string(file.value.trim_start_matches('-')).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']) && line.contains('='));
        names.extend(lines.map(name));
    }
    names
}

fn seen_by_others(path: &Path, mode: &Mode, owner: Option<&str>) -> Option<Outcome> {
    let shown = path.display();
    if let Some(owner) = owner.filter(|owner| *owner != mode.owner) {
        let text = format!("{shown}, which holds a secret, belongs to {}, who can read and change it", mode.owner);
        return Some(finding(text, format!("chown {owner} {}", shell_path(path))));
    }
    let what = match (mode.is_changed_by_others(), mode.is_open()) {
        (true, _) => "change",
        (_, true) => "read",
        _ => return None,
    };
    let text = format!("others can {what} {shown}, which holds a secret (mode {:04o})", mode.bits);
    Some(finding(text, format!("chmod o=,g-w {}", shell_path(path))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unit_is_given_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("environment");
        fs::write(&file, "# NONE=1\nTOKEN=x\n OTHER = y\nnonsense\n").unwrap();
        let text = format!(
            "[Service]\nLoadCredential=smtp:/x\nSetCredential=set:value\nImportCredential=mail.*\nLoadCredential=folder:/y\n\
             Environment=\"A=b c\" B=d\nEnvironmentFile=-{}\nEnvironmentFile=-/nowhere\n",
            file.display()
        );
        let directives = Directives::read(&vec![("/etc/x".into(), text)]);
        for (name, given) in
            [("smtp", true), ("set", true), ("mail.token", true), ("folder_a", true), ("x", false), ("smt", false)]
        {
            assert_eq!(is_loaded(&directives, name), given, "{name}");
        }
        let has = variables(&directives);
        for (name, given) in [("TOKEN", true), ("OTHER", true), ("A", true), ("B", true), ("NONE", false), ("NOPE", false)] {
            assert_eq!(has.contains(name), given, "{name}");
        }
    }
}
