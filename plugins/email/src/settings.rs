//! The method's section: as written, then valid.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use lettre::Address;
use lettre::message::Mailbox;
use serde::Deserialize;
use sysalert_abi::{Answer, Request, one_line};

use crate::text::domain;

/// The section as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    host: Option<String>,
    port: Option<NonZeroU16>,
    tls: Option<Tls>,
    username: Option<String>,
    password: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    /// Not at all.
    #[default]
    None,
    /// After a STARTTLS that the server must take.
    Starttls,
    /// From the first byte.
    Implicit,
}

impl Tls {
    /// The registered port for it (RFC 5321, RFC 6409, RFC 8314).
    fn port(self) -> u16 {
        match self {
            Tls::None => 25,
            Tls::Starttls => 587,
            Tls::Implicit => 465,
        }
    }
}

/// A user name and its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

// By hand, so that no password is ever printed.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?})", self.username)
    }
}

/// The section, valid.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Tls,
    pub(crate) login: Option<Login>,
    pub(crate) from: Mailbox,
    /// At least one.
    pub(crate) to: Vec<Mailbox>,
    /// This host's name as a mail domain: for EHLO and Message-ID.
    pub(crate) domain: String,
    /// The program that takes mail of this machine, if nothing of a server was set.
    pub(crate) sendmail: Option<PathBuf>,
}

/// Where every mail server installs it (Filesystem Hierarchy Standard 3.0, 4.10).
const SENDMAIL: &str = "/usr/sbin/sendmail";

impl Settings {
    /// Reads the request's section.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence that names the key.
    pub(crate) fn read(request: &Request) -> Result<Settings, Answer> {
        let section: Section = sysalert_abi::settings(request)?;
        let domain = domain(&request.host);
        let from = match section.from.as_deref() {
            Some(from) => mailbox("from", from)?,
            None => mailbox("from", &format!("sysalert@{domain}"))?,
        };
        let to = section.to.iter().map(|to| mailbox("to", to)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(refused("`to` has no address"));
        }
        let Section { host: server, port, tls, username, .. } = &section;
        let is_set = server.is_some() || port.is_some() || tls.is_some() || username.is_some();
        let tls = tls.unwrap_or_default();
        Ok(Settings {
            sendmail: (!is_set).then(|| SENDMAIL.into()),
            host: host(section.host.as_deref().unwrap_or("localhost"))?,
            port: section.port.map_or(tls.port(), NonZeroU16::get),
            tls,
            login: login(section.username, section.password)?,
            from,
            to,
            domain,
        })
    }

    /// "mail.example.org:587", as the administrator knows it.
    pub(crate) fn server(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }

    /// The recipients as the envelope wants them: each once.
    pub(crate) fn recipients(&self) -> Vec<Address> {
        let mut recipients: Vec<Address> = Vec::new();
        for to in &self.to {
            if !recipients.contains(&to.email) {
                recipients.push(to.email.clone());
            }
        }
        recipients
    }
}

fn refused(text: impl fmt::Display) -> Answer {
    Answer::Refused(format!("its configuration does not fit: {text}"))
}

fn host(written: &str) -> Result<String, Answer> {
    let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
    let name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if bare.parse::<IpAddr>().is_ok() || name(bare) {
        return Ok(bare.to_string());
    }
    Err(refused("`host` must be a name or an address alone; the port belongs into `port`"))
}

fn login(username: Option<String>, password: Option<String>) -> Result<Option<Login>, Answer> {
    match (username, password) {
        (None, None) => Ok(None),
        // PLAIN separates the two by a zero byte (RFC 4616).
        (Some(username), Some(password)) if !format!("{username}{password}").contains('\0') => {
            Ok(Some(Login { username, password }))
        }
        (Some(_), Some(_)) => Err(refused("`username` and `password` must not have a zero byte")),
        (Some(_), None) => Err(refused("`username` needs `password`")),
        (None, Some(_)) => Err(refused("`password` needs `username`")),
    }
}

