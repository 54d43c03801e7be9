//! Secrets that a name announces: `password=`, `"token": "..."`, `X-Api-Key:`, `--password x`, `Authorization: Bearer x`.

use super::scan::{alnum, at, back, base64, decode, mixed, quote, run, space, word_starts};
use super::{Span, value};
use value::{Value, is_path, is_placeholder, is_plain, is_prose, is_random};

/// What a name announces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Chosen by people: short ones and words too.
    Password,
    /// Made by machines: long and random.
    Token,
    /// RFC 9110, section 11.6.2: a scheme and credentials.
    Authorization,
    /// RFC 6265, section 4.2: pairs.
    Cookie,
    /// RFC 6265, section 4.1: a pair and attributes.
    SetCookie,
    /// Base64 of `user:password`: npmrc(5) `_auth`, Docker's config.json `auth`.
    Auth,
    /// <https://learn.microsoft.com/azure/storage/common/storage-sas-overview>, and names of sessions in cookies.
    Long,
}

use Class::{Auth, Authorization, Cookie, Long, Password, SetCookie, Token};

/// How names end, in lower case and with `_` between words; a leading `_` means a word of its own. The first that fits counts.
#[rustfmt::skip]
const NAMES: &[(&str, Option<Class>)] = &[
    // not secrets: sudoers(5), places in lists
    ("nopasswd", None), ("nopassword", None), ("_no_password", None),
    ("_page_token", None), ("_next_token", None), ("_continue_token", None), ("_continuation_token", None),
    ("_sync_token", None), ("_resume_token", None), ("_cancellation_token", None), ("_fencing_token", None),
    ("_unexpected_token", None),
    // PGPASSWORD, MYSQL_PWD, REDISCLI_AUTH's requirepass, wpa_supplicant.conf(5)'s psk, slapd.conf(5)'s rootpw
    ("password", Some(Password)), ("passwd", Some(Password)), ("passphrase", Some(Password)), ("passcode", Some(Password)),
    ("passwort", Some(Password)), ("kennwort", Some(Password)), ("_pass", Some(Password)), ("_pwd", Some(Password)),
    ("_pw", Some(Password)), ("_psk", Some(Password)), ("sshpass", Some(Password)), ("requirepass", Some(Password)),
    ("masterauth", Some(Password)), ("rediscli_auth", Some(Password)), ("rootpw", Some(Password)), ("bindpw", Some(Password)),
    // OAuth 2.0 (RFC 6749), cloud vendors' settings, wg(8)'s PrivateKey and PresharedKey
    ("token", Some(Token)), ("secret", Some(Token)), ("api_key", Some(Token)), ("apikey", Some(Token)),
    ("access_key", Some(Token)), ("accesskey", Some(Token)), ("secret_key", Some(Token)), ("secretkey", Some(Token)),
    ("private_key", Some(Token)), ("privatekey", Some(Token)), ("preshared_key", Some(Token)), ("auth_key", Some(Token)),
    ("authkey", Some(Token)), ("account_key", Some(Token)), ("shared_key", Some(Token)), ("encryption_key", Some(Token)),
    ("signing_key", Some(Token)), ("master_key", Some(Token)), ("session_key", Some(Token)), ("licence_key", Some(Token)),
    ("license_key", Some(Token)), ("_key_data", Some(Token)), ("secret_key_base", Some(Token)),
    ("authorization", Some(Authorization)),
    ("_set_cookie", Some(SetCookie)), ("_cookie", Some(Cookie)),
    ("_auth", Some(Auth)),
    ("_sig", Some(Long)), ("x_amz_signature", Some(Long)), ("x_goog_signature", Some(Long)),
    ("sessid", Some(Long)), ("sessionid", Some(Long)), ("connect_sid", Some(Long)),
];

/// Names are not longer; of what is, the end counts.
const LONGEST_NAME: usize = 64;

