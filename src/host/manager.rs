//! The service manager, asked over D-Bus. It tells how a unit is now; how its runs ended, the journal tells better.

use std::ffi::CString;
use std::time::Duration;

use chrono::{DateTime, Utc};
use systemd::bus::types::FromSdBusMessage;
use systemd::bus::{Bus, ContainerType, MessageIter};
use utf8_cstr::Utf8CStr;

use crate::event::{Problem, Start, Subject};

const NAME: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const TIMER: &str = "org.freedesktop.systemd1.Timer";

/// What our handlers' names begin with.
const HANDLER: &str = "sysalert-failure@";

/// How a unit is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// `ActiveState`: "active", "failed", "activating", ...
    pub active: String,
    /// `SubState`: "running", "auto-restart", ...
    pub sub: String,
    /// The current run, or the last one.
    pub invocation: Option<String>,
    /// Since when it is active.
    pub active_since: Option<DateTime<Utc>>,
    /// Since when it is as it is now; its run was not begun later.
    pub changed: Option<DateTime<Utc>>,
    /// What started it last; `None`: the manager does not tell (before systemd 250).
    pub start: Option<Start>,
    /// The timer or path unit that did.
    pub triggered_by: Option<String>,
}

impl Unit {
    /// Whether it waits for its automatic restart.
    pub fn restarts(&self) -> bool {
        self.sub.starts_with("auto-restart")
    }
}

/// A connection to the service manager; made when it is needed, and given up at the first question without an answer.
pub struct ServiceManager {
    users: bool,
    patience: Duration,
    bus: Option<Bus>,
    is_dead: bool,
}

impl ServiceManager {
    /// The machine's, or this user's; each answer may take as long as `patience`.
    pub fn new(users: bool, patience: Duration) -> ServiceManager {
        ServiceManager { users, patience, bus: None, is_dead: false }
    }

    /// How this unit is; `None` when nobody answers.
    pub fn unit(&mut self, subject: &Subject) -> Option<Unit> {
        let path = path_of(subject.unit_name());
        let mut unit = Unit {
            active: self.text(&path, UNIT, "ActiveState")?,
            sub: self.text(&path, UNIT, "SubState")?,
            invocation: self.invocation(&path),
            active_since: self.time(&path, UNIT, "ActiveEnterTimestamp"),
            changed: self.time(&path, UNIT, "StateChangeTimestamp"),
            ..Unit::default()
        };
        (unit.start, unit.triggered_by) = self.started_by(&path).unzip();
        unit.triggered_by = unit.triggered_by.filter(|name| !name.is_empty());
        Some(unit)
    }

    /// How the last run ended, for a systemd that hands nothing to handlers.
    pub fn problem(&mut self, subject: &Subject) -> Option<Problem> {
        let path = path_of(subject.unit_name());
        let result = self.text(&path, SERVICE, "Result")?;
        let code = self.number(&path, "ExecMainCode");
        let status = self.number(&path, "ExecMainStatus");
        // the numbers of waitid(2): CLD_EXITED, CLD_KILLED, CLD_DUMPED
        let word = code.and_then(|code| ["exited", "killed", "dumped"].get(usize::try_from(code).ok()?.checked_sub(1)?).copied());
        Some(Problem {
            service_result: Some(result),
            exit_code: word.map(str::to_owned),
            exit_status: status.filter(|_| word.is_some()).map(|status| match word {
                Some("exited") => status.to_string(),
                _ => super::journal::signal(&status.to_string()),
            }),
            cause: None,
        })
    }

