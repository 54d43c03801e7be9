//! Five hundred nasty messages as entries: each has its own fields and no other, whatever its text says.

use std::os::unix::net::UnixDatagram;

use serde_json::json;
use sysalert_abi::testing::{NASTY, nasty_requests};
use sysalert_abi::{Answer, Kind, lines, one_line};

use crate::write;

const NAMES: [&str; 15] = [
    "MESSAGE",
    "MESSAGE_ID",
    "PRIORITY",
    "SYSLOG_IDENTIFIER",
    "SYSALERT_KIND",
    "SYSALERT_HOST",
    "SYSALERT_UNIT",
    "SYSALERT_SUBJECT",
    "SYSALERT_INCIDENT",
    "SYSALERT_FAILURES",
    "SYSALERT_SERVICE_RESULT",
    "SYSALERT_EXIT_CODE",
    "SYSALERT_EXIT_STATUS",
    "SYSALERT_INVOCATION_ID",
    "SYSALERT_ALERT",
];
const OF_INCIDENT: &[&str] = &["SYSALERT_SUBJECT", "SYSALERT_INCIDENT", "SYSALERT_FAILURES"];
const OF_FAILURE: &[&str] = &["SYSALERT_SERVICE_RESULT", "SYSALERT_EXIT_CODE", "SYSALERT_EXIT_STATUS", "SYSALERT_INVOCATION_ID"];

#[test]
fn every_message_is_one_entry_with_its_own_fields() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("socket");
    let _listens = UnixDatagram::bind(&socket).expect("a socket");
    let mut entries = 0;
    for (number, mut request) in nasty_requests(&json!({})).enumerate() {
        // the text stands in an entry only when systemd has said nothing
        if number % 2 == 1 {
            request.failures.clear();
        }
        let answer = write(&request, &socket, |fields| {
            let field = |field: &&str| field.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            let fields: Vec<(String, String)> = fields.iter().map(|text| field(text).expect("a field")).collect();
            let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
            let absent = [(request.incident.is_none(), OF_INCIDENT), (request.failures.is_empty(), OF_FAILURE)];
            let is_absent = |name: &str| absent.iter().any(|(absent, names)| *absent && names.contains(&name));
            let expected = NAMES.into_iter().filter(|name| !is_absent(name));
            assert_eq!(names, expected.collect::<Vec<_>>(), "message {number}");
            let message = &fields[0].1;
            let most = if request.kind == Kind::Digest { 41 } else { 3 };
            assert!(message.lines().count() <= most && message.chars().count() <= most * 1002, "message {number}: {message}");
            assert_eq!(*message, lines(message), "message {number}");
            let subject = one_line(&request.message.subject, 1000);
            assert_eq!(message.split('\n').next(), Some(subject.as_str()), "message {number}");
            assert!(fields[1..].iter().all(|(_, value)| *value == one_line(value, 1001)), "message {number}: {fields:?}");
            entries += 1;
            Ok(())
        });
        assert!(matches!(answer, Answer::Sent(_)), "message {number}: {answer:?}");
    }
    assert_eq!(entries, NASTY);
}
