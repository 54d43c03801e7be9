//! The file of a method: what setup writes, whether somebody has changed it since, and whether it is right.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::key::Key;
use super::{Draft, Whose};
use crate::cli::config::reference::comment;
use crate::cli::config::toml_of;
use crate::config::Document;
use crate::error::{Error, Result};
use crate::host::{again, files, secret};
use crate::settings::CATALOGUE;

/// Root writes it, and dispatch reads it as the group.
const GROUP: &str = "sysalert";

/// What there is.
pub(super) fn there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path, &error)),
    }
}

/// The whole file: what is set, and, as comments, what could be.
pub(super) fn text(draft: &Draft, keys: &[Key]) -> String {
    let mut text = comment(&format!(
        "Alerts by {}. Made by `sysalert setup`, which can be run again. It asks before it replaces what you changed here. `sysalert \
         config check` tells whether all is right.",
        draft.plugin
    ));
    text += &format!("[method.{}]\nplugin = {}\n", draft.name, toml_of(&draft.plugin.as_str().into()));
    for key in keys.iter().filter(|key| key.is_for(&draft.values) || draft.values.contains_key(&key.name)) {
        let line = match draft.values.get(&key.name) {
            Some(value) => setting(&key.name, value),
            None if key.default.is_null() => format!("#{} =\n", key.name),
            None => format!("#{}", setting(&key.name, &key.default)),
        };
        text += &format!("\n{}{line}", comment(&key.about));
    }
    text
}

fn setting(key: &str, value: &Value) -> String {
    match secret::place(value) {
        Some((place, name)) => format!("{key}.{place} = {}\n", toml_of(&name.into())),
        None => format!("{key} = {}\n", toml_of(value)),
    }
}

/// Whether this is what setup would write of the same settings: nobody has changed it.
pub(super) fn is_setups(there: &str, keys: &[Key]) -> bool {
    let Ok(document) = Document::read(&[("method.toml".into(), there.to_owned())], &CATALOGUE) else { return false };
    let Some((name, _)) = document.names("method").next() else { return false };
    let written = document.section("method", Some(name));
    let mut values: BTreeMap<String, Value> =
        written.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect();
    let Some(Value::String(plugin)) = values.remove("plugin") else { return false };
    let draft = Draft { name: name.to_owned(), plugin, values, secrets: BTreeMap::new(), channel: None };
    text(&draft, keys) == there
}

/// What is wrong with it, as `sysalert config check` says.
pub(super) fn complaint(path: &Path, text: &str, whose: &Whose) -> Result<Option<String>> {
    // no configuration yet: its ending is another one
    let draft = path.with_extension("new");
    write(&draft, text, whose)?;
    let said = match draft.to_str() {
        Some(shown) => again::ask(&whose.words(&["--config", shown, "config", "check"])).err(),
        None => None,
    };
    fs::remove_file(&draft).map_err(|error| Error::file("remove", &draft, &error))?;
    Ok(said.map(|said| said.replace(&draft.display().to_string(), &path.display().to_string())))
}

/// Takes it away; false where there is none.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file("remove", path, &error)),
    }
}

/// Writes it, and makes its folder.
pub(super) fn write(path: &Path, text: &str, whose: &Whose) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let (mode, group) = if whose.is_users { (0o600, None) } else { (0o640, Some(GROUP)) };
    fs::create_dir_all(folder).map_err(|error| Error::file("make", folder, &error))?;
    files::place(path, text, mode, group).map_err(|error| Error::file("write", path, &error))
}
