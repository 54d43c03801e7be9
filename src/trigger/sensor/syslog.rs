//! Lines of log files, as syslog servers write them: "Nov 21 03:12:26 host sshd[7]: text" (RFC 3164), or with a time as
//! "2026-11-21T03:12:26.123456+01:00" (RFC 3339), which rsyslog of Debian 12 and later writes.

use chrono::{DateTime, Datelike, Local, NaiveDateTime, TimeDelta, TimeZone, Utc};

/// One line. What stands in it anybody may have written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The program: "sshd".
    pub program: &'a str,
    /// Its process, if the line says.
    pub process: Option<u32>,
    /// What it wrote.
    pub text: &'a str,
}

/// Reads a line; `None` when it is none.
pub(super) fn parse(line: &str, now: DateTime<Utc>) -> Option<Line<'_>> {
    let (at, rest) = time(line, now)?;
    let (_host, rest) = rest.trim_start().split_once(' ')?;
    let (tag, text) = rest.split_once(':')?;
    let (program, process) = match tag.split_once('[') {
        Some((program, process)) => (program, process.strip_suffix(']').and_then(|number| number.parse().ok())),
        None => (tag, None),
    };
    let is_name = !program.is_empty() && !program.contains(char::is_whitespace);
    is_name.then_some(Line { at, program, process, text: text.strip_prefix(' ').unwrap_or(text) })
}

fn time(line: &str, now: DateTime<Utc>) -> Option<(DateTime<Utc>, &str)> {
    if line.starts_with(|first: char| first.is_ascii_digit()) {
        let (time, rest) = line.split_once(' ')?;
        return Some((DateTime::parse_from_rfc3339(time).ok()?.to_utc(), rest));
    }
    let (time, rest) = line.split_at_checked("Nov 21 03:12:26".len())?;
    // it does not say the year: that of the nearest such day before tomorrow
    let year = (now + TimeDelta::days(1)).with_timezone(&Local).year();
    let of_year = |year: i32| {
        let shown = NaiveDateTime::parse_from_str(&format!("{year} {time}"), "%Y %b %e %H:%M:%S").ok()?;
        Local.from_local_datetime(&shown).earliest().map(|at| at.to_utc())
    };
    let at = of_year(year).filter(|at| *at <= now + TimeDelta::days(1)).or_else(|| of_year(year - 1))?;
    Some((at, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_lines_and_what_is_none() {
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        let local = |text: &str| {
            let shown = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap();
            Local.from_local_datetime(&shown).earliest().unwrap().to_utc()
        };
        let line = |at, program, process, text| Some(Line { at, program, process, text });
        for (text, expected) in [
            ("Jan  1 03:12:26 host sshd[7]: a: b", line(local("2026-01-01 03:12:26"), "sshd", Some(7), "a: b")),
            ("Dec 31 03:12:26 host kernel: [ 1.5] x", line(local("2025-12-31 03:12:26"), "kernel", None, "[ 1.5] x")),
            (
                "2026-01-01T01:02:03.5+01:00 host sshd-session[8]: x",
                line("2026-01-01T00:02:03.5Z".parse().unwrap(), "sshd-session", Some(8), "x"),
            ),
            ("Jan  1 03:12:26 host x[y]:z", line(local("2026-01-01 03:12:26"), "x", None, "z")),
            ("Feb 30 03:12:26 host sshd[7]: x", None),
            ("2026-13-01T01:02:03Z host sshd[7]: x", None),
            ("Jan  1 03:12:26 host", None),
            ("Jan  1 03:12:26 host no colon", None),
            ("Jan  1 03:12:26 host two words: x", None),
            ("Jan  1 03:12:26  : x", None),
            ("Jan  1 03:12:2ä host sshd[7]: x", None),
            ("9", None),
            ("", None),
            ("ä", None),
        ] {
            assert_eq!(parse(text, now), expected, "{text}");
        }
    }
}
