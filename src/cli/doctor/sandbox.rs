//! Files that the configuration names and that are not there for dispatch, since its sandbox hides them.

use std::path::Path;

use serde_json::Value;

use super::{Outcome, Patient, finding};
use crate::host::manager::Sandbox;
use crate::host::secret;

const SERVICE: &str = "sysalert-dispatch.service";
/// What `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

pub(super) fn hidden(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let Some(sandbox) = patient.manager.sandbox(SERVICE) else { return Vec::new() };
    let systemctl = patient.systemctl();
    let mut found = Vec::new();
    for method in patient.settings.iter().flat_map(|settings| settings.methods.values()) {
        for setting in &method.config {
            let path = path_of(&setting.value);
            let Some((path, folder)) = path.and_then(|path| Some((path, hiding(&sandbox, path)?))) else { continue };
            let hint = if HOMES.contains(&folder.as_str()) {
                format!(
                    "put it below /usr/local or /etc/sysalert; or `{systemctl} edit {SERVICE}`: [Service], ProtectHome=read-only"
                )
            } else {
                "put it below /usr/local, /etc/sysalert or /var/log/sysalert".to_owned()
            };
            let text = format!(
                "{}: `{}` of [method.{}] names {path}, and {SERVICE} does not see {folder}",
                setting.origin, setting.key, method.name
            );
            found.push(finding(text, hint));
        }
    }
    found
}

/// The file that a value names: a program with its arguments, a file, or where a secret is kept.
fn path_of(value: &Value) -> Option<&str> {
    let text = match value {
        Value::String(text) => text,
        Value::Array(list) => list.first()?.as_str()?,
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
            (json!(["/home/me/notify", "-q"]), "yes", Some("/home")),
            (json!(["/home/me/notify", "-q"]), "read-only", None),
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
