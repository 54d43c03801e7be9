//! From the request to syslog messages: one for the alert, and where it is wanted one for each line of its text.

use chrono::{DateTime, Local, SecondsFormat, Utc};
use sysalert_abi::{Kind, Level, Request, one_line};

use crate::settings::{Settings, Transport};

/// In bytes. Each receiver takes 2048 (RFC 5424, 6.1: SHOULD; RFC 5425, 4.3.1: MUST).
const MOST: usize = 2048;
/// A datagram that no router needs to split: IPv6's smallest MTU of 1280 bytes, less what IPv6 and UDP take and some for tunnels
/// (RFC 5426, 3.2 counts 1180 for it).
const MOST_UDP: usize = 1180;
/// The structured data leaves at least half of a message to its text.
const DATA: usize = MOST_UDP / 2;
/// A digest is a list.
const DIGEST_LINES: usize = 40;
/// No text has more lines that follow.
const LINES: usize = 200;

/// The messages in their order, without the frames of a transport.
pub(crate) fn messages(request: &Request, settings: &Settings, now: DateTime<Local>) -> Vec<String> {
    let gist = gist(request);
    let mut messages = vec![one(request, settings, now, &facts(request), &gist)];
    if settings.lines {
        let lines = request.message.text.lines().map(|line| one_line(line, MOST)).filter(|line| !line.is_empty());
        messages.extend(lines.take(LINES).enumerate().map(|(number, line)| {
            let place = [("idempotency_key", request.idempotency_key.clone()), ("line", (number + 1).to_string())];
            one(request, settings, now, &place, &line)
        }));
    }
    messages
}

/// What the alert says in one line.
fn gist(request: &Request) -> String {
    let subject = one_line(&request.message.subject, MOST);
    let listed = if request.kind == Kind::Digest { request.message.gist(DIGEST_LINES) } else { Vec::new() };
    if listed.is_empty() { subject } else { one_line(&format!("{subject}: {}", listed.join("; ")), MOST) }
}

fn one(request: &Request, settings: &Settings, now: DateTime<Local>, facts: &[(&str, String)], text: &str) -> String {
    let priority = settings.facility as u8 * 8 + severity(request);
    let most = if settings.transport == Transport::Udp { MOST_UDP } else { MOST };
    let mut message = if settings.transport == Transport::Local {
        // As glibc's syslog(3) writes it: local time, English names, no host.
        format!("<{priority}>{} sysalert[{}]: ", now.format("%b %e %H:%M:%S"), std::process::id())
    } else {
        let time = now.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Micros, true);
        let (host, kind) = (header(&request.host, 255), request.kind.as_str());
        let mut head = format!("<{priority}>1 {time} {host} sysalert - {kind} {} ", data(settings.enterprise, facts));
        if !text.is_ascii() {
            // RFC 5424, 6.4: a text in UTF-8 begins with the byte order mark, one in ASCII need not.
            head.push('\u{feff}');
        }
        head
    };
    let room = most.saturating_sub(message.len());
    message.push_str(&cut(text, room));
    message
}

/// The same as of the method `journal`: err, warning, notice.
fn severity(request: &Request) -> u8 {
    match request.level() {
        Level::Well | Level::Info => 5,
        Level::Warning => 4,
        Level::Critical => 3,
    }
}

/// What has a value, what counts most first.
fn facts(request: &Request) -> Vec<(&'static str, String)> {
    let incident = request.incident.as_ref();
    let newest = request.failures.last();
    let facts = [
        ("unit", Some(&request.service_name)),
        ("idempotency_key", Some(&request.idempotency_key)),
        ("severity", incident.map(|incident| &incident.severity)),
        ("incident", incident.map(|incident| incident.id.to_string()).as_ref()),
        ("failures", incident.map(|incident| incident.failures.to_string()).as_ref()),
        ("service_result", newest.and_then(|failure| failure.service_result.as_ref())),
        ("exit_code", newest.and_then(|failure| failure.exit_code.as_ref())),
        ("exit_status", newest.and_then(|failure| failure.exit_status.as_ref())),
        ("invocation_id", newest.and_then(|failure| failure.invocation_id.as_ref())),
        ("subject", incident.map(|incident| &incident.subject)),
        ("triggered_by", newest.and_then(|failure| failure.triggered_by.as_ref())),
    ]
    .map(|(name, value)| (name, value.cloned().unwrap_or_default()));
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// The structured data (RFC 5424, 6.3); a value for which there is no room any more is left out, never cut.
fn data(enterprise: u32, facts: &[(&str, String)]) -> String {
    let mut data = format!("[sysalert@{enterprise}");
    for (name, value) in facts {
        let value = one_line(value, DATA).replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let fact = format!(" {name}=\"{value}\"");
        if data.len() + fact.len() < DATA {
            data.push_str(&fact);
        }
    }
    data.push(']');
    data
}

/// A field of the header: printable ASCII without spaces, "-" for nothing.
fn header(text: &str, most: usize) -> String {
    let printable: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(most).collect();
    if printable.is_empty() { "-".to_owned() } else { printable }
}

/// At most so many bytes, with a sign that some are missing.
fn cut(text: &str, room: usize) -> String {
    const SIGN: &str = "...";
    if text.len() <= room {
        return text.to_owned();
    }
    let most = room.saturating_sub(SIGN.len());
    let end = (0..=most).rfind(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}{SIGN}", &text[..end])
}
