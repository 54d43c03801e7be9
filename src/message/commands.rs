//! What to run next: the few commands that help with what happened, to be copied into a shell as they are.

use super::Findings;
use crate::event::Event;

/// The commands, the most useful first; at most four, and how to acknowledge it where that matters.
pub(super) fn commands(event: &Event, findings: &Findings, recovered: bool, acknowledge: bool) -> Vec<String> {
    let unit = quoted(event.subject.unit_name());
    let (user, users) = if event.subject.is_users() { (" --user", "USER_") } else { ("", "") };
    let status = format!("systemctl{user} status {unit}");
    let explain = format!("sysalert{user} explain {unit}");
    if recovered {
        return vec![status, explain];
    }
    let acknowledge = acknowledge.then(|| format!("sysalert{user} ack {unit}"));
    let problem = &event.problem;
    let settings = || format!("systemctl{user} cat {unit}");
    let mut commands = vec![status];
    // of this run alone: what it wrote, and what the manager wrote of it
    let run = |id: &String| format!("journalctl{user} _SYSTEMD_INVOCATION_ID={id} + {users}INVOCATION_ID={id}");
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
        // the setting that it broke stands there
        (Some("timeout" | "watchdog" | "protocol" | "resources" | "assert"), _) => commands.push(settings()),
        (Some("exit-code"), Some(status)) if ("200"..="245").contains(&status) && status.len() == 3 => commands.push(settings()),
        (Some("start-limit-hit"), _) if event.invocation_id.is_none() => {
            commands.push(format!("journalctl{user} -n 50 --unit={}", plain(event.subject.unit_name())));
        }
        _ => {}
    }
    commands.push(explain);
    commands.extend(acknowledge);
    commands
}

/// A unit's name as an argument: a leading dash must not surprise who copies the line.
fn quoted(unit: &str) -> String {
    let plain = plain(unit);
    if unit.starts_with('-') { format!("-- {plain}") } else { plain }
}

/// A unit's name as a shell takes it: of all that a name may hold, only a backslash means something there.
fn plain(unit: &str) -> String {
    if unit.contains('\\') { format!("'{unit}'") } else { unit.to_owned() }
}
