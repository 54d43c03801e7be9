//! Gotify: an application's messages. <https://gotify.net/api-docs> (`createMessage`)

use serde_json::json;
use sysalert_abi::{Level, characters};
use sysalert_http::Call;

use crate::preset::{Calls, Preset};
use crate::settings::{below, secret};
use crate::words::{text, title};

/// Gotify names no limit; this is as much as anybody reads on a phone.
const MESSAGE: usize = 10_000;

pub(crate) const PRESET: Preset = Preset {
    name: "gotify",
    needs: &["url", "token"],
    takes: &[],
    url: None,
    secret_url: false,
    calls: Calls::One(|section, url, request| {
        // 8 and more make a sound and pop up: https://github.com/gotify/android#message-priorities
        let priority = match request.level() {
            Level::Critical => 8,
            Level::Warning => 6,
            Level::Info | Level::Well => 5,
        };
        let body = json!({
            "title": title(request, 250, characters),
            "message": text(request, MESSAGE, characters),
            "priority": priority,
            // not Markdown: https://gotify.net/docs/msgextras#clientdisplay
            "extras": {"client::display": {"contentType": "text/plain"}},
        });
        let call = Call::post(below(url, &["message"])).secret(secret(&section.token)).json(&body);
        call.header("X-Gotify-Key", secret(&section.token))
    }),
    is_own: |reply| reply.json()["id"].is_number(),
    pause: |_| None,
};
