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
    match database.encryption() {
        Tls::None => Conn::new(options(database, None)),
        Tls::Required => {
            let tls = SslOpts::default().with_root_cert_path(database.ca.clone().or_else(systems));
            Conn::new(options(database, Some(tls)))
        }
        // nobody vouches for the server, but nobody reads along
        Tls::Preferred => {
            let tls = SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true);
            match Conn::new(options(database, Some(tls))) {
                Err(Error::DriverError(DriverError::TlsNotSupported)) => Conn::new(options(database, None)),
                made => made,
            }
        }
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;

    use super::*;

    /// What a server without TLS greets with, so that it gets a login.
    fn greeting() -> Vec<u8> {
        let mut words = b"\x0a5.7.0\0\x01\0\0\0saltsalt\0\x08\x82\x21\x02\0\x08\0\x15".to_vec();
        words.extend([0; 10]);
        words.extend(b"saltsaltsalt\0mysql_native_password\0");
        [&[u8::try_from(words.len()).unwrap(), 0, 0, 0], words.as_slice()].concat()
    }

    /// What a server that speaks no TLS hears, and what is said about it.
    fn heard(tls: &str, ca: Option<&str>) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let server = std::thread::spawn(move || {
            let mut heard = Vec::new();
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let mut stream = stream.unwrap();
                stream.write_all(&greeting()).unwrap();
                let mut said = [0; 1024];
                let length = stream.read(&mut said).unwrap_or_default();
                heard.extend_from_slice(&said[..length]);
            }
            String::from_utf8_lossy(&heard).into_owned()
        });
        let database = serde_json::from_value(json!({
            "host": "127.0.0.1", "port": place.port(), "user": "someone", "password": "p", "database": "d", "read_only": false,
            "status_table": "s", "process_table": "p", "id_column": "i", "name_column": "n", "alarm_column": "a",
            "sound_column": "q", "notes_column": "t", "host_column": "h", "tls": tls, "ca": ca,
        }));
        let why = open(&database.unwrap()).err().map(|trouble| trouble.what).unwrap_or_default();
        over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(place));
        (server.join().unwrap(), why)
    }

    #[test]
    fn who_names_an_authority_gives_no_login_to_a_server_without_tls() {
        for (tls, ca) in [("required", None), ("preferred", Some("/ca.pem")), ("required", Some("/ca.pem"))] {
            let (said, why) = heard(tls, ca);
            assert!(!said.contains("someone") && why.ends_with(" does not speak TLS"), "{tls} {ca:?}: {said}, {why}");
        }
        assert!(heard("preferred", None).0.contains("someone"));
    }
}
