//! What sysalert's alert methods over TLS share: whom a connection trusts, as whom it comes, and what it means when the
//! handshake fails. It is rustls as lettre has it, for the method `email`.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use sysalert_abi::{Answer, one_line};

/// rustls's own words are shown with at most this many characters.
const DETAIL: usize = 300;

/// The configuration. `ca`: a file of certificates (PEM) that are trusted instead of those of the system's store. `own`: this
/// side's certificate, with those that lead to its authority, and its key, for servers that ask.
///
/// A system's store that is empty makes each certificate one of an unknown issuer, and that sentence says what to install.
///
/// # Errors
/// The finished [`Answer`], when a file cannot be used.
pub fn configuration(ca: Option<&Path>, own: Option<(&Path, &Path)>) -> Result<ClientConfig, Answer> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(match ca {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => certificates("ca", path)?,
    });
    if let (Some(path), 0) = (ca, added) {
        return Err(without_certificate("ca", path));
    }
    let unusable = |error: rustls::Error| Answer::Refused(format!("no encrypted connection can be made: {error}"));
    // given, not installed for the whole process: another library in it may have its own
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?.with_root_certificates(roots);
    let Some((certificate, key)) = own else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates("certificate", certificate)?;
    if chain.is_empty() {
        return Err(without_certificate("certificate", certificate));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read("key", key)?).map_err(|_| {
        Answer::Refused(format!("`key` names {}, in which there is no private key as PEM without a password", key.display()))
    })?;
    builder.with_client_auth_cert(chain, secret).map_err(|error| {
        let error = one_line(&error.to_string(), DETAIL);
        Answer::Refused(format!(
            "`certificate` and `key` cannot be used ({error}): they must belong together, and the certificate be of version 3"
        ))
    })
}

fn certificates(name: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Answer> {
    Ok(CertificateDer::pem_slice_iter(&read(name, path)?).flatten().collect())
}

fn without_certificate(name: &str, path: &Path) -> Answer {
    Answer::Refused(format!(
        "`{name}` names {}, in which there is no certificate: it must have one as PEM, which begins with BEGIN CERTIFICATE",
        path.display()
    ))
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, Answer> {
    std::fs::read(path).map_err(|error| {
        // it may be put there while alerts wait
        let shown = path.display();
        Answer::Retry(format!("`{name}` names {shown}, which cannot be read: {error}; the user sysalert must be able to"), None)
    })
}

/// What the administrator can change where a server was not trusted.
#[derive(Debug, Clone, Copy)]
pub struct Advice {
    /// The certificate is for another name.
    pub name: &'static str,
    /// Its issuer is not known.
    pub issuer: &'static str,
    /// The other side does not speak TLS.
    pub plain: &'static str,
}

/// What it means that the handshake with `server` failed: what only somebody's change mends is refused.
pub fn handshake(error: &rustls::Error, server: &str, advice: &Advice) -> Answer {
    let detail = one_line(&error.to_string(), DETAIL);
    let Advice { name, issuer, plain } = advice;
    match error {
        // Time cures these: a machine without a clock of its own boots in the past.
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => Answer::Retry(
            format!("the certificate of {server} is not valid at this time ({detail}): renew it, or set this machine's clock"),
            None,
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Answer::Refused(format!("the certificate of {server} is for another name ({detail}): {name}")),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Answer::Refused(format!(
            "the certificate of {server} comes from an issuer that this machine does not trust ({detail}): {issuer}"
        )),
        rustls::Error::InvalidCertificate(_) => {
            Answer::Refused(format!("the certificate of {server} is not accepted ({detail}): ask its administrator"))
        }
        rustls::Error::InvalidMessage(_) => Answer::Refused(format!("{server} does not speak TLS here ({detail}): {plain}")),
        _ => Answer::Retry(format!("no encrypted connection to {server} ({detail})"), None),
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, InvalidMessage};

    use super::*;

    #[test]
    fn time_cures_an_old_certificate_and_nothing_else_does() {
        let advice = Advice { name: "name the one in it", issuer: "trust it", plain: "check the port" };
        let certificate = rustls::Error::InvalidCertificate;
        let rows = [
            (certificate(CertificateError::Expired), true, "renew it, or set this machine's clock"),
            (certificate(CertificateError::NotValidYet), true, "renew it, or set this machine's clock"),
            (certificate(CertificateError::NotValidForName), false, "name the one in it"),
            (certificate(CertificateError::UnknownIssuer), false, "trust it"),
            (certificate(CertificateError::Revoked), false, "ask its administrator"),
            (rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType), false, "check the port"),
            (rustls::Error::AlertReceived(AlertDescription::InternalError), true, "no encrypted connection to"),
        ];
        for (error, passes, expected) in rows {
            let answer = handshake(&error, "a.example:465", &advice);
            let (Answer::Sent(text) | Answer::Retry(text, _) | Answer::Refused(text)) = &answer;
            assert_eq!(matches!(answer, Answer::Retry(..)), passes, "{text}");
            assert!(text.contains("a.example:465") && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_no_authority() {
        let wrong = |ca: Option<&str>, own: Option<(&str, &str)>| {
            let own = own.map(|(certificate, key)| (Path::new(certificate), Path::new(key)));
            match configuration(ca.map(Path::new), own) {
                Err(Answer::Refused(text) | Answer::Retry(text, None)) => text,
                answer => panic!("{:?}", answer.err()),
            }
        };
        assert!(wrong(Some("/etc/hostname"), None).starts_with("`ca` names /etc/hostname, in which there is no certificate"));
        assert!(wrong(Some("/nowhere/ca.pem"), None).starts_with("`ca` names /nowhere/ca.pem, which cannot be read"));
        let own = ("/etc/hostname", "/etc/hostname");
        assert!(wrong(None, Some(own)).starts_with("`certificate` names /etc/hostname, in which there is no certificate"));
    }
}
