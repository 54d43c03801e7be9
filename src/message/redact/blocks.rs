//! Private keys that span lines (RFC 7468, RFC 4880, RFC 4716), also when the excerpt lacks their first or last line.
//!
//! Other programs' lines may stand between: a line of a key is known by its last word, base64 as wide as the others.

use super::Span;
use super::scan::{base64, count, find as next};

const WHAT: &str = "private key";
/// No line of a key's middle is shorter (64 in PEM, 70 in OpenSSH, 64 in OpenPGP).
const NARROWEST: usize = 32;
/// Other programs' lines in a row that may stand within a key.
const BETWEEN: usize = 8;

/// `-----BEGIN x-----` or `-----END x-----`.
#[derive(Clone, Copy)]
struct Marker {
    start: usize,
    end: usize,
    begins: bool,
    private: bool,
}

/// A key whose end has not come yet.
#[derive(Default)]
struct Key {
    /// Of its lines; the first one tells.
    width: usize,
    /// Where in the line they stand.
    column: usize,
    /// Lines since that are none of its.
    between: usize,
    /// Whether a part of it was found, and so it was counted.
    found: bool,
}

/// For each line what of it is part of a private key.
pub(super) fn find(lines: &[String]) -> Vec<Vec<Span>> {
    let mut spans = vec![Vec::new(); lines.len()];
    let mut key: Option<Key> = None;
    for (number, line) in lines.iter().enumerate() {
        let mut from = 0;
        for marker in markers(line) {
            if marker.private && !marker.begins {
                let mut open = key.take();
                let known = open.is_some();
                let key = open.get_or_insert_default();
                if known && from > 0 {
                    whole(line, from, marker.start, key, &mut spans[number]);
                } else if !part(line, from, marker.start, key, &mut spans[number]) && !known {
                    before(lines, number, key, &mut spans);
                }
            } else {
                key = (marker.private && marker.begins).then(Key::default);
            }
            from = marker.end;
        }
        // OpenSSH's keys begin so, whatever became of the line before
        if key.is_none() && words(line, from, line.len()).any(|(_, word)| word.starts_with("b3BlbnNzaC1rZXktdjEA")) {
            key = Some(Key::default());
        }
        if let Some(open) = &mut key {
            let found = part(line, from, line.len(), open, &mut spans[number]);
            open.between = if found || from > 0 { 0 } else { open.between + 1 };
            if open.between > BETWEEN {
                key = None;
            }
        }
    }
    spans
}

fn markers(line: &str) -> Vec<Marker> {
    let mut markers = Vec::new();
    let mut from = 0;
    while let Some(dashes) = next(line, "----", from) {
        // "-----BEGIN X-----" or "---- BEGIN X ----"
        let label = line[dashes..].trim_start_matches(['-', ' ']);
        let start = line.len() - label.len();
        let begins = label.starts_with("BEGIN ");
        let length = label.bytes().take(60).position(|byte| byte == b'-');
        from = start;
        if (begins || label.starts_with("END "))
            && let Some(length) = length
        {
            let tail = &line[start + length..];
            let end = line.len() - tail.trim_start_matches('-').len();
            let private = label[..length].contains("PRIVATE KEY");
            markers.push(Marker { start: dashes, end, begins, private });
            from = end;
        }
    }
    markers
}

/// Words, where `\n` parts them as a space does, and where they start.
fn words(line: &str, from: usize, to: usize) -> impl Iterator<Item = (usize, &str)> {
    count(to - from);
    let text = &line[from..to];
    let base = line.as_ptr() as usize;
    text.split([' ', '\\', '"', '\'']).enumerate().filter_map(move |(number, word)| {
        // after a backslash: the n of `\n`
        let at = word.as_ptr() as usize - base;
        let escaped = number > 0 && at > 0 && line.as_bytes()[at - 1] == b'\\';
        let word = if escaped { word.strip_prefix(['n', 'r']).unwrap_or(word) } else { word };
        (!word.is_empty()).then(|| (word.as_ptr() as usize - base, word))
    })
}

fn is_body(word: &str) -> bool {
    word.bytes().all(base64)
}

fn push(key: &mut Key, start: usize, end: usize, spans: &mut Vec<Span>) {
    spans.push(Span { start, end, what: WHAT, continues: key.found });
    key.found = true;
}

/// Between both markers in one line everything is the key.
fn whole(line: &str, from: usize, to: usize, key: &mut Key, spans: &mut Vec<Span>) {
    if words(line, from, to).any(|(_, word)| word.len() >= 16 && is_body(word)) {
        push(key, from, to, spans);
    }
}

/// The lines of a key in this piece of a line; whether there was one.
fn part(line: &str, from: usize, to: usize, key: &mut Key, spans: &mut Vec<Span>) -> bool {
    let fits = |word: &str| is_body(word) && if key.width == 0 { word.len() >= NARROWEST } else { word.len() == key.width };
    let (mut first, mut last, mut tail) = (None, None, None);
    for (at, word) in words(line, from, to) {
        if fits(word) {
            first = first.or(Some((at, word.len())));
            last = Some(at + word.len());
        }
        tail = Some((at, word));
    }
    // the last line is shorter and stands below the others
    let tail = tail.filter(|(_, word)| is_body(word) && word.len() < key.width.max(first.map_or(0, |it| it.1)));
    match (first, last, tail) {
        (Some((start, width)), Some(end), tail) => {
            (key.width, key.column) = (width, start);
            let end = tail.filter(|(at, _)| *at > end && *at <= end + 4).map_or(end, |(at, word)| at + word.len());
            push(key, start, end, spans);
            true
        }
        (None, _, Some((at, word))) if at == key.column => {
            push(key, at, at + word.len(), spans);
            true
        }
        _ => false,
    }
}

/// The lines above an end whose beginning is not there.
fn before(lines: &[String], end: usize, key: &mut Key, spans: &mut [Vec<Span>]) {
    let mut between = 0;
    for number in (0..end).rev() {
        let line = &lines[number];
        if !markers(line).is_empty() || !spans[number].is_empty() {
            break;
        }
        let last = words(line, 0, line.len()).last();
        let body = last.filter(|(at, word)| {
            let wide = word.len() >= NARROWEST && (key.width == 0 || word.len() == key.width);
            let short = key.width == 0 && number + 1 == end && (*at == 0 || word.len() >= 16);
            is_body(word) && (wide || short)
        });
        match body {
            Some((at, word)) => {
                // a short last line does not tell the width
                if number + 1 < end {
                    key.width = word.len();
                }
                push(key, at, at + word.len(), &mut spans[number]);
                between = 0;
            }
            None => between += 1,
        }
        if between > BETWEEN {
            break;
        }
    }
}
