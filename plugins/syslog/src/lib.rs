//! sysalert's alert method `syslog`: to the local log socket, or by RFC 5424 to a server over UDP, TCP or TLS.
//!
//! Settings: `transport`, `host`, `port`, `ca`, `certificate`, `key`, `facility`, `lines`, `enterprise`; `settings.json` has their
//! defaults and `example.toml` shows a section.
//!
//! - An alert is one message: its subject, for a digest with its list. The facts are structured data. With `lines` the text
//!   follows, a message for each line. Control characters are taken out, so that no message has a line's end in it.
//! - Locally the form is that of glibc's syslog(3), which journald, rsyslog and syslog-ng expect at /dev/log: RFC 5424 is none
//!   of theirs there.
//! - The name of the structured data needs a private enterprise number (RFC 5424, 6.3.2). sysalert has none: the default,
//!   32473, is the one that IANA keeps for examples (RFC 5612). Whoever has a number of their own sets `enterprise`.
//! - Syslog has no acknowledgement. Over TCP and TLS it counts as sent when the server has read to the end and closed the
//!   connection; over UDP when it was sent and nobody objected, and the answer says so.
//! - TLS: the server's certificate must be for `host`, and from an authority of `ca` or of the system (`SSL_CERT_FILE` is
//!   honoured).

mod message;
mod send;
mod settings;
#[cfg(test)]
mod tests;
mod tls;

use std::ffi::CStr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use chrono::Local;
use sysalert_abi::{Answer, Plugin, Request, export_plugin, zero_ended};

use settings::Settings;

/// The method, as sysalert loads it.
struct Syslog;

impl Plugin for Syslog {
    const NAME: &'static CStr = c"syslog";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        deliver(request).unwrap_or_else(|answer| answer)
    }

    fn check(request: &Request) -> Result<(), Answer> {
        let settings = Settings::read(request)?;
        if settings.transport == settings::Transport::Tls { tls::configuration(&settings).map(drop) } else { Ok(()) }
    }

    fn reach(request: &Request) -> Result<String, Answer> {
        let settings = Settings::read(request)?;
        send::reach(&settings, Duration::from_millis(request.deadline_ms))
    }
}

export_plugin!(Syslog, sysalert_plugin_v1_syslog);

/// Sends, and answers before the deadline whatever happens.
fn deliver(request: &Request) -> Result<Answer, Answer> {
    let settings = Settings::read(request)?;
    let messages = message::messages(request, &settings, now());
    let target = settings.target();
    // No try of an hour makes sense, and the clock's arithmetic overflows on what has no end.
    let whole = Duration::from_millis(request.deadline_ms.min(3_600_000));
    let reserve = (whole / 10).min(Duration::from_secs(1));
    let (done, wait) = mpsc::channel();
    // A thread, because a name that does not resolve and a server that sends a byte a second know no timeout of ours.
    thread::Builder::new()
        .spawn(move || done.send(send::send(&settings, &messages, whole - reserve)))
        .map_err(|error| Answer::Retry(format!("no thread can be started: {error}"), None))?;
    wait.recv_timeout(whole - reserve / 2)
        .unwrap_or_else(|_| Err(Answer::Retry(format!("{target} did not answer in time"), None)))
}

#[allow(clippy::disallowed_methods, reason = "a plugin is a process of its own, without sysalert's host module")]
fn now() -> chrono::DateTime<Local> {
    Local::now()
}
