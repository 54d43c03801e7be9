//! The manual's pages. What can be read off the program's own definitions is: commands and options off the command line, keys
//! off the catalogue and the plugins. The rest is prose, in the files of this folder; `@WORD@` stands for what is put in.

use clap::{Arg, Command, CommandFactory};

use super::roff::{bold, entry, text, verbatim};
use crate::cli::config::reference::{self, Part};
use crate::cli::{Cli, VERSION};
use crate::host::Site;
use crate::trigger::sensor::{Metric, SENSORS, Sensor};

/// Every page: first those with words of their own, then a unit each.
pub(super) const NAMES: [&str; 14] = [
    "sysalert.1",
    "sysalert-plugin.3",
    "sysalert.toml.5",
    "sysalert.7",
    UNITS,
    "sysalert-check@.timer.8",
    "sysalert-dispatch.path.8",
    "sysalert-dispatch.service.8",
    "sysalert-dispatch.timer.8",
    "sysalert-failure@.service.8",
    "sysalert-look@.service.8",
    "sysalert-look@.socket.8",
    "sysalert-restart@.service.8",
    "sysalert-success@.service.8",
];

/// The page of all units.
const UNITS: &str = "sysalert-check@.service.8";

/// The page of this name.
pub(super) fn page(name: &str, site: &Site) -> String {
    match name {
        "sysalert.1" => sysalert(),
        "sysalert-plugin.3" => filled(include_str!("sysalert-plugin.3"), &[]),
        "sysalert.toml.5" => filled(include_str!("sysalert.toml.5"), &[("@KEYS@\n", &keys(&reference::parts(site)))]),
        "sysalert.7" => filled(include_str!("sysalert.7"), &[]),
        UNITS => filled(include_str!("sysalert-check@.service.8"), &[]),
        _ => format!(".so man8/{UNITS}\n"),
    }
}

/// sysalert(1).
pub(super) fn sysalert() -> String {
    let mut program = Cli::command();
    program.build();
    let options: String =
        program.get_arguments().filter(|arg| arg.is_global_set() || arg.get_id() == "version").map(of_argument).collect();
    let mut commands = String::new();
    for verb in program.get_subcommands_mut() {
        of_verb(verb, &mut commands);
    }
    filled(include_str!("sysalert.1"), &[("@OPTIONS@\n", &options), ("@COMMANDS@\n", &commands)])
}

fn filled(page: &str, words: &[(&str, &str)]) -> String {
    words.iter().fold(page.replace("@VERSION@", VERSION), |page, (word, text)| page.replace(word, text))
}

/// A verb, or those below it.
fn of_verb(verb: &mut Command, page: &mut String) {
    if verb.is_hide_set() || verb.get_name() == "help" {
        return;
    }
    let below = verb.get_subcommands().any(|verb| verb.get_name() != "help");
    if !below || !verb.is_subcommand_required_set() {
        of_leaf(verb, page);
    }
    for verb in verb.get_subcommands_mut() {
        of_verb(verb, page);
    }
}

