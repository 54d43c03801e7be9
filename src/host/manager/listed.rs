//! Many units at a glance, and what more is to be known of one that is not plainly well.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use systemd::bus::{ContainerType, Message, MessageIter, ObjectPath};

use super::properties::{ALL, Properties};
use super::{NoAnswer, ServiceManager, State, UNIT, path_of, string};
use crate::event::Problem;
use crate::host::clock;

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";

/// A unit as the manager lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

    /// Whether it does nothing, and nothing is about to start it.
    pub fn is_idle(&self) -> bool {
        self.active == "inactive" && self.load == "loaded" && !self.has_job
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// True of one that something which is up wants to run: a target, or whatever it is enabled for.
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

/// Which units are looked at, and how closely.
#[derive(Clone, Copy)]
pub struct Glance<'a> {
    /// The units that are named.
    pub names: &'a [String],
    /// The globs.
    pub globs: &'a [String],
    /// Of which units more must be known than that they work.
    pub asked: &'a dyn Fn(&str) -> bool,
    /// Which of those that do nothing are known to need nothing.
    pub rests: &'a dyn Fn(&str) -> bool,
}

/// A unit, and what more there is to know of it, as far as that was asked.
pub type Shown = (Listed, Option<Detail>);

/// What all units of sysalert itself begin with. How they are, sysalert tells in other ways.
const OWN: &str = "sysalert-";

impl ServiceManager {
    /// How these units are: one message for the names, one for the globs, and one for each that is neither plainly well nor known
    /// to need nothing. Of globs those of sysalert itself are left out.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn shown(&mut self, glance: Glance<'_>) -> Result<Vec<Shown>, NoAnswer> {
        let mut shown = Vec::new();
        for unit in self.listed(glance.names, glance.globs)? {
            if unit.name.starts_with(OWN) && !glance.names.contains(&unit.name) {
                continue;
            }
            let is_known = unit.is_plainly_well() || (unit.is_idle() && (glance.rests)(&unit.name));
            let detail = if is_known && !(glance.asked)(&unit.name) { None } else { Some(self.detail(&unit).ok_or(NoAnswer)?) };
            shown.push((unit, detail));
        }
        Ok(shown)
    }

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

    /// The names of the units that are failed; none when nobody answers.
    pub fn failed(&mut self) -> Vec<String> {
        let failed = self.in_states(vec!["failed".to_owned()]).unwrap_or_default();
        failed.into_iter().map(|unit| unit.name).collect()
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
    fn detail(&mut self, unit: &Listed) -> Option<Detail> {
        let path = path_of(&unit.name);
        let of = self.all(&path, if unit.active == "active" { UNIT } else { ALL }).unwrap_or_default();
        let since = match unit.active.as_str() {
            // a clock that is set forward in a boot must not make it hang
            "activating" => of.monotonic("InactiveExitTimestampMonotonic"),
            "deactivating" | "reloading" | "refreshing" => of.monotonic("StateChangeTimestampMonotonic"),
            _ => of.time("StateChangeTimestamp"),
        };
        let mut detail = Detail { invocation: of.invocation(), since, ..Detail::default() };
        match unit.active.as_str() {
            "active" => detail.since = of.time("ActiveEnterTimestamp"),
            "activating" => {
                detail.kind = of.text("Type");
                detail.limit = of.limit("TimeoutStartUSec");
            }
            "deactivating" => detail.limit = of.limit("TimeoutStopUSec"),
            "failed" => {
                let result = of.text("Result");
                let how = |result| super::problem(result, of.integer("ExecMainCode"), of.integer("ExecMainStatus"));
                detail.problem = result.map(how).unwrap_or_default();
            }
            "inactive" if unit.load == "loaded" => {
                detail.since = of.time("InactiveEnterTimestamp");
                detail.left = of.time("ActiveExitTimestamp");
                detail.kind = of.text("Type");
                detail.on_bus = of.text("BusName").is_some_and(|name| !name.is_empty());
                detail.remains = of.truth("RemainAfterExit");
                detail.triggered = !of.list("TriggeredBy").is_empty();
                detail.file_state = of.text("UnitFileState").unwrap_or_default();
                detail.is_due = self.is_due(&of, detail.file_state.starts_with("enabled"));
                detail.skipped = of.time("ConditionTimestamp").is_some() && !of.truth("ConditionResult");
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

    /// Whether a unit is up, or on its way; `None` when nobody answers.
    pub fn is_up(&mut self, unit: &str) -> Option<bool> {
        let state = self.text(&path_of(unit), UNIT, "ActiveState")?;
        Some(!matches!(state.as_str(), "inactive" | "failed"))
    }

    /// When the unit files were last read anew; the beginning of all time, if not since the boot. `None` where it does not tell.
    pub fn read_units_at(&mut self) -> Option<DateTime<Utc>> {
        let micros = self.number_of::<u64>(MANAGER_PATH, MANAGER, "UnitsLoadTimestamp", "t")?;
        DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)
    }

    /// Whether something that is up wants it to run: a target, or what it is enabled for. A service that needs another for a
    /// moment wants it, too, and means nothing more by it.
    fn is_due(&mut self, of: &Properties, is_enabled: bool) -> bool {
        let by = ["WantedBy", "RequiredBy"].into_iter().flat_map(|list| of.list(list));
        by.filter(|unit| is_enabled || unit.ends_with(".target")).any(|unit| self.state(unit) == Some(State::Up))
    }

    pub(super) fn truth(&mut self, path: &str, interface: &str, property: &str) -> bool {
        self.get(path, interface, property, "b", |iter| iter.next::<bool>().ok().flatten()).unwrap_or_default()
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
