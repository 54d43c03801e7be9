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
    let mut found: Vec<Outcome> = complaints
        .into_iter()
        .map(|complaint| finding(complaint, "mend it; `sysalert config check` tells whether all is right then"))
        .collect();
    if settings.methods.values().all(|method| method.plugin == JOURNAL) {
        let text = "no method is configured but the journal: nobody hears of a failure who does not read it";
        found.push(Outcome::Note(format!("{text}. `sysalert setup` makes one")));
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
    for (method, reached) in dispatch::reach(&patient.context.site, settings) {
        match reached {
            Reached::Yes => {}
            Reached::No(why) => {
                let hint = format!("mend that, or [method.{method}]; then `sysalert test {method}`");
                found.push(finding(format!("{method} cannot be reached: {why}"), hint));
            }
            Reached::Unknown(key) => found.push(Outcome::Note(format!(
                "whether {method} can be reached is not known without its `{key}`, which sysalert-dispatch.service alone has: `sysalert \
                 test {method}` tells"
            ))),
        }
    }
    found
}
