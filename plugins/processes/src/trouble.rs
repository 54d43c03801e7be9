//! What went wrong, in words for people: the server's, without control characters and without the password.

use std::io::ErrorKind;

use mysql::{DriverError, Error};
use mysql_common::proto::codec::error::PacketCodecError;
use sysalert_abi::one_line;

use crate::settings::Database;

/// A server's own words are shown with at most this many characters.
const DETAIL: usize = 300;

/// What is wrong, and what to do about it.
pub(crate) struct Trouble {
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Trouble {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Trouble {
        Trouble { what: what.into(), hint: hint.into() }
    }

    /// What this error means.
    pub(crate) fn of(error: &Error, database: &Database) -> Trouble {
        let server = match &database.socket {
            Some(socket) => socket.clone(),
            None => format!("{}:{}", database.host, database.port),
        };
        let words = |text: &str| {
            let text = match database.password.as_deref().filter(|password| !password.is_empty()) {
                Some(password) => text.replace(password, "***"),
                None => text.to_owned(),
            };
            one_line(&text, DETAIL)
        };
        let late = || {
            Trouble::new(
                format!("{server} did not answer within 5 s"),
                "look at the database's server: it hangs, or is overloaded",
            )
        };
        let unreachable = |why: &str| {
            Trouble::new(
                format!("{server} cannot be reached: {}", words(why)),
                "start the database's server, or correct `host`, `port` or `socket` in [processes]",
            )
        };
        let untrusted = |why: &str| {
            Trouble::new(
                format!("no encrypted connection to {server}: {}", words(why)),
                "set `ca` in [processes] to the authority of its certificate, and `host` to the name in it",
            )
        };
        if let Some(error) = of_connection(error) {
            return match error.kind() {
                ErrorKind::TimedOut | ErrorKind::WouldBlock => late(),
                // as rustls reports what it does not accept
                ErrorKind::InvalidData => untrusted(&error.to_string()),
                _ => unreachable(&error.to_string()),
            };
        }
        match error {
            Error::DriverError(DriverError::ConnectTimeout | DriverError::Timeout) => late(),
            Error::DriverError(DriverError::CouldNotConnect(Some((_, why, kind)))) => match kind {
                ErrorKind::TimedOut | ErrorKind::WouldBlock => late(),
                _ => unreachable(why),
            },
            Error::DriverError(DriverError::TlsNotSupported) => Trouble::new(
                format!("{server} does not speak TLS"),
                "let the server do so; with `tls = \"none\"` in [processes] anybody on the way reads along",
            ),
            Error::TlsError(error) => untrusted(&error.to_string()),
            Error::MySqlError(error) => {
                let user = &database.user;
                let hint = match error.code {
                    1045 | 1044 | 1698 => format!(
                        "check `user` and `password` in [processes], and what the account {user} may; a server that wants TLS says \
                         the same to who has none"
                    ),
                    1049 => "correct `database` in [processes], or make it".to_owned(),
                    1054 | 1146 => "correct the names of tables and columns in [processes]".to_owned(),
                    1142 | 1143 | 1227 | 1290 | 1836 => {
                        format!(
                            "grant {user} SELECT on both tables and UPDATE on the alarms, or set `read_only = true` in [processes]"
                        )
                    }
                    _ => "the database's own log tells more".to_owned(),
                };
                Trouble::new(format!("the server says: {} (error {})", words(&error.message), error.code), hint)
            }
            other => {
                Trouble::new(format!("no talk with {server}: {}", words(&other.to_string())), "check that it is MySQL or MariaDB")
            }
        }
    }
}

/// What the connection met, wherever the client keeps it.
pub(crate) fn of_connection(error: &Error) -> Option<&std::io::Error> {
    match error {
        Error::IoError(error) | Error::CodecError(PacketCodecError::Io(error)) => Some(error),
        _ => None,
    }
}
