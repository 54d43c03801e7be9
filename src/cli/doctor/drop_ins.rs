//! The units that are to tell of their failures: whether they do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::units::NOBODYS;
use super::{Outcome, Patient, finding};
use crate::config::nearest;
use crate::event::{Manager, UnitName, shell};
use crate::host::directives::Directives;
use crate::host::dropins::{DropIns, Found};
use crate::host::manager::Nature;
use crate::host::wake::DISPATCH;
use crate::overrides::{self, HANDLERS, STRICT};

/// What names our handler.
const HANDLER: &str = "sysalert-failure@";
/// The folder of the drop-in for all services, without its ".d".
const ALL: &str = "service";

/// A drop-in that names a handler, and of which systemd knows nothing, or that does not hold.
pub(super) fn shadowed(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let Ok(drop_ins) = patient.scope.folder().and_then(DropIns::open) else { return Vec::new() };
    let names_handler = |unit: &str| matches!(drop_ins.read(unit, HANDLERS), Ok(Found::Text(text)) if text.contains(HANDLER));
    let mut units: Vec<(String, String)> = Vec::new();
    for unit in drop_ins.units().unwrap_or_default() {
        let is_one = unit.parse::<UnitName>().is_ok() && !unit.contains("@.") && !overrides::is_ours(&unit);
        if is_one && names_handler(&unit) {
            units.push((unit.clone(), unit));
        }
    }
    if names_handler(ALL) {
        let own: Vec<String> = units.iter().map(|(unit, _)| unit.clone()).collect();
        let all = patient.manager.units().unwrap_or_default();
        let services =
            all.into_iter().filter(|unit| unit.ends_with(".service") && !unit.contains("@.") && !overrides::is_ours(unit));
        units.extend(services.filter(|unit| !own.contains(unit)).map(|unit| (unit, ALL.to_owned())));
    }
    let mut found = if names_handler(ALL) { unguarded(patient) } else { Vec::new() };
    let has_strict = |unit: &String| matches!(drop_ins.read(unit, STRICT), Ok(Found::Text(_)));
    for unit in drop_ins.units().unwrap_or_default().into_iter().filter(has_strict).filter(|unit| !unit.contains("@.")) {
        let Ok(nature) = patient.manager.nature(&unit) else { return found };
        found.extend(not_strict(patient, &unit, &drop_ins.path(&unit, STRICT), &nature));
    }
    for (unit, folder) in units {
        let Ok(nature) = patient.manager.nature(&unit) else { return found };
        let path = drop_ins.path(&folder, HANDLERS);
        found.extend(ineffective(patient, &unit, &path, &nature, folder == ALL));
    }
    found
}

/// The drop-in of strict mode whose place another one of its name takes.
fn not_strict(patient: &Patient<'_>, unit: &str, path: &Path, nature: &Nature) -> Option<Outcome> {
    let holds = nature.drop_ins.iter().find(|one| Path::new(one).file_name().is_some_and(|name| name == STRICT))?;
    (Path::new(holds) != path).then(|| {
        finding(
            format!(
                "{holds} takes the place of {}, which has the same name: {unit} does not record its runs itself",
                path.display()
            ),
            format!("rename or remove {holds}, then {} daemon-reload", patient.systemctl()),
        )
    })
}

/// Under the drop-in for all services: what keeps it from sysalert's own, so that no handler starts for a handler.
fn unguarded(patient: &Patient<'_>) -> Vec<Outcome> {
    let files = patient.unit_files();
    let own = ["failure@", "success@", "check@"].map(|kind| format!("sysalert-{kind}{NOBODYS}.service"));
    for unit in own.into_iter().chain([DISPATCH.to_owned()]) {
        let named = patient.files_of(&files, &unit).into_iter();
        let mut named =
            named.filter(|(path, text)| path.file_name().is_some_and(|name| name == HANDLERS) && text.contains(HANDLER));
        let Some((path, _)) = named.next() else { continue };
        let (unit, path, systemctl) = (unit.replace(NOBODYS, ""), path.display(), patient.systemctl());
        let is_for_all = path.to_string().ends_with(&format!("/{ALL}.d/{HANDLERS}"));
        let hint = match is_for_all {
            true => {
                format!("install sysalert again: sysalert-.service.d/{HANDLERS} of it is missing; then {systemctl} daemon-reload")
            }
            false => format!("rename or remove {path}, then {systemctl} daemon-reload"),
        };
        return vec![finding(format!("{path} gives {unit} a handler: when it fails, handlers start handlers without end"), hint)];
    }
    Vec::new()
}

/// Handlers that are named, and that there are not: a name of ours that was mistyped.
pub(super) fn mistyped(patient: &mut Patient<'_>) -> Vec<Outcome> {
    const OURS: [&str; 2] = ["sysalert-failure", "sysalert-success"];
    let mut found = Vec::new();
    for file in patient.unit_files().all() {
        let directives = Directives::read(&vec![file]);
        let lists = ["OnFailure", "OnSuccess"].map(|key| directives.list("Unit", key));
        for one in lists.iter().flatten() {
            for word in one.value.split_whitespace() {
                let stem = word.split(['@', '.']).next().unwrap_or_default();
                let Some(near) = nearest(stem, OURS).filter(|near| *near != stem) else { continue };
                let unit = if word.contains('@') { format!("{stem}@{NOBODYS}.service") } else { word.to_owned() };
                if patient.manager.health(&unit).is_some_and(|health| health.load == "not-found") {
                    let (file, systemctl) = (one.file.display(), patient.systemctl());
                    found.push(finding(
                        format!("{}= in {file} names {word}, and there is no such unit: nothing is told", one.key),
                        format!("write {near}@%n.service there, then {systemctl} daemon-reload"),
                    ));
                }
            }
        }
    }
    found
}

