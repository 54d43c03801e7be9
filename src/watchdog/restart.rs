//! One cycle of restarts of one process, as root: stopped and started as its section says, and looked at until it is healthy.
//! Of the database it knows the name alone.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::event::{ProcessName, UnitName, shell};
use crate::host::manager::{Change, ServiceManager};
use crate::host::processes::{self, Wanted};
use crate::host::{clock, log, program, trust};
use crate::settings::{HealthCheck, Process, Strategy};

/// So often a health check is made.
const LOOK: Duration = Duration::from_millis(500);
/// A service may take so long to stop and start.
const SERVICE: Duration = Duration::from_secs(180);
/// What it was asked for before is done within this time.
const MANAGER: Duration = Duration::from_secs(30);
/// Where systemd's own programs are.
const SYSTEMD_RUN: [&str; 2] = ["/usr/bin/systemd-run", "/bin/systemd-run"];
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

/// Looks at an address over HTTP: what is wrong with its answer.
pub type Probe<'a> = &'a dyn Fn(&HealthCheck, Duration) -> Result<(), String>;

/// How a process can be restarted, once the strategy is clear.
enum Way<'a> {
    Service(&'a str),
    Process(Wanted<'a>),
    Custom,
}

/// Tries as often as the section says; at the first healthy try it is done. Before each try `begin` hears what runs then.
///
/// # Errors
/// Why the last try failed, as the end of "could not be restarted: ...".
pub fn cycle(
    process: &Process,
    manager: &mut ServiceManager,
    probe: Probe<'_>,
    begin: &dyn Fn(String) -> Result<(), String>,
) -> Result<(), String> {
    let mut failed = String::new();
    for attempt in 1..=process.max_attempts {
        if attempt > 1 {
            clock::wait(process.restart_delay);
        }
        if !process.pre_restart_command.is_empty() {
            // somebody says that it must not be restarted now: that ends the cycle
            program::follow(&process.pre_restart_command, process.command_timeout)
                .map_err(|why| format!("its `pre_restart_command` {why}"))?;
        }
        let way = way(process, manager)?;
        begin(runs(&way, manager))?;
        match restart(&way, process, manager).and_then(|()| becomes_healthy(process, manager, probe)) {
            Ok(()) => return Ok(()),
            Err(why) => {
                log::warn(Some(&subject(&process.name)), &format!("try {attempt} of {}: {why}", process.max_attempts));
                failed = why;
            }
        }
    }
    Err(failed)
}

/// Whether a cycle that was cut short had restarted the process, and that is healthy. `ran` is what ran before.
///
/// # Errors
/// Why it is not known to be back.
pub fn was_done(process: &Process, manager: &mut ServiceManager, probe: Probe<'_>, ran: &str) -> Result<(), String> {
    let way = way(process, manager)?;
    match &way {
        // the manager goes on with what it was asked for
        Way::Service(unit) => manager.settled(unit, clock::started() + MANAGER)?,
        Way::Process(_) => {}
        Way::Custom => return Err("nobody knows how far its `restart_command` was".to_owned()),
    }
    if runs(&way, manager) == ran {
        return Err("it had not been started again".to_owned());
    }
    becomes_healthy(process, manager, probe)
}

/// Whether there is what a restart would start, as far as it can be seen without one.
///
/// # Errors
/// What there is not.
pub fn can(process: &Process, manager: &mut ServiceManager) -> Result<(), String> {
    way(process, manager).map(drop)
}

/// What of the process runs now, as it is never again after a restart; empty where nobody can tell.
fn runs(way: &Way<'_>, manager: &mut ServiceManager) -> String {
    match way {
        Way::Service(unit) => manager.active_since(unit).map(|at| at.timestamp_micros().to_string()).unwrap_or_default(),
        Way::Process(wanted) => wanted.running().iter().map(|one| one.pid.to_string()).collect::<Vec<_>>().join(" "),
        Way::Custom => String::new(),
    }
}

fn subject(name: &ProcessName) -> String {
    crate::event::Subject::process(name.as_str()).as_str().to_owned()
}

fn restart(way: &Way<'_>, process: &Process, manager: &mut ServiceManager) -> Result<(), String> {
    match way {
        Way::Service(unit) => restart_service(manager, unit, !process.checks.is_empty()),
        Way::Process(wanted) => restart_process(process, wanted),
        Way::Custom => in_unit_of_its_own(process),
    }
}

/// Waits until all of its checks are good.
fn becomes_healthy(process: &Process, manager: &mut ServiceManager, probe: Probe<'_>) -> Result<(), String> {
    let end = clock::started() + process.health_check_timeout;
    if process.checks.is_empty() {
        return stays(process, manager);
    }
    loop {
        let left = end.saturating_duration_since(clock::started());
        let wrong = process.checks.iter().find_map(|check| healthy(check, process, manager, probe, left.max(LOOK)).err());
        match wrong {
            None => return Ok(()),
            Some(why) if clock::started() + LOOK >= end => {
                return Err(format!("it was not healthy within {} s: {why}", process.health_check_timeout.as_secs()));
            }
            Some(_) => clock::wait(LOOK),
        }
    }
}

fn way<'a>(process: &'a Process, manager: &mut ServiceManager) -> Result<Way<'a>, String> {
    let plain = || Wanted::new(&process.process_command, &process.process_user).map(Way::Process);
    let service = |manager: &mut ServiceManager| -> Result<Option<&'a str>, String> {
        let Some(unit) = process.unit.as_ref().map(UnitName::as_str) else { return Ok(None) };
        let load = manager.is(unit).map(|(load, _)| load);
        Ok(there_is(unit, load.as_deref())?.then_some(unit))
    };
    let none = || match &process.unit {
        Some(unit) => format!("there is no {unit}: set `system_name`"),
        None => "no unit can have its name: set `system_name`".to_owned(),
    };
    match process.strategy {
        Strategy::Custom => Ok(Way::Custom),
        Strategy::Service => service(manager)?.map(Way::Service).ok_or_else(none),
        Strategy::Process => plain(),
        Strategy::Auto => match service(manager)? {
            Some(unit) => Ok(Way::Service(unit)),
            None if process.process_command.is_empty() => Err(format!("{}, or `process_command` if it is no service", none())),
            None => plain(),
        },
    }
}

