//! What the server does, and what the administrator reads.
#![allow(clippy::expect_used, clippy::panic)]

use std::net::TcpListener;
use std::path::Path;

use serde_json::json;
use sysalert_abi::{Answer, Deadline};
use sysalert_http::testing::{Act, Certificate, Server};
use sysalert_http::{Call, Client, address};

/// One POST with a token in its URL.
fn send(url: &str, milliseconds: u64, ca: Option<&Path>) -> Answer {
    let client = Client::new(Deadline::after(milliseconds), ca).expect("a client");
    let call = Call::post(address("url", &format!("{url}/hook/hunter2hunter2")).expect("an address")).json(&json!({"text": "x"}));
    let call = call.header("Authorization", "Bearer hunter3hunter3").expect("a header");
    let answer = client.send(&call).map_or_else(|answer| answer, |reply| reply.answer());
    assert!(!format!("{answer:?}").contains("hunter"), "{answer:?}");
    answer
}

fn send_to(server: &Server) -> Answer {
    send(&server.url(""), 20_000, None)
}

/// The answer with the server's place as S.
fn shown(server: &Server, answer: Answer) -> Answer {
    let place = |text: String| text.replace(&server.url(""), "S");
    match answer {
        Answer::Sent(text) => Answer::Sent(place(text)),
        Answer::Retry(text, after) => Answer::Retry(place(text), after),
        Answer::Refused(text) => Answer::Refused(place(text)),
    }
}

#[test]
fn a_status_says_what_became_of_the_message() {
    let sent = |text: &str| Answer::Sent(text.into());
    let retry = |text: &str, after| Answer::Retry(text.into(), after);
    let refused = |text: &str| Answer::Refused(text.into());
    for (act, expected) in [
        (Act::say(200, "ok"), sent("S took it (200 ok)")),
        (Act::say(202, ""), sent("S took it (202)")),
        (Act::say(204, ""), sent("S took it (204)")),
        (Act::say(408, ""), retry("S cannot take the message now (408)", None)),
        (Act::say(425, ""), retry("S cannot take the message now (425)", None)),
        (
            Act::say(429, "slow\r\ndown").with("Retry-After: 30"),
            retry("S takes no more messages for now (429 slow down)", Some(30)),
        ),
        (
            Act::say(429, "").with("Date: Sat, 21 Nov 2026 03:00:00 GMT").with("Retry-After: Sat, 21 Nov 2026 03:02:00 GMT"),
            retry("S takes no more messages for now (429)", Some(120)),
        ),
        (Act::say(500, "oops"), retry("S cannot take the message now (500 oops)", None)),
        (Act::say(503, "").with("Retry-After: 7"), retry("S cannot take the message now (503)", Some(7))),
        (Act::say(599, ""), retry("S cannot take the message now (599)", None)),
        (Act::say(600, ""), retry("S gave an answer that does not belong there (600)", None)),
        (Act::say(400, "bad"), refused("S refused the message (400 bad): check the method's section")),
        (Act::say(401, ""), refused("S does not let the call in (401): check the key or token")),
        (
            Act::say(404, "Cannot POST /hook/hunter2hunter2"),
            refused("S has nothing at this address (404 Cannot POST ***): check the address, it may be revoked"),
        ),
        (Act::say(403, "no hunter3hunter3"), refused("S does not let the call in (403 no ***): check the key or token")),
        (Act::say(413, ""), refused("S finds the message too long (413)")),
        (
            Act::say(302, "").with("Location: https://new.example/hook/hunter2hunter2"),
            refused(
                "S sends the call on to https://new.example (302): set the address to the new one, since no redirect is followed",
            ),
        ),
        (
            Act::say(308, "").with("Location: /hook2/hunter2"),
            refused(
                "S sends the call on to another path there (308): set the address to the new one, since no redirect is followed",
            ),
        ),
        (
            Act::say(302, ""),
            refused("S sends the call on to elsewhere (302): set the address to the new one, since no redirect is followed"),
        ),
    ] {
        let server = Server::start(move |_| act.clone());
        assert_eq!(shown(&server, send_to(&server)), expected);
        assert_eq!(server.heard().len(), 1);
    }
}

