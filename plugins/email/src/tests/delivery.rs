//! One row of behaviour a test: what the server does, what the administrator reads, what went over the wire.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};
use sysalert_abi::{Answer, Deadline, Plugin};

use super::request;
use super::server::{Act, Server, polite};
use crate::Email;

/// Sends to ops@ and jo@, with changes to the section.
fn send(server: &Server, change: Value) -> Answer {
    let mut config = json!({"host": "127.0.0.1", "port": server.port, "to": ["ops@example.org", "Jo <jo@example.org>"]});
    for (key, value) in change.as_object().expect("an object") {
        config[key] = value.clone();
    }
    Email::failure(&request(config))
}

/// What is said of this server, with its port taken out.
fn detail(server: &Server, text: &str) -> String {
    text.replace(&format!("127.0.0.1:{}", server.port), "S")
}

fn sent(server: &Server, answer: Answer) -> String {
    let Answer::Sent(text) = answer else { panic!("not sent: {answer:?}") };
    detail(server, &text)
}

fn retry(server: &Server, answer: Answer) -> String {
    let Answer::Retry(text, None) = answer else { panic!("no retry: {answer:?}") };
    detail(server, &text)
}

fn refused(server: &Server, answer: Answer) -> String {
    let Answer::Refused(text) = answer else { panic!("not refused: {answer:?}") };
    detail(server, &text)
}

#[test]
fn a_mail_arrives_whole_and_once() {
    let server = Server::start(polite);
    let text = sent(&server, send(&server, json!({})));
    assert_eq!(text, "S took it for ops@example.org, jo@example.org (250 2.0.0 queued as 4XyZ)");

    let heard = server.heard();
    assert_eq!(heard.len(), 1, "one connection");
    let commands: Vec<_> = heard[0].iter().filter(|line| !line.contains("\r\n")).map(String::as_str).collect();
    let expected = [
        "EHLO web1.example.org",
        "MAIL FROM:<sysalert@web1.example.org>",
        "RCPT TO:<ops@example.org>",
        "RCPT TO:<jo@example.org>",
        "DATA",
        "QUIT",
    ];
    // The farewell comes after the answer was decided.
    assert_eq!(commands[..5], expected[..5]);
    let mails = server.mails();
    assert!(mails[0].contains("\r\nMessage-ID: <42.mail@web1.example.org>\r\n"), "{}", mails[0]);
    // Each line that begins with a dot has one more on the wire (RFC 5321, 4.5.2).
    assert!(mails[0].contains("\r\n\r\nexit status 3\r\n..hidden\r\n...\r\n..\r\nend\r\n"), "{}", mails[0]);
    assert!(mails[0].contains("\r\n\r\n<p>exit status 3</p>\r\n..\r\n"), "{}", mails[0]);
}

/// What comes in two pieces waits between them until the server's kernel has confirmed the first: 40 ms.
#[test]
fn a_mail_and_its_end_are_one_piece() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let (mut pieces, mut buffer, mut reply) = (Vec::new(), vec![0; 1 << 16], "220 hello\r\n");
        loop {
            stream.write_all(reply.as_bytes()).expect("a client that listens");
            let length = stream.read(&mut buffer).expect("a client that speaks");
            let piece = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if piece.starts_with("QUIT") || piece.is_empty() {
                return pieces;
            }
            reply = if piece.starts_with("DATA") { "354 go on\r\n" } else { "250 fine\r\n" };
            pieces.push(piece);
        }
    });
    let answer = Email::failure(&request(json!({"host": "127.0.0.1", "port": port, "to": ["ops@example.org"]})));
    assert!(matches!(answer, Answer::Sent(_)), "{answer:?}");
    let pieces = server.join().expect("the server");
    let [.., before, mail] = &pieces[..] else { panic!("{pieces:?}") };
    assert_eq!(before, "DATA\r\n");
    assert!(mail.contains("\r\nSubject: ") && mail.ends_with("\r\n.\r\n"), "{mail}");
}