fn in_name(byte: u8) -> bool {
    alnum(byte) || matches!(byte, b'_' | b'-' | b'.')
}

pub(super) fn find(line: &str, spans: &mut Vec<Span>) {
    let text = line.as_bytes();
    let mut index = 0;
    while index < text.len() {
        // `\npassword=` begins with p
        let start = if at(text, index) == b'\\' && matches!(at(text, index + 1), b'n' | b'r' | b't') { index + 2 } else { index };
        let end = run(text, start, usize::MAX, in_name);
        if end == start {
            index = start + 1;
            continue;
        }
        let found = announced(text, start, end);
        index = found.map_or(end, |span| span.end.max(end));
        spans.extend(found);
    }
    phrases(line, spans);
}

/// What the name in this place announces, if it is a secret.
fn announced(text: &[u8], start: usize, end: usize) -> Option<Span> {
    let name = &text[start..end];
    if let Some(span) = scheme(text, name, end) {
        return Some(span);
    }
    let class = class(text, start, end)?;
    let option = name.starts_with(b"--");
    let closed = run(text, end, 4, |byte| quote(byte) || matches!(byte, b'\\' | b']'));
    let closed = if at(text, closed) == b'\\' { end } else { closed };
    let spaces = run(text, closed, 40, space);
    let (after, strong) = match separator(text, spaces) {
        Some(after) => {
            let value = run(text, after, 40, space);
            let equal = at(text, spaces) != b':';
            // `key: x` may be a sentence; `key=x`, `key = x`, `key:x` and `"key": x` are not; `key= x` is an empty one
            let strong = value == after || closed > end || (equal && spaces > closed);
            (value, strong)
        }
        None if at(text, closed) == b'>' && start > 0 && text[start - 1] == b'<' => (closed + 1, true),
        None if spaces > end && closed == end => return spoken(text, class, option, spaces),
        None => return None,
    };
    // `/etc/passwd: Permission denied`, and a path in an address
    if start > 0 && text[start - 1] == b'/' && at(text, spaces) == b':' {
        return None;
    }
    match class {
        Authorization => authorization(text, start, after),
        Cookie | SetCookie => cookie(text, class, start, after),
        _ => {
            let value = value::value(text, after);
            // the shell's PWD is a folder
            if name == b"PWD" && at(text, value.start) == b'/' {
                return None;
            }
            let short = class == Password && name.eq_ignore_ascii_case(b"pass");
            let fits = if short { is_pass(text, name, value, strong) } else { is_secret(text, class, value, strong) };
            fits.then(|| Span::new(value.start, value.end, if class == Password { "password" } else { "secret" }))
        }
    }
}

/// Where a separator between name and value ends: `=`, `:`, `=>`, `:=` and `%3D`; not `::` and `==`.
fn separator(text: &[u8], from: usize) -> Option<usize> {
    let next = at(text, from + 1);
    match at(text, from) {
        b'=' if next == b'>' => Some(from + 2),
        b'=' if next != b'=' => Some(from + 1),
        b':' if next == b'=' => Some(from + 2),
        b':' if next != b':' => Some(from + 1),
        b'%' if next == b'3' && matches!(at(text, from + 2), b'd' | b'D') => Some(from + 3),
        _ => None,
    }
}

fn class(text: &[u8], start: usize, end: usize) -> Option<Class> {
    let mut from = start.max(end.saturating_sub(LONGEST_NAME));
    // "API key: ...": the word before belongs to the name
    if text[from..end].eq_ignore_ascii_case(b"key") && start > 1 && text[start - 1] == b' ' {
        from = back(text, start - 1, 12, |byte| byte.is_ascii_alphabetic());
    }
    let mut name = String::from("_");
    let mut before = b'_';
    for byte in &text[from..end] {
        if byte.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            name.push('_');
        }
        name.push(if alnum(*byte) { char::from(byte.to_ascii_lowercase()) } else { '_' });
        before = *byte;
    }
    NAMES.iter().find(|(ending, _)| name.ends_with(ending)).and_then(|(_, class)| *class)
}

