//! Which units there are, of what nature they are, and that the manager reads their files anew: for whoever gives them drop-ins.

use std::process::Command;

use systemd::bus::{Message, MessageIter};

use super::{NAME, SERVICE, ServiceManager, TIMER, UNIT, path_of};

pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const MANAGERS_PATH: &str = "/org/freedesktop/systemd1";

/// What a unit is, whether it runs or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nature {
    /// `Id`: its name, where it was asked for by another one.
    pub id: String,
    /// `LoadState`: "loaded", "not-found", "masked", ...
    pub load_state: String,
    /// `Transient`: a program made it, it has no file that stays.
    pub is_transient: bool,
    /// `Type`: "simple", "oneshot", ...; of services alone.
    pub service_type: Option<String>,
    /// `OnFailure`: its handlers.
    pub on_failure: Vec<String>,
    /// `OnFailureJobMode`: "replace", "isolate", ...
    pub on_failure_mode: String,
    /// `RootDirectory` or `RootImage` is set.
    pub has_own_root: bool,
    /// `Environment`, each "NAME=VALUE".
    pub environment: Vec<String>,
    /// `DropInPaths`: the drop-ins that hold.
    pub drop_ins: Vec<String>,
}

impl ServiceManager {
    /// What this unit is; the manager loads it if need be.
    ///
    /// # Errors
    /// A sentence, when nobody answers.
    pub fn nature(&mut self, unit: &str) -> Result<Nature, String> {
        let path = path_of(unit);
        let is_service = unit.ends_with(".service");
        let mut nature = Nature {
            id: self.text(&path, UNIT, "Id").unwrap_or_default(),
            load_state: self.text(&path, UNIT, "LoadState").unwrap_or_default(),
            is_transient: self.number_of::<bool>(&path, UNIT, "Transient", "b").unwrap_or_default(),
            on_failure: self.list(&path, UNIT, "OnFailure").unwrap_or_default(),
            on_failure_mode: self.text(&path, UNIT, "OnFailureJobMode").unwrap_or_default(),
            drop_ins: self.list(&path, UNIT, "DropInPaths").unwrap_or_default(),
            ..Nature::default()
        };
        if is_service {
            nature.service_type = self.text(&path, SERVICE, "Type");
            let roots = ["RootDirectory", "RootImage"].map(|key| self.text(&path, SERVICE, key).unwrap_or_default());
            nature.has_own_root = roots.iter().any(|root| !root.is_empty() && root != "/");
            nature.environment = self.list(&path, SERVICE, "Environment").unwrap_or_default();
        }
        if self.is_dead { Err(silence()) } else { Ok(nature) }
    }

    /// `OnFailureJobMode` of this unit.
    ///
    /// # Errors
    /// A sentence, when nobody answers.
    pub fn on_failure_mode(&mut self, unit: &str) -> Result<Nature, String> {
        let path = path_of(unit);
        let load_state = self.text(&path, UNIT, "LoadState").unwrap_or_default();
        let on_failure_mode = self.text(&path, UNIT, "OnFailureJobMode").unwrap_or_default();
        if self.is_dead { Err(silence()) } else { Ok(Nature { load_state, on_failure_mode, ..Nature::default() }) }
    }

    /// All units that have a file or are loaded, sorted. Templates are among them.
    ///
    /// # Errors
    /// A sentence, when nobody answers.
    pub fn units(&mut self) -> Result<Vec<String>, String> {
        let mut units: Vec<String> = self.unit_files()?.into_iter().map(|(unit, _)| unit).collect();
        units.extend(self.loaded()?);
        units.sort();
        units.dedup();
        Ok(units)
    }

    /// The timers that are enabled or loaded, each with the unit that it starts.
    ///
    /// # Errors
    /// A sentence, when nobody answers.
    pub fn timers(&mut self) -> Result<Vec<(String, String)>, String> {
        let enabled = self.unit_files()?.into_iter().filter(|(_, state)| state.starts_with("enabled")).map(|(unit, _)| unit);
        let mut timers: Vec<String> = enabled.chain(self.loaded()?).collect();
        timers.retain(|unit| unit.ends_with(".timer") && !unit.ends_with("@.timer"));
        timers.sort();
        timers.dedup();
        let mut started = Vec::new();
        for timer in timers {
            let path = path_of(&timer);
            // one that others only name, and that is not there, starts nothing
            if self.text(&path, UNIT, "LoadState").as_deref() == Some("loaded") {
                let unit = self.text(&path, TIMER, "Unit");
                // a timer that has another name, too, is told by its own
                let id = self.text(&path, UNIT, "Id");
                started.extend(id.zip(unit));
            }
            if self.is_dead {
                return Err(silence());
            }
        }
        started.dedup();
        Ok(started)
    }

