//! A text made to fit a channel's limit, counted in the channel's own unit, so that what is left says the most: the first
//! line, and the end of the log.

use std::ops::Range;

/// Counts a text as a channel does. It must be additive: both halves of a text count as much as the whole. Characters,
/// bytes and UTF-16 code units are, and so is the length of a text that is escaped character by character.
pub type Count = fn(&str) -> usize;

/// Unicode code points.
pub fn characters(text: &str) -> usize {
    text.chars().count()
}

/// UTF-16 code units, as channels count whose server is written in Java, C# or JavaScript.
pub fn utf16_units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Bytes of UTF-8.
pub fn bytes(text: &str) -> usize {
    text.len()
}

/// `text` with a count of at most `limit`; as it is, if it fits. `journal` holds the lines of the log that stand in it.
///
/// What goes first: the log's oldest lines; then what follows the log, and what stands before it, from the end of each. The
/// first line and the log's last one stay, each shortened in its middle if need be. Where lines went, a line says how many.
pub fn fit(text: &str, journal: &str, limit: usize, count: Count) -> String {
    if count(text) <= limit {
        return text.to_owned();
    }
    let whole: Vec<String> = text.lines().map(str::to_owned).collect();
    let log = log_of(&whole, journal);
    let older = log.len().saturating_sub(1);
    let fits = |lines: &[String], gone: &[usize]| Some(render(lines, &log, gone)).filter(|text| count(text) <= limit);
    let order = order(whole.len(), &log);
    if let Some(text) = fewest(older, |gone| fits(&whole, &order[..gone])) {
        return text;
    }
    // A line that takes more than a third would leave no room for the others.
    let short: Vec<String> = whole.iter().map(|line| shorten(line, limit / 3, count)).collect();
    fewest(order.len(), |gone| fits(&short, &order[..gone]))
        .unwrap_or_else(|| shorten(whole.first().map_or("", String::as_str), limit, count))
}

/// One line with a count of at most `limit`: of a longer one the beginning and, three times as much, the end.
pub fn shorten(line: &str, limit: usize, count: Count) -> String {
    const MARK: &str = " [...] ";
    if count(line) <= limit {
        return line.to_owned();
    }
    let Some(room) = limit.checked_sub(count(MARK)).filter(|room| *room >= 8) else {
        return line[..head(line, limit, count)].to_owned();
    };
    let end = head(line, room / 4, count);
    let start = tail(line, room - room / 4, count);
    format!("{}{MARK}{}", &line[..end], &line[start..])
}

/// Where in the text the log stands: its lines, one after the other, maybe indented.
fn log_of(lines: &[String], journal: &str) -> Range<usize> {
    let wanted: Vec<&str> = journal.lines().map(str::trim).collect();
    if wanted.is_empty() {
        return 0..0;
    }
    let found = lines.windows(wanted.len()).position(|some| some.iter().map(|line| line.trim()).eq(wanted.iter().copied()));
    found.map_or(0..0, |start| start..start + wanted.len())
}

/// The lines that may go, in the order in which they go.
fn order(lines: usize, log: &Range<usize>) -> Vec<usize> {
    let older = log.start..log.end.saturating_sub(1).max(log.start);
    if log.is_empty() {
        return (1..lines).rev().collect();
    }
    // the log's title stays longest
    let before = (1..log.start.saturating_sub(1)).rev().chain((log.start > 1).then(|| log.start - 1));
    older.chain((log.end..lines).rev()).chain(before).collect()
}

/// What `made` makes of the smallest number up to `most` with which it makes something. (Near it, a line that goes may be
/// shorter than the one that says so: then it is one of the smallest.)
fn fewest(most: usize, made: impl Fn(usize) -> Option<String>) -> Option<String> {
    let mut best = made(most)?;
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = usize::midpoint(low, high);
        match made(middle) {
            Some(text) => (best, high) = (text, middle),
            None => low = middle + 1,
        }
    }
    Some(best)
}

fn render(lines: &[String], log: &Range<usize>, gone: &[usize]) -> String {
    let mut kept = vec![true; lines.len()];
    for line in gone {
        kept[*line] = false;
    }
    let mut shown: Vec<String> = Vec::new();
    let mut missing = 0;
    for (number, line) in lines.iter().enumerate() {
        missing += usize::from(!kept[number]);
        let ends = kept.get(number + 1).is_none_or(|kept| *kept) || number + 1 == log.start || number + 1 == log.end;
        if !kept[number] && ends {
            let indent: String = line.chars().take_while(|c| *c == ' ').collect();
            let earlier = if log.contains(&number) { "earlier " } else { "" };
            let s = if missing == 1 { "" } else { "s" };
            shown.push(format!("{indent}[{missing} {earlier}line{s} left out]"));
            missing = 0;
        } else if kept[number] {
            shown.push(line.clone());
        }
    }
    shown.join("\n")
}

