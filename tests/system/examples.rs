//! Every command line that help, the manual, README.md and docs/ show, run as it stands there; every configuration, checked by the
//! program. What needs more than the words has its row here: a line without one must succeed as it stands, and a row must have its line.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::documents::{ALL, blocks_of};
use crate::guest::{Guest, Options, stage};
use crate::jobs::MAIL;
use crate::{processes, services, user_manager};

/// What a reader has at hand who types one of these.
struct Row {
    line: &'static str,
    /// What they did before, or what happened.
    before: &'static str,
    answers: &'static [(&'static str, &'static str)],
}

const fn after(line: &'static str, before: &'static str) -> Row {
    Row { line, before, answers: &[] }
}

const fn asked(line: &'static str, answers: &'static [(&'static str, &'static str)]) -> Row {
    Row { line, before: "", answers }
}

const PLUGIN: &str = "cc -shared -fPIC -o bell.so /usr/share/doc/sysalert/examples/bell.c";
const INSTALLED: &str = "cc -shared -fPIC -o bell.so /usr/share/doc/sysalert/examples/bell.c
    install -D -m 0644 -t /usr/local/lib/sysalert/plugins bell.so";
/// One alert waits, with the ID of the examples, and nobody delivers it.
const WAITS: &str = "systemctl stop sysalert-dispatch.path sysalert-dispatch.timer sysalert-dispatch.service; systemctl start backup-home.service || true
    sysalert failure -- backup-home.service
    runuser -u sysalert -- python3 -c \"import sqlite3; db = sqlite3.connect('/var/lib/sysalert/sysalert.db', timeout=10)
db.execute('UPDATE outbox SET id = 17'); db.commit()\"";
const YES: &[(&str, &str)] = &[("without a recovery alert? [y/N] ", "y")];
/// Nothing needs a timer that is not turned on.
const HEALTHY: &str =
    "install -m 0640 -g sysalert /srv/mail.toml /etc/sysalert/sysalert.toml; systemctl start sysalert-check@services.timer";

const ROWS: &[Row] = &[
    after("install -D -m 0644 -t /usr/local/lib/sysalert/plugins bell.so", PLUGIN),
    after("sysalert methods check /usr/local/lib/sysalert/plugins/bell.so", INSTALLED),
    after("sysalert methods check /usr/local/lib/sysalert/plugins/bell.so --set path=/var/log/sysalert/bell", INSTALLED),
    after("sysalert --config new.toml config check", "printf '[policy]\\nignore = 1\\n' >new.toml"),
    after("sysalert --user doctor", "sysalert --user enable bot"),
    after(
        "sysalert ack db --reason \"the disk is on its way\"",
        "systemctl kill -s KILL db; until systemctl -q is-failed db; do sleep 0.1; done; sysalert failure -- db.service",
    ),
    asked("sysalert db clear --all", YES),
    asked("sysalert db clear backup", YES),
    asked("sysalert db clear process:billing", YES),
    asked("sysalert db clear schedule:backup.timer", YES),
    after("sysalert doctor", HEALTHY),
    after("sysalert doctor --end-to-end", HEALTHY),
    after("sysalert doctor -o json", HEALTHY),
    after("sysalert generate completions fish >~/.config/fish/completions/sysalert.fish", "mkdir -p ~/.config/fish/completions"),
    Row { line: "sysalert outbox drop 17", before: WAITS, answers: &[("? [y/N] ", "y")] },
    after("sysalert outbox list", WAITS),
    after("sysalert outbox retry", WAITS),
    after("sysalert outbox retry 17", WAITS),
    asked(
        "sysalert setup",
        &[
            ("plugin [email]: ", ""),
            ("name [email]: ", ""),
            ("host [localhost]: ", ""),
            ("port [none]: ", ""),
            ("tls (none, starttls, implicit) [none]: ", ""),
            ("username [none]: ", ""),
            ("password (it is not shown) [none]: ", ""),
            ("from [none]: ", ""),
            ("to (separated by commas): ", "ops@example.org"),
            ("Send a test alert? [Y/n] ", ""),
            ("tell its failures? [Y/n] ", ""),
        ],
    ),
    after("sysalert setup --plugin ntfy --secret url=/root/topic", "echo https://ntfy.example.org/topic >topic"),
    after(
        "sysalert setup --plugin telegram --set chat=-1001234567890 --secret token=/root/token",
        "echo 110201543:key-of-telegram >token",
    ),
    after(
        "sysalert setup --remove ntfy",
        "echo https://ntfy.example.org/topic >topic; sysalert setup --plugin ntfy --secret url=topic",
    ),
    after("sysalert unsilence 'web-*'", "sysalert silence 'web-*' --for 2h"),
];

