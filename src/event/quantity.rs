//! What is measured: its unit, as people write it and as they read it.

use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a measured value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Of a hundred.
    Percent,
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// Seconds.
    Seconds,
    /// Nothing in particular.
    Number,
    /// 1: yes; 0: no.
    Flag,
}

/// The sizes that people write, the largest first.
const SIZES: [(&str, f64); 10] = [
    ("TiB", 1024.0 * 1024.0 * 1024.0 * 1024.0),
    ("GiB", 1024.0 * 1024.0 * 1024.0),
    ("MiB", 1024.0 * 1024.0),
    ("KiB", 1024.0),
    ("TB", 1e12),
    ("GB", 1e9),
    ("MB", 1e6),
    ("kB", 1e3),
    ("KB", 1e3),
    ("B", 1.0),
];

impl Unit {
    /// Its word in a list of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Percent => "%",
            Unit::Bytes => "bytes",
            Unit::Count => "count",
            Unit::Seconds => "seconds",
            Unit::Number => "number",
            Unit::Flag => "0 or 1",
        }
    }

    /// Its name for programs, as it is stored, too.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Percent => "percent",
            Unit::Bytes => "bytes",
            Unit::Count => "count",
            Unit::Seconds => "seconds",
            Unit::Number => "number",
            Unit::Flag => "flag",
        }
    }

    /// A value of this unit for people: "95.0 %", "4.7 GiB", "10m".
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Percent => format!("{} %", short(value, 1)),
            Unit::Bytes => bytes(value),
            Unit::Count => short(value, 0),
            Unit::Seconds if (1.0..1e12).contains(&value) && value.fract() == 0.0 => {
                humantime::format_duration(Duration::from_secs_f64(value)).to_string()
            }
            Unit::Seconds => format!("{} s", short(value, 3)),
            Unit::Number => short(value, 2),
            Unit::Flag if value == 0.0 => "no".to_owned(),
            Unit::Flag => "yes".to_owned(),
        }
    }

    /// A limit of this unit for people, as they would write it: "90 %".
    pub fn show_limit(self, limit: f64) -> String {
        match self {
            Unit::Percent if limit.fract() == 0.0 => format!("{} %", short(limit, 0)),
            Unit::Flag => short(limit, 0),
            _ => self.show(limit),
        }
    }

    /// What a person wrote: "90" in any unit, "90%", "5GiB", "10min" in their own.
    pub fn read(self, text: &str) -> Option<f64> {
        let (value, unit) = quantity(text)?;
        unit.is_none_or(|unit| unit == self).then_some(value)
    }
}

/// A quantity as a person writes it, with the unit that stands behind its number, if one does. It is finite.
pub fn quantity(text: &str) -> Option<(f64, Option<Unit>)> {
    let text = text.trim();
    let number = |digits: &str| digits.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    if let Some(value) = number(text) {
        return Some((value, None));
    }
    if let Some(digits) = text.strip_suffix('%') {
        return Some((number(digits)?, Some(Unit::Percent)));
    }
    for (word, size) in SIZES {
        if let Some(value) = text.strip_suffix(word).and_then(number) {
            return Some((value * size, Some(Unit::Bytes)));
        }
    }
    let time = humantime::parse_duration(text).ok()?;
    Some((time.as_secs_f64(), Some(Unit::Seconds)))
}

/// From here on nobody reads the digits of a number.
const LONG: f64 = 1e15;

/// With at most so many digits behind the point, and one at least where it is not whole.
fn short(value: f64, digits: usize) -> String {
    if value.abs() >= LONG {
        format!("{value:e}")
    } else if value.fract() == 0.0 && digits != 1 {
        format!("{value:.0}")
    } else {
        format!("{value:.digits$}")
    }
}

fn bytes(value: f64) -> String {
    let fits = SIZES.iter().take(4).find(|(_, size)| value.abs() >= *size);
    fits.map_or_else(|| format!("{value:.0} B"), |(word, size)| format!("{} {word}", short(value / size, 1)))
}

/// "1 alert", "3 alerts".
pub fn counted(number: impl Display + PartialEq + From<u8>, noun: &str) -> String {
    let ending = if number == 1.into() { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// The verb behind a number: "1 alert is", "3 alerts are".
pub fn is_or_are(number: impl PartialEq + From<u8>) -> &'static str {
    if number == 1.into() { "is" } else { "are" }
}

/// "once", "3 times".
pub fn times(number: u64) -> String {
    if number == 1 { "once".to_owned() } else { format!("{number} times") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_people_write_them() {
        let gib = 1024.0 * 1024.0 * 1024.0;
        for (text, expected) in [
            ("90", Some((90.0, None))),
            ("-1.5", Some((-1.5, None))),
            ("90%", Some((90.0, Some(Unit::Percent)))),
            ("99.5 %", Some((99.5, Some(Unit::Percent)))),
            ("5GiB", Some((5.0 * gib, Some(Unit::Bytes)))),
            ("5 GB", Some((5e9, Some(Unit::Bytes)))),
            ("512B", Some((512.0, Some(Unit::Bytes)))),
            ("10min", Some((600.0, Some(Unit::Seconds)))),
            ("1h 30m", Some((5400.0, Some(Unit::Seconds)))),
            ("much", None),
            ("inf", None),
            ("NaN", None),
            ("%", None),
            ("", None),
        ] {
            assert_eq!(quantity(text), expected, "{text}");
        }
        assert_eq!((Unit::Percent.read("5GiB"), Unit::Bytes.read("5"), Unit::Percent.read("5%")), (None, Some(5.0), Some(5.0)));
    }

    #[test]
    fn values_are_shown_as_people_read_them() {
        for (unit, value, expected) in [
            (Unit::Percent, 95.0, "95.0 %"),
            (Unit::Percent, 99.97, "100.0 %"),
            (Unit::Bytes, 5_046_586_572.8, "4.7 GiB"),
            (Unit::Bytes, 512.0, "512 B"),
            (Unit::Count, 3.0, "3"),
            (Unit::Seconds, 600.0, "10m"),
            (Unit::Seconds, 0.25, "0.250 s"),
            (Unit::Seconds, 1e308, "1e308 s"),
            (Unit::Bytes, 1e308, "9.094947017729282e295 TiB"),
            (Unit::Percent, -1e308, "-1e308 %"),
            (Unit::Number, 1e308, "1e308"),
            (Unit::Count, 123_456_789_012_345.0, "123456789012345"),
            (Unit::Number, 4.2, "4.20"),
            (Unit::Number, 4.0, "4"),
            (Unit::Flag, 1.0, "yes"),
        ] {
            assert_eq!(unit.show(value), expected);
            assert!(unit.show_limit(value).len() < 30, "{}", unit.show_limit(value));
        }
    }
}
