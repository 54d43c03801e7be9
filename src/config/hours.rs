//! Hours of the week, as people write them: "22:00-07:00", "Mon-Fri 08:00-18:00", "22:00-07:00; Sat,Sun 00:00-24:00".

use chrono::{DateTime, Datelike, Days, Local, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// A day's minutes.
const DAY: u32 = 24 * 60;

/// Hours of the week, by the machine's time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    spans: Vec<Span>,
}

/// From one time of a day to another; of the next day, if that is not later.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    /// The days on which it begins, Monday first.
    days: [bool; 7],
    /// In minutes since midnight.
    from: u32,
    /// Later than `from`; beyond 24 hours on the next day.
    to: u32,
}

impl Hours {
    /// Reads them; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Hours> {
        let spans: Option<Vec<Span>> = text.split(';').map(|span| Span::parse(span.trim())).collect();
        spans.map(|spans| Hours { spans })
    }

    /// True when they are the whole week.
    pub fn never_end(&self) -> bool {
        let is_within = |minute: u32| {
            let on = |span: &Span, at: u32| span.days[(at / DAY % 7) as usize] && (span.from..span.to).contains(&(at % DAY));
            let since_yesterday = |span: &Span, at: u32| {
                span.days[((at / DAY + 6) % 7) as usize] && (span.from..span.to).contains(&(at % DAY + DAY))
            };
            self.spans.iter().any(|span| on(span, minute) || since_yesterday(span, minute))
        };
        (0..7 * DAY).all(is_within)
    }

    /// When they end, if now is within them.
    pub fn until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut end = self.end(now)?;
        // one may follow upon the other; a week has no more changes than this
        for _ in 0..2 * 7 * self.spans.len() {
            let Some(later) = self.end(end) else { break };
            end = later;
        }
        Some(end)
    }

    /// When they begin next; now, if now is within them.
    pub fn next(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.end(now).is_some() {
            return now;
        }
        let begins = self.around(now, 0, 8).map(|(from, _)| from).filter(|from| *from > now);
        begins.min().unwrap_or(now)
    }

    /// The latest end of those that have begun and are not over.
    fn end(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.around(now, 1, 0).filter(|(from, to)| *from <= now && now < *to).map(|(_, to)| to).max()
    }

    /// Those that begin from so many days before to so many days after today.
    fn around(&self, now: DateTime<Utc>, before: u64, after: u64) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>)> {
        let today = now.with_timezone(&Local).date_naive();
        let first = today.checked_sub_days(Days::new(before)).unwrap_or(today);
        let days = first.iter_days().take(usize::try_from(before + after).unwrap_or(0) + 1);
        days.flat_map(|day| {
            let is_on = move |span: &&Span| span.days[day.weekday().num_days_from_monday() as usize];
            self.spans.iter().filter(is_on).map(move |span| (instant(day, span.from, First), instant(day, span.to, Last)))
        })
    }
}

use Which::{First, Last};

/// Of an hour that a clock shows twice.
#[derive(Clone, Copy)]
enum Which {
    First,
    Last,
}

/// When the clock on the wall shows this. An hour that it leaves out is over when it does.
fn instant(day: NaiveDate, minutes: u32, which: Which) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    // clocks leave out an hour, or half a day at the most
    for left_out in 0..=DAY {
        let shown = midnight + TimeDelta::minutes(i64::from(minutes) - i64::from(left_out));
        let found = match Local.from_local_datetime(&shown) {
            LocalResult::None => continue,
            LocalResult::Single(at) => at,
            // in no certain order
            LocalResult::Ambiguous(one, other) => match which {
                First => one.min(other),
                Last => one.max(other),
            },
        };
        let at = found.with_timezone(&Utc);
        // the last minute before the change, or the change itself
        let is_before = left_out > 0 && at.with_timezone(&Local).naive_local() == shown;
        return at + TimeDelta::minutes(i64::from(is_before));
    }
    midnight.and_utc()
}

impl Span {
    /// "22:00-07:00", "Sat,Sun 00:00-24:00"
    fn parse(text: &str) -> Option<Span> {
        let (days, hours) = match text.rsplit_once(char::is_whitespace) {
            Some((days, hours)) => (self::days(days)?, hours),
            None => ([true; 7], text),
        };
        let (from, to) = hours.split_once('-')?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        (from < DAY).then_some(Span { days, from, to: if to <= from { to + DAY } else { to } })
    }
}

/// "Sat,Sun", "Mon-Fri"
fn days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    let number = |name: &str| DAYS.iter().position(|day| name.trim().eq_ignore_ascii_case(day));
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        // "Fri-Mon" goes over the weekend
        let length = (last + 7 - first) % 7;
        (first..=first + length).for_each(|day| days[day % 7] = true);
    }
    Some(days)
}

/// "07:00" up to "24:00"
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<u32>().ok() } else { None }
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_and_what_cannot() {
        for text in [
            "22:00-07:00",
            "Sat,Sun 00:00-24:00",
            "mon-fri 08:00-18:00",
            "22:00-07:00; Sat,Sun 00:00-24:00",
            "Fri-Mon 12:30-12:30",
        ] {
            assert!(Hours::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "22-07",
            "22:00",
            "22:00-25:00",
            "24:00-07:00",
            "22:60-07:00",
            "Someday 22:00-07:00",
            "22:00-07:00;",
            "+2:00-07:00",
            "Mon 7:00-8:00",
        ] {
            assert_eq!(Hours::parse(text), None, "{text}");
        }
    }

    #[test]
    fn hours_that_never_end() {
        for text in ["00:00-24:00", "12:00-12:00", "Mon-Fri 00:00-24:00; Sat,Sun 00:00-24:00", "06:00-23:00; 22:00-07:00"] {
            assert!(Hours::parse(text).unwrap().never_end(), "{text}");
        }
        for text in ["00:00-23:59", "Mon-Sat 00:00-24:00", "06:00-22:00; 22:01-07:00"] {
            assert!(!Hours::parse(text).unwrap().never_end(), "{text}");
        }
    }
}
