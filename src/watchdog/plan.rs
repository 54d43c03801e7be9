//! What is to be done about the rows in alarm: pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::event::{ProcessName, shown_name};
use crate::settings::Process;

/// A row in alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in the database.
    pub id: i64,
    /// Its name as it stands there.
    pub name: String,
    /// True when somebody there knows of it.
    pub known_of: bool,
    /// True when its process was restarted for this alarm already.
    pub restarted: bool,
}

/// A process in alarm, with all its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name for people, which names its incident, too.
    pub shown: String,
    /// Its rows.
    pub rows: Vec<i64>,
    /// What is done.
    pub fate: Fate,
}

/// What is done about a process in alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is restarted.
    Restart(Box<Process>),
    /// It is reported, for this reason.
    Report(String),
    /// Somebody knows of it, or it was restarted: nothing.
    Leave,
}

/// Plans the restarts: the lowest priority first, and nothing before what it depends on. `settings` tells how a process is
/// restarted, if it may be.
pub fn plan(rows: &[Row], settings: &dyn Fn(&ProcessName) -> Option<Process>) -> Vec<Planned> {
    let mut planned: BTreeMap<String, Planned> = BTreeMap::new();
    for row in rows {
        let shown = shown_name(&row.name, row.id);
        let new = || Planned { shown: shown.clone(), rows: Vec::new(), fate: Fate::Leave };
        let planned = planned.entry(shown.clone()).or_insert_with(new);
        planned.rows.push(row.id);
        // of several rows of a process one that wants a restart decides
        if planned.fate == Fate::Leave {
            planned.fate = fate(row, settings);
        }
    }
    let (mut restarts, rest): (Vec<_>, Vec<_>) =
        planned.into_values().partition(|planned| matches!(planned.fate, Fate::Restart(_)));
    restarts.sort_by_key(|planned| match &planned.fate {
        Fate::Restart(process) => process.priority,
        _ => u64::MAX,
    });
    let mut ordered = in_order(restarts.into());
    ordered.extend(rest);
    ordered
}

fn fate(row: &Row, settings: &dyn Fn(&ProcessName) -> Option<Process>) -> Fate {
    if row.known_of || row.restarted {
        return Fate::Leave;
    }
    match ProcessName::parse(&row.name) {
        Err(_) if row.name.is_empty() => Fate::Report("it has no name in the database".to_owned()),
        Err(why) => Fate::Report(format!("its name {why}")),
        Ok(name) => match settings(&name) {
            Some(process) => Fate::Restart(Box::new(process)),
            None => Fate::Report(format!("it has no section [process.{:?}] and is not in `allow`", name.as_str())),
        },
    }
}

/// What others depend on comes before them; a configuration has no circle.
fn in_order(mut rest: VecDeque<Planned>) -> Vec<Planned> {
    let mut ordered: Vec<Planned> = Vec::with_capacity(rest.len());
    loop {
        let waits =
            |planned: &Planned| !needs(planned).is_empty() && rest.iter().any(|other| needs(planned).contains(&other.shown));
        let next = rest.iter().position(|planned| !waits(planned)).unwrap_or(0);
        let Some(next) = rest.remove(next) else { return ordered };
        ordered.push(next);
    }
}

fn needs(planned: &Planned) -> &[String] {
    match &planned.fate {
        Fate::Restart(process) => &process.depends_on,
        _ => &[],
    }
}

/// What a process depends on and is still in alarm.
pub fn waits_for<'a>(process: &'a Process, down: &BTreeSet<String>) -> Option<&'a str> {
    process.depends_on.iter().map(String::as_str).find(|name| down.contains(*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn settings() -> Settings {
        let text = "[processes]\nallow = [\"web-*\"]\n[process.db]\npriority = 50\n[process.app]\npriority = 1\n\
                    depends_on = [\"db\"]\n[process.cron]\n";
        Settings::read(&[("x.toml".into(), text.to_owned())]).unwrap()
    }

    fn row(id: i64, name: &str) -> Row {
        Row { id, name: name.to_owned(), known_of: false, restarted: false }
    }

    fn told(rows: &[Row]) -> Vec<String> {
        let settings = settings();
        plan(rows, &|name| settings.process(name))
            .into_iter()
            .map(|planned| {
                let fate = match planned.fate {
                    Fate::Restart(_) => "restart".to_owned(),
                    Fate::Report(why) => why,
                    Fate::Leave => "leave".to_owned(),
                };
                format!("{} {:?}: {fate}", planned.shown, planned.rows)
            })
            .collect()
    }

    #[test]
    fn by_priority_and_nothing_before_what_it_depends_on() {
        let rows = [row(1, "web-1"), row(2, "app"), row(3, "db"), row(4, "cron")];
        assert_eq!(told(&rows), ["db [3]: restart", "app [2]: restart", "cron [4]: restart", "web-1 [1]: restart"]);
    }

    #[test]
    fn a_name_means_a_service_and_no_other_unit() {
        let text = "[processes]\nallow = [\"*\"]\n[process.x]\nsystem_name = \"x.timer\"\n".to_owned();
        let settings = Settings::read(&[("x.toml".into(), text)]).unwrap();
        let unit = |name: &str| settings.process(&ProcessName::parse(name).unwrap()).unwrap().unit.unwrap().to_string();
        for (name, expected) in [
            ("web", "web.service"),
            ("web.service", "web.service"),
            ("reboot.target", "reboot.target.service"),
            ("home.mount", "home.mount.service"),
            ("x", "x.timer"),
        ] {
            assert_eq!(unit(name), expected);
        }
    }

    #[test]
    fn only_what_the_settings_name_is_restarted() {
        let hostile = ["x; touch /pwned", "$(reboot)", "../../bin/sh", "%s%n", "-.mount", "web-1\n", "cron'"];
        for name in hostile {
            let told = told(&[row(7, name)]);
            assert!(told.len() == 1 && told[0].contains("(row 7) [7]: its name "), "{told:?}");
        }
        assert_eq!(told(&[row(7, "")]), ["\"\" (row 7) [7]: it has no name in the database"]);
        let lacks = |name: &str| format!("{name} [1]: it has no section [process.{name:?}] and is not in `allow`");
        for name in ["anacron", "crond", "cron.service", "web", "init.scope", "xweb-1"] {
            assert_eq!(told(&[row(1, name)]), [lacks(name)]);
        }
    }

    #[test]
    fn what_somebody_knows_of_or_was_restarted_is_left_alone() {
        let known_of = Row { known_of: true, ..row(1, "db") };
        let restarted = Row { restarted: true, ..row(2, "cron") };
        assert_eq!(told(&[known_of.clone(), restarted]), ["cron [2]: leave", "db [1]: leave"]);
        assert_eq!(told(&[known_of, row(5, "db")]), ["db [1, 5]: restart"]);
    }

    #[test]
    fn a_process_waits_for_what_it_depends_on() {
        let settings = settings();
        let app = settings.process(&ProcessName::parse("app").unwrap()).unwrap();
        assert_eq!(waits_for(&app, &BTreeSet::from(["db".to_owned()])), Some("db"));
        assert_eq!(waits_for(&app, &BTreeSet::from(["cron".to_owned()])), None);
    }
}