/// Words that name a verb, and leave out what it is to be done to.
const NAMES: &[&str] = &[
    "sysalert --user",
    "sysalert --user enable",
    "sysalert ack",
    "sysalert disable",
    "sysalert enable",
    "sysalert explain",
    "sysalert failure",
    "sysalert history",
    "sysalert preview",
    "sysalert silence",
    "sysalert success",
];

/// Shown here, and run by others.
const ELSEWHERE: &[(&str, &str)] = &[
    ("ExecStopPost=+-/usr/bin/sysalert ended -- %n", "a line of a unit: strict.rs, from overrides/"),
    ("apt purge", "packages.rs"),
    ("rpm -U target/package/*.rpm", "packages.rs"),
    ("rpm -e", "packages.rs"),
    ("loginctl enable-linger", "setup.rs"),
    ("cargo test --test NAME", "check"),
];

/// With what a command begins where it stands within a sentence.
const PROGRAMS: [&str; 10] = ["sysalert", "systemctl", "journalctl", "loginctl", "setfacl", "man", "make", "cargo", "apt", "rpm"];

/// What a reader puts in its place. First what is a name in one place alone.
const PLACES: [(&str, &str); 13] = [
    ("process:NAME", "process:billing"),
    ("--method NAME", "--method mail"),
    ("--remove NAME", "--remove ntfy"),
    ("restart NAME", "restart billing"),
    ("UNIT...", "backup"),
    ("UNIT", "backup"),
    ("GLOB", "'web-*'"),
    ("FOLDER", "/srv"),
    ("FILE.so", "/usr/local/lib/sysalert/plugins/bell.so"),
    ("METHOD", "mail"),
    ("TEXT", "'new switch'"),
    ("SHELL", "zsh"),
    ("ID", "17"),
];

/// Every page of the manual, as it is installed.
fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    let mut folders: Vec<PathBuf> = vec![stage().join("usr/share/man")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { pages.push(std::fs::read_to_string(path).unwrap()) }
        }
    }
    pages
}

/// The text of roff, its fonts taken out.
fn plain(text: &str) -> String {
    ["\\fB", "\\fI", "\\fR", "\\&"]
        .iter()
        .fold(text.to_owned(), |text, font| text.replace(font, ""))
        .replace("\\-", "-")
        .replace("\\e", "\\")
}

/// The blocks of a page.
fn shown(page: &str) -> Vec<String> {
    page.split("\n.EX\n").skip(1).map(|rest| plain(rest.split(".EE").next().unwrap())).collect()
}

/// The lines of `--help`'s examples: those behind `Examples:` with two blanks before them.
fn examples(help: &str) -> impl Iterator<Item = &str> {
    let (_, examples) = help.split_once("Examples:\n").unwrap_or_default();
    examples.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
}

/// What stands in a sentence of a page in bold, with what is italic within it.
fn within(line: &str) -> impl Iterator<Item = String> {
    let starts = line.match_indices("\\fBsysalert ").map(|(start, _)| &line[start..]);
    starts.map(|rest| {
        let mut end = 0;
        while let Some(length) = ["\\fB", "\\fI"].iter().find_map(|font| rest[end..].strip_prefix(font)?.find("\\fR")) {
            end += 3 + length + 3;
            end += usize::from(rest[end..].starts_with(" \\f"));
        }
        plain(rest[..end].trim())
    })
}

/// A synopsis as the commands that it stands for: an option in brackets is given, and of words with bars between each is given once.
fn spelt_out(synopsis: &str) -> Vec<String> {
    let text = synopsis.replace(['[', ']'], "").replace(" \\| ", "|").replace("\\|", "|");
    let text = PLACES.iter().fold(text, |text, (place, put)| text.replace(place, put));
    let mut lines = vec![String::new()];
    // a bar of the shell has blanks around it
    for word in text.split(' ') {
        let choices: Vec<&str> = if word == "|" { vec![word] } else { word.split('|').collect() };
        lines = lines.iter().flat_map(|line| choices.iter().map(move |choice| format!("{line} {choice}"))).collect();
    }
    lines.iter().map(|line| line.trim().to_owned()).collect()
}

