//! Credentials in URLs (RFC 3986, section 3.2.1) and in data source names.

use super::scan::{alnum, at, back, count, find as next, mixed, quote, run, space};
use super::{Span, value};

/// How far a password is followed that holds a `/` nobody escaped.
const FAR: usize = 256;

pub(super) fn find(line: &str, spans: &mut Vec<Span>) {
    let text = line.as_bytes();
    let mut from = 0;
    while let Some(found) = next(line, "://", from) {
        from = found + 3;
        if found > 0 && alnum(text[found - 1]) {
            spans.extend(userinfo(text, from));
        }
    }
    data_source(line, spans);
}

fn in_url(byte: u8) -> bool {
    !space(byte) && !quote(byte) && !matches!(byte, b'<' | b'>' | b'\\')
}

/// The password between `:` and the last `@`, or a user that is a token.
fn userinfo(text: &[u8], from: usize) -> Option<Span> {
    let end = run(text, from, usize::MAX, |byte| in_url(byte) && !matches!(byte, b'/' | b'?' | b'#'));
    let authority = &text[from..end];
    let colon = authority.iter().position(|byte| *byte == b':').map(|colon| from + colon);
    let hosted = authority.iter().rposition(|byte| *byte == b'@').map(|host| from + host);
    match (colon, hosted) {
        (Some(colon), Some(host)) if colon < host => password(text, colon + 1, host),
        (_, Some(host)) => is_token(&text[from..host]).then(|| Span::new(from, host, "token")),
        // what stands where a port would is no number: the password goes on behind a `/`, `?` or `#`
        (Some(colon), None) if at(text, from) != b'[' && end > colon + 1 => {
            if text[colon + 1..end].iter().all(u8::is_ascii_digit) {
                return None;
            }
            let far = run(text, end, FAR, in_url);
            let host = text[end..far].iter().rposition(|byte| *byte == b'@')?;
            password(text, colon + 1, end + host)
        }
        _ => None,
    }
}

fn password(text: &[u8], start: usize, end: usize) -> Option<Span> {
    (start < end && !value::is_placeholder(&text[start..end])).then(|| Span::new(start, end, "password"))
}

/// A user nobody chose: `https://3f2a...@git.example.org`. Names of people and projects are shorter or have no digits.
fn is_token(user: &[u8]) -> bool {
    user.len() >= 20 && user.iter().all(|byte| alnum(*byte) || *byte == b'_') && mixed(user)
}

/// `user:password@tcp(host:3306)/database`: <https://github.com/go-sql-driver/mysql#dsn-data-source-name>.
fn data_source(line: &str, spans: &mut Vec<Span>) {
    let text = line.as_bytes();
    for network in ["@tcp(", "@unix("] {
        let mut from = 0;
        while let Some(host) = next(line, network, from) {
            let start = back(text, host, FAR, in_url).max(from);
            count(host - start);
            if let Some(colon) = text[start..host].iter().position(|byte| *byte == b':') {
                // a character may have been halved by the limit, but the colon is one
                spans.extend(password(text, start + colon + 1, host));
            }
            from = host + network.len();
        }
    }
}
