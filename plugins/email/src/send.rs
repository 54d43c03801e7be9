//! The conversation with the server (RFC 5321): connect, encrypt, log in, one transaction; at need one for each recipient.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension};
use lettre::transport::smtp::response::{Response, Severity};
use sysalert_abi::{Answer, Deadline};

use crate::ledger::Ledger;
use crate::settings::{Settings, Tls};
use crate::trouble::{Step, Trouble, is_absent, out_of_place, reply, silent};

/// LOGIN is old and not registered any more, but some servers know nothing else.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
/// A server's name with more addresses than this is tried no further.
const ADDRESSES: usize = 8;

/// One try to deliver one mail. What becomes of each recipient is written into the ledger as soon as it is known.
pub(crate) struct Sender<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) mail: &'a [u8],
    pub(crate) deadline: Deadline,
    pub(crate) ledger: &'a Ledger,
}

/// Whether the server answers, encrypts and takes the login as the settings want it. Nothing is sent.
///
/// # Errors
/// The answer that a mail would have.
pub(crate) fn reach(settings: &Settings, deadline: Deadline) -> Result<String, Answer> {
    let ledger = Ledger::new(settings.server(), settings.recipients());
    let sender = Sender { settings, mail: &[], deadline, ledger: &ledger };
    match sender.open() {
        Ok(mut connection) => {
            // the farewell is a courtesy, and not for long
            let _ = connection.set_timeout(Some(FAREWELL));
            connection.abort();
            Ok(format!("{} answers", settings.server()))
        }
        Err(Unopened { trouble: Trouble::Later(text), .. }) => Err(Answer::Retry(text, None)),
        Err(Unopened { trouble: Trouble::Never(text), .. }) => Err(Answer::Refused(text)),
    }
}

