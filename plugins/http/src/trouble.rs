//! Why there is no answer, as a sentence that says who must do what.

use std::error::Error as _;
use std::io;

use sysalert_abi::Answer;
use sysalert_tls::{Advice, handshake};

use crate::{proxy, words};

/// What this error means on the way to `server`.
pub(crate) fn of(error: &reqwest::Error, server: &str, secrets: &[String]) -> Answer {
    let later = |sentence: String| Answer::Retry(sentence, None);
    if let Some(tls) = causes(error).find_map(tls) {
        return handshake(tls, server, &ADVICE);
    }
    if error.is_builder() {
        return Answer::Refused(format!("no call to {server} can be made ({})", words::shown(&cause(error), secrets)));
    }
    if error.is_dns() {
        return later(format!("{server}: the name cannot be resolved{} ({})", via(), words::shown(&cause(error), secrets)));
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => later(format!("{server} did not answer in time while connecting{}", via())),
        (true, false) => later(format!("{server} cannot be reached{}: {}", via(), words::shown(&cause(error), secrets))),
        (false, true) => later(format!("{server} did not answer in time; it may have taken the message")),
        (false, false) => {
            let what = words::shown(&cause(error), secrets);
            later(format!("{server} cut the connection before it answered ({what}); it may have taken the message"))
        }
    }
}

/// Points to the proxy, which may be the one that failed.
fn via() -> &'static str {
    if proxy::named().next().is_some() { " (the environment names a proxy: check it, too)" } else { "" }
}

/// The first cause in its own words: the others only say where it was met, and reqwest's name the URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "no reason is known".into(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// The TLS error that this one is or holds: io::Error does not tell of its inner one by `source`.
fn tls<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    error.downcast_ref().or_else(|| tls(error.downcast_ref::<io::Error>()?.get_ref()?))
}

const ADVICE: Advice = Advice {
    name: "set the address to one with the name in it",
    issuer: "install ca-certificates, put the issuer's certificate into the system's store, or name its file in `ca`",
    plain: "check the port, or begin the address with http://",
};