    /// The names of the units that have a file; none when nobody answers. The manager goes through all its folders for it.
    pub fn installed(&mut self) -> Vec<String> {
        self.unit_files().unwrap_or_default().into_iter().map(|(unit, _)| unit).collect()
    }

    /// Lets the manager read all unit files anew.
    ///
    /// # Errors
    /// A sentence, when it does not.
    pub fn reload(&mut self) -> Result<(), String> {
        self.call((MANAGERS_PATH, MANAGER, "Reload"), |_| Ok(()), |_| Some(()))
    }

    /// Lets the manager of each user who has one read all unit files anew.
    ///
    /// # Errors
    /// A sentence, when that cannot be asked for.
    pub fn reload_users(&mut self) -> Result<(), String> {
        let mut managers = self.loaded()?;
        managers.retain(|unit| unit.starts_with("user@") && unit.ends_with(".service"));
        for manager in managers {
            // a user manager takes SIGHUP for `daemon-reload` (systemd(1)); only its owner may ask over its own bus
            let whom = move |call: &mut Message| {
                call.append(manager.as_str())?;
                call.append("main")?;
                call.append(SIGHUP)
            };
            self.call((MANAGERS_PATH, MANAGER, "KillUnit"), whom, |_| Some(()))?;
        }
        Ok(())
    }

    /// The unit files, each with its state: "enabled", "static", "masked", ...
    fn unit_files(&mut self) -> Result<Vec<(String, String)>, String> {
        let files: Vec<(String, String)> =
            self.call((MANAGERS_PATH, MANAGER, "ListUnitFiles"), |_| Ok(()), |iter| iter.next().ok().flatten())?;
        Ok(files.into_iter().filter_map(|(path, state)| Some((path.rsplit_once('/')?.1.to_owned(), state))).collect())
    }

    /// The units that are loaded.
    ///
    /// # Errors
    /// A sentence, when nobody answers.
    pub fn loaded(&mut self) -> Result<Vec<String>, String> {
        let listed = self.listed(&[], &["*".to_owned()]).map_err(|_| silence())?;
        Ok(listed.into_iter().map(|unit| unit.name).collect())
    }

    /// Calls a method: its object, interface and name, its arguments, and how its answer is read.
    pub(super) fn call<T: Send + 'static>(
        &mut self,
        (path, interface, method): (&'static str, &'static str, &'static str),
        arguments: impl FnOnce(&mut Message) -> systemd::Result<()> + Send + 'static,
        read: impl FnOnce(&mut MessageIter<'_>) -> Option<T> + Send + 'static,
    ) -> Result<T, String> {
        let patience = u64::try_from(self.patience.as_micros()).unwrap_or(u64::MAX);
        let answer = self.ask(move |bus| {
            let made =
                bus.new_method_call(NAME, path, interface, method).and_then(|mut call| arguments(&mut call).map(|()| call));
            let Ok(mut call) = made else { return Ok(Some(Err(format!("{method} cannot be asked for")))) };
            Ok(Some(match call.call(patience) {
                Ok(mut reply) => {
                    let read = reply.iter().ok().and_then(|mut iter| read(&mut iter));
                    read.ok_or_else(|| format!("systemd answers {method} in an unknown way"))
                }
                Err(error) => Err(error.message().map_or_else(|| format!("{method} failed"), |text| text.to_string())),
            }))
        });
        answer.unwrap_or_else(|| Err(silence()))
    }
}

const SIGHUP: i32 = 1;

/// Runs `systemctl` with these words: for links that the manager makes for itself alone, or for no manager that runs.
///
/// # Errors
/// What it says.
pub fn systemctl(words: &[&str]) -> Result<(), String> {
    run("systemctl", words)
}

/// Runs `systemd-run` with these words: for a unit that lives no longer than its one run.
///
/// # Errors
/// What it says.
pub fn systemd_run(words: &[&str]) -> Result<(), String> {
    run("systemd-run", words)
}

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    match Command::new(program).args(words).output() {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn silence() -> String {
    "systemd does not answer".to_owned()
}
