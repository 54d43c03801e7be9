//! sysalert's alert method `email`: one mail by SMTP to one server, which does the rest.
//!
//! Settings: `host`, `port`, `tls`, `username`, `password`, `from`, `to`; `settings.json` has their defaults and
//! `example.toml` shows a section. Without any but `to`, the mail goes to the mail server of this machine.
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
mod deadline;
mod ledger;
mod send;
mod settings;
#[cfg(test)]
mod tests;
mod text;
mod trouble;

use std::ffi::CStr;
use std::sync::mpsc;
use std::thread;

use sysalert_abi::{Answer, Plugin, Request, export_plugin, zero_ended};

use deadline::Deadline;
use ledger::Ledger;
use send::Sender;
use settings::Settings;
use trouble::Trouble;

/// The method, as sysalert loads it.
struct Email;

impl Plugin for Email {
    const NAME: &'static CStr = c"email";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        deliver(request).unwrap_or_else(|refused| refused)
    }
}

export_plugin!(Email);

/// Composes and sends, and answers before the deadline whatever happens.
fn deliver(request: &Request) -> Result<Answer, Answer> {
    let deadline = Deadline::after(request.deadline_ms);
    let settings = Settings::read(request)?;
    let mail = compose::compose(request, &settings)?;
    let server = settings.server();
    let ledger = Ledger::new(settings.recipients(), Trouble::Later(format!("{server} did not answer in time")));

    // A thread, because a name that does not resolve and a server that sends a byte a second know no timeout of ours.
    let (done, wait) = mpsc::channel();
    let book = ledger.clone();
    let worker = thread::Builder::new().spawn(move || {
        Sender { settings: &settings, mail: &mail, deadline, ledger: &book }.send();
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
    Ok(ledger.answer(&server))
}
