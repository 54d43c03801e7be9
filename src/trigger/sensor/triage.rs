//! Triage: how urgent it is to look, from how bad it is and for how long. Pure; the README has the formula.

use crate::incident::Severity;

/// How urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nothing is wrong.
    Low,
    /// It can wait.
    Medium,
    /// Soon.
    High,
    /// Now.
    Critical,
}

impl Urgency {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Urgency::Low => "low",
            Urgency::Medium => "medium",
            Urgency::High => "high",
            Urgency::Critical => "critical",
        }
    }
}

/// What a rule that is violated contributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// Its points.
    pub score: u32,
    /// How urgent it is by itself.
    pub urgency: Urgency,
    /// Why: "repeated (streak=3)".
    pub why: String,
}

/// The most points there are.
const MOST: u32 = 100;

/// One anomaly: how often in a row, how bad (from 0 to 1), and what its rule says of it.
pub fn factor(streak: u32, badness: f64, severity: Severity) -> Factor {
    let (long, by_length, why) = match streak {
        5.. => (30, Urgency::Critical, format!("persistent (streak={streak})")),
        3..5 => (15, Urgency::High, format!("repeated (streak={streak})")),
        _ => (5, Urgency::Medium, "threshold exceeded".to_owned()),
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 30
    let bad = (badness.clamp(0.0, 1.0) * 30.0).round() as u32;
    let by_badness = match bad {
        20.. => Urgency::Critical,
        10..20 => Urgency::High,
        _ => Urgency::Medium,
    };
    let by_rule = if severity == Severity::Critical { Urgency::Critical } else { Urgency::Medium };
    Factor { score: long + bad, urgency: by_length.max(by_badness).max(by_rule), why }
}

/// All of them together: the sum of the points, and the worst of the urgencies, which many points raise.
pub fn total(factors: &[Factor]) -> (u32, Urgency) {
    let score = factors.iter().map(|factor| factor.score).sum::<u32>().min(MOST);
    let by_score = match score {
        60.. => Urgency::Critical,
        40..60 => Urgency::High,
        20..40 => Urgency::Medium,
        _ => Urgency::Low,
    };
    (score, factors.iter().map(|factor| factor.urgency).max().unwrap_or(Urgency::Low).max(by_score))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_and_how_bad_count_alike() {
        use Urgency::{Critical, High, Medium};
        for (streak, badness, severity, score, urgency) in [
            (1, 0.0, Severity::Warning, 5, Medium),
            (3, 0.0, Severity::Warning, 15, High),
            (5, 0.0, Severity::Warning, 30, Critical),
            (1, 0.33, Severity::Warning, 15, High),
            // a disk that is 99.9 % full is no small matter the first time
            (1, 0.99, Severity::Warning, 35, Critical),
            (1, 0.0, Severity::Critical, 5, Critical),
            (9, 5.0, Severity::Info, 60, Critical),
        ] {
            let found = factor(streak, badness, severity);
            assert_eq!((found.score, found.urgency), (score, urgency), "{streak} {badness}");
        }
        assert_eq!(total(&[]), (0, Urgency::Low));
        let three = [1, 1, 1].map(|streak| factor(streak, 0.3, Severity::Warning));
        assert_eq!(total(&three), (42, High));
        assert_eq!(total(&vec![factor(5, 1.0, Severity::Info); 3]), (100, Critical));
    }
}
