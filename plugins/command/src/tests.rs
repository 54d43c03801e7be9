//! The whole method with real programs: shell scripts in a folder of the test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sysalert_abi::one_line;
use sysalert_abi::testing::{NASTY, nasty_requests, request};

use super::*;

/// A folder with one program in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(script: &str) -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        fs::write(place.program(), script).expect("a script");
        fs::set_permissions(place.program(), fs::Permissions::from_mode(0o755)).expect("a mode");
        place
    }

    fn program(&self) -> PathBuf {
        self.0.path().join("program")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("the program wrote it")
    }

    /// The answer with the program's own path as P.
    fn send(&self, change: impl FnOnce(&mut Request)) -> Answer {
        let mut request = request(json!({"command": [self.program()]}));
        change(&mut request);
        let short = |text: String| text.replace(&self.program().display().to_string(), "P");
        match Command::failure(&request) {
            Answer::Sent(text) => Answer::Sent(short(text)),
            Answer::Retry(text, after) => Answer::Retry(short(text), after),
            Answer::Refused(text) => Answer::Refused(short(text)),
        }
    }
}

fn set(request: &mut Request, key: &str, value: Value) {
    request.config.insert(key.to_owned(), value);
}

/// Whether this variable is one of the test's own.
#[allow(clippy::disallowed_methods, reason = "a test, which has an environment of its own")]
fn is_tests(entry: &str) -> bool {
    std::env::vars().any(|(name, value)| entry == format!("{name}={value}"))
}

#[test]
fn the_program_gets_the_request_and_the_facts() {
    let place = Place::new("#!/bin/sh\ncat >\"${0%/*}/input\"; env | sort >\"${0%/*}/environment\"; pwd >\"${0%/*}/where\"\n");
    let sent = place.send(|request| {
        set(request, "to", json!(["+49 170 1", "+49 170 2"]));
        set(request, "environment", json!(["REGION=eu=1", "EMPTY="]));
        set(request, "secret", json!("hunter2"));
    });
    assert_eq!(sent, Answer::Sent("P took it".into()));
    let input: Value = serde_json::from_str(&place.read("input")).expect("JSON");
    assert_eq!(
        (&input["nonce"], &input["message"]["subject"]),
        (&json!("n"), &json!("backup.service failed on web1: exited with status 11"))
    );
    assert_eq!(input["config"]["secret"], "hunter2");
    let environment = place.read("environment");
    let expected = [
        "EMPTY=",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "REGION=eu=1",
        "SYSALERT_DEADLINE_MS=20000",
        "SYSALERT_EXIT_CODE=exited",
        "SYSALERT_EXIT_STATUS=11",
        "SYSALERT_FAILURES=1",
        "SYSALERT_HOST=web1",
        "SYSALERT_IDEMPOTENCY_KEY=27958a5008624b39838d249d6fa93b04.chat",
        "SYSALERT_INCIDENT=7",
        "SYSALERT_INVOCATION_ID=27958a5008624b39838d249d6fa93b04",
        "SYSALERT_KIND=failure",
        "SYSALERT_MESSAGE=backup.service failed on web1: exited with status 11",
        "SYSALERT_SECRET=hunter2",
        "SYSALERT_SERVICE_RESULT=exit-code",
        "SYSALERT_SEVERITY=critical",
        "SYSALERT_SUBJECT=unit:backup.service",
        "SYSALERT_TO=+49 170 1,+49 170 2",
        "SYSALERT_UNIT=backup.service",
    ];
    // the test's own environment is beside it; in sysalert's child process there is almost none
    let found: Vec<&str> = environment
        .lines()
        .filter(|line| expected.contains(line) || (line.starts_with("SYSALERT_") && !is_tests(line)))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(place.read("where"), "/\n");
}

#[test]
fn arguments_are_those_of_the_configuration_and_no_shell_reads_them() {
    let place = Place::new("#!/bin/sh\nfor word; do echo \"<$word>\"; done >\"${0%/*}/words\"\n");
    let words = ["$HOME; `reboot` \"*\"", "", "--x=%n"];
    let sent = place.send(|request| {
        request.message.subject = "--delete-everything".into();
        set(request, "command", json!([place.program(), words[0], words[1], words[2]]));
    });
    assert_eq!(sent, Answer::Sent("P took it".into()));
    assert_eq!(place.read("words"), "<$HOME; `reboot` \"*\">\n<>\n<--x=%n>\n");
}

#[test]
fn the_text_alone_can_be_the_input() {
    let place = Place::new("#!/bin/sh\ncat >\"${0%/*}/input\"\n");
    let text = "one\n\"boom\" $(reboot)\n";
    let sent = place.send(|request| {
        request.message.text = text.into();
        set(request, "input", json!("text"));
    });
    assert_eq!(sent, Answer::Sent("P took it".into()));
    assert_eq!(place.read("input"), text);
}

