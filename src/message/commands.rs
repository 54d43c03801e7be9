//! What to run next: the few commands that help with what happened, to be copied into a shell as they are.

use super::Findings;
use crate::event::{Event, shell};

/// The commands, the most useful first; at most four, and how to acknowledge it where that matters.
/// `is_own`: the reader is the user whose unit it is.
pub(super) fn commands(event: &Event, findings: &Findings, recovered: bool, acknowledge: bool, is_own: bool) -> Vec<String> {
    let subject = &event.subject;
    let unit = quoted(subject.unit_name());
    // whoever administers the machine looks at another's manager, and finds it all in the machine's journal and record
    let (user, own, users) = match subject.is_users() {
        true if is_own => (" --user".to_owned(), " --user", "USER_"),
        true => (format!(" --user -M {}", shell(&format!("{}@", subject.manager()))), "", "USER_"),
        false => (String::new(), "", ""),
    };
    let status = format!("systemctl{user} status {unit}");
    let named = if own.is_empty() { quoted(subject.name()) } else { unit.clone() };
    let explain = format!("sysalert{own} explain {named}");
    if recovered {
        // of what is gone nobody tells a status
        return if event.problem.is_gone() { vec![explain] } else { vec![status, explain] };
    }
    let acknowledge = acknowledge.then(|| format!("sysalert{own} ack {named}"));
    let problem = &event.problem;
    let settings = || format!("systemctl{user} cat {unit}");
    let mut commands = vec![status];
    // of this run alone: what it wrote, and what the manager wrote of it
    let run = |id: &String| format!("journalctl{own} _SYSTEMD_INVOCATION_ID={id} + {users}INVOCATION_ID={id}");
    commands.extend(event.invocation_id.as_ref().map(run));
    if let Some(core) = &findings.core {
        commands.extend([core.command(), explain]);
        commands.extend(acknowledge);
        return commands;
    }
    match (problem.service_result.as_deref(), problem.exit_status.as_deref()) {
        (Some("dependency"), _) => match problem.culprit() {
            // there is the fault, so that comes first
            Some(culprit) => commands.insert(0, format!("systemctl{user} status {}", quoted(culprit.as_str()))),
            None => commands.push(format!("systemctl{user} list-dependencies {unit}")),
        },
        (Some("timeout"), _) if problem.cause.as_deref() == Some("job") => commands.push(format!("systemctl{user} list-jobs")),
        (Some("not-found"), _) => commands.push(format!("systemctl{user} list-unit-files --type=service")),
        (Some("bad-setting" | "load-error"), _) => {
            // it speaks of the mistake and its line
            commands.insert(0, format!("systemd-analyze verify {unit}"));
            commands.push(settings());
        }
        (Some("activating" | "deactivating"), _) => commands.push(format!("systemctl{user} list-jobs")),
        // the setting that it broke stands there
        (Some("timeout" | "watchdog" | "protocol" | "resources" | "assert"), _) => commands.push(settings()),
        (Some("exit-code"), Some(status)) if ("200"..="245").contains(&status) && status.len() == 3 => commands.push(settings()),
        (Some("start-limit-hit"), _) if event.invocation_id.is_none() => {
            commands.push(format!("journalctl{own} -n 50 --unit={}", shell(event.subject.unit_name())));
        }
        _ => {}
    }
    commands.push(explain);
    commands.extend(acknowledge);
    commands
}

/// A name as an argument: a leading dash must not surprise who copies the line.
pub(super) fn quoted(name: &str) -> String {
    let word = shell(name);
    if name.starts_with('-') { format!("-- {word}") } else { word }
}
