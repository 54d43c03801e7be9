//! Slack: an incoming webhook. <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use serde_json::json;
use sysalert_abi::{Answer, Request};
use sysalert_http::{Call, Reply, Url};

use crate::preset::{Calls, Preset};
use crate::settings::Section;
use crate::words::{colour, text, title, unfenced};

/// The text of a section has at most 3,000 characters: <https://docs.slack.dev/reference/block-kit/blocks/section-block>
const SECTION: usize = 3000 - FENCES;
const FENCES: usize = "```\n\n```".len();

pub(crate) const PRESET: Preset = Preset {
    name: "slack",
    needs: &["url"],
    takes: &[],
    url: None,
    secret_url: true,
    calls: Calls::Marked { call, plain, is_refused },
    // "ok", as text: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    is_own: |reply| reply.text().trim() == "ok",
    // it has Retry-After: https://docs.slack.dev/apis/web-api/rate-limits
    pause: |_| None,
};

fn call(_: &Section, url: Url, request: &Request) -> Result<Call, Answer> {
    let block = format!("```\n{}\n```", escaped(&unfenced(&text(request, SECTION, count))));
    Ok(Call::post(url).json(&json!({
        // what a notification shows, and the line above the block
        "text": escaped(&title(request, 300, count)),
        // https://docs.slack.dev/messaging/formatting-message-text#disabling-formatting
        "mrkdwn": false,
        "attachments": [{
            "color": format!("#{:06x}", colour(request.level())),
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": block, "verbatim": true}}],
        }],
        "unfurl_links": false,
        "unfurl_media": false,
    })))
}

/// Without a block.
fn plain(_: &Section, url: Url, request: &Request) -> Result<Call, Answer> {
    let text = format!("{}\n\n{}", title(request, 300, count), text(request, SECTION, count));
    let json = json!({"text": escaped(&text), "mrkdwn": false, "unfurl_links": false, "unfurl_media": false});
    Ok(Call::post(url).json(&json))
}

/// "invalid_blocks", "invalid_blocks_format", "invalid_attachments": <https://docs.slack.dev/reference/methods/chat.postMessage#errors>
fn is_refused(reply: &Reply) -> bool {
    let said = reply.text();
    reply.status() == 400 && ["invalid_blocks", "invalid_attachments"].iter().any(|error| said.contains(error))
}

/// The three characters that act, `<!channel>` and links among it: <https://docs.slack.dev/messaging/formatting-message-text>
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn count(text: &str) -> usize {
    let cost = |c| match c {
        '&' => 5,
        '<' | '>' => 4,
        '`' => 2,
        // Slack does not say how it counts: as JavaScript does, which is never less
        c => c.len_utf16(),
    };
    text.chars().map(cost).sum()
}
