//! Messages as systemd 252 and 257 wrote them.

use super::*;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
}

fn message(second: i64, kind: Kind, run: &str) -> Message {
    let invocation = (!run.is_empty()).then(|| run.to_owned());
    Message { at: at(second), kind, invocation, ..Message::default() }
}

fn failed(second: i64, run: &str, result: &str) -> Message {
    Message { result: Some(result.into()), ..message(second, Kind::Failed, run) }
}

fn exited(second: i64, run: &str, code: &str, status: &str, command: &str) -> Message {
    let exit = Some((code.to_owned(), status.to_owned()));
    Message { exit, command: Some(command.into()), ..message(second, Kind::Exited, run) }
}

fn says(second: i64, run: &str, text: &str) -> Message {
    Message { text: Some(text.into()), ..message(second, Kind::Other, run) }
}

fn words(problem: &Problem) -> [&str; 4] {
    let Problem { service_result, exit_code, exit_status, cause } = problem;
    [service_result, exit_code, exit_status, cause].map(|word| word.as_deref().unwrap_or("-"))
}

/// The problem of the only failure of these messages.
fn problem(unit: &str, messages: &[Message]) -> Problem {
    let account = account(unit, messages);
    assert_eq!(account.runs.len(), 1, "{account:?}");
    assert_eq!(account.runs[0].failures.len(), 1, "{account:?}");
    account.runs[0].failures[0].1.clone()
}

#[test]
fn the_command_that_failed_first_is_the_cause() {
    let rows = [
        (vec![exited(0, "a", "exited", "3", "ExecStart")], "exit-code", ["exit-code", "exited", "3", "-"]),
        (vec![exited(0, "a", "exited", "7", "ExecStartPre")], "exit-code", ["exit-code", "exited", "7", "ExecStartPre"]),
        // the main process was killed because the command after it failed
        (
            vec![exited(0, "a", "exited", "8", "ExecStartPost"), exited(1, "a", "killed", "KILL", "ExecStart")],
            "exit-code",
            ["exit-code", "exited", "8", "ExecStartPost"],
        ),
        (vec![exited(0, "a", "dumped", "SEGV", "ExecStart")], "core-dump", ["core-dump", "dumped", "SEGV", "-"]),
        (vec![exited(0, "a", "killed", "ABRT", "ExecStart")], "watchdog", ["watchdog", "killed", "ABRT", "-"]),
        (vec![exited(0, "a", "killed", "KILL", "ExecStop")], "oom-kill", ["oom-kill", "killed", "KILL", "-"]),
        (vec![], "protocol", ["protocol", "-", "-", "-"]),
    ];
    for (mut messages, result, expected) in rows {
        messages.push(failed(2, "a", result));
        assert_eq!(words(&problem("a.service", &messages)), expected);
    }
    let mount = [exited(0, "a", "exited", "32", "n/a"), failed(1, "a", "exit-code")];
    assert_eq!(words(&problem("data.mount", &mount)), ["exit-code", "exited", "32", "ExecMount"]);
}

#[test]
fn a_timeout_says_what_took_too_long() {
    for (text, cause) in [
        ("a.service: start operation timed out. Terminating.", "start"),
        ("a.service: start-pre operation timed out. Terminating.", "start-pre"),
        ("a.service: State 'stop-sigterm' timed out. Killing.", "stop"),
        ("a.service: State 'final-sigterm' timed out. Killing.", "stop"),
        ("a.service: Service reached runtime time limit. Stopping.", "runtime"),
        ("a.scope: Scope reached runtime time limit. Stopping.", "runtime"),
        ("data.mount: Mounting timed out. Terminating.", "start"),
        ("data.mount: Unmounting timed out. Terminating.", "stop"),
    ] {
        let messages = [
            message(0, Kind::Starting, "a"),
            says(1, "a", text),
            exited(2, "a", "killed", "TERM", "ExecStart"),
            says(2, "a", "a.service: Unit process 7 (sleep) remains running after unit stopped."),
            failed(3, "a", "timeout"),
        ];
        assert_eq!(words(&problem("a.service", &messages)), ["timeout", "killed", "TERM", cause], "{text}");
    }
    let other = [says(0, "a", "a.service: something timed"), failed(1, "a", "timeout")];
    assert_eq!(words(&problem("a.service", &other)), ["timeout", "-", "-", "-"]);
}