#[test]
fn each_try_has_the_same_message_id() {
    let server = Server::start(polite);
    send(&server, json!({}));
    send(&server, json!({}));
    let ids: Vec<_> =
        server.mails().iter().map(|mail| mail.lines().find(|l| l.starts_with("Message-ID")).map(str::to_string)).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids[0].is_some() && ids[0] == ids[1], "{ids:?}");
}

#[test]
fn a_temporary_refusal_is_tried_again() {
    let rows: [(&str, &str, &str); 5] = [
        ("", "421 4.3.2 busy", "S takes no connection now (421 4.3.2 busy)"),
        ("MAIL", "451 4.7.1 greylisted", "S does not take the message now (451 4.7.1 greylisted)"),
        (
            "RCPT",
            "450 full",
            "S does not take mail for ops@example.org now (450 full); \
             S does not take mail for jo@example.org now (450 full)",
        ),
        ("DATA", "451 no", "S does not take the message now (451 no)"),
        ("From:", "452 no space", "S does not take the message now (452 no space)"),
    ];
    for (verb, reply, expected) in rows {
        let server = Server::start(move |line| if at(line, verb) { Act::Say(reply) } else { polite(line) });
        assert_eq!(retry(&server, send(&server, json!({}))), expected);
    }
}

#[test]
fn a_permanent_refusal_says_who_must_do_what() {
    let rows: [(&str, &str, &str); 5] = [
        ("", "554 5.7.1 listed", "S refused the connection (554 5.7.1 listed): ask its administrator to let this host in"),
        (
            "MAIL",
            "553 5.1.8 who",
            "S refused the sender sysalert@web1.example.org (553 5.1.8 who): set `from` to an address that it takes",
        ),
        (
            "MAIL",
            "530 5.7.0 first",
            "S wants a login (530 5.7.0 first): set username and password, and tls if it wants that first",
        ),
        ("RCPT", "550 gone", "S refused ops@example.org (550 gone): check the address in `to`"),
        ("From:", "554 spam", "S refused the message (554 spam): ask its administrator why"),
    ];
    for (verb, reply, expected) in rows {
        let server = Server::start(move |line| if at(line, verb) { Act::Say(reply) } else { polite(line) });
        assert_eq!(refused(&server, send(&server, json!({"to": ["ops@example.org"]}))), expected);
    }
}

#[test]
fn a_dead_address_does_not_silence_the_others() {
    let server = Server::start(|line| if line.contains("<ops@") { Act::Say("550 5.1.1 gone") } else { polite(line) });
    let text = sent(&server, send(&server, json!({})));
    assert_eq!(
        text,
        "S took it for jo@example.org (250 2.0.0 queued as 4XyZ), \
         but S refused ops@example.org (550 5.1.1 gone): check the address in `to`"
    );
    assert_eq!((server.heard().len(), server.mails().len()), (1, 1), "one transaction is enough");
}

#[test]
fn a_mail_that_is_refused_for_all_is_tried_for_each() {
    // The server judges the mail as a whole, and it is jo's filter that objects.
    let jo = std::sync::atomic::AtomicBool::new(false);
    let server = Server::start(move |line| {
        use std::sync::atomic::Ordering::Relaxed;
        match line {
            "" => jo.store(false, Relaxed),
            line if line.contains("RCPT TO:<jo@") => jo.store(true, Relaxed),
            line if line.contains("\r\n") && jo.load(Relaxed) => return Act::Say("554 5.7.1 filtered"),
            _ => {}
        }
        polite(line)
    });
    let text = sent(&server, send(&server, json!({})));
    assert_eq!(
        text,
        "S took it for ops@example.org (250 2.0.0 queued as 4XyZ), \
         but S refused the message (554 5.7.1 filtered): ask its administrator why"
    );
    assert_eq!(server.mails().len(), 3, "all, ops, jo");
}

#[test]
fn a_refused_sender_is_not_tried_for_each() {
    let server = Server::start(|line| if at(line, "MAIL") { Act::Say("550 no") } else { polite(line) });
    refused(&server, send(&server, json!({})));
    assert_eq!(server.heard().len(), 1);
}