#[test]
fn a_hostile_message_stays_in_one_value() {
    let place = Place::new("#!/bin/sh\nprintf '%s' \"$SYSALERT_MESSAGE\" >\"${0%/*}/message\"; env -0 >\"${0%/*}/all\"\n");
    let sent = place.send(|request| {
        request.message.subject = format!("a\nPATH=/evil\0\u{1b}[2J\u{202e}{}", "x".repeat(1_000_000));
        request.service_name = "b\nLD_PRELOAD=/evil.so".into();
        request.failures[0].exit_status = Some("3\0X=1".into());
    });
    assert_eq!(sent, Answer::Sent("P took it".into()));
    let message = place.read("message");
    assert!(message.starts_with("a PATH=/evil [2Jx") && message.chars().count() == 4001, "{}", &message[..60]);
    let all = place.read("all");
    for line in ["SYSALERT_UNIT=b LD_PRELOAD=/evil.so", "SYSALERT_EXIT_STATUS=3 X=1"] {
        assert!(all.split('\0').any(|variable| variable == line), "{line}");
    }
    assert!(!all.split('\0').any(|variable| variable.starts_with("LD_PRELOAD") || variable.starts_with("X=")), "{all}");
}

#[test]
fn the_exit_status_decides() {
    let retry = |text: &str| Answer::Retry(text.into(), None);
    let rows = [
        ("exit 0", Answer::Sent("P took it".into())),
        ("echo hello; exit 0", Answer::Sent("P took it".into())),
        ("echo queued as 7 >&2; exit 0", Answer::Sent("P took it: queued as 7".into())),
        ("echo first >&2; echo 'no network' >&2; echo >&2; exit 1", retry("P failed (exit status 1): no network")),
        ("exit 75", retry("P failed (exit status 75, try again later)")),
        ("exit 69", retry("P failed (exit status 69, service unavailable)")),
        ("exit 127", retry("P failed (exit status 127)")),
        ("kill -SEGV $$", retry("P was killed by SIGSEGV")),
        ("exit 64", Answer::Refused("P refused it (exit status 64, wrong call)".into())),
        ("exit 65", Answer::Refused("P refused it (exit status 65, wrong data)".into())),
        ("exit 67", Answer::Refused("P refused it (exit status 67, unknown addressee)".into())),
        ("exit 68", Answer::Refused("P refused it (exit status 68, unknown host)".into())),
        ("exit 77", Answer::Refused("P refused it (exit status 77, no permission)".into())),
        ("echo 'no token' >&2; exit 78", Answer::Refused("P refused it (exit status 78, wrong configuration): no token".into())),
    ];
    for (script, expected) in rows {
        assert_eq!(Place::new(&format!("#!/bin/sh\n{script}\n")).send(|_| ()), expected, "{script}");
    }
}

#[test]
fn a_reply_says_more_than_a_status() {
    let reply = |fields: &str| format!("#!/bin/sh\nprintf '%s\\n' '{{\"nonce\": \"n\", {fields}}}'\n");
    let rows = [
        (reply("\"status\": \"sent\", \"detail\": \"as 7\""), Answer::Sent("as 7".into())),
        (
            reply("\"status\": \"retry\", \"detail\": \"busy\\n\\u001b[1m\", \"retry_after\": 60"),
            Answer::Retry("busy [1m".into(), Some(60)),
        ),
        (reply("\"status\": \"refused\", \"detail\": \"never\""), Answer::Refused("never".into())),
        (reply("\"status\": \"delivered\""), Answer::Retry("P printed something that is no reply".into(), None)),
        // some shells' echo makes a line's end of \\n, which JSON does not take
        (
            "#!/bin/sh\nprintf '{\"nonce\": \"n\", \"status\": \"refused\", \"detail\": \"a\nb\"}'\n".into(),
            Answer::Retry("P printed something that is no reply".into(), None),
        ),
        ("#!/bin/sh\ntee /dev/null\n".into(), Answer::Sent("P took it".into())),
        // what a server says that a script passes on is no reply of the script
        ("#!/bin/sh\necho '{\"status\": \"refused\", \"nonce\": \"x\"}'\n".into(), Answer::Sent("P took it".into())),
        // its status has the last word when it fails
        (format!("{}exit 1", reply("\"status\": \"sent\"")), Answer::Retry("P failed (exit status 1)".into(), None)),
    ];
    for (script, expected) in rows {
        assert_eq!(Place::new(&script).send(|_| ()), expected, "{script}");
    }
}

#[test]
fn a_program_that_does_not_end_is_killed_and_says_why_as_far_as_it_said() {
    let place = Place::new("#!/bin/sh\necho connecting >&2; echo $$ >\"${0%/*}/pid\"; exec sleep 1000\n");
    let answer = place.send(|request| request.deadline_ms = 1000);
    assert_eq!(answer, Answer::Retry("P took longer than 0.9 s and was killed: connecting".into(), None));
    let pid = place.read("pid");
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "process {pid} is gone");
}

#[test]
fn one_that_is_left_behind_with_the_pipes_is_not_waited_for() {
    let place = Place::new("#!/bin/sh\nsleep 5 &\nexit 0\n");
    let start = now();
    assert_eq!(place.send(|_| ()), Answer::Sent("P took it".into()));
    assert!(start.elapsed() < std::time::Duration::from_secs(4), "{:?}", start.elapsed());
}

