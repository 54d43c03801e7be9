//! The rows of what is polled, and of schedules.

use super::{Row, State};
use crate::event::{Lapse, Manager, Subject};
use crate::host::users::Answer;
use crate::pipeline::OfUser;
use crate::settings::Settings;
use crate::store;
use crate::trigger::services::{Judgement, Seen};

/// The units of a user; where their manager tells nothing, the journal alone does.
pub(super) fn of_user(of: &OfUser, settings: &Settings, in_grace: bool, active: &[store::Row]) -> Vec<Row> {
    let why = match &of.seen {
        Ok(seen) => return seen.iter().map(|unit| row(unit, settings, in_grace)).collect(),
        Err(Answer::NoUser) => format!("there is no user {}", of.user),
        Err(Answer::Nothing(why)) => format!("only its failures are known, from the journal: {why}"),
        Err(_) => format!("only its failures are known, from the journal: no service manager of {} runs", of.user),
    };
    let no_user = of.seen == Err(Answer::NoUser);
    let manager = Manager::User(of.user.clone());
    let mut rows = Vec::new();
    for unit in settings.services.units.iter().filter(|unit| unit.manager == manager) {
        let row = |name: String, since, state, why| Row { check: "services", name, shown: String::new(), since, state, why };
        let is_meant = |subject: &Subject| unit.covers(&subject.whose(), subject.unit_name()) && !subject.is_schedule();
        let failed = active.iter().filter(|one| is_meant(&one.incident.subject)).map(|one| {
            let name = one.incident.subject.name().to_owned();
            let state = State::of(&settings.rules(&name));
            row(name, Some(one.incident.last_failure), state, one.problem.to_string())
        });
        let failed: Vec<Row> = failed.collect();
        if failed.is_empty() || no_user {
            rows.push(row(unit.name(), None, if no_user { State::Warning } else { State::Ok }, why.clone()));
        } else {
            rows.extend(failed);
        }
    }
    rows
}

/// How a schedule is.
pub(super) fn schedule(subject: &Subject, lapse: Option<&Lapse>, settings: &Settings) -> Row {
    let rules = settings.rules(subject.name());
    let state = lapse.map_or(State::Ok, |lapse| State::of(&rules.of_schedule(&lapse.problem())));
    let why = lapse.map(ToString::to_string).unwrap_or_default();
    Row { check: "services", name: subject.full_name().to_owned(), shown: String::new(), since: None, state, why }
}

/// How a unit is.
pub(super) fn row(unit: &Seen, settings: &Settings, in_grace: bool) -> Row {
    let name = unit.subject.name().to_owned();
    let rules = settings.rules(&name);
    let bad = || State::of(&rules);
    let (state, why) = match &unit.judgement {
        Judgement::Works => (State::Ok, String::new()),
        Judgement::Rests(why) | Judgement::Moves(why) => (State::Ok, (*why).to_owned()),
        Judgement::Failed(problem) | Judgement::Trouble(problem) if in_grace => {
            (State::Ok, format!("{problem}; `grace_after_boot` lasts"))
        }
        Judgement::Failed(problem) | Judgement::Trouble(problem) => (bad(), problem.to_string()),
    };
    Row { check: "services", name, shown: unit.state.clone(), since: unit.since, state, why }
}
