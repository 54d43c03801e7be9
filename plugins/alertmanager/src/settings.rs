//! The method's section: as written, then valid.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use sysalert_abi::{Answer, Request};
use sysalert_http::{Url, address, has_login, keep_secret};

/// The section as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    url: Vec<String>,
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
    ca: Option<PathBuf>,
    #[serde(default)]
    unencrypted: bool,
    #[serde(default)]
    labels: Vec<String>,
    resend: Option<String>,
    generator_url: Option<String>,
}

/// The section, valid. No Debug: it holds secrets.
pub(crate) struct Settings {
    /// Where alerts are posted; at least one.
    pub(crate) urls: Vec<Url>,
    /// A bearer token; a user name and its password stand in the addresses.
    pub(crate) token: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    /// Further labels, by name.
    pub(crate) labels: Vec<(String, String)>,
    /// An open alert is sent again at this pace.
    pub(crate) resend: Duration,
    pub(crate) generator_url: Option<String>,
}

const RESEND: Duration = Duration::from_secs(60);

impl Settings {
    /// Reads the request's section.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence that names the key.
    pub(crate) fn read(request: &Request) -> Result<Settings, Answer> {
        let section: Section = sysalert_abi::settings(request)?;
        let login = match (section.username, section.password, &section.token) {
            (None, None, _) => None,
            (Some(username), Some(password), None) => Some((username, password)),
            (_, _, Some(_)) => return Err(wrong("`token` stands instead of `username` and `password`, not beside them")),
            (Some(_), None, None) => return Err(wrong("`username` needs `password`")),
            (None, Some(_), None) => return Err(wrong("`password` needs `username`")),
        };
        let urls = section.url.iter().map(|url| alerts_below(url, login.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if urls.is_empty() {
            return Err(wrong("`url` has no address"));
        }
        for url in urls.iter().filter(|url| has_login(url) || section.token.is_some()) {
            keep_secret("url", url, section.unencrypted)?;
        }
        let resend = match &section.resend {
            None => RESEND,
            Some(text) => humantime::parse_duration(text).map_err(|_| wrong("`resend` must be a time such as \"1m\""))?,
        };
        if let Some(url) = &section.generator_url {
            address("generator_url", url)?;
        }
        Ok(Settings {
            urls,
            token: section.token,
            ca: section.ca,
            labels: section.labels.iter().map(|label| pair(label)).collect::<Result<_, _>>()?,
            resend: resend.max(Duration::from_secs(1)),
            generator_url: section.generator_url,
        })
    }
}

fn wrong(text: &str) -> Answer {
    Answer::Refused(format!("its configuration does not fit: {text}"))
}

/// Where the alerts go, from Alertmanager's own address, which may have a path (`--web.external-url`).
fn alerts_below(written: &str, login: Option<&(String, String)>) -> Result<Url, Answer> {
    let mut url = address("url", written)?;
    let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
    url.set_path(&path);
    if let Some((username, password)) = login {
        // as basic authentication; an address with a host can have both
        let _ = url.set_username(username);
        let _ = url.set_password(Some(password));
    }
    Ok(url)
}

/// "name=value".
fn pair(written: &str) -> Result<(String, String), Answer> {
    let Some((name, value)) = written.split_once('=') else {
        return Err(wrong("`labels` must each be NAME=VALUE"));
    };
    // https://prometheus.io/docs/concepts/data_model/: names that begin with __ are for internal use
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name = name.starts_with(starts) && name.chars().all(|c| starts(c) || c.is_ascii_digit());
    if !is_name || name.starts_with("__") {
        return Err(wrong("`labels`: a name has letters, digits and _, and begins with a letter"));
    }
    Ok((name.to_owned(), value.to_owned()))
}
