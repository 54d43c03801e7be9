//! How the manager and sysalert's own units are, for whoever looks whether an alert would arrive.

use chrono::{DateTime, TimeDelta, Utc};
use systemd::bus::ContainerType;

use super::units::{MANAGER, MANAGERS_PATH};
use super::{SERVICE, ServiceManager, TIMER, UNIT, path_of};

/// How a unit of sysalert's own is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// `LoadState`: "loaded", "masked", "not-found", ...
    pub load: String,
    /// `ActiveState`.
    pub active: String,
    /// `UnitFileState`: "enabled", "disabled", "static", ...
    pub file: String,
}

/// What a service's sandbox hides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// `ProtectHome`: "yes", "no", "read-only", "tmpfs".
    pub home: String,
    /// `TemporaryFileSystem`: these folders are empty ones of its own.
    pub empty: Vec<String>,
    /// `PrivateTmp`
    pub private_tmp: bool,
}

impl ServiceManager {
    /// The manager's version, as the distribution writes it: "252.39-1~deb12u1". `None` when nobody answers.
    pub fn version(&mut self) -> Option<String> {
        self.text(MANAGERS_PATH, MANAGER, "Version")
    }

    /// How this unit is; the manager loads it if need be. `None` when nobody answers.
    pub fn health(&mut self, unit: &str) -> Option<Health> {
        let path = path_of(unit);
        let (load, active) = self.is(unit)?;
        let file = self.text(&path, UNIT, "UnitFileState").unwrap_or_default();
        (!self.is_dead).then_some(Health { load, active, file })
    }

    /// Whether the files of this unit are newer than what the manager read.
    pub fn is_outdated(&mut self, unit: &str) -> bool {
        self.truth(&path_of(unit), UNIT, "NeedDaemonReload")
    }

    /// When a timer last elapsed, and when it does next; `None` before it ever did.
    pub fn elapses(&mut self, timer: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let values = self.all(&path_of(timer), TIMER)?;
        let last = values.time("LastTriggerUSec")?;
        let next = [values.time("NextElapseUSecRealtime"), values.monotonic("NextElapseUSecMonotonic")];
        // as long as its unit runs the time that has come stays there
        let next = next.into_iter().flatten().filter(|next| *next - last > TimeDelta::seconds(1)).min()?;
        Some((last, next))
    }

    /// What this service's sandbox hides. `None` when nobody answers.
    pub fn sandbox(&mut self, service: &str) -> Option<Sandbox> {
        let path = path_of(service);
        let home = self.text(&path, SERVICE, "ProtectHome")?;
        let empty = self.pairs(&path, "TemporaryFileSystem");
        let private_tmp = self.truth(&path, SERVICE, "PrivateTmp");
        let empty = empty.into_iter().map(|(folder, _)| folder).collect();
        (!self.is_dead).then_some(Sandbox { home, empty, private_tmp })
    }

    /// The credentials that this service is given, each with the file that it is read from, where that is one of its own.
    pub fn credentials(&mut self, service: &str) -> Vec<(String, String)> {
        let path = path_of(service);
        let keys = ["LoadCredential", "LoadCredentialEncrypted"];
        keys.into_iter().flat_map(|key| self.pairs(&path, key)).filter(|(_, source)| source.starts_with('/')).collect()
    }

    /// Whether a time service sets the machine's clock, as systemd-timedated tells; `None` when it does not.
    pub fn is_clock_synchronised(&mut self) -> Option<bool> {
        let patience = u64::try_from(self.patience.as_micros()).unwrap_or(u64::MAX);
        self.ask(move |bus| {
            let made = bus.new_method_call(
                "org.freedesktop.timedate1",
                "/org/freedesktop/timedate1",
                "org.freedesktop.DBus.Properties",
                "Get",
            );
            let Ok(mut call) = made else { return Ok(None) };
            for word in ["org.freedesktop.timedate1", "NTPSynchronized"] {
                if call.append(word).is_err() {
                    return Ok(None);
                }
            }
            let Ok(mut reply) = call.call(patience) else { return Ok(None) };
            let Ok(mut iter) = reply.iter() else { return Ok(None) };
            let entered = iter.enter_container(ContainerType::Variant, "b").unwrap_or(false);
            Ok(if entered { iter.next::<bool>().ok().flatten() } else { None })
        })
    }

    fn pairs(&mut self, path: &str, property: &str) -> Vec<(String, String)> {
        let pairs = self.get(path, SERVICE, property, "a(ss)", |iter| iter.next::<Vec<(String, String)>>().ok().flatten());
        pairs.unwrap_or_default()
    }
}
