//! The method's section: as written, then valid.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use sysalert_abi::{Answer, Request};

/// The section as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    command: Vec<String>,
    #[serde(default)]
    input: Input,
    #[serde(default)]
    environment: Vec<String>,
    secret: Option<String>,
    #[serde(default)]
    to: Vec<String>,
}

/// What the program reads on its standard input.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Input {
    /// The request.
    #[default]
    Json,
    /// The message's text.
    Text,
}

/// The section, valid.
pub(crate) struct Settings {
    /// Absolute.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) input: Input,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) secret: Option<String>,
    pub(crate) to: Vec<String>,
}

impl Settings {
    /// Reads the request's section.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence that names the key, never a value: that may be a secret.
    pub(crate) fn read(request: &Request) -> Result<Settings, Answer> {
        let section: Section = sysalert_abi::settings(request)?;
        let mut words = section.command.into_iter();
        let program = words.next().ok_or_else(|| refused("`command` has no program"))?;
        let arguments: Vec<String> = words.collect();
        if !program.starts_with('/') {
            return Err(refused("`command` must begin with an absolute path, as in [\"/usr/local/bin/notify\", \"--quiet\"]"));
        }
        if program.chars().any(char::is_control) || arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(refused("`command` has a control character"));
        }
        let environment = section.environment.iter().map(|text| variable(text)).collect::<Result<_, _>>()?;
        if section.secret.as_ref().is_some_and(|secret| secret.contains('\0')) {
            return Err(refused("`secret` has a zero byte"));
        }
        let program = PathBuf::from(program);
        Ok(Settings { program, arguments, input: section.input, environment, secret: section.secret, to: section.to })
    }
}

fn variable(text: &str) -> Result<(String, String), Answer> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match text.split_once('=') {
        Some((name, value)) if is_name(name) && !value.contains('\0') => Ok((name.to_owned(), value.to_owned())),
        _ => Err(refused("each of `environment` must read NAME=value")),
    }
}

fn refused(text: impl fmt::Display) -> Answer {
    Answer::Refused(format!("its configuration does not fit: {text}"))
}
