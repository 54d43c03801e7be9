//! Many units at a glance, and what more is to be known of one that is not plainly well.

use std::time::Duration;

use chrono::{DateTime, Utc};
use systemd::bus::{ContainerType, Message, MessageIter, ObjectPath};

use super::{NoAnswer, SERVICE, ServiceManager, State, UNIT, path_of, string};
use crate::event::Problem;
use crate::host::clock;

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";

/// A unit as the manager lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its own name, also where it was asked for by another.
    pub name: String,
    /// `LoadState`: "loaded", "not-found", "masked", "bad-setting", "error".
    pub load: String,
    /// `ActiveState`.
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// True when a job of it waits or runs.
    pub has_job: bool,
}

impl Listed {
    /// Whether nothing more needs to be known about it.
    pub fn is_plainly_well(&self) -> bool {
        self.active == "active"
    }
}

/// How many units there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// That failed.
    pub failed: u32,
    /// Names of units that are loaded.
    pub loaded: u32,
    /// Jobs that wait or run.
    pub jobs: u32,
}

/// What more the manager tells of a unit, as far as its state asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// `Type=` of a service.
    pub kind: Option<String>,
    /// True when it has a name on the bus (`BusName=`), by which it can be started.
    pub on_bus: bool,
    /// `RemainAfterExit=`.
    pub remains: bool,
    /// `UnitFileState`: "enabled", "disabled", "static", ...
    pub file_state: String,
    /// True when a timer, a socket or a path can start it.
    pub triggered: bool,
    /// True of one that never ran, and that something which is up wants to run.
    pub is_due: bool,
    /// True when its last start was skipped: a `Condition...=` was not met.
    pub skipped: bool,
    /// Its current run, or the last one.
    pub invocation: Option<String>,
    /// Since when it is as it is.
    pub since: Option<DateTime<Utc>>,
    /// When its last stop began.
    pub left: Option<DateTime<Utc>>,
    /// Of one that starts or stops: how long the manager lets it; `None`: for ever.
    pub limit: Option<Duration>,
    /// Of one that failed: how.
    pub problem: Problem,
}

