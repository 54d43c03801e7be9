//! One call: what is asked of which address.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;
use sysalert_abi::Answer;

use crate::words;

/// The URL under `key` of the section, valid: http or https, with a host. It may hold a user name and a password.
///
/// # Errors
/// [`Answer::Refused`] with a sentence that names the key; it never shows the value, which may be a secret.
pub fn address(key: &str, written: &str) -> Result<Url, Answer> {
    let wrong = |what: &str| Answer::Refused(format!("its configuration does not fit: `{key}` {what}"));
    // The parser passes over what a copied line brings with it; a token with a blank inside is none.
    if written.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("has a blank or a control character"));
    }
    match Url::parse(written) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(wrong("must be a whole address that begins with https:// or http://")),
    }
}

/// A secret goes to another machine only encrypted, unless the section's key `unencrypted` allows it: the same rule as that of
/// the method `email`. `key` is where the address stands.
///
/// # Errors
/// [`Answer::Refused`] with a sentence that says what to change.
pub fn keep_secret(key: &str, url: &Url, unencrypted: bool) -> Result<(), Answer> {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback());
    if url.scheme() == "https" || is_here || unencrypted {
        return Ok(());
    }
    Err(Answer::Refused(format!(
        "its configuration does not fit: {} is another machine, and a secret goes there only encrypted: begin `{key}` with \
         https://, or set `unencrypted = true` if nobody can listen on the way",
        place(url)
    )))
}

/// Whether a login stands in the URL; a token may be one without a password.
pub fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// As much of a URL as may be shown: scheme, host and, if it is unusual, port.
pub fn place(url: &Url) -> String {
    // of a scheme without a host this is "null"
    url.origin().ascii_serialization()
}

/// One call. It is a value: the same one may be sent to several addresses with [`Call::to`].
#[derive(Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Vec<u8>,
    pub(crate) within: Option<Duration>,
    /// What must not be shown of an answer that echoes it.
    pub(crate) secrets: Vec<String>,
}

// By hand: URL, headers and body hold secrets.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {})", self.method, place(&self.url))
    }
}

impl Call {
    /// A call by this method, without a body.
    pub fn new(method: Method, url: Url) -> Call {
        let secrets = words::secrets_of(&url);
        Call { method, url, headers: Vec::new(), body: Vec::new(), within: None, secrets }
    }

    /// POST.
    pub fn post(url: Url) -> Call {
        Call::new(Method::POST, url)
    }

    /// The same call to another address.
    pub fn to(&self, url: Url) -> Call {
        let mut call = self.clone();
        call.secrets.extend(words::secrets_of(&url));
        call.url = url;
        call
    }

    /// With this body.
    pub fn body(mut self, content_type: &'static str, body: impl Into<Vec<u8>>) -> Call {
        self.body = body.into();
        self.put(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self
    }

    /// With this body, as JSON.
    pub fn json(self, body: &Value) -> Call {
        self.body("application/json", body.to_string())
    }

    /// With this header. Its value may be a secret: it is never shown.
    ///
    /// # Errors
    /// [`Answer::Refused`] with a sentence that names the header, when it is none.
    pub fn header(mut self, name: &str, value: &str) -> Result<Call, Answer> {
        let wrong = |what: &str| Answer::Refused(format!("its configuration does not fit: the header {what}"));
        let key: HeaderName = name.parse().map_err(|_| wrong("has a name with characters that no header's name has"))?;
        // as ISO 8859-1 many a server would read it wrong
        let mut worth = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| wrong(&format!("{key} has a value with a control character")))?;
        worth.set_sensitive(true);
        self.secrets.extend(words::secrets_in(value));
        self.put(key, worth);
        Ok(self)
    }

    /// Nothing of this secret is shown of an answer that echoes it. The URL's path, query and login and the longer values of
    /// headers are secrets anyway.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Call {
        self.secrets.push(secret.to_owned());
        self
    }

    /// It must end within this time, if the deadline does not come first: so that one dead address of several leaves some
    /// for the others.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Call {
        self.within = Some(time);
        self
    }

    fn put(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_whole_one() {
        for good in ["https://hooks.slack.com/services/T/B/x", "http://[::1]:9093", "https://me:hunter2@example.org/"] {
            assert!(address("url", good).is_ok(), "{good}");
        }
        for bad in
            ["", "hunter2.example.org/x", "ftp://hunter2/", "https://", "file:///hunter2", "https://a/ hunter2", "https://a\n"]
        {
            let Err(Answer::Refused(text)) = address("url", bad) else { panic!("{bad} was taken") };
            assert!(text.starts_with("its configuration does not fit: `url` ") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_secret_goes_elsewhere_only_encrypted() {
        let rows = [
            ("https://a.example/", true),
            ("http://localhost:8081", true),
            ("http://127.3.2.1/", true),
            ("http://[::1]:80/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://a.example/", false),
            ("http://127.0.0.1.a.example/", false),
            ("http://localhost.a.example/", false),
            ("http://localhost@a.example/", false),
            ("http://192.168.1.5/", false),
            ("http://[fe80::1]/", false),
            ("http://0.0.0.0/", false),
        ];
        for (written, goes) in rows {
            let url = address("url", written).expect("an address");
            let answer = keep_secret("url", &url, false);
            assert_eq!(answer.is_ok(), goes, "{written}");
            if let Err(Answer::Refused(text)) = answer {
                assert!(text.contains(&place(&url)) && text.contains("begin `url` with https://"), "{text}");
            }
            assert!(keep_secret("url", &url, true).is_ok());
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let url = address("url", "https://me:hunter2@example.org:8443/hunter2?hunter2").expect("an address");
        let call = Call::post(url.clone()).header("X-Token", "hunter2").expect("a header").json(&"hunter2".into());
        assert_eq!(format!("{call:?}"), "Call(POST https://example.org:8443)");
        assert_eq!(place(&url), "https://example.org:8443");
    }

    #[test]
    fn a_header_comes_once_and_cannot_end_its_line() {
        let call = Call::post(address("url", "https://a/").expect("an address")).json(&Value::Null);
        let call = call.header("content-type", "text/x").expect("a header");
        assert_eq!(call.headers.len(), 1);
        assert!(call.clone().header("X", "a\r\nY: b").is_err());
        assert!(call.header("X:", "a").is_err());
    }
}
