//! Whether a timer starts its unit as it should, and whether a unit succeeds as often as it should. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use super::services::meant;
use crate::event::{Inactive, Lapse};
use crate::host::manager::Timer;
use crate::host::pulse::{Absence, Pulse};

/// What is on record about a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When it was first seen.
    pub since: DateTime<Utc>,
    /// True when it was active at some time.
    pub active: bool,
    /// True when it was enabled at some time.
    pub enabled: bool,
    /// When it is, or was, to elapse by the calendar. Only what is far enough ahead is noted: a timer that elapses each minute
    /// must not cost a commit each minute.
    pub due: Option<DateTime<Utc>>,
}

/// When it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// Now.
    pub now: DateTime<Utc>,
    /// Since when this boot's manager runs.
    pub booted: Option<DateTime<Utc>>,
    /// When the host was off or asleep.
    pub absences: &'a [Absence],
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// All is well.
    Well,
    /// That cannot be said now.
    Unsure,
    /// It is not as it should be.
    Lapsed(Lapse),
}

/// A timer that is stopped and started again, or is yet to be started in a boot, is given so long.
const HOLD: TimeDelta = TimeDelta::seconds(60);
/// So long a timer may be late, beside its accuracy: the manager may be busy.
const LATE: TimeDelta = TimeDelta::seconds(60);
/// What is due sooner is not noted.
const FAR: TimeDelta = TimeDelta::hours(1);
/// What was missed counts once more each day.
const AGAIN: TimeDelta = TimeDelta::days(1);

/// Judges a timer, and says what is to be on record about it. `missed`: since when it is told that it did not run.
pub fn timer(timer: &Timer, seen: Option<&Seen>, missed: Option<DateTime<Utc>>, listed: bool, at: Now<'_>) -> (Judgement, Seen) {
    let is_enabled = timer.file.starts_with("enabled");
    let is_active = timer.active == "active";
    let before = Seen { since: at.now, active: false, enabled: false, due: None };
    let before = seen.unwrap_or(&before);
    let (judgement, due) =
        if is_active { when_active(timer, before, missed, at) } else { (when_not(timer, before, listed, at), None) };
    let after = Seen { since: before.since, active: before.active || is_active, enabled: before.enabled || is_enabled, due };
    let is_wanted = is_enabled || is_active || before.active || before.enabled || listed;
    let judgement = match (timer.load.as_str(), timer.unit_load.as_str()) {
        _ if !is_wanted => Judgement::Well,
        // where the timer is gone and its unit, too, somebody removed both
        ("not-found", "not-found") if !listed => Judgement::Well,
        ("masked" | "not-found" | "bad-setting" | "error", _) => Judgement::Lapsed(Lapse::NotLoaded(timer.load.clone())),
        (_, load @ ("masked" | "not-found" | "bad-setting" | "error")) if is_enabled || is_active => {
            Judgement::Lapsed(Lapse::Nothing { unit: timer.unit.clone(), load: load.to_owned() })
        }
        _ => judgement,
    };
    (judgement, after)
}

/// One that is active, and what is to be noted as its next time.
fn when_active(timer: &Timer, before: &Seen, missed: Option<DateTime<Utc>>, at: Now<'_>) -> (Judgement, Option<DateTime<Utc>>) {
    let late = TimeDelta::from_std(timer.accuracy).unwrap_or(TimeDelta::MAX).checked_add(&LATE).unwrap_or(TimeDelta::MAX);
    let is_over = |due: DateTime<Utc>| due.checked_add_signed(late).is_some_and(|latest| latest < at.now);
    let next = timer.due.filter(|due| *due - at.now >= FAR);
    let noted = before.due.filter(|due| is_over(*due));
    let due = match before.due {
        Some(due) if noted.is_none() && (due <= at.now || timer.due == Some(due)) => Some(due),
        _ => next,
    };
    let was_away = |due: DateTime<Utc>| at.absences.iter().any(|away| away.since <= due && due <= away.until);
    // while its unit still runs from last time a timer waits, and that is no fault of it
    let runs = timer.sub == "running";
    let passed = noted.filter(|due| !runs && timer.last.is_none_or(|last| last < *due) && !was_away(*due));
    // systemd itself has it as due
    let stands = timer.next.filter(|next| !runs && is_over(*next));
    let untold = missed.filter(|told| !runs && timer.last.is_none_or(|last| last < *told));
    let judgement = if let Some(due) = passed.or(stands) {
        Judgement::Lapsed(Lapse::NotRun { due })
    } else if untold.is_some() {
        // until it runs again nobody knows that it does
        Judgement::Unsure
    } else if timer.sub == "elapsed" && timer.last.is_none() {
        Judgement::Lapsed(Lapse::Elapsed)
    } else if before.enabled && timer.file == "disabled" {
        Judgement::Lapsed(Lapse::Disabled)
    } else {
        Judgement::Well
    };
    (judgement, due)
}

