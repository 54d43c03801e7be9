//! `[X-Sysalert]` in unit files and drop-ins: what packages and configuration management say of their own units. It wins over
//! the configuration, and nothing in it is fatal: what does not fit is told and passed over.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{NAMES_METHODS, Settings, UNIT};
use crate::config::{Origin, Setting, nearest, unit_section};
use crate::event::CHECK;

/// The section; systemd passes over what begins with `X-`.
pub const SECTION: &str = "X-Sysalert";

/// The files of units.
pub trait UnitFiles: fmt::Debug {
    /// Those of which a unit is made, by its name as a person writes it, in the order in which they count.
    fn of(&self, unit: &str) -> Vec<(PathBuf, String)>;
    /// Those of all units.
    fn all(&self) -> Vec<(PathBuf, String)>;
    /// A unit of this manager as a person writes it: with the user before it, if it is a user's.
    fn written(&self, unit: &str) -> String;
}

impl Settings {
    /// What the unit's own files say, and what is wrong with that.
    pub(super) fn of_files(&self, unit: &str) -> (Vec<Setting>, Vec<String>) {
        let units = self.units.as_ref().filter(|_| !unit.starts_with(CHECK));
        units.map_or_else(Default::default, |units| self.section_of(&units.of(unit)))
    }

    /// What is wrong with what this unit's own files say: it does not hold.
    pub fn complaints_about(&self, unit: &str) -> Vec<String> {
        self.of_files(unit).1
    }

    /// What is wrong with what any unit's files say.
    pub fn complaints_about_units(&self) -> Vec<String> {
        self.each_file().flat_map(|(_, complaints)| complaints).collect()
    }

    /// What is written for this unit, wherever: each key with the value that holds, and where that stands.
    pub fn written_for(&self, unit: &str) -> Vec<(String, Value, Origin)> {
        let own = self.of_files(unit).0;
        let written = self.written(unit, &own);
        let keys = UNIT.iter().flat_map(|list| list.iter());
        let holds = keys.filter_map(|key| written.iter().flat_map(|list| list.iter()).find(|setting| setting.key == key.name));
        holds.map(|setting| (setting.key.clone(), setting.value.clone(), setting.origin.clone())).collect()
    }

    /// Each setting in a unit's file, with where it stands.
    pub(super) fn in_files(&self) -> Vec<Setting> {
        self.each_file().flat_map(|(settings, _)| settings).collect()
    }

    /// The names and globs of the units whose files have this key.
    pub(super) fn whose_files_say(&self, key: &str) -> Vec<String> {
        let Some(units) = &self.units else { return Vec::new() };
        let says = |file: &(PathBuf, String)| self.section_of(std::slice::from_ref(file)).0.iter().any(|one| one.key == key);
        let mut names: Vec<String> =
            units.all().iter().filter(|file| says(file)).filter_map(|(path, _)| Some(units.written(&unit_of(path)?))).collect();
        names.sort();
        names.dedup();
        names
    }

    fn each_file(&self) -> impl Iterator<Item = (Vec<Setting>, Vec<String>)> {
        let files = self.units.as_ref().map(|units| units.all()).unwrap_or_default();
        files.into_iter().map(|file| self.section_of(&[file]))
    }

    fn section_of(&self, files: &[(PathBuf, String)]) -> (Vec<Setting>, Vec<String>) {
        let (mut settings, mut complaints) = unit_section(files, SECTION, UNIT);
        for setting in settings.iter_mut().filter(|setting| NAMES_METHODS.contains(&setting.key.as_str())) {
            let Value::Array(names) = &mut setting.value else { continue };
            names.retain(|name| {
                let name = name.as_str().unwrap_or_default();
                let is_known = self.method(name).is_some();
                if !is_known {
                    let near = nearest(name, self.methods.keys().map(String::as_str));
                    let meant = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                    complaints.push(format!("{}: unknown method `{}`{meant}", setting.origin, name.escape_debug()));
                }
                is_known
            });
        }
        // of methods that nobody knows none is left: the configuration's hold then
        settings.retain(|setting| setting.value.as_array().is_none_or(|names| !names.is_empty()));
        (settings, complaints)
    }
}