#[test]
fn a_call_arrives_as_it_was_made() {
    let server = Server::start(|_| Act::say(200, ""));
    send_to(&server);
    let heard = &server.heard()[0];
    assert_eq!((heard.method.as_str(), heard.target.as_str(), heard.text()), ("POST", "/hook/hunter2hunter2", r#"{"text":"x"}"#));
    assert_eq!(heard.header("content-type"), "application/json");
    assert_eq!(heard.header("authorization"), "Bearer hunter3hunter3");
    assert_eq!(heard.header("user-agent"), concat!("sysalert/", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_connection_that_was_cut_is_tried_again_and_not_by_the_client_itself() {
    let server = Server::start(|_| Act::Cut);
    let Answer::Retry(text, None) = shown(&server, send_to(&server)) else { panic!("not a retry") };
    assert!(
        text.starts_with("S cut the connection before it answered (") && text.ends_with("may have taken the message"),
        "{text}"
    );
    assert_eq!(server.heard().len(), 1);
}

#[test]
fn an_answer_that_was_cut_short_is_told_apart() {
    let server = Server::start(|_| Act::Half);
    let client = Client::new(Deadline::after(20_000), None).expect("a client");
    let reply = client.send(&Call::post(address("url", &server.url("/")).expect("an address"))).expect("a reply");
    assert_eq!((reply.status(), reply.is_whole(), reply.text().as_str()), (200, false, "{"));
}

#[test]
fn nobody_there_is_tried_again() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let Answer::Retry(text, None) = send(&format!("http://127.0.0.1:{port}"), 20_000, None) else { panic!("not a retry") };
    assert!(text.starts_with(&format!("http://127.0.0.1:{port} cannot be reached: ")) && text.contains("refused"), "{text}");
    // RFC 6761: no name below it exists
    let Answer::Retry(text, None) = send("http://nobody.invalid", 20_000, None) else { panic!("not a retry") };
    assert!(text.starts_with("http://nobody.invalid: the name cannot be resolved ("), "{text}");
}

#[test]
fn no_server_outlasts_the_deadline() {
    for act in [Act::Hang, Act::Drip] {
        let server = Server::start(move |_| act.clone());
        let patience = Deadline::after(10_000);
        let answer = shown(&server, send(&server.url(""), 400, None));
        assert_eq!(answer, Answer::Retry("S did not answer in time; it may have taken the message".into(), None));
        assert!(patience.left().is_some());
        let answer = shown(&server, send(&server.url(""), 0, None));
        assert_eq!(answer, Answer::Retry("no time was left to call S".into(), None));
    }
}

#[test]
fn one_call_of_several_has_a_share_of_the_time() {
    let server = Server::start(|heard| if heard.target == "/dead" { Act::Hang } else { Act::say(200, "") });
    let client = Client::new(Deadline::after(20_000), None).expect("a client");
    let call =
        Call::post(address("url", &server.url("/dead")).expect("an address")).within(std::time::Duration::from_millis(200));
    assert!(matches!(client.send(&call), Err(Answer::Retry(..))));
    let call = call.to(address("url", &server.url("/")).expect("an address"));
    assert!(client.send(&call).is_ok_and(|reply| reply.is_success()) && client.left().is_some());
}

#[test]
fn an_answer_without_an_end_is_read_to_a_limit() {
    let server = Server::start(|_| Act::say(200, "x".repeat(10_000_000)));
    let client = Client::new(Deadline::after(20_000), None).expect("a client");
    let reply = client.send(&Call::post(address("url", &server.url("/")).expect("an address"))).expect("a reply");
    assert_eq!(reply.text().len(), 64 * 1024);
    let Answer::Sent(text) = reply.answer() else { panic!("not sent") };
    assert!(text.len() < 400, "{text}");
}

#[test]
fn a_certificate_is_trusted_if_it_is_known_valid_and_for_this_name() {
    let good = Certificate::valid("IP:127.0.0.1");
    let https = |certificate: &Certificate, ca: Option<&Path>| {
        let server = Server::start_tls(certificate.server(), |_| Act::say(200, "ok"));
        let place = format!("https://127.0.0.1:{}", server.port);
        let answer = send(&place, 20_000, ca);
        let (Answer::Sent(text) | Answer::Retry(text, _) | Answer::Refused(text)) = &answer;
        let heard = server.heard().len();
        assert_eq!(heard, usize::from(matches!(answer, Answer::Sent(_))), "a token went to a stranger");
        (matches!(answer, Answer::Retry(..)), text.replace(&place, "S"))
    };
    assert_eq!(https(&good, Some(&good.path())), (false, "S took it (200 ok)".into()));
    let (again, text) = https(&good, None);
    assert!(!again && text.contains("comes from an issuer that this machine does not trust"), "{text}");
    let other = Certificate::valid("DNS:other.example");
    let (again, text) = https(&other, Some(&other.path()));
    assert!(!again && text.contains("is for another name"), "{text}");
    let old = Certificate::expired("IP:127.0.0.1");
    let (again, text) = https(&old, Some(&old.path()));
    assert!(again && text.contains("not valid at this time"), "{text}");
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let server = Server::start(|_| Act::say(200, ""));
    let answer = send(&format!("https://127.0.0.1:{}", server.port), 20_000, None);
    let Answer::Refused(text) = answer else { panic!("{answer:?}") };
    assert!(text.contains("does not speak TLS here"), "{text}");
}

#[test]
fn whether_a_server_answers_is_asked_without_a_word_of_the_secret() {
    let server = Server::start(|_| Act::say(404, ""));
    let reach = |url: &str| {
        let client = Client::new(Deadline::after(20_000), None).expect("a client");
        client.reach(&address("url", url).expect("an address"))
    };
    let url = server.url("").replace("//", "//me:hunter2@") + "/hook/hunter2?key=hunter2#hunter2";
    assert_eq!(reach(&url), Ok(format!("{} answers", server.url(""))));
    let heard = &server.heard()[0];
    assert_eq!((heard.method.as_str(), heard.target.as_str(), heard.body.len()), ("HEAD", "/", 0));
    assert!(!format!("{heard:?}").contains("hunter2"), "{heard:?}");
    let nobody = reach("http://127.0.0.1:1/hook/hunter2");
    assert!(
        matches!(&nobody, Err(Answer::Retry(text, None)) if text.contains("http://127.0.0.1:1 cannot be reached") && !text.contains("hunter2")),
        "{nobody:?}"
    );
}
