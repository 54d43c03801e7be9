//! Five hundred nasty messages through every preset: each arrives, within the channel's limits, with its markup whole.

use std::thread;

use serde_json::json;
use sysalert_abi::Answer;
use sysalert_abi::testing::nasty_requests;
use sysalert_http::testing::{Act, Certificate, Server};

use super::contracts::CONTRACTS;
use super::presets::further;
use super::{section, send};

#[test]
fn every_message_arrives_in_every_channel() {
    // one certificate is read faster than the system's store
    let certificate = Certificate::valid("IP:127.0.0.1");
    let ca = &certificate.path();
    thread::scope(|scope| {
        for contract in CONTRACTS {
            scope.spawn(move || {
                let server = contract.serve();
                let mut section = section(contract, &server);
                section["ca"] = json!(ca);
                let mut calls = 0;
                for (number, request) in nasty_requests(&section).enumerate() {
                    calls += 1 + further(contract.name, request.kind);
                    let answer = send(&request);
                    assert!(matches!(answer, Answer::Sent(_)), "{}: message {number}: {answer:?}", contract.name);
                }
                assert_eq!(server.heard().len(), calls, "{}", contract.name);
            });
        }
    });
}

/// The body of one's own: as it is without a template, and with values inside and outside of quotation marks.
#[test]
fn no_value_breaks_out_of_its_place() {
    let server = Server::start(|_| Act::say(200, ""));
    let certificate = Certificate::valid("IP:127.0.0.1");
    let ca = certificate.path();
    let body = r#"{"a": "<{{ subject }}>", "b": {{ text }}, "c": ["{{ journal }}\\", {{ text | tojson }}], "e": {{ html }}, "f": "{{ markdown }}", "d": "\"{{ host }}"}"#;
    for request in nasty_requests(&json!({"url": server.url("/"), "body": body, "ca": ca})) {
        let answer = send(&request);
        let message = &request.message;
        assert!(matches!(answer, Answer::Sent(_)), "{answer:?}");
        let heard = server.last().json();
        let expected = json!({
            "a": format!("<{}>", message.subject), "b": message.text, "c": [format!("{}\\", message.journal), message.text],
            "d": "\"web1", "e": message.html, "f": message.markdown
        });
        assert!(heard == expected, "{heard}");
    }
    for request in nasty_requests(&json!({"url": server.url("/"), "ca": ca})) {
        let answer = send(&request);
        assert!(matches!(answer, Answer::Sent(_)), "{answer:?}");
        let heard = server.last().json();
        assert!(heard["text"] == request.message.text.as_str() && heard["subject"] == request.message.subject.as_str());
    }
    let form = json!({"url": server.url("/"), "ca": ca, "content_type": "form", "body": "text={{ text }}&subject={{ subject }}"});
    for request in nasty_requests(&form) {
        let answer = send(&request);
        assert!(matches!(answer, Answer::Sent(_)), "{answer:?}");
        let heard = server.last();
        let fields: Vec<_> = form_urlencoded::parse(&heard.body).collect();
        assert!(fields == [("text".into(), request.message.text.into()), ("subject".into(), request.message.subject.into())]);
    }
}
