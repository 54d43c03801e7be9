//! Five hundred nasty messages through a server: each arrives, with its own headers and no other, and reads as it was.

use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sysalert_abi::testing::{NASTY, nasty_requests};
use sysalert_abi::{Answer, Plugin, Request, lines, one_line};

use super::server::{Server, polite};
use crate::Email;

/// RFC 5322, 2.1.1: without the line's end.
const LINE: usize = 998;

/// A head and a body, or a part's.
fn halves(mail: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = mail.split_once("\r\n\r\n").expect("a head");
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    (unfolded.split("\r\n").map(|line| header(line).unwrap_or_else(|| panic!("no header: {line}"))).collect(), body)
}

fn value<'a>(head: &'a [(String, String)], name: &str) -> &'a str {
    head.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// Without encoding (RFC 2047): of two encoded words that follow each other the space between them is none.
fn words(value: &str) -> String {
    let (mut decoded, mut is_after_encoded) = (Vec::new(), true);
    for word in value.split(' ') {
        let encoded = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
        let is_joined = decoded.is_empty() || is_after_encoded && encoded.is_some();
        if !is_joined {
            decoded.push(b' ');
        }
        decoded.extend(encoded.map_or_else(|| word.into(), |word| STANDARD.decode(word).expect("base64")));
        is_after_encoded = encoded.is_some();
    }
    String::from_utf8(decoded).expect("UTF-8")
}

/// The text of a part, with the lines' ends of here.
fn text(part: &str) -> String {
    let (head, body) = halves(part);
    let octets = match value(&head, "Content-Transfer-Encoding") {
        "7bit" => body.as_bytes().to_vec(),
        "quoted-printable" => quoted_printable(body),
        other => panic!("encoded as {other}"),
    };
    String::from_utf8(octets).expect("UTF-8").replace("\r\n", "\n")
}

/// RFC 2045, 6.7.
fn quoted_printable(body: &str) -> Vec<u8> {
    let joined = body.replace("=\r\n", "");
    let mut parts = joined.split('=');
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        octets.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        octets.extend(part[2..].bytes());
    }
    octets
}

/// The headers of a mail about an incident, without those that tell how its only part is encoded.
const NAMES: [&str; 11] = [
    "From",
    "Subject",
    "Date",
    "To",
    "Message-ID",
    "References",
    "Auto-Submitted",
    "X-Sysalert-Kind",
    "X-Sysalert-Subject",
    "MIME-Version",
    "Content-Type",
];
const OF_INCIDENT: [&str; 2] = ["References", "X-Sysalert-Subject"];

/// What came over the wire is this message, and a mail by the rules.
#[track_caller]
fn check(mail: &str, request: &Request) {
    let is_wrong = |line: &&str| line.len() > LINE || !line.is_ascii() || line.contains(['\r', '\n', '\0']);
    assert_eq!(mail.split("\r\n").find(is_wrong), None);
    // without the last dot, and without those that were doubled (RFC 5321, 4.5.2)
    let mail = mail.strip_suffix("\r\n.\r\n").expect("the end").replace("\r\n..", "\r\n.");
    let (head, body) = halves(&mail);
    let names: Vec<&str> = head.iter().map(|(name, _)| name.as_str()).filter(|name| !name.ends_with("-Encoding")).collect();
    let expected = NAMES.into_iter().filter(|name| request.incident.is_some() || !OF_INCIDENT.contains(name));
    assert_eq!(names, expected.collect::<Vec<_>>());
    assert_eq!(value(&head, "Message-ID"), format!("<{}@web1>", request.idempotency_key));
    let subject = one_line(&request.message.subject, 200);
    assert_eq!(words(value(&head, "Subject")), subject);

    let texts: Vec<String> = match value(&head, "Content-Type").split_once("boundary=") {
        Some((_, boundary)) => {
            let parts: Vec<&str> = body.split(&format!("--{}", boundary.trim_matches('"'))).collect();
            assert_eq!((parts.len(), parts[3].trim_end()), (4, "--"), "two parts and the end");
            parts[1..3].iter().map(|part| text(part.strip_prefix("\r\n").expect("a part"))).collect()
        }
        None => vec![text(&mail)],
    };
    let plain = lines(&request.message.text);
    let plain = if plain.trim().is_empty() { subject } else { plain };
    let html = lines(&request.message.html);
    let expected = if html.is_empty() { vec![plain] } else { vec![plain, html] };
    assert_eq!(texts.len(), expected.len());
    for (text, expected) in texts.iter().zip(&expected) {
        assert!(text.trim_end_matches('\n') == expected.trim_end_matches('\n'), "{text:.300}\n{expected:.300}");
    }
}

#[test]
fn every_message_arrives_whole_and_with_its_own_headers() {
    const SERVERS: usize = 4;
    let some = |first: usize| {
        let server = Server::start(polite);
        let config = json!({"host": "127.0.0.1", "port": server.port, "to": ["ops@example.org"]});
        let mut requests: Vec<Request> = nasty_requests(&config).skip(first).step_by(SERVERS).collect();
        for request in &mut requests {
            // without HTML the only part is the text
            if request.incident.is_none() {
                request.message.html.clear();
            }
            let answer = Email::failure(request);
            assert!(matches!(answer, Answer::Sent(_)), "{}: {answer:?}", request.idempotency_key);
        }
        let mails = server.mails();
        mails.iter().zip(&requests).for_each(|(mail, request)| check(mail, request));
        mails.len()
    };
    let count: usize = thread::scope(|scope| {
        let all: Vec<_> = (0..SERVERS).map(|first| scope.spawn(move || some(first))).collect();
        all.into_iter().map(|some| some.join().expect("no panic")).sum()
    });
    assert_eq!(count, NASTY);
}
