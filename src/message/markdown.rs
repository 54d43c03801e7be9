//! A letter as Markdown, in the subset that channels share: bold, lists, fenced code.

use super::Letter;

/// The Markdown.
pub(super) fn render(letter: &Letter) -> String {
    let mut parts = vec![format!("**{}**", escaped(&letter.lead))];
    let see = letter.see.iter().map(|link| ("See", link));
    let rows = letter.facts.iter().map(|(label, value)| (*label, value)).chain(see);
    parts.push(rows.map(|(label, value)| format!("- {label}: {}", escaped(value))).collect::<Vec<_>>().join("\n"));
    for (title, lines) in [("Its failures".to_owned(), &letter.failures), (letter.excerpt_title(), &letter.excerpt)] {
        if !lines.is_empty() {
            parts.push(format!("{title}:\n{}", fenced(lines)));
        }
    }
    if !letter.note.is_empty() {
        parts.push(escaped(&letter.note));
    }
    if !letter.commands.is_empty() {
        parts.push(format!("To look further:\n{}", fenced(&letter.commands)));
    }
    parts.join("\n\n") + "\n"
}

/// A fence that no line inside can close.
fn fenced(lines: &[String]) -> String {
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}", lines.join("\n"))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>#|~!".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