#[allow(clippy::disallowed_methods, reason = "how long it took is what is tested")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[test]
fn endless_output_and_unread_input_end_in_time_and_memory() {
    let place = Place::new("#!/bin/sh\nyes >&2\n");
    let answer = place.send(|request| {
        request.deadline_ms = 1000;
        request.message.text = "x".repeat(1_000_000);
    });
    assert!(matches!(&answer, Answer::Retry(text, None) if text.starts_with("P took longer than 0.9 s")), "{answer:?}");
    // nobody reads a megabyte of input, and it ends well all the same
    let place = Place::new("#!/bin/sh\nexit 0\n");
    assert_eq!(place.send(|request| request.message.text = "x".repeat(1_000_000)), Answer::Sent("P took it".into()));
}

#[test]
fn a_secret_that_the_program_prints_is_not_told() {
    let place = Place::new("#!/bin/sh\necho \"> Authorization: $SYSALERT_SECRET\" >&2; exit 1\n");
    let answer = place.send(|request| set(request, "secret", json!("hunter2")));
    assert_eq!(answer, Answer::Retry("P failed (exit status 1): > Authorization: ***".into(), None));
}

#[test]
fn what_cannot_be_run_says_who_must_do_what() {
    let place = Place::new("#!/nonexistent/sh\n");
    let expected = "P cannot be run: No such file or directory (os error 2): the interpreter in its first line does not exist";
    assert_eq!(place.send(|_| ()), Answer::Retry(expected.into(), None));
    fs::set_permissions(place.program(), fs::Permissions::from_mode(0o644)).expect("a mode");
    let expected = "P cannot be run: Permission denied (os error 13): make it executable for the user sysalert (chmod a+x)";
    assert_eq!(place.send(|_| ()), Answer::Retry(expected.into(), None));
    fs::set_permissions(place.program(), fs::Permissions::from_mode(0o777)).expect("a mode");
    assert_eq!(place.send(|_| ()), Answer::Retry("P can be changed by others (mode 0777): chmod go-w P".into(), None));
}

#[test]
fn a_wrong_section_is_refused_with_the_key() {
    let rows = [
        (json!({}), "missing field `command`"),
        (json!({"command": []}), "`command` has no program"),
        (json!({"command": "notify"}), "`command` must be a sequence"),
        (
            json!({"command": ["notify"]}),
            "`command` must begin with an absolute path, as in [\"/usr/local/bin/notify\", \"--quiet\"]",
        ),
        (json!({"command": ["/bin/a\nb"]}), "`command` has a control character"),
        (json!({"command": ["/bin/a", "b\0"]}), "`command` has a control character"),
        (json!({"command": ["/bin/a"], "environment": ["hunter2"]}), "each of `environment` must read NAME=value"),
        (json!({"command": ["/bin/a"], "secret": "hunter2\0"}), "`secret` has a zero byte"),
        (json!({"command": ["/bin/a"], "input": "xml"}), "`input` must be `json` or `text`"),
    ];
    for (config, expected) in rows {
        let answer = Command::failure(&request(config.clone()));
        assert_eq!(answer, Answer::Refused(format!("its configuration does not fit: {expected}")), "{config}");
    }
}

/// Five hundred nasty messages: the program gets each as it is, and in its environment stands nothing but the facts.
#[test]
fn every_nasty_message_reaches_the_program() {
    let place = Place::new("#!/bin/sh\ncat >\"${0%/*}/input\"; env -0 >\"${0%/*}/all\"; echo x >>\"${0%/*}/runs\"\n");
    let mut others = None;
    for (number, request) in nasty_requests(&json!({"command": [place.program()]})).enumerate() {
        let answer = Command::failure(&request);
        assert!(matches!(answer, Answer::Sent(_)), "message {number}: {answer:?}");
        let input: Request = serde_json::from_str(&place.read("input")).expect("JSON");
        assert!(input == request, "message {number}");
        let all = place.read("all");
        let is_own = |entry: &&str| entry.starts_with("SYSALERT_") && !is_tests(entry);
        let (own, rest): (Vec<&str>, Vec<&str>) = all.split_terminator('\0').partition(is_own);
        // what goes on behind a line's end or a zero byte would be a variable more
        let rest: Vec<String> = rest.into_iter().map(str::to_owned).collect();
        assert_eq!(rest, *others.get_or_insert_with(|| rest.clone()), "message {number}");
        let message = own.iter().find_map(|entry| entry.strip_prefix("SYSALERT_MESSAGE="));
        let subject = one_line(&request.message.subject, 4000);
        assert_eq!(message.unwrap_or_default(), subject, "message {number}");
        let facts = if request.incident.is_some() { 13 } else { 9 } + usize::from(!subject.is_empty());
        assert_eq!(own.len(), facts, "message {number}: {own:?}");
    }
    assert_eq!(place.read("runs").lines().count(), NASTY);
}
