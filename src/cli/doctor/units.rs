//! sysalert's own units: what records, what delivers, what polls.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Outcome, Patient, finding};
use crate::event::short_time;
use crate::host::manager::Health;
use crate::host::wake::DISPATCH;
use crate::settings::Settings;

/// An instance of the handlers that nobody has.
pub(super) const NOBODYS: &str = "sysalert-doctor-looks.service";

pub(super) fn handlers(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let mut found = Vec::new();
    for (kind, what) in [
        ("failure", "no failure reaches sysalert but by the journal, minutes later"),
        ("success", "a recovery is told a minute late"),
    ] {
        let template = format!("sysalert-{kind}@.service");
        let instance = format!("sysalert-{kind}@{NOBODYS}.service");
        let Some(Health { load, .. }) = patient.manager.health(&instance) else { return found };
        found.extend(unusable(patient, &template, &load, what));
    }
    if let Some(program) = program(patient).filter(|program| !std::path::Path::new(program).exists()) {
        found.push(finding(
            format!("sysalert-failure@.service starts {program}, which is not there: no handler runs"),
            "install the program and its units from one source; `make uninstall` removes what another PREFIX= left",
        ));
    }
    let recursive = patient.manager.nature(&format!("sysalert-failure@{NOBODYS}.service")).unwrap_or_default().on_failure;
    if !recursive.is_empty() {
        found.push(finding(
            format!("sysalert's own handlers have a handler, {}: the two start each other without end", recursive.join(", ")),
            "put an empty file of the name of the drop-in that sets it below sysalert-.service.d; `systemctl cat \
             sysalert-failure@x.service` shows which",
        ));
    }
    found
}

/// The program that the handlers start.
fn program(patient: &Patient<'_>) -> Option<String> {
    let text = patient.scope.installed("sysalert-failure@.service")?;
    let command = text.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    Some(command.split(' ').next()?.to_owned())
}

fn unusable(patient: &Patient<'_>, unit: &str, load: &str, what: &str) -> Option<Outcome> {
    let systemctl = patient.systemctl();
    match load {
        "loaded" => None,
        "masked" => {
            // the file is what is masked: that of the template, maybe
            let mask = patient.files_of(&patient.unit_files(), unit).into_iter().next().map(|(path, _)| path).unwrap_or_default();
            let runtime = if mask.starts_with("/run") { "--runtime " } else { "" };
            let masked = mask.file_name().and_then(|name| name.to_str()).unwrap_or(unit);
            // one that was masked while it ran has failed, and stays so
            let runs = unit.ends_with(".path") || unit.ends_with(".timer");
            let starts =
                if runs { format!("; {systemctl} reset-failed {unit}; {systemctl} start {unit}") } else { String::new() };
            Some(finding(format!("{unit} is masked: {what}"), format!("{systemctl} unmask {runtime}{masked}{starts}")))
        }
        "not-found" => Some(finding(
            format!("{unit} is not installed: {what}"),
            format!("install sysalert again (`make install`, or its package), then {systemctl} daemon-reload"),
        )),
        _ => Some(finding(
            format!("{unit} cannot be loaded: {what}"),
            format!("`{systemctl} status {unit}` and `systemctl cat {unit}` say why: most likely a drop-in of yours"),
        )),
    }
}

pub(super) fn delivery(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let mut found = Vec::new();
    for (unit, runs, what) in [
        (DISPATCH, false, "no alert is sent"),
        ("sysalert-dispatch.path", true, "alerts wait for the timer, up to a minute"),
        (DISPATCH_TIMER, true, "what could not be sent at once is not tried again, and missed failures are not found"),
    ] {
        let Some(health) = patient.manager.health(unit) else { return found };
        let unusable = unusable(patient, unit, &health.load, what);
        let is_loaded = unusable.is_none();
        found.extend(unusable);
        if runs && is_loaded {
            found.extend(idle(patient, unit, &health, what));
        } else if is_loaded && health.active == "failed" {
            let systemctl = patient.systemctl();
            let text = format!("{unit} failed when it ran last: what it had to do then may wait");
            let hint = format!("`{systemctl} status {unit}` says why; mend that, then {systemctl} start {unit}");
            found.push(finding(text, hint));
        }
        if unit == DISPATCH_TIMER && is_loaded {
            found.extend(slower(patient, unit, DISPATCHES));
        }
    }
    found
}

