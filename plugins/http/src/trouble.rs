//! Why there is no answer, as a sentence that says who must do what.

use std::error::Error as _;
use std::io;

use rustls::CertificateError;
use sysalert_abi::Answer;

use crate::{proxy, words};

/// What this error means on the way to `server`.
pub(crate) fn of(error: &reqwest::Error, server: &str, secrets: &[String]) -> Answer {
    let later = |sentence: String| Answer::Retry(sentence, None);
    if let Some(tls) = causes(error).find_map(tls) {
        return handshake(tls, server);
    }
    if error.is_builder() {
        return Answer::Refused(format!("no call to {server} can be made ({})", words::shown(&cause(error), secrets)));
    }
    if error.is_dns() {
        return later(format!("{server}: the name cannot be resolved{} ({})", via(), words::shown(&cause(error), secrets)));
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => later(format!("{server} did not answer in time while connecting{}", via())),
        (true, false) => later(format!("{server} cannot be reached{}: {}", via(), words::shown(&cause(error), secrets))),
        (false, true) => later(format!("{server} did not answer in time; it may have taken the message")),
        (false, false) => {
            let what = words::shown(&cause(error), secrets);
            later(format!("{server} cut the connection before it answered ({what}); it may have taken the message"))
        }
    }
}

/// Points to the proxy, which may be the one that failed.
fn via() -> &'static str {
    if proxy::is_named() { " (the environment names a proxy: check it, too)" } else { "" }
}

/// The first cause in its own words: the others only say where it was met, and reqwest's name the URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "no reason is known".into(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// The TLS error that this one is or holds: io::Error does not tell of its inner one by `source`.
fn tls<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    error.downcast_ref().or_else(|| tls(error.downcast_ref::<io::Error>()?.get_ref()?))
}

fn handshake(error: &rustls::Error, server: &str) -> Answer {
    let detail = words::shown(&error.to_string(), &[]);
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
        ) => Answer::Refused(format!(
            "the certificate of {server} is for another name ({detail}): set the address to one with the name in it"
        )),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Answer::Refused(format!(
            "the certificate of {server} comes from an issuer that this machine does not trust ({detail}): install \
             ca-certificates, put the issuer's certificate into the system's store, or name its file in `ca`"
        )),
        rustls::Error::InvalidCertificate(_) => {
            Answer::Refused(format!("the certificate of {server} is not accepted ({detail}): ask its administrator"))
        }
        rustls::Error::InvalidMessage(_) => Answer::Refused(format!(
            "{server} does not speak TLS here ({detail}): check the port, or begin the address with http://"
        )),
        _ => Answer::Retry(format!("no encrypted connection to {server} ({detail})"), None),
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, InvalidMessage};

    use super::*;

    #[test]
    fn time_cures_an_old_certificate_and_nothing_else_does() {
        let certificate = rustls::Error::InvalidCertificate;
        let rows = [
            (certificate(CertificateError::Expired), true, "renew it, or set this machine's clock"),
            (certificate(CertificateError::NotValidYet), true, "renew it, or set this machine's clock"),
            (certificate(CertificateError::NotValidForName), false, "with the name in it"),
            (certificate(CertificateError::UnknownIssuer), false, "install ca-certificates"),
            (certificate(CertificateError::Revoked), false, "ask its administrator"),
            (rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType), false, "does not speak TLS here"),
            (rustls::Error::AlertReceived(AlertDescription::InternalError), true, "no encrypted connection to"),
        ];
        for (error, passes, expected) in rows {
            let answer = handshake(&error, "https://a.example");
            let (Answer::Sent(text) | Answer::Retry(text, _) | Answer::Refused(text)) = &answer;
            assert_eq!(matches!(answer, Answer::Retry(..)), passes, "{text}");
            assert!(text.contains("https://a.example") && text.contains(expected), "{text}");
        }
    }
}