/// Every line, without what it is for.
fn lines(help: &str) -> BTreeSet<String> {
    let of = |line: &str| line.split("  ").next().unwrap().trim().to_owned();
    let mut lines: BTreeSet<String> = examples(help).map(of).collect();
    for page in pages() {
        for block in shown(&page) {
            if block.contains("Examples:\n") {
                lines.extend(examples(&block).map(of));
            } else if !block.starts_with(['[', '#']) && !block.starts_with("int32_t ") {
                lines.extend(block.lines().flat_map(spelt_out));
            }
        }
        lines.extend(page.lines().flat_map(within).flat_map(|line| spelt_out(&line)));
    }
    for text in ALL {
        // `readme.rs` runs what is fenced
        let prose: String = text.split("```").step_by(2).collect();
        let spans = prose.split('`').skip(1).step_by(2).map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
        let commands = spans.filter(|span| span.split_once(' ').is_some_and(|(program, _)| PROGRAMS.contains(&program)));
        for command in commands {
            // what is done in a clone, CI does; that there is such a thing is enough here
            if let Some(target) = command.strip_prefix("make ").and_then(|rest| rest.split(' ').next()) {
                assert!(include_str!("../../Makefile").contains(&format!("\n{target}:")), "`{command}`");
            } else {
                lines.extend(spelt_out(&command));
            }
        }
    }
    lines
}

/// What nothing on this machine can change from outside.
const CONFIG: &str = r#"
[processes]
socket = "/run/db/sock"
password.file = "/etc/sysalert/db-password"
[process.billing]
[services]
units = ["nginx.service"]
grace_after_boot = "0s"
"#;

/// All of the folders that a command may change.
const KEPT: &str = "/etc/sysalert /etc/systemd/system /etc/credstore /var/lib/sysalert /home/alice/.config";

