//! The method's section: as written, then valid.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use sysalert_abi::{Answer, Request};
use sysalert_http::{Url, address, keep_secret};

/// The section as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    token: String,
    chat: String,
    topic: Option<u64>,
    #[serde(default)]
    silent: bool,
    api: Option<String>,
    ca: Option<PathBuf>,
    #[serde(default)]
    unencrypted: bool,
}

/// The section, valid. No Debug: it holds the token.
pub(crate) struct Settings {
    /// Where messages are posted; the token is in it.
    pub(crate) address: Url,
    pub(crate) token: String,
    /// A number, or "@NAME".
    pub(crate) chat: Value,
    pub(crate) topic: Option<u64>,
    pub(crate) silent: bool,
    pub(crate) ca: Option<PathBuf>,
}

impl Settings {
    /// Reads the request's section.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence that names the key.
    pub(crate) fn read(request: &Request) -> Result<Settings, Answer> {
        let section: Section = sysalert_abi::settings(request)?;
        let token = section.token.trim().to_owned();
        if !is_token(&token) {
            return Err(wrong("`token` must be as @BotFather gave it: a number, a colon, and letters"));
        }
        let chat = match (section.chat.trim().parse::<i64>(), section.chat.trim()) {
            (Ok(number), _) => Value::from(number),
            (Err(_), name) if name.starts_with('@') && name.len() > 1 => Value::from(name),
            _ => return Err(wrong("`chat` must be a chat's number, or a channel's @NAME")),
        };
        let mut address = address("api", section.api.as_deref().unwrap_or("https://api.telegram.org"))?;
        keep_secret("api", &address, section.unencrypted)?;
        let path = format!("{}/bot{token}/sendMessage", address.path().trim_end_matches('/'));
        address.set_path(&path);
        Ok(Settings { address, token, chat, topic: section.topic, silent: section.silent, ca: section.ca })
    }
}

fn wrong(text: &str) -> Answer {
    Answer::Refused(format!("its configuration does not fit: {text}"))
}

/// What a token may be, so that a slip becomes a sentence, and no other path of the server's.
fn is_token(text: &str) -> bool {
    text.split_once(':').is_some_and(|(number, rest)| {
        !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
            && !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
}
