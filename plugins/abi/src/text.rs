//! Text that others wrote, made safe to show. What a failing unit prints is hostile input.

/// One line of at most `most` characters: no control characters, none that reverse the reading direction, no runs of
/// spaces.
pub fn one_line(text: &str, most: usize) -> String {
    let spaced: String = text.chars().filter(|c| !turns(*c)).map(|c| if breaks(c) { ' ' } else { c }).collect();
    let mut words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(most) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// Several lines: no control characters but the tab and the line's end.
pub fn lines(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn breaks(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Bidirectional controls: they make a text read as another (Unicode TR 36, 3.2).
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_one_line_and_short() {
        assert_eq!(one_line("550 no\r\n\tsuch\u{1b}[31m  user\u{202e}\0", 300), "550 no such [31m user");
        assert_eq!(one_line("ééééé", 3), "ééé…");
        assert_eq!(one_line("ééé", 3), "ééé");
    }

    #[test]
    fn lines_keep_their_ends() {
        assert_eq!(lines("a\r\n\tb\0\u{1b}[0m\u{85}\n"), "a\n\tb[0m\n");
    }
}
