//! What is wrong with `[processes]` and `[process.NAME]` beyond their keys.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use serde_json::Value;

use super::{names, values};
use crate::config::{Document, Setting, Values, nearest};
use crate::event::{ProcessName, UnitName};

/// The keys whose values become part of a statement, where no value can be bound.
const IDENTIFIERS: [&str; 8] =
    ["status_table", "process_table", "id_column", "name_column", "alarm_column", "sound_column", "notes_column", "host_column"];
/// The keys that hold a program and its arguments.
const COMMANDS: [&str; 4] = ["restart_command", "pre_restart_command", "health_check_command", "process_command"];

/// What is wrong with these sections beyond their keys.
pub(in crate::settings) fn wrong(document: &Document) -> Vec<String> {
    let mut complaints = Vec::new();
    for setting in document.section("processes", None) {
        complaints.extend(of_database(setting).map(|why| format!("{}: `{}` {why}", setting.origin, setting.key)));
    }
    for setting in document.section("processes.log", None).iter().filter(|setting| setting.key == "path") {
        let is_whole = setting.value.as_str().is_some_and(|path| Path::new(path).is_absolute());
        complaints.extend((!is_whole).then(|| format!("{}: `path` must be a whole path", setting.origin)));
    }
    let known = names(document);
    let sections = document.names("process").map(|(name, origin)| (Some(name), Some(origin))).chain([(None, None)]);
    for (name, origin) in sections {
        if let (Some(name), Some(origin)) = (name, origin)
            && let Err(why) = ProcessName::parse(name)
        {
            complaints.push(format!("{origin}: the name in [process.{name:?}] {why}"));
        }
        let section = if name.is_some() { "process" } else { "processes.default" };
        for setting in document.section(section, name) {
            let why = of_process(setting, &known).or_else(|| name.and_then(|name| circle(document, name, setting)));
            complaints.extend(why.map(|why| format!("{}: {why}", setting.origin)));
        }
        if let (Some(name), Some(origin)) = (name, origin) {
            let wrong = of_whole(document, name, &format!("[process.{name:?}]"));
            complaints.extend(wrong.map(|why| format!("{origin}: {why}")));
        }
        if let (Some("default"), Some(origin)) = (name, origin) {
            complaints.push(format!(
                "{origin}: [process.default] is a process of that name; what holds for all is [processes.default]"
            ));
        }
    }
    // a name that `allow` lets in has no section of its own
    let allow = document.section("processes", None).iter().find(|setting| setting.key == "allow");
    if let Some(allow) = allow.filter(|allow| allow.value.as_array().is_some_and(|list| !list.is_empty())) {
        let wrong = of_whole(document, "", "with `allow` [processes.default]");
        complaints.extend(wrong.map(|why| format!("{}: {why}", allow.origin)));
    }
    complaints
}

/// All tries of a cycle may take so long by their section; sysalert-restart@.service has a minute more, for what systemd itself
/// does (`TimeoutStartSec=`).
const LONGEST_CYCLE: u64 = 240;

/// What is wrong with a section as a whole, with what it has from `[processes.default]`.
fn of_whole(document: &Document, name: &str, shown: &str) -> Option<String> {
    values(document, name, |values| {
        let strategy = values.text("restart_strategy").unwrap_or_default();
        let has = |key: &str| !values.list(key).is_empty();
        let lacks = match strategy.as_str() {
            "custom" if !has("restart_command") => Some("`restart_command`"),
            // nobody else knows what a program brings back
            "custom" if !has_check(values) => {
                Some("`health_check_command`, `health_check_unit`, `health_check_tcp` or `health_check_url`")
            }
            "process" if !has("process_command") => Some("`process_command`"),
            _ => None,
        };
        if let Some(what) = lacks {
            return Some(format!("{shown} needs {what} for its restart_strategy"));
        }
        let seconds = |key: &str, is_used: bool| if is_used { values.duration(key).as_secs() } else { 0 };
        let plain = strategy != "custom" && strategy != "service" && has("process_command");
        let each = seconds("command_timeout", has("pre_restart_command"))
            + seconds("stop_timeout", plain)
            + seconds("command_timeout", plain || strategy == "custom")
            + seconds("health_check_timeout", true)
            + seconds("stable_time", !has_check(values));
        let tries = values.count("max_attempts");
        let all = each.saturating_mul(tries).saturating_add(seconds("restart_delay", true).saturating_mul(tries - 1));
        (all > LONGEST_CYCLE).then(|| {
            format!(
                "{shown} lets {tries} tries take {all} s, and a restart is ended after {LONGEST_CYCLE}: lower `max_attempts` or the \
                 time limits"
            )
        })
    })
}

