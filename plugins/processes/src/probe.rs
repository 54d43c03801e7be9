//! A health check over HTTP: an address answers with a status, and perhaps a text.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use sysalert_abi::{Answer, Deadline};
use sysalert_http::{Call, Client, Method, address};

use crate::trouble::Trouble;

/// What is asked, and what must come.
#[derive(Deserialize)]
pub(crate) struct Probe {
    url: String,
    status: u16,
    text: Option<String>,
    ca: Option<PathBuf>,
    deadline_ms: u64,
}

/// Whether it does.
pub(crate) fn probe(probe: &Probe) -> Result<(), Trouble> {
    let hint = "look at what answers there, or correct `health_check_url` and its like";
    let wrong = |answer: Answer| {
        let (Answer::Sent(text) | Answer::Retry(text, _) | Answer::Refused(text)) = answer;
        Trouble::new(text, hint)
    };
    let url = address("health_check_url", &probe.url).map_err(wrong)?;
    let deadline = Deadline::after(probe.deadline_ms);
    let client = Client::new(deadline, probe.ca.as_deref()).map_err(wrong)?;
    let reply = client.send(&Call::new(Method::GET, url)).map_err(wrong)?;
    if reply.status() != probe.status {
        return Err(Trouble::new(format!("its address answers with status {}, not {}", reply.status(), probe.status), hint));
    }
    match &probe.text {
        Some(text) if !reply.text().contains(text.as_str()) && !reply.is_whole() => {
            let what = match deadline.left() {
                Some(left) if left > Duration::from_millis(probe.deadline_ms / 4) => {
                    "its address broke off in the midst of its answer"
                }
                _ => "its address is too slow: it did not send all of its answer in time",
            };
            Err(Trouble::new(format!("{what}, and what came lacks the text that `health_check_text` wants"), hint))
        }
        Some(text) if !reply.text().contains(text.as_str()) => {
            Err(Trouble::new("its address answers without the text that `health_check_text` wants", hint))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use serde_json::{Value, json};

    /// One answer of a server, and what the probe says about it.
    fn of(answer: &'static str, status: u16, text: Option<&str>) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let said = crate::serve(&json!({ "task": "probe", "url": url, "status": status, "text": text, "deadline_ms": 20_000 }));
        server.join().unwrap();
        said
    }

    /// What is said about a server whose answer does not come to its end.
    fn dripping(deadline: u64, text: &str) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7000\r\n\r\nall ok").unwrap();
            // until the client has enough
            let _ = stream.read(&mut [0; 1024]);
        });
        let said = crate::serve(&json!({ "task": "probe", "url": url, "status": 200, "text": text, "deadline_ms": deadline }));
        server.join().unwrap();
        said
    }

    #[test]
    fn status_and_text_must_be_as_expected() {
        let good = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nall ok\n";
        let bad = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(of(good, 200, None), json!({ "ok": null }));
        assert_eq!(of(good, 200, Some("all ok")), json!({ "ok": null }));
        assert_eq!(of(bad, 503, None), json!({ "ok": null }));
        let what = |said: Value| said["error"]["what"].as_str().unwrap_or_default().to_owned();
        assert_eq!(what(of(bad, 200, None)), "its address answers with status 503, not 200");
        assert_eq!(what(of(good, 200, Some("degraded"))), "its address answers without the text that `health_check_text` wants");
        // it breaks off, and it never comes to an end
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\nall ok\n";
        assert!(what(of(cut, 200, Some("degraded"))).starts_with("its address broke off in the midst of its answer, "));
        assert_eq!(of(cut, 200, Some("all ok")), json!({ "ok": null }));
        assert!(
            what(dripping(2000, "degraded")).starts_with("its address is too slow: it did not send all of its answer in time, ")
        );
        let closed = crate::serve(&json!({ "task": "probe", "url": "http://127.0.0.1:1/", "status": 200, "deadline_ms": 2000 }));
        assert!(what(closed.clone()).contains("http://127.0.0.1:1"), "{closed}");
    }
}
