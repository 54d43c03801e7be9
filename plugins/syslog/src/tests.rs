//! The messages byte for byte, and the ways to a server that takes, refuses, hangs or is not there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Local};
use serde_json::{Value, json};
use sysalert_abi::testing::{NASTY, nasty_requests, request};
use sysalert_abi::{Kind, one_line};

use super::*;

fn noon() -> DateTime<Local> {
    "2026-11-01T12:00:00.123456Z".parse::<DateTime<chrono::Utc>>().expect("a time").with_timezone(&Local)
}

/// The messages of this section and request, on the first of November at noon.
fn messages(config: Value, change: impl FnOnce(&mut Request)) -> Vec<String> {
    let mut request = request(config);
    change(&mut request);
    message::messages(&request, &Settings::read(&request).expect("valid"), noon())
}

#[test]
fn a_message_is_that_of_rfc_5424() {
    let expected = "<27>1 2026-11-01T12:00:00.123456Z web1 sysalert - failure [sysalert@32473 unit=\"backup.service\" \
        idempotency_key=\"27958a5008624b39838d249d6fa93b04.chat\" severity=\"critical\" incident=\"7\" failures=\"1\" \
        service_result=\"exit-code\" exit_code=\"exited\" exit_status=\"11\" \
        invocation_id=\"27958a5008624b39838d249d6fa93b04\" subject=\"unit:backup.service\" \
        triggered_by=\"backup.timer\"] backup.service failed on web1: exited with status 11";
    assert_eq!(messages(json!({"transport": "tcp", "host": "log"}), |_| ()), [expected]);
}

#[test]
fn locally_it_is_that_of_glibc() {
    let local = noon().format("%H:%M:%S");
    let expected =
        format!("<27>Nov  1 {local} sysalert[{}]: backup.service failed on web1: exited with status 11", std::process::id());
    assert_eq!(messages(json!({}), |_| ()), [expected]);
}

#[test]
fn the_priority_follows_facility_severity_and_kind() {
    let rows = [
        ("daemon", Kind::Failure, Some("critical"), "<27>"),
        ("kern", Kind::Reminder, Some("warning"), "<4>"),
        ("ftp", Kind::Failure, Some("info"), "<93>"),
        ("local0", Kind::Recovery, Some("critical"), "<133>"),
        ("local7", Kind::Test, None, "<189>"),
        ("auth", Kind::Digest, None, "<35>"),
    ];
    for (facility, kind, severity, expected) in rows {
        let message = &messages(json!({"facility": facility}), |request| {
            request.kind = kind;
            match severity {
                Some(severity) => request.incident.as_mut().expect("an incident").severity = severity.into(),
                None => request.incident = None,
            }
        })[0];
        assert!(message.starts_with(expected), "{facility} {kind:?} {severity:?}: {message}");
    }
}

#[test]
fn a_digest_of_recoveries_is_no_error() {
    let incident = request(json!({})).incident.expect("an incident");
    for (kind, expected) in [(Kind::Recovery, "<29>"), (Kind::Failure, "<28>")] {
        let message = &messages(json!({}), |request| {
            (request.kind, request.incident) = (Kind::Digest, None);
            request.incidents = sysalert_abi::testing::members(&incident, &[(Kind::Recovery, "critical"), (kind, "warning")]);
        })[0];
        assert!(message.starts_with(expected), "{kind:?}: {message}");
    }
}

#[test]
fn a_hostile_request_breaks_neither_structure_nor_line() {
    let message = &messages(json!({"transport": "udp", "host": "log"}), |request| {
        request.host = "a b\u{e9}\n".into();
        request.service_name = "x\"] <27>1 \\ \n\0.service".into();
        request.message.subject = "a\r\n<27>1 forged\0\u{1b}[2J \u{202e}b".into();
    })[0];
    let expected =
        "<27>1 2026-11-01T12:00:00.123456Z a?b?? sysalert - failure [sysalert@32473 unit=\"x\\\"\\] <27>1 \\\\ .service\" ";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.ends_with("] a <27>1 forged [2J b"), "{message}");
    assert!(!message.contains(['\n', '\r', '\0', '\u{1b}']));
}

#[test]
fn a_text_beyond_ascii_bears_the_mark_of_utf_8() {
    let config = json!({"transport": "tls", "host": "log"});
    let message = &messages(config, |request| request.message.subject = "Müll 🗑".into())[0];
    assert!(message.ends_with("] \u{feff}Müll 🗑"), "{message}");
    let local = &messages(json!({}), |request| request.message.subject = "Müll".into())[0];
    assert!(local.ends_with("]: Müll"), "{local}");
}

