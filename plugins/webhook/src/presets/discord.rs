//! Discord: a channel's webhook. <https://discord.com/developers/docs/resources/webhook#execute-webhook>

use serde_json::json;
use sysalert_abi::{Answer, Request};
use sysalert_http::{Call, Reply, Url};

use crate::preset::{Calls, Preset};
use crate::settings::Section;
use crate::words::{colour, escaped, text, title, unfenced};

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
    calls: Calls::Marked { call, plain, is_refused },
    is_own: |reply| reply.json()["id"].is_string(),
    // https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit
    pause: |json| json["retry_after"].as_f64(),
};

fn call(_: &Section, url: Url, request: &Request) -> Result<Call, Answer> {
    Ok(Call::post(waiting(url)).json(&json!({
        "content": escaped(&title(request, CONTENT, count), MARKUP),
        "embeds": [{
            "description": format!("```\n{}\n```", unfenced(&text(request, DESCRIPTION, count))),
            "color": colour(request.level()),
        }],
        // "an empty array will suppress all mentions": https://discord.com/developers/docs/resources/message#allowed-mentions-object
        "allowed_mentions": {"parse": []},
    })))
}

/// Without an embed.
fn plain(_: &Section, url: Url, request: &Request) -> Result<Call, Answer> {
    let (title, text) = (title(request, CONTENT / 2, count), text(request, CONTENT, count));
    let content = format!("{}\n```\n{}\n```", escaped(&title, MARKUP), unfenced(&text));
    Ok(Call::post(waiting(url)).json(&json!({"content": content, "allowed_mentions": {"parse": []}})))
}

/// "Invalid Form Body", with the embed's fields: <https://discord.com/developers/docs/reference#error-messages>
fn is_refused(reply: &Reply) -> bool {
    let json = reply.json();
    reply.status() == 400 && json["code"] == 50035 && !json["errors"]["embeds"].is_null()
}

/// "waits for server confirmation of message send before response", and answers with the message.
fn waiting(mut url: Url) -> Url {
    url.query_pairs_mut().append_pair("wait", "true");
    url
}

/// What acts within a line: <https://support.discord.com/hc/articles/210298617-Markdown-Text-101>
const MARKUP: &str = "\\`*_~|<>[]()#";

fn count(text: &str) -> usize {
    // Discord does not say how it counts: as JavaScript does, which is never less; and 2 for what is escaped or parted
    text.chars().map(|c| if c.is_ascii_punctuation() { 2 } else { c.len_utf16() }).sum()
}