impl Sender<'_> {
    /// Sends to all in one transaction; if the server refused that mail for good, to each alone: one recipient's filter
    /// must not silence the others.
    ///
    /// # Errors
    /// That nobody listens there. All other trouble is in the ledger.
    pub(crate) fn send(&self) -> Result<(), Trouble> {
        let alone = match self.transaction(&self.settings.recipients()) {
            Ok(()) => Vec::new(),
            Err(Failed { accepted, cause: Cause::Refused, .. }) if accepted.len() > 1 => accepted,
            Err(Failed { trouble, cause: Cause::Absent, .. }) => return Err(trouble),
            Err(Failed { trouble, .. }) => {
                self.ledger.rest(&trouble);
                Vec::new()
            }
        };
        for recipient in alone {
            if let Err(Failed { trouble, .. }) = self.transaction(std::slice::from_ref(&recipient)) {
                self.ledger.set(&recipient, Err(trouble));
            }
        }
        Ok(())
    }

    /// One connection with one transaction. Verdicts about single recipients are in the ledger afterwards; the error is
    /// about those who would have got the mail otherwise.
    fn transaction(&self, recipients: &[Address]) -> Result<(), Failed> {
        let unopened = |Unopened { trouble, absent }| Failed {
            trouble,
            accepted: recipients.to_vec(),
            cause: if absent { Cause::Absent } else { Cause::Lost },
        };
        let mut connection = self.open().map_err(unopened)?;
        let result = self.mail(&mut connection, recipients);
        // The farewell is a courtesy: not to a server that does not answer, and not for long.
        if let (Some(left), false) = (self.deadline.left(), result.as_ref().is_err_and(|failed| failed.cause == Cause::Lost)) {
            let _ = connection.set_timeout(Some(left.min(FAREWELL)));
            connection.abort();
        }
        result
    }

    fn mail(&self, connection: &mut SmtpConnection, recipients: &[Address]) -> Result<(), Failed> {
        let from = &self.settings.from.email;
        self.command(connection, Step::Sender(from.as_ref()), Severity::PositiveCompletion, |c| {
            c.command(Mail::new(Some(from.clone()), vec![]))
        })
        .map_err(|fault| fault.at(recipients.to_vec()))?;
        let mut accepted = Vec::new();
        for (tried, recipient) in recipients.iter().enumerate() {
            let step = Step::Recipient(recipient.as_ref());
            let rcpt = |c: &mut SmtpConnection| c.command(Rcpt::new(recipient.clone(), vec![]));
            match self.command(connection, step, Severity::PositiveCompletion, rcpt) {
                Ok(_) => accepted.push(recipient.clone()),
                Err(Fault { trouble, broken: false }) => self.ledger.set(recipient, Err(trouble)),
                // From here on a reply might belong to another command.
                Err(fault) => {
                    accepted.extend_from_slice(&recipients[tried..]);
                    return Err(fault.at(accepted));
                }
            }
        }
        if accepted.is_empty() {
            return Ok(());
        }
        let taken = self
            .command(connection, Step::Content, Severity::PositiveIntermediate, |c| c.command(Data))
            .and_then(|_| self.command(connection, Step::Content, Severity::PositiveCompletion, |c| content(c, self.mail)));
        match taken {
            Ok(response) => {
                let said = said(&response, self.settings);
                for recipient in &accepted {
                    self.ledger.set(recipient, Ok(said.clone()));
                }
                Ok(())
            }
            Err(Fault { trouble: Trouble::Never(text), broken: false }) => {
                Err(Failed { trouble: Trouble::Never(text), accepted, cause: Cause::Refused })
            }
            Err(fault) => Err(fault.at(accepted)),
        }
    }

    /// Says one thing and takes only a reply of the kind that belongs to it: lettre takes 354 for a success everywhere.
    fn command(
        &self,
        connection: &mut SmtpConnection,
        step: Step<'_>,
        expected: Severity,
        say: impl FnOnce(&mut SmtpConnection) -> Result<Response, lettre::transport::smtp::Error>,
    ) -> Result<Response, Fault> {
        let broken = |trouble| Fault { trouble, broken: true };
        self.ledger.reached(silent(step, self.settings));
        let Some(left) = self.deadline.left() else { return Err(broken(silent(step, self.settings))) };
        connection.set_timeout(Some(left)).map_err(|error| broken(Trouble::Later(format!("no timeout can be set: {error}"))))?;
        let response = say(connection)
            .map_err(|error| Fault { broken: error.status().is_none(), trouble: Trouble::of(&error, step, self.settings) })?;
        if response.code().severity != expected {
            return Err(broken(out_of_place(&said(&response, self.settings), self.settings)));
        }
        Ok(response)
    }

    /// A connection that is encrypted and logged in as the settings want it. Each of the server's addresses gets its share
    /// of the time, so that one that is dead does not use up all.
    fn open(&self) -> Result<SmtpConnection, Unopened> {
        let server = self.settings.server();
        let addresses: Vec<SocketAddr> = (self.settings.host.as_str(), self.settings.port)
            .to_socket_addrs()
            .map_err(|error| Trouble::Later(format!("{server}: the name cannot be resolved ({error})")))?
            .take(ADDRESSES)
            .collect();
        let mut last = Unopened::from(Trouble::Later(format!("{server}: the name has no address")));
        let mut absent = true;
        for (tried, address) in addresses.iter().enumerate() {
            // what is wrong with the address before this one is known more precisely
            let Some(left) = self.deadline.left() else {
                return Err(if tried == 0 { silent(Step::Connect, self.settings).into() } else { last });
            };
            let others = addresses.len() - tried - 1;
            // to a server that falls silent lettre says goodbye, and waits as long once more
            let share = if others == 0 { left } else { left / (2 * (others + 1)) as u32 };
            match self.connect(*address, share) {
                Ok(mut connection) => return Ok(self.log_in(&mut connection).map(|()| connection)?),
                Err(unopened) => {
                    absent &= unopened.absent;
                    last = unopened;
                }
            }
        }
        Err(Unopened { absent: absent && last.absent, ..last })
    }

    fn connect(&self, address: SocketAddr, share: Duration) -> Result<SmtpConnection, Unopened> {
        let settings = self.settings;
        let server = settings.server();
        if settings.login.is_some() && settings.tls == Tls::None && !address.ip().to_canonical().is_loopback() {
            return Err(Unopened::from(Trouble::Never(format!(
                "{server} is another machine, and a login goes there only encrypted: \
             set tls to \"starttls\" or \"implicit\", or remove username and password"
            ))));
        }
        let hello = ClientId::Domain(settings.domain.clone());
        let tls = match settings.tls {
            Tls::None => None,
            Tls::Starttls | Tls::Implicit => Some(
                TlsParameters::new(settings.host.clone())
                    .map_err(|error| Trouble::Never(format!("no encrypted connection to {server} can be made: {error}")))?,
            ),
        };
        self.ledger.reached(silent(Step::Connect, settings));
        let wrap = tls.as_ref().filter(|_| settings.tls == Tls::Implicit);
        let mut connection = SmtpConnection::connect(address, Some(share), &hello, wrap, None)
            .map_err(|error| Unopened { absent: is_absent(&error), trouble: Trouble::of(&error, Step::Connect, settings) })?;
        if let (Tls::Starttls, Some(tls)) = (settings.tls, &tls) {
            if !connection.server_info().supports_feature(Extension::StartTls) {
                connection.abort();
                return Err(Unopened::from(Trouble::Never(format!(
                    "{server} offers no encryption (STARTTLS): \
             set tls = \"implicit\" if it has a port for that, or ask its administrator"
                ))));
            }
            self.ledger.reached(silent(Step::StartTls, settings));
            connection.starttls(tls, &hello).map_err(|error| Trouble::of(&error, Step::StartTls, settings))?;
        }
        Ok(connection)
    }

    fn log_in(&self, connection: &mut SmtpConnection) -> Result<(), Trouble> {
        let Some(login) = &self.settings.login else { return Ok(()) };
        if connection.server_info().get_auth_mechanism(&MECHANISMS).is_none() {
            return Err(Trouble::Never(format!(
                "{} offers no login by password (AUTH PLAIN or LOGIN) on this connection: \
             check tls and port, or remove username and password",
                self.settings.server()
            )));
        }
        let credentials = Credentials::new(login.username.clone(), login.password.clone());
        self.command(connection, Step::Login, Severity::PositiveCompletion, |c| c.auth(&MECHANISMS, &credentials))
            .map_or_else(|fault| Err(fault.trouble), |_| Ok(()))
    }
}

