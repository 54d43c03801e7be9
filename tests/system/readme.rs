//! The commands and configurations of README.md and docs/, run word for word by somebody who reads them from the top.

use crate::documents::{ALL, FLEET, README, blocks_of};
use crate::guest::{Guest, Options};

/// Those of all that people read, but for the page that has tests of its own: see `metrics.rs`.
fn blocks(language: &str) -> Vec<&'static str> {
    ALL.into_iter().filter(|text| *text != FLEET).flat_map(|text| blocks_of(text, language)).collect()
}

/// The configuration with these words in it.
#[track_caller]
pub fn configuration(words: &str) -> &'static str {
    blocks("toml").into_iter().find(|block| block.contains(words)).unwrap_or_else(|| panic!("no configuration has {words}"))
}

#[test]
fn the_readme_word_for_word() {
    let guest = Guest::boot("readme", Options::new().mail_server());
    // the reader's own mail server has a name of its own
    let own = |text: &str| text.replace("smtp.example.org", "mail.example.test");

    // those of other methods are run by the tests of these
    let [mail, policy, fallback, words, chats] =
        ["[method.email]", "[policy]\nignore", "fallback =", "subject_template", "[method.slack]"].map(configuration);
    guest.configure(&own(mail));
    guest.write_unit("backup.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no space left; exit 3'\n");
    guest.write_unit("other.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    let commands = blocks("sh");
    let (others, rest): (Vec<&str>, Vec<&str>) =
        commands.iter().partition(|block| block.starts_with("make ") || block.starts_with("sysalert setup"));
    // `make check` runs this test, `make install` made the guest, `guest_shell.rs` runs the demo, `packages.rs` installs what
    // `make package` made, `examples.rs` answers the questions
    let package = "make package\napt install ./target/package/*.deb\n";
    assert_eq!(others, ["make demo\n", "make check\n", package, "make install\n", "sysalert setup\n"]);
    assert_eq!(rest.len(), 3, "{rest:?}");
    // how this machine is, `sensors.rs` asks
    for block in rest.into_iter().filter(|block| !block.contains("check sensors")) {
        guest.sh(block).ok();
    }

    // `sysalert test` sent one, each of the two services sends one
    guest.wait_for_mails(1);
    guest.run(&["systemctl", "start", "backup.service"]);
    guest.wait_for_mails(2);
    guest.run(&["systemctl", "start", "other.service"]);
    let mails = guest.wait_for_mails(3);
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    let host = guest.name();
    assert_eq!(
        subjects,
        [
            format!("sysalert test from {host}"),
            format!("backup.service failed on {host}: exited with status 3"),
            format!("other.service failed on {host}: exited with status 1"),
        ]
    );
    // the run's lines as the README's own example shows them
    assert!(
        mails[1].text.contains("The run's last lines:\n") && mails[1].text.contains(": no space left\n"),
        "{}",
        mails[1].text
    );

    guest.configure(&own(&format!("{mail}{policy}")));
    guest.sysalert(&["config", "check"]).ok();
    let [time, routes] = ["remind =", "[method.office]"].map(configuration);
    guest.configure(&format!("{routes}{time}"));
    guest.sysalert(&["config", "check"]).ok();
    // the example of a fallback leaves out what is not about that
    let phone = "to = [\"ops@example.org\"]\n[method.phone]\nplugin = \"file\"\npath = \"/var/log/sysalert/phone\"\n";
    guest.configure(&format!("{fallback}{phone}"));
    guest.sysalert(&["config", "check"]).ok();
    guest.configure(&format!("{words}to = [\"ops@example.org\"]\n"));
    guest.sysalert(&["config", "check"]).ok();
    // each of a channel's lines is complete but for the files that it names
    for path in chats.lines().filter_map(|line| line.split_once(".file = \"")?.1.split_once('"')) {
        guest.sh(&format!("echo https://chat.example.org/ | install -m 0640 -g sysalert /dev/stdin {}", path.0)).ok();
    }
    guest.configure(chats);
    guest.sysalert(&["config", "check"]).ok();
    // every command of the table that only looks
    for command in ["status", "explain backup.service", "db list", "methods", "config check", "config show"] {
        assert!(README.contains(&format!("sysalert {}", command.split(' ').next().unwrap_or(command))), "{command}");
        guest.sysalert(&command.split(' ').collect::<Vec<_>>()).ok();
    }
}
