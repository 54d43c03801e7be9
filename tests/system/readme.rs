//! The README's commands and configurations, run word for word by somebody who reads it from the top.

use crate::guest::{Guest, Options};

const README: &str = include_str!("../../README.md");

/// The fenced blocks of this language, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_readme_word_for_word() {
    let guest = Guest::boot("readme", Options::new().mail_server());
    // the reader's own mail server has a name of its own
    let own = |text: &str| text.replace("smtp.example.org", "mail.example.test");

    let configurations = blocks("toml");
    // each of the plugins webhook, telegram and alertmanager has a test of its own that runs them
    assert_eq!(configurations.len(), 7, "mail, policy, a fallback, templates, chats, Telegram, a fleet");
    guest.configure(&own(configurations[0]));
    guest.write_unit("backup.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no space left; exit 3'\n");
    guest.write_unit("other.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    let commands = blocks("sh");
    let (make, rest): (Vec<&str>, Vec<&str>) = commands.iter().partition(|block| block.starts_with("make "));
    // `make check` runs this test, `make install` made the guest, CI runs `make demo`
    assert_eq!(make, ["make demo\n", "make check\n", "make install\n"]);
    assert_eq!(rest.len(), 3, "{rest:?}");
    for block in rest {
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

    guest.configure(&own(&configurations[..2].concat()));
    guest.sysalert(&["config", "check"]).ok();
    // the example of a fallback leaves out what is not about that
    let phone = "to = [\"ops@example.org\"]\n[method.phone]\nplugin = \"file\"\npath = \"/var/log/sysalert/phone\"\n";
    guest.configure(&format!("{}{phone}", configurations[2]));
    guest.sysalert(&["config", "check"]).ok();
    // each of a channel's lines is complete but for the files that it names
    for path in configurations[4..].concat().lines().filter_map(|line| line.split_once(".file = \"")?.1.split_once('"')) {
        guest.sh(&format!("echo https://chat.example.org/ | install -m 0640 -g sysalert /dev/stdin {}", path.0)).ok();
    }
    for channels in &configurations[4..] {
        guest.configure(channels);
        guest.sysalert(&["config", "check"]).ok();
    }
    // every command of the table that only looks
    for command in ["status", "explain backup.service", "db list", "methods", "config check", "config show"] {
        assert!(README.contains(&format!("sysalert {}", command.split(' ').next().unwrap_or(command))), "{command}");
        guest.sysalert(&command.split(' ').collect::<Vec<_>>()).ok();
    }
}
