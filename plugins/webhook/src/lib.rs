//! sysalert's alert method `webhook`: one HTTP call for each message, to a chat, a pager, a phone, or whatever takes JSON, a
//! form or text.
//!
//! Settings: `settings.json` has them, `example.toml` shows a section for each preset.
//!
//! - A preset knows one channel's contract: its fields, its limits in its own unit, its levels, what acts as markup or calls
//!   people there, and how it says that it took the message. [`preset::PRESETS`] lists them.
//! - Without a preset the body is a template. A value stays in its place, whatever it holds: in JSON it is a string or a part
//!   of one, in a form it is one field's. The call has an Idempotency-Key and, if wanted, a signature.
//! - What an answer means is the same for all ([`sysalert_http`]). An answer of success that is not the channel's own is
//!   refused: a proxy's login page says 200, too.
//! - Where a channel can tell a second copy (Matrix, Google Chat, PagerDuty) it gets what it needs for that; elsewhere a
//!   message whose answer was lost arrives twice rather than not at all.

mod body;
mod own;
mod preset;
mod presets;
mod settings;
#[cfg(test)]
mod tests;
mod words;

use std::ffi::CStr;

use sysalert_abi::{Answer, Deadline, Plugin, Request, export_plugin, zero_ended};
use sysalert_http::{Call, Client};

use settings::{Kind, Section};

/// The method, as sysalert loads it.
struct Webhook;

impl Plugin for Webhook {
    const NAME: &'static CStr = c"webhook";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        deliver(request).unwrap_or_else(|answer| answer)
    }

    fn check(request: &Request) -> Result<(), Answer> {
        prepare(request).map(drop)
    }
}

export_plugin!(Webhook);

fn deliver(request: &Request) -> Result<Answer, Answer> {
    let (kind, client, call) = prepare(request)?;
    let reply = client.send(&call)?;
    Ok(match kind {
        Kind::Preset(preset) => preset.answer(&reply),
        Kind::Own => reply.answer(),
    })
}

/// All but the call itself.
fn prepare(request: &Request) -> Result<(Kind, Client, Call), Answer> {
    let deadline = Deadline::after(request.deadline_ms);
    let (section, kind, url) = Section::read(request)?;
    let call = match kind {
        Kind::Preset(preset) => (preset.call)(&section, url, request)?,
        Kind::Own => own::call(&section, url, request)?,
    };
    Ok((kind, Client::new(deadline, section.ca.as_deref())?, section.with_headers(call)?))
}