const DISPATCH_TIMER: &str = "sysalert-dispatch.timer";
/// Its pace.
const DISPATCHES: Duration = Duration::from_secs(60);

/// A path or a timer that does not run now, or will not after the next boot.
fn idle(patient: &Patient<'_>, unit: &str, health: &Health, what: &str) -> Option<Outcome> {
    let systemctl = patient.systemctl();
    if health.active != "active" {
        let text = format!("{unit} is {}: {what}", health.active);
        let reset = if health.active == "failed" { format!("{systemctl} reset-failed {unit}; ") } else { String::new() };
        let hint = format!("{reset}{systemctl} enable --now {unit}; `{systemctl} status {unit}` says why it stopped");
        return Some(finding(text, hint));
    }
    // one that a package put below a .wants folder is "static"
    matches!(health.file.as_str(), "disabled").then(|| {
        finding(format!("{unit} runs and is disabled: after the next boot {what}"), format!("{systemctl} enable {unit}"))
    })
}

pub(super) fn timers(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let mut found = Vec::new();
    let Some(settings) = &patient.settings else { return found };
    let processes = settings.processes.as_ref();
    let sensors = settings.sensors().watches.iter().map(|watch| watch.every).min();
    let polled = "what [services] and expect_success ask for, and timers that no longer run, are not looked at";
    // each with its pace, and whether somebody asked for it
    let timers = [
        ("services", None, polls(settings), polled),
        ("sensors", sensors, measures(settings), "no sensor measures anything"),
        ("processes", processes.map(|of| of.check_interval), processes.is_some(), "the watchdog looks at no process"),
    ];
    // users have that of services alone
    let count = if patient.is_users() { 1 } else { timers.len() };
    for (instance, every, is_wanted, what) in timers.into_iter().take(count) {
        let timer = format!("sysalert-check@{instance}.timer");
        let Some(health) = patient.manager.health(&timer) else { break };
        let service = format!("sysalert-check@{instance}.service");
        if is_wanted && let Some(Health { load, .. }) = patient.manager.health(&service) {
            found.extend(unusable(patient, &service, &load, what));
        }
        match (health.load.as_str(), health.active.as_str()) {
            ("loaded", "active") => {
                found.extend(idle(patient, &timer, &health, what));
                found.extend(every.and_then(|every| slower(patient, &timer, every)));
            }
            ("loaded", _) if is_wanted => found.extend(idle(patient, &timer, &health, what)),
            (load, _) if is_wanted => found.extend(unusable(patient, &timer, load, what)),
            ("loaded", _) if instance == "services" => found.push(Outcome::Note(format!("{timer} is {}: {what}", health.active))),
            _ => {}
        }
    }
    found
}

/// Whether the configuration asks for the poll.
pub(super) fn polls(settings: &Settings) -> bool {
    !settings.services.units.is_empty() || !settings.expecting().is_empty()
}

/// Whether the configuration says something of sensors.
pub(super) fn measures(settings: &Settings) -> bool {
    settings.effective().iter().any(|(section, _, _, origin)| section.starts_with("sensor") && origin.is_some())
}

/// A timer may elapse so much later than its time.
const SLACK: TimeDelta = TimeDelta::minutes(1);

/// A timer whose times are farther apart than what it is for.
fn slower(patient: &mut Patient<'_>, timer: &str, every: Duration) -> Option<Outcome> {
    let (last, next) = patient.manager.elapses(timer)?;
    let every = TimeDelta::from_std(every).ok()?;
    (next - last > every + SLACK).then(|| {
        let asked = humantime::format_duration(every.to_std().unwrap_or_default());
        finding(
            format!(
                "{timer} elapsed {} and does so again {}: what should be looked at every {asked} is not",
                short_time(last),
                short_time(next)
            ),
            format!(
                "set its OnCalendar= ({} edit {timer}, an empty OnCalendar= first){}",
                patient.systemctl(),
                // the pace of dispatch is nobody's setting
                if timer == DISPATCH_TIMER { "" } else { ", or a longer time in the configuration" }
            ),
        )
    })
}
