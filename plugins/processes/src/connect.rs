//! One connection: within its time, encrypted as the settings say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mysql::{Conn, DriverError, Error, OptsBuilder, SslOpts};

use crate::settings::{Database, Tls};
use crate::trouble::{Trouble, of_connection};

/// To connect, and for each answer of the server.
const LIMIT: Duration = Duration::from_secs(5);
/// A server that is just restarting takes a connection a moment later.
const TRIES: usize = 2;
const PAUSE: Duration = Duration::from_millis(500);
/// No packet of the server is longer: a row is a number, a name that the server is asked to cut, and a flag.
const LONGEST_ROW: usize = 1 << 16;
/// Where systems keep what they trust.
const SYSTEMS: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Connects.
pub(crate) fn open(database: &Database) -> Result<Conn, Trouble> {
    let mut tried = 1;
    loop {
        match encrypted(database) {
            Ok(connection) => return Ok(connection),
            Err(error) if passes(&error) && tried < TRIES => {
                tried += 1;
                pause();
            }
            Err(error) => return Err(Trouble::of(&error, database)),
        }
    }
}

fn encrypted(database: &Database) -> Result<Conn, Error> {
    if database.tls == Tls::None || database.socket.is_some() {
        return Conn::new(options(database, None));
    }
    let tls = match database.tls {
        // nobody vouches for the server, but nobody reads along
        Tls::Preferred if database.ca.is_none() => {
            SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)
        }
        _ => SslOpts::default().with_root_cert_path(database.ca.clone().or_else(systems)),
    };
    match Conn::new(options(database, Some(tls))) {
        Err(Error::DriverError(DriverError::TlsNotSupported)) if database.tls == Tls::Preferred => {
            Conn::new(options(database, None))
        }
        made => made,
    }
}

fn options(database: &Database, tls: Option<SslOpts>) -> OptsBuilder {
    let place = OptsBuilder::new();
    let place = match &database.socket {
        Some(socket) => place.socket(Some(socket.as_str())),
        None => place.ip_or_hostname(Some(database.host.as_str())).tcp_port(database.port).tcp_connect_timeout(Some(LIMIT)),
    };
    place
        // where the settings say, and nowhere else
        .prefer_socket(false)
        .user(Some(database.user.as_str()))
        .pass(database.password.as_deref())
        .db_name(Some(database.database.as_str()))
        .read_timeout(Some(LIMIT))
        .write_timeout(Some(LIMIT))
        .max_allowed_packet(Some(LONGEST_ROW))
        .ssl_opts(tls)
}

fn systems() -> Option<PathBuf> {
    SYSTEMS.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned)
}

/// Whether another try a moment later may do.
fn passes(error: &Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    let kinds = [BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof];
    match error {
        Error::DriverError(DriverError::CouldNotConnect(Some((_, _, kind)))) => kinds.contains(kind),
        error => of_connection(error).is_some_and(|error| kinds.contains(&error.kind())),
    }
}

#[allow(clippy::disallowed_methods, reason = "a plugin is a process of its own, without sysalert's host module")]
fn pause() {
    std::thread::sleep(PAUSE);
}
