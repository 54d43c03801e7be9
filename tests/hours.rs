//! Hours of the week on days on which clocks change: `quiet` and a method's `hours` go by the clock on the wall.
#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Local, TimeZone, Utc};
use sysalert::config::Hours;

fn local(text: &str) -> String {
    let at: DateTime<Utc> = text.parse().unwrap();
    at.with_timezone(&Local).format("%a %d %H:%M %Z%:z").to_string()
}

/// When these hours end, if it is one of them then.
fn until(hours: &str, now: &str) -> Option<String> {
    let end = Hours::parse(hours).unwrap().until(now.parse().unwrap())?;
    Some(end.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn next(hours: &str, now: &str) -> String {
    Hours::parse(hours).unwrap().next(now.parse().unwrap()).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[test]
fn clocks_change() {
    // SAFETY: this is the only test of this program, and nothing has asked for the time zone yet.
    unsafe { std::env::set_var("TZ", "Europe/Berlin") };
    assert_eq!(local("2026-01-05T10:00:00Z"), "Mon 05 11:00 +01:00+01:00", "this machine knows no Europe/Berlin: install tzdata");
    assert!(Local.with_ymd_and_hms(2026, 3, 29, 2, 30, 0).single().is_none());

    for (what, hours, now, end) in [
        ("an evening", "22:00-07:00", "2026-01-05T22:00:00Z", Some("2026-01-06T06:00:00Z")),
        ("their first moment", "22:00-07:00", "2026-01-05T21:00:00Z", Some("2026-01-06T06:00:00Z")),
        ("the moment before", "22:00-07:00", "2026-01-05T20:59:59Z", None),
        ("a morning", "22:00-07:00", "2026-01-06T05:59:59Z", Some("2026-01-06T06:00:00Z")),
        ("their end", "22:00-07:00", "2026-01-06T06:00:00Z", None),
        ("an hour less in March", "22:00-07:00", "2026-03-28T22:00:00Z", Some("2026-03-29T05:00:00Z")),
        ("an hour more in October", "22:00-07:00", "2026-10-24T21:00:00Z", Some("2026-10-25T06:00:00Z")),
        ("an end that the clock leaves out", "22:00-02:30", "2026-03-28T22:00:00Z", Some("2026-03-29T01:00:00Z")),
        ("it is over then", "22:00-02:30", "2026-03-29T01:00:00Z", None),
        ("a begin that the clock leaves out", "02:30-07:00", "2026-03-29T01:00:00Z", Some("2026-03-29T05:00:00Z")),
        ("hours that the clock leaves out", "02:10-02:50", "2026-03-29T01:10:00Z", None),
        ("an end that comes twice", "22:00-02:30", "2026-10-25T00:45:00Z", Some("2026-10-25T01:30:00Z")),
        ("it is over the second time", "22:00-02:30", "2026-10-25T01:30:00Z", None),
        ("a begin that comes twice", "02:30-07:00", "2026-10-25T00:30:00Z", Some("2026-10-25T06:00:00Z")),
        ("a Saturday", "Sat,Sun 00:00-24:00", "2026-01-10T12:00:00Z", Some("2026-01-11T23:00:00Z")),
        ("a Friday", "Sat,Sun 00:00-24:00", "2026-01-09T22:59:00Z", None),
        ("the night of a Friday", "22:00-07:00; Sat,Sun 00:00-24:00", "2026-01-09T21:30:00Z", Some("2026-01-12T06:00:00Z")),
        ("the night that a Friday begins", "Fri 22:00-07:00", "2026-01-10T05:00:00Z", Some("2026-01-10T06:00:00Z")),
        ("not the one before it", "Fri 22:00-07:00", "2026-01-09T05:00:00Z", None),
    ] {
        assert_eq!(until(hours, now).as_deref(), end, "{what}: {hours} at {}", local(now));
    }
    for (what, hours, now, begin) in [
        ("now", "08:00-18:00", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00Z"),
        ("this evening", "Mon-Fri 22:00-07:00", "2026-01-05T10:00:00Z", "2026-01-05T21:00:00Z"),
        ("tomorrow", "08:00-18:00", "2026-01-05T17:00:00Z", "2026-01-06T07:00:00Z"),
        ("on Monday", "Mon-Fri 08:00-18:00", "2026-01-09T17:00:00Z", "2026-01-12T07:00:00Z"),
        ("in a week", "Mon 08:00-09:00", "2026-01-05T08:00:00Z", "2026-01-12T07:00:00Z"),
        ("after the clocks have changed", "08:00-18:00", "2026-03-28T17:00:00Z", "2026-03-29T06:00:00Z"),
        ("when the clock leaves it out", "02:30-04:00", "2026-03-28T17:00:00Z", "2026-03-29T01:00:00Z"),
    ] {
        assert_eq!(next(hours, now), begin, "{what}: {hours} at {}", local(now));
    }
}
