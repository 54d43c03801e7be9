//! The method's section: as written, then valid.

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use serde::Deserialize;
use sysalert_abi::{Answer, Request};

/// The section as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default)]
    transport: Transport,
    host: Option<String>,
    port: Option<NonZeroU16>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    facility: Facility,
    #[serde(default)]
    lines: bool,
    enterprise: Option<NonZeroU32>,
}

/// The way to the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// The machine's own socket.
    #[default]
    Local,
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    /// RFC 5426 (3.3) and RFC 5425 (4.1) register 514/udp and 6514/tcp. Syslog over plain TCP has no port of its own; 514 is the
    /// common practice that RFC 6587 (3.2) tells of, and the one in rsyslog's and syslog-ng's manuals.
    fn port(self) -> u16 {
        match self {
            Transport::Tls => 6514,
            _ => 514,
        }
    }
}

/// RFC 5424, table 1, by the names of syslog(3) and in the order of the numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Facility {
    Kern = 0,
    User,
    Mail,
    #[default]
    Daemon,
    Auth,
    Syslog,
    Lpr,
    News,
    Uucp,
    Cron,
    Authpriv,
    Ftp,
    Local0 = 16,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

/// IANA's number for examples (RFC 5612).
const ENTERPRISE: u32 = 32473;

/// The section, valid.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) transport: Transport,
    /// A name or an address, without brackets; empty for `Local`.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The file with the authorities to trust.
    pub(crate) ca: Option<PathBuf>,
    /// The files of this host's certificate and of its key.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
    pub(crate) facility: Facility,
    pub(crate) lines: bool,
    pub(crate) enterprise: u32,
}

impl Settings {
    /// Reads the request's section.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence that names the key.
    pub(crate) fn read(request: &Request) -> Result<Settings, Answer> {
        let section: Section = sysalert_abi::settings(request)?;
        let transport = section.transport;
        let host = match (transport, section.host) {
            (Transport::Local, None) if section.port.is_some() => return Err(refused("`port` needs `host`")),
            (Transport::Local, None) => String::new(),
            (Transport::Local, Some(_)) => {
                return Err(refused("`host` needs `transport`: \"tls\", \"tcp\" or \"udp\""));
            }
            (_, None) => return Err(refused("`transport` needs `host`, the log server")),
            (_, Some(host)) => bare(&host)?,
        };
        for (name, path) in [("ca", &section.ca), ("certificate", &section.certificate), ("key", &section.key)] {
            if path.is_some() && transport != Transport::Tls {
                return Err(refused(format_args!("`{name}` is for `transport = \"tls\"`")));
            }
            if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                return Err(refused(format_args!("`{name}` must be absolute: begin with /")));
            }
        }
        let own = match (section.certificate, section.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(refused("`certificate` needs `key`, the file of its private key")),
            (None, Some(_)) => return Err(refused("`key` needs `certificate`")),
        };
        Ok(Settings {
            transport,
            host,
            port: section.port.map_or(transport.port(), NonZeroU16::get),
            ca: section.ca,
            own,
            facility: section.facility,
            lines: section.lines,
            enterprise: section.enterprise.map_or(ENTERPRISE, NonZeroU32::get),
        })
    }

    /// "log.example.org:6514", as the administrator knows it.
    pub(crate) fn target(&self) -> String {
        match self.transport {
            Transport::Local => "/dev/log".to_owned(),
            _ if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

fn bare(written: &str) -> Result<String, Answer> {
    let bare = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(written);
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if bare.parse::<IpAddr>().is_ok() || is_name(bare) {
        return Ok(bare.to_owned());
    }
    Err(refused("`host` must be a name or an address alone; the port belongs into `port`"))
}

fn refused(text: impl fmt::Display) -> Answer {
    Answer::Refused(format!("its configuration does not fit: {text}"))
}
