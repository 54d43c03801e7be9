//! A call of one's own: any address, any body, signed if wanted.

use ring::hmac;
use sysalert_abi::{Answer, Request};
use sysalert_http::{Call, Url};

use crate::body::render;
use crate::settings::Section;
use crate::words::{hex, id};

/// The header of the signature: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
const SIGNATURE: &str = "X-Hub-Signature-256";

/// The call that the section describes. With a body that does not fit this message, as it is usually; then why.
///
/// # Errors
/// [`Answer::Refused`] with a sentence about a key.
pub(crate) fn call(section: &Section, url: Url, request: &Request) -> Result<(Call, Option<String>), Answer> {
    let format = section.content_type.unwrap_or_default();
    let unusable = |why| format!("`body` cannot be used: {why}; mend it in the method's section");
    let (body, note) = match render(section.body.as_deref(), format, request) {
        Ok(body) => (body, None),
        Err(why) => (render(None, format, request).map_err(|why| Answer::Refused(unusable(why)))?, Some(unusable(why))),
    };
    let signature = section.hmac_secret.as_deref().map(|secret| sign(secret, &body));
    // who knows the header drops a second copy:
    // https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/, a string of RFC 9651
    let call = Call::new(section.method(), url).body(format.content_type(), body);
    let call = call.header("Idempotency-Key", &format!("\"{}\"", id(request)))?;
    let call = match signature {
        Some(signature) => call.header(section.hmac_header.as_deref().unwrap_or(SIGNATURE), &signature)?,
        None => call,
    };
    Ok((call, note))
}

/// "sha256=" and the HMAC of the body, as GitHub's page above has it.
fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex(hmac::sign(&key, body).as_ref()))
}
