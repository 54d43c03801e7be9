//! A server's answer, and what it means.

use std::time::SystemTime;

use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;
use sysalert_abi::Answer;

use crate::call::place;
use crate::words;

/// A server's answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    server: String,
    status: StatusCode,
    /// Seconds.
    retry_after: Option<u64>,
    /// Where a redirect points, if that is an address.
    location: Option<Url>,
    headers: HeaderMap,
    body: Vec<u8>,
    whole: bool,
    secrets: Vec<String>,
}

impl Reply {
    pub(crate) fn new(server: &str, response: &Response, secrets: &[String], now: SystemTime) -> Reply {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        // a server's clock may differ from this machine's: its own Date is the one that its Retry-After means
        let now = header(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        Reply {
            server: server.to_owned(),
            status: response.status(),
            retry_after: header(RETRY_AFTER).and_then(|after| seconds(after, now)),
            location: header(LOCATION).and_then(|location| response.url().join(location).ok()),
            headers: response.headers().clone(),
            body: Vec::new(),
            whole: false,
            secrets: secrets.to_vec(),
        }
    }

    pub(crate) fn set_body(&mut self, body: Vec<u8>, whole: bool) {
        (self.body, self.whole) = (body, whole);
    }

    /// The status, such as 200.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Whether the status is one of success (2xx).
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The body as text, at most its first 64 KiB. Hostile input: show it by [`Reply::answer`] and its like alone.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the body came whole, or as far as it is read: a connection may be cut in the middle of an answer.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// This header's value, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What the status means for the message, with the body as the server's words.
    pub fn answer(&self) -> Answer {
        self.meaning(&self.text())
    }

    /// What the status means, with these words of the server's: those that matter of a longer body.
    pub fn meaning(&self, said: &str) -> Answer {
        let (server, said) = (&self.server, self.quoted(said));
        let status = self.status;
        match status.as_u16() {
            _ if status.is_success() => self.sent(&self.text()),
            300..=399 => {
                let to = self.location.as_ref().filter(|url| url.has_host()).map(place);
                let to = to.map_or_else(
                    || "elsewhere".into(),
                    |place| if place == *server { "another path there".into() } else { place },
                );
                Answer::Refused(format!(
                    "{server} sends the call on to {to} ({}): set the address to the new one, since no redirect is followed",
                    status.as_u16()
                ))
            }
            429 => self.later(format!("{server} takes no more messages for now{said}")),
            408 | 425 | 500..=599 => self.later(format!("{server} cannot take the message now{said}")),
            401 | 403 => Answer::Refused(format!("{server} does not let the call in{said}: check the key or token")),
            404 | 410 => {
                Answer::Refused(format!("{server} has nothing at this address{said}: check the address, it may be revoked"))
            }
            407 => {
                Answer::Refused(format!("the proxy wants a login{said}: put it into HTTPS_PROXY as http://USER:PASSWORD@HOST"))
            }
            413 => Answer::Refused(format!("{server} finds the message too long{said}")),
            400..=499 => Answer::Refused(format!("{server} refused the message{said}: check the method's section")),
            _ => self.later(format!("{server} gave an answer that does not belong there{said}")),
        }
    }

    /// The channel took the message, and said so.
    pub fn sent(&self, said: &str) -> Answer {
        Answer::Sent(format!("{} took it{}", self.server, self.quoted(said)))
    }

    /// The channel did not take the message now; `after`: its own wish in seconds, if not in Retry-After.
    pub fn retry(&self, said: &str, after: Option<u64>) -> Answer {
        let sentence = format!("{} cannot take the message now{}", self.server, self.quoted(said));
        Answer::Retry(sentence, after.or(self.retry_after))
    }

    /// The channel did not take the message, and will not; `todo` says who must do what.
    pub fn refused(&self, said: &str, todo: &str) -> Answer {
        Answer::Refused(format!("{} refused the message{}: {todo}", self.server, self.quoted(said)))
    }

    fn later(&self, sentence: String) -> Answer {
        Answer::Retry(sentence, self.retry_after)
    }

    /// " (200 ok)".
    fn quoted(&self, said: &str) -> String {
        let said = words::shown(said, &self.secrets);
        let status = self.status.as_u16();
        if said.is_empty() { format!(" ({status})") } else { format!(" ({status} {said})") }
    }
}

/// Retry-After in seconds: a number, or a date (RFC 9110, 10.2.3).
fn seconds(after: &str, now: SystemTime) -> Option<u64> {
    let after = after.trim();
    // some channels give fractions (https://discord.com/developers/docs/topics/rate-limits): rounded up
    if let Ok(number) = after.parse::<f64>() {
        return (number >= 0.0).then_some(number.ceil() as u64);
    }
    let at = httpdate::parse_http_date(after).ok()?;
    Some(at.duration_since(now).map_or(0, |wait| wait.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = httpdate::parse_http_date("Sat, 21 Nov 2026 03:00:00 GMT").expect("a date");
        for (after, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("0.35", Some(1)),
            ("-5", None),
            ("NaN", None),
            ("1e300", Some(u64::MAX)),
            ("soon", None),
            ("Sat, 21 Nov 2026 03:02:00 GMT", Some(120)),
            ("Saturday, 21-Nov-26 03:02:00 GMT", Some(120)),
            ("Sat Nov 21 03:02:00 2026", Some(120)),
            ("Sat, 21 Nov 2026 02:00:00 GMT", Some(0)),
        ] {
            assert_eq!(seconds(after, now), expected, "{after}");
        }
    }
}
