//! What the program's end means for the message.

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;
use serde_json::Value;
use sysalert_abi::{Answer, Reply, Request, Status, one_line};

use crate::run::Ended;
use crate::settings::Settings;

/// sysexits.h's mistakes that stay until somebody changes something: EX_USAGE, EX_DATAERR, EX_NOUSER, EX_NOHOST, EX_NOPERM,
/// EX_CONFIG. Its others tell of a machine or a service that is in trouble now, EX_TEMPFAIL (75) outright.
const REFUSED: [i32; 6] = [64, 65, 67, 68, 77, 78];
/// The program's last words are shown with at most this many characters.
const WORDS: usize = 300;
/// A reply's sentence likewise.
const DETAIL: usize = 2000;

/// The answer. A reply on standard output counts only beside exit status 0 and with the request's nonce: what curl prints of
/// a server's JSON is none.
pub(crate) fn answer(ended: &Ended, request: &Request, settings: &Settings) -> Answer {
    let program = settings.program.display();
    let words = last_words(&ended.error, settings);
    let status = match ended.status {
        Ok(status) => status,
        Err(limit) => {
            let limit = limit.as_secs_f64();
            return Answer::Retry(format!("{program} took longer than {limit:.1} s and was killed{words}"), None);
        }
    };
    match (status.code(), reply(&ended.output, &request.nonce)) {
        (Some(0), Some(Ok(reply))) => replied(reply, settings),
        (Some(0), Some(Err(()))) => Answer::Retry(format!("{program} printed something that is no reply{words}"), None),
        (Some(0), None) => Answer::Sent(format!("{program} took it{words}")),
        (Some(code), _) if REFUSED.contains(&code) => Answer::Refused(format!("{program} refused it ({}){words}", named(code))),
        (Some(code), _) => Answer::Retry(format!("{program} failed ({}){words}", named(code)), None),
        (None, _) => {
            let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
            let by = signal.map_or_else(|| "a signal".to_owned(), |signal| signal.to_string());
            Answer::Retry(format!("{program} was killed by {by}{words}"), None)
        }
    }
}

/// A reply as a plugin gives it: an object with the nonce and a status. `Err`: it was meant as one, and is none. A program
/// such as tee that prints the request has not replied.
fn reply(output: &[u8], nonce: &str) -> Option<Result<Reply, ()>> {
    let text = String::from_utf8_lossy(output);
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => {
            let meant = value.get("nonce").is_some_and(|its| its == nonce) && value.get("status").is_some();
            meant.then(|| serde_json::from_value(value).map_err(drop))
        }
        Err(_) => {
            let meant = text.trim_start().starts_with('{') && text.contains(nonce) && text.contains("\"status\"");
            meant.then_some(Err(()))
        }
    }
}

fn replied(reply: Reply, settings: &Settings) -> Answer {
    let detail = one_line(&without_secret(&reply.detail, settings), DETAIL);
    match reply.status {
        Status::Sent => Answer::Sent(detail),
        Status::Retry => Answer::Retry(detail, reply.retry_after),
        Status::Refused => Answer::Refused(detail),
    }
}

/// "exit status 77, no permission": what sysexits.h means by it.
fn named(code: i32) -> String {
    let meaning = match code {
        64 => ", wrong call",
        65 => ", wrong data",
        66 => ", missing input",
        67 => ", unknown addressee",
        68 => ", unknown host",
        69 => ", service unavailable",
        70 => ", internal error",
        71 => ", system error",
        72 => ", missing system file",
        73 => ", a file cannot be made",
        74 => ", input/output error",
        75 => ", try again later",
        76 => ", protocol error",
        77 => ", no permission",
        78 => ", wrong configuration",
        _ => "",
    };
    format!("exit status {code}{meaning}")
}

/// The last line of standard error, to follow a sentence.
fn last_words(error: &[u8], settings: &Settings) -> String {
    let text = without_secret(&String::from_utf8_lossy(error), settings);
    let last = text.lines().map(|line| one_line(line, WORDS)).rfind(|line| !line.is_empty());
    last.map(|line| format!(": {line}")).unwrap_or_default()
}

/// A program that prints what it was given, such as curl --verbose, must not tell the secret.
fn without_secret(text: &str, settings: &Settings) -> String {
    match &settings.secret {
        Some(secret) if !secret.is_empty() => text.replace(secret.as_str(), "***"),
        _ => text.to_owned(),
    }
}
