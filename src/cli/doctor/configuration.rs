//! The configuration, the methods' plugins, and whether their channels can be reached.

use super::{Outcome, Patient, finding, of_error};
use crate::dispatch::{self, Reached, plugin};
use crate::host::library;
use crate::settings::JOURNAL;

/// What `sysalert config check` complains of.
pub(super) fn complaints(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let settings = match patient.context.settings() {
        Ok(settings) => settings,
        Err(error) => return vec![of_error(error)],
    };
    let mut complaints = dispatch::check(&patient.context.site, &settings);
    complaints.extend(settings.complaints_about_units());
    let sysalert = patient.sysalert();
    let mut found: Vec<Outcome> = complaints
        .into_iter()
        .map(|complaint| finding(complaint, format!("mend it; `{sysalert} config check` tells whether all is right then")))
        .collect();
    if settings.methods.values().all(|method| method.plugin == JOURNAL) {
        let text = "no method is configured but the journal: nobody hears of a failure who does not read it";
        found.push(Outcome::Note(format!("{text}. `{} setup` makes one", patient.sysalert())));
    }
    for method in settings.methods.keys() {
        let Some(origin) = settings.leaves_out(method) else { continue };
        let text = format!("no unit is told of by [method.{method}]: `methods` of [policy] ({origin}) leaves it out");
        found.push(Outcome::Note(format!("{text}. Add {method:?} there, or take the method away")));
    }
    found
}

/// Plugins of another release than the program's.
pub(super) fn versions(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let Some(settings) = &patient.settings else { return Vec::new() };
    let mut plugins: Vec<&str> = settings.methods.values().map(|method| method.plugin.as_str()).collect();
    plugins.sort_unstable();
    plugins.dedup();
    let mut found = Vec::new();
    for name in plugins.into_iter().filter(|name| dispatch::OURS.contains(name)) {
        // that there is none, or that it cannot be asked, is a complaint about the configuration
        let Ok(path) = library::find(name, &patient.context.site.plugins) else { continue };
        let Ok(version) = plugin::describe(&path).map(|plugin| plugin.version) else { continue };
        if version != dispatch::VERSION {
            found.push(finding(
                format!("{} is of version {version}, and this is sysalert {}", path.display(), dispatch::VERSION),
                "install the program and its plugins from one source; one left below /usr/local is not replaced by a package",
            ));
        }
    }
    found
}

/// Whether each method's server answers, as far as its plugin can tell without sending.
pub(super) fn unreachable(patient: &mut Patient<'_>) -> Vec<Outcome> {
    let Some(settings) = &patient.settings else { return Vec::new() };
    let mut found = Vec::new();
    let sysalert = patient.sysalert();
    match dispatch::reach_heartbeat(&patient.context.site, settings) {
        Some(Reached::No(why)) => found.push(finding(
            format!("the address of [heartbeat] cannot be reached: {why}. Whoever waits for the sign of life hears nothing"),
            "mend that, or `url` of [heartbeat]; the journal of sysalert-dispatch.service says whether the next one is taken",
        )),
        Some(Reached::Unknown(key)) => found.push(Outcome::Note(format!(
            "whether the address of [heartbeat] can be reached is not known without its `{key}`, which sysalert-dispatch.service alone has"
        ))),
        Some(Reached::Yes) | None => {}
    }
    for (method, reached) in dispatch::reach(&patient.context.site, settings) {
        match reached {
            Reached::Yes => {}
            Reached::No(why) => {
                let hint = format!("mend that, or [method.{method}]; then `{sysalert} test {method}`");
                found.push(finding(format!("{method} cannot be reached: {why}"), hint));
            }
            Reached::Unknown(key) => found.push(Outcome::Note(format!(
                "whether {method} can be reached is not known without its `{key}`, which sysalert-dispatch.service alone has: `{sysalert} \
                 test {method}` tells"
            ))),
        }
    }
    found
}
