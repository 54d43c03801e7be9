//! `make guest`, a shell on a throw-away systemd, here with commands on its standard input; and `make demo`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::guest::stage;

fn script(name: &str) -> Command {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system").join(name));
    script.env("SYSALERT_STAGE", stage()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    script
}

/// That no guest of this name is left.
#[track_caller]
fn is_gone(name: &str) {
    let up = script("systemd-host").arg("list").output().unwrap();
    assert!(!String::from_utf8_lossy(&up.stdout).lines().any(|guest| guest == name), "{name} is up");
}

#[test]
fn commands_on_standard_input_are_run_and_everything_is_gone() {
    let mut shell = script("guest").spawn().unwrap();
    // `test` waits until the mail is taken, and the server has then put it into the inbox or is about to
    let commands = "systemctl is-active sysalert-dispatch.timer\nsysalert test\nuntil mails | grep Subject; do :; done\nexit 3\n";
    shell.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let name = format!("guest-0-{}", shell.id());
    let output = shell.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("active\n") && said.contains(&format!("Subject: sysalert test from {name}")), "{said}");
    is_gone(&name);
}

#[test]
fn the_demo_ends_with_its_two_mails_and_everything_is_gone() {
    let demo = script("demo").spawn().unwrap();
    let name = format!("demo-0-{}", demo.id());
    let output = demo.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for subject in ["backup.service failed on", "backup.service recovered on"] {
        assert_eq!(said.matches(&format!("    Subject: {subject} {name}")).count(), 1, "{subject}: {said}");
    }
    is_gone(&name);
}
