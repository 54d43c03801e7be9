//! The rows of what is polled, and of schedules.

use super::{Row, State};
use crate::event::{Lapse, Manager, Subject};
use crate::host::names;
use crate::settings::Settings;
use crate::store;
use crate::trigger::services::{Judgement, Seen};

/// The units of users: of them the journal alone tells, so that nobody's session is opened.
pub(super) fn users<'a>(settings: &'a Settings, active: &'a [store::Row]) -> impl Iterator<Item = Row> + 'a {
    settings.services.units.iter().flat_map(move |unit| {
        let Manager::User(user) = &unit.manager else { return Vec::new() };
        let row = |name: String, since, state, why| Row { check: "services", name, shown: String::new(), since, state, why };
        if !names::is_user(user) {
            return vec![row(unit.name(), None, State::Warning, format!("there is no user {user}"))];
        }
        let is_meant = |subject: &Subject| unit.covers(&subject.whose(), subject.unit_name()) && !subject.is_schedule();
        let failed = active.iter().filter(|one| is_meant(&one.incident.subject)).map(|one| {
            let name = one.incident.subject.name().to_owned();
            let state = State::of(&settings.rules(&name));
            row(name, Some(one.incident.last_failure), state, one.problem.to_string())
        });
        let failed: Vec<Row> = failed.collect();
        if !failed.is_empty() {
            return failed;
        }
        vec![row(unit.name(), None, State::Ok, "its failures are read from the journal".to_owned())]
    })
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
