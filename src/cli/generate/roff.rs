//! The language of manual pages, as far as it is needed: see man(7).

/// Text in which nothing is a command. What stands between backticks is bold.
pub(super) fn text(text: &str) -> String {
    let mut is_bold = false;
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out += "\\e",
            '-' => out += "\\-",
            '`' => {
                is_bold = !is_bold;
                out += if is_bold { "\\fB" } else { "\\fR" };
            }
            c => out.push(c),
        }
    }
    guarded(&out)
}

/// The same in bold, backticks as they are.
pub(super) fn bold(plain: &str) -> String {
    format!("\\fB{}\\fR", text(&plain.replace('`', "\u{0}")).replace('\u{0}', "`"))
}

/// Lines as they are, in a terminal's type.
pub(super) fn verbatim(lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| text(&line.replace('`', "\u{0}")).replace('\u{0}', "\\(ga")).collect();
    format!(".EX\n{}\n.EE\n", lines.join("\n"))
}

/// A list's entry: what it is about, and a paragraph.
pub(super) fn entry(tag: &str, paragraph: &str) -> String {
    format!(".TP\n{tag}\n{paragraph}\n")
}

/// A line that begins with a dot or a quote would be a command.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_command() {
        assert_eq!(text(".file = \"a\\b\""), "\\&.file = \"a\\eb\"");
        assert_eq!(text("say `--yes`"), "say \\fB\\-\\-yes\\fR");
        assert_eq!(bold("a`b"), "\\fBa`b\\fR");
        assert_eq!(verbatim("'x'\n  `y`"), ".EX\n\\&'x'\n  \\(gay\\(ga\n.EE\n");
    }
}
