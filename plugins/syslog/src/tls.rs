//! Syslog over TLS (RFC 5425): one connection, the frames, the farewell.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, Stream};
use sysalert_abi::Answer;

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
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Answer::Refused(format!("TLS cannot be used: {error}")))?
        .with_root_certificates(trusted(settings.ca.as_deref())?)
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| Answer::Refused(format!("no encrypted connection to {target} can be made: {error}")))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).map_err(|error| not_encrypted(&target, &error))?;
    }
    let mut stream = Stream::new(&mut connection, &mut tcp);
    stream.write_all(framed).and_then(|()| stream.flush()).map_err(|error| told(&target, &error))?;
    connection.send_close_notify();
    while connection.wants_write() {
        connection.write_tls(&mut tcp).map_err(|error| lost(&target, &error))?;
    }
    tcp.shutdown(Shutdown::Write).map_err(|error| lost(&target, &error))?;
    match until_closed(&mut Stream::new(&mut connection, &mut tcp)) {
        // Many servers close without a farewell of their own; nothing was to come from them.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(told(&target, &error)),
        Ok(()) => Ok(()),
    }
}

fn trusted(ca: Option<&Path>) -> Result<RootCertStore, Answer> {
    let mut store = RootCertStore::empty();
    let Some(path) = ca else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if store.is_empty() {
            return Err(Answer::Refused("this system trusts no authority: install ca-certificates, or set `ca`".into()));
        }
        return Ok(store);
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        Answer::Retry(format!("`ca`: no certificate can be read from {}: {error}", path.display()), None)
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        store.add(certificate.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
    }
    if store.is_empty() { Err(unreadable(&"it has none")) } else { Ok(store) }
}

/// The handshake did not end well: that is refused where only somebody's change helps.
fn not_encrypted(target: &str, error: &io::Error) -> Answer {
    let advice = match fault(error) {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is of no authority that is trusted here: set `ca`, or install that authority on this system"
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "its certificate is for another name: set `host` to the name in it",
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS here: check port and transport",
        _ => return told(target, error),
    };
    Answer::Refused(format!("{target} was not trusted: {advice}"))
}

/// An error of TLS, or of the connection below it.
fn told(target: &str, error: &io::Error) -> Answer {
    match fault(error) {
        Some(fault) => Answer::Retry(format!("{target}: TLS failed: {fault}"), None),
        None => lost(target, error),
    }
}

fn fault(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}