/// Whether there is such a unit, by how it is loaded. One that is there and must not be started, or of which nobody knows, is no
/// reason to start something else.
fn there_is(unit: &str, load: Option<&str>) -> Result<bool, String> {
    match load {
        Some("loaded") => Ok(true),
        Some("not-found") => Ok(false),
        Some("masked") => Err(format!("{unit} is masked")),
        Some(load) => Err(format!("{unit} cannot be loaded ({load}): `systemctl status {}` tells why", shell(unit))),
        None => Err("systemd does not answer".to_owned()),
    }
}

/// `is_checked`: a health check says whether it is well; a oneshot service is inactive when it is done.
fn restart_service(manager: &mut ServiceManager, unit: &str, is_checked: bool) -> Result<(), String> {
    manager.change(Change::Restart, unit, clock::started() + SERVICE)?;
    match manager.is(unit).ok_or("systemd does not answer")?.1.as_str() {
        "active" | "activating" | "reloading" => Ok(()),
        "inactive" if is_checked => Ok(()),
        state => Err(format!("{unit} is {state} after its restart: `systemctl status {}` tells why", shell(unit))),
    }
}

fn restart_process(process: &Process, wanted: &Wanted<'_>) -> Result<(), String> {
    // whatever may forbid the start is asked first: what runs is not ended for nothing
    trust::only_command_of(&process.process_command, wanted.user())?;
    let systemctl = program::found(&SYSTEMCTL).ok_or("there is no systemctl")?;
    let unit = format!("sysalert-process-{}", process.name.unit().trim_start_matches("sysalert-restart@"));
    let mut command = systemd_run(&unit, &format!("The process {}", process.name))?;
    command.extend(["--service-type=exec".to_owned(), format!("--uid={}", process.process_user), "--".to_owned()]);
    command.extend(process.process_command.iter().map(|word| unexpanded(word)));
    processes::end(&wanted.running(), process.stop_timeout)?;
    // what is left of an earlier start by this hand would keep the name
    let _ = program::call(&[systemctl.clone(), "stop".into(), "--".into(), unit.clone()], process.stop_timeout + SERVICE);
    let _ = program::call(&[systemctl, "reset-failed".into(), "--quiet".into(), "--".into(), unit], SERVICE);
    program::call(&command, process.command_timeout).map_err(|why| format!("it could not be started: systemd-run {why}"))
}

/// The command may leave a daemon behind: that belongs to no unit of ours that ends.
fn in_unit_of_its_own(process: &Process) -> Result<(), String> {
    trust::only_roots_command(&process.restart_command).map_err(|why| format!("its `restart_command` is not run: {why}"))?;
    let unit = format!("sysalert-custom-{}-{}", std::process::id(), process.name.unit().trim_start_matches("sysalert-restart@"));
    let mut command = systemd_run(&unit, &format!("The restart_command of {}", process.name))?;
    let limit = process.command_timeout;
    command.extend(["--wait", "--service-type=exec", "--property=KillMode=process"].map(str::to_owned));
    command.extend([format!("--property=RuntimeMaxSec={}s", limit.as_secs()), "--".to_owned()]);
    command.extend(process.restart_command.iter().map(|word| unexpanded(word)));
    let begun = clock::started();
    // systemd ends it in time; what waits for it ends later
    program::call(&command, limit + Duration::from_secs(30)).map_err(|why| match clock::started() - begun {
        time if time >= limit => format!("its `restart_command` took longer than {} s and was ended", limit.as_secs()),
        _ => format!("its `restart_command` {why}"),
    })
}

/// Described by us: its arguments are not for the journal.
fn systemd_run(unit: &str, description: &str) -> Result<Vec<String>, String> {
    let program = program::found(&SYSTEMD_RUN).ok_or("there is no systemd-run")?;
    let words = ["--quiet".into(), "--collect".into(), format!("--unit={unit}"), format!("--description={description}")];
    Ok([vec![program], words.into()].concat())
}

