//! Syslog over TLS (RFC 5425): one connection, the frames, the farewell.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, ClientConnection, Stream};
use sysalert_abi::Answer;
use sysalert_tls::{Advice, handshake};

use crate::send::{lost, until_closed};
use crate::settings::Settings;

/// Sends the frames over an encrypted connection, and waits until the server has read them.
///
/// # Errors
/// The answer when that did not work.
pub(crate) fn send(mut tcp: TcpStream, settings: &Settings, framed: &[u8]) -> Result<(), Answer> {
    let target = settings.target();
    let name = ServerName::try_from(settings.host.clone())
        .map_err(|_| Answer::Refused(format!("`host`: no certificate can be for {}", settings.host)))?;
    let config = configuration(settings)?;
    let mut connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| Answer::Refused(format!("no encrypted connection to {target} can be made: {error}")))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).map_err(|error| not_encrypted(&target, &error))?;
    }
    let mut stream = Stream::new(&mut connection, &mut tcp);
    stream.write_all(framed).and_then(|()| stream.flush()).map_err(|error| told(&target, &error))?;
    connection.send_close_notify();
    while connection.wants_write() {
        connection.write_tls(&mut tcp).map_err(|error| told(&target, &error))?;
    }
    tcp.shutdown(Shutdown::Write).map_err(|error| told(&target, &error))?;
    match until_closed(&mut Stream::new(&mut connection, &mut tcp)) {
        // Many servers close without a farewell of their own; nothing was to come from them.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(told(&target, &error)),
        Ok(()) => Ok(()),
    }
}

/// # Errors
/// The answer when a file cannot be used.
pub(crate) fn configuration(settings: &Settings) -> Result<ClientConfig, Answer> {
    let own = settings.own.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
    sysalert_tls::configuration(settings.ca.as_deref(), own)
}

const ADVICE: Advice = Advice {
    name: "set `host` to the name in it",
    issuer: "set `ca`, or install that authority on this system",
    plain: "check port and transport",
};

/// The handshake did not end well.
fn not_encrypted(target: &str, error: &io::Error) -> Answer {
    match fault(error) {
        Some(fault @ (rustls::Error::InvalidCertificate(_) | rustls::Error::InvalidMessage(_))) => {
            handshake(fault, target, &ADVICE)
        }
        _ => told(target, error),
    }
}

/// What a server says of a certificate that it does not like, or misses (RFC 8446, 6.2).
const OF_OWN: [AlertDescription; 7] = [
    AlertDescription::CertificateRequired,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
];

/// An error of TLS, or of the connection below it.
fn told(target: &str, error: &io::Error) -> Answer {
    match fault(error) {
        // in TLS 1.3 it looks at this side's certificate when this side's handshake is over
        Some(rustls::Error::AlertReceived(alert)) if OF_OWN.contains(alert) => Answer::Refused(format!(
            "{target} does not accept this host's certificate, or wants one ({alert:?}): set `certificate` and `key` to those \
             that its administrator gives you"
        )),
        Some(fault) => Answer::Retry(format!("{target}: TLS failed: {fault}"), None),
        // rsyslog says no more than this to whom it does not want
        None if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Answer::Retry(
            format!(
                "{target} cut the connection: if it wants a certificate of this host, set `certificate` and `key` to a valid one"
            ),
            None,
        ),
        None => lost(target, error),
    }
}

fn fault(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}