    /// The unit that a unit could not be started for: the nearest of those it depends on that failed.
    pub fn culprit(&mut self, subject: &Subject) -> Option<String> {
        let mut level = vec![subject.unit_name().to_owned()];
        let mut seen = level.clone();
        for _ in 0..DEEPEST {
            let mut next = Vec::new();
            for unit in &level {
                let path = path_of(unit);
                for list in ["Requires", "BindsTo", "Requisite"] {
                    next.extend(self.list(&path, UNIT, list)?);
                }
            }
            next.sort();
            next.dedup();
            next.retain(|unit| !seen.contains(unit));
            for unit in &next {
                let path = path_of(unit);
                if self.text(&path, UNIT, "ActiveState")? == "failed" || self.text(&path, UNIT, "LoadState")? == "not-found" {
                    return Some(unit.clone());
                }
            }
            seen.extend(next.iter().cloned());
            level = next;
        }
        None
    }

    /// Whether this unit's `OnFailure=` names our handler.
    pub fn is_handled(&mut self, subject: &Subject) -> Option<bool> {
        let handlers = self.list(&path_of(subject.unit_name()), UNIT, "OnFailure")?;
        Some(handlers.iter().any(|unit| unit.starts_with(HANDLER)))
    }

    /// The unit's `Documentation=`, and the sockets that could have started it.
    pub fn about(&mut self, subject: &Subject) -> Option<(Vec<String>, Vec<String>)> {
        let path = path_of(subject.unit_name());
        let documentation = self.list(&path, UNIT, "Documentation")?;
        let mut sockets = self.list(&path, UNIT, "TriggeredBy").unwrap_or_default();
        sockets.retain(|unit| unit.ends_with(".socket"));
        Some((documentation, sockets))
    }

    /// What started the unit last. While a failed unit stays loaded, `ActivationDetails` keeps what its first trigger left,
    /// whoever starts it again; so it is only asked whether the manager tells at all, and the triggers' own times decide.
    fn started_by(&mut self, path: &str) -> Option<(Start, String)> {
        let details = self.details(path)?;
        let begun = self.number_of::<u64>(path, UNIT, "InactiveExitTimestampMonotonic", "t")?;
        let ended = self.number_of::<u64>(path, UNIT, "InactiveEnterTimestampMonotonic", "t")?;
        let triggers = self.list(path, UNIT, "TriggeredBy")?;
        for trigger in triggers.iter().filter(|unit| unit.ends_with(".path")) {
            // a path unit looks again when the unit that it started has ended; of one that was started otherwise it sees the start
            let looked = self.number_of::<u64>(&path_of(trigger), UNIT, "StateChangeTimestampMonotonic", "t")?;
            // still running: the path unit has not looked since it started it
            if if begun > ended { looked <= begun } else { looked >= ended } {
                return Some((Start::Path, trigger.clone()));
            }
        }
        for trigger in triggers.iter().filter(|unit| unit.ends_with(".timer")) {
            let last = self.number_of::<u64>(&path_of(trigger), TIMER, "LastTriggerUSecMonotonic", "t")?;
            if (last..last + CLOSE).contains(&begun) {
                return Some((Start::Timer, trigger.clone()));
            }
        }
        // a timer that was stopped or unloaded meanwhile
        let detail = |name: &str| details.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let elapsed = detail("trigger_timer_monotonic_usec").and_then(|text| text.parse::<u64>().ok());
        match (detail("trigger_unit"), elapsed) {
            (Some(unit), Some(elapsed)) if (elapsed..elapsed + CLOSE).contains(&begun) => Some((Start::Timer, unit)),
            _ => Some((Start::Other, String::new())),
        }
    }

    fn details(&mut self, path: &str) -> Option<Vec<(String, String)>> {
        self.get(path, UNIT, "ActivationDetails", "a(ss)", |iter| {
            let mut pairs = Vec::new();
            if iter.enter_container(ContainerType::Array, "(ss)").ok()? {
                while iter.enter_container(ContainerType::Struct, "ss").ok()? {
                    pairs.push((string(iter)?, string(iter)?));
                    iter.exit_container().ok()?;
                }
                iter.exit_container().ok()?;
            }
            Some(pairs)
        })
    }

