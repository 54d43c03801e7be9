//! Foreign text made safe to read: what a terminal, a mail reader or a chat would act on is shown instead of passed on.

use chrono::{DateTime, Local, Utc};

use super::redact::redact;
use crate::event::is_invisible;

/// A line of the journal as it came.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// Who wrote it.
    pub identifier: &'a str,
    /// What was written.
    pub text: &'a [u8],
}

/// Longer lines are cut; their end is kept, since an error's cause often stands there.
const LONGEST: usize = 1000;
/// The same for a name.
const LONGEST_NAME: usize = 200;
/// All lines together, in characters; of more, the last are kept.
const MOST: usize = 48_000;

/// The lines as they are shown, oldest first, and how many secrets were taken out of them.
pub fn shown(lines: &[Raw<'_>]) -> (Vec<String>, usize) {
    // whole lines: of half a secret nobody can tell that it is one
    let mut texts: Vec<String> = lines.iter().map(|line| visible(line.text)).collect();
    let secrets = redact(&mut texts);
    let mut rows = Vec::new();
    let mut room = MOST;
    for (line, text) in lines.iter().zip(&texts).rev() {
        let time = line.at.with_timezone(&Local).format("%H:%M:%S");
        let row = format!("{time} {}: {}", visible(line.identifier.as_bytes()), cut(text));
        match room.checked_sub(row.chars().count()) {
            Some(rest) => room = rest,
            None => break,
        }
        rows.push(row);
    }
    rows.reverse();
    (rows, secrets)
}

/// A name or a sentence of somebody else's as it may stand in a line: without secrets, and not long.
pub fn safe(text: &str) -> String {
    let mut texts = [visible(text.as_bytes())];
    redact(&mut texts);
    let [text] = texts;
    match text.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Bytes as one line of text: control characters and what is not UTF-8 are shown as escapes.
pub fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\t' {
                text.push(' ');
            } else if c.is_control() || is_invisible(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let (head, tail) = (LONGEST / 4, LONGEST * 3 / 4);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{start} [... {} characters ...] {end}", length - head - tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_is_shown() {
        for (bytes, text) in [
            (b"plain \xc3\xa4".as_slice(), "plain ä"),
            (b"\x1b[31mred\x07", "\\u{1b}[31mred\\u{7}"),
            (b"two\nlines\r", "two\\nlines\\r"),
            (b"a\tb", "a b"),
            (b"bad \xff\xfe utf8", "bad \\xff\\xfe utf8"),
            ("turned \u{202e}txt".as_bytes(), "turned \\u{202e}txt"),
            (b"nul\0", "nul\\u{0}"),
        ] {
            assert_eq!(visible(bytes), text);
        }
    }

    #[test]
    fn secrets_go_and_are_counted() {
        let at = DateTime::from_timestamp(0, 0).unwrap();
        let line = |text| Raw { at, identifier: "backup", text };
        let (rows, secrets) = shown(&[line(b"PGPASSWORD=hunter2 pg_dump"), line(b"to https://me:hunter2@backup.example.org/")]);
        assert_eq!(secrets, 2);
        assert!(rows[0].contains("PGPASSWORD=[password removed] pg_dump") && rows[1].contains("https://me:["), "{rows:?}");
        assert!(!rows.concat().contains("hunter2"), "{rows:?}");
    }

    #[test]
    fn long_lines_keep_their_end_and_long_excerpts_their_last_lines() {
        let at = DateTime::from_timestamp(0, 0).unwrap();
        let long = format!("{}END", "x".repeat(1_000_000));
        let (rows, _) = shown(&[Raw { at, identifier: "a", text: long.as_bytes() }]);
        assert!(rows[0].ends_with("xEND") && rows[0].len() < LONGEST + 100, "{}", rows[0].len());

        let texts: Vec<String> = (0..1000).map(|n| format!("{n} {}", "y".repeat(500))).collect();
        let lines: Vec<Raw<'_>> = texts.iter().map(|text| Raw { at, identifier: "a", text: text.as_bytes() }).collect();
        let (rows, _) = shown(&lines);
        assert!(rows.iter().map(|row| row.chars().count()).sum::<usize>() <= MOST);
        assert!(rows.last().is_some_and(|row| row.contains(": 999 ")) && rows.len() > 50, "{}", rows.len());
    }
}
