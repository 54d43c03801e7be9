//! The message as all presets want it: never empty, without control characters, cut to their limits.

use ring::digest;
use sysalert_abi::{Count, Level, Request, fit, lines, one_line, repeats, shorten};

/// The colour of a message as 0xRRGGBB, the same as in mails.
pub(crate) fn colour(level: Level) -> u32 {
    match level {
        Level::Critical => 0xb3_26_1e,
        Level::Warning => 0xb3_6b_00,
        Level::Info => 0x3a_6e_a5,
        Level::Well => 0x1e_7b_34,
    }
}

/// The subject.
pub(crate) fn title(request: &Request, limit: usize, count: Count) -> String {
    let subject = one_line(&request.message.subject, usize::MAX);
    if subject.is_empty() { "sysalert".into() } else { shorten(&subject, limit, count) }
}

/// The text.
pub(crate) fn text(request: &Request, limit: usize, count: Count) -> String {
    let (text, journal) = (lines(&request.message.text), lines(&request.message.journal));
    // leading blanks belong to a line, blank lines at the ends to nothing
    let text = text.trim_end().trim_start_matches('\n');
    let text = if count(text) > limit { once(text, &request.message.subject) } else { text.to_owned() };
    let text = fit(&text, &journal, limit, count);
    if text.trim().is_empty() { "(no text)".into() } else { text }
}

/// Without the first sentence and the facts that the title says already: where room is short, nothing need stand twice.
fn once(text: &str, title: &str) -> String {
    let (lead, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let (facts, rest) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let is_told = |line: &&str| {
        line.split_once("  ").is_some_and(|(label, value)| ["Host", "Unit"].contains(&label) && repeats(value, title))
    };
    let facts: Vec<&str> = facts.lines().filter(|line| !is_told(line)).collect();
    let lead = if repeats(lead, title) { "" } else { lead };
    let blocks = [lead, &facts.join("\n"), rest];
    blocks.into_iter().filter(|block| !block.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The same for every try to send this message, and for no other message of any host.
pub(crate) fn id(request: &Request) -> String {
    let whole = format!("{}\0{}\0{}", request.host, request.kind.as_str(), request.idempotency_key);
    hex(&digest::digest(&digest::SHA256, whole.as_bytes()).as_ref()[..16])
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nobody sees it, and it parts what would act together: a zero-width space.
pub(crate) const GAP: char = '\u{200b}';

/// `text` for the inside of a fence of three backticks, which it cannot close.
pub(crate) fn unfenced(text: &str) -> String {
    let mut parted = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '`' && parted.ends_with('`') {
            parted.push(GAP);
        }
        parted.push(c);
    }
    parted
}

/// `text` with a gap after each of these characters.
pub(crate) fn parted(text: &str, markup: &str) -> String {
    let gap = |c| markup.contains(c).then_some(GAP);
    text.chars().flat_map(|c| std::iter::once(c).chain(gap(c))).collect()
}

/// `text` with a backslash before each of these characters.
pub(crate) fn escaped(text: &str, markup: &str) -> String {
    let slash = |c| markup.contains(c).then_some('\\');
    text.chars().flat_map(|c| slash(c).into_iter().chain([c])).collect()
}

/// The length of a text as JSON, without its quotation marks, in bytes.
pub(crate) fn json_bytes(text: &str) -> usize {
    text.chars().map(json_cost).sum()
}

/// The length of a character in a JSON string, in bytes, as serde_json writes it.
pub(crate) fn json_cost(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_counted_as_it_is_written() {
        for c in '\0'..=char::MAX {
            let written = serde_json::to_string(&c).expect("a character");
            assert_eq!(json_cost(c), written.len() - 2, "{written}");
        }
    }
}
