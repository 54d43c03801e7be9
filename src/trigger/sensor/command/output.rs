//! What a plugin of the convention says: "TEXT | PERFORMANCE DATA", then more lines of text, and after another "|" more data.

/// What it says. Hostile, all of it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Output {
    /// Lines for people.
    pub lines: Vec<String>,
    /// Labels and their values in seconds, bytes, percent, or as they are.
    pub figures: Vec<(String, f64)>,
    /// So many more there were.
    pub left_out: usize,
}

/// So many lines are shown, and of each so many characters.
const LINES: usize = 5;
const LINE: usize = 300;
/// So many figures are taken; a longer label is none.
pub(super) const FIGURES: usize = 100;
const LABEL: usize = 64;

impl Output {
    pub(super) fn read(bytes: &[u8]) -> Output {
        let text = String::from_utf8_lossy(bytes);
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let (text, data) = first.split_once('|').unwrap_or((first, ""));
        let (more, more_data) = rest.split_once('|').unwrap_or((rest, ""));
        let (mut figures, mut left_out) = (Vec::new(), 0);
        for data in [data, more_data] {
            left_out += self::figures(data, &mut figures);
        }
        Output { lines: lines(text).chain(lines(more)).take(LINES).collect(), figures, left_out }
    }

    /// The same of a program that did not come to its end.
    pub(super) fn text(bytes: &[u8]) -> Output {
        Output { figures: Vec::new(), left_out: 0, ..Output::read(bytes) }
    }
}

fn lines(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.chars().take(LINE).collect())
}

/// "'label one'=5MB;10;20;0;100 other=1.5s": what is no figure is passed over. How many there are beyond those that are taken.
fn figures(data: &str, found: &mut Vec<(String, f64)>) -> usize {
    let mut left_out = 0;
    let mut rest = data.trim_start();
    while !rest.is_empty() {
        let Some((label, after)) = label(rest) else { break };
        let (value, next) = after.split_at(after.find(char::is_whitespace).unwrap_or(after.len()));
        let is_name = !label.is_empty() && label.chars().count() <= LABEL && !label.contains(char::is_control);
        if let Some(value) = figure(value.split(';').next().unwrap_or_default())
            && is_name
            && found.iter().all(|(known, _)| *known != label)
        {
            if found.len() < FIGURES {
                found.push((label, value));
            } else {
                left_out += 1;
            }
        }
        rest = next.trim_start();
    }
    left_out
}

/// A label and what follows its "=". In quotes it may hold anything; a quote is written twice then.
fn label(rest: &str) -> Option<(String, &str)> {
    let Some(quoted) = rest.strip_prefix('\'') else {
        let (label, after) = rest.split_once('=')?;
        return Some((label.to_owned(), after));
    };
    let mut label = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('\'')?;
        label += part;
        match after.strip_prefix('\'') {
            Some(more) => {
                label.push('\'');
                rest = more;
            }
            None => return Some((label, after.strip_prefix('=')?)),
        }
    }
}

/// "5MB": a number as C writes it, and what it counts (Icinga's table: kilobytes are 1000 bytes, kibibytes 1024).
fn figure(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" | "%" | "s" | "B" | "c" => 1.0,
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "PB" => 1e15,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        // what it counts is its own business; but a number cut in two is none ("1,5", "1e5")
        unit if unit.chars().all(char::is_alphabetic) && !unit.starts_with(['e', 'E']) => 1.0,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * factor;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let Output { lines, figures, .. } = Output::read(text.as_bytes());
        let figures: Vec<String> = figures.iter().map(|(label, value)| format!("{label}={value}")).collect();
        format!("{} | {}", lines.join(" / "), figures.join(" "))
    }

    #[test]
    fn texts_and_figures_of_plugins() {
        for (text, expected) in [
            (
                "OK - load average: 0.04, 0.02, 0.00|load1=0.040;5.000;10.000;0; load5=0.020;4.000;6.000;0; load15=0.000;3;4;0;\n",
                "OK - load average: 0.04, 0.02, 0.00 | load1=0.04 load5=0.02 load15=0",
            ),
            (
                "DISK OK - free space: / 3326 MB (56%); | /=2643MiB;5948;5958;0;5968",
                "DISK OK - free space: / 3326 MB (56%); | /=2771386368",
            ),
            ("PING OK|rta=0.5ms;1;2 pl=0%;1;2;0;100", "PING OK | rta=0.0005 pl=0"),
            ("A | a=1\nsecond\nthird | b=2\nc=3 d=4\n", "A / second / third | a=1 b=2 c=3 d=4"),
            ("X|'a b'=1 'it''s'=2;;; 'a=b'=3us", "X | a b=1 it's=2 a=b=0.000003"),
            ("X|a=U b=1 b=2 c=-0.5 d=.5", "X | b=1 c=-0.5 d=0.5"),
            ("X|a=1,5 b=1e5 c=--1 d=1.2.3 e= f", "X | "),
            ("X|a=1,5 =7 'x=1 b=2", "X | "),
            ("X|g=9rpm h=10C", "X | g=9 h=10"),
            ("| a=1", " | a=1"),
            ("", " | "),
            ("\n\n  \n", " | "),
            ("'", "' | "),
            ("X|'", "X | "),
            ("X|''=1", "X | "),
            ("X|=|=|'='='", "X | "),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn a_flood_is_bounded() {
        let many: String = (0..5000).map(|number| format!("f{number}=1 ")).collect();
        let long = format!("{}\n{}|{}=1 {many}", "x".repeat(9999), "line\n".repeat(99), "l".repeat(65));
        let output = Output::read(long.as_bytes());
        assert_eq!((output.lines.len(), output.lines[0].len(), output.figures.len(), output.left_out), (5, 300, 100, 4900));
        assert!(output.figures.iter().all(|(label, _)| label.len() <= 64));
        assert_eq!(Output::read(b"\xff\0\x1b[2J|\xff=1 \0=2").figures, [("\u{fffd}".to_owned(), 1.0)]);
        assert_eq!(Output::text(b"half | a=1"), Output { lines: vec!["half".into()], ..Output::default() });
    }
}
