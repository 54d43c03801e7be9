//! What can be decided now. `same_problem = "error"` asks for the run's last lines: dispatch looks for them once the journal has
//! written them, and notes what they say; until then such a failure waits, and with it what came after it.

use crate::event::Subject;
use crate::settings::Settings;
use crate::store::Undecided;

/// Of events in the order in which they happened those that can be decided, and whether others wait. With broken settings none
/// is decided anyway.
pub(super) fn ready(settings: Option<&Settings>, undecided: Vec<Undecided>) -> (Vec<Undecided>, bool) {
    let asks =
        |one: &Undecided| settings.is_some_and(|settings| settings.rules(one.event.subject.name()).asks_for_error(&one.event));
    let mut late: Vec<Subject> = Vec::new();
    let mut ready = Vec::new();
    for one in undecided {
        if late.contains(&one.event.subject) || (one.error.is_none() && asks(&one)) {
            late.push(one.event.subject);
        } else {
            ready.push(one);
        }
    }
    (ready, !late.is_empty())
}
