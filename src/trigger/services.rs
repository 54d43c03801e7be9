//! Polled units: how each is now, and whether that is as it should be. Most are judged by a glance at the manager's list.

use std::cell::OnceCell;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::runs;
use crate::config::nearest;
use crate::event::{Manager, Problem, Subject, UnitName};
use crate::host::manager::{Detail, Listed, Shown};
use crate::host::world::World;

/// How a polled unit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The unit.
    pub subject: Subject,
    /// Its state in the manager's words: "active (running)".
    pub state: String,
    /// Since when, where that was asked.
    pub since: Option<DateTime<Utc>>,
    /// Its current run, or the last one, where that was asked.
    pub run: Option<String>,
    /// Whether that is as it should be.
    pub judgement: Judgement,
}

/// Whether a unit is as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It works.
    Works,
    /// It does not, and need not; why.
    Rests(&'static str),
    /// It is on its way; how.
    Moves(&'static str),
    /// Its run failed, as the manager has it.
    Failed(Problem),
    /// It is in trouble that no trigger tells.
    Trouble(Problem),
}

/// So long ago a stop is not looked for any more: who stopped it is nobody's news.
const LONG_AGO: TimeDelta = TimeDelta::days(8);
/// A stop is in the journal a moment before the manager's own time for it.
const SLACK: TimeDelta = TimeDelta::seconds(5);

/// One round of polling.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    /// Now.
    pub now: DateTime<Utc>,
    /// When the manager was begun; what its units did before says nothing.
    pub begun: Option<DateTime<Utc>>,
    /// Which units are listed by their names: of others, that they do nothing is news only where something wants them to run.
    pub named: &'a dyn Fn(&Subject) -> bool,
    /// Of which it is news that they do not exist: the installed unit that was probably meant is looked for.
    pub mistyped: &'a dyn Fn(&Subject) -> bool,
    /// The names of the units that are installed.
    pub installed: &'a dyn Fn() -> Vec<String>,
    /// How long a unit may start, stop or reload.
    pub patience: &'a dyn Fn(&Subject) -> Patience,
}

/// How these units of a manager are. Of each of which no more was asked than that it works, or rests, only that is known.
pub fn look(world: &dyn World, manager: &Manager, shown: Vec<Shown>, round: Round<'_>) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut installed = None;
    for (unit, detail) in shown {
        let Ok(name) = unit.name.parse::<UnitName>() else { continue };
        let subject = Subject::unit(manager, &name);
        let state = format!("{} ({})", unit.active, unit.sub);
        let Some(detail) = detail else {
            let judgement = if unit.is_plainly_well() { Judgement::Works } else { Judgement::Rests("it needs nothing") };
            seen.push(Seen { subject, state, since: None, run: None, judgement });
            continue;
        };
        let is_named = (round.named)(&subject);
        let ended = OnceCell::new();
        let ended_itself = || ended.get_or_init(|| ended_itself(world, &subject, &detail, round.begun, round.now)).is_some();
        let at = At { now: round.now, patience: (round.patience)(&subject), is_named };
        let mut judgement = judge(&unit, &detail, at, &ended_itself);
        if let Judgement::Trouble(problem) = &mut judgement
            && problem.is_not_found()
            && (round.mistyped)(&subject)
        {
            problem.cause = meant(&unit.name, installed.get_or_insert_with(|| (round.installed)()));
        }
        if unit.load == NOT_FOUND && !is_named {
            // a glob stood for it
            judgement = Judgement::Rests("it is gone");
        }
        let run = detail.invocation.or(ended.into_inner().flatten());
        seen.push(Seen { subject, state, since: detail.since, run, judgement });
    }
    seen
}

/// When and how a unit is judged.
#[derive(Debug, Clone, Copy)]
struct At {
    now: DateTime<Utc>,
    patience: Patience,
    is_named: bool,
}

const NOT_FOUND: &str = "not-found";

/// How long a unit may start, stop or reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// So long, or as long as its own unit file allows, if that is longer.
    Usual(Duration),
    /// So long, whatever it is.
    Own(Duration),
}

