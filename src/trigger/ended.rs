//! systemd's ExecStopPost=: a unit's name as the argument, the rest in `SERVICE_RESULT` and so on (`systemd.exec(5)`).
//!
//! The environment is the unit's: its own settings come after systemd's words and may take their place. So this, too, is a
//! trigger's word, and the journal's stands above it.

use chrono::{DateTime, Utc};

use super::handler::{self, Environment};
use crate::event::{Event, Manager, Outcome, Problem, Subject, UnitName};

/// How a run ended. `None`: systemd does not say so; `Some(None)`: nothing that anybody waits for.
pub fn event(
    manager: &Manager,
    unit: &UnitName,
    environment: Environment<'_>,
    boot: fn() -> String,
    now: DateTime<Utc>,
) -> Option<Option<Event>> {
    let word = |name: &str| environment(name).filter(|value| handler::is_word(value));
    let problem = Problem {
        service_result: word("SERVICE_RESULT"),
        exit_code: word("EXIT_CODE"),
        exit_status: word("EXIT_STATUS"),
        cause: None,
    };
    let outcome = match problem.service_result.as_deref()? {
        "success" if problem.exit_code.is_some() => Outcome::Succeeded,
        // nothing was run, or ExecCondition= was not met
        "success" | "exec-condition" => return Some(None),
        _ => Outcome::Failed,
    };
    let invocation_id = word("INVOCATION_ID").filter(|id| handler::is_invocation(id));
    Some(Some(Event {
        subject: Subject::unit(manager, unit),
        outcome,
        run: handler::run(invocation_id.as_deref(), boot, now),
        invocation_id,
        problem,
        triggered_by: None,
        start: None,
        restarts: false,
        at: now,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    /// "failed 0123... exit-code exited 3", "nothing", "odd".
    fn observe(variables: &[(&str, &str)]) -> String {
        let environment = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let unit = UnitName::typed("a").unwrap();
        let event = event(&Manager::System, &unit, &environment, || "boot".to_owned(), DateTime::from_timestamp(7, 0).unwrap());
        match event {
            None => "odd".to_owned(),
            Some(None) => "nothing".to_owned(),
            Some(Some(Event { outcome, run, problem, .. })) => {
                let words = [problem.service_result, problem.exit_code, problem.exit_status];
                let words: Vec<String> = words.into_iter().flatten().collect();
                format!("{} {run} {}", outcome.as_str(), words.join(" "))
            }
        }
    }

    #[test]
    fn systemds_words_are_taken_and_no_others() {
        let run = |result, code, status| {
            observe(&[("INVOCATION_ID", ID), ("SERVICE_RESULT", result), ("EXIT_CODE", code), ("EXIT_STATUS", status)])
        };
        assert_eq!(run("exit-code", "exited", "3"), format!("failed {ID} exit-code exited 3"));
        assert_eq!(run("success", "exited", "0"), format!("succeeded {ID} success exited 0"));
        assert_eq!(run("timeout", "killed", "TERM"), format!("failed {ID} timeout killed TERM"));
        for (variables, expected) in [
            // ExecStartPre= failed: there was no main process
            (vec![("SERVICE_RESULT", "exit-code"), ("INVOCATION_ID", ID)], format!("failed {ID} exit-code")),
            (vec![("SERVICE_RESULT", "exec-condition"), ("INVOCATION_ID", ID)], "nothing".to_owned()),
            (vec![("SERVICE_RESULT", "success"), ("INVOCATION_ID", ID)], "nothing".to_owned()),
            (vec![("SERVICE_RESULT", "exit-code"), ("INVOCATION_ID", "../../etc")], "failed boot:7000000 exit-code".to_owned()),
            (vec![("SERVICE_RESULT", "exit-code\n"), ("INVOCATION_ID", ID)], "odd".to_owned()),
            (vec![("INVOCATION_ID", ID)], "odd".to_owned()),
        ] {
            assert_eq!(observe(&variables), expected, "{variables:?}");
        }
    }
}
