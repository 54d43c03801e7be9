//! What is to be done for which unit, and for which not: systemd is asked, and nothing is touched yet.

use crate::cli::targets::{ALL_SERVICES, Opened, Typed};
use crate::config::nearest;
use crate::error::{Error, Result};
use crate::event::UnitName;
use crate::host::dropins::{Found, Scope};
use crate::host::manager::ServiceManager;
use crate::overrides::{self, Content, DropIn, Grant, HANDLERS, Origin, STRICT, Step};

/// What is to be done for one unit.
pub(super) struct Job {
    pub(super) unit: String,
    /// By the name of the file.
    pub(super) steps: Vec<(&'static str, Step)>,
    pub(super) note: String,
}

/// What is to be done, and what not.
#[derive(Default)]
pub(super) struct Plan {
    /// The program that strict drop-ins start; without it there are none.
    pub(super) strict: Option<String>,
    pub(super) jobs: Vec<Job>,
    /// Units that nobody named, and why nothing is done for them.
    pub(super) skipped: Vec<(String, String)>,
    /// What was asked for and cannot be: then nothing at all is done.
    pub(super) refused: Vec<String>,
}

impl Plan {
    /// The drop-in for all services: what it would do to any of them counts.
    pub(super) fn everything(&mut self, opened: &mut Opened) -> Result<()> {
        let mask = format!("sysalert-.service.d/{HANDLERS}");
        if opened.scope.installed(&mask).is_none() {
            self.refused.push(format!(
                "{mask} is missing beside sysalert's units: without it a handler that fails would start a handler, and so on"
            ));
        }
        if opened.manager.is_some() {
            self.refused.extend(what_would_harm(opened)?);
        }
        match self.steps(opened, ALL_SERVICES, Origin::SystemWide, &Grant::default())? {
            Ok(steps) => {
                let note = "a recovery is told within a minute".to_owned();
                self.jobs.push(Job { unit: ALL_SERVICES.to_owned(), steps, note });
            }
            Err(why) => self.refused.push(format!("service.d {why}")),
        }
        Ok(())
    }

    /// What the timers start.
    pub(super) fn timers(&mut self, opened: &mut Opened) -> Result<()> {
        let scope = opened.scope;
        let manager = opened.asked("which services timers start")?;
        let mut services: Vec<(String, Vec<String>)> = Vec::new();
        for (timer, unit) in ask(scope, manager.timers())? {
            let unit = ask(scope, manager.nature(&unit))?.id;
            match services.iter_mut().find(|(known, _)| *known == unit) {
                Some((_, timers)) => timers.push(timer),
                None => services.push((unit, vec![timer])),
            }
        }
        // that dispatch has a timer is no news
        for (unit, timers) in services.into_iter().filter(|(unit, _)| !overrides::is_ours(unit)) {
            self.consider(opened, &unit, Origin::Timers, &format!("started by {}", timers.join(", ")))?;
        }
        Ok(())
    }

    /// The units of these names and globs.
    pub(super) fn named(&mut self, opened: &mut Opened, words: &[String]) -> Result<()> {
        for word in words {
            match Typed::parse(word)? {
                Typed::One(unit) => {
                    let before = self.skipped.len();
                    self.consider(opened, unit.as_str(), Origin::Named, "")?;
                    for (unit, why) in self.skipped.split_off(before) {
                        self.refused.push(format!("{unit} {why}{}", meant(opened, &unit, &why)));
                    }
                }
                Typed::Glob(glob) => {
                    let scope = opened.scope;
                    let mut units = ask(scope, opened.asked("which units a glob matches")?.units())?;
                    units.retain(|unit| glob.matches(unit) && !overrides::is_ours(unit));
                    if units.is_empty() {
                        self.refused.push(format!("{} matches no unit that systemd knows", word.escape_debug()));
                    }
                    for unit in units {
                        self.consider(opened, &unit, Origin::Named, "")?;
                    }
                    // others name it, and there is no such unit
                    self.skipped.retain(|(_, why)| why != overrides::UNKNOWN);
                }
            }
        }
        Ok(())
    }

