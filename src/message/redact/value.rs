//! What stands after a secret's name: where it ends, and whether it is a secret at all.

use super::scan::{alnum, at, back, count, mixed, quote, run, space};

/// Longer values are never taken for a word, a path or a placeholder.
const LONGEST_HARMLESS: usize = 120;

/// Words that follow a secret's name and say something of it.
#[rustfmt::skip]
const PLAIN: &[&str] = &[
    "accepted", "active", "all", "allowed", "and", "any", "are", "argument", "as", "authentication", "bad", "base64", "be",
    "been", "blank", "but", "by", "cannot", "changed", "compat", "correct", "could", "created", "default", "deleted", "denied",
    "deprecated", "did", "different", "disabled", "does", "empty", "enabled", "encrypted", "error", "expired", "fail", "failed",
    "failure", "false", "files", "for", "forbidden", "found", "from", "has", "hidden", "if", "ignored", "in", "inactive",
    "incorrect", "invalid", "is", "it", "keyring", "ldap", "locked", "malformed", "match", "md5", "mismatch", "missing", "must",
    "needed", "needs", "never", "nil", "no", "none", "not", "null", "of", "off", "ok", "on", "only", "option", "optional", "or",
    "pam", "present", "prompt", "refused", "rejected", "required", "requires", "reset", "restored", "revoked", "rotated",
    "sent", "set", "sha1", "sha256", "sha512", "should", "skipped", "sss", "success", "systemd", "this", "timeout", "to",
    "too", "true", "unable", "unauthorized", "undefined", "unexpected", "unknown", "unset", "unsupported", "updated", "used",
    "valid", "verified", "was", "weak", "will", "with", "wrong", "yes", "you", "your",
];

/// A value and how much speaks for its being one.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) quoted: bool,
}

/// The value that begins here: within quotes all of them, else up to a space or what begins another key.
pub(super) fn value(text: &[u8], from: usize) -> Value {
    // Debug forms: Some("..."), Secret("..."), b'...', r"..."
    let word = run(text, from, 20, alnum);
    let inner = word + usize::from(at(text, word) == b'(');
    let start = if word > from && quote(at(text, skip_backslashes(text, inner))) { inner } else { from };
    let mark = skip_backslashes(text, start);
    if quote(at(text, mark)) {
        let (open, escapes) = (mark + 1, mark - start);
        return Value { start: open, end: closing(text, open, text[mark], escapes), quoted: true };
    }
    let end = unquoted_end(text, start);
    Value { start, end: without_full_stop(text, start, end), quoted: false }
}

/// Quotes within quotes: `\"`, `\\\"`.
fn skip_backslashes(text: &[u8], from: usize) -> usize {
    let end = run(text, from, 4, |byte| byte == b'\\');
    if quote(at(text, end)) { end } else { from }
}

fn closing(text: &[u8], open: usize, mark: u8, escapes: usize) -> usize {
    let mut from = open;
    loop {
        let end = run(text, from, usize::MAX, |byte| byte != mark);
        let first = back(text, end, 8, |byte| byte == b'\\').max(open);
        let before = end - first;
        let closes = if escapes == 0 { before.is_multiple_of(2) } else { before <= escapes };
        if end >= text.len() {
            return text.len();
        }
        if closes {
            return if escapes == 0 { end } else { first };
        }
        from = end + 1;
    }
}

fn unquoted_end(text: &[u8], start: usize) -> usize {
    let mut end = start;
    loop {
        end =
            run(text, end, usize::MAX, |byte| !space(byte) && !quote(byte) && !matches!(byte, b',' | b';' | b'&' | b'\\' | b'<'));
        let next = at(text, end + 1);
        let ends = match at(text, end) {
            b'"' | b'\'' | b'`' => !alnum(next),
            b',' | b';' | b'&' => end + 1 >= text.len() || space(next) || quote(next) || key_starts(text, end + 1),
            b'\\' => matches!(next, b'n' | b'r') || quote(next) || text[end..].starts_with(b"\\u{"),
            b'<' => next == b'/',
            _ => true,
        };
        if ends {
            return end;
        }
        end += 1;
    }
}

/// `name=` or `name:`: what was before belongs to another value.
fn key_starts(text: &[u8], from: usize) -> bool {
    let end = run(text, from, 40, |byte| alnum(byte) || matches!(byte, b'_' | b'-' | b'.' | b' '));
    end > from && matches!(at(text, end), b'=' | b':')
}