#[test]
fn no_message_is_longer_than_its_transport_takes() {
    for (transport, most) in [("udp", 1180), ("tcp", 2048), ("tls", 2048)] {
        for text in ["x", "ü", "🗑", "\\"] {
            let long = text.repeat(100_000);
            let message = &messages(json!({"transport": transport, "host": "log", "enterprise": 4_294_967_295u32}), |request| {
                request.message.subject.clone_from(&long);
                request.host = "h".repeat(300);
                request.service_name.clone_from(&long);
                request.idempotency_key = "k".repeat(200);
            })[0];
            assert!(message.len() <= most && message.len() > most - 10, "{transport} {text}: {}", message.len());
            assert!(message.ends_with("..."), "{message}");
            let (_, data) = message.split_once(" [sysalert@4294967295").expect("the data");
            assert!(data.starts_with(" idempotency_key=\""), "what does not fit is left out whole: {data}");
        }
    }
}

#[test]
fn a_digest_has_its_list() {
    let message = &messages(json!({}), |request| {
        request.kind = Kind::Digest;
        request.message.subject = "3 units failed on web1".into();
        request.message.text = "3 units failed on web1\n\na.service  exit 1\n  b.service\n".into();
    })[0];
    assert!(message.ends_with("]: 3 units failed on web1: a.service exit 1; b.service"), "{message}");
}

#[test]
fn the_texts_lines_follow_where_they_are_wanted() {
    let messages = messages(json!({"transport": "tcp", "host": "log", "lines": true}), |request| {
        request.idempotency_key = "k".into();
        request.message.text = "backup.service failed\n\nHost  web1\n  boom\n".into();
    });
    let line = |number: u32, text: &str| {
        format!(
            "<27>1 2026-11-01T12:00:00.123456Z web1 sysalert - failure [sysalert@32473 idempotency_key=\"k\" line=\"{number}\"] {text}"
        )
    };
    assert_eq!(messages[1..], [line(1, "backup.service failed"), line(2, "Host web1"), line(3, "boom")]);
}

#[test]
fn the_socket_has_the_message() {
    let folder = std::env::temp_dir().join(format!("sysalert-syslog-{}", std::process::id()));
    let _ = std::fs::remove_file(&folder);
    let path = folder.to_str().expect("a path");
    let end = send::now() + Duration::from_secs(5);
    let missing = send::local(path, &["a".into()], end);
    let expected = format!("nobody listens at {path}: start systemd-journald, or another syslog daemon");
    assert_eq!(missing, Err(Answer::Retry(expected.clone(), None)));
    let socket = UnixDatagram::bind(&folder).expect("a socket");
    assert_eq!(send::local(path, &["<27>a".into(), "<27>b".into()], end), Ok(Answer::Sent(format!("given to {path}"))));
    let mut buffer = [0; 100];
    for expected in ["<27>a", "<27>b"] {
        let length = socket.recv(&mut buffer).expect("a message");
        assert_eq!(std::str::from_utf8(&buffer[..length]), Ok(expected));
    }
    drop(socket);
    assert_eq!(send::local(path, &["a".into()], end), Err(Answer::Retry(expected, None)), "a socket without a reader");
    std::fs::remove_file(&folder).expect("removed");
}

#[test]
fn datagrams_arrive_and_nobody_says_so() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("an address").port();
    let config = json!({"transport": "udp", "host": "127.0.0.1", "port": port});
    let sent = format!("sent to 127.0.0.1:{port} by UDP: nobody confirms that it arrived");
    assert_eq!(Syslog::failure(&request(config.clone())), Answer::Sent(sent));
    let mut buffer = [0; 2048];
    let length = server.recv(&mut buffer).expect("a message");
    assert!(
        buffer[..length].starts_with(b"<27>1 2")
            && buffer[..length].ends_with(b"] backup.service failed on web1: exited with status 11")
    );
    drop(server);
    let nobody = format!("nobody listens at 127.0.0.1:{port} (UDP)");
    assert_eq!(Syslog::failure(&request(config)), Answer::Retry(nobody, None));
}

/// A server with one connection: what it does with it, and what it hands to the test.
fn server<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (Value, String, Receiver<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(serve(listener.accept().expect("a connection").0)));
    (json!({"transport": "tcp", "host": "127.0.0.1", "port": port, "lines": true}), format!("127.0.0.1:{port}"), receiver)
}

