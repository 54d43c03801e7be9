//! A letter as plain text.

use super::Letter;

/// The text; lines end by `\n`.
pub(super) fn render(letter: &Letter) -> String {
    let mut parts = vec![letter.lead.clone()];
    let widest = letter.facts.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    parts.push(letter.facts.iter().map(|(label, value)| format!("{label:widest$}  {value}")).collect::<Vec<_>>().join("\n"));
    if !letter.failures.is_empty() {
        parts.push(block("Its failures:", &letter.failures));
    }
    if !letter.excerpt.is_empty() {
        parts.push(block(&format!("{}:", letter.excerpt_title()), &letter.excerpt));
    } else if !letter.no_excerpt.is_empty() {
        parts.push(letter.no_excerpt.clone());
    }
    if !letter.commands.is_empty() {
        parts.push(block("To look further:", &letter.commands));
    }
    parts.join("\n\n") + "\n"
}

fn block(title: &str, lines: &[String]) -> String {
    std::iter::once(title.to_owned()).chain(lines.iter().map(|line| format!("    {line}"))).collect::<Vec<_>>().join("\n")
}
