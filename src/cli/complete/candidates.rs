//! What a word may become.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};

use super::typed::{Typed, What};
use crate::cli::context::Context;
use crate::event::{Manager, Subject};
use crate::host::clock;
use crate::host::dropins::{DropIns, Found, Scope};
use crate::host::env::Environment;
use crate::host::manager::ServiceManager;
use crate::host::unit_files::UnitFiles;
use crate::overrides::{self, HANDLERS, STRICT};
use crate::store::{self, Store};

/// So long the service manager may take to name its units: somebody waits at the keyboard.
const PATIENCE: Duration = Duration::from_millis(300);

/// A word, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The word; empty: files or folders, whatever `about` says.
    pub(super) word: String,
    /// What it is; may be empty.
    pub(super) about: String,
}

/// Where the values of an argument come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Nobody can know them: a time, a reason.
    Unknown,
    /// The shell knows.
    Files,
    /// The shell knows.
    Folders,
    /// The configured methods.
    Methods,
    /// The processes that have a section.
    Processes,
    /// The units that systemd knows.
    Units,
    /// The units that have drop-ins of ours.
    Enabled,
    /// What has an event on record.
    Recorded,
    /// What is not over.
    Open,
    /// What may be silenced: what is on record, systemd's units, the globs of the configuration.
    Silenceable,
    /// What is silenced.
    Silenced,
    /// The numbers of what waits to be sent.
    Waiting,
}

/// `None`: this argument is in no row; the test below asks for one.
fn source(path: &str, arg: &str) -> Option<Source> {
    Some(match (path, arg) {
        (_, "config") => Source::Files,
        (_, "state_dir" | "plugin_dir") | ("generate man", "out") => Source::Folders,
        ("enable", "units") | ("failure" | "success" | "ended", "unit") => Source::Units,
        ("disable", "units") => Source::Enabled,
        ("history" | "explain" | "preview" | "db list", "unit") => Source::Recorded,
        ("ack", "unit") | ("db clear", "units") => Source::Open,
        ("silence", "glob") => Source::Silenceable,
        ("unsilence", "glob") => Source::Silenced,
        ("outbox retry" | "outbox drop", "id") => Source::Waiting,
        ("preview" | "test", "method") | ("setup", "remove") => Source::Methods,
        ("process restart", "name") => Source::Processes,
        ("methods check", "file") => Source::Files,
        ("setup", "plugin" | "name" | "set" | "secret") => Source::Unknown,
        ("methods check", "set") => Source::Unknown,
        ("ack" | "silence", "reason") | ("silence", "length") | ("test" | "doctor", "timeout") | ("db prune", "older_than") => {
            Source::Unknown
        }
        _ => return None,
    })
}

/// What the word may become.
pub(super) fn of(typed: &Typed<'_>) -> Vec<Candidate> {
    let mut found = match typed.what {
        What::Verb => verbs(typed.verb),
        What::Option => options(typed.verb),
        What::Value(arg) => values(typed, arg),
        What::Nothing => Vec::new(),
    };
    if found.is_empty() && typed.begun.is_empty() && typed.before.is_empty() && !matches!(typed.what, What::Value(_)) {
        found = options(typed.verb);
    }
    // a name of the record may hold anything
    found.retain(|one| one.word.is_empty() || one.word.starts_with(&typed.begun) && !one.word.chars().any(char::is_control));
    for one in found.iter_mut().filter(|one| !one.word.is_empty()) {
        one.word.insert_str(0, &typed.before);
    }
    found
}

fn verbs(verb: &Command) -> Vec<Candidate> {
    let seen = verb.get_subcommands().filter(|verb| !verb.is_hide_set());
    seen.map(|verb| Candidate::new(verb.get_name(), verb.get_about().map(ToString::to_string))).collect()
}

fn options(verb: &Command) -> Vec<Candidate> {
    let seen = verb.get_arguments().filter(|arg| !arg.is_hide_set());
    seen.filter_map(|arg| Some(Candidate::new(&format!("--{}", arg.get_long()?), arg.get_help().map(ToString::to_string))))
        .collect()
}

