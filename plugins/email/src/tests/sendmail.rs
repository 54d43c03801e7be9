//! Where nothing listens and no server is set: the machine's sendmail, which is a script here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::json;
use sysalert_abi::Answer;

use super::request;
use super::server::{Server, polite};
use crate::deliver_as;
use crate::settings::Settings;

/// Sends with this script as sendmail, to a port where nothing listens. P stands for the script, S for the server.
fn send(script: &str) -> (Answer, Option<String>) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    send_to(port, Some(script))
}

fn send_to(port: u16, script: Option<&str>) -> (Answer, Option<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("sendmail");
    if let Some(script) = script {
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let request = request(json!({"to": ["ops@example.org", "Jo <-oQ/evil@example.org>"]}));
    let mut settings = Settings::read(&request).expect("valid");
    assert_eq!(settings.sendmail, Some(PathBuf::from("/usr/sbin/sendmail")));
    settings.sendmail = Some(program.clone());
    settings.port = port;
    let answer = deliver_as(&request, settings).unwrap_or_else(|answer| answer);
    let short = |text: String| text.replace(&program.display().to_string(), "P").replace(&format!("localhost:{port}"), "S");
    let answer = match answer {
        Answer::Sent(text) => Answer::Sent(short(text)),
        Answer::Retry(text, after) => Answer::Retry(short(text), after),
        Answer::Refused(text) => Answer::Refused(short(text)),
    };
    (answer, fs::read_to_string(folder.path().join("got")).ok())
}

#[test]
fn the_program_gets_the_mail_and_no_address_is_an_option() {
    let (answer, got) = send("{ for word; do echo \"<$word>\"; done; cat; } >\"${0%/*}/got\"; echo; echo queued as 7");
    assert_eq!(answer, Answer::Sent("P took it for ops@example.org, -oQ/evil@example.org (queued as 7)".into()));
    let got = got.expect("the mail");
    let words = "<-i>\n<-f>\n<sysalert@web1.example.org>\n<-->\n<ops@example.org>\n<-oQ/evil@example.org>\n";
    assert!(got.starts_with(words), "{got}");
    assert!(got.contains("\nSubject: backup.service failed on web1\n") && !got.contains('\r'), "{got}");
    assert!(got.contains("\n.hidden\n..\n.\nend\n"), "{got}");
}

#[test]
fn its_exit_status_decides() {
    let end = "; a mail server whose sendmail needs setuid or setgid must listen at S, or set host";
    let failed = |words: &str| format!("S cannot be reached: Connection refused (os error 111), and P failed ({words}{end}");
    assert_eq!(send("exit 0").0, Answer::Sent("P took it for ops@example.org, -oQ/evil@example.org (exit status 0)".into()));
    assert_eq!(send("echo a >&2; echo b >&2; exit 75").0, Answer::Retry(failed("exit status: 75): a b"), None));
    assert_eq!(send("exit 68").0, Answer::Retry(failed("exit status: 68)"), None));
    assert_eq!(send("kill -SEGV $$").0, Answer::Retry(failed("signal: 11 (SIGSEGV))"), None));
    assert_eq!(send("echo no such user; exit 67").0, Answer::Refused(failed("exit status: 67): no such user")));
}

#[test]
fn one_that_leaves_something_behind_is_not_waited_for() {
    let deadline = sysalert_abi::Deadline::after(8_000);
    assert!(matches!(send("sleep 10 & exit 0").0, Answer::Sent(_)));
    assert!(deadline.left().is_some(), "it was waited for");
}

#[test]
fn where_something_listens_it_is_not_asked() {
    let server = Server::start(polite);
    let (answer, got) = send_to(server.port, Some("touch \"${0%/*}/got\""));
    let expected = "S took it for ops@example.org, -oQ/evil@example.org (250 2.0.0 queued as 4XyZ)";
    assert_eq!((answer, got), (Answer::Sent(expected.into()), None));
}

#[test]
fn without_either_somebody_must_set_a_server() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let expected =
        "S cannot be reached: Connection refused (os error 111), and there is no P: set host, or install a mail server";
    assert_eq!(send_to(port, None).0, Answer::Retry(expected.into(), None));
}
