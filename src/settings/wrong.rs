//! What no key can tell by itself to be wrong: the names of sections, and names of something else.

use std::path::Path;

use serde_json::Value;

use super::{NAMES_METHODS, Settings, bare_or_quoted, heartbeat, method, processes, sensors, services};
use crate::config::{Origin, Setting, nearest};
use crate::error::{Error, Result};
use crate::event::{CHECK, UnitName};

impl Settings {
    /// Everything that is wrong, at once.
    pub(super) fn check(&self) -> Result<()> {
        let complaints = [
            self.unknown_methods(),
            self.illegal_units(),
            self.illegal_expectations(),
            self.illegal_methods(),
            self.illegal_textfile(),
            method::wrong_fallbacks(&self.document, &self.methods),
            method::wrong_templates(&self.document, &self.methods),
            heartbeat::wrong(&self.document, &self.methods),
            services::wrong(&self.document),
            processes::wrong(&self.document),
            sensors::wrong(&self.document),
        ]
        .concat();
        if complaints.is_empty() { Ok(()) } else { Err(Error::config(complaints.join("\n"))) }
    }

    fn unknown_methods(&self) -> Vec<String> {
        let sections = self.document.names("unit").map(|(name, _)| ("unit", Some(name))).chain([("policy", None)]);
        let settings = sections.flat_map(|(section, own)| self.document.section(section, own));
        let named = settings.filter(|setting| NAMES_METHODS.contains(&setting.key.as_str())).flat_map(|setting| {
            setting.value.as_array().into_iter().flatten().filter_map(Value::as_str).map(move |name| (name, &setting.origin))
        });
        let unknown = named.filter(|(name, _)| self.method(name).is_none());
        let complaint = |(name, origin): (&str, &Origin)| {
            let hint = match nearest(name, self.methods.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write a section [method.{}]", bare_or_quoted(name)),
            };
            format!("{origin}: unknown method `{}`; {hint}", name.escape_debug())
        };
        unknown.map(complaint).collect()
    }

    /// `backup` is backup.service on the command line, but here a name is a whole name.
    fn illegal_units(&self) -> Vec<String> {
        let complaint = |(name, origin): (&str, &Origin)| {
            let unit = name.rsplit_once('/').map_or(name, |(_, unit)| unit);
            if name.contains(['*', '?']) || name.starts_with(CHECK) || unit.parse::<UnitName>().is_ok() {
                return None;
            }
            let meant = UnitName::typed(unit).map_or_else(|_| String::new(), |meant| format!("; did you mean \"{meant}\"?"));
            Some(format!("{origin}: no unit has the name in [unit.{name:?}]{meant}"))
        };
        self.document.names("unit").filter_map(complaint).collect()
    }

    /// Only a service has runs that succeed; of a timer it is the service that it starts.
    fn illegal_expectations(&self) -> Vec<String> {
        let names = self.document.names("unit").filter(|(name, _)| !name.contains(['*', '?']) && !name.ends_with(".service"));
        let settings = names.flat_map(|(name, _)| self.document.section("unit", Some(name)).iter().map(move |one| (name, one)));
        let wrong = settings.filter(|(_, setting)| setting.key == "expect_success");
        let complaint = |(name, setting): (&str, &Setting)| {
            let hint = name.strip_suffix(".timer").map(|stem| format!("; did you mean [unit.\"{stem}.service\"]?"));
            format!("{}: `expect_success` is for services, and {name:?} is none{}", setting.origin, hint.unwrap_or_default())
        };
        wrong.map(complaint).collect()
    }

    /// The collector reads no other file, and tells nobody.
    fn illegal_textfile(&self) -> Vec<String> {
        let fits = |path: &str| Path::new(path).is_absolute() && Path::new(path).extension().is_some_and(|end| end == "prom");
        let written = self.document.section("metrics", None).iter().filter(|setting| setting.key == "textfile");
        let wrong = written.filter(|setting| !setting.value.as_str().is_some_and(fits));
        wrong.map(|setting| format!("{}: `textfile` must be a whole path that ends in .prom", setting.origin)).collect()
    }

    fn illegal_methods(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        for (name, origin) in self.document.names("method") {
            if name.is_empty() || !name.chars().all(is_plain) {
                complaints.push(format!("{origin}: a method's name has only letters, digits, _ and -: [method.{name:?}]"));
            }
        }
        for method in self.methods.values() {
            let is_legal = method.plugin.chars().all(|c| is_plain(c) && !c.is_ascii_uppercase());
            if let (Some(origin), false) = (&method.origin, is_legal) {
                let plugin = method.plugin.escape_debug();
                complaints.push(format!("{origin}: a plugin's name has only a-z, 0-9, _ and -: `{plugin}`"));
            }
        }
        complaints
    }
}
