//! A server's words, made safe to show: they are hostile input, and may echo what they were sent.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use sysalert_abi::one_line;

/// A server's words are shown with at most this many characters.
const MOST: usize = 300;
/// What is shorter is no token, but may be a word of the server's sentence.
const SHORTEST: usize = 8;

/// `said` on one line, without these secrets, cut.
pub(crate) fn shown(said: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).filter(|secret| !secret.trim().is_empty()).collect();
    // the longest first: the rest of one that holds another must not be left over
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let redact = |text: String| secrets.iter().fold(text, |text, secret| text.replace(secret, "***"));
    // Twice, as it stands and without control characters; cut last, since half a secret must not be left over.
    one_line(&redact(one_line(&redact(said.to_owned()), usize::MAX)), MOST)
}

/// What of a header's value may be a secret: "Bearer TOKEN", and the token.
pub(crate) fn secrets_in(value: &str) -> impl Iterator<Item = String> {
    let parts = value.split_whitespace().chain([value]);
    parts.filter(|part| part.len() >= SHORTEST).map(str::to_owned)
}

/// What of a URL may be a secret: its login, its path and its query, whole and in their parts, as written and decoded.
pub(crate) fn secrets_of(url: &Url) -> Vec<String> {
    let mut secrets = login(url);
    let rest = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    secrets.push(rest.clone());
    let parts = rest.split(['/', '?', '&', '=', ':']);
    let decoded = url.query_pairs().map(|(_, value)| value.into_owned());
    secrets.extend(parts.map(str::to_owned).chain(decoded).filter(|part| part.len() >= SHORTEST));
    secrets.retain(|secret| secret.len() > 1);
    secrets
}

/// A URL's login in each form in which a server may show it: the password as written and decoded, and what stands in the header
/// Authorization or Proxy-Authorization (RFC 7617, 2), with or without its padding. A token may be a login without a password.
pub(crate) fn login(url: &Url) -> Vec<String> {
    let written = match (url.username(), url.password()) {
        ("", None) => return Vec::new(),
        (name, None) => name,
        (_, Some(password)) => password,
    };
    let bytes = |written: &str| percent_decode_str(written).collect::<Vec<u8>>();
    let pair = [bytes(url.username()), bytes(url.password().unwrap_or_default())].join(&b':');
    let header = BASE64_STANDARD.encode(pair).trim_end_matches('=').to_owned();
    vec![header, written.to_owned(), String::from_utf8_lossy(&bytes(written)).into_owned()]
}

/// The logins of proxies, as the environment has these.
pub(crate) fn logins(proxies: impl Iterator<Item = String>) -> Vec<String> {
    // "proxy.example.org:3128" is taken, too
    let url = |text: String| Url::parse(&text).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{text}")).ok());
    proxies.filter_map(url).flat_map(|url| login(&url)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echoed_secret_is_cut_out() {
        let url: Url = "https://jo:hunter2@a.example/services/T00/hunter2hunter2?token=%68unter3hunter3".parse().expect("a URL");
        let mut secrets = secrets_of(&url);
        secrets.push("hunter4".into());
        secrets.push(String::new());
        for (said, expected) in [
            ("no_service", "no_service"),
            ("Cannot POST /services/T00/hunter2hunter2?token=%68unter3hunter3", "Cannot POST ***"),
            ("hunter2hunter2 and hunter3hunter3, hunter2 and hunter4", "*** and ***, *** and ***"),
            ("%68unter3hunter3 with hun\u{0}ter4\r\n", "*** with hun ter4"),
            ("hun\u{202e}ter4", "***"),
        ] {
            assert_eq!(shown(said, &secrets), expected);
        }
        let url: Url = "https://me%40web1:hunter2%3A%2Fx@a.example/".parse().expect("a URL");
        // base64 of "me@web1:hunter2:/x", of "hunter2hunter2:" and of "me:hunter2"
        for said in ["Authorization: Basic bWVAd2ViMTpodW50ZXIyOi94", "hunter2:/x", "hunter2%3A%2Fx"] {
            assert_eq!(shown(said, &secrets_of(&url)).rsplit_once("***").map(|(_, rest)| rest), Some(""), "{said}");
        }
        let token: Url = "https://hunter2hunter2@a.example/".parse().expect("a URL");
        assert_eq!(shown("Basic aHVudGVyMmh1bnRlcjI6, hunter2hunter2", &secrets_of(&token)), "Basic ***, ***");
        for proxy in ["http://me:hunter2@proxy:3128", "me:hunter2@proxy:3128", "me:hunter2@proxy"] {
            let secrets = logins([proxy.to_owned()].into_iter());
            assert_eq!(shown("407 Basic bWU6aHVudGVyMg== hunter2", &secrets), "407 Basic ***== ***", "{proxy}");
        }
        let long = format!("{}hunter4", "x".repeat(296));
        assert!(!shown(&long, &secrets).contains("hun"));
        assert_eq!(shown("a/b", &secrets_of(&"https://a.example/".parse().expect("a URL"))), "a/b");
    }
}