/// Sends the mail and the dot behind it in one piece. lettre's own way writes the dot by itself, and the kernel holds that back
/// until the server's has confirmed the mail: 40 ms for nothing (Nagle's algorithm; TCP_NODELAY is not to be reached).
fn content(connection: &mut SmtpConnection, mail: &[u8]) -> Result<Response, lettre::transport::smtp::Error> {
    match std::str::from_utf8(mail) {
        Ok(mail) => connection.command(format_args!("{}\r\n.\r\n", dotted(mail))),
        Err(_) => connection.message(mail),
    }
}

/// With one more dot before each line that begins with one (RFC 5321, 4.5.2).
fn dotted(mail: &str) -> String {
    let first = if mail.starts_with('.') { "." } else { "" };
    format!("{first}{}", mail.replace("\r\n.", "\r\n.."))
}

/// As long as a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A command that was not done.
struct Fault {
    trouble: Trouble,
    /// The connection is of no use any more.
    broken: bool,
}

/// There is no connection.
struct Unopened {
    trouble: Trouble,
    /// Nobody listens at that address.
    absent: bool,
}

impl From<Trouble> for Unopened {
    fn from(trouble: Trouble) -> Unopened {
        Unopened { trouble, absent: false }
    }
}

/// A transaction that did not end well, and those who would have got the mail.
struct Failed {
    trouble: Trouble,
    accepted: Vec<Address>,
    cause: Cause,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// There is no server at any address of its name.
    Absent,
    /// The connection is gone, or cannot be trusted any more.
    Lost,
    /// The server refused this mail for these recipients for good: for one of them it might not.
    Refused,
    /// The server objects to something else.
    Other,
}

impl Fault {
    fn at(self, accepted: Vec<Address>) -> Failed {
        Failed { trouble: self.trouble, accepted, cause: if self.broken { Cause::Lost } else { Cause::Other } }
    }
}

fn said(response: &Response, settings: &Settings) -> String {
    reply(&format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" ")), settings)
}