/// A server that falls silent is tried again, whatever it was about to say, and the stage is named.
#[test]
fn a_silent_server_does_not_outlast_the_deadline() {
    let (plain, login) = (json!({}), json!({"username": "jo", "password": "hunter2"}));
    let (starttls, implicit) = (json!({"tls": "starttls"}), json!({"tls": "implicit"}));
    let hang = || Act::Hang;
    // the stage, the settings, where the server falls silent, how, and what is said of it
    type Row<'a> = (&'a str, &'a Value, &'static str, fn() -> Act, &'a str);
    let rows: [Row<'_>; 10] = [
        ("the greeting", &plain, "", hang, "S did not answer in time while connecting"),
        ("EHLO", &plain, "EHLO", hang, "S did not answer in time while connecting"),
        ("STARTTLS", &starttls, "STARTTLS", hang, "S did not answer in time after STARTTLS"),
        ("the handshake", &starttls, "STARTTLS", || Act::SayAndHang("220 go ahead"), "S did not answer in time after STARTTLS"),
        ("the handshake at once", &implicit, "", hang, "S did not answer in time while connecting"),
        ("AUTH", &login, "AUTH", hang, "S did not answer in time at the login"),
        ("MAIL", &plain, "MAIL", hang, "S did not answer in time after MAIL FROM"),
        ("RCPT", &plain, "RCPT", hang, "S did not answer in time after RCPT TO"),
        ("DATA", &plain, "DATA", hang, "S did not confirm the message in time"),
        ("the final dot", &plain, "From:", hang, "S did not confirm the message in time"),
    ];
    let try_one = |(stage, change, verb, act, expected): &Row<'_>| {
        let (verb, act) = (*verb, *act);
        let server = Server::start(move |line| match line {
            line if at(line, verb) => act(),
            line if at(line, "EHLO") => Act::Say("250-test.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"),
            line => polite(line),
        });
        let mut config = json!({"host": "127.0.0.1", "port": server.port, "to": ["ops@example.org"]});
        config.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let mut request = request(config);
        request.deadline_ms = 5_000;
        let patience = Deadline::after(5_250);
        assert_eq!(retry(&server, Email::failure(&request)), *expected, "{stage}");
        assert!(!patience.until_answer().is_zero(), "{stage}: not within 5 s");
    };
    std::thread::scope(|threads| {
        for row in &rows {
            threads.spawn(|| try_one(row));
        }
    });
}

#[test]
fn a_server_that_drips_does_not_outlast_the_deadline() {
    let server = Server::start(move |line| if at(line, "MAIL") { Act::Drip } else { polite(line) });
    let mut request = request(json!({"host": "127.0.0.1", "port": server.port, "to": ["ops@example.org"]}));
    request.deadline_ms = 400;
    let patience = Deadline::after(10_000);
    assert_eq!(retry(&server, Email::failure(&request)), "S did not answer in time after MAIL FROM");
    assert!(patience.left().is_some());
}

#[test]
fn what_was_taken_before_the_deadline_counts() {
    // ops gets the mail in the second round; the third connection hangs.
    let round = std::sync::atomic::AtomicU8::new(0);
    let server = Server::start(move |line| {
        use std::sync::atomic::Ordering::Relaxed;
        match (line, round.load(Relaxed)) {
            ("", 2) => return Act::Hang,
            ("", n) => round.store(n + 1, Relaxed),
            (line, 1) if line.contains("\r\n") => return Act::Say("554 no"),
            _ => {}
        }
        polite(line)
    });
    let mut request = request(json!({"host": "127.0.0.1", "port": server.port, "to": ["ops@example.org", "jo@example.org"]}));
    request.deadline_ms = 1500;
    let text = sent(&server, Email::failure(&request));
    assert_eq!(text, "S took it for ops@example.org (250 2.0.0 queued as 4XyZ), but S did not answer in time while connecting");
}

