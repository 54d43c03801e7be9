//! The manual's pages and the completions, in the hands of the real programs: man, mandoc, bash, zsh and fish. `make setup`
//! installs them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod documents;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sysalert::message::TEMPLATE_KEYS;
use sysalert::settings::{METHOD_KEYS, Settings};
use tempfile::TempDir;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_sysalert");

const CONFIGURATION: &str = r#"
[method.mail]
plugin = "email"
to = ["ops@example.org"]

[method.log]
plugin = "file"
path = "/var/log/sysalert/alerts.json"

[unit."pattern-*.service"]
ignore = 1
"#;

/// A machine with some things on record.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        fs::write(machine.path("sysalert.toml"), CONFIGURATION).unwrap();
        fs::create_dir(machine.path("plugins")).unwrap();
        machine
    }

    fn with_failures(units: &[&str]) -> Machine {
        let machine = Machine::new();
        units.iter().for_each(|unit| drop(machine.run(&["failure", "--", unit])));
        machine.run(&["silence", "web-*", "--for", "2h"]);
        // nobody delivers the two that this leaves waiting
        done(machine.command(PROGRAM).args(["test", "--timeout", "0s"]));
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a program that finds this machine, and the program under test first.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folders = [Path::new(PROGRAM).parent().unwrap().to_str().unwrap(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"];
        command.env_clear().env("PATH", folders.join(":")).env("HOME", self.folder.path()).env("TERM", "dumb");
        command.env("SYSALERT_STATE_DIR", self.path("state")).env("SYSALERT_CONFIG", self.path("sysalert.toml"));
        command.env("SYSALERT_PLUGIN_DIR", self.path("plugins")).current_dir(self.folder.path());
        command
    }

    fn run(&self, words: &[&str]) -> String {
        let output = done(self.command(PROGRAM).args(words));
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Writes what the program makes for this shell to where the shell looks for it by itself.
    fn completions(&self, shell: &str, place: &str) {
        fs::create_dir_all(self.path(place).parent().unwrap()).unwrap();
        fs::write(self.path(place), self.run(&["generate", "completions", shell])).unwrap();
    }

    /// The command lines that a shell at a terminal makes of what is typed there: each is a tab pressed, and then return.
    fn typed(&self, shell: &[&str], prepare: &str, lines: &[&str]) -> String {
        // what is completed is asked of the program, what is run is only shown
        let show = "sysalert() { if [ \"$1\" = complete ] || [ \"$1\" = generate -a \"$2\" = completions ]; then command sysalert \"$@\"; else printf 'RUN:%s;' \"$@\"; echo; fi; }";
        let mut script = self.command("timeout");
        script.args(["120", "script", "--quiet", "--command", &shell.join(" "), "/dev/null"]);
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let typed: String = lines.iter().map(|line| format!("{line}\t\n")).collect();
        script.stdin.take().unwrap().write_all(format!("{show}\n{prepare}\n{typed}exit\n").as_bytes()).unwrap();
        String::from_utf8_lossy(&script.wait_with_output().unwrap().stdout).into_owned()
    }
}

fn done(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `make setup` installs what is missing"))
}

fn pages() -> (Machine, Vec<String>) {
    let machine = Machine::new();
    machine.run(&["generate", "man", "--out", "man"]);
    let found = done(machine.command("find").args(["man", "-type", "f", "-printf", "%P\n"]));
    let mut pages: Vec<String> = String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect();
    pages.sort();
    (machine, pages)
}

#[test]
fn every_page_renders_without_a_warning() {
    let (machine, pages) = pages();
    assert!(pages.len() >= 13, "{pages:?}");
    for page in &pages {
        // a page of one line names another one, from the folder of all
        let folder = machine.path("man");
        let mut man = machine.command("man");
        let output =
            done(man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", page]).env("MANWIDTH", "80").current_dir(&folder));
        assert!(output.status.success() && output.stderr.is_empty(), "{page}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().count() > 40, "{page}:\n{text}");
        // as systemd's, they have no date; the links are man-db's way
        let lint = done(machine.command("mandoc").args(["-T", "lint", "-W", "warning", page]).current_dir(&folder));
        let complaints = String::from_utf8([lint.stdout, lint.stderr].concat()).unwrap();
        let is_known = |line: &&str| line.contains("missing date") || line.contains(".so is fragile");
        assert_eq!(complaints.lines().find(|line| !is_known(line)), None);
    }
}

/// `make uninstall` removes pages by name.
#[test]
fn the_makefile_knows_every_page() {
    let (machine, pages) = pages();
    let make = done(machine.command("make").args(["-s", "-C", REPOSITORY, "-n", "uninstall", "DESTDIR=/nowhere"]));
    let removed = String::from_utf8(make.stdout).unwrap();
    let mut told: Vec<&str> =
        removed.split_whitespace().filter_map(|word| word.strip_prefix("/nowhere/usr/share/man/")).collect();
    told.sort_unstable();
    assert_eq!(told, pages);
}

#[test]
fn a_plugins_keys_are_in_the_reference_and_in_the_manual() {
    let machine = Machine::new();
    let (header, source) = (format!("{REPOSITORY}/plugins/abi"), format!("{REPOSITORY}/plugins/abi/examples/bell.c"));
    let output = done(machine.command("cc").args(["-shared", "-fPIC", "-I", &header, "-o", "plugins/bell.so", &source]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_str(&machine.run(&["config", "reference", "-o", "json"])).unwrap();
    let path: Vec<&Value> = told.as_array().unwrap().iter().filter(|row| row["plugin"] == "bell").collect();
    assert_eq!(path.len(), 1, "{path:?}");
    assert_eq!(
        (&path[0]["key"], &path[0]["required"], &path[0]["section"]),
        (&"path".into(), &true.into(), &"method.NAME".into())
    );
    let shown = machine.run(&["config", "reference"]);
    assert!(shown.contains("#[method.bell]\n#plugin = \"bell\"\n\n# The FIFO (a text; required)\n#path = \"...\"\n"), "{shown}");
    machine.run(&["generate", "man", "--out", "man"]);
    let page = fs::read_to_string(machine.path("man/man5/sysalert.toml.5")).unwrap();
    assert!(page.contains(".SS [method.NAME] of the plugin bell\n.TP\n\\fBpath\\fR (required)\nThe FIFO.\n"), "{page}");
    // each key of the reference has its place there
    for row in told.as_array().unwrap() {
        assert!(page.contains(&format!(".TP\n\\fB{}\\fR", row["key"].as_str().unwrap())), "{row}");
    }
}

/// One that does not load costs the page nothing but its keys.
#[test]
fn a_plugin_that_cannot_tell_is_named() {
    let machine = Machine::new();
    fs::write(machine.path("plugins/ours.so"), "no library").unwrap();
    let output = done(machine.command(PROGRAM).args(["generate", "man", "--out", "man"]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("the keys of the plugin ours are not known"), "{said}");
    assert!(machine.path("man/man5/sysalert.toml.5").exists());
}

/// What each shell makes of a line when somebody presses tab, and then return.
const LINES: &[(&str, &str)] = &[
    ("sysalert db cl", "RUN:db;RUN:clear;"),
    ("sysalert ack ba", "RUN:ack;RUN:backup.service;"),
    ("sysalert db clear backup.service od", "RUN:db;RUN:clear;RUN:backup.service;RUN:odd:name.service;"),
    ("sysalert explain odd:n", "RUN:explain;RUN:odd:name.service;"),
    ("sysalert history esc", "RUN:history;RUN:escaped\\x2dname.service;"),
    ("sysalert test ma", "RUN:test;RUN:mail;"),
    ("sysalert preview backup --method l", "RUN:preview;RUN:backup;RUN:--method;RUN:log;"),
    ("sysalert silence patt", "RUN:silence;RUN:pattern-*.service;"),
    ("sysalert outbox drop 2", "RUN:outbox;RUN:drop;RUN:2;"),
    ("sysalert unsilence we", "RUN:unsilence;RUN:web-*;"),
    ("sysalert enable systemd-journal-fl", "RUN:enable;RUN:systemd-journal-flush.service;"),
    ("sysalert status --output=js", "RUN:status;RUN:--output=json;"),
    ("sysalert --config sysal", "RUN:--config;RUN:sysalert.toml;"),
    ("sysalert generate man --out plu", "RUN:generate;RUN:man;RUN:--out;RUN:plugins/;"),
];
const UNITS: &[&str] = &["backup.service", "odd:name.service", "escaped\\x2dname.service"];

fn completes(shell: &[&str], prepare: impl Fn(&Machine) -> String, lines: &[(&str, &str)]) {
    let machine = Machine::with_failures(UNITS);
    let typed: Vec<&str> = lines.iter().map(|(line, _)| *line).collect();
    let shown = machine.typed(shell, &prepare(&machine), &typed);
    // zsh takes back the slash behind a folder
    let is = |shown: &str, run: &str| shown.trim_end().replace("/;", ";") == run.replace("/;", ";");
    for (line, run) in lines {
        assert!(shown.lines().any(|shown| is(shown, run)), "{line} is not {run}:\n{shown}");
    }
}

#[test]
fn bash_completes() {
    let with_library = |machine: &Machine| {
        machine.completions("bash", ".local/share/bash-completion/completions/sysalert");
        "source /usr/share/bash-completion/bash_completion".to_owned()
    };
    completes(&["bash", "--norc", "-i"], with_library, LINES);
}

#[test]
fn bash_completes_without_its_library_what_has_no_colon() {
    let lines: Vec<_> = LINES.iter().filter(|(line, _)| !line.contains(['=', ':'])).copied().collect();
    completes(&["bash", "--norc", "-i"], |_| "source <(sysalert generate completions bash)".to_owned(), &lines);
}

#[test]
fn zsh_completes() {
    let prepare = |machine: &Machine| {
        machine.completions("zsh", "functions/_sysalert");
        "fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D".to_owned()
    };
    completes(&["zsh", "-f", "-i"], prepare, LINES);
}

#[test]
fn fish_completes() {
    let machine = Machine::with_failures(UNITS);
    machine.completions("fish", ".config/fish/completions/sysalert.fish");
    let complete = |line: &str| {
        let output = done(machine.command("fish").args(["-c", &format!("complete -C '{line}'")]));
        String::from_utf8(output.stdout).unwrap()
    };
    for (line, run) in LINES {
        let last = run.trim_end_matches(';').rsplit("RUN:").next().unwrap();
        let found = complete(line);
        let words: BTreeSet<&str> = found.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(words, BTreeSet::from([last]), "{line}");
    }
    assert!(complete("sysalert db cl").starts_with("clear\tEnd the incidents"));
}

/// Who may not read the record is offered what everybody may see, and hears no error.
#[test]
fn what_goes_wrong_is_no_candidate() {
    let machine = Machine::new();
    fs::write(machine.path("sysalert.toml"), "[policy\n").unwrap();
    fs::write(machine.path("state"), "no folder").unwrap();
    for words in ["ack ", "test ", "unsilence ", "outbox drop ", "nonsense ", "ack x "] {
        let output = done(machine.command(PROGRAM).args(["complete", "--"]).args(words.split(' ')));
        let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((said.0.lines().filter(|line| !line.starts_with("--")).count(), &*said.1), (0, ""), "{words}");
        assert!(output.status.success(), "{words}");
    }
    assert!(!machine.run(&["complete", "--", "d"]).is_empty());
}

/// The plugins with the keys of their sections.
fn plugin_keys(plugin: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(REPOSITORY).join("plugins").join(plugin).join("settings.json"));
    let keys: Value = serde_json::from_str(&text.unwrap_or_else(|error| panic!("{plugin}: {error}"))).unwrap();
    keys.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
}

/// A configuration that people are shown has no key that does not exist.
#[test]
fn what_people_are_shown_has_no_key_that_does_not_exist() {
    let blocks = documents::ALL.into_iter().flat_map(|text| documents::blocks_of(text, "toml")).map(str::to_owned);
    let folders = fs::read_dir(Path::new(REPOSITORY).join("plugins")).unwrap();
    let examples = folders.filter_map(|folder| fs::read_to_string(folder.unwrap().path().join("example.toml")).ok());
    let mut looked = 0;
    for text in blocks.chain(examples) {
        // a line of a comment that is a setting
        let live = |line: &&str| line.strip_prefix("# ").is_some_and(|line| line.split(" = ").next().is_some_and(is_key));
        let all: String = text
            .lines()
            .map(|line| if live(&line) { &line[2..] } else { line })
            .fold(String::new(), |all, line| all + line + "\n");
        // where two lines say the same key in two ways, what is live is enough
        let text = if toml::from_str::<Value>(&all).is_ok() { all } else { text };
        let read: Value = toml::from_str(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        for (name, section) in read["method"].as_object().into_iter().flatten() {
            let known = plugin_keys(section["plugin"].as_str().unwrap_or(name));
            for key in section.as_object().unwrap().keys() {
                let ours = METHOD_KEYS.iter().chain(TEMPLATE_KEYS).any(|ours| ours.name == *key);
                assert!(ours || known.contains(key), "[method.{name}]: {key}\n{text}");
                looked += 1;
            }
        }
        // names of methods may be of another block
        if let Err(error) = Settings::read(&[("shown".into(), text.clone())]) {
            let unknown = error.to_string();
            assert!(!unknown.contains("unknown key") && !unknown.contains("unknown section"), "{unknown}\n{text}");
        }
    }
    assert!(looked > 100, "{looked}");
}

fn is_key(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.')
}
