//! Slack: an incoming webhook. <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use serde_json::json;
use sysalert_http::Call;

use crate::preset::Preset;
use crate::words::{text, title, tone, unfenced};

/// The text of a section has at most 3,000 characters: <https://docs.slack.dev/reference/block-kit/blocks/section-block>
const SECTION: usize = 3000 - FENCES;
const FENCES: usize = "```\n\n```".len();

pub(crate) const PRESET: Preset = Preset {
    name: "slack",
    needs: &["url"],
    takes: &[],
    url: None,
    secret_url: true,
    call: |_, url, request| {
        let tone = tone(request);
        let block = format!("```\n{}\n```", escaped(&unfenced(&text(request, SECTION, count))));
        Ok(Call::post(url).json(&json!({
            // what a notification shows, and the line above the block
            "text": escaped(&title(request, 300, count)),
            // https://docs.slack.dev/messaging/formatting-message-text#disabling-formatting
            "mrkdwn": false,
            "attachments": [{
                "color": format!("#{:06x}", tone.colour()),
                "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": block, "verbatim": true}}],
            }],
            "unfurl_links": false,
            "unfurl_media": false,
        })))
    },
    // "ok", as text: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    is_own: |reply| reply.text().trim() == "ok",
    // it has Retry-After: https://docs.slack.dev/apis/web-api/rate-limits
    pause: |_| None,
};

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
