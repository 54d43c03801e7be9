//! Files that the configuration names and that are not there for dispatch, since its sandbox hides them.

use std::path::Path;

use serde_json::Value;

use super::{Outcome, Patient, finding};
use crate::host::manager::Sandbox;
use crate::host::secret;
use crate::host::wake::DISPATCH;

/// What runs the sensors' programs.
const SENSES: &str = "sysalert-check@sensors.service";
/// What `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

pub(super) fn hidden(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let Some(settings) = &patient.settings else { return Vec::new() };
    let methods = settings.methods.values().flat_map(|method| method.config.iter().map(move |setting| (method, setting)));
    let mut named: Vec<Named> = methods
        .filter(|(_, setting)| setting.key != COMMAND)
        .filter_map(|(method, setting)| {
            let what = format!("{}: `{}` of [method.{}]", setting.origin, setting.key, method.name);
            Some(Named { service: DISPATCH, what, words: vec![path_of(&setting.value)?.to_owned()], is_program: false })
        })
        .collect();
    named.extend(settings.programs().into_iter().map(|(section, origin, words)| {
        let what = format!("{origin}: `{COMMAND}` of [{section}]");
        Named { service: runs(&section), what, words, is_program: true }
    }));
    let mut found = Vec::new();
    for Named { service, what, words, is_program } in named {
        let Some(sandbox) = patient.sandbox(service) else { continue };
        // of a program's arguments those that are there: others are no files, or are made
        let paths =
            words.iter().enumerate().filter(|(place, path)| path.starts_with('/') && (*place == 0 || Path::new(path).exists()));
        let hidden = paths.filter_map(|(_, path)| Some((path, hiding(sandbox, path)?))).next();
        let place = if is_program { "/usr/local or /etc/sysalert" } else { "/etc/sysalert or /var/log/sysalert" };
        if let Some((path, folder)) = hidden {
            let hint = if HOMES.contains(&folder.as_str()) {
                format!("put it below {place}; or `{} edit {service}`: [Service], ProtectHome=read-only", patient.systemctl())
            } else {
                format!("put it below {place}")
            };
            found.push(finding(format!("{what} names {path}, and {service} does not see {folder}"), hint));
        } else if let Some(folder) = words.first().filter(|_| is_program).and_then(|path| not_run(patient, service, path)) {
            let text = format!("{what} names {}, and {service} runs nothing below {folder}", words[0]);
            found.push(finding(text, format!("put it below {place}")));
        }
    }
    found
}

/// Names a program with its arguments.
const COMMAND: &str = "command";

/// What a setting names.
struct Named {
    /// Who is to see it.
    service: &'static str,
    /// The setting, with file and line.
    what: String,
    /// A path; of a program its arguments, too.
    words: Vec<String>,
    is_program: bool,
}

/// What runs the program that this section names.
pub(super) fn runs(section: &str) -> &'static str {
    if section.starts_with("sensor.") { SENSES } else { DISPATCH }
}

/// Whether the sandbox of a service hides this path.
pub(super) fn hides(patient: &mut Patient<'_>, service: &'static str, path: &Path) -> bool {
    let sandbox = patient.sandbox(service);
    sandbox.zip(path.to_str()).is_some_and(|(sandbox, path)| hiding(sandbox, path).is_some())
}

/// The folder above this program from which the sandbox runs none.
fn not_run(patient: &Patient<'_>, service: &str, path: &str) -> Option<String> {
    let directives = patient.directives(service);
    let below = |key: &str| {
        let folders = directives.words("Service", key).into_iter().map(|word| word.trim_start_matches(['-', '+']).to_owned());
        folders.filter(|folder| Path::new(path).starts_with(folder)).max_by_key(String::len)
    };
    let (not, but) = (below("NoExecPaths")?, below("ExecPaths"));
    but.is_none_or(|but| but.len() < not.len()).then_some(not)
}

/// The file that a value names: a file, or where a secret is kept.
fn path_of(value: &Value) -> Option<&str> {
    let text = match value {
        Value::String(text) => text,
        _ => secret::place(value).filter(|(place, _)| *place == "file")?.1,
    };
    text.starts_with('/').then_some(text)
}

/// The folder above this path that the sandbox hides.
fn hiding(sandbox: &Sandbox, path: &str) -> Option<String> {
    let homes = HOMES.iter().filter(|_| matches!(sandbox.home.as_str(), "yes" | "tmpfs")).map(|folder| (*folder).to_owned());
    let temporary = TEMPORARY.iter().filter(|_| sandbox.private_tmp).map(|folder| (*folder).to_owned());
    let mut folders = homes.chain(temporary).chain(sandbox.empty.iter().cloned());
    folders.find(|folder| Path::new(path).starts_with(folder))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lies_below_a_hidden_folder_is_found() {
        let sandbox = |home: &str| Sandbox { home: home.to_owned(), empty: vec!["/tmp".to_owned()], private_tmp: false };
        for (value, home, expected) in [
            (json!("/home/me/token"), "yes", Some("/home")),
            (json!("/home/me/token"), "read-only", None),
            (json!({"file": "/root/token"}), "tmpfs", Some("/root")),
            (json!({"credential": "token"}), "yes", None),
            (json!("/tmp/alerts.json"), "no", Some("/tmp")),
            (json!("/tmpfs/alerts.json"), "no", None),
            (json!("ops@example.org"), "yes", None),
            (json!(25), "yes", None),
        ] {
            let found = path_of(&value).and_then(|path| hiding(&sandbox(home), path));
            assert_eq!(found.as_deref(), expected, "{value} {home}");
        }
    }
}
