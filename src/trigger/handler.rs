//! systemd's OnFailure= and OnSuccess=: a unit's name as the argument, the rest in `MONITOR_*` (`systemd.exec(5)`).

use chrono::{DateTime, Utc};

use crate::event::{Event, Manager, Outcome, Problem, Subject, UnitName};

/// Reads a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The event that a handler was started for.
pub fn event(
    manager: &Manager,
    unit: &UnitName,
    outcome: Outcome,
    environment: Environment<'_>,
    boot: fn() -> String,
    now: DateTime<Utc>,
) -> Event {
    // systemd hands the values over when the handler starts; of another unit they are not the ones to record
    let is_units = environment("MONITOR_UNIT").is_none_or(|about| about == unit.as_str());
    // nor of a later run of the unit, that was started before the handler was: no run fails with "success"
    let is_later_run = outcome == Outcome::Failed
        && environment("MONITOR_SERVICE_RESULT").is_some_and(|result| result == "success")
        && environment("MONITOR_INVOCATION_ID").is_some();
    let word = |name: &str| environment(name).filter(|value| is_units && !is_later_run && is_word(value));
    let invocation_id = word("MONITOR_INVOCATION_ID").filter(|id| is_invocation(id));
    Event {
        subject: Subject::unit(manager, unit),
        outcome,
        run: run(invocation_id.as_deref(), boot, now),
        invocation_id,
        problem: Problem {
            service_result: word("MONITOR_SERVICE_RESULT"),
            exit_code: word("MONITOR_EXIT_CODE"),
            exit_status: word("MONITOR_EXIT_STATUS"),
            cause: None,
        },
        triggered_by: None,
        start: None,
        restarts: false,
        at: now,
    }
}

/// Whether a success may be believed. systemd 252 calls OnSuccess= at every automatic restart, too, and then without an
/// exit code; a skipped run (ExecCondition=) has the result "exec-condition".
pub fn is_true_success(event: &Event) -> bool {
    event.problem.is_success() && event.problem.exit_code.is_some()
}

/// Which run it was. Without an invocation (a failed dependency, a mount) each call is an observation of its own.
pub(super) fn run(invocation: Option<&str>, boot: fn() -> String, now: DateTime<Utc>) -> String {
    invocation.map_or_else(|| format!("{}:{}", boot(), now.timestamp_micros()), str::to_owned)
}

/// Whether this is an invocation ID.
pub(super) fn is_invocation(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// systemd's words are short and plain; anything else did not come from systemd.
pub(super) fn is_word(value: &str) -> bool {
    value.len() <= 64 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || byte == b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn observe(outcome: Outcome, variables: &[(&str, &str)]) -> Event {
        let environment = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let now = DateTime::from_timestamp(7, 0).unwrap();
        event(&Manager::System, &UnitName::typed("a").unwrap(), outcome, &environment, || "boot".to_owned(), now)
    }

    #[test]
    fn monitor_variables_are_taken_as_given() {
        let event = observe(
            Outcome::Failed,
            &[
                ("MONITOR_UNIT", "a.service"),
                ("MONITOR_SERVICE_RESULT", "exit-code"),
                ("MONITOR_EXIT_CODE", "exited"),
                ("MONITOR_EXIT_STATUS", "3"),
                ("MONITOR_INVOCATION_ID", ID),
            ],
        );
        assert_eq!((event.run.as_str(), event.problem.to_string().as_str()), (ID, "exited with status 3"));
    }

    #[test]
    fn variables_of_another_unit_or_run_or_of_no_systemd_are_passed_over() {
        let other = observe(
            Outcome::Failed,
            &[("MONITOR_UNIT", "b.service"), ("MONITOR_INVOCATION_ID", ID), ("MONITOR_SERVICE_RESULT", "signal")],
        );
        let odd = observe(Outcome::Failed, &[("MONITOR_INVOCATION_ID", "../../etc"), ("MONITOR_SERVICE_RESULT", "a\nb")]);
        let later = observe(Outcome::Failed, &[("MONITOR_INVOCATION_ID", ID), ("MONITOR_SERVICE_RESULT", "success")]);
        for event in [other, odd, later] {
            assert_eq!((event.run.as_str(), &event.problem, &event.invocation_id), ("boot:7000000", &Problem::default(), &None));
        }
    }

    #[test]
    fn only_a_success_with_an_exit_code_is_believed() {
        for (result, code, believed) in [
            ("success", Some("exited"), true),
            ("success", Some("killed"), true),
            ("success", None, false),
            ("exec-condition", None, false),
            ("exit-code", Some("exited"), false),
        ] {
            let mut variables = vec![("MONITOR_SERVICE_RESULT", result)];
            variables.extend(code.map(|code| ("MONITOR_EXIT_CODE", code)));
            assert_eq!(is_true_success(&observe(Outcome::Succeeded, &variables)), believed, "{result} {code:?}");
        }
    }
}