/// The manager puts variables into what it starts (`systemd.service(5)`, "Command lines").
fn unexpanded(word: &str) -> String {
    word.replace('$', "$$")
}

fn healthy(
    check: &HealthCheck,
    process: &Process,
    manager: &mut ServiceManager,
    probe: Probe<'_>,
    left: Duration,
) -> Result<(), String> {
    match check {
        HealthCheck::Command(command) => {
            program::follow(command, left.min(process.command_timeout)).map_err(|why| format!("its `health_check_command` {why}"))
        }
        HealthCheck::Unit(unit) => match manager.is(unit.as_str()).ok_or("systemd does not answer")?.1.as_str() {
            "active" => Ok(()),
            state => Err(format!("{unit} is {state}")),
        },
        HealthCheck::Tcp(address) => connects(address, left).map_err(|why| format!("{address} takes no connection: {why}")),
        HealthCheck::Http { .. } => probe(check, left),
    }
}

fn connects(address: &str, left: Duration) -> Result<(), String> {
    let places: Vec<_> = address.to_socket_addrs().map_err(|error| error.to_string())?.collect();
    let mut why = "it has no address".to_owned();
    for place in places {
        match TcpStream::connect_timeout(&place, left) {
            Ok(_) => return Ok(()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// What is said of a process that is gone.
const FOREGROUND: &str = ": a program of `process_command` must stay in the foreground; one that leaves it is ended";

/// Without a health check: it is there, and stays.
fn stays(process: &Process, manager: &mut ServiceManager) -> Result<(), String> {
    let unit = process.unit.as_ref().filter(|_| process.strategy != Strategy::Process);
    let unit = unit.filter(|unit| manager.is(unit.as_str()).is_some_and(|(load, _)| load == "loaded"));
    let wanted = match unit {
        None if process.process_command.is_empty() => {
            return Err("nothing tells whether it is healthy: set `health_check_command`, `health_check_unit`, \
                        `health_check_tcp` or `health_check_url`"
                .to_owned());
        }
        None => Some(Wanted::new(&process.process_command, &process.process_user)?),
        Some(_) => None,
    };
    let there = |manager: &mut ServiceManager| match (unit, &wanted) {
        (Some(unit), _) => match manager.is(unit.as_str()).map(|(_, active)| active).as_deref() {
            Some("active") => Ok(Vec::new()),
            Some(state) => Err(format!("{unit} is {state}")),
            None => Err("systemd does not answer".to_owned()),
        },
        (None, Some(wanted)) => {
            let pids: Vec<i32> = wanted.running().iter().map(|one| one.pid).collect();
            if pids.is_empty() { Err(format!("its process is not there{FOREGROUND}")) } else { Ok(pids) }
        }
        (None, None) => Err("it has neither a unit nor a process".to_owned()),
    };
    let end = clock::started() + process.health_check_timeout;
    let mut stayed = loop {
        match there(manager) {
            Ok(found) => break found,
            Err(why) if clock::started() >= end => return Err(why),
            Err(_) => clock::wait(LOOK),
        }
    };
    let end = clock::started() + process.stable_time;
    while clock::started() < end {
        clock::wait(LOOK.min(end.saturating_duration_since(clock::started())));
        let now = there(manager)?;
        // what it forks looks like itself for a moment, or for good
        stayed.retain(|pid| now.contains(pid));
        if wanted.is_some() && stayed.is_empty() {
            return Err(format!("its process did not stay{FOREGROUND}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn only_a_unit_that_is_not_there_lets_the_process_be_started() {
        assert_eq!(there_is("x.service", Some("loaded")), Ok(true));
        assert_eq!(there_is("x.service", Some("not-found")), Ok(false));
        for load in [Some("masked"), Some("bad-setting"), Some("error"), None] {
            assert!(there_is("x.service", load).is_err(), "{load:?}");
        }
    }

    #[test]
    fn what_may_not_be_started_again_is_not_ended() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("daemon");
        // anybody could put another one there
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let length = format!("{}", 800_000 + std::process::id() % 90_000);
        let user = crate::host::names::user();
        let text =
            format!("[processes]\n[process.x]\nprocess_command = [{program:?}, \"{length}\"]\nprocess_user = \"{user}\"\n");
        let settings = Settings::read(&[("x.toml".into(), text)]).unwrap();
        let process = settings.process(&ProcessName::parse("x").unwrap()).unwrap();
        let wanted = Wanted::new(&process.process_command, &user).unwrap();
        let mut child = std::process::Command::new(&program).arg(&length).spawn().unwrap();
        while wanted.running().is_empty() {
            clock::wait(Duration::from_millis(1));
        }
        let why = restart_process(&process, &wanted).unwrap_err();
        assert!(why.contains("can be changed by others") && why.contains("chmod go-w"), "{why}");
        assert_eq!(child.try_wait().unwrap(), None, "it was ended");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