    fn invocation(&mut self, path: &str) -> Option<String> {
        let bytes: Vec<u8> = self.get(path, UNIT, "InvocationID", "ay", |iter| {
            let mut bytes = Vec::new();
            if iter.enter_container(ContainerType::Array, "y").ok()? {
                while let Some(byte) = iter.next::<u8>().ok()? {
                    bytes.push(byte);
                }
                iter.exit_container().ok()?;
            }
            Some(bytes)
        })?;
        (bytes.len() == 16).then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn text(&mut self, path: &str, interface: &str, property: &str) -> Option<String> {
        self.get(path, interface, property, "s", string)
    }

    fn list(&mut self, path: &str, interface: &str, property: &str) -> Option<Vec<String>> {
        self.get(path, interface, property, "as", |iter| {
            let mut list = Vec::new();
            if iter.enter_container(ContainerType::Array, "s").ok()? {
                while let Some(text) = string(iter) {
                    list.push(text);
                }
                iter.exit_container().ok()?;
            }
            Some(list)
        })
    }

    fn time(&mut self, path: &str, interface: &str, property: &str) -> Option<DateTime<Utc>> {
        let micros = self.number_of::<u64>(path, interface, property, "t").filter(|micros| *micros > 0)?;
        DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)
    }

    fn number(&mut self, path: &str, property: &str) -> Option<i32> {
        self.number_of::<i32>(path, SERVICE, property, "i")
    }

    fn number_of<T: for<'a> FromSdBusMessage<'a>>(
        &mut self,
        path: &str,
        interface: &str,
        property: &str,
        kind: &str,
    ) -> Option<T> {
        self.get(path, interface, property, kind, |iter| iter.next::<T>().ok().flatten())
    }

    /// One property; `None` when the unit has none of this name, or nobody answers.
    fn get<T>(
        &mut self,
        path: &str,
        interface: &str,
        property: &str,
        kind: &str,
        read: impl FnOnce(&mut MessageIter<'_>) -> Option<T>,
    ) -> Option<T> {
        if self.is_dead {
            return None;
        }
        if self.bus.is_none() {
            let opened = if self.users { Bus::open_user() } else { Bus::open_system() };
            self.is_dead = opened.is_err();
            self.bus = opened.ok();
        }
        let bus = self.bus.as_mut()?;
        let mut call = bus.new_method_call(NAME, path, "org.freedesktop.DBus.Properties", "Get").ok()?;
        for word in [interface, property] {
            let word = CString::new(word).ok()?;
            call.append(Utf8CStr::from_cstr(&word).ok()?).ok()?;
        }
        let mut reply = match call.call(u64::try_from(self.patience.as_micros()).unwrap_or(u64::MAX)) {
            Ok(reply) => reply,
            Err(error) => {
                // a property that this systemd does not have is an answer, too
                let name: &str = error.name().as_ref();
                self.is_dead = !name.starts_with("org.freedesktop.DBus.Error.Unknown");
                return None;
            }
        };
        let mut iter = reply.iter().ok()?;
        iter.enter_container(ContainerType::Variant, kind).ok()?.then(|| read(&mut iter))?
    }
}

/// A dependency of a dependency, and so on: so far is looked.
const DEEPEST: usize = 5;
/// The manager notes when a timer elapses, and a moment later that the unit starts.
const CLOSE: u64 = 1_000_000;

fn string(iter: &mut MessageIter<'_>) -> Option<String> {
    iter.next::<&Utf8CStr>().ok().flatten().map(|text| text.to_string())
}

/// The object of a unit: as systemd escapes names (`sd_bus_path_encode(3)`).
fn path_of(unit: &str) -> String {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for (place, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (place > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_as_systemd_does() {
        for (unit, path) in [
            ("backup.service", "backup_2eservice"),
            ("7a@x-y.service", "_37a_40x_2dy_2eservice"),
            ("foo\\x2dbar.mount", "foo_5cx2dbar_2emount"),
        ] {
            assert_eq!(path_of(unit), format!("/org/freedesktop/systemd1/unit/{path}"));
        }
    }
}