fn values(typed: &Typed<'_>, arg: &Arg) -> Vec<Candidate> {
    let possible = arg.get_possible_values();
    if !possible.is_empty() && !matches!(arg.get_action(), ArgAction::SetTrue) {
        let seen = possible.iter().filter(|value| !value.is_hide_set());
        return seen.map(|value| Candidate::new(value.get_name(), value.get_help().map(ToString::to_string))).collect();
    }
    match source(&typed.path, arg.get_id().as_str()) {
        Some(Source::Files) => vec![Candidate::new("", Some("files".to_owned()))],
        Some(Source::Folders) => vec![Candidate::new("", Some("folders".to_owned()))],
        Some(source) => {
            let context = Context::new(&typed.options, Environment::Ours).ok();
            let words = context.map(|context| words(&context, source)).unwrap_or_default();
            words.into_iter().map(|word| Candidate::new(&word, None)).collect()
        }
        None => Vec::new(),
    }
}

fn words(context: &Context, source: Source) -> BTreeSet<String> {
    let recorded = |ask: fn(&Store) -> crate::error::Result<Vec<String>>| {
        let store = context.read().ok().flatten();
        store.and_then(|store| ask(&store).ok()).unwrap_or_default()
    };
    let all = match source {
        Source::Unknown | Source::Files | Source::Folders => Vec::new(),
        Source::Methods => context.settings().map(|settings| settings.methods.into_keys().collect()).unwrap_or_default(),
        Source::Processes => context.settings().map(|settings| settings.named("process")).unwrap_or_default(),
        Source::Units => units(context),
        Source::Enabled => enabled(context),
        Source::Recorded => recorded(|store| store.with(store::subjects).map(names)),
        Source::Open => recorded(|store| store.with(store::clearable).map(names)),
        Source::Silenceable => {
            let mut all = units(context);
            // before root becomes the state's owner
            all.extend(context.settings().map(|settings| settings.named("unit")).unwrap_or_default());
            all.extend(recorded(|store| store.with(store::subjects).map(names)));
            all
        }
        Source::Silenced => recorded(|store| {
            let silences = store.with(|db| store::silences(db, clock::system()))?;
            Ok(silences.into_iter().map(|silence| silence.glob).collect())
        }),
        Source::Waiting => {
            recorded(|store| Ok(store.with(store::waiting)?.iter().map(|waiting| waiting.id.to_string()).collect()))
        }
    };
    // one's own need no name before them
    let own = match &context.site.manager {
        Manager::User(user) => format!("{user}/"),
        Manager::System => String::new(),
    };
    all.into_iter().map(|name| name.strip_prefix(&own).map_or_else(|| name.clone(), str::to_owned)).collect()
}

fn names(subjects: Vec<Subject>) -> Vec<String> {
    subjects.iter().map(|subject| subject.full_name().to_owned()).collect()
}

/// Those that have a file, and, where the service manager answers at once, those that are loaded.
fn units(context: &Context) -> Vec<String> {
    let manager = &context.site.manager;
    let mut units = UnitFiles::find(manager, Environment::Ours).names();
    units.extend(ServiceManager::new(matches!(manager, Manager::User(_)), PATIENCE).loaded().unwrap_or_default());
    units
}

/// Those whose drop-ins `enable` wrote.
fn enabled(context: &Context) -> Vec<String> {
    let scope = if context.site.manager == Manager::System { Scope::System } else { Scope::User };
    let Some(drop_ins) = scope.folder().and_then(DropIns::open).ok() else { return Vec::new() };
    let has_ours = |unit: &String| {
        let is_there = |name| drop_ins.read(unit, name).is_ok_and(|found| found != Found::Nothing);
        !overrides::is_ours(unit) && unit.contains('.') && [HANDLERS, STRICT].into_iter().any(is_there)
    };
    drop_ins.units().unwrap_or_default().into_iter().filter(has_ours).collect()
}

impl Candidate {
    fn new(word: &str, about: Option<String>) -> Candidate {
        Candidate { word: word.to_owned(), about: about.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// Who adds an argument says where its values come from.
    #[test]
    fn every_argument_has_its_source() {
        fn look(verb: &Command, path: &str) {
            let is_open = |arg: &&Arg| arg.get_action().takes_values() && arg.get_possible_values().is_empty();
            for arg in verb.get_arguments().filter(is_open) {
                assert!(source(path, arg.get_id().as_str()).is_some(), "`{path}`: {}", arg.get_id());
            }
            for verb in verb.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
                look(verb, format!("{path} {}", verb.get_name()).trim_start());
            }
        }
        let mut program = Cli::command();
        program.build();
        look(&program, "");
    }
}