/// The messages of a stream, by their counts.
fn frames(stream: TcpStream) -> Vec<String> {
    let mut reader = BufReader::new(stream);
    let mut frames = Vec::new();
    loop {
        let mut length = Vec::new();
        if reader.read_until(b' ', &mut length).expect("a length") == 0 {
            return frames;
        }
        let length: usize = std::str::from_utf8(&length).expect("digits").trim_end().parse().expect("a number");
        let mut frame = vec![0; length];
        reader.read_exact(&mut frame).expect("a frame");
        frames.push(String::from_utf8(frame).expect("UTF-8"));
    }
}

#[test]
fn a_stream_counts_its_octets() {
    let (config, target, heard) = server(frames);
    let mut request = request(config);
    request.message.text = "ünter\nzwei\n".into();
    assert_eq!(Syslog::failure(&request), Answer::Sent(format!("{target} read it to its end")));
    let frames = heard.recv().expect("the server ended");
    assert_eq!(frames.len(), 3);
    assert!(frames[1].ends_with("] \u{feff}ünter") && frames[2].ends_with("] zwei"), "{frames:?}");
}

#[test]
fn a_server_that_does_not_read_has_not_taken_it() {
    let (config, target, _kept) = server(|stream| {
        thread::spawn(move || stream_kept(&stream));
    });
    let mut request = request(config);
    request.deadline_ms = 1000;
    let expected = format!("{target} did not read it in time");
    assert_eq!(Syslog::failure(&request), Answer::Retry(expected, None));
}

/// Keeps the connection open for longer than any deadline of a test.
fn stream_kept(_stream: &TcpStream) {
    let (_never, wait) = mpsc::channel::<()>();
    let _ = wait.recv_timeout(Duration::from_secs(30));
}

#[test]
fn a_cut_connection_is_tried_again() {
    // Closed with the message unread: the kernel says so with a reset.
    let (config, target, _) = server(|stream| {
        stream.peek(&mut [0]).expect("something came");
    });
    let Answer::Retry(text, None) = Syslog::failure(&request(config)) else { panic!("no retry") };
    assert!(text.starts_with(&format!("{target} was lost before it had read everything: ")), "{text}");
}

#[test]
fn nobody_there_is_tried_again() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    for transport in ["tcp", "tls"] {
        let config = json!({"transport": transport, "host": "127.0.0.1", "port": port});
        let expected = format!("127.0.0.1:{port} cannot be reached: Connection refused (os error 111)");
        assert_eq!(Syslog::failure(&request(config)), Answer::Retry(expected, None));
    }
}