fn is_secret(text: &[u8], class: Class, value: Value, strong: bool) -> bool {
    let word = &text[value.start..value.end];
    if is_placeholder(word) || is_plain(word) || is_path(word) {
        return false;
    }
    match class {
        Auth => decode(word).is_some_and(|bytes| is_user_and_password(&bytes)),
        Long => word.len() >= 16,
        // numbers of tokens, of retries
        Token if word.len() <= 4 && word.iter().all(u8::is_ascii_digit) => false,
        _ if strong => true,
        // `name= next=`: the first has no value
        _ if value.quoted => true,
        _ if is_prose(text, value)
            || word.iter().position(|byte| *byte == b'=').is_some_and(|at| at > 0 && at + 1 < word.len()) =>
        {
            false
        }
        Token => is_random(word, 8),
        _ => true,
    }
}

/// `pass` alone is also a verb: tests pass.
fn is_pass(text: &[u8], name: &[u8], value: Value, strong: bool) -> bool {
    let word = &text[value.start..value.end];
    let number = word.len() <= 4 && word.iter().all(u8::is_ascii_digit);
    !number && name != b"PASS" && is_secret(text, Password, value, strong) && (strong || is_random(word, 6))
}

/// A name without a separator: `--password x`, `password is x`, `password 'x'`.
fn spoken(text: &[u8], class: Class, option: bool, from: usize) -> Option<Span> {
    if !matches!(class, Password | Token) {
        return None;
    }
    let what = if class == Password { "password" } else { "secret" };
    let value = value::value(text, from);
    let word = &text[value.start..value.end];
    let harmless = is_placeholder(word) || is_plain(word) || is_path(word);
    if option && !value.quoted {
        return (!harmless && word[0] != b'-').then(|| Span::new(value.start, value.end, what));
    }
    if value.quoted {
        return (!harmless && (option || class == Password)).then(|| Span::new(value.start, value.end, what));
    }
    let said = [&b"is "[..], b"was ", b"set to ", b"is: ", b"to "].into_iter().find(|said| text[from..].starts_with(said))?;
    let value = value::value(text, from + said.len());
    let word = &text[value.start..value.end];
    let random = !is_placeholder(word) && !is_plain(word) && !is_path(word) && word.len() >= 6 && (value.quoted || mixed(word));
    random.then(|| Span::new(value.start, value.end, what))
}

/// RFC 9110, section 11.6.2: the scheme stays; after schemes with parameters all of them go.
fn authorization(text: &[u8], name: usize, from: usize) -> Option<Span> {
    // JSON, a list in JSON or Go
    let opened = run(text, from, 4, |byte| quote(byte) || matches!(byte, b'[' | b'\\'));
    let word = run(text, opened, 20, |byte| alnum(byte) || byte == b'-');
    let rest = run(text, word, 8, space);
    let scheme = text[opened..word].to_ascii_lowercase();
    if rest == word {
        let value = value::value(text, from);
        return is_secret(text, Token, value, false).then(|| Span::new(value.start, value.end, "credentials"));
    }
    match scheme.as_slice() {
        b"digest" | b"oauth" | b"hawk" | b"aws4-hmac-sha256" => {
            // up to the quote that stands before the name or the value
            let mark = [name, opened].into_iter().filter(|at| *at > 0).map(|at| text[at - 1]).find(|byte| quote(*byte));
            let end = run(text, rest, usize::MAX, |byte| Some(byte) != mark);
            (rest < end && text[rest] != b'[').then(|| Span::new(rest, end, "credentials"))
        }
        b"basic" | b"bearer" | b"token" | b"apikey" | b"key" | b"negotiate" | b"ntlm" | b"dpop" | b"splunk" => {
            let value = value::value(text, rest);
            let word = &text[value.start..value.end];
            let harmless = is_placeholder(word) || is_plain(word) || is_prose(text, value);
            (!harmless).then(|| Span::new(value.start, value.end, "credentials"))
        }
        _ => {
            let value = value::value(text, from);
            is_secret(text, Token, value, false).then(|| Span::new(value.start, value.end, "credentials"))
        }
    }
}