/// How many bytes of the beginning count at most `room`.
fn head(line: &str, room: usize, count: Count) -> usize {
    let mut left = room;
    let mut end = 0;
    for (at, c) in line.char_indices() {
        let Some(rest) = left.checked_sub(count_of(c, count)) else { break };
        left = rest;
        end = at + c.len_utf8();
    }
    // not between a letter and its accents
    let next = |at: usize| line[at..].chars().next().is_some_and(joins);
    while end > 0 && next(end) {
        end = line[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    }
    end
}

/// From which byte on the end counts at most `room`.
fn tail(line: &str, room: usize, count: Count) -> usize {
    let mut left = room;
    let mut start = line.len();
    for (at, c) in line.char_indices().rev() {
        let Some(rest) = left.checked_sub(count_of(c, count)) else { break };
        left = rest;
        start = at;
    }
    line[start..].char_indices().find(|(_, c)| !joins(*c)).map_or(line.len(), |(at, _)| start + at)
}

fn count_of(c: char, count: Count) -> usize {
    count(c.encode_utf8(&mut [0; 4]))
}

/// Characters that belong to the one before them: accents, variation selectors, skin tones, joiners. (Unicode has more;
/// those that are common in logs are here.)
fn joins(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200d}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}'
        | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "a failed.\n\nHost  web1\nUnit  a\n\nThe last lines:\n    one\n    two\n    three\n    four\n\nTo look further:\n    systemctl\n";
    const LOG: &str = "one\ntwo\nthree\nfour\n";

    #[test]
    fn the_oldest_lines_of_the_log_go_first_and_its_last_stays() {
        let most = TEXT.len();
        assert_eq!(fit(TEXT, LOG, most, characters), TEXT);
        let text = "first\n    11111111111111111111\n    22222222222222222222\n    333333333333333\n    4\nend\n";
        let log = "11111111111111111111\n22222222222222222222\n333333333333333\n4";
        assert_eq!(fit(text, log, 66, characters), "first\n    [2 earlier lines left out]\n    333333333333333\n    4\nend");
        assert_eq!(fit(text, log, 50, characters), "first\n    [3 earlier lines left out]\n    4\nend");
    }

    #[test]
    fn then_what_follows_the_log_and_what_stands_before_it() {
        let text = "first\nbefore 1 and some more words\nbefore 2 and some more words\ntitle\n    log log\nafter 1 and some more words\nafter 2 and some more words\n";
        for (limit, expected) in [
            (120, "first\nbefore 1 and some more words\nbefore 2 and some more words\ntitle\n    log log\n[2 lines left out]"),
            (90, "first\nbefore 1 and some more words\n[1 line left out]\ntitle\n    log log\n[2 lines left out]"),
            (75, "first\n[2 lines left out]\ntitle\n    log log\n[2 lines left out]"),
            (56, "first\n[3 lines left out]\n    log log\n[2 lines left out]"),
        ] {
            assert_eq!(fit(text, "log log\n", limit, characters), expected, "{limit}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_loses_its_middle() {
        let log = format!("begin {} the end", "x".repeat(1_000_000));
        let text = format!("a failed.\n\nlast:\n    {log}\n");
        let fitted = fit(&text, &log, 300, characters);
        assert!(fitted.starts_with("a failed.\n\nlast:\n    begin x") && fitted.ends_with("x the end"), "{fitted}");
        assert_eq!(shorten(&"0123456789".repeat(4), 19, characters), "012 [...] 123456789");
        assert_eq!(shorten("0123456789", 4, characters), "0123");
        assert_eq!(shorten("a\u{301}b", 1, characters), "");
        assert_eq!(shorten("a\u{301}b", 2, characters), "a\u{301}");
        assert_eq!(shorten("😀😀", 3, utf16_units), "😀");
        assert_eq!(shorten("😀😀", 7, bytes), "😀");
    }

    proptest! {
        #[test]
        fn never_over_the_limit_and_the_end_of_the_log_is_kept(
            before in proptest::collection::vec(".{0,60}", 0..8), log in proptest::collection::vec("\\PC{1,80}", 0..30),
            after in proptest::collection::vec(".{0,60}", 0..8), limit in 0..1500_usize, unit in 0..3_usize,
        ) {
            let count = [characters, utf16_units, bytes][unit];
            let log: Vec<String> = log.iter().enumerate().map(|(number, line)| format!("<{number}> {line}")).collect();
            let lines = before.iter().cloned().chain(log.iter().map(|line| format!("    {line}"))).chain(after.iter().cloned());
            let text: String = lines.map(|line| line + "\n").collect();
            let fitted = fit(&text, &log.join("\n"), limit, count);
            prop_assert!(count(&fitted) <= limit, "{} of {limit}: {fitted}", count(&fitted));
            if count(&text) <= limit {
                prop_assert_eq!(fitted, text);
            } else if limit >= 200 && !log.is_empty() {
                let kept: Vec<bool> = (0..log.len()).map(|number| fitted.contains(&format!("    <{number}> "))).collect();
                // those that are kept are the last, with nothing missing between them
                prop_assert!(kept[log.len() - 1] && kept.is_sorted(), "{kept:?}\n{fitted}");
            }
        }
    }
}
