//! Text that others wrote, made safe for a Message-ID or for a sentence of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::settings::Login;

/// `host` as a mail domain, whatever it holds: letters, digits, hyphens and dots, no empty label, "localhost" if nothing
/// is left. A label has at most 63 characters, the whole at most 200 (RFC 1035 allows 253; a Message-ID needs some too).
pub(crate) fn domain(host: &str) -> String {
    let plain: String = host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let mut domain = String::new();
    for label in plain.split('.') {
        let label = label.trim_matches('-');
        let label = label[..label.len().min(63)].trim_end_matches('-');
        if label.is_empty() || domain.len() + label.len() > 200 {
            continue;
        }
        if !domain.is_empty() {
            domain.push('.');
        }
        domain.push_str(label);
    }
    if domain.is_empty() { "localhost".into() } else { domain }
}

/// `key` as the left side of a Message-ID: what RFC 5322 calls a dot-atom, made of the key's first 128 characters.
pub(crate) fn atom(key: &str) -> String {
    let plain: String =
        key.chars().take(128).map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    // A dot stands between two others.
    plain.split('.').map(|part| if part.is_empty() { "-" } else { part }).collect::<Vec<_>>().join(".")
}

/// `text` without the password: a server may echo what it was sent, as it stands or in the encodings of AUTH.
pub(crate) fn redact(text: String, login: Option<&Login>) -> String {
    let Some(Login { username, password }) = login.filter(|login| !login.password.is_empty()) else { return text };
    let plain = STANDARD.encode(format!("\0{username}\0{password}"));
    [plain, STANDARD.encode(password), password.clone()].iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_gives_a_domain() {
        let long = "a".repeat(70);
        let many = ["label"; 60].join(".");
        let rows = [
            ("web1.example.org", "web1.example.org"),
            ("web1", "web1"),
            ("", "localhost"),
            ("-..-", "localhost"),
            ("büro", "b-ro"),
            ("a b>\r\nX: y@z", "a-b---X--y-z"),
            ("a..b.", "a.b"),
            (&long, &long[..63]),
            (&many, &many[..197]),
        ];
        for (host, expected) in rows {
            assert_eq!(domain(host), expected);
        }
    }

    #[test]
    fn any_key_gives_an_atom() {
        assert_eq!(atom("17.mail_a-9"), "17.mail_a-9");
        assert_eq!(atom("1@2>\r\nB: c"), "1-2---B--c");
        assert_eq!(atom("..a.."), "-.-.a.-.-");
        assert_eq!(atom(&"k".repeat(500)).len(), 128);
        assert_eq!(atom(""), "-");
    }

    #[test]
    fn an_echoed_login_is_cut_out() {
        let login = Login { username: "jo".into(), password: "hunter2".into() };
        let echo = "hunter2 in AGpvAGh1bnRlcjI= and aHVudGVyMg==";
        assert_eq!(redact(echo.into(), Some(&login)), "*** in *** and ***");
        assert_eq!(redact(echo.into(), None), echo);
        let empty = Login { username: "jo".into(), password: String::new() };
        assert_eq!(redact(echo.into(), Some(&empty)), echo);
    }
}