#[test]
fn a_server_without_tls_is_refused_and_one_that_is_silent_is_not_waited_for() {
    let tls = |mut config: Value| {
        config["transport"] = "tls".into();
        config
    };
    let (config, target, _) = server(|mut stream| {
        stream.write_all(b"220 mail.example.org ESMTP\r\n").expect("written");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let expected = format!(
        "{target} does not speak TLS here (received corrupt message of type InvalidContentType): check port and transport"
    );
    assert_eq!(Syslog::failure(&request(tls(config))), Answer::Refused(expected));
    let (config, target, _) = server(|stream| stream_kept(&stream));
    let mut silent = request(tls(config));
    silent.deadline_ms = 1000;
    let Answer::Retry(text, None) = Syslog::failure(&silent) else { panic!("no retry") };
    assert!(text.starts_with(&format!("{target} did not ")) && text.ends_with(" in time"), "{text}");
}

#[test]
fn a_wrong_section_is_refused_with_the_key() {
    let rows = [
        (json!({"transport": "tcp"}), "`transport` needs `host`, the log server"),
        (json!({"host": "log"}), "`host` needs `transport`: \"tls\", \"tcp\" or \"udp\""),
        (json!({"port": 514}), "`port` needs `host`"),
        (
            json!({"transport": "tcp", "host": "log:514"}),
            "`host` must be a name or an address alone; the port belongs into `port`",
        ),
        (json!({"transport": "tcp", "host": "log", "port": 0}), "`port` must be a nonzero u16"),
        (json!({"transport": "tcp", "host": "log", "ca": "/x"}), "`ca` is for `transport = \"tls\"`"),
        (json!({"transport": "tls", "host": "log", "ca": "x"}), "`ca` must be absolute: begin with /"),
        (json!({"enterprise": 0}), "`enterprise` must be a nonzero u32"),
        (
            json!({"hots": "log"}),
            "unknown field `hots`, expected one of `transport`, `host`, `port`, `ca`, `certificate`, `key`, `facility`, `lines`, \
             `enterprise`",
        ),
        (json!({"transport": "tcp", "host": "log", "key": "/x"}), "`key` is for `transport = \"tls\"`"),
        (
            json!({"transport": "tls", "host": "log", "certificate": "/x"}),
            "`certificate` needs `key`, the file of its private key",
        ),
        (json!({"transport": "tls", "host": "log", "key": "/x"}), "`key` needs `certificate`"),
    ];
    for (config, expected) in rows {
        let answer = Syslog::failure(&request(config.clone()));
        assert_eq!(answer, Answer::Refused(format!("its configuration does not fit: {expected}")), "{config}");
    }
}

#[test]
fn the_port_follows_the_transport() {
    for (transport, host, expected) in [("udp", "log", "log:514"), ("tcp", "[::1]", "[::1]:514"), ("tls", "log", "log:6514")] {
        let request = request(json!({"transport": transport, "host": host}));
        assert_eq!(Settings::read(&request).expect("valid").target(), expected);
    }
}

/// The names of the structured data and the text behind it; what breaks its syntax (RFC 5424, 6) panics.
fn parsed(message: &str) -> (Vec<String>, &str) {
    let (head, mut rest) = message.split_once(" [sysalert@32473").expect("the data");
    assert_eq!(head.split(' ').count(), 6, "{head}");
    let mut names = Vec::new();
    while let Some((name, value)) = rest.strip_prefix(' ').and_then(|rest| rest.split_once("=\"")) {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{message}");
        names.push(name.to_owned());
        let mut escaped = false;
        let end = value.find(|c| {
            let is_end = c == '"' && !escaped;
            assert!(c != ']' || escaped, "{message}");
            escaped = c == '\\' && !escaped;
            is_end
        });
        rest = &value[end.expect("an end") + 1..];
    }
    (names, rest.strip_prefix("] ").expect("the end of the data"))
}

/// Five hundred nasty messages: none is longer than its transport takes, none is two, and each begins as its subject does.
#[test]
fn no_nasty_message_breaks_the_form() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, streams) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            sender.send(frames(stream.expect("a connection"))).expect("a test");
        }
    });
    let check = |messages: &[String], request: &Request, most: usize| {
        for (number, message) in messages.iter().enumerate() {
            assert!(message.len() <= most && !message.contains(char::is_control), "{message}");
            let (names, text) = parsed(message);
            assert_eq!(names.iter().any(|name| name == "line"), number > 0, "{message}");
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            if number == 0 && request.kind != Kind::Digest {
                let subject = one_line(&request.message.subject, most);
                let kept = text.strip_suffix("...").filter(|_| text != subject).unwrap_or(text);
                assert!(subject.starts_with(kept) && (text == subject || message.len() > most - 10), "{message}");
            }
        }
    };
    let config = json!({"transport": "tcp", "host": "127.0.0.1", "port": port, "lines": true});
    let mut received = 0;
    for (number, mut request) in nasty_requests(&config).enumerate() {
        request.service_name.clone_from(&request.message.subject);
        let answer = Syslog::failure(&request);
        assert!(matches!(answer, Answer::Sent(_)), "message {number}: {answer:?}");
        check(&streams.recv().expect("a stream"), &request, 2048);
        received += 1;
    }
    assert_eq!(received, NASTY);
    for request in nasty_requests(&json!({"transport": "udp", "host": "127.0.0.1"})) {
        check(&message::messages(&request, &Settings::read(&request).expect("valid"), noon()), &request, 1180);
    }
}

#[test]
fn a_server_that_takes_connections_is_reached_and_hears_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let reach =
        |transport: &str, port: u16| Syslog::reach(&request(json!({"transport": transport, "host": "127.0.0.1", "port": port})));
    assert_eq!(reach("tcp", port), Ok(format!("127.0.0.1:{port} answers")));
    let mut heard = Vec::new();
    listener.accept().expect("a connection").0.read_to_end(&mut heard).expect("its end");
    assert!(heard.is_empty(), "{heard:?}");
    drop(listener);
    assert!(matches!(reach("tcp", port), Err(Answer::Retry(text, None)) if text.contains("cannot be reached")));
    assert_eq!(reach("udp", port), Ok(String::new()), "nobody can tell");
}
