//! What a run complained of last, in a form that is the same each time it complains of the same: without the numbers, ids,
//! times and temporary names that differ from run to run, and without secrets.

use super::excerpt::visible;
use super::redact::redact;

/// A line of a run as it came.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// True when the service manager wrote it: what it says is known otherwise.
    pub by_manager: bool,
    /// As in `syslog(3)`; 3 and less are errors.
    pub priority: Option<u8>,
    /// What was written.
    pub text: &'a [u8],
}

/// "error", as `syslog(3)` numbers it.
const ERROR: u8 = 3;
/// It is kept with its event: of a longer one the beginning and the end.
const LONGEST: usize = 200;
const HEAD: usize = 60;
/// Stands for what was folded.
const MARK: char = '#';

/// The last line that is an error; where none says so, the last one of the unit itself. `None`: it said nothing.
pub fn error_line(lines: &[Said<'_>]) -> Option<String> {
    // whole, and all of them: a secret may begin in an earlier line
    let mut texts: Vec<String> = lines.iter().map(|line| visible(line.text)).collect();
    redact(&mut texts);
    let own = || lines.iter().zip(&texts).rev().filter(|(line, text)| !line.by_manager && !text.trim().is_empty());
    let is_error = |line: &Said<'_>| line.priority.is_some_and(|priority| priority <= ERROR);
    let (_, text) = own().find(|(line, _)| is_error(line)).or_else(|| own().next())?;
    Some(cut(&fold(text)))
}

/// Puts a mark for each part that differs from run to run. What is folded too much makes two errors one; what is folded too
/// little makes one error two.
fn fold(text: &str) -> String {
    let mut folded = String::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let taken = if let Some(folder) = TEMPORARY.iter().find(|folder| rest.starts_with(**folder)) {
            folded.push_str(folder);
            mark(&mut folded);
            folder.len() + rest[folder.len()..].find(ends_path).unwrap_or(rest.len() - folder.len())
        } else if is_uuid(rest) {
            mark(&mut folded);
            UUID.len()
        } else if first.is_ascii_alphanumeric() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            fold_word(&mut folded, word, after);
            end
        } else {
            // "Nov  1" and "Nov 21" are of the same width only so
            if !(first == ' ' && folded.ends_with(' ')) {
                folded.push(first);
            }
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    folded
}

/// Where names are made by chance.
const TEMPORARY: [&str; 3] = ["/tmp/", "/var/tmp/", "/dev/shm/"];

fn ends_path(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\'' | '"' | '`' | ':' | ',' | ';' | ')' | ']' | '}' | '>')
}

/// The lengths of its parts tell it.
const UUID: &str = "00000000-0000-0000-0000-000000000000";

