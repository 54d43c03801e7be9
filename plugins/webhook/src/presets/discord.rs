//! Discord: a channel's webhook. <https://discord.com/developers/docs/resources/webhook#execute-webhook>

use serde_json::json;
use sysalert_http::Call;

use crate::preset::Preset;
use crate::words::{escaped, text, title, tone, unfenced};

/// A description has at most 4,096 characters, the whole of a message's embeds 6,000:
/// <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>
const DESCRIPTION: usize = 4096 - FENCES;
const FENCES: usize = "```\n\n```".len();
/// `content` has at most 2,000: <https://discord.com/developers/docs/resources/webhook#execute-webhook>
const CONTENT: usize = 1000;

pub(crate) const PRESET: Preset = Preset {
    name: "discord",
    needs: &["url"],
    takes: &[],
    url: None,
    secret_url: true,
    call: |_, mut url, request| {
        // "waits for server confirmation of message send before response", and answers with the message
        url.query_pairs_mut().append_pair("wait", "true");
        Ok(Call::post(url).json(&json!({
            "content": escaped(&title(request, CONTENT, count), MARKUP),
            "embeds": [{
                "description": format!("```\n{}\n```", unfenced(&text(request, DESCRIPTION, count))),
                "color": tone(request).colour(),
            }],
            // "an empty array will suppress all mentions": https://discord.com/developers/docs/resources/message#allowed-mentions-object
            "allowed_mentions": {"parse": []},
        })))
    },
    is_own: |reply| reply.json()["id"].is_string(),
    // https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit
    pause: |json| json["retry_after"].as_f64(),
};

/// What acts within a line: <https://support.discord.com/hc/articles/210298617-Markdown-Text-101>
const MARKUP: &str = "\\`*_~|<>[]()#";

fn count(text: &str) -> usize {
    // Discord does not say how it counts: as JavaScript does, which is never less; and 2 for what is escaped or parted
    text.chars().map(|c| if c.is_ascii_punctuation() { 2 } else { c.len_utf16() }).sum()
}