/// One that is not active.
fn when_not(timer: &Timer, before: &Seen, listed: bool, at: Now<'_>) -> Judgement {
    if timer.active == "failed" {
        // of its own handler's failures others tell
        return if timer.is_handled_itself { Judgement::Well } else { Judgement::Lapsed(Lapse::Inactive(Inactive::Failed)) };
    }
    // one that was made for once is gone when it is over
    if timer.is_barred || timer.file == "transient" || (timer.file.is_empty() && !listed) {
        return Judgement::Well;
    }
    let since = [Some(before.since), timer.inactive_since, at.booted].into_iter().flatten().max().unwrap_or(at.now);
    let is_held = timer.active != "inactive" || (at.now - since).abs() < HOLD;
    let why = match timer.file.starts_with("enabled") {
        true if timer.inactive_since.is_some() => Inactive::Stopped,
        true => Inactive::NotStarted,
        false if before.active || before.enabled => Inactive::Disabled,
        false if listed => Inactive::NotEnabled,
        false => return Judgement::Well,
    };
    if is_held { Judgement::Unsure } else { Judgement::Lapsed(Lapse::Inactive(why)) }
}

/// Judges a unit that should succeed from time to time. `since`: when it was first seen.
pub fn job(expected: Duration, last: Option<DateTime<Utc>>, since: DateTime<Utc>, at: Now<'_>) -> Judgement {
    let base = last.unwrap_or(since);
    let limit = TimeDelta::from_std(expected).unwrap_or(TimeDelta::MAX);
    if awake(base, at) < limit { Judgement::Well } else { Judgement::Lapsed(Lapse::Overdue { expected, last }) }
}

/// For how long the host ran since then.
fn awake(since: DateTime<Utc>, at: Now<'_>) -> TimeDelta {
    let off = at.absences.iter().map(|away| (away.until.min(at.now) - away.since.max(since)).max(TimeDelta::zero()));
    (at.now - since) - off.sum::<TimeDelta>()
}

/// By what one failure differs from the next while a lapse lasts: one that was missed more, or one day more without success.
pub fn occurrence(lapse: &Lapse, since: DateTime<Utc>, at: Now<'_>) -> Option<String> {
    match lapse {
        Lapse::NotRun { due } => Some(format!("due:{}", due.timestamp_micros())),
        Lapse::Overdue { expected, last } => {
            let base = last.unwrap_or(since);
            let every = TimeDelta::from_std(*expected).unwrap_or(TimeDelta::MAX);
            let over = awake(base, at) - every;
            let times = over.num_seconds() / every.max(AGAIN).num_seconds().max(1);
            Some(format!("overdue:{}:{}", base.timestamp_micros(), times.max(0)))
        }
        _ => None,
    }
}

/// So often the pulse is noted; what happened since then is not known after a boot.
const PULSE: TimeDelta = TimeDelta::hours(1);
/// A shorter sleep, or jump of the clock, changes nothing.
const NAP: Duration = Duration::from_secs(60);

/// Whether the pulse is to be noted, and the time in which there was none. A clock that was set forward jumped over such a time:
/// without a battery it starts where the host was switched off.
pub fn pulse(noted: Option<&Pulse>, now: &Pulse) -> (bool, Option<Absence>) {
    let between = |since, until| Some(Absence { since, until }).filter(|away| away.since < away.until);
    let Some(noted) = noted else {
        // nobody knows what was before this boot
        return (true, now.begun().and_then(|until| between(DateTime::UNIX_EPOCH, until)));
    };
    let is_same_boot = now.booted.is_none() || now.booted == noted.booted;
    let absence = if is_same_boot {
        let ran = now.up.checked_sub(noted.up).filter(|_| !noted.up.is_zero()).and_then(|ran| TimeDelta::from_std(ran).ok());
        let jumped = ran.and_then(|ran| ((now.at - noted.at) - ran).to_std().ok()).unwrap_or_default();
        let gone = now.slept.saturating_sub(noted.slept).saturating_add(jumped);
        let since = TimeDelta::from_std(gone).ok().and_then(|gone| now.at.checked_sub_signed(gone));
        since.filter(|_| gone >= NAP).and_then(|since| between(since.max(noted.at), now.at))
    } else {
        // what this boot's first run finds is of the boot before
        now.begun().and_then(|until| between(noted.at, until))
    };
    (!is_same_boot || absence.is_some() || (now.at - noted.at).abs() >= PULSE, absence)
}

#[cfg(test)]
mod tests;