    fn consider(&mut self, opened: &mut Opened, unit: &str, origin: Origin, note: &str) -> Result<()> {
        // systemd itself has names that nobody can type
        let Ok(name) = unit.parse::<UnitName>() else { return Ok(()) };
        if self.jobs.iter().any(|job| job.unit == unit) || self.skipped.iter().any(|(skipped, _)| skipped == unit) {
            return Ok(());
        }
        let granted = match (overrides::by_name(&name), &mut opened.manager) {
            (Ok(()), Some(manager)) => {
                overrides::by_unit(&name, &ask(opened.scope, manager.nature(unit))?, self.strict.is_some())
            }
            // of a template systemd could not tell more
            (granted, _) => granted.map(|()| Grant::default()),
        };
        let steps = match &granted {
            Ok(grant) => self.steps(opened, unit, origin, grant)?,
            Err(why) => Err(why.clone()),
        };
        match (granted, steps) {
            (Ok(grant), Ok(steps)) => {
                let notes: Vec<&str> = [note, &grant.note].into_iter().filter(|note| !note.is_empty()).collect();
                self.jobs.push(Job { unit: unit.to_owned(), steps, note: notes.join("; ") });
            }
            (_, Err(why)) | (Err(why), _) => self.skipped.push((unit.to_owned(), why)),
        }
        Ok(())
    }

    /// What is to be written beside what is there; the inner error: why nothing can be.
    fn steps(
        &self,
        opened: &Opened,
        unit: &str,
        origin: Origin,
        grant: &Grant,
    ) -> Result<std::result::Result<Vec<(&'static str, Step)>, String>> {
        if let Some(what) = opened.drop_ins.obstacle(unit) {
            return Ok(Err(format!("cannot have drop-ins: {what}. Make it a folder, or put the drop-in there by hand")));
        }
        let mut contents = vec![(HANDLERS, Content::Handlers { on_success: grant.on_success })];
        contents.extend(self.strict.clone().map(|program| (STRICT, Content::Strict { program })));
        let with_folder = !opened.drop_ins.has_folder(unit);
        let mut steps = Vec::new();
        for (name, content) in contents {
            let found = opened.drop_ins.read(unit, name)?;
            let Some(step) = overrides::step(name, &found, DropIn { origin, with_folder, content }) else {
                let path = opened.drop_ins.path(unit, name);
                return Ok(Err(format!("has a drop-in that somebody else made: {}", path.display())));
            };
            steps.push((name, step));
        }
        Ok(Ok(steps))
    }
}

/// Why not every service may have the drop-in.
fn what_would_harm(opened: &mut Opened) -> Result<Vec<String>> {
    let Opened { scope, drop_ins, manager: Some(manager), .. } = opened else { return Ok(Vec::new()) };
    let mut reasons = Vec::new();
    let ours = ask(*scope, manager.nature("sysalert-failure@sysalert.service"))?;
    if !ours.on_failure.is_empty() {
        reasons.push(format!(
            "another drop-in gives sysalert's handlers a handler, {}: the two would start each other without end. Put an empty file \
             of that drop-in's name beside {} first",
            ours.on_failure.join(", "),
            drop_ins.path("sysalert-.service", HANDLERS).display()
        ));
    }
    let units = ask(*scope, manager.units())?;
    for unit in units.iter().filter(|unit| unit.ends_with(".service") && !unit.contains("@.")) {
        let Err(why) = overrides::everywhere(&ask(*scope, manager.on_failure_mode(unit))?) else { continue };
        // one of its own takes the place of that for all
        if drop_ins.read(unit, HANDLERS)? == Found::Nothing {
            let path = drop_ins.path(unit, HANDLERS);
            reasons.push(format!("{unit} {why}. Leave it out by an empty file {}", path.display()));
        }
    }
    Ok(reasons)
}

/// The name that was probably meant.
fn meant(opened: &mut Opened, unit: &str, why: &str) -> String {
    let known = match &mut opened.manager {
        Some(manager) if why == overrides::UNKNOWN => manager.units().unwrap_or_default(),
        _ => return String::new(),
    };
    // what others name is listed, too, and is not there
    let there = |manager: &mut ServiceManager, name: &str| manager.nature(name).is_ok_and(|it| it.load_state == "loaded");
    let (stem, kind) = unit.rsplit_once('.').unwrap_or((unit, ""));
    let stems = known.iter().filter_map(|one| one.strip_suffix(kind)?.strip_suffix('.')).filter(|one| *one != stem);
    let near = nearest(stem, stems).map(|near| format!("{near}.{kind}"));
    let near = near.filter(|near| opened.manager.as_mut().is_some_and(|manager| there(manager, near)));
    near.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

fn ask<T>(scope: Scope, answer: std::result::Result<T, String>) -> Result<T> {
    answer.map_err(|why| {
        let looks = match scope {
            Scope::User => "`systemctl --user status` says more; it is asked by your own bus (Debian: dbus-user-session)",
            Scope::System | Scope::Global => "`systemctl status` says more",
        };
        Error::failure(why).hint(format!("{looks}. In an image that is being built, --offline asks nobody"))
    })
}