fn ineffective(patient: &mut Patient<'_>, unit: &str, path: &Path, nature: &Nature, is_for_all: bool) -> Option<Outcome> {
    let systemctl = patient.systemctl();
    let is_told = nature.on_failure.iter().any(|handler| overrides::is_handler(handler));
    // what of a name that is too long becomes is said elsewhere
    let is_named = unit.parse().is_ok_and(|name: UnitName| overrides::by_name(&name).is_ok());
    if is_told || !is_named || (is_for_all && (nature.load_state != "loaded" || nature.id != unit)) {
        return None;
    }
    if nature.load_state != "loaded" {
        let text = format!(
            "{} is for a unit that is {}: `sysalert disable {}` takes it back",
            path.display(),
            nature.load_state,
            shell(unit)
        );
        return Some(Outcome::Note(text));
    }
    if patient.manager.is_outdated(unit) {
        let text = format!("systemd has not read {} yet: {unit} tells nothing", path.display());
        return Some(finding(text, format!("{systemctl} daemon-reload")));
    }
    let same_name = nature.drop_ins.iter().find(|drop_in| Path::new(drop_in).file_name().is_some_and(|name| name == HANDLERS));
    match same_name.filter(|holds| Path::new(holds) != path) {
        // how one service is left out of those for all
        Some(holds) if is_for_all && std::fs::read(holds).is_ok_and(|text| text.is_empty()) => None,
        Some(holds) => Some(finding(
            format!("{holds} takes the place of {}, which has the same name: {unit} tells nothing", path.display()),
            format!("rename or remove {holds}, then {systemctl} daemon-reload"),
        )),
        None => Some(finding(
            format!("{unit} has no handler, although {} names one: systemd cannot use that line", path.display()),
            format!(
                "OnFailure= belongs below [Unit]: `systemd-analyze verify {}` says more. Then {systemctl} daemon-reload",
                shell(unit)
            ),
        )),
    }
}

/// Names that leave no room for the handler's: systemd then starts none, and says nothing.
pub(super) fn too_long(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let files = patient.unit_files();
    let Ok(units) = patient.manager.units() else { return Vec::new() };
    let mut found = Vec::new();
    for unit in units.iter().filter(|unit| unit.len() > overrides::LONGEST && !overrides::is_ours(unit)) {
        let written = match &patient.context.site.manager {
            Manager::System => unit.clone(),
            Manager::User(user) => format!("{user}/{unit}"),
        };
        let is_meant = files.of(&written).iter().any(|(_, text)| text.contains(HANDLER));
        if let Some(why) = unit.parse::<UnitName>().ok().and_then(|name| overrides::by_name(&name).err()).filter(|_| is_meant) {
            found.push(finding(format!("{unit} {why}, so that its failures are not told"), "give the unit a shorter name"));
        }
    }
    found
}

/// The unit that this file is of: its own, or a drop-in.
fn unit_of(path: &Path) -> Option<String> {
    let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    match name(path.parent()?)?.strip_suffix(".d") {
        Some(unit) => Some(unit.to_owned()),
        None => name(path),
    }
}

/// Whether any unit tells, and what else happens when one of those fails.
pub(super) fn handled(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let Ok(loaded) = patient.manager.loaded() else { return Vec::new() };
    let loaded = loaded.iter().filter_map(|name| name.strip_prefix(HANDLER)?.strip_suffix(".service")).map(str::to_owned);
    let files = patient.unit_files().all();
    let written = files.iter().filter(|(_, text)| text.contains(HANDLER)).filter_map(|(path, _)| unit_of(path));
    let mut units: BTreeMap<String, Nature> = BTreeMap::new();
    for unit in loaded.chain(written).collect::<BTreeSet<_>>() {
        // templates, and names that stand for several
        if unit.contains("@.") || unit.parse::<UnitName>().is_err() || overrides::is_ours(&unit) {
            continue;
        }
        let Ok(nature) = patient.manager.nature(&unit) else { return Vec::new() };
        if nature.on_failure.iter().any(|handler| overrides::is_handler(handler)) {
            units.insert(unit, nature);
        }
    }
    let polls = patient.settings.as_ref().is_some_and(|settings| !settings.services.units.is_empty());
    if units.is_empty() && !polls {
        let text = "no unit tells of its failures, and [services] names none to look at";
        return vec![finding(text, format!("`{} enable --timers`, or `enable` with the names of units", patient.sysalert()))];
    }
    let mut found = Vec::new();
    for (unit, nature) in &units {
        if let Err(why) = overrides::everywhere(nature) {
            let hint =
                format!("remove OnFailureJobMode= (`systemctl cat {}` shows where it is set), or the handler", shell(unit));
            found.push(finding(format!("{unit} {why}"), hint));
        }
        // a target tells nobody
        let is_other = |unit: &&str| unit.ends_with(".service") && !overrides::is_handler(unit);
        let others: Vec<&str> = nature.on_failure.iter().map(String::as_str).filter(is_other).collect();
        if !others.is_empty() {
            found
                .push(Outcome::Note(format!("when {unit} fails, {} is started as well: both may tell of it", others.join(", "))));
        }
    }
    found
}