fn of_leaf(verb: &mut Command, page: &mut String) {
    let usage = verb.render_usage().to_string();
    // of several lines the first is without the verbs below
    let usage = usage
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("Usage: ")
        .replace("[OPTIONS] ", "")
        .replace(" [OPTIONS]", "");
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    *page += &format!(".SS {}\n{}.\n", text(&usage), text(&about));
    page.extend(
        verb.get_arguments().filter(|arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help").map(of_argument),
    );
    if let Some(examples) = verb.get_after_help() {
        *page += &format!(".PP\n{}", verbatim(&examples.to_string()));
    }
}

/// "-o, --output OUTPUT", and what it is for.
fn of_argument(arg: &Arg) -> String {
    let names: Vec<String> = arg
        .get_short()
        .map(|short| format!("-{short}"))
        .into_iter()
        .chain(arg.get_long().map(|long| format!("--{long}")))
        .collect();
    let takes = arg.get_action().takes_values();
    let value = arg.get_value_names().into_iter().flatten().next().map(|name| format!("\\fI{}\\fR", text(name)));
    let more = if arg.get_num_args().is_some_and(|count| count.max_values() > 1) { " ..." } else { "" };
    let tag = match (names.is_empty(), takes) {
        (true, _) => format!("{}{more}", value.unwrap_or_default()),
        (false, false) => bold(&names.join(", ")),
        (false, true) => format!("{} {}", bold(&names.join(", ")), value.unwrap_or_default()),
    };
    let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut about = vec![format!("{}.", text(about.trim_end_matches('.')))];
    let possible: Vec<String> = arg.get_possible_values().iter().map(|value| bold(value.get_name())).collect();
    if takes && !possible.is_empty() {
        about.push(format!("One of {}.", possible.join(", ")));
    }
    if let Some(default) = arg.get_default_values().first().filter(|_| takes) {
        about.push(format!("Default: {}.", bold(&default.to_string_lossy())));
    }
    entry(&tag, &about.join("\n"))
}

/// Every section with its keys.
fn keys(parts: &[Part]) -> String {
    let mut page = String::new();
    for part in parts {
        let heading = match &part.plugin {
            Some(plugin) => format!("[method.NAME] of the plugin {plugin}"),
            None => part.heading.clone(),
        };
        // a plugin's section says what it is by its heading
        let about = if part.plugin.is_some() { String::new() } else { reference::capital(&part.about) };
        let (shared, own) = part.split(parts);
        let shared = if shared.is_empty() { String::new() } else { reference::capital(&shared) };
        page += &format!(".SS {}\n", text(&heading));
        for sentence in [about, shared].iter().filter(|sentence| !sentence.is_empty()) {
            page += &format!("{}\n", text(sentence));
        }
        for row in own {
            let default = match row.without_default() {
                Some(word) => format!(" ({word})"),
                None if row.default.is_empty() => String::new(),
                None => format!(" = {}", text(&row.default)),
            };
            let about = reference::capital(row.about.trim_end_matches('.'));
            page += &entry(&format!("{}{default}", bold(&row.name)), &format!("{}\nValue: {}.", text(&about), text(&row.wanted)));
        }
        if part.rows.is_empty() {
            page += "It has no keys of its own.\n";
        }
        page.extend(SENSORS.iter().filter(|sensor| names(&part.heading, sensor)).map(|sensor| measured(sensor, &part.heading)));
    }
    page
}

/// Whether this is the heading of the sensor's section.
fn names(heading: &str, sensor: &Sensor) -> bool {
    let name = heading.strip_prefix("[sensor.").and_then(|rest| rest.strip_suffix(']'));
    name.map(|name| name.trim_end_matches(".NAME")) == Some(sensor.name)
}

/// What a sensor measures, and the rules that it has by default.
fn measured(sensor: &Sensor, heading: &str) -> String {
    let metric = |metric: &Metric| {
        let about = reference::capital(metric.about);
        entry(&format!("{}, {}", bold(metric.name), text(metric.unit.as_str())), &text(&about))
    };
    let metrics: String = sensor.metrics.iter().map(metric).collect();
    let section = heading.trim_matches(['[', ']']);
    let rules = sensor.rules.trim().replace("[[rule]]", &format!("[[{section}.rule]]"));
    let rules = if rules.is_empty() {
        "No rule holds by default.\n".to_owned()
    } else {
        let keys = if rules.contains('{') { " (a word in braces stands for the key of that name)" } else { "" };
        format!("These rules hold by default{keys}:\n.PP\n{}", verbatim(&rules))
    };
    format!(".PP\nIt measures:\n{metrics}.PP\n{rules}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser;

    use super::*;
    use crate::config::unit_section;
    use crate::policy;
    use crate::settings::UNIT_SECTION;

    const PROSE: [&str; 5] = [
        include_str!("sysalert.1"),
        include_str!("sysalert-plugin.3"),
        include_str!("sysalert.toml.5"),
        include_str!("sysalert.7"),
        include_str!("sysalert-check@.service.8"),
    ];

    fn program() -> Command {
        let mut program = Cli::command();
        program.build();
        program
    }

    /// Every verb that people see and that does something, with its name.
    fn verbs(verb: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        for verb in verb.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
            let path = format!("{path} {}", verb.get_name());
            verbs(verb, &path, found);
            if !verb.is_subcommand_required_set() {
                found.push((path, verb.clone()));
            }
        }
    }

    fn all() -> Vec<(String, Command)> {
        let mut found = Vec::new();
        verbs(&program(), "sysalert", &mut found);
        assert!(found.len() > 25);
        found
    }

    /// What is to be typed.
    fn blocks(page: &str) -> impl Iterator<Item = &str> {
        page.split("\n.EX\n").skip(1).map(|rest| rest.split("\n.EE").next().unwrap())
    }

    /// The command of a line as a shell would take it; `None`: it is another's.
    fn command(line: &str) -> Option<Vec<String>> {
        let line = line.trim().replace("\\-", "-");
        let line = line.split("  ").next().unwrap_or_default();
        let line = line.split(['|', '>', '&']).next().unwrap_or_default();
        let mut words = vec![String::new()];
        let mut quote = None;
        for c in line.trim().chars() {
            match c {
                '"' | '\'' if quote.is_none() => quote = Some(c),
                c if quote == Some(c) => quote = None,
                ' ' if quote.is_none() => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        (words[0] == "sysalert").then_some(words)
    }

    #[test]
    fn every_verb_and_option_has_its_place() {
        let page = sysalert();
        for (path, verb) in all() {
            let (_, part) = page.split_once(&format!("\n.SS {}", text(&path))).unwrap_or_else(|| panic!("{path}\n{page}"));
            let part = part.split("\n.S").next().unwrap();
            for arg in verb.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help") {
                let name =
                    arg.get_long().map_or_else(|| arg.get_value_names().unwrap()[0].to_string(), |long| format!("--{long}"));
                assert!(part.contains(&text(&name)), "{path}: {name}");
            }
        }
        let (_, options) = page.split_once(".SH OPTIONS").unwrap();
        for arg in program().get_arguments().filter(|arg| arg.is_global_set()) {
            assert!(options.contains(&text(&format!("--{}", arg.get_long().unwrap()))), "{}", arg.get_id());
        }
        assert!(
            !PROSE
                .map(|page| filled(page, &[("@KEYS@", ""), ("@OPTIONS@", ""), ("@COMMANDS@", "")]))
                .concat()
                .contains("@VERSION@")
        );
    }

    #[test]
    fn every_verb_has_examples_that_the_program_takes() {
        let of_verbs = all().into_iter().map(|(path, verb)| {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n  "), "{path}: {help}");
            help
        });
        let prose = PROSE.iter().flat_map(|page| blocks(page)).map(str::to_owned);
        let program = program().get_after_help().map(ToString::to_string);
        let commands: BTreeSet<Vec<String>> =
            of_verbs.chain(prose).chain(program).flat_map(|text| text.lines().filter_map(command).collect::<Vec<_>>()).collect();
        assert!(commands.len() > 40, "{commands:?}");
        for words in commands {
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{words:?}: {error}");
            }
        }
    }

    #[test]
    fn every_configuration_in_prose_is_one() {
        for page in PROSE {
            for block in blocks(page) {
                if block.starts_with("[X") {
                    let file = ("page".into(), block.replace("\\-", "-"));
                    let (settings, complaints) = unit_section(&[file], UNIT_SECTION, &[policy::KEYS, policy::UNIT_KEYS]);
                    assert_eq!((settings.len(), complaints), (3, Vec::new()));
                }
                if block.starts_with("[policy]") || block.starts_with("[method") {
                    crate::settings::Settings::read(&[("page".into(), block.replace("\\-", "-"))]).unwrap();
                }
            }
        }
    }

    #[test]
    fn every_sensor_has_its_metrics_and_default_rules() {
        let options = crate::host::Options { plugin_dir: Some("/nowhere".into()), ..Default::default() };
        let site = Site::find(&options, crate::host::env::Environment::Ours).unwrap();
        let page = keys(&reference::parts(&site));
        for sensor in SENSORS {
            let sections = page.split("\n.SS ");
            let heading = format!("[sensor.{}", sensor.name);
            let section = sections.clone().find(|section| section.starts_with(&text(&heading))).unwrap();
            for metric in sensor.metrics {
                assert!(section.contains(&bold(metric.name)), "{}: {section}", metric.name);
            }
            for line in sensor.rules.lines().filter(|line| line.starts_with("name")) {
                assert!(section.contains(&text(line)), "{line}: {section}");
            }
        }
    }

    #[test]
    fn every_unit_has_its_page() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("units/system");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".d")).collect();
        names.sort();
        let pages = NAMES.iter().filter_map(|name| name.strip_suffix(".8")).map(str::to_owned);
        assert_eq!(names, pages.collect::<Vec<_>>());
        let (name, rest) = PROSE[4].split_once(".SH NAME\n").unwrap().1.split_once(".SH").unwrap();
        for unit in names {
            let instances = unit.replace("check@.", "check@services.");
            let told = text(&instances);
            assert!(name.contains(&text(&unit)) && rest.contains(&told), "{unit}");
        }
        for place in ["system", "user"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("units").join(place);
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
                let name = path.file_name().unwrap().to_str().unwrap();
                let line = format!("\nDocumentation=man:{name}(8)\n");
                assert!(std::fs::read_to_string(&path).unwrap().contains(&line), "{}: no {line}", path.display());
            }
        }
    }
}
