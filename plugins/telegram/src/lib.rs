//! sysalert's alert method `telegram`: one message by a bot (Bot API, sendMessage). `settings.json` has the keys,
//! `example.toml` shows a section.
//!
//! - The message is HTML with the few tags that Telegram knows, and short first: what happened, when, the log, what to run.
//!   When Telegram refuses the markup it is sent again as plain text. See `compose`.
//! - The bot's token stands in the address of the call, of which nothing but the server's name is ever shown.
//! - Telegram cannot deduplicate: when the connection is cut after the request, the message may come twice.

mod answer;
mod compose;
mod settings;
#[cfg(test)]
mod tests;

use std::ffi::CStr;

use serde_json::{Value, json};
use sysalert_abi::{Answer, Deadline, ELSEWHERE, Level, Plugin, Request, export_plugin, zero_ended};
use sysalert_http::{Call, Client};

use compose::Text;
use settings::Settings;

/// The method, as sysalert loads it.
struct Telegram;

impl Plugin for Telegram {
    const NAME: &'static CStr = c"telegram";
    const VERSION: &'static CStr = zero_ended(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    const SETTINGS: &'static CStr = zero_ended(concat!(include_str!("../settings.json"), "\0"));

    fn failure(request: &Request) -> Answer {
        deliver(request).unwrap_or_else(|answer| answer)
    }

    fn check(request: &Request) -> Result<(), Answer> {
        let settings = Settings::read(request)?;
        Client::new(Deadline::after(request.deadline_ms), settings.ca.as_deref()).map(drop)
    }

    fn reach(request: &Request) -> Result<String, Answer> {
        let mut request = request.clone();
        if request.config.get("token").is_some_and(|token| token == ELSEWHERE) {
            // the server is known without it
            request.config.insert("token".to_owned(), "0:0".into());
        }
        let settings = Settings::read(&request)?;
        Client::new(Deadline::after(request.deadline_ms), settings.ca.as_deref())?.reach(&settings.address)
    }
}

export_plugin!(Telegram, sysalert_plugin_v1_telegram);

fn deliver(request: &Request) -> Result<Answer, Answer> {
    let deadline = Deadline::after(request.deadline_ms);
    let settings = Settings::read(request)?;
    let Text { html, plain } = compose::compose(request);
    let client = Client::new(deadline, settings.ca.as_deref())?;
    let call = Call::post(settings.address.clone()).secret(&settings.token);
    let mut body = body(request, &settings);
    body["text"] = json!(html);
    body["parse_mode"] = json!("HTML");
    let reply = client.send(&call.clone().json(&body))?;
    if !answer::is_markup_refused(&reply) {
        return Ok(answer::of(&reply));
    }
    body["text"] = json!(plain);
    body.as_object_mut().map(|body| body.remove("parse_mode"));
    Ok(answer::of(&client.send(&call.json(&body))?))
}

/// <https://core.telegram.org/bots/api#sendmessage>, without the text.
fn body(request: &Request, settings: &Settings) -> Value {
    let mut body = json!({"chat_id": settings.chat, "link_preview_options": {"is_disabled": true}});
    // General has the number 1, by which it is not found: https://github.com/tdlib/telegram-bot-api/issues/798
    if let Some(topic) = settings.topic.filter(|topic| *topic != 1) {
        body["message_thread_id"] = json!(topic);
    }
    if settings.silent && request.level() <= Level::Info {
        body["disable_notification"] = json!(true);
    }
    body
}
