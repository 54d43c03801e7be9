//! Plugins by others: the examples are built from what is installed, pass the conformance check and deliver; what breaks the
//! interface does not pass it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::alertmanager::cluster;
use crate::guest::{Guest, Options};
use crate::jobs::Job;
use crate::plugins::compiled;
use crate::services;

const LOOKS: [&str; 12] = [
    "file",
    "interface",
    "name",
    "version",
    "settings",
    "a test message",
    "a recovery",
    "a message without anything in it",
    "fields of a later version",
    "a message of 1 MB",
    "all of Unicode",
    "three calls of one process",
];

/// Each installed plugin, with settings by which it sends, and what it says then.
const PLUGINS: [(&str, &[&str], &str); 8] = [
    ("alertmanager", &["url=[\"http://127.0.0.1:9093\", \"http://127.0.0.1:9193\"]"], "sent: "),
    ("command", &["command=[\"/bin/true\"]"], "sent: /bin/true took it"),
    ("email", &["to=[\"ops@example.org\"]"], "sent: localhost:25 took it for ops@example.org (250 "),
    ("file", &["path=/var/log/sysalert/check", "format=\"block\""], "sent: appended to /var/log/sysalert/check"),
    ("journal", &[], "sent: written to the journal: journalctl -t sysalert"),
    ("syslog", &["lines=true"], "sent: given to /dev/log"),
    ("telegram", &["token=1:key-of-telegram", "chat=\"-1001234567890\""], "sent: "),
    ("webhook", &["preset=slack", "url=https://hooks.slack.com/services/T00000000/B00000000/key-of-slack"], "sent: "),
];

/// What `methods check` printed: the words in front ("ok"), what was looked at, and the rest of the line.
#[track_caller]
fn looks(printed: &str) -> Vec<(String, String, String)> {
    let row = |line: &str| {
        let (word, rest) = line.split_once("  ").unwrap();
        let (what, found) = rest.trim_start().split_once("  ").unwrap();
        (word.to_owned(), what.to_owned(), found.trim_start().to_owned())
    };
    printed.lines().skip(1).map(row).collect()
}

#[track_caller]
fn passes(guest: &Guest, arguments: &[&str]) -> Vec<(String, String, String)> {
    let output = guest.sysalert(&[&["methods", "check"], arguments].concat());
    let found = looks(&output.stdout);
    assert!(output.success() && found.iter().all(|(word, _, _)| word == "ok"), "{output}");
    assert_eq!(found.iter().map(|(_, what, _)| what.as_str()).collect::<Vec<_>>(), LOOKS, "{output}");
    found
}

/// The example in Rust, built from this workspace.
fn board() -> PathBuf {
    let build = ["build", "--locked", "--quiet", "-p", "sysalert-abi", "--example", "board"];
    let built = Command::new(env!("CARGO")).args(build).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../debug/examples/libboard.so")
}