fn is_uuid(text: &str) -> bool {
    let (mut form, mut bytes) = (UUID.bytes(), text.bytes());
    form.all(|form| bytes.next().is_some_and(|byte| if form == b'-' { byte == b'-' } else { byte.is_ascii_hexdigit() }))
        && !bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// A word of letters and digits, with what stands before it and after it.
fn fold_word(folded: &mut String, word: &str, after: &str) {
    let temporary = ["tmp.", "tmp-", "tmp_"].iter().any(|before| folded.ends_with(before));
    if is_id(word) || (temporary && word.len() >= 6) || (is_date_word(word) && leads_to_a_date(after)) {
        return mark(folded);
    }
    // as Python names temporary files: "tmpabcdefgh"
    if word.strip_prefix("tmp").is_some_and(|name| name.len() >= 6) {
        folded.push_str("tmp");
        return mark(folded);
    }
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        if is_digit {
            mark(folded);
        } else {
            folded.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
}

/// A number or an id: "0x7f", "deadbeef", "21T03", "Xy12Za".
fn is_id(word: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if word.strip_prefix("0x").is_some_and(|hex| !hex.is_empty() && is_hex(hex)) || (word.len() >= 8 && is_hex(word)) {
        return true;
    }
    // a letter between digits, or after one in a long word: "sda1" and "5min" are none
    let letters_after_a_digit =
        word.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_start_matches(|c: char| c.is_ascii_digit());
    let goes_on = letters_after_a_digit.contains(|c: char| c.is_ascii_digit());
    goes_on || (word.len() >= 6 && !letters_after_a_digit.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()))
}

/// As dates have them in English; the journal's own are never translated.
fn is_date_word(word: &str) -> bool {
    const WORDS: &str = "Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    word.len() == 3 && WORDS.split(' ').any(|known| known == word)
}

fn leads_to_a_date(after: &str) -> bool {
    let next = after.trim_start_matches([',', ' ', '-', '/']);
    let word = next.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    next.len() < after.len() && (next.starts_with(|c: char| c.is_ascii_digit()) || is_date_word(word))
}

/// One mark for a whole date, an address, a version: "#-#-#" and "#.#" are one.
fn mark(folded: &mut String) {
    let mut before = folded.chars().rev();
    let joins = before.next().is_some_and(|c| matches!(c, '.' | ':' | '-' | '/' | ',' | '+'));
    match joins && before.next() == Some(MARK) {
        true => drop(folded.pop()),
        false if folded.ends_with(MARK) => {}
        false => folded.push(MARK),
    }
}

fn cut(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_owned();
    }
    let start: String = text.chars().take(HEAD).collect();
    let end: String = text.chars().skip(length - (LONGEST - HEAD - 3)).collect();
    format!("{start}...{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_folded() {
        for (text, folded) in [
            ("No space left on device", "No space left on device"),
            ("exit 3 after 12 tries", "exit # after # tries"),
            ("took 5min 3s, 2.5GiB of 10GiB, 99%", "took #min #s, #GiB of #GiB, #%"),
            ("worker[4711]: pid 4711 died", "worker[#]: pid # died"),
            ("at 0x7ffeab12 in libssl.so.3", "at # in libssl.so.#"),
            ("commit deadbeef, commit 1a2b3c4d5e6f", "commit #, commit #"),
            ("job 550e8400-e29b-41d4-a716-446655440000 failed", "job # failed"),
            ("run 27958a5008624b39838d249d6fa93b04", "run #"),
            ("2026-11-21T03:12:26.123+01:00 ERROR gone", "# ERROR gone"),
            ("2026/11/21 03:12:26 gone", "# # gone"),
            ("Sat Nov 21 03:12:26 2026 gone", "# # # # # gone"),
            ("Sun Nov  1 03:12:26 2026 gone", "# # # # # gone"),
            ("21/Nov/2026:03:12:26 gone", "# gone"),
            ("Sat, 21 Nov 2026 03:12:26 GMT gone", "#, # # # # GMT gone"),
            ("May I write? Mar a Lago", "May I write? Mar a Lago"),
            ("10.0.0.1:5432 and [fe80::1%eth0]:22 refused", "# and [fe#::#%eth#]:# refused"),
            ("open '/tmp/tmp.Xk3ab/out' failed", "open '/tmp/#' failed"),
            ("cannot write /var/tmp/backup-AbCdEf: full", "cannot write /var/tmp/#: full"),
            ("rename ./tmp.AbCdEfGhIj to ./data", "rename ./tmp.# to ./data"),
            ("rename \"tmpabcdefgh\" to \"data\"", "rename \"tmp#\" to \"data\""),
            ("backup.Xy12Za vanished", "backup.# vanished"),
            ("/dev/sda1 and eth0, python3, ipv6", "/dev/sda# and eth#, python#, ipv#"),
            ("zweiunddreißig Öfen 7\u{fc}", "zweiunddreißig Öfen #\u{fc}"),
            ("  a   b  ", "a b"),
            ("", ""),
        ] {
            assert_eq!(fold(text), folded, "{text}");
            assert_eq!(fold(&fold(text)), folded, "once more: {text}");
        }
    }

    fn said(by_manager: bool, priority: Option<u8>, text: &str) -> Said<'_> {
        Said { by_manager, priority, text: text.as_bytes() }
    }

    #[test]
    fn the_last_error_counts_and_else_the_units_own_last_line() {
        let own = |priority, text| said(false, priority, text);
        let manager = |text| said(true, Some(3), text);
        for (lines, line) in [
            (vec![own(Some(6), "a"), own(Some(3), "broke"), own(Some(6), "bye"), manager("Failed.")], Some("broke")),
            (vec![own(Some(3), "first"), own(Some(2), "second"), own(Some(4), "warned")], Some("second")),
            (vec![own(Some(6), "a"), own(None, "b"), own(Some(6), " "), manager("Failed.")], Some("b")),
            (vec![manager("Failed.")], None),
            (vec![], None),
        ] {
            assert_eq!(error_line(&lines).as_deref(), line, "{lines:?}");
        }
    }

    #[test]
    fn a_line_is_kept_short_and_without_secrets_and_nothing_in_it_acts() {
        let line = |text: &str| error_line(&[said(false, Some(3), text)]).unwrap();
        assert_eq!(line("login with PGPASSWORD=hunter2 failed"), "login with PGPASSWORD=[password removed] failed");
        assert_eq!(line("\u{1b}[31mgone"), "\\u{#b}[#mgone");
        let long = line(&format!("begins {}the cause", "x y ".repeat(100_000)));
        assert!(long.starts_with("begins x y") && long.ends_with("the cause"), "{long}");
        assert_eq!(long.chars().count(), LONGEST);
        let key = [
            said(false, Some(3), "-----BEGIN PRIVATE KEY-----"),
            said(false, Some(3), "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ"),
        ];
        assert!(!error_line(&key).unwrap().contains("MII"), "a secret that begins in an earlier line");
    }
}