#[test]
fn a_cut_connection_is_tried_again() {
    let rows = [
        ("", "S cannot be reached: the connection was cut"),
        ("MAIL", "S was lost after MAIL FROM: the connection was cut"),
        ("RCPT", "S was lost after RCPT TO: the connection was cut"),
        ("DATA", "S was lost before it confirmed the message: the connection was cut"),
        ("From:", "S was lost before it confirmed the message: the connection was cut"),
    ];
    for (verb, expected) in rows {
        let server = Server::start(move |line| if at(line, verb) { Act::Cut } else { polite(line) });
        assert_eq!(retry(&server, send(&server, json!({}))), expected);
    }
}

#[test]
fn a_reply_out_of_place_is_no_success() {
    let server = Server::start(|line| if at(line, "RCPT") { Act::Say("354 what?") } else { polite(line) });
    let text = retry(&server, send(&server, json!({})));
    assert_eq!(text, "S gave a reply that does not belong there (354 what?)");
}

#[test]
fn nobody_there_is_tried_again() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let config = json!({"host": "127.0.0.1", "port": port, "to": ["ops@example.org"]});
    let Answer::Retry(text, None) = Email::failure(&request(config)) else { panic!("no retry") };
    assert_eq!(text, format!("127.0.0.1:{port} cannot be reached: Connection refused (os error 111)"));
}

#[test]
fn a_login_goes_to_a_loopback_host() {
    let server = Server::start(polite);
    sent(&server, send(&server, json!({"username": "jo", "password": "hunter2"})));
    assert_eq!(server.heard()[0][1], "AUTH PLAIN AGpvAGh1bnRlcjI=");
}

#[test]
fn a_login_never_goes_elsewhere_unencrypted() {
    // An address of the documentation's network: nothing may be sent there, so no time is lost either.
    let config = json!({"host": "192.0.2.1", "to": ["a@example.org"], "username": "jo", "password": "hunter2"});
    let Answer::Refused(text) = Email::failure(&request(config)) else { panic!("not refused") };
    assert!(text.starts_with("192.0.2.1:25 is another machine, and a login goes there only encrypted: set tls"), "{text}");
}

#[test]
fn a_wrong_password_is_refused_and_never_shown() {
    let echo = "535-5.7.8 wrong: hunter2\r\n535 5.7.8 AGpvAGh1bnRlcjI=\u{1b}[2J hun\u{202e}ter2";
    let server = Server::start(move |line| if at(line, "AUTH") { Act::Say(echo) } else { polite(line) });
    let text = refused(&server, send(&server, json!({"username": "jo", "password": "hunter2"})));
    assert_eq!(text, "S refused the login (535 5.7.8 wrong: *** *** [2J ***): check username and password");
    assert!(server.mails().is_empty());
}

#[test]
fn a_server_without_a_login_or_encryption_gets_nothing() {
    let server = Server::start(|line| if at(line, "EHLO") { Act::Say("250 plain") } else { polite(line) });
    let text = refused(&server, send(&server, json!({"username": "jo", "password": "hunter2"})));
    assert!(text.starts_with("S offers no login by password"), "{text}");
    let text = refused(&server, send(&server, json!({"tls": "starttls"})));
    assert!(text.starts_with("S offers no encryption (STARTTLS)"), "{text}");
    let text = refused(&server, send(&server, json!({"tls": "implicit"})));
    assert!(text.starts_with("S does not speak TLS here"), "{text}");
    assert!(!server.heard().concat().iter().any(|line| line.starts_with("MAIL") || line.starts_with("AUTH")));
}

#[test]
fn a_long_hostile_reply_is_cut() {
    let long: &'static str = Box::leak(format!("550 {}\u{7}", "x".repeat(900)).into_boxed_str());
    let server = Server::start(move |line| if at(line, "RCPT") { Act::Say(long) } else { polite(line) });
    let text = refused(&server, send(&server, json!({"to": ["ops@example.org"]})));
    assert!(text.chars().count() < 400 && !text.contains('\u{7}'), "{text}");
}

/// Whether the script is at this place: a command's verb, "" for the greeting, "From:" for the mail.
fn at(line: &str, verb: &str) -> bool {
    if verb.is_empty() { line.is_empty() } else { line.starts_with(verb) }
}
