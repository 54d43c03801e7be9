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
/// What goes first: the service manager's lines that every failure has, which say again what the message says; then the log's
/// oldest lines but for the last five; then what follows the log; then the others of the log, and what stands before it, from
/// its end. The first line and the log's last one stay, each shortened in its middle if need be. Where lines went, a line says
/// how many, but for those of the manager.
pub fn fit(text: &str, journal: &str, limit: usize, count: Count) -> String {
    if count(text) <= limit {
        return text.to_owned();
    }
    let whole: Vec<String> = text.lines().map(str::to_owned).collect();
    let log = Log::of(&whole, journal);
    let fits = |lines: &[String], gone: &[usize]| Some(render(lines, &log, gone)).filter(|text| count(text) <= limit);
    let (order, free) = order(whole.len(), &log);
    if let Some(text) = fewest(free, |gone| fits(&whole, &order[..gone])) {
        return text;
    }
    // A line that takes more than a third would leave no room for the others.
    let short: Vec<String> = whole.iter().map(|line| shorten(line, limit / 3, count)).collect();
    let fitted = fewest(order.len(), |gone| fits(&short, &order[..gone]));
    // where the lines about what is missing take too much, without these
    let ends = || short.iter().enumerate().filter(|(line, _)| !order.contains(line)).map(|(_, text)| text.as_str());
    let bare = || Some(ends().collect::<Vec<_>>().join("\n")).filter(|text| count(text) <= limit);
    fitted.or_else(bare).unwrap_or_else(|| shorten(whole.first().map_or("", String::as_str), limit, count))
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

/// Whether `title` has all words of this text: whoever has read it need not read the text.
pub fn repeats(text: &str, title: &str) -> bool {
    let bare = |word: &'_ str| word.trim_matches(['.', ',', ':', ';']).to_owned();
    let known: Vec<String> = title.split_whitespace().map(bare).collect();
    text.split_whitespace().map(bare).all(|word| known.contains(&word))
}

/// The log within the text.
struct Log {
    lines: Range<usize>,
    /// Those of its lines that every failure has; none, where it has no others.
    common: Vec<usize>,
}

impl Log {
    /// Where its lines stand one after the other, maybe indented.
    fn of(text: &[String], journal: &str) -> Log {
        let wanted: Vec<&str> = journal.lines().map(str::trim).collect();
        let is_it = |some: &[String]| some.iter().map(|line| line.trim()).eq(wanted.iter().copied());
        let found = if wanted.is_empty() { None } else { text.windows(wanted.len()).position(is_it) };
        let lines = found.map_or(0..0, |start| start..start + wanted.len());
        let common: Vec<usize> = lines.clone().filter(|line| is_common(&text[*line])).collect();
        let common = if common.len() == lines.len() { Vec::new() } else { common };
        Log { lines, common }
    }
}

/// Whether the service manager says in this line of a log, "03:12:26 systemd: ...", what it says of each unit that fails. The
/// result and the exit status stand in the message's own words.
fn is_common(line: &str) -> bool {
    const COMMON: [&str; 10] = [
        "Consumed ",
        "Control process exited, ",
        "Failed to start ",
        "Failed with result ",
        "Main process exited, ",
        "Scheduled restart job, ",
        "Started ",
        "Starting ",
        "Stopped ",
        "Triggering OnFailure= dependencies",
    ];
    let said = line.trim().split_once(' ').and_then(|(_, rest)| rest.strip_prefix("systemd: "));
    // with the unit's name before it, or without
    said.is_some_and(|said| {
        let rest = said.split_once(": ").map_or(said, |(_, rest)| rest);
        COMMON.iter().any(|common| said.starts_with(common) || rest.starts_with(common))
    })
}

/// So many of the log's last lines are worth more than what follows the log.
const WORTH_MORE: usize = 5;

/// The lines that may go, in the order in which they go, and how many of them before any other is made shorter.
fn order(lines: usize, log: &Log) -> (Vec<usize>, usize) {
    let at = &log.lines;
    if at.is_empty() {
        return ((1..lines).rev().collect(), 0);
    }
    let mut own: Vec<usize> = at.clone().filter(|line| !log.common.contains(line)).collect();
    own.pop();
    let last = own.split_off(own.len().saturating_sub(WORTH_MORE - 1));
    let free = log.common.len() + own.len() + (lines - at.end) + last.len();
    // the log's title stays longest
    let before = (1..at.start.saturating_sub(1)).rev().chain((at.start > 1).then(|| at.start - 1));
    let order = log.common.iter().copied().chain(own).chain((at.end..lines).rev()).chain(last).chain(before);
    (order.collect(), free)
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

fn render(lines: &[String], log: &Log, gone: &[usize]) -> String {
    let mut kept = vec![true; lines.len()];
    for line in gone {
        kept[*line] = false;
    }
    let mut shown: Vec<String> = Vec::new();
    let mut missing = 0;
    for (number, line) in lines.iter().enumerate() {
        if kept[number] {
            shown.push(line.clone());
            continue;
        }
        missing += usize::from(!log.common.contains(&number));
        let next = number + 1;
        let ends = kept.get(next).is_none_or(|kept| *kept) || next == log.lines.start || next == log.lines.end;
        if ends && missing > 0 {
            let indent: String = line.chars().take_while(|c| *c == ' ').collect();
            let earlier = if log.lines.contains(&number) { "earlier " } else { "" };
            let s = if missing == 1 { "" } else { "s" };
            shown.push(format!("{indent}[{missing} {earlier}line{s} left out]"));
            missing = 0;
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
        let log: Vec<String> = (1..=9).map(|line| line.to_string().repeat(20)).collect();
        let text = format!("first\n    {}\nthe end, which is long enough\n", log.join("\n    "));
        let lines = |first: usize| format!("    {}\n", log[first - 1..].join("\n    "));
        for (limit, expected) in [
            (230, format!("first\n    [3 earlier lines left out]\n{}the end, which is long enough", lines(4))),
            (200, format!("first\n    [4 earlier lines left out]\n{}the end, which is long enough", lines(5))),
            // the last five are worth more than what follows
            (190, format!("first\n    [4 earlier lines left out]\n{}[1 line left out]", lines(5))),
            (160, format!("first\n    [5 earlier lines left out]\n{}[1 line left out]", lines(6))),
            (90, format!("first\n    [8 earlier lines left out]\n{}[1 line left out]", lines(9))),
        ] {
            assert_eq!(fit(&text, &log.join("\n"), limit, characters), expected, "{limit}");
        }
    }

    /// What every failure has goes before anything that only this one has, and nobody misses it.
    #[test]
    fn the_managers_usual_lines_go_first() {
        let log = "03:12:20 systemd: Starting backup.service - Back up...\n03:12:26 backup: 1 of 9\n03:12:26 backup: FATAL: no key\n\
            03:12:26 systemd: backup.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED\n\
            03:12:26 systemd: backup.service: Failed with result 'exit-code'.\n\
            03:12:26 systemd: Failed to start backup.service - Back up.\n\
            03:12:26 systemd: backup.service: Triggering OnFailure= dependencies.\n";
        let block: String = log.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!(
            "backup.service failed.\n\nThe run's last lines:\n{block}\nTo look further:\n    systemctl status backup.service\n"
        );
        let own = "    03:12:26 backup: 1 of 9\n    03:12:26 backup: FATAL: no key\n";
        let expected = format!(
            "backup.service failed.\n\nThe run's last lines:\n{own}\nTo look further:\n    systemctl status backup.service"
        );
        assert_eq!(fit(&text, log, 180, characters), expected);
        let expected = format!("backup.service failed.\n\nThe run's last lines:\n{own}    [3 lines left out]");
        assert_eq!(fit(&text, log, 131, characters), expected);
        // no more of them than need be, and what says more than that stays
        assert!(fit(&text, log, text.len() - 5, characters).contains("Failed with result"));
        let only = "03:12:26 systemd: backup.service: Failed to locate executable /usr/bin/bakcup: No such file or directory\n\
            03:12:26 systemd: backup.service: Failed at step EXEC spawning /usr/bin/bakcup: No such file or directory\n\
            03:12:26 systemd: backup.service: Failed with result 'exit-code'.\n";
        let text = format!("backup.service failed.\n{}", only.lines().map(|line| format!("    {line}\n")).collect::<String>());
        assert!(
            fit(&text, only, 260, characters)
                .ends_with("Failed at step EXEC spawning /usr/bin/bakcup: No such file or directory")
        );
        // where there are no others they stay
        let only = "03:12:26 systemd: a.service: Failed with result 'timeout'.\n03:12:26 systemd: Failed to start a.service.\n";
        let text = format!("a.service failed.\n{}", only.lines().map(|line| format!("    {line}\n")).collect::<String>());
        assert!(fit(&text, only, 105, characters).ends_with("Failed to start a.service."));
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
