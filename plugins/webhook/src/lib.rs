//! sysalert's alert method `webhook`: one HTTP call for each message, to a chat, a pager, a phone, or whatever takes JSON, a
//! form or text.
//!
//! Settings: `settings.json` has them, `example.toml` shows a section for each preset.
//!
//! - A preset knows one channel's contract: its fields, its limits in its own unit, its levels, what acts as markup or calls
//!   people there, and how it says that it took the message. [`preset::PRESETS`] lists them.
//! - Without a preset the body is a template. A value stays in its place, whatever it holds: in JSON it is a string or a part
//!   of one, in a form it is one field's. The call has an Idempotency-Key and, if wanted, a signature.
//! - A body of one's own that fails with a message costs no alert: it goes out in the usual words and says why. Where a channel
//!   says that it does not take the markup, the message comes again without.
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
        match prepare(request)?.note {
            Some(note) => Err(Answer::Refused(note)),
            None => Ok(()),
        }
    }

    fn reach(request: &Request) -> Result<String, Answer> {
        let (section, _, url) = Section::read(request)?;
        Client::new(Deadline::after(request.deadline_ms), section.ca.as_deref())?.reach(&url)
    }
}

export_plugin!(Webhook, sysalert_plugin_v1_webhook);

fn deliver(request: &Request) -> Result<Answer, Answer> {
    let Prepared { kind, client, calls, plain, note } = prepare(request)?;
    let mut answer = Answer::Sent(String::new());
    for call in &calls {
        let mut reply = client.send(call)?;
        if let (Kind::Preset(preset), Some(plain)) = (&kind, &plain)
            && preset.is_markup_refused(&reply)
        {
            reply = client.send(plain)?;
        }
        let said = match kind {
            Kind::Preset(preset) => preset.answer(&reply),
            Kind::Own => reply.answer(),
        };
        match said {
            // so may the others: all come again
            Answer::Retry(..) => return Ok(noted(said, note)),
            _ if matches!(answer, Answer::Refused(_)) => {}
            _ => answer = said,
        }
    }
    Ok(noted(answer, note))
}

/// The answer, with what is wrong with the words that were not sent.
fn noted(answer: Answer, note: Option<String>) -> Answer {
    let with = |text: String| match &note {
        Some(note) => format!("{text}, in the usual words: {note}"),
        None => text,
    };
    match answer {
        Answer::Sent(text) => Answer::Sent(with(text)),
        Answer::Retry(text, after) => Answer::Retry(with(text), after),
        Answer::Refused(text) => Answer::Refused(with(text)),
    }
}

/// What is needed to send a message.
struct Prepared {
    kind: Kind,
    client: Client,
    calls: Vec<Call>,
    /// Without markup, where the channel may refuse that.
    plain: Option<Call>,
    /// Why the section's own words are not used, if they are not.
    note: Option<String>,
}

/// All but the calls themselves.
fn prepare(request: &Request) -> Result<Prepared, Answer> {
    let deadline = Deadline::after(request.deadline_ms);
    let (section, kind, url) = Section::read(request)?;
    let ((calls, plain), note) = match kind {
        Kind::Preset(preset) => (preset.calls(&section, url, request)?, None),
        Kind::Own => {
            let (call, note) = own::call(&section, url, request)?;
            ((vec![call], None), note)
        }
    };
    let client = Client::new(deadline, section.ca.as_deref())?;
    let headers = |call| section.with_headers(call);
    let calls = calls.into_iter().map(headers).collect::<Result<_, _>>()?;
    Ok(Prepared { kind, client, calls, plain: plain.map(headers).transpose()?, note })
}
