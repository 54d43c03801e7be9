//! Secrets: read without being shown, kept as credentials of dispatch; a user's, in files that nobody else may read.

use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::{Draft, Whose};
use crate::error::{Error, Result};
use crate::host::dropins::{DropIns, Scope};
use crate::host::manager::ServiceManager;
use crate::host::wake::DISPATCH;
use crate::host::{files, secret};

/// systemd reads what nobody but root may see from here (systemd.exec(5)).
const CREDENTIALS: &str = "/etc/credstore";
/// systemd may be busy.
const PATIENCE: Duration = Duration::from_secs(90);
/// No secret is longer.
const LONGEST: u64 = 64 * 1024;

/// A secret from a file, or from standard input.
pub(super) fn read(key: &str, place: &str) -> Result<String> {
    let text = if place == "-" {
        let mut text = String::new();
        let read = io::stdin().take(LONGEST).read_to_string(&mut text);
        read.map_err(|error| Error::failure(format!("{key} cannot be read from standard input: {error}")))?;
        text.trim_end_matches(['\n', '\r']).to_owned()
    } else {
        secret::read(key, Path::new(place)).map_err(Error::failure)?
    };
    if text.is_empty() {
        return Err(Error::usage(format!("{key}: there is no secret in {place}")));
    }
    Ok(text)
}

/// Keeps the new secrets, and writes into the draft where they are.
pub(super) fn store(draft: &mut Draft, whose: &Whose) -> Result<()> {
    for (key, text) in std::mem::take(&mut draft.secrets) {
        let path = file(&draft.name, &key, whose);
        let folder = path.parent().unwrap_or(Path::new("/"));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| Error::file("make", folder, &error))?;
        files::place(&path, &format!("{text}\n"), 0o600, None).map_err(|error| Error::file("write", &path, &error))?;
        let place = if whose.is_users { json!({ "file": path }) } else { json!({ "credential": credential(&draft.name, &key) }) };
        draft.values.insert(key, place);
    }
    Ok(())
}

/// Takes the secrets of a method away that setup stores.
pub(super) fn remove(method: &str, keys: &[super::key::Key], whose: &Whose) -> Result<()> {
    for key in keys.iter().filter(|key| key.kind == "secret") {
        super::file::remove(&file(method, &key.name, whose))?;
    }
    Ok(())
}

fn file(method: &str, key: &str, whose: &Whose) -> PathBuf {
    if whose.is_users {
        whose.folder.join(format!("{method}.{key}"))
    } else {
        Path::new(CREDENTIALS).join(format!("sysalert-{method}.{key}"))
    }
}

fn credential(method: &str, key: &str) -> String {
    format!("{method}.{key}")
}

/// Lets systemd hand the credentials to dispatch.
pub(super) fn hand_over(draft: &Draft, whose: &Whose) -> Result<()> {
    if whose.is_users {
        return Ok(());
    }
    let name = format!("50-method-{}.conf", draft.name);
    let mut text = String::new();
    for key in draft
        .values
        .iter()
        .filter(|(key, value)| secret::place(value) == Some(("credential", &credential(&draft.name, key))))
        .map(|(key, _)| key)
    {
        let (id, path) = (credential(&draft.name, key), file(&draft.name, key, whose));
        // without the second line systemd would not start dispatch at all when the file is gone
        text += &format!("LoadCredential={id}:{}\nSetCredential={id}:missing\n", path.display());
    }
    let mut drop_ins = DropIns::open(Scope::System.folder()?)?;
    if text.is_empty() {
        drop_ins.remove(DISPATCH, &name)?;
        drop_ins.remove_folder(DISPATCH)?;
    } else {
        drop_ins.write(
            DISPATCH,
            &name,
            &format!("# Made by `sysalert setup`: the secrets of [method.{}].\n[Service]\n{text}", draft.name),
        )?;
    }
    ServiceManager::new(false, PATIENCE)
        .reload()
        .map_err(|why| Error::failure(format!("systemd has not read what was written ({why})")).hint("systemctl daemon-reload"))
}