/// The unit's last run, if it ended well and nobody had stopped it: of that only the journal tells. A unit that nothing holds is
/// unloaded when it ends, and what is loaded when somebody asks for it knows no run. `begun`: when its manager was.
fn ended_itself(
    world: &dyn World,
    subject: &Subject,
    detail: &Detail,
    begun: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<String> {
    let long_ago = now - LONG_AGO;
    let since = match detail.since {
        Some(ended) if ended < long_ago => return None,
        // a user's manager says that it starts and stops a unit, and not that one ended
        Some(ended) if !subject.is_users() => detail.left.map_or(ended, |left| left.min(ended)) - SLACK,
        _ => begun?.max(long_ago),
    };
    let found = world.messages(subject, since).ok()?;
    let account = runs::account(subject.unit_name(), &found.list);
    if subject.is_users()
        && let Some(silent) = account.runs_now()
    {
        return silent.invocation;
    }
    let last = account.runs.last().filter(|run| detail.invocation.as_ref().is_none_or(|known| run.invocation == *known))?;
    last.succeeded().map(|_| last.invocation.clone())
}

/// Judges a unit. Pure, but for the question whether it ended by itself, which is asked of few.
fn judge(unit: &Listed, detail: &Detail, at: At, ended_itself: &dyn Fn() -> bool) -> Judgement {
    let At { now, patience, is_named } = at;
    let trouble = |result: &str, cause: Option<String>| {
        Judgement::Trouble(Problem { service_result: Some(result.to_owned()), cause, ..Problem::default() })
    };
    let hangs = |own: Option<Duration>| {
        let most = match patience {
            Patience::Usual(usual) => own.map_or(usual, |own| own.max(usual)),
            Patience::Own(own) => own,
        };
        let stuck = detail.since.is_some_and(|since| (now - since).to_std().is_ok_and(|lasted| lasted > most));
        stuck.then(|| trouble(&unit.active, Some(humantime::format_duration(most).to_string())))
    };
    match unit.active.as_str() {
        "active" => Judgement::Works,
        "failed" => Judgement::Failed(detail.problem.clone()),
        // what was failing is told by its failures, and whether they are final
        "activating" if unit.sub.starts_with("auto-restart") => Judgement::Moves("systemd starts it again"),
        // it works as long as it takes
        "activating" if detail.kind.as_deref() == Some("oneshot") && matches!(patience, Patience::Usual(_)) => {
            Judgement::Moves("it runs")
        }
        "activating" => hangs(detail.limit).unwrap_or(Judgement::Moves("it starts")),
        "deactivating" => hangs(detail.limit).unwrap_or(Judgement::Moves("it stops")),
        "reloading" | "refreshing" => hangs(None).unwrap_or(Judgement::Moves("it reloads")),
        "inactive" => match unit.load.as_str() {
            "not-found" => trouble(NOT_FOUND, None),
            "masked" => trouble("masked", None),
            "bad-setting" => trouble("bad-setting", None),
            "error" => trouble("load-error", None),
            _ => inactive(unit, detail, is_named, ended_itself, &trouble),
        },
        _ => Judgement::Moves("systemd works on it"),
    }
}

/// Judges a unit that does nothing.
fn inactive(
    unit: &Listed,
    detail: &Detail,
    is_named: bool,
    ended_itself: &dyn Fn() -> bool,
    trouble: &dyn Fn(&str, Option<String>) -> Judgement,
) -> Judgement {
    let never_ran = detail.since.is_none();
    match () {
        () if unit.has_job => Judgement::Moves("its start waits"),
        () if is_job(detail) => Judgement::Rests("it has nothing to do"),
        () if detail.skipped => Judgement::Rests("skipped: a Condition...= of it is not met"),
        () if is_on_demand(detail) => Judgement::Rests("it waits for what starts it"),
        () if never_ran && detail.is_due => trouble("inactive", Some("never".to_owned())),
        () if !is_named && !detail.is_due => Judgement::Rests("nothing wants it to run"),
        () if ended_itself() => trouble("inactive", Some("itself".to_owned())),
        () if never_ran => Judgement::Rests("it was stopped, or never started"),
        () => Judgement::Rests("it was stopped"),
    }
}

fn is_job(detail: &Detail) -> bool {
    detail.kind.as_deref() == Some("oneshot") && !detail.remains
}

fn is_on_demand(detail: &Detail) -> bool {
    detail.triggered || (detail.on_bus && detail.file_state == "static")
}

/// Whether a unit that does nothing needs nothing as long as its files stay as they are, whatever it did meanwhile.
pub fn needs_nothing(unit: &Listed, detail: &Detail) -> bool {
    unit.is_idle() && (is_job(detail) || is_on_demand(detail))
}

/// The installed unit that was probably meant: without the type, which would make all names alike.
pub fn meant(name: &str, installed: &[String]) -> Option<String> {
    let (stem, kind) = name.rsplit_once('.')?;
    let stems = installed.iter().filter_map(|file| file.strip_suffix(kind)?.strip_suffix('.'));
    Some(format!("{}.{kind}", nearest(stem, stems)?))
}

#[cfg(test)]
mod tests;
