//! What a run complained of last, looked for where `same_problem = "error"` asks for it: the decision waits for this.

use crate::error::Result;
use crate::event::Event;
use crate::host::log;
use crate::host::world::World;
use crate::message::{Said, error_line};
use crate::settings::Settings;
use crate::store::{self, Store};

use super::Complete;

/// So many lines back an error is looked for.
const LINES: usize = 100;

/// Notes it for the failures that wait for their decision, as far as the journal has their lines; true when there were any.
///
/// # Errors
/// `Failure`, when the database does not answer.
pub fn note_errors(store: &mut Store, settings: &Settings, world: &dyn World, complete: Complete) -> Result<bool> {
    let undecided = store.with(store::undecided)?.into_iter().filter(|one| one.error.is_none());
    let asks = |event: &Event| settings.rules(event.subject.name()).asks_for_error(event) && complete.reaches(event.at);
    let noted: Vec<(i64, String)> =
        undecided.filter(|one| asks(&one.event)).map(|one| (one.id, error(world, &one.event))).collect();
    if !noted.is_empty() {
        store.write(|db| noted.iter().try_for_each(|(id, error)| store::set_error(db, *id, error)))?;
    }
    Ok(!noted.is_empty())
}

/// The run's last error; empty when there is none, or nobody can tell: nobody waits any longer then.
fn error(world: &dyn World, event: &Event) -> String {
    let Some(invocation) = &event.invocation_id else { return String::new() };
    let found = match world.lines(&event.subject, invocation, event.at, LINES) {
        Ok(found) => found,
        Err(why) => {
            let text = format!("its failures are told apart by their results alone, since {why}");
            log::warn(Some(event.subject.as_str()), &text);
            return String::new();
        }
    };
    let said: Vec<Said<'_>> = found
        .lines
        .iter()
        .map(|line| Said { by_manager: line.is_managers(), priority: line.priority, text: &line.text })
        .collect();
    error_line(&said).unwrap_or_default()
}
