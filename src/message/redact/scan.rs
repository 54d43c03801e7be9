//! How text is looked along: bytes, since every limit of a secret is ASCII and so a place where a string may be cut.

#[cfg(test)]
thread_local! {
    /// Bytes looked at by [`run`] and [`find`], so that a test can hold the work against the length of the text.
    pub(super) static WORK: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Where the bytes of a kind that begin at `from` end, looking at no more than `most`.
pub(super) fn run(text: &[u8], from: usize, most: usize, of: impl Fn(u8) -> bool) -> usize {
    let end = text.iter().skip(from).take(most).take_while(|byte| of(**byte)).count() + from.min(text.len());
    count(end - from.min(text.len()) + 1);
    end
}

/// The same backwards: where the bytes of a kind that end before `to` begin.
pub(super) fn back(text: &[u8], to: usize, most: usize, of: impl Fn(u8) -> bool) -> usize {
    let length = text[..to].iter().rev().take(most).take_while(|byte| of(**byte)).count();
    count(length + 1);
    to - length
}

/// Where a word next stands.
pub(super) fn find(text: &str, word: &str, from: usize) -> Option<usize> {
    let found = text.get(from..)?.find(word).map(|at| at + from);
    count(found.unwrap_or(text.len()) - from + 1);
    found
}

/// The work done, for tests.
pub(super) fn count(_bytes: usize) {
    #[cfg(test)]
    WORK.set(WORK.get() + _bytes);
}

pub(super) fn at(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

pub(super) fn alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

pub(super) fn space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

pub(super) fn quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// The alphabet of base64 (RFC 4648), with its padding.
pub(super) fn base64(byte: u8) -> bool {
    alnum(byte) || matches!(byte, b'+' | b'/' | b'=')
}

/// Whether letters and digits both occur: what random text has and words have not.
pub(super) fn mixed(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic)
}

/// Whether a word can begin here: not within one. The end of an escape is no part of a word: `\n`, `%3D`, a colour's `[31m`.
pub(super) fn word_starts(text: &[u8], index: usize) -> bool {
    let Some(before) = index.checked_sub(1).map(|before| text[before]) else { return true };
    if !alnum(before) {
        return true;
    }
    let two = index.checked_sub(2).map_or(0, |at| text[at]);
    let percent = || index >= 3 && text[index - 3] == b'%' && two.is_ascii_hexdigit() && before.is_ascii_hexdigit();
    let colour = || {
        let digits = back(text, index - 1, 12, |byte| byte.is_ascii_digit() || byte == b';');
        digits > 0 && text[digits - 1] == b'['
    };
    (two == b'\\' && matches!(before, b'n' | b'r' | b't')) || percent() || (before == b'm' && colour())
}

/// What base64 stands for; nothing if it is not base64. Padding may be missing.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}
