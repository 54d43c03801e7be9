//! Which units may have a drop-in, and why not the others.

use crate::event::{UnitName, shell};
use crate::host::manager::Nature;

/// The longest name that leaves room for the handler's (`sysalert-failure@NAME.service`): systemd's limit is 255. A longer
/// one silently has no handler.
pub const LONGEST: usize = 230;

/// The machine starts these when nothing else works, or on its way down: no alert leaves from there.
const LAST: [&str; 14] = [
    "emergency.service",
    "emergency.target",
    "rescue.service",
    "rescue.target",
    "shutdown.target",
    "umount.target",
    "final.target",
    "exit.target",
    "reboot.target",
    "soft-reboot.target",
    "poweroff.target",
    "halt.target",
    "kexec.target",
    "initrd.target",
];

/// What the loader does with them happens before the sandbox, as root: strict mode takes them away.
const LOADERS: [&str; 7] =
    ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_DEBUG_OUTPUT", "LD_PROFILE", "LD_PROFILE_OUTPUT", "GLIBC_TUNABLES"];

/// Why a unit that is not there may have none.
pub const UNKNOWN: &str = "is not known to systemd";

/// What a unit may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// A handler for its successes, too.
    pub on_success: bool,
    /// What is worth knowing, in a few words.
    pub note: String,
}

/// Whether a unit of this name may have a drop-in at all.
///
/// # Errors
/// Why not, as the rest of a sentence that begins with its name.
pub fn by_name(unit: &UnitName) -> Result<(), String> {
    let name = unit.as_str();
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    if is_ours(name) {
        return Err("is sysalert's own: when it failed, a handler would start for a handler".to_owned());
    }
    if stem.ends_with('@') {
        return Err(format!("is a template: name an instance, or all that are loaded by '{stem}*.{kind}'"));
    }
    if name.len() > LONGEST {
        return Err(format!("has a name of {} characters: with more than {LONGEST} systemd cannot name its handler", name.len()));
    }
    if LAST.contains(&name) {
        return Err("is for when nothing else runs: no alert leaves the machine then".to_owned());
    }
    match kind {
        "timer" => {
            Err(format!("is a timer, which does not fail when its service does: name the service, such as {stem}.service"))
        }
        "slice" | "device" => Err(format!("is a {kind}, which does not fail")),
        "scope" => Err("is a scope: a program made it, and it is gone with its processes".to_owned()),
        _ => Ok(()),
    }
}

/// Whether this unit may have a drop-in, and which.
///
/// # Errors
/// Why not, as the rest of a sentence that begins with its name.
pub fn by_unit(unit: &UnitName, nature: &Nature, strict: bool) -> Result<Grant, String> {
    by_name(unit)?;
    let name = unit.as_str();
    match nature.load_state.as_str() {
        "loaded" => {}
        "not-found" => return Err(UNKNOWN.to_owned()),
        "masked" => return Err("is masked: it cannot run, and so cannot fail".to_owned()),
        _ => return Err(format!("cannot be loaded: `systemctl status {}` says why", shell(name))),
    }
    if nature.id != name {
        return Err(format!("is another name of {}: use that one", nature.id));
    }
    if nature.is_transient {
        return Err("was made by a program for this one run: a drop-in would outlive it".to_owned());
    }
    harmless(nature)?;
    if strict {
        may_be_strict(name, nature)?;
    }
    let is_service = name.ends_with(".service");
    let on_success = nature.service_type.as_deref() == Some("oneshot");
    let mut notes = Vec::new();
    if is_service && !on_success {
        notes.push("a daemon: its recovery is told within a minute".to_owned());
    }
    let others: Vec<&str> = nature.on_failure.iter().map(String::as_str).filter(|unit| !is_handler(unit)).collect();
    if !others.is_empty() {
        notes.push(format!("{} still runs, too", others.join(", ")));
    }
    Ok(Grant { on_success, note: notes.join("; ") })
}

/// Whether this service may have the drop-in for all services.
///
/// # Errors
/// Why not, as the rest of a sentence that begins with its name.
pub fn everywhere(nature: &Nature) -> Result<(), String> {
    if nature.load_state == "loaded" { harmless(nature) } else { Ok(()) }
}

/// Whether its handler may start as it says that handlers start.
fn harmless(nature: &Nature) -> Result<(), String> {
    match nature.on_failure_mode.as_str() {
        // with two handlers it would not even be loaded any more
        "isolate" => Err("has OnFailureJobMode=isolate: its handler would stop everything else".to_owned()),
        "flush" => Err("has OnFailureJobMode=flush: its handler would cancel whatever is being started".to_owned()),
        _ => Ok(()),
    }
}

fn may_be_strict(name: &str, nature: &Nature) -> Result<(), String> {
    if !name.ends_with(".service") {
        return Err("is no service: only these have a strict mode".to_owned());
    }
    if nature.has_own_root {
        return Err("has a RootDirectory= or RootImage=, in which there is no sysalert: enable it without --strict".to_owned());
    }
    let loader = LOADERS.into_iter().find(|key| nature.environment.iter().any(|set| set.split('=').next() == Some(key)));
    match loader {
        Some(key) => Err(format!("needs {key}, which strict mode takes away: enable it without --strict")),
        None => Ok(()),
    }
}

/// Whether this unit is one of sysalert's own, or has the mask that these have.
pub fn is_ours(unit: &str) -> bool {
    unit.starts_with("sysalert-")
}

/// Whether this is a handler of sysalert's.
pub fn is_handler(unit: &str) -> bool {
    unit.starts_with("sysalert-failure@")
}
