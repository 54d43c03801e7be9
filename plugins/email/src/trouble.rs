//! What can go wrong on the way to the server, as a sentence that says who must do what.

use std::error::Error as _;
use std::io::{self, ErrorKind};

use lettre::transport::smtp::Error;
use sysalert_abi::{Answer, one_line};
use sysalert_tls::{Advice, handshake};

use crate::settings::{Settings, Tls};
use crate::text::redact;

/// A server's reply is shown with at most this many characters.
const REPLY: usize = 300;

/// Why a recipient did not get the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A later try may succeed.
    Later(String),
    /// Not before somebody changes something.
    Never(String),
}

/// What was under way when an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// The connection, the TLS handshake of `tls = "implicit"`, the greeting and EHLO.
    Connect,
    /// STARTTLS, its TLS handshake and the second EHLO.
    StartTls,
    /// AUTH.
    Login,
    /// MAIL FROM, with this address.
    Sender(&'a str),
    /// RCPT TO, with this address.
    Recipient(&'a str),
    /// DATA and the mail itself.
    Content,
}

impl Trouble {
    /// What `error` means at `step`.
    pub(crate) fn of(error: &Error, step: Step<'_>, settings: &Settings) -> Trouble {
        let server = settings.server();
        if let Some(code) = error.status() {
            let said = reply(&format!("{code} {}", source(error)), settings);
            return if error.is_permanent() {
                refused(&server, step, &said, code.into())
            } else {
                deferred(&server, step, &said)
            };
        }
        if let Some(tls) = io(error).and_then(|io| io.get_ref()).and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return match handshake(tls, &server, &ADVICE) {
                Answer::Refused(text) => Trouble::Never(text),
                Answer::Sent(text) | Answer::Retry(text, _) => Trouble::Later(text),
            };
        }
        let what = match io(error).map(io::Error::kind) {
            Some(ErrorKind::WouldBlock | ErrorKind::TimedOut) => return silent(step, settings),
            Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                "the connection was cut".to_string()
            }
            _ if error.is_response() && source(error) == "incomplete response" => "the connection was cut".to_string(),
            _ => reply(&source(error), settings),
        };
        match step {
            Step::Connect => Trouble::Later(format!("{server} cannot be reached: {what}")),
            _ => Trouble::Later(format!("{server} was lost {}: {what}", step.when())),
        }
    }
}

impl Step<'_> {
    fn when(self) -> &'static str {
        match self {
            Step::Connect => "while connecting",
            Step::StartTls => "after STARTTLS",
            Step::Login => "at the login",
            Step::Sender(_) => "after MAIL FROM",
            Step::Recipient(_) => "after RCPT TO",
            Step::Content => "before it confirmed the message",
        }
    }
}

/// The server's words as they may be shown. They are hostile input, and may echo the login.
pub(crate) fn reply(said: &str, settings: &Settings) -> String {
    // Twice, as it stands and without control characters; cut last, since half a password must not be left over.
    let login = settings.login.as_ref();
    one_line(&redact(one_line(&redact(said.to_string(), login), usize::MAX), login), REPLY)
}

/// The server did not answer in time.
pub(crate) fn silent(step: Step<'_>, settings: &Settings) -> Trouble {
    let server = settings.server();
    // A port for implicit TLS waits for the client to speak first, and so does the client here.
    let hint = match (step, settings.tls, settings.port) {
        (Step::Connect, Tls::None | Tls::Starttls, 465) => ": port 465 usually wants tls = \"implicit\"",
        _ => "",
    };
    match step {
        Step::Content => Trouble::Later(format!("{server} did not confirm the message in time")),
        _ => Trouble::Later(format!("{server} did not answer in time {}{hint}", step.when())),
    }
}

/// The server said yes to something else.
pub(crate) fn out_of_place(said: &str, settings: &Settings) -> Trouble {
    Trouble::Later(format!("{} gave a reply that does not belong there ({said})", settings.server()))
}

fn refused(server: &str, step: Step<'_>, said: &str, code: u16) -> Trouble {
    Trouble::Never(match step {
        // 530 is "authentication required" wherever it comes (RFC 4954).
        Step::Sender(_) | Step::Recipient(_) | Step::Content if code == 530 => {
            format!("{server} wants a login ({said}): set username and password, and tls if it wants that first")
        }
        Step::Connect => format!("{server} refused the connection ({said}): ask its administrator to let this host in"),
        Step::StartTls => format!("{server} refused STARTTLS ({said}): ask its administrator, or set tls and port otherwise"),
        Step::Login => format!("{server} refused the login ({said}): check username and password"),
        Step::Sender(address) => {
            format!("{server} refused the sender {address} ({said}): set `from` to an address that it takes")
        }
        Step::Recipient(address) => format!("{server} refused {address} ({said}): check the address in `to`"),
        Step::Content => format!("{server} refused the message ({said}): ask its administrator why"),
    })
}

fn deferred(server: &str, step: Step<'_>, said: &str) -> Trouble {
    Trouble::Later(match step {
        Step::Connect => format!("{server} takes no connection now ({said})"),
        Step::StartTls => format!("{server} cannot encrypt now ({said})"),
        Step::Login => format!("{server} cannot check the login now ({said})"),
        Step::Sender(_) | Step::Content => format!("{server} does not take the message now ({said})"),
        Step::Recipient(address) => format!("{server} does not take mail for {address} now ({said})"),
    })
}

const ADVICE: Advice = Advice {
    name: "set host to the name in it",
    issuer: "install ca-certificates, or put the issuer's certificate into the system's store",
    plain: "check tls and port (465 implicit, 587 starttls)",
};

/// Whether the address says that nobody listens there; the last two, that this machine has no such addresses (IPv6 turned off).
pub(crate) fn is_absent(error: &Error) -> bool {
    let kind = io(error).map(io::Error::kind);
    matches!(kind, Some(ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable))
}

fn io(error: &Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}

/// lettre's error without the words that lettre puts before it.
fn source(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tests::request;

    fn settings(tls: &str, port: u16) -> Settings {
        let section = json!({"host": "mail.example.org", "tls": tls, "port": port, "to": ["a@example.org"]});
        Settings::read(&request(section)).expect("valid")
    }

    #[test]
    fn silence_on_the_port_for_tls_has_a_likely_reason() {
        let text = |tls, port| match silent(Step::Connect, &settings(tls, port)) {
            Trouble::Later(text) | Trouble::Never(text) => text,
        };
        assert!(text("starttls", 465).ends_with("port 465 usually wants tls = \"implicit\""));
        assert!(text("none", 465).ends_with("port 465 usually wants tls = \"implicit\""));
        assert!(text("implicit", 465).ends_with("in time while connecting"));
        assert!(text("starttls", 587).ends_with("in time while connecting"));
    }
}
