//! Whom a TLS connection trusts: the certificates of the system's store, as the method `email` does, or those of one file.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sysalert_abi::Answer;

/// The configuration. A system's store that is empty makes each certificate one of an unknown issuer, and that sentence
/// says what to install.
pub(crate) fn configuration(ca: Option<&Path>) -> Result<ClientConfig, Answer> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(match ca {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => read(path)?,
    });
    if let (Some(path), 0) = (ca, added) {
        return Err(Answer::Refused(format!(
            "`ca` names {}, in which there is no certificate: it must have one as PEM, which begins with BEGIN CERTIFICATE",
            path.display()
        )));
    }
    // given, not installed for the whole process: another library in it may have its own
    let configuration = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Answer::Refused(format!("no encrypted connection can be made: {error}")))?;
    Ok(configuration.with_root_certificates(roots).with_no_client_auth())
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Answer> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| {
        // it may be put there while alerts wait
        Answer::Retry(format!("`ca` names {shown}, which cannot be read: {error}; the user sysalert must be able to"), None)
    })?;
    Ok(CertificateDer::pem_slice_iter(&text).flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_no_authority() {
        let Err(Answer::Refused(text)) = configuration(Some(Path::new("/etc/hostname"))) else { panic!("taken") };
        assert!(text.starts_with("`ca` names /etc/hostname, in which there is no certificate"), "{text}");
        let Err(Answer::Retry(text, None)) = configuration(Some(Path::new("/nowhere/ca.pem"))) else { panic!("taken") };
        assert!(text.starts_with("`ca` names /nowhere/ca.pem, which cannot be read"), "{text}");
    }
}
