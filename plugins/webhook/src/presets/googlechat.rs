//! Google Chat: a space's webhook. <https://developers.google.com/workspace/chat/quickstart/webhooks>

use serde_json::json;
use sysalert_http::Call;

use crate::preset::{Calls, Preset};
use crate::words::{GAP, id, json_cost, parted, text, title, unfenced};

/// "The maximum message size, including text and cards, is 32,000 bytes":
/// <https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create>
const MESSAGE: usize = 32_000;
const TITLE: usize = 2000;

pub(crate) const PRESET: Preset = Preset {
    name: "googlechat",
    needs: &["url"],
    takes: &[],
    url: None,
    secret_url: true,
    calls: Calls::One(|_, mut url, request| {
        // "Specifying an existing request ID returns the message created with that ID instead of creating a new message"
        url.query_pairs_mut().append_pair("requestId", &id(request));
        let title = parted(&title(request, TITLE, count), MARKUP);
        let text = parted(&unfenced(&text(request, MESSAGE - TITLE - 100, count)), "<");
        Ok(Call::post(url).json(&json!({"text": format!("{title}\n```\n{text}\n```")})))
    }),
    is_own: |reply| reply.json()["name"].is_string(),
    pause: |_| None,
};

/// Bold, italic, struck, code; `<users/all>` calls everybody, `<https://...|text>` is a link:
/// <https://developers.google.com/workspace/chat/format-messages>
const MARKUP: &str = "*_~`<";

fn count(text: &str) -> usize {
    text.chars().map(|c| if MARKUP.contains(c) { 1 + GAP.len_utf8() } else { json_cost(c) }).sum()
}