impl ServiceManager {
    /// The units of these names and those that match these globs, in this order, each once. Of globs only what is loaded
    /// and there.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn listed(&mut self, names: &[String], globs: &[String]) -> Result<Vec<Listed>, NoAnswer> {
        let mut listed: Vec<Listed> = Vec::new();
        let named = if names.is_empty() { Vec::new() } else { self.list_of("ListUnitsByNames", vec![names.to_vec()])? };
        for unit in named {
            // two names may be one unit's
            if listed.iter().all(|known| known.name != unit.name) {
                listed.push(unit);
            }
        }
        if !globs.is_empty() {
            let mut matching = self.list_of("ListUnitsByPatterns", vec![Vec::new(), globs.to_vec()])?;
            // what another unit names is loaded, too, though it is not there or masked: who writes a glob has not asked for it
            matching.retain(|unit| !matches!(unit.load.as_str(), "not-found" | "masked"));
            matching.retain(|unit| listed.iter().all(|known| known.name != unit.name));
            listed.extend(matching);
        }
        Ok(listed)
    }

    /// The units that are in one of these states.
    pub(super) fn in_states(&mut self, states: Vec<String>) -> Result<Vec<Listed>, NoAnswer> {
        self.list_of("ListUnitsByPatterns", vec![states, Vec::new()])
    }

    fn list_of(&mut self, method: &'static str, arguments: Vec<Vec<String>>) -> Result<Vec<Listed>, NoAnswer> {
        let answer = self.call((MANAGER_PATH, MANAGER, method), move |call| write(call, &arguments), units);
        answer.map_err(|_| NoAnswer)
    }

    /// What more there is to know of a unit that is like this; `None` when nobody answers.
    pub fn detail(&mut self, unit: &Listed) -> Option<Detail> {
        let path = path_of(&unit.name);
        let since = self.time(&path, UNIT, "StateChangeTimestamp");
        let mut detail = Detail { invocation: self.invocation(&path), since, ..Detail::default() };
        match unit.active.as_str() {
            "active" => detail.since = self.time(&path, UNIT, "ActiveEnterTimestamp"),
            "activating" => {
                detail.since = self.time(&path, UNIT, "InactiveExitTimestamp");
                detail.kind = self.text(&path, SERVICE, "Type");
                detail.limit = self.limit(&path, "TimeoutStartUSec");
            }
            "deactivating" => detail.limit = self.limit(&path, "TimeoutStopUSec"),
            "failed" => {
                let problem = format!("unit:{}", unit.name);
                detail.problem = self.problem(&crate::event::Subject::stored(problem)).unwrap_or_default();
            }
            "inactive" if unit.load == "loaded" => {
                detail.since = self.time(&path, UNIT, "InactiveEnterTimestamp");
                detail.left = self.time(&path, UNIT, "ActiveExitTimestamp");
                detail.kind = self.text(&path, SERVICE, "Type");
                detail.on_bus = self.text(&path, SERVICE, "BusName").is_some_and(|name| !name.is_empty());
                detail.remains = self.truth(&path, SERVICE, "RemainAfterExit");
                detail.triggered = !self.list(&path, UNIT, "TriggeredBy").unwrap_or_default().is_empty();
                detail.file_state = self.text(&path, UNIT, "UnitFileState").unwrap_or_default();
                detail.is_due = detail.since.is_none() && self.is_due(&path);
                let tried = self.time(&path, UNIT, "ConditionTimestamp").is_some();
                detail.skipped = tried && !self.truth(&path, UNIT, "ConditionResult");
            }
            _ => {}
        }
        // half an answer would look like a unit that never ran
        (!self.is_dead).then_some(detail)
    }

    /// How many units there are; `None` when nobody answers.
    pub fn counts(&mut self) -> Option<Counts> {
        let mut count = |name: &str| self.number_of::<u32>(MANAGER_PATH, MANAGER, name, "u");
        Some(Counts { failed: count("NFailedUnits")?, loaded: count("NNames")?, jobs: count("NJobs")? })
    }

    /// When the machine's own part of the boot began.
    pub fn booted(&mut self) -> Option<DateTime<Utc>> {
        self.time(MANAGER_PATH, MANAGER, "UserspaceTimestamp")
    }

    /// How long the machine's own part has run, sleep included; 0 when nobody answers. Of a container that was begun after the
    /// host had slept, that sleep counts.
    pub fn up(&mut self) -> Duration {
        let begun = self.number_of::<u64>(MANAGER_PATH, MANAGER, "UserspaceTimestampMonotonic", "t").filter(|micros| *micros > 0);
        begun.map_or(Duration::ZERO, |begun| clock::since_monotonic(Duration::from_micros(begun)))
    }

    /// Whether something that is up wants it to run: a target to which it is enabled.
    fn is_due(&mut self, path: &str) -> bool {
        ["WantedBy", "RequiredBy"].into_iter().any(|list| {
            let by = self.list(path, UNIT, list).unwrap_or_default();
            by.iter().any(|unit| self.state(unit) == Some(State::Up))
        })
    }

    pub(super) fn truth(&mut self, path: &str, interface: &str, property: &str) -> bool {
        self.get(path, interface, property, "b", |iter| iter.next::<bool>().ok().flatten()).unwrap_or_default()
    }

    fn limit(&mut self, path: &str, property: &str) -> Option<Duration> {
        // the largest number that there is stands for none
        let micros = self.number_of::<u64>(path, SERVICE, property, "t").filter(|micros| *micros < u64::MAX);
        micros.map(Duration::from_micros)
    }
}

/// Writes the arguments of a call: lists of texts.
fn write(call: &mut Message, lists: &[Vec<String>]) -> systemd::Result<()> {
    for list in lists {
        call.open_container(ContainerType::Array, "s")?;
        list.iter().try_for_each(|text| call.append(text.as_str()))?;
        call.close_container()?;
    }
    Ok(())
}

fn units(iter: &mut MessageIter<'_>) -> Option<Vec<Listed>> {
    let mut units = Vec::new();
    if iter.enter_container(ContainerType::Array, "(ssssssouso)").ok()? {
        while iter.enter_container(ContainerType::Struct, "ssssssouso").ok()? {
            let name = string(iter)?;
            let _description = string(iter)?;
            let (load, active, sub) = (string(iter)?, string(iter)?, string(iter)?);
            let _following = string(iter)?;
            iter.next::<&ObjectPath>().ok()??;
            let job = iter.next::<u32>().ok()??;
            let _type = string(iter)?;
            iter.next::<&ObjectPath>().ok()??;
            iter.exit_container().ok()?;
            units.push(Listed { name, load, active, sub, has_job: job > 0 });
        }
        iter.exit_container().ok()?;
    }
    Some(units)
}
