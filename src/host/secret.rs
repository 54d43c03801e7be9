//! Secrets: read where they are kept, at the moment they are needed.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use super::env;

/// The words that say where a secret is kept.
const PLACES: [&str; 3] = ["credential", "file", "env"];

/// Where a secret is kept: one of "credential", "file" and "env", and its name there. `None` for any other value.
pub fn place(value: &Value) -> Option<(&str, &str)> {
    let table = value.as_object().filter(|table| table.len() == 1)?;
    let (word, text) = table.iter().next()?;
    let text = text.as_str().filter(|text| !text.is_empty())?;
    PLACES.contains(&word.as_str()).then_some((word.as_str(), text))
}

/// Puts the secrets into a method's section: `{"credential": "smtp"}` becomes the text itself.
///
/// # Errors
/// A sentence that names the key and the place, never the secret.
pub fn resolve(config: Map<String, Value>) -> Result<Map<String, Value>, String> {
    config.into_iter().map(|(key, value)| Ok((key.clone(), resolved(&key, value)?))).collect()
}

/// As [`resolve`] for the secrets that are kept in files. Credentials and the environment are there for the unit alone: in
/// their places stands [`ELSEWHERE`].
///
/// # Errors
/// As [`resolve`].
pub fn resolve_files(config: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let at_hand = |key: &str, value| match place(&value) {
        Some(("credential" | "env", _)) => Ok(Value::from(ELSEWHERE)),
        _ => resolved(key, value),
    };
    config.into_iter().map(|(key, value)| Ok((key.clone(), at_hand(&key, value)?))).collect()
}

/// Stands for a secret that is not at hand.
pub const ELSEWHERE: &str = "elsewhere";

fn resolved(key: &str, value: Value) -> Result<Value, String> {
    let Some((place, name)) = place(&value) else { return Ok(value) };
    let text = match place {
        "credential" => credential(key, name),
        "file" => read(key, Path::new(name)),
        _ => env::var(name).ok_or_else(|| {
            format!("`{key}` is to come from the variable {name}, which is not set: write it to /etc/sysalert/environment")
        }),
    }?;
    Ok(Value::String(text))
}

fn credential(key: &str, name: &str) -> Result<String, String> {
    let folder = env::folder("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        format!("`{key}` is to come from the credential {name}, but there is none: set LoadCredential={name}:/PATH in a drop-in of sysalert-dispatch.service")
    })?;
    if name.contains('/') {
        return Err(format!("`{key}`: a credential's name has no slash"));
    }
    read(key, &folder.join(name))
}

/// The text of a file that the configuration names for this key.
///
/// # Errors
/// A sentence about who must do what.
pub fn read(key: &str, path: &Path) -> Result<String, String> {
    match std::fs::read_to_string(path) {
        // an editor ends the last line
        Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
        Err(error) => {
            let advice = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    ": chown root:sysalert and chmod 0640 it; sysalert-dispatch.service sees no home"
                }
                _ => "",
            };
            Err(format!("`{key}` cannot be read from {}: {error}{advice}", path.display()))
        }
    }
}
