//! A letter as plain text.

use super::Letter;

/// The text; lines end by `\n`.
pub(super) fn render(letter: &Letter) -> String {
    let mut parts = vec![letter.lead.clone()];
    let see = letter.see.iter().enumerate().map(|(number, link)| (if number == 0 { "See" } else { "" }, link));
    let rows: Vec<_> = letter.facts.iter().map(|(label, value)| (*label, value)).chain(see).collect();
    let widest = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    parts.push(rows.iter().map(|(label, value)| format!("{label:widest$}  {value}")).collect::<Vec<_>>().join("\n"));
    if !letter.excerpt.is_empty() {
        parts.push(block(&format!("{}:", letter.excerpt_title()), &letter.excerpt));
    }
    if !letter.note.is_empty() {
        parts.push(letter.note.clone());
    }
    parts.extend(letter.lists.iter().map(|(title, lines)| block(&format!("{title}:"), lines)));
    if !letter.commands.is_empty() {
        parts.push(block("To look further:", &letter.commands));
    }
    parts.join("\n\n") + "\n"
}

fn block(title: &str, lines: &[String]) -> String {
    std::iter::once(title.to_owned()).chain(lines.iter().map(|line| format!("    {line}"))).collect::<Vec<_>>().join("\n")
}