/// RFC 6750 and RFC 7617 without the header's name: `Bearer x`, `Basic x`.
fn scheme(text: &[u8], name: &[u8], end: usize) -> Option<Span> {
    let (bearer, basic) = (name.eq_ignore_ascii_case(b"bearer"), name.eq_ignore_ascii_case(b"basic"));
    if !(bearer || basic) || !space(at(text, end)) {
        return None;
    }
    let start = end + 1;
    let stop = run(text, start, usize::MAX, |byte| base64(byte) || matches!(byte, b'-' | b'_' | b'.' | b'~'));
    let word = &text[start..value::without_full_stop(text, start, stop)];
    let secret = if bearer { word.len() >= 16 && mixed(word) } else { decode(word).is_some_and(|it| is_user_and_password(&it)) };
    // `Bearer realm="..."` is a challenge
    let challenge = quote(at(text, stop)) && word.ends_with(b"=");
    (secret && !challenge).then(|| Span::new(start, start + word.len(), "credentials"))
}

fn is_user_and_password(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.contains(':') && !text.chars().any(char::is_control))
}

/// The pairs of Cookie:, the first pair's value of Set-Cookie:.
fn cookie(text: &[u8], class: Class, name: usize, from: usize) -> Option<Span> {
    let start = run(text, from, 4, |byte| quote(byte) || matches!(byte, b'[' | b'\\'));
    let equals = run(text, start, LONGEST_NAME, |byte| !space(byte) && !quote(byte) && !matches!(byte, b'=' | b';' | b','));
    if at(text, equals) != b'=' || equals == start {
        return None;
    }
    let mark = [name, start].into_iter().filter(|at| *at > 0).map(|at| text[at - 1]).find(|byte| quote(*byte));
    if class == SetCookie {
        let end = run(text, equals + 1, usize::MAX, |byte| !space(byte) && byte != b';' && Some(byte) != mark);
        return (!is_placeholder(&text[equals + 1..end])).then(|| Span::new(equals + 1, end, "cookie"));
    }
    let end = run(text, start, usize::MAX, |byte| Some(byte) != mark);
    Some(Span::new(start, value::without_full_stop(text, start, end), "cookie"))
}

/// Sentences that programs are known to say.
fn phrases(line: &str, spans: &mut Vec<Span>) {
    let text = line.as_bytes();
    // https://dev.mysql.com/doc/refman/8.4/en/data-directory-initialization.html
    if let Some(at) = super::scan::find(line, "temporary password is generated for ", 0)
        && let Some(colon) = super::scan::find(line, ": ", at)
    {
        let end = run(text, colon + 2, usize::MAX, |byte| !space(byte));
        if !is_placeholder(&text[colon + 2..end]) {
            spans.push(Span::new(colon + 2, end, "password"));
        }
    }
    // https://dev.mysql.com/doc/refman/8.4/en/create-user.html: IDENTIFIED [WITH plugin] BY '...'
    let mut from = 0;
    while let Some(by) = super::scan::find(line, " BY ", from) {
        from = by + 4;
        let before = back(text, by, 60, |byte| alnum(byte) || byte == b'_' || space(byte));
        let identified = text[before..by].windows(10).any(|word| word.eq_ignore_ascii_case(b"identified"));
        if identified && quote(at(text, from)) && word_starts(text, from) {
            let value = value::value(text, from);
            if !is_placeholder(&text[value.start..value.end]) {
                spans.push(Span::new(value.start, value.end, "password"));
            }
            from = value.end;
        }
    }
}