fn has_check(values: &Values<'_>) -> bool {
    let texts = ["health_check_unit", "health_check_tcp", "health_check_url"];
    !values.list("health_check_command").is_empty() || texts.iter().any(|key| values.text(key).is_some())
}

fn of_database(setting: &Setting) -> Option<String> {
    let text = setting.value.as_str().unwrap_or_default();
    match setting.key.as_str() {
        key if IDENTIFIERS.contains(&key) => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
            (text.is_empty() || text.len() > 64 || !text.chars().all(is_plain))
                .then(|| "must be a name of letters, digits, _ and $, with at most 64 of them".to_owned())
        }
        "socket" | "ca" => (!Path::new(text).is_absolute()).then(|| "must be a whole path".to_owned()),
        _ => None,
    }
}

fn of_process(setting: &Setting, known: &[String]) -> Option<String> {
    let key = setting.key.as_str();
    let text = setting.value.as_str();
    let list: Vec<&str> = setting.value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if COMMANDS.contains(&key) {
        let program = list.first().copied().unwrap_or_default();
        let is_fixed = program.starts_with('/') && !program.contains("%s");
        return (!is_fixed)
            .then(|| format!("`{key}` must begin with the whole path of a program, as in [\"/usr/bin/pgrep\", \"-x\", \"%s\"]"));
    }
    match key {
        "system_name" | "health_check_unit" => {
            let name = text.unwrap_or_default().replace("%s", "x");
            UnitName::typed(&name).is_err().then(|| format!("no unit has such a name as `{key}`"))
        }
        "health_check_url" => {
            let is_one = text.is_some_and(|url| url.starts_with("http://") || url.starts_with("https://"));
            (!is_one).then(|| "`health_check_url` must begin with http:// or https://".to_owned())
        }
        "health_check_tcp" => {
            let port = text.and_then(|text| text.rsplit_once(':')).and_then(|(host, port)| (!host.is_empty()).then_some(port));
            port.is_none_or(|port| port.parse::<u16>().is_err()).then(|| "`health_check_tcp` must be HOST:PORT".to_owned())
        }
        "depends_on" => list.iter().find(|name| !known.iter().any(|one| one == *name)).map(|name| {
            let hint = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write a section [process.{name:?}]"),
            };
            format!("\"{}\" in `depends_on` has no section; {hint}", name.escape_debug())
        }),
        _ => None,
    }
}

/// A process that waits for itself, over others or not, would wait for ever.
fn circle(document: &Document, name: &str, setting: &Setting) -> Option<String> {
    if setting.key != "depends_on" {
        return None;
    }
    let mut ways: VecDeque<Vec<String>> = VecDeque::from([vec![name.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let last = way.last().map(String::as_str).unwrap_or_default();
        for next in values(document, last, |values| values.list("depends_on")) {
            if next == name {
                let over: Vec<String> = way.iter().skip(1).map(|one| format!("{one:?}")).collect();
                return Some(match over.as_slice() {
                    [] => format!("`depends_on` leads back to {name:?}: it would never be restarted; take it out"),
                    over => {
                        let over = over.join(", ");
                        format!("`depends_on` leads back to {name:?}, over {over}: neither would ever be restarted; take one out")
                    }
                });
            }
            if seen.insert(next.clone()) {
                ways.push_back([way.as_slice(), &[next]].concat());
            }
        }
    }
    None
}
