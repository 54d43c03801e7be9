//! Secrets: read where they are kept, at the moment they are needed.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::libc::{O_NOCTTY, O_NONBLOCK};
use serde_json::{Map, Value};

use super::{env, mounts};

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
pub use sysalert_abi::ELSEWHERE;

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

/// A file that does not answer within this time is none: a network mount may hang.
pub const LIMIT: Duration = Duration::from_secs(3);
/// So many bytes a file may have.
const LONGEST: u64 = 1 << 20;

/// The text of a file that the configuration names for this key.
///
/// # Errors
/// A sentence about who must do what.
pub fn read(key: &str, path: &Path) -> Result<String, String> {
    let file = path.to_owned();
    let found = mounts::collected(LIMIT, move |found| found(text(&file)));
    let hangs = || Err(format!("it does not answer within {} s: what is mounted there hangs", LIMIT.as_secs()));
    let text = found.list.into_iter().next().unwrap_or_else(hangs);
    text.map_err(|why| format!("`{key}` cannot be read from {}: {why}", path.display()))
}

fn text(path: &Path) -> Result<String, String> {
    let failed = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => ": chown root:sysalert and chmod 0640 it; sysalert-dispatch.service sees no home",
            _ => "",
        };
        format!("{error}{advice}")
    };
    // NONBLOCK: opening a FIFO would wait for a writer
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(format!("it has more than {} MiB, which no secret and no template has", LONGEST >> 20));
    }
    // an editor ends the last line
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_if_it_is_one_of_a_usual_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("token"), "s3cret\r\n\n").unwrap();
        assert_eq!(read("token", &path("token")), Ok("s3cret".to_owned()));
        std::fs::write(path("empty"), "").unwrap();
        assert_eq!(read("token", &path("empty")), Ok(String::new()));
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(path("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
        for (name, why) in [
            ("fifo", "it is not a regular file"),
            (".", "it is not a regular file"),
            ("large", "it has more than 1 MiB, which no secret and no template has"),
            ("none", "No such file or directory (os error 2)"),
        ] {
            let expected = format!("`token` cannot be read from {}: {why}", path(name).display());
            assert_eq!(read("token", &path(name)), Err(expected));
        }
    }
}
