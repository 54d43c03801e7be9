//! What a plugin of the convention says: "TEXT | PERFORMANCE DATA", then more lines of text, and after another "|" more data.

use crate::event::Unit;

/// What it says. Hostile, all of it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Output {
    /// Lines for people.
    pub lines: Vec<String>,
    /// What it measured.
    pub figures: Vec<Figure>,
    /// So many more there were.
    pub left_out: usize,
}

/// One of its performance data.
#[derive(Debug, PartialEq)]
pub(super) struct Figure {
    /// Its name.
    pub label: String,
    /// In seconds, bytes, percent, or as it is.
    pub value: f64,
    /// What it counts.
    pub unit: Unit,
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
fn figures(data: &str, found: &mut Vec<Figure>) -> usize {
    let mut left_out = 0;
    let mut rest = data.trim_start();
    while !rest.is_empty() {
        let Some((label, after)) = label(rest) else { break };
        let (value, next) = after.split_at(after.find(char::is_whitespace).unwrap_or(after.len()));
        let is_name = !label.is_empty() && label.chars().count() <= LABEL && !label.contains(char::is_control);
        if let Some((value, unit)) = figure(value.split(';').next().unwrap_or_default())
            && is_name
            && found.iter().all(|known| known.label != label)
        {
            if found.len() < FIGURES {
                found.push(Figure { label, value, unit });
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

/// "5MB": a number as C writes it, and what it counts, in the base of that: seconds, bytes. The convention's units (its guidelines,
/// "Performance data") are none, `s` `ms` `us`, `%`, `B` `KB` `MB` `TB`, and `c`, a counter that only grows; the others are those that
/// Icinga adds, whose kilobytes are 1000 bytes and kibibytes 1024.
fn figure(text: &str) -> Option<(f64, Unit)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (factor, unit) = match unit {
        "" => (1.0, Unit::Number),
        "%" => (1.0, Unit::Percent),
        "c" => (1.0, Unit::Count),
        "s" => (1.0, Unit::Seconds),
        "ms" => (1e3, Unit::Seconds),
        "us" => (1e6, Unit::Seconds),
        "ns" => (1e9, Unit::Seconds),
        "B" => (1.0, Unit::Bytes),
        "kB" | "KB" => (1e3, Unit::Bytes),
        "MB" => (1e6, Unit::Bytes),
        "GB" => (1e9, Unit::Bytes),
        "TB" => (1e12, Unit::Bytes),
        "PB" => (1e15, Unit::Bytes),
        "KiB" => (1024.0, Unit::Bytes),
        "MiB" => (1024.0 * 1024.0, Unit::Bytes),
        "GiB" => (1024.0 * 1024.0 * 1024.0, Unit::Bytes),
        "TiB" => (1024.0 * 1024.0 * 1024.0 * 1024.0, Unit::Bytes),
        // what it counts is its own business; but a number cut in two is none ("1,5", "1e5")
        unit if unit.chars().all(char::is_alphabetic) && !unit.starts_with(['e', 'E']) => (1.0, Unit::Number),
        _ => return None,
    };
    let number = number.parse::<f64>().ok()?;
    // a division by 1000 is exact to the last digit, and a thousandth is not
    let value = if matches!(&text[end..], "ms" | "us" | "ns") { number / factor } else { number * factor };
    value.is_finite().then_some((value, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(unit: Unit) -> &'static str {
        match unit {
            Unit::Number => "",
            Unit::Seconds => "s",
            Unit::Bytes => "B",
            Unit::Percent => "%",
            _ => "c",
        }
    }

    fn told(text: &str) -> String {
        let Output { lines, figures, .. } = Output::read(text.as_bytes());
        let figures: Vec<String> = figures.iter().map(|one| format!("{}={}{}", one.label, one.value, shown(one.unit))).collect();
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
                "DISK OK - free space: / 3326 MB (56%); | /=2771386368B",
            ),
            ("PING OK|rta=0.5ms;1;2 pl=0%;1;2;0;100", "PING OK | rta=0.0005s pl=0%"),
            ("A | a=1\nsecond\nthird | b=2\nc=3 d=4\n", "A / second / third | a=1 b=2 c=3 d=4"),
            ("X|'a b'=1 'it''s'=2;;; 'a=b'=3us", "X | a b=1 it's=2 a=b=0.000003s"),
            ("X|a=U b=1 b=2 c=-0.5 d=.5", "X | b=1 c=-0.5 d=0.5"),
            ("X|a=1,5 b=1e5 c=--1 d=1.2.3 e= f", "X | "),
            ("X|a=1,5 =7 'x=1 b=2", "X | "),
            ("X|g=9rpm h=10C", "X | g=9 h=10"),
            (
                "X|time=0.01s size=12MB used=83% t=1500ms c=7c u=25us g=4GB",
                "X | time=0.01s size=12000000B used=83% t=1.5s c=7c u=0.000025s g=4000000000B",
            ),
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
        assert!(output.figures.iter().all(|one| one.label.len() <= 64));
        assert_eq!(Output::read(b"\xff\0\x1b[2J|\xff=1 \0=2").figures[0].label, "\u{fffd}");
        assert_eq!(Output::text(b"half | a=1"), Output { lines: vec!["half".into()], ..Output::default() });
    }
}