#[test]
fn installed_plugins_and_the_examples_pass_and_the_examples_deliver() {
    let guest = Guest::boot("conformance", Options::new().mail_server());
    services::serve(&guest);
    cluster(&guest);
    let installed = guest.sh("cd /usr/lib/sysalert/plugins; ls *.so").ok();
    // the watchdog's library lies there, too, and is no method
    let names = installed.lines().map(|file| file.trim_end_matches(".so")).filter(|name| *name != "processes");
    assert_eq!(names.collect::<Vec<_>>(), PLUGINS.map(|(name, _, _)| name));
    for (name, settings, answer) in PLUGINS {
        let path = format!("/usr/lib/sysalert/plugins/{name}.so");
        passes(&guest, &[&path]);
        // also when the messages go through all of it
        let set: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        for found in &passes(&guest, &[&[path.as_str()], &set[..]].concat())[5..] {
            assert!(found.2.starts_with(answer), "{name}: {found:?}");
        }
    }

    // C: by the installed header alone, as the example itself says
    guest
        .sh("cd /root; cc -shared -fPIC -O2 -Wall -Wextra -Werror -std=c99 -D_POSIX_C_SOURCE=200809L -o bell.so \
                /usr/share/doc/sysalert/examples/bell.c
             install -D -m 0644 -t /usr/local/lib/sysalert/plugins bell.so
             mkfifo /var/log/sysalert/bell; chown sysalert: /var/log/sysalert/bell
             install -d -o sysalert /var/log/sysalert/board")
        .ok();
    guest.copy(&board(), "/usr/local/lib/sysalert/plugins/board.so");
    guest.run(&["chown", "root:", "/usr/local/lib/sysalert/plugins/board.so"]).ok();
    guest.run(&["chmod", "0644", "/usr/local/lib/sysalert/plugins/board.so"]).ok();
    for (name, key) in [("bell", "path"), ("board", "folder")] {
        let path = format!("/usr/local/lib/sysalert/plugins/{name}.so");
        assert_eq!(passes(&guest, &[&path])[4].2, key);
    }
    let bell = "/usr/local/lib/sysalert/plugins/bell.so";
    for found in &passes(&guest, &[bell, "--set", "path=/var/log/sysalert/bell"])[5..] {
        assert_eq!(found.2, "retry: nobody reads the FIFO: start what rings");
    }
    passes(&guest, &["/usr/local/lib/sysalert/plugins/board.so", "--set", "folder=/var/log/sysalert/board"]);

    guest.configure("[method.bell]\npath = \"/var/log/sysalert/bell\"\n[method.board]\nfolder = \"/var/log/sysalert/board\"\n");
    guest.sysalert(&["config", "check"]).ok();
    guest.write_unit("ringer.service", "[Service]\nExecStart=/bin/sh -c 'exec tail -f /var/log/sysalert/bell >/run/rung'\n");
    guest.run(&["systemctl", "start", "ringer.service"]).ok();
    let job = Job::new(&guest, r"back\x2dup.service");
    job.fails(3);
    guest.settle();
    guest.wait_until("it rang", || guest.read_file("/run/rung") == "failure back\\x2dup.service\n");
    assert!(guest.read_file(r"/var/log/sysalert/board/back\x2dup.service").contains(&job.words()));
    job.succeeds();
    guest.settle();
    guest.wait_until("it rang", || guest.read_file("/run/rung") == "failure back\\x2dup.service\nrecovery back\\x2dup.service\n");
    assert!(!guest.exists(r"/var/log/sysalert/board/back\x2dup.service"));
}

#[test]
fn what_breaks_the_interface_is_found_and_named() {
    let names = ["crash", "exit0", "half", "hang", "noise", "old", "torn", "wrong_nonce"];
    let guest =
        Guest::boot("nonconforming", Options::new().tree(&compiled("nonconforming", "/usr/lib/sysalert/plugins", &names)));
    let path = |name: &str| format!("/usr/lib/sysalert/plugins/{name}.so");
    let rows = [
        ("crash", "a test message", "ended without a reply (killed by SIGSEGV): its author must mend that"),
        ("exit0", "a test message", "ended without a reply (exit status 0): its author must mend that"),
        ("half", "a test message", "answered something that is no reply: its author must mend that"),
        ("hang", "a test message", "took longer than 5 s and was killed: its author must mend that"),
        ("old", "interface", "speaks version 2 of the interface"),
        ("torn", "a test message", "ended without a reply"),
        ("wrong_nonce", "a test message", "its author must copy it"),
    ];
    for (name, at, sentence) in rows {
        let output = guest.sysalert(&["methods", "check", &path(name)]);
        assert_eq!(output.status, 1, "{output}");
        let found = looks(&output.stdout);
        let first = found.iter().find(|(word, _, _)| word == "WRONG").unwrap_or_else(|| panic!("{name}\n{output}"));
        assert!(first.1 == at && first.2.contains(sentence), "{name}: {first:?}");
    }
    passes(&guest, &[&path("noise")]);

    // its place and its name count, too
    guest.sh("cd /usr/lib/sysalert/plugins; cp noise.so loose.so; chmod 0666 loose.so; cp noise.so other.so").ok();
    let output = guest.sysalert(&["methods", "check", &path("loose")]);
    assert!(
        output.status == 1 && looks(&output.stdout)[0].2.contains("can be changed by others (mode 0666): chmod go-w"),
        "{output}"
    );
    let output = guest.sysalert(&["methods", "check", &path("other")]);
    assert!(output.status == 1 && looks(&output.stdout)[2].2.ends_with("call it noise.so"), "{output}");
    assert_eq!(guest.sysalert(&["methods", "check", "/nowhere.so"]).status, 1);
    assert_eq!(guest.sysalert(&["methods", "check", &path("noise"), "--set", "path"]).status, 64);
    // and the list of methods is what it was
    assert_eq!(guest.sysalert(&["methods", "-o", "json"]).json()[0]["method"], "journal");
}