#[test]
fn a_restart_that_is_refused_makes_the_last_failure_final() {
    let run = |second, run: &str| {
        [message(second, Kind::Started, run), exited(second, run, "exited", "5", "ExecStart"), failed(second, run, "exit-code")]
    };
    let mut messages = run(0, "a").to_vec();
    messages.push(message(1, Kind::Restarts, "a"));
    messages.extend(run(2, "b"));
    messages.push(message(3, Kind::Restarts, "b"));
    let waiting = account("a.service", &messages);
    assert!(waiting.runs.iter().all(|run| run.restarts), "{waiting:?}");
    assert!(waiting.is_restart("b") && !waiting.is_restart("a"));
    messages.push(says(4, "b", "a.service: Start request repeated too quickly."));
    messages.push(failed(4, "b", "exit-code"));
    messages.push(Message { result: Some("failed".into()), job: Some("boot:7".into()), ..message(4, Kind::JobFailed, "b") });
    let over = account("a.service", &messages);
    assert!(over.runs[0].restarts && !over.runs[1].restarts, "{over:?}");
    assert_eq!((over.runs[1].failures.len(), &over.refused, over.closed), (2, &vec![], Some(at(4))));
    assert_eq!(over.runs[1].first, at(2));
}

#[test]
fn a_start_without_a_run_is_told_by_its_job() {
    let job = |result: &str, run: &str| Message {
        result: Some(result.into()),
        job: Some("boot:7".into()),
        ..message(0, Kind::JobFailed, run)
    };
    for (message, expected) in [
        (job("dependency", ""), Some(["dependency", "-", "-", "-"])),
        // of a unit that ran before, systemd names the old run
        (job("dependency", "old"), Some(["dependency", "-", "-", "-"])),
        (job("assert", ""), Some(["assert", "-", "-", "-"])),
        (job("timeout", ""), Some(["timeout", "-", "-", "job"])),
        (job("failed", ""), Some(["failed", "-", "-", "-"])),
        (job("failed", "run"), None),
        (job("canceled", ""), None),
        (job("done", ""), None),
    ] {
        let account = account("a.service", std::slice::from_ref(&message));
        let told: Vec<_> = account.refused.iter().map(|refused| (refused.job.as_str(), words(&refused.problem))).collect();
        assert_eq!(told, expected.map(|words| ("boot:7", words)).into_iter().collect::<Vec<_>>(), "{message:?}");
        assert!(account.runs.is_empty());
    }
}

#[test]
fn only_what_ends_well_by_itself_is_a_success() {
    let rows: [(&str, &[Kind], bool); 5] = [
        ("a job", &[Kind::Starting, Kind::Succeeded, Kind::Started], true),
        ("stopped", &[Kind::Started, Kind::Stopping, Kind::Succeeded], false),
        ("started again by Restart=", &[Kind::Started, Kind::Succeeded, Kind::Restarts], false),
        ("skipped by ExecCondition=", &[Kind::Starting, Kind::Skipped], false),
        ("still running", &[Kind::Starting, Kind::Started], false),
    ];
    for (what, kinds, succeeded) in rows {
        let messages: Vec<_> = kinds.iter().enumerate().map(|(second, kind)| message(second as i64, *kind, "a")).collect();
        assert_eq!(account("a.service", &messages).runs[0].succeeded().is_some(), succeeded, "{what}");
    }
    let failed = [message(0, Kind::Succeeded, "a"), failed(1, "a", "exit-code")];
    assert_eq!(account("a.service", &failed).runs[0].succeeded(), None, "a failure of the same run outweighs it");
}

#[test]
fn a_start_that_is_cut_short_is_no_success() {
    let ended = |kinds: &[Kind]| {
        let messages: Vec<Message> = (0..).zip(kinds).map(|(second, kind)| message(second, *kind, "a")).collect();
        account("a.service", &messages).runs[0].succeeded()
    };
    assert_eq!(ended(&[Kind::Starting, Kind::Succeeded, Kind::Stopped]), None, "a job in the middle, a daemon in its start");
    assert_eq!(ended(&[Kind::Starting, Kind::Succeeded, Kind::Started]), Some(at(1)), "a job");
    assert_eq!(ended(&[Kind::Starting, Kind::Started, Kind::Succeeded]), Some(at(2)), "a daemon that ends by itself");
    assert_eq!(ended(&[Kind::Starting, Kind::Started, Kind::Stopping, Kind::Succeeded, Kind::Stopped]), None);
}