fn mailbox(key: &str, written: &str) -> Result<Mailbox, Answer> {
    // Few servers take addresses beyond ASCII (SMTPUTF8), and those who do not would lose the alert.
    match written.trim().parse::<Mailbox>() {
        Ok(mailbox) if mailbox.email.to_string().is_ascii() => Ok(mailbox),
        Ok(_) => Err(refused(format!("`{key}`: {} must be ASCII; write its domain as xn--...", one_line(written, 100)))),
        Err(_) => Err(refused(format!("`{key}`: {} is not an address", one_line(written, 100)))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tests::request;

    fn read(config: Value) -> Result<Settings, Answer> {
        Settings::read(&request(config))
    }

    #[test]
    fn the_defaults_are_the_mail_server_of_this_machine() {
        let settings = read(json!({"to": ["ops@example.org"]})).expect("valid");
        assert_eq!(settings.server(), "localhost:25");
        assert_eq!((settings.tls, settings.login.is_none()), (Tls::None, true));
        assert_eq!(settings.from.to_string(), "sysalert@web1.example.org");
    }

    #[test]
    fn the_port_follows_tls_unless_it_is_given() {
        let rows = [("none", None, 25), ("starttls", None, 587), ("implicit", None, 465), ("implicit", Some(2525), 2525)];
        for (tls, port, expected) in rows {
            let mut config = json!({"host": "mail", "tls": tls, "to": ["a@b.org"]});
            if let Some(port) = port {
                config["port"] = json!(port);
            }
            assert_eq!(read(config).expect("valid").port, expected, "{tls}");
        }
    }

    #[test]
    fn an_address_of_the_sixth_version_stands_in_brackets() {
        let settings = read(json!({"host": "[::1]", "to": ["a@b.org"]})).expect("valid");
        assert_eq!((settings.host.as_str(), settings.server().as_str()), ("::1", "[::1]:25"));
    }

    #[test]
    fn a_wrong_section_is_refused_with_the_key() {
        let rows = [
            (json!({}), "missing field `to`"),
            (json!({"to": []}), "`to` has no address"),
            (json!({"to": "a@b.org"}), "`to` must be a sequence"),
            (json!({"to": ["a b"]}), "`to`: a b is not an address"),
            (json!({"to": ["a@b.org\r\nRCPT TO:<x@y>"]}), "`to`: a@b.org RCPT TO:<x@y> is not an address"),
            (json!({"to": ["a@bücher.example"]}), "`to`: a@bücher.example must be ASCII; write its domain as xn--..."),
            (json!({"to": ["a@b.org"], "from": "me"}), "`from`: me is not an address"),
            (json!({"to": ["a@b.org"], "host": "mail:587"}), "the port belongs into `port`"),
            (json!({"to": ["a@b.org"], "host": ""}), "`host` must be"),
            (json!({"to": ["a@b.org"], "port": 0}), "`port` must be a nonzero u16"),
            (json!({"to": ["a@b.org"], "tls": "ssl"}), "`tls` must be one of `none`, `starttls`, `implicit`"),
            (json!({"to": ["a@b.org"], "username": "u"}), "`username` needs `password`"),
            (json!({"to": ["a@b.org"], "password": "hunter2"}), "`password` needs `username`"),
            (json!({"to": ["a@b.org"], "username": "u", "password": "hunter2\0"}), "zero byte"),
            (json!({"to": ["a@b.org"], "hots": "x"}), "unknown field `hots`"),
        ];
        for (config, expected) in rows {
            let Err(Answer::Refused(text)) = read(config.clone()) else { panic!("{config} was taken") };
            assert!(text.contains(expected), "{config}: {text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_login_is_never_printed() {
        let config = json!({"to": ["a@b.org"], "username": "u", "password": "hunter2"});
        let printed = format!("{:?}", read(config).expect("valid"));
        assert!(printed.contains("Login(\"u\")") && !printed.contains("hunter2"), "{printed}");
    }
}
