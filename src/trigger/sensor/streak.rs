//! Streaks: how often in a row a rule was violated, and what of that is news. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::rule::{Judgement, Rule};
use crate::incident::Severity;

/// What is remembered of a rule for one instance, from run to run. Nothing is, while it is fine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streak {
    /// So many violations in a row.
    pub times: u32,
    /// When they began.
    pub since: DateTime<Utc>,
    /// When it last had a value.
    pub seen: DateTime<Utc>,
    /// Set once it is a failure: how bad.
    pub standing: Option<Severity>,
}

/// What a run says of a rule for one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It fails, or is worse than before.
    Failed {
        /// Beyond the limit from which on it is critical.
        critical: bool,
    },
    /// It is over.
    Over,
    /// What it was about is gone for so long that nobody waits for it any more.
    Gone,
}

/// An instance that is not there any more, as a file system that was unmounted, is forgotten after so long.
const FORGOTTEN: TimeDelta = TimeDelta::days(1);

/// What becomes of a streak, and what of that is news. `missing`: it should have had a value.
pub fn follow(
    before: Option<&Streak>,
    rule: &Rule,
    judgement: Judgement,
    missing: bool,
    now: DateTime<Utc>,
) -> (Option<Streak>, Option<News>) {
    match (judgement, before) {
        (Judgement::Violated { critical }, _) => {
            let fresh = Streak { times: 0, since: now, seen: now, standing: None };
            let mut streak = before.cloned().unwrap_or(fresh);
            streak.times = streak.times.saturating_add(1);
            streak.seen = now;
            let severity = rule.severity(critical);
            let is_news = match streak.standing {
                Some(standing) => severity > standing,
                None => streak.times >= rule.consecutive,
            };
            if is_news {
                streak.standing = Some(severity);
            }
            (Some(streak), is_news.then_some(News::Failed { critical }))
        }
        (Judgement::Held, Some(before)) if before.standing.is_some() => (Some(Streak { seen: now, ..before.clone() }), None),
        (Judgement::Held | Judgement::Fine, before) => (None, before.and_then(|before| before.standing).map(|_| News::Over)),
        (Judgement::Missing, Some(before)) => {
            // a clock that was set back makes nobody forget
            let is_gone = !missing && now - before.seen >= FORGOTTEN;
            let news = before.standing.filter(|_| is_gone).map(|_| News::Gone);
            ((!is_gone).then(|| before.clone()), news)
        }
        (Judgement::Missing, None) => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Op, Unit};

    fn rule(consecutive: u32) -> Rule {
        Rule {
            name: "low_disk".into(),
            instances: "*".into(),
            metric: "bytes_used_percent".into(),
            unit: Unit::Percent,
            op: Op::Gt,
            value: 90.0,
            clear: 85.0,
            critical: Some(97.0),
            consecutive,
            severity: Severity::Warning,
            enabled: true,
        }
    }

    /// What each run says, five minutes apart: "failed", "critical", "over", or how long the streak is.
    fn told(consecutive: u32, values: &[Option<f64>]) -> Vec<String> {
        let rule = rule(consecutive);
        let mut streak = None;
        let mut told = Vec::new();
        for (run, value) in (0..).zip(values) {
            let now = DateTime::from_timestamp(1_767_600_000 + run * 300, 0).unwrap();
            let (after, news) = follow(streak.as_ref(), &rule, rule.judge(*value), true, now);
            told.push(match news {
                Some(News::Failed { critical: false }) => "failed".to_owned(),
                Some(News::Failed { critical: true }) => "critical".to_owned(),
                Some(News::Over) => "over".to_owned(),
                Some(News::Gone) => "gone".to_owned(),
                None => after.as_ref().map_or(0, |streak| streak.times).to_string(),
            });
            streak = after;
        }
        told
    }

    #[test]
    fn a_disk_that_crosses_stays_worsens_and_clears() {
        let values = [80.0, 91.0, 92.0, 98.0, 96.0, 99.0, 89.0, 91.0, 86.0, 85.0, 86.0].map(Some);
        assert_eq!(told(1, &values), ["0", "failed", "2", "critical", "4", "5", "5", "6", "6", "over", "0"]);
    }

    #[test]
    fn what_is_asked_for_in_a_row_must_come_in_a_row() {
        let high = Some(91.0);
        assert_eq!(told(3, &[high, high, Some(90.0), high, high, high]), ["1", "2", "0", "1", "2", "failed"]);
        assert_eq!(
            told(3, &[high, high, None, None, high, None]),
            ["1", "2", "2", "2", "failed", "3"],
            "a hole keeps the streak"
        );
        assert_eq!(told(2, &[Some(99.0), Some(99.0)]), ["1", "critical"]);
    }

    #[test]
    fn what_is_gone_is_forgotten_and_what_only_does_not_answer_is_not() {
        let at = |hours| DateTime::from_timestamp(1_767_600_000, 0).unwrap() + TimeDelta::hours(hours);
        let standing = Streak { times: 1, since: at(0), seen: at(0), standing: Some(Severity::Warning) };
        let after = |missing, hours| follow(Some(&standing), &rule(1), Judgement::Missing, missing, at(hours));
        assert_eq!(after(false, 23), (Some(standing.clone()), None));
        assert_eq!(after(false, 24), (None, Some(News::Gone)));
        assert_eq!(after(true, 24), (Some(standing.clone()), None));
    }
}