/// The unit, or the glob of the units, that a file is for: "a-*.service" of "a-.service.d/10.conf".
fn unit_of(path: &Path) -> Option<String> {
    let folder = path.parent().and_then(Path::file_name).and_then(OsStr::to_str).and_then(|name| name.strip_suffix(".d"));
    let name = folder.or_else(|| path.file_name().and_then(OsStr::to_str))?;
    Some(match name.rsplit_once('.') {
        Some((stem, kind)) if stem.ends_with(['@', '-']) => format!("{stem}*.{kind}"),
        Some(_) => name.to_owned(),
        None => format!("*.{name}"),
    })
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[derive(Debug)]
    struct Files(Vec<(&'static str, &'static str)>);

    impl UnitFiles for Files {
        fn of(&self, unit: &str) -> Vec<(PathBuf, String)> {
            self.all().into_iter().filter(|(path, _)| path.to_string_lossy().contains(unit)).collect()
        }

        fn all(&self) -> Vec<(PathBuf, String)> {
            self.0.iter().map(|(path, text)| ((*path).into(), (*text).to_owned())).collect()
        }

        fn written(&self, unit: &str) -> String {
            format!("alice/{unit}")
        }
    }

    fn settings(files: &[(&'static str, &'static str)]) -> Settings {
        let text = "[policy]\nignore = 1\nseverity = \"info\"\n[unit.\"a.service\"]\nignore = 2\nmin_interval = \"1h\"\n\
                    [method.mail]\n[method.phone]";
        let settings = Settings::read(&[("x.toml".into(), text.to_owned())]).unwrap();
        settings.with_unit_files(Rc::new(Files(files.to_vec())))
    }

    #[test]
    fn the_unit_itself_wins_key_by_key() {
        let settings = settings(&[
            ("a.service", "[Service]\nExecStart=x\n[X-Sysalert]\nIgnore=3\nMethods=mail"),
            ("a.service.d/10.conf", "[X-Sysalert]\nIgnore=4\nTo=dba@example.org ops@example.org\nEnabled=no"),
            ("b.service", "[X-Sysalert]\nSameProblem=error\nStartedBy=timer\nSweep=yes"),
        ]);
        let rules = settings.rules("a.service");
        assert_eq!((rules.ignore, rules.enabled, rules.severity.as_str()), (4, false, "info"));
        assert_eq!((rules.min_interval.as_secs(), &rules.methods[..]), (3600, &["mail".to_owned()][..]));
        assert_eq!(rules.to, ["dba@example.org", "ops@example.org"]);
        assert_eq!((settings.rules("b.service").ignore, settings.rules("b.service").sweep), (1, true));
        assert_eq!(settings.rules("c.service").methods, ["mail", "phone"]);
        let written: Vec<String> =
            settings.written_for("a.service").into_iter().map(|(key, value, origin)| format!("{key} {value} {origin}")).collect();
        assert_eq!(
            written,
            [
                "methods [\"mail\"] a.service:5",
                "severity \"info\" x.toml:3",
                "ignore 4 a.service.d/10.conf:2",
                "min_interval \"1h\" x.toml:6",
                "enabled false a.service.d/10.conf:4",
                "to [\"dba@example.org\",\"ops@example.org\"] a.service.d/10.conf:3"
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_told_and_the_rest_holds() {
        let settings = settings(&[
            ("a.service", "[X-Sysalert]\nIngore=1\nMethods=mial\nSeverity=warning"),
            ("b.service", "[X-Sysalert]\nMethods=mial phone\nEscalateTo=mial\nTimeout=5s"),
        ]);
        assert_eq!(
            settings.complaints_about("a.service"),
            [
                "a.service:2: unknown key Ingore=; did you mean Ignore=?",
                "a.service:3: unknown method `mial`; did you mean `mail`?"
            ]
        );
        assert_eq!(settings.complaints_about_units().len(), 5);
        let rules = settings.rules("a.service");
        assert_eq!((rules.ignore, rules.severity.as_str(), rules.methods.len()), (2, "warning", 2));
        assert_eq!(settings.rules("b.service").methods, ["phone"]);
        assert!(settings.complaints_about("c.service").is_empty());
    }

    #[test]
    fn a_unit_that_should_succeed_may_say_so_itself() {
        let says = "[X-Sysalert]\nExpectSuccess=26h";
        let settings = settings(&[
            ("/etc/a.service", says),
            ("/etc/a.service.d/1.conf", says),
            ("/etc/b@.service", says),
            ("/etc/c-.service.d/1.conf", says),
            ("/etc/service.d/1.conf", says),
            ("/etc/d.service", "[X-Sysalert]\nIgnore=2"),
        ]);
        assert_eq!(settings.expecting(), ["alice/*.service", "alice/a.service", "alice/b@*.service", "alice/c-*.service"]);
    }

    #[test]
    fn every_key_of_a_unit_has_its_own_spelling() {
        let mut spelled: Vec<String> =
            UNIT.iter().flat_map(|list| list.iter()).map(|key| crate::config::camel_case(&key.name)).collect();
        let all = spelled.len();
        spelled.sort();
        spelled.dedup();
        assert_eq!(spelled.len(), all);
        assert!(spelled.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{spelled:?}");
    }
}