/// A bracket or a full stop after a secret belongs to the sentence. If it did not, one such sign is all that is told.
pub(super) fn without_full_stop(text: &[u8], start: usize, end: usize) -> usize {
    let sentence = |byte| matches!(byte, b')' | b']' | b'}' | b',' | b';' | b'.' | b'>');
    back(text, end, 4, sentence).max(start)
}

/// What stands in a secret's place: stars, `<password>`, `[REDACTED]`, `(hidden)`, `$PASSWORD`, `${x}`, `{{ x }}`, `%s`, and
/// this program's own mark.
pub(super) fn is_placeholder(text: &[u8]) -> bool {
    if text.len() > LONGEST_HARMLESS {
        return false;
    }
    count(text.len());
    let name = |text: &[u8]| text.iter().all(|byte| alnum(*byte) || matches!(byte, b'_' | b'-' | b'.' | b' '));
    let upper = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    match text {
        [] => true,
        // the closing bracket may have been left to the sentence, the rest of a mark to the next word
        [b'[' | b'<' | b'(', rest @ ..] => {
            let inner = rest.strip_suffix(b"]").or_else(|| rest.strip_suffix(b">")).or_else(|| rest.strip_suffix(b")"));
            inner.unwrap_or(rest).iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b' '))
        }
        [b'$', b'{' | b'(', rest @ ..] | [b'{', b'{', rest @ ..] => name(rest.trim_ascii_end().trim_suffix_braces()),
        [b'$', rest @ ..] => rest.first().is_some_and(u8::is_ascii_uppercase) && upper(rest),
        [b'{'] | [b'{', b'}'] => true,
        [b'%', kind] => matches!(kind, b's' | b'v' | b'd' | b'q'),
        [first, rest @ ..] => matches!(first, b'*' | b'.' | b'-' | b'#' | b'x' | b'X') && rest.iter().all(|byte| byte == first),
    }
}

/// Closing brackets may be there or not.
trait TrimSuffix {
    fn trim_suffix_braces(&self) -> &[u8];
}

impl TrimSuffix for [u8] {
    fn trim_suffix_braces(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| !matches!(byte, b'}' | b')')).map_or(0, |last| last + 1);
        self[..end].trim_ascii_end()
    }
}

/// A word that says something of a secret instead of being one.
pub(super) fn is_plain(text: &[u8]) -> bool {
    count(text.len().min(LONGEST_HARMLESS));
    let end = text.len() - text.iter().rev().take(3).take_while(|byte| byte.is_ascii_punctuation()).count();
    text.len() < 20 && PLAIN.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(&text[..end]))
}

/// A file to read the secret from, or that could not be read. Some base64 begins with `/`, but not with these names.
pub(super) fn is_path(text: &[u8]) -> bool {
    let roots: [&[u8]; 14] = [
        b"/etc/", b"/run/", b"/var/", b"/usr/", b"/home/", b"/root/", b"/opt/", b"/srv/", b"/tmp/", b"/dev/", b"/proc/",
        b"/mnt/", b"./", b"~/",
    ];
    text.len() <= LONGEST_HARMLESS && roots.iter().any(|root| text.starts_with(root))
}

/// A sentence instead of a value: a word or a small number, and another word after it.
pub(super) fn is_prose(text: &[u8], value: Value) -> bool {
    let word = &text[value.start..value.end];
    if value.quoted || word.len() > LONGEST_HARMLESS {
        return false;
    }
    count(word.len());
    let letters = word.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'\'' | b'-' | b'/'));
    let number = word.len() <= 4 && word.iter().all(u8::is_ascii_digit);
    // past what `without_full_stop` left, and one space, there is a word
    let gap = run(text, value.end, 4, |byte| matches!(byte, b',' | b'.' | b';' | b':' | b')'));
    let follows = space(at(text, gap)) && (at(text, gap + 1).is_ascii_alphabetic() || at(text, gap + 1) == b'\'');
    (letters || number) && (follows || word.len() != value.end - value.start || at(text, value.end) == b':')
}

/// Nobody's sentence: long enough, of letters and digits or of many letters.
pub(super) fn is_random(word: &[u8], least: usize) -> bool {
    count(word.len());
    word.len() >= least && (mixed(word) || word.len() >= 24)
}