/// A guest in which all that is named has happened: everything was wrong once.
fn guest() -> Guest {
    let guest = user_manager::guest_with(252, "examples", Options::new().mail_server());
    services::serve(&guest);
    // the one of the examples wants no login
    guest
        .sh("sed -i 's/\"Bearer key-of-ntfy\"//' /etc/services.json; systemctl restart services.service; mkdir -p /etc/credstore")
        .ok();
    processes::serve(&guest);
    services::secret(&guest, "db-password", "s3cret");
    for name in ["nginx", "postgresql", "billing"] {
        guest.write_file(&format!("/etc/systemd/system/{name}.service"), "[Service]\nExecStart=/bin/sleep infinity\n");
    }
    for name in ["backup", "backup-home"] {
        guest.write_file(&format!("/etc/systemd/system/{name}.service"), "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    }
    guest.write_unit("backup.timer", "[Timer]\nOnCalendar=2020-01-01\n[Install]\nWantedBy=timers.target\n");
    guest.sh("systemctl start nginx postgresql billing; systemctl --quiet enable backup.timer; systemctl start backup.timer; sysalert enable backup").ok();

    // the record begins, and then all of it goes wrong
    let off =
        ["cpu", "memory", "storage", "pressure", "iostuck", "ssh"].map(|name| format!("[sensor.{name}]\nenabled = false\n"));
    let wrong = "[unit.\"backup.service\"]\nexpect_success = \"1s\"
        [[sensor.storage.rule]]\nname = \"low_disk\"\nvalue = 0\n";
    let listed = CONFIG.replace("\"nginx.service\"", "\"alice/bot.service\"");
    guest.configure(&format!("{MAIL}{listed}{wrong}"));
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    guest.sh("systemctl start backup.service || true").ok();
    user_manager::run(&guest, "alice", "systemctl --user start bot.service || true").ok();
    let alarm = "USE v_process_monitor; INSERT INTO STATUS_PROCESS (process_id, alarma) VALUES (1, 1); INSERT INTO PROCESE VALUES (1, 'billing');";
    guest.run_input(&["mariadb", "--no-defaults", "--socket=/run/db/sock"], alarm).ok();
    for check in ["services", "sensors", "processes"] {
        guest.run(&["systemctl", "start", &format!("sysalert-check@{check}.service")]).ok();
    }
    guest.wait_at_most(Duration::from_secs(90), "all that the examples name is on record", || {
        guest.run(&["systemctl", "start", "sysalert-check@services.service"]).ok();
        let known = [
            "backup.service",
            "schedule:backup.timer",
            "schedule:backup.service",
            "alice/bot.service",
            "check:storage:/:low_disk",
            "process:billing",
        ];
        known.iter().all(|name| guest.sysalert(&["explain", name]).success())
    });
    // what is looked at from here on is well
    guest.configure(&format!("{MAIL}{CONFIG}{}", off.concat()));
    guest.sysalert(&["config", "check"]).ok();
    guest.write_file("/srv/mail.toml", MAIL);
    guest.write_unit("backup.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n");
    guest.run(&["systemctl", "restart", "backup.timer"]).ok();
    guest.settle();
    guest.sh(&format!("systemctl stop 'sysalert-*'; mkdir /srv/kept; cp -a --parents {KEPT} /srv/kept")).ok();
    guest
}

/// Everything is again as it was.
#[track_caller]
fn as_before(guest: &Guest) {
    let back = format!(
        "systemctl stop 'sysalert-*'; systemctl reset-failed; rm -rf {KEPT}; cp -a /srv/kept/. /; systemctl daemon-reload
         systemctl start db.service sysalert-dispatch.path sysalert-dispatch.timer
         cd; rm -rf bell.so example.toml new.toml /usr/local/lib/sysalert"
    );
    guest.sh(&back).ok();
}

#[test]
fn every_command_line_that_is_shown_does_what_it_says() {
    let guest = guest();
    let lines = lines(&guest.sysalert(&["--help"]).stdout);
    assert!(lines.len() > 100, "{lines:#?}");
    let rows = ROWS.iter().map(|row| row.line).chain(NAMES.iter().copied()).chain(ELSEWHERE.iter().map(|(line, _)| *line));
    let gone: Vec<&str> = rows.filter(|line| !lines.contains(*line)).collect();
    assert!(gone.is_empty(), "nobody shows {gone:#?}");

    let mut wrong = Vec::new();
    for line in lines.iter().filter(|line| !ELSEWHERE.iter().any(|(shown, _)| shown == line)) {
        as_before(&guest);
        let plain = Row { line: "", before: "", answers: &[] };
        let row = ROWS.iter().find(|row| row.line == line).unwrap_or(&plain);
        let typed = if NAMES.contains(&line.as_str()) { format!("{line} --help") } else { line.clone() };
        let run = |script: &str| match line.contains("--user") {
            true => user_manager::run(&guest, "alice", script),
            false => guest.sh(&format!("export HOME=/root; cd; {script}")),
        };
        run(row.before).ok();
        let said = match row.answers {
            [] => run(&typed),
            answers => guest.dialogue(&["bash", "-c", &typed], answers),
        };
        if !said.success() {
            wrong.push(said.to_string());
        }
    }
    assert!(wrong.is_empty(), "{} of {} lines:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}

/// What a block leaves out: a part of it, and what makes it whole.
const MORE: &[(&str, &str)] = &[
    ("escalate_to = ", "[method.phone]\nplugin = \"journal\"\n"),
    ("fallback = ", "to = [\"ops@example.org\"]\n[method.phone]\nplugin = \"journal\"\n"),
    ("subject_template = ", "to = [\"ops@example.org\"]\n"),
];

#[test]
fn every_configuration_that_is_shown_is_valid() {
    let guest = Guest::boot("configurations", Options::new().mail_server());
    let pages = pages();
    // default rules, with what the sensor puts in, are run by the tests of sensors, unit files by `unit_blocks.rs`
    let is_ours = |block: &String| {
        block.starts_with('[') && !["[[", "[Service]", "[Timer]", "[X-"].iter().any(|begin| block.starts_with(begin))
    };
    let of_manual = pages.iter().flat_map(|page| shown(page)).filter(is_ours);
    let blocks: Vec<String> =
        ALL.into_iter().flat_map(|text| blocks_of(text, "toml")).map(str::to_owned).chain(of_manual).collect();
    assert!(blocks.len() > 20, "{}", blocks.len());
    let gone: Vec<&str> =
        MORE.iter().map(|(words, _)| *words).filter(|words| !blocks.iter().any(|block| block.contains(words))).collect();
    assert!(gone.is_empty(), "nobody shows {gone:#?}");

    let mut wrong = Vec::new();
    for block in &blocks {
        for path in block.split(&[' ', '\n']).filter_map(|word| word.strip_prefix("\"/etc/sysalert/")?.strip_suffix('"')) {
            // each as what reads it wants it
            let content = match path {
                "telegram" => "110201543:key-of-telegram",
                _ if path.ends_with(".pem") => "$(cat /etc/mail-server/ca.crt)",
                _ => "https://chat.example.org/",
            };
            guest.sh(&format!("echo \"{content}\" | install -m 0640 -g sysalert /dev/stdin /etc/sysalert/{path}")).ok();
        }
        let more: String = MORE.iter().filter(|(words, _)| block.contains(words)).map(|(_, more)| *more).collect();
        guest.configure(&format!("{block}{more}"));
        let said = guest.sysalert(&["config", "check"]);
        if !said.success() {
            wrong.push(format!("{block}{more}{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
