//! A letter as Markdown, in the subset that channels share: bold, lists, fenced code.

use super::Letter;

/// The Markdown.
pub(super) fn render(letter: &Letter) -> String {
    let mut parts = vec![format!("**{}**", escaped(&letter.lead))];
    let see = letter.see.iter().map(|link| ("See", link));
    let rows = letter.facts.iter().map(|(label, value)| (*label, value)).chain(see);
    parts.push(rows.map(|(label, value)| format!("- {label}: {}", escaped(value))).collect::<Vec<_>>().join("\n"));
    let block = |title: &str, lines: &[String]| (!lines.is_empty()).then(|| format!("{title}:\n{}", fenced(lines)));
    parts.extend(block(&letter.excerpt_title(), &letter.excerpt));
    parts.extend((!letter.note.is_empty()).then(|| escaped(&letter.note)));
    parts.extend(letter.lists.iter().filter_map(|(title, lines)| block(title, lines)));
    parts.extend(block("To look further", &letter.commands));
    parts.join("\n\n") + "\n"
}

/// A fence that no line inside can close.
pub(super) fn fenced(lines: &[String]) -> String {
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}", lines.join("\n"))
}

pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>#|~!".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
