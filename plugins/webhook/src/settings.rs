//! The method's section: as written, then valid.

use std::path::PathBuf;

use serde::Deserialize;
use sysalert_abi::{Answer, Request};
use sysalert_http::{Call, Method, Url, address, has_login, keep_secret};

use crate::body::Format;
use crate::preset::{PRESETS, Preset};

/// The section as written. `settings.json` says what each key is.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    preset: Option<String>,
    url: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) room: Option<String>,
    #[serde(default)]
    headers: Vec<String>,
    authorization: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    #[serde(default)]
    unencrypted: bool,
    method: Option<Verb>,
    pub(crate) content_type: Option<Format>,
    pub(crate) body: Option<String>,
    pub(crate) hmac_secret: Option<String>,
    pub(crate) hmac_header: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    Post,
    Put,
}

/// What is to be called, and how.
pub(crate) enum Kind {
    /// As a channel wants it.
    Preset(&'static Preset),
    /// As the section says.
    Own,
}

impl Section {
    /// Reads the request's section, and says what is to be called.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence that names the key.
    pub(crate) fn read(request: &Request) -> Result<(Section, Kind, Url), Answer> {
        let section: Section = sysalert_abi::settings(request)?;
        let kind = section.kind()?;
        let preset = match kind {
            Kind::Preset(preset) => Some(preset),
            Kind::Own => None,
        };
        let given = section.url.as_deref().or(preset.and_then(|preset| preset.url));
        let url = address("url", given.ok_or_else(|| refused("missing field `url`"))?)?;
        if preset.is_some_and(|preset| preset.secret_url) || has_login(&url) || section.has_secret() {
            keep_secret("url", &url, section.unencrypted)?;
        }
        Ok((section, kind, url))
    }

    fn kind(&self) -> Result<Kind, Answer> {
        let Some(name) = &self.preset else {
            return match self.foreign(&[]) {
                Some(key) => Err(refused(&format!("`{key}` is there for presets alone: name one in `preset`"))),
                None => Ok(Kind::Own),
            };
        };
        let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
            let names: Vec<String> = PRESETS.iter().map(|preset| format!("`{}`", preset.name)).collect();
            return Err(refused(&format!("`preset` must be one of {}", names.join(", "))));
        };
        if let Some(key) = preset.needs.iter().find(|key| !self.written().contains(key)) {
            return Err(refused(&format!("the preset {name} needs `{key}`")));
        }
        match self.foreign(&[preset.needs, preset.takes].concat()) {
            Some(key) => Err(refused(&format!("the preset {name} has no `{key}`"))),
            None => Ok(Kind::Preset(preset)),
        }
    }

    /// A key that is written and has no use: one that is none of a preset's, or one that a preset makes itself.
    fn foreign(&self, known: &[&str]) -> Option<&'static str> {
        const FOR_ALL: &[&str] = &["url", "headers", "authorization", "ca"];
        const OWN: &[&str] = &["method", "content_type", "body", "hmac_secret", "hmac_header"];
        let own = if self.preset.is_none() { OWN } else { &[] };
        self.written().into_iter().find(|key| !known.contains(key) && !FOR_ALL.contains(key) && !own.contains(key))
    }

    /// The keys that are written.
    fn written(&self) -> Vec<&'static str> {
        let all = [
            ("url", self.url.is_some()),
            ("token", self.token.is_some()),
            ("user", self.user.is_some()),
            ("device", self.device.is_some()),
            ("room", self.room.is_some()),
            ("method", self.method.is_some()),
            ("content_type", self.content_type.is_some()),
            ("body", self.body.is_some()),
            ("hmac_secret", self.hmac_secret.is_some()),
            ("hmac_header", self.hmac_header.is_some()),
        ];
        all.into_iter().filter_map(|(key, is_written)| is_written.then_some(key)).collect()
    }

    /// Whether a key's value that is a secret goes with the call. What signs the body stays here.
    fn has_secret(&self) -> bool {
        let is_authorization =
            |line: &String| line.split(':').next().unwrap_or_default().trim().eq_ignore_ascii_case("authorization");
        let keys = [&self.token, &self.user, &self.authorization];
        keys.iter().any(|key| key.is_some()) || self.headers.iter().any(is_authorization)
    }

    /// POST, or what `method` says.
    pub(crate) fn method(&self) -> Method {
        match self.method {
            Some(Verb::Put) => Method::PUT,
            Some(Verb::Post) | None => Method::POST,
        }
    }

    /// The call with the section's headers, which win over the preset's.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence about the header.
    pub(crate) fn with_headers(&self, call: Call) -> Result<Call, Answer> {
        let mut call = call;
        for line in &self.headers {
            let Some((name, value)) = line.split_once(':') else {
                return Err(refused("`headers` must be a list of lines such as \"X-Team: storage\""));
            };
            call = call.header(name.trim(), value.trim())?;
        }
        match &self.authorization {
            // "Bearer TOKEN", or a token alone; one that is short, too
            Some(value) => call.secret(value.rsplit(' ').next().unwrap_or_default()).header("Authorization", value),
            None => Ok(call),
        }
    }
}

/// A key's value that [`Preset::needs`] vouches for.
pub(crate) fn secret(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// The address of something below the one that is configured. Each part is one part, whatever it holds.
pub(crate) fn below(mut url: Url, path: &[&str]) -> Url {
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().extend(path);
    }
    url
}

fn refused(text: &str) -> Answer {
    Answer::Refused(format!("its configuration does not fit: {text}"))
}
