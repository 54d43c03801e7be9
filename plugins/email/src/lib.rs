//! sysalert's alert method `email`: one mail by SMTP to one server, which does the rest; or to this machine's `sendmail`.
//!
//! Settings: `host`, `port`, `tls`, `username`, `password`, `from`, `to`; `settings.json` has their defaults and
//! `example.toml` shows a section. Without any but `to`, the mail goes to the mail server of this machine: to localhost:25, or
//! where nothing listens there to /usr/sbin/sendmail, if there is one. In this order, since SMTP works with every server, and
//! sysalert-dispatch.service gives no setuid or setgid program its rights: exim's, postfix's and nullmailer's sendmail can
//! queue nothing from there, msmtp's can send.
//!
//! - The mail is plain text and HTML (multipart/alternative). Its Message-ID is the same at each try, so that a mailbox may
//!   drop a second copy: when the connection is lost after the last dot nobody knows whether the server took the mail, and
//!   it is sent again. All mails of one incident name a common reference, so that mail readers show them as one thread.
//! - All recipients get one transaction. A server that refuses single addresses does not keep the mail from the others; if it
//!   refuses the mail itself, each recipient is tried alone. It counts as sent when one recipient got it: a second try would
//!   send it to that one again. The detail names the others. Whoever wants each recipient to be tried for hours gives the
//!   mail to a server that queues, such as the one of this machine.
//! - A password goes over an encrypted connection or to a loopback address, never elsewhere. STARTTLS is required when it is
//!   set; certificates are checked against the system's store (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured).
//! - Network errors, timeouts, 4xx replies and certificates that are out of date may pass: `retry`. 5xx replies, a refused
//!   login, no encryption and certificates of an unknown issuer or for another name do not: `refused`.
//! - What the server says is shown without control characters, without the password and cut to 300 characters.

mod compose;
mod ledger;
mod send;
mod sendmail;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod trouble;

use std::ffi::CStr;
use std::sync::mpsc;
use std::thread;

use sysalert_abi::{Answer, Deadline, ELSEWHERE, Plugin, Request, export_plugin, zero_ended};

use ledger::Ledger;
use send::Sender;
use settings::Settings;

/// The method, as sysalert loads it.
struct Email;

impl Plugin for Email {
    const NAME: &'static CStr = c"email";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        deliver(request).unwrap_or_else(|refused| refused)
    }

    fn check(request: &Request) -> Result<(), Answer> {
        Settings::read(request).map(drop)
    }

    fn reach(request: &Request) -> Result<String, Answer> {
        let mut settings = Settings::read(request)?;
        // a password that is not at hand would be a wrong one
        settings.login = settings.login.filter(|login| login.password != ELSEWHERE);
        match send::reach(&settings, Deadline::after(request.deadline_ms)) {
            // the program takes the mail where nobody listens
            Err(_) if settings.sendmail.as_ref().is_some_and(|program| program.exists()) => Ok(String::new()),
            reached => reached,
        }
    }
}

export_plugin!(Email, sysalert_plugin_v1_email);

/// Composes and sends, and answers before the deadline whatever happens.
fn deliver(request: &Request) -> Result<Answer, Answer> {
    deliver_as(request, Settings::read(request)?)
}

fn deliver_as(request: &Request, settings: Settings) -> Result<Answer, Answer> {
    let deadline = Deadline::after(request.deadline_ms);
    let mail = compose::compose(request, &settings)?;
    let ledger = Ledger::new(settings.server(), settings.recipients());

    // A thread, because a name that does not resolve and a server that sends a byte a second know no timeout of ours. Nor does
    // a program; it ends with this process's group, which sysalert kills when it has the answer.
    let (done, wait) = mpsc::channel();
    let book = ledger.clone();
    let worker = thread::Builder::new().spawn(move || {
        if let Err(nobody) = (Sender { settings: &settings, mail: &mail, deadline, ledger: &book }).send() {
            match &settings.sendmail {
                Some(program) => sendmail::hand_over(program, &settings, &mail, &book, &nobody),
                None => book.rest(&nobody),
            }
        }
        let _ = done.send(());
    });
    let worker = worker.map_err(|error| Answer::Retry(format!("no thread can be started: {error}"), None))?;
    match wait.recv_timeout(deadline.until_answer()) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => ledger.rest_is_silence(),
        // It ended without a word: it panicked, and that has to be seen.
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
    Ok(ledger.answer())
}
