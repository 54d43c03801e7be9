//! `[services]`: the units that are polled, of the system's manager and of users'.

use std::time::Duration;

use wildmatch::WildMatch;

use crate::config::{Document, Key, Kind, Values};
use crate::event::{Manager, UnitName};

/// The keys of `[services]`.
pub(super) const KEYS: &[Key] = &[
    Key::new("units", Kind::List, "[]", "the units to poll: \"nginx.service\", \"db-*.service\", \"alice/bot.service\""),
    Key::new("user", Kind::Text, "", "whose unit \"user:bot.service\" in `units` is"),
    Key::new("remind", Kind::Interval, "\"5m\"", "of these units: tell again what is not over, so long after the last alert"),
    Key::new("grace_after_boot", Kind::ANY_TIME, "\"60s\"", "so long after a boot nothing is said about them"),
    Key::new("stuck_after", Kind::ANY_TIME, "\"10m\"", "a unit that starts, stops or reloads for longer hangs"),
];

/// The valid settings.
#[derive(Debug, Clone)]
pub struct Services {
    /// What is polled, in the order of the file.
    pub units: Vec<Listed>,
    /// So long after the last alert it is told again; `None`: never.
    pub remind: Option<Duration>,
    /// So long after a boot nothing is judged.
    pub grace_after_boot: Duration,
    /// So long a unit may start, stop or reload, where its own settings do not say.
    pub stuck_after: Duration,
}

/// One entry of `units`.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Whose manager it is.
    pub manager: Manager,
    /// A unit's name, or a glob.
    pub pattern: String,
    glob: Option<WildMatch>,
}

impl Listed {
    /// As a person writes it: "nginx.service", "alice/bot.service".
    pub fn name(&self) -> String {
        match &self.manager {
            Manager::System => self.pattern.clone(),
            Manager::User(user) => format!("{user}/{}", self.pattern),
        }
    }

    /// True for a pattern that may stand for several units.
    pub fn is_glob(&self) -> bool {
        self.glob.is_some()
    }

    /// Whether it stands for this unit of this manager.
    pub fn covers(&self, manager: &Manager, unit: &str) -> bool {
        self.manager == *manager && self.glob.as_ref().map_or(self.pattern == unit, |glob| glob.matches(unit))
    }
}

impl Services {
    /// Reads it from valid settings.
    pub(super) fn read(document: &Document) -> Services {
        let written = [document.section("services", None)];
        let values = Values { keys: &[KEYS], written: &written };
        let user = values.text("user");
        Services {
            units: values.list("units").iter().filter_map(|entry| listed(entry, user.as_deref()).ok()).collect(),
            remind: values.interval("remind"),
            grace_after_boot: values.duration("grace_after_boot"),
            stuck_after: values.duration("stuck_after"),
        }
    }

    /// Whether a unit is polled, by its name as a person writes it: "nginx.service", "alice/bot.service".
    pub fn covers(&self, name: &str) -> bool {
        self.covering(name).next().is_some()
    }

    /// The entries that stand for a unit.
    pub fn covering(&self, name: &str) -> impl Iterator<Item = &Listed> {
        let (manager, unit) = match name.split_once('/') {
            Some((user, unit)) => (Manager::User(user.to_owned()), unit.to_owned()),
            None => (Manager::System, name.to_owned()),
        };
        self.units.iter().filter(move |listed| listed.covers(&manager, &unit))
    }

    /// The users of whose units some are polled.
    pub fn users(&self) -> Vec<&str> {
        let mut users: Vec<&str> = self
            .units
            .iter()
            .filter_map(|listed| match &listed.manager {
                Manager::User(name) => Some(name.as_str()),
                Manager::System => None,
            })
            .collect();
        users.sort_unstable();
        users.dedup();
        users
    }
}

/// What an entry of `units` means, or what is wrong with it.
fn listed(entry: &str, user: Option<&str>) -> Result<Listed, String> {
    let (manager, pattern) = match (entry.strip_prefix("user:"), entry.split_once('/')) {
        (Some(unit), _) => match user {
            Some(user) => (Manager::User(user.to_owned()), unit),
            None => return Err("whose unit is it? Write user = \"NAME\" into [services], or \"NAME/UNIT\"".to_owned()),
        },
        (None, Some((user, unit))) => (Manager::User(user.to_owned()), unit),
        (None, None) => (Manager::System, entry),
    };
    if let Manager::User(name) = &manager
        && !is_user(name)
    {
        return Err("no user has such a name".to_owned());
    }
    let is_glob = pattern.contains(['*', '?']);
    let mut meant = String::new();
    // a glob stands for names: without its wildcards it must be one
    let trial = pattern.replace(['*', '?'], "x");
    if trial.parse::<UnitName>().is_err() {
        if let Ok(name) = UnitName::typed(&trial)
            && !is_glob
        {
            meant = format!("; did you mean \"{}\"?", entry.replace(pattern, name.as_str()));
        }
        return Err(format!("no unit has such a name{meant}"));
    }
    if pattern.contains("@.") {
        let (one, all) = (entry.replace("@.", "@NAME."), entry.replace("@.", "@*."));
        return Err(format!("it is a template: name an instance (\"{one}\"), or all (\"{all}\")"));
    }
    Ok(Listed { manager, pattern: pattern.to_owned(), glob: is_glob.then(|| WildMatch::new(pattern)) })
}

fn is_user(name: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(begins) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// What is wrong with `units`.
pub(super) fn wrong(document: &Document) -> Vec<String> {
    let settings = document.section("services", None);
    let values = [settings];
    let user = Values { keys: &[KEYS], written: &values }.text("user");
    let mut complaints = Vec::new();
    for setting in settings.iter().filter(|setting| setting.key == "units") {
        for entry in setting.value.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
            if let Err(why) = listed(entry, user.as_deref()) {
                complaints.push(format!("{}: \"{}\" in `units`: {why}", setting.origin, entry.escape_debug()));
            }
        }
    }
    if let Some(setting) = settings.iter().find(|setting| setting.key == "user")
        && !user.is_some_and(|user| is_user(&user))
    {
        complaints.push(format!("{}: no user has such a name as `user`", setting.origin));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_name_units_globs_and_users() {
        for (entry, expected) in [
            ("nginx.service", "system nginx.service"),
            ("db-*.service", "system db-*.service, a glob"),
            ("alice/bot.service", "alice bot.service"),
            ("user:bot.service", "bob bot.service"),
            ("data.mount", "system data.mount"),
            ("nginx", "no unit has such a name; did you mean \"nginx.service\"?"),
            ("alice/bot", "no unit has such a name; did you mean \"alice/bot.service\"?"),
            ("db-*", "no unit has such a name"),
            ("a b.service", "no unit has such a name"),
            ("../x.service", "no user has such a name"),
            ("[a-z].service", "no unit has such a name"),
            ("getty@.service", "it is a template: name an instance (\"getty@NAME.service\"), or all (\"getty@*.service\")"),
        ] {
            let told = match listed(entry, Some("bob")) {
                Ok(one) => format!("{} {}{}", one.manager, one.pattern, if one.is_glob() { ", a glob" } else { "" }),
                Err(why) => why,
            };
            assert_eq!(told, expected, "{entry}");
        }
        assert!(listed("user:bot.service", None).is_err());
    }
}
